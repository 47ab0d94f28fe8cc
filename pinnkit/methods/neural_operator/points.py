"""Neural operators between functions at scattered points or the nodes of a mesh."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import devices
from pinnkit.compile import System
from pinnkit.data import Scattered
from pinnkit.data.checks import marks
from pinnkit.errors import OptionError
from pinnkit.methods.base import Method, Run
from pinnkit.methods.evolution import space_axes
from pinnkit.methods.neural_operator.method import fitted, readable
from pinnkit.methods.neural_operator.point_field import CloudMap, PointField, errors_on
from pinnkit.methods.triangles import Triangles
from pinnkit.nn.initial import single
from pinnkit.nn.points import LatentGrid
from pinnkit.solution import Solution, Status
from pinnkit.training import Adam, FitResult, Objective, OneCycle, Stage


class PointOperator(Method):
    """Learn the map from the input function to the solution at scattered points of the plane.

    For steady families on any domain, from samples at the same points: the network works on
    integrals over the points, so that it takes other points of the domain as well
    (`solution.evaluator.predict(inputs, points)`). Between the points the solution is linear.

    - `data`: `Scattered` samples, of which the last sixth is set aside for validation and test.
    - `network`: `LatentGrid(...)`, which goes through a grid, `KernelOperator(...)`,
      `Transformer(...)` or `MessagePassing(...)`.
    - `steps`, `batch`, `learning_rate`: of Adam, the rate rising in the first fifth and falling to
      zero; `stages`: other optimisers instead.

    A value that a field has at all boundary nodes of all samples is kept exactly. The error
    estimate is the mean relative L2 error, weighted by the areas around the points, over test
    samples that training never saw.

    Raises OptionError for options out of range.
    """

    data: Scattered = eqx.field(static=True)
    network: Any = eqx.field(default=LatentGrid(), static=True)
    steps: int = eqx.field(default=1500, static=True)
    batch: int = eqx.field(default=16, static=True)
    learning_rate: float = eqx.field(default=2e-3, static=True)
    stages: tuple[Stage, ...] | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or not self.learning_rate > 0:
            raise OptionError(
                f"PointOperator(steps={self.steps}, batch={self.batch}, "
                f"learning_rate={self.learning_rate}): give positive numbers."
            )
        if len(self.data) < 10:
            raise OptionError(
                f"PointOperator(data=...) has {len(self.data)} samples. Give at least 10."
            )
        if not hasattr(self.network, "on_points"):
            raise OptionError(
                f"PointOperator: {type(self.network).__name__} does not work on scattered points. "
                "Give LatentGrid(...), KernelOperator(...), Transformer(...) or "
                "MessagePassing(...)."
            )

    def supports(self, system: System) -> str | None:
        if system.time is not None or len(space_axes(system)) != 2:
            return "it is not a steady problem in the plane (MeshEmulator learns evolution)"
        wanted, given = (system.inputs, system.fields), ((self.data.function,), self.data.fields)
        if wanted != given:
            return (
                f"it maps {', '.join(system.inputs) or 'nothing'} to {', '.join(system.fields)}, "
                f"the data {given[0][0]} to {', '.join(given[1])}"
            )
        return None

    def run(self, system: System, run: Run) -> Solution:
        network_key, training_key = jax.random.split(run.key)
        held = max(len(self.data) // 12, 3)
        train, validation, test = self.data.split(len(self.data) - 2 * held, held, held)
        build = eqx.filter_jit(lambda k: self._built(train, k))
        network = single(build(network_key))
        mapping = CloudMap.of(network, train)
        objective = PointErrors.of(mapping, train, validation, self.batch, training_key)
        result = self._fit(objective, network, training_key, system, run)
        mapping = dataclasses.replace(mapping, network=result.params)
        errors = errors_on(mapping, test).mean(axis=0)
        field = PointField(
            mapping,
            jnp.asarray(test.inputs[0]),
            jnp.asarray(train.points),
            Triangles.of(train.graph),
            train.function,
        )
        return self._solution(system, run, field, result, errors, marks(train))

    def _built(self, train: Scattered, key: jax.Array) -> Any:
        return self.network.on_points(1, len(train.fields), train.graph, key=key)

    def _fit(
        self, objective: PointErrors, network: Any, key: jax.Array, system: System, run: Run
    ) -> FitResult:
        rate = OneCycle(self.learning_rate, self.steps)
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        options["data"] = repr(self.data), float(np.sum(self.data.outputs))
        stages = self.stages or (Adam(self.steps, rate, clip=1.0),)
        return fitted(
            objective, network, stages, key, run, f"{system.digest} {options!r}", self.steps
        )

    def _solution(
        self,
        system: System,
        run: Run,
        field: PointField,
        result: FitResult,
        errors: np.ndarray,
        seen: list[str],
    ) -> Solution:
        leaves = jax.tree.leaves(eqx.filter(field.map.network, eqx.is_inexact_array))
        stats = {
            "wall_s": run.elapsed,
            "training_s": result.stats["wall_s"],
            "compile_s": result.stats["compile_s"],
            "parameters": sum(leaf.size for leaf in leaves),
            "validation error": result.score,
            "input function": field.name,
            "points": len(field.points),
        }
        return Solution(
            system.problem,
            field,
            self.name,
            Status(
                bool(np.isfinite(errors).all()),
                f"{result.status}; mean relative L2 error {errors.max():.1e} on test functions",
                interrupted=result.status.startswith("interrupted"),
            ),
            history=readable(result.history),
            stats=stats,
            error_estimate=dict(zip(system.fields, errors.tolist(), strict=True)),
            provenance={"training inputs": seen},
        )


class PointErrors(Objective):
    """Mean relative L2 error over batches; every sample is taken once in each pass over the set."""

    map: CloudMap
    train: tuple[jax.Array, jax.Array]
    held: tuple[jax.Array, jax.Array]
    order: jax.Array
    names: tuple[str, ...] = eqx.field(static=True)
    batch: int = eqx.field(static=True)

    @classmethod
    def of(
        cls, mapping: CloudMap, train: Scattered, held: Scattered, batch: int, order: jax.Array
    ) -> PointErrors:
        """All samples in single precision."""
        sets = [[jnp.asarray(a, jnp.float32) for a in part.arrays()] for part in (train, held)]
        (a, u), (b, v) = sets
        return cls(mapping, (a, u), (b, v), order, train.fields, min(batch, len(train)))

    def sample(
        self, key: jax.Array, params: Any, step: jax.Array, previous: Any | None = None
    ) -> Any:
        del key, params, previous
        count = len(self.train[0])
        turn, place = step // (count // self.batch), step % (count // self.batch)
        rows = jax.random.permutation(jax.random.fold_in(self.order, turn), count)
        chosen = jax.lax.dynamic_slice(rows, (place * self.batch,), (self.batch,))
        return devices.shared(tuple(a[chosen] for a in self.train))

    def validation(self, key: jax.Array, params: Any) -> Any:
        del key, params
        return self.held

    def loss(self, params: Any, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        mapping = dataclasses.replace(self.map, network=params)
        errors = jax.vmap(mapping.errors)(*batch)
        squares = jnp.mean(errors**2, axis=0)
        return jnp.mean(errors), {n: squares[i] for i, n in enumerate(self.names)}
