"""Data of a family: input functions drawn from its law, solved in batches by a classical method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pinnkit import precision
from pinnkit.compile import System
from pinnkit.data import Dataset
from pinnkit.errors import OptionError, ReferenceFileError
from pinnkit.methods.base import Progress
from pinnkit.methods.families import Ensemble, Family

BATCH = 128
DECISIVE = ("digest", "seed", "method", "stride", "steps")
"""What of the provenance decides on the samples."""


def batches(
    family: Family,
    samples: range,
    seed: int,
    report: Callable[[int], None] = lambda _: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[Ensemble]:
    """Solutions in batches; `report` is told how many are there. Ends early when interrupted."""
    for start in range(samples.start, samples.stop, BATCH):
        if interrupted():
            return
        part = range(start, min(start + BATCH, samples.stop))
        with precision.scope("float64"):
            yield family.solve(part, seed)
        report(part.stop)


def generate(
    system: System,
    family: Family,
    count: int,
    seed: int,
    provenance: dict[str, Any],
    report: Callable[[Progress], None] = lambda _: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> tuple[Dataset, np.ndarray | None]:
    """`count` samples in memory, fewer if interrupted; and what an ordinary problem declares.

    At least one batch is made.
    """
    begun = time.monotonic()

    def told(done: int) -> None:
        report(Progress("data", done, count, {}, time.monotonic() - begun))

    told(0)
    parts = []
    for part in batches(family, range(count), seed, told):
        parts.append(part)
        if interrupted():
            break
    whole = _dataset(
        system,
        family,
        np.concatenate([p.inputs for p in parts]),
        np.concatenate([p.outputs for p in parts]),
        np.concatenate([p.errors for p in parts]),
        provenance,
    )
    return whole, parts[0].declared


def generate_file(
    system: System,
    family: Family,
    count: int,
    seed: int,
    path: Path,
    provenance: dict[str, Any],
    report: Callable[[Progress], None] = lambda _: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Dataset | None:
    """`count` samples in the file `path`, which is written beside it first; None if interrupted.

    What an interrupted run has written is taken up again, and a finished file is extended, if it
    was made in the same way: then all samples are those of a run without interruption.
    Raises OptionError if the file belongs to something else.
    """
    from pinnkit.data.file import Writer

    begun = time.monotonic()
    partial = path.with_suffix(f".partial{path.suffix}")
    sensors, grid = (tuple(a.n for a in axes) for axes in (family.sensors, family.grid))
    none = [np.zeros((0, *shape)) for shape in (sensors, (len(system.fields), *grid), ())]
    empty = _dataset(system, family, none[0], none[1], none[2], provenance)
    if path.exists():
        found = _taken_up(path, empty, "Give another file, or remove this one")
        if len(found) >= count:
            report(Progress("data", count, count, {}, 0.0))
            return found.subset(slice(0, count))
        path.replace(partial)
    elif partial.exists():
        _taken_up(partial, empty, "Remove it, or generate what it was begun with")
    with Writer(partial, empty) as writer:

        def told(done: int) -> None:
            report(Progress("data", done, count, {}, time.monotonic() - begun))

        told(writer.count)
        for part in batches(family, range(writer.count, count), seed, told, interrupted):
            writer.append(part.inputs, part.outputs, part.errors)
        finished = writer.count >= count
    if not finished:
        return None
    partial.replace(path)
    return Dataset.load(path, streamed=True)


def _taken_up(path: Path, like: Dataset, mend: str) -> Dataset:
    """The dataset in `path` if it was made as `like` says."""
    try:
        found = Dataset.load(path, streamed=True)
    except ReferenceFileError as error:
        raise OptionError(f"{str(error).rstrip('.')}. {mend}.") from error
    if _made(found) != _made(like):
        raise OptionError(
            f"'{path}' holds {len(found)} samples of '{found.problem}' that were made in another "
            f"way (problem, parameters, grid or seed differ). {mend}."
        )
    return found


def _made(dataset: Dataset) -> tuple:
    own = {k: v for k, v in dataset.provenance.items() if k in DECISIVE}
    names = (dataset.problem, dataset.function, dataset.fields)
    return (*names, dataset.sensors, dataset.grid, own)


def _dataset(
    system: System,
    family: Family,
    inputs: np.ndarray,
    outputs: np.ndarray,
    errors: np.ndarray,
    provenance: dict[str, Any],
) -> Dataset:
    return Dataset(
        system.problem.name,
        family.inputs.name,
        system.fields,
        family.sensors,
        family.grid,
        inputs,
        outputs,
        errors,
        provenance,
        family.boundary,
    )
