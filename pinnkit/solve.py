"""solve(problem, method) -> Solution: the entry point, and the default method."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import jax

from pinnkit import precision as precision_module
from pinnkit.compile import System, compile_problem
from pinnkit.errors import MethodError
from pinnkit.interrupt import on_interrupt
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.choose import choose
from pinnkit.solution import Solution
from pinnkit.spec.problem import Problem


def solve(
    problem: Problem,
    method: Method | None = None,
    *,
    key: int = 0,
    seconds: float | None = None,
    precision: str = "float64",
    report: Callable[[Progress], None] | None = None,
    checkpoint: str | Path | None = None,
    quiet: bool = False,
) -> Solution:
    """Solve a problem.

    - `method`: for example `PINN()`, `LeastSquares()`, `Lines()`; without one, a default is
      chosen from the problem's traits and printed.
    - `key`: the seed of everything random; two runs with one key are equal.
    - `seconds`: budget of wall-clock time; the best result so far is returned when it is spent.
    - `precision`: "float64" or "float32".
    - `report`: called with `Progress` while the method runs.
    - `checkpoint`: a file; an unfinished run resumes from it exactly.

    Ctrl-C ends the run at the next dispatch and returns the best result so far.

    Raises `MethodError` if the method does not apply, with the reason, and `OptionError` for
    options out of range.
    """
    system = compile_problem(problem)
    if method is None:
        method, why = choose(system)
        if not quiet:
            print(f"pinnkit: {problem.name} is {system.traits.describe()}", file=sys.stderr)
            print(f"pinnkit: solving by {method.name}, {why}", file=sys.stderr)
    reason = method.supports(system)
    if reason is not None:
        raise MethodError(
            f"{method.name} cannot solve '{problem.name}': {reason}. "
            "Choose another method, or none for the default."
        )
    with precision_module.scope(precision), on_interrupt() as interrupted:
        options = {} if report is None else {"report": report}
        run = Run(
            jax.random.key(key),
            seconds,
            precision,
            interrupted=interrupted,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            **options,
        )
        solution = method.run(system, run)
    stats = {"wall_s": run.elapsed, **solution.stats}
    made = {**provenance(system, method, key), **solution.provenance}
    return dataclasses.replace(solution, stats=stats, provenance=made, precision=precision)


def provenance(system: System, method: Method, key: int) -> dict[str, str | int]:
    """What made a solution: enough to make it again."""
    device = jax.devices()[0]
    return {
        "pinnkit": importlib.metadata.version("pinnkit"),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": f"{device.platform} {device.device_kind}",
        "digest": system.digest,
        "method": repr(method),
        "key": key,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
