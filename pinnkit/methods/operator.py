"""Neural operators trained on classical solutions of a family."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import precision
from pinnkit.compile import System
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.elliptic_family import EllipticFamily
from pinnkit.methods.evolution import space_axes
from pinnkit.methods.evolution_family import EvolutionFamily
from pinnkit.methods.faces import not_a_box
from pinnkit.methods.families import Ensemble, Family
from pinnkit.methods.surrogate import GridMap, OperatorField, PointMap
from pinnkit.nn.deeponet import DeepONet
from pinnkit.nn.mgno import MgNO
from pinnkit.solution import Solution, Status
from pinnkit.spec.condition import Kind
from pinnkit.training import Adam, FitResult, Objective, fit

DEFAULT_RESOLUTION = {1: 128, 2: 32, 3: 16}


class Operator(Method):
    """Neural operator: learn the map from the input function to the solution, from data.

    A problem with an `input_function(..., law=...)` is a family. Input functions are drawn from
    the law, a classical method solves for each, and the network is trained on the relative L2
    error; the solution then takes the input function, `solution(a=..., x=..., y=...)`, and uses
    the first test function where none is given. An ordinary problem is made a family around
    itself: a smooth Gaussian field is added to its initial state (time-dependent) or to its source
    (steady), and the solution belongs to the declared one; others are set by
    `solution.evaluator.with_inputs({name: ...})`, with the name of the field or "source".

    Covered are semi-linear evolution that Fourier modes with ETDRK4 can step, for random initial
    states, and scalar equations -div(a grad u) + r(u) = 0 with Dirichlet values on boxes.

    - `architecture`: `DeepONet(...)` or `MgNO(...)`.
    - `samples`: training solutions; a fifth as many are added for validation and test together.
    - `resolution`: intervals of the grid along each space axis; None for 128, 32 or 16 in one,
      two or three dimensions. `frames`: stored intervals in time.
    - `steps`, `batch`, `learning_rate`: of Adam, the rate falling to a hundredth of its start.
    - `spread`: size of the perturbations of an ordinary problem, relative to what it declares.

    Data are computed in double precision, kept in memory only and belong to the key. The error
    estimate is the mean relative L2 error over test functions that training never saw,
    measured against the same classical method. Networks are trained in single precision, which is
    far below their error.

    Raises OptionError for options out of range.
    """

    architecture: DeepONet | MgNO = eqx.field(default=DeepONet(), static=True)
    samples: int = eqx.field(default=2000, static=True)
    resolution: int | None = eqx.field(default=None, static=True)
    frames: int = eqx.field(default=32, static=True)
    steps: int = eqx.field(default=3000, static=True)
    batch: int = eqx.field(default=32, static=True)
    learning_rate: float = eqx.field(default=1e-3, static=True)
    spread: float = eqx.field(default=0.1, static=True)

    def __check_init__(self) -> None:
        least = {"samples": 10, "frames": 8, "steps": 1, "batch": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise OptionError(
                    f"Operator({name}={getattr(self, name)}) is too small. Give at least {value}."
                )
        if self.resolution is not None and self.resolution < 8:
            raise OptionError(
                f"Operator(resolution={self.resolution}) is too coarse. Give at least 8."
            )
        if not (self.learning_rate > 0 and self.spread > 0):
            raise OptionError(
                "Operator: learning_rate and spread must be positive. Give numbers above zero."
            )

    def supports(self, system: System) -> str | None:
        try:
            self.family(system)
        except MethodError as error:
            return str(error).rstrip(".")
        return None

    def family(self, system: System) -> Family:
        """The family that is learned. Raises MethodError with the reason if there is none."""
        reason = _refusal(system)
        if reason is not None:
            raise MethodError(reason)
        resolution = self.resolution or DEFAULT_RESOLUTION[len(space_axes(system))]
        with precision.scope("float64"):
            if system.traits.steady:
                return EllipticFamily(system, resolution, self.spread)
            return EvolutionFamily(system, resolution, self.frames, self.spread)

    def run(self, system: System, run: Run) -> Solution:
        data_key, network_key, training_key = jax.random.split(run.key, 3)
        family = self.family(system)
        held = max(self.samples // 10, 5)
        seed = int(jax.random.randint(data_key, (), 0, 2**31 - 1))
        run.report(Progress("data", 0, self.samples + 2 * held, {}, run.elapsed))
        with precision.scope("float64"):
            data = family.solve(self.samples + 2 * held, seed)
        data_s = run.elapsed
        run.report(Progress("data", len(data.inputs), len(data.inputs), {}, run.elapsed))
        train, validation, test = _split(data, held)
        field = self._untrained(family, train, data.declared, test, network_key)
        objective = RelativeError(field, train, validation, system.fields, self.batch)
        result = self._fit(objective, field.map, training_key, system, run)
        field = eqx.tree_at(lambda f: f.map, field, result.params)
        errors = np.asarray(jnp.mean(_errors(field, *_single(test)), axis=0))
        return self._solution(system, run, field, result, errors, data_s)

    def _untrained(
        self,
        family: Family,
        train: Ensemble,
        declared: np.ndarray | None,
        test: Ensemble,
        key: jax.Array,
    ) -> OperatorField:
        """The evaluator with random weights, normalised by the training set."""
        mean = train.outputs.mean(axis=0)
        centred = train.outputs - mean
        scale = np.maximum(centred.std(axis=(0, *range(2, centred.ndim))), 1e-30)
        shape = tuple(axis.n for axis in family.sensors)
        outputs = mean.shape[0]
        mapping: GridMap | PointMap
        if isinstance(self.architecture, DeepONet):
            over = scale.reshape(-1, *(1 for _ in family.grid))
            snapshots = np.moveaxis(centred / over, 1, -1)
            nodes = tuple(axis.nodes for axis in family.grid)
            network = self.architecture.build(1, shape, nodes, snapshots, key=key)
            mapping = PointMap(network, family.grid)
        else:
            frames = int(np.prod(mean.shape[1:])) // int(np.prod(shape))
            walls = ("dirichlet",) * len(shape)
            network = self.architecture.build(1, outputs * frames, shape, walls, key=key)
            mapping = GridMap(network, family.grid, family.sensors)
        mapping = jax.tree.map(lambda a: a.astype(jnp.float32), mapping)
        inside = tuple(w and not mapping.fulfils_walls for w in family.walls)
        return OperatorField(
            mapping,
            jnp.asarray(test.inputs[0] if declared is None else declared),
            jnp.asarray([train.inputs.mean(), train.inputs.std()]),
            jnp.asarray(mean),
            jnp.asarray(scale),
            family.inputs.name,
            family.grid,
            family.sensors,
            inside,
        )

    def _fit(
        self,
        objective: RelativeError,
        mapping: GridMap | PointMap,
        key: jax.Array,
        system: System,
        run: Run,
    ) -> FitResult:
        adam = Adam(self.steps, self.learning_rate, decay=0.01, decay_steps=self.steps, clip=1.0)
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return fit(
            objective,
            mapping,
            (adam,),
            key=key,
            seconds=None if run.seconds is None else max(run.remaining, 1e-3),
            report=lambda stage, step, of, losses, _: run.report(
                Progress(stage, step, of, _readable(losses), run.elapsed)
            ),
            interrupted=run.interrupted,
            checkpoint=run.checkpoint,
            fingerprint=f"{system.digest} {options!r}",
            record_every=max(25, self.steps // 50),
        )

    def _solution(
        self,
        system: System,
        run: Run,
        field: OperatorField,
        result: FitResult,
        errors: np.ndarray,
        data_s: float,
    ) -> Solution:
        stats = {
            "wall_s": run.elapsed,
            "data_s": data_s,
            "training_s": result.stats["wall_s"],
            "compile_s": result.stats["compile_s"],
            "parameters": sum(a.size for a in jax.tree.leaves(eqx.filter(field.map, eqx.is_array))),
            "validation relative L2": result.score,
            "input function": field.name,
            "resolution": " x ".join(str(axis.n) for axis in field.grid),
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
            history=_readable(result.history),
            stats=stats,
            error_estimate=dict(zip(system.fields, errors.tolist(), strict=True)),
        )


def _readable(losses: Mapping[str, Any]) -> dict[str, Any]:
    """Root mean squares of the named parts; the loss itself is a mean of norms already."""
    plain = ("step", "wall_s", "stage", "loss", "validation")
    return {k: v if k in plain else v**0.5 for k, v in losses.items()}


def _refusal(system: System) -> str | None:
    if system.traits.eigen:
        return "it has an unknown eigenvalue"
    if any(r.kind in (Kind.OBSERVED, Kind.INTEGRAL) for r in system.residuals):
        return "it has observed values or integral conditions"
    if not space_axes(system):
        return "it has no space axis, and input functions are functions of space"
    if len(system.inputs) > 1:
        return f"it has several input functions ({', '.join(system.inputs)}) instead of one"
    return not_a_box(system)


def _split(data: Ensemble, held: int) -> tuple[Ensemble, Ensemble, Ensemble]:
    """Training, validation and test sets."""
    count = len(data.inputs)
    places = (slice(0, count - 2 * held), slice(count - 2 * held, -held), slice(-held, None))
    return tuple(Ensemble(data.inputs[p], data.outputs[p], None) for p in places)  # type: ignore[return-value]


def _single(data: Ensemble) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(data.inputs, jnp.float32), jnp.asarray(data.outputs, jnp.float32)


@eqx.filter_jit
def _errors(field: OperatorField, inputs: jax.Array, outputs: jax.Array) -> jax.Array:
    """Relative L2 errors (S, c) over the grid; a field that is zero counts its absolute error."""
    found = jax.vmap(field.on_grid)(inputs)
    over = tuple(range(2, outputs.ndim))
    size = jnp.sum(outputs**2, axis=over)
    return jnp.sqrt(jnp.sum((found - outputs) ** 2, axis=over) / jnp.where(size > 0, size, 1.0))


class RelativeError(Objective):
    """Mean relative L2 error of an operator over random batches of an ensemble."""

    field: OperatorField
    inputs: jax.Array
    outputs: jax.Array
    held: tuple[jax.Array, jax.Array]
    names: tuple[str, ...] = eqx.field(static=True)
    batch: int = eqx.field(static=True)

    def __init__(
        self,
        field: OperatorField,
        train: Ensemble,
        validation: Ensemble,
        names: tuple[str, ...],
        batch: int,
    ) -> None:
        single = lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a  # noqa: E731
        self.field = jax.tree.map(single, field)
        self.inputs, self.outputs = _single(train)
        self.held = _single(validation)
        self.names, self.batch = names, batch

    def sample(
        self, key: jax.Array, params: Any, step: jax.Array, previous: Any | None = None
    ) -> Any:
        del params, step, previous
        chosen = jax.random.randint(key, (self.batch,), 0, len(self.inputs))
        return self.inputs[chosen], self.outputs[chosen]

    def validation(self, key: jax.Array, params: Any) -> Any:
        del key, params
        return self.held

    def loss(self, params: Any, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        field = eqx.tree_at(lambda f: f.map, self.field, params)
        errors = _errors(field, *batch)
        squares = jnp.mean(errors**2, axis=0)
        return jnp.mean(errors), {n: squares[i] for i, n in enumerate(self.names)}
