"""One run of pk.solve(problem, pk.PINN(), seconds=S, key=K), nothing else given."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
from collections.abc import Iterator
from typing import Any

import numpy as np
from common import Options, Watch, options, report
from posed import posed

import pinnkit as pk
from pinnkit import precision
from pinnkit.solution import Pointwise
from pinnkit.training import loop


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[list[Any]]:
    """Within it, training keeps its best weights at the moments; yields the loops it made.

    `record` is where the loop looks at its result anyway, every 25 steps; what is kept is what
    `solve` would have returned at that moment. Nothing else of the run changes.
    """
    record, made = loop._Fit.record, []

    def look(fit: Any) -> None:
        record(fit)
        made[:] = [fit]
        watch.look(lambda: np.array(fit.best))

    loop._Fit.record = look
    try:
        yield made
    finally:
        loop._Fit.record = record


def run(o: Options) -> None:
    watch = Watch(o.seconds)
    with watching(watch) as loops:
        solution = pk.solve(posed(o.problem), pk.PINN(), seconds=o.seconds, key=o.key, quiet=True)
    spent = watch.stop()

    def evaluate(weights: Any, points: np.ndarray) -> np.ndarray:
        taken = (
            solution if weights is None else dataclasses.replace(solution, evaluator=at(weights))
        )
        axes = solution.problem.domain.axes
        return np.asarray(taken(**dict(zip(axes, points.T, strict=True)))["u"])

    def at(weights: np.ndarray) -> Pointwise:
        with precision.scope("float64"):
            return Pointwise(loops[0].unpack(weights).function)

    report(
        o,
        watch,
        spent,
        evaluate,
        None,
        package="pinnkit",
        version=version(),
        settings="pk.PINN(), nothing else given",
        steps=int(solution.history["step"][-1]),
    )


def version() -> str:
    """Of pinnkit, or of the source tree, and of JAX."""
    try:
        own = importlib.metadata.version("pinnkit")
    except importlib.metadata.PackageNotFoundError:
        own = "source tree"
    return f"{own}, JAX {importlib.metadata.version('jax')}"


if __name__ == "__main__":
    run(options((__doc__ or "").strip()))
