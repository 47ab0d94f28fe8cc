"""solve(problem, method) -> Solution: the entry point, and the default method."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax

from pinnkit import devices, hosts
from pinnkit import precision as precision_module
from pinnkit.compile import System, compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.interrupt import on_interrupt
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.choose import candidates
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
      chosen from the problem's traits and printed; should it not converge, the next best follows.
    - `key`: the seed of everything random; two runs with one key are equal.
    - `seconds`: budget of wall-clock time; the best result so far is returned when it is spent.
    - `precision`: "float64" or "float32".
    - `report`: called with `Progress` while the method runs.
    - `checkpoint`: a file; an unfinished run resumes from it exactly.

    Ctrl-C ends the run at the next dispatch and returns the best result so far.

    After `jax.distributed.initialize` all processes must call this alike. Their devices share the
    work of networks, and process 0 alone writes the checkpoint.

    Raises `MethodError` if the method does not apply, with the reason, `OptionError` for options
    out of range, or where `method` is no method, and `LostProcess` if another process ends.
    """
    check_method(method)
    system = compile_problem(problem)
    announce = _silent if quiet or not devices.leads() else _print
    started = time.monotonic()
    if method is not None:
        choices = [(method, "")]
        _refuse_unsupported(system, method)
    else:
        choices = candidates(system)
        announce(f"{problem.name} is {system.traits.describe()}")
    solution: Solution | None = None
    saved = None if checkpoint is None else Path(checkpoint)
    with (
        precision_module.scope(precision),
        hosts.watched(saved),
        on_interrupt() as interrupted,
    ):
        for chosen, why in choices:
            left = seconds
            if solution is not None:
                announce(f"not solved: {solution.status.reason}")
                left = None if seconds is None else seconds - (time.monotonic() - started)
                if left is not None and left <= 0:
                    break
            if why:
                announce(f"solving by {chosen.name}, {why}")
            run = Run(
                jax.random.key(key),
                left,
                precision,
                report=_unheard if report is None else report,
                interrupted=interrupted,
                checkpoint=saved,
            )
            try:
                found = _finished(system, chosen, run, key)
            except MethodError as error:
                if solution is None:
                    raise
                announce(f"{chosen.name} does not apply: {error}")
                continue
            # What the best method found stands unless another one succeeds.
            solution = found if solution is None or found.status.ok else solution
            if found.status.ok or found.status.interrupted:
                break
    assert solution is not None
    return solution


def check_method(method: object) -> None:
    """`OptionError` unless it is a method, or None for the default."""
    if method is None or isinstance(method, Method):
        return
    if isinstance(method, type) and issubclass(method, Method):
        raise OptionError(
            f"method={method.__name__} is a class. Give an instance: {method.__name__}()."
        )
    raise OptionError(
        f"method={method!r} is no method. Give an instance of a class, such as pk.LeastSquares(), "
        "pk.PINN(), pk.Evolving(), pk.Lagrangian(), pk.Operator(), pk.Lines(), pk.Steady(), "
        "pk.Eigen() or pk.Exact(), or none for the default."
    )


def _finished(system: System, method: Method, run: Run, key: int) -> Solution:
    made = provenance(system, method, key)
    solution = method.run(system, run)
    stats = {"wall_s": run.elapsed, **solution.stats}
    made |= solution.provenance
    return dataclasses.replace(solution, stats=stats, provenance=made, precision=run.precision)


def _refuse_unsupported(system: System, method: Method) -> None:
    reason = method.supports(system)
    if reason is not None:
        raise MethodError(
            f"{method.name} cannot solve '{system.problem.name}': {reason}. "
            "Choose another method, or none for the default."
        )


def _print(message: str) -> None:
    print(f"pinnkit: {message}", file=sys.stderr)


def _unheard(progress: Progress) -> None:
    """Nobody listens."""


def _silent(message: str) -> None:
    """Say nothing."""


def version() -> str:
    """The installed version of pinnkit."""
    try:
        return importlib.metadata.version("pinnkit")
    except importlib.metadata.PackageNotFoundError:
        return "source tree, not installed"


def provenance(system: System, method: Method, key: int) -> dict[str, str | int]:
    """What made a solution: enough to make it again."""
    device = jax.devices()[0]
    return {
        "pinnkit": version(),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": f"{device.platform} {device.device_kind}",
        "digest": system.digest,
        "method": repr(method),
        "key": key,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
