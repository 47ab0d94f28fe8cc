"""What operators learn from: solutions made by a classical method, or by other people."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pinnkit.compile import System, compile_problem
from pinnkit.data import Dataset
from pinnkit.errors import MethodError, OptionError
from pinnkit.interrupt import on_interrupt
from pinnkit.methods.base import Progress
from pinnkit.methods.family_of import family_of
from pinnkit.methods.generation import generate, generate_file
from pinnkit.solve import version
from pinnkit.spec.problem import Problem


def dataset(
    problem: Problem,
    n: int,
    *,
    out: str | Path | None = None,
    resolution: int | None = None,
    frames: int = 32,
    after: float | None = None,
    stride: int | None = None,
    steps: int | None = None,
    spread: float = 0.1,
    key: int = 0,
    report: Callable[[Progress], None] | None = None,
) -> Dataset:
    """Draw `n` input functions of a family and solve for each by a classical method.

    - `resolution`: intervals along each space axis; None for 128, 32 or 16 in one, two or three
      dimensions. `frames`: stored intervals in time;
      `after`: when they begin, such as behind a transient, by default at the initial time.
    - `stride`, `steps`: points of the solver for each stored interval in space, and steps in time
      for each frame; None for as many as a few pilot members need to agree. Chaotic solutions
      agree for long only with far more steps than their statistics need, so give `steps` there.
    - `spread`: for a problem without input function, as in `Operator`.
    - `key`: sample i depends on the key and on i alone, so that smaller sets are parts of larger.
    - `out`: an HDF5 file; samples are written as they are made, in batches. After Ctrl-C the same
      call goes on where it stopped, and a larger `n` extends the file. The result then reads from
      the file when samples are asked for.

    Every solution comes with an estimate of its own error. Raises MethodError if the problem is no
    family or a solution is not finite, OptionError for options out of range or a file that holds
    something else, and KeyboardInterrupt after Ctrl-C.
    """
    if n < 1:
        raise OptionError(f"dataset(n={n}): give a positive number of samples.")
    system = compile_problem(problem)
    try:
        family = family_of(system, resolution, frames, spread, after, stride, steps)
    except MethodError as error:
        raise MethodError(
            f"'{problem.name}' is no family for which data can be generated: "
            f"{str(error).rstrip('.')}. Declare an input_function with a law, or bring data of "
            "your own by read_dataset."
        ) from error
    told = report or (lambda _: None)
    made = _provenance(system, type(family).__name__, key) | _given(stride=stride, steps=steps)
    with on_interrupt() as interrupted:
        if out is None:
            found, _ = generate(system, family, n, key, made, told, interrupted)
            stopped = len(found) < n
        else:
            from pinnkit.data.file import check_path

            path = check_path(out)
            found = generate_file(system, family, n, key, path, made, told, interrupted)
            stopped = found is None
    if stopped or found is None:
        raise KeyboardInterrupt
    return found


def read_dataset(
    path: str | Path,
    problem: Problem,
    *,
    rename: Mapping[str, str] | None = None,
    every: int | Mapping[str, int] = 1,
    streamed: bool = False,
    open_axes: Sequence[str] = (),
) -> Dataset:
    """Samples of a family from `.h5 .npz .mat .nc`, or a file of `pk.dataset`.

    - `rename`: name in the file -> name of the input function, a field or a coordinate of the
      problem, such as `{"coeff": "a", "sol": "u"}`. `"sol[sample,x,t]": "u"` states the order of
      dimensions; without it samples come first and the coordinates follow in the problem's order.
      Dimensions of length one are dropped.
    - `every`: keep every n-th node along all axes in space, or along those named.
    - `streamed`: leave the samples of a file of `pk.dataset` in the file.
    - `open_axes`: axes whose upper end is no node although they are not periodic, as when a
      finer grid was thinned.

    Nodes are taken to be uniform from one end of the domain to the other, without the upper end
    along periodic axes; coordinates in the file must agree with that. Solutions without the time
    axis of the problem are those at its end, and belong to initial states.

    Raises ReferenceFileError for files that are missing or damaged, that lack a variable, whose
    shapes, coordinates or order contradict the problem, or that hold values which are not finite;
    OptionError for a bad `rename` or a problem without input function.
    """
    from pinnkit.reference.pairs import read_pairs

    return read_pairs(Path(path), problem, dict(rename or {}), every, streamed, open_axes)


def _given(**options: int | None) -> dict[str, int]:
    return {name: value for name, value in options.items() if value is not None}


def _provenance(system: System, method: str, key: int) -> dict[str, Any]:
    return {
        "pinnkit": version(),
        "digest": system.digest,
        "parameters": {k: float(v) for k, v in system.parameters.items()},
        "method": method,
        "seed": key,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
