"""Several fits in sequence, each from the parameters of the one before, with one checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from pinnkit.methods.base import Progress, Run
from pinnkit.methods.neural_operator.method import readable
from pinnkit.training import FitResult, Objective, Stage, fit
from pinnkit.training.checkpoint import Kept, kept


@dataclasses.dataclass(frozen=True)
class Phase:
    """An objective and the stages that minimise it; `cost` is the price of a step in the budget."""

    objective: Objective
    stages: tuple[Stage, ...]
    cost: float = 1.0

    @property
    def work(self) -> float:
        """Share of the budget, up to a factor."""
        return self.cost * sum(stage.steps for stage in self.stages)


def fit_phases(
    phases: Sequence[Phase], params: Any, *, key: jax.Array, run: Run, fingerprint: str
) -> FitResult:
    """The result of the last phase, with the history of all.

    A run continued from its checkpoint equals an uninterrupted one: the checkpoint is that of the
    phase in which it was written, and keeps the parameters with which this began. Phases share
    the budget by their `work`. Raises `RunFileError` as `fit` does.
    """
    begin, histories = 0, []
    if run.checkpoint is not None and run.checkpoint.exists():
        found = kept(run.checkpoint)
        if found is not None:
            begin, histories = int(found.notes["phase"]), list(found.notes["histories"])
            _, unpack = ravel_pytree(eqx.filter(params, eqx.is_inexact_array))
            numbers = unpack(jnp.asarray(found.arrays["params"]))
            params = eqx.combine(numbers, params)
    result = None
    for k in range(begin, len(phases)):
        phase = phases[k]
        left = sum(p.work for p in phases[k:])
        start = np.asarray(ravel_pytree(eqx.filter(params, eqx.is_inexact_array))[0])
        result = fit(
            phase.objective,
            params,
            phase.stages,
            key=jax.random.fold_in(key, k),
            seconds=None if run.seconds is None else max(run.remaining * phase.work / left, 1e-3),
            report=lambda stage, step, of, losses, _: run.report(
                Progress(stage, step, of, readable(losses), run.elapsed)
            ),
            interrupted=run.interrupted,
            checkpoint=run.checkpoint,
            fingerprint=f"{fingerprint} phase {k}",
            record_every=max(25, sum(stage.steps for stage in phase.stages) // 25),
            resume=k == begin,
            kept=Kept({"phase": k, "histories": histories}, {"params": start}),
        )
        params = result.params
        histories = [*histories, {n: column.tolist() for n, column in result.history.items()}]
        if result.status.startswith("interrupted"):
            break
    assert result is not None
    return dataclasses.replace(result, history=_joined(histories))


def _joined(histories: Sequence[dict[str, list[float]]]) -> dict[str, np.ndarray]:
    """One history; steps and seconds go on counting, stages too."""
    names = list(dict.fromkeys(name for history in histories for name in history))
    columns: dict[str, list[float]] = {name: [] for name in names}
    for history in histories:
        count = len(history["step"])
        for name in names:
            last = max(columns[name], default=0.0) if name in ("step", "wall_s") else 0.0
            stage = max(columns[name], default=-1.0) + 1 if name == "stage" else 0.0
            column = history.get(name, [float("nan")] * count)
            columns[name] += [value + last + stage for value in column]
    return {name: np.array(column) for name, column in columns.items()}
