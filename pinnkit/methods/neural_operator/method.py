"""Neural operators trained on classical solutions of a family."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import precision
from pinnkit.compile import System
from pinnkit.data import Dataset, marks
from pinnkit.derivatives import FourierAxis, OpenAxis
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.constraint import ConstraintLayer, HardConstraint, SoftConstraint
from pinnkit.methods.families import Family
from pinnkit.methods.family_of import family_of, refusal
from pinnkit.methods.generation import generate
from pinnkit.methods.grid_residuals import GridResiduals, other_axes
from pinnkit.methods.neural_operator.field import OperatorField
from pinnkit.methods.neural_operator.losses import Loss, RelativeL2
from pinnkit.methods.neural_operator.maps import GridMap, PointMap, SpaceTimeMap
from pinnkit.methods.neural_operator.objective import OperatorError, errors_of, in_memory
from pinnkit.methods.neural_operator.physics import Physics
from pinnkit.methods.neural_operator.physics import declared as known_before
from pinnkit.methods.neural_operator.statistics import Statistics, statistics
from pinnkit.methods.neural_operator.symmetry import Images, symmetries
from pinnkit.nn.deeponet import DeepONet
from pinnkit.nn.initial import built
from pinnkit.solution import Solution, Status
from pinnkit.training import Adam, FitResult, Objective, OneCycle, Stage, fit


class Operator(Method):
    """Neural operator: learn the map from the input function to the solution, from data.

    A problem with an `input_function(..., law=...)` is a family. Input functions are drawn from
    the law, a classical method solves for each, and the network is trained on the relative L2
    error; the solution then takes the input function, `solution(a=..., x=..., y=...)`, and uses
    the first test function where none is given. An ordinary problem is made a family around
    itself: a smooth Gaussian field is added to its initial state (time-dependent) or to its source
    (steady), and the solution belongs to the declared one; others are set by
    `solution.evaluator.with_inputs({name: ...})`, with the name of the field or "source".

    - `architecture`: `DeepONet(...)`, or one on grids: `FNO(...)`, `MgNO(...)`.
    - `data`: a `Dataset` (`pk.dataset`, `pk.read_dataset`) instead of one drawn for the run.
    - `samples`: training solutions; a fifth as many are added for validation and test together.
      Of given data the last sixth is set aside in the same way.
    - `resolution`: intervals of the grid along each space axis; None for 128, 32 or 16 in one,
      two or three dimensions. `frames`: stored intervals in time; with fewer than 8 the solution
      has values at the stored instants only.
    - `steps`, `batch`, `learning_rate`, `weight_decay`: of Adam, the rate rising in the first
      fifth to `learning_rate` and falling to zero (`OneCycle`). `stages`: other optimisers
      instead.
    - `loss`: `RelativeL2()` or `RelativeH1()`.
    - `physics`: `Physics(weight, data, refine)` adds the residuals of the equations to the loss;
      with `data=0` no solutions are needed but those of the test set.
    - `constraint`: `HardConstraint(...)` makes the network's outputs a basis on the whole grid,
      instants included, of which a layer finds the combination that satisfies the equations for
      every input function (docs/hard_constraints.md). `SoftConstraint()` is the same network
      without the layer. Training is then in the run's precision.
    - `symmetric`: enlarge the training set by the mirror images, exchanges of axes and changes of
      sign that turn the declaration into itself (`symmetry.py`).
    - `spread`: size of the perturbations of an ordinary problem, relative to what it declares.

    Data are computed in double precision and belong to the key. The error estimate is the mean
    relative L2 error over test functions that training never saw, measured against the same
    classical method. Networks are trained in single precision, which is far below their error.

    Raises OptionError for options out of range.
    """

    architecture: Any = eqx.field(default=DeepONet(), static=True)
    data: Dataset | None = eqx.field(default=None, static=True)
    samples: int = eqx.field(default=2000, static=True)
    resolution: int | None = eqx.field(default=None, static=True)
    frames: int = eqx.field(default=32, static=True)
    steps: int = eqx.field(default=3000, static=True)
    batch: int = eqx.field(default=32, static=True)
    learning_rate: float = eqx.field(default=1e-3, static=True)
    weight_decay: float = eqx.field(default=0.0, static=True)
    stages: tuple[Stage, ...] | None = eqx.field(default=None, static=True)
    loss: Loss = eqx.field(default=RelativeL2(), static=True)
    physics: Physics | None = eqx.field(default=None, static=True)
    constraint: HardConstraint | SoftConstraint | None = eqx.field(default=None, static=True)
    symmetric: bool = eqx.field(default=True, static=True)
    spread: float = eqx.field(default=0.1, static=True)

    def __check_init__(self) -> None:
        least = {"samples": 10, "frames": 1, "steps": 1, "batch": 1}
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
        if self.constraint is not None and isinstance(self.architecture, DeepONet):
            raise OptionError(
                "Operator(constraint=...) needs a network on grids. Give an FNO, MgNO or UNO."
            )
        if self.data is not None and len(self.data) < 10:
            raise OptionError(f"Operator(data=...) has {len(self.data)} samples. Give at least 10.")

    def supports(self, system: System) -> str | None:
        try:
            if self.data is None:
                self.family(system)
            else:
                check_data(system, self.data)
        except (MethodError, OptionError) as error:
            return str(error).rstrip(".")
        return None

    def family(self, system: System) -> Family:
        """The family that is learned. Raises MethodError with the reason if there is none."""
        return family_of(system, self.resolution, self.frames, self.spread)

    def run(self, system: System, run: Run) -> Solution:
        data_key, network_key, training_key = jax.random.split(run.key, 3)
        sets, declared = self._data(system, run, data_key)
        train, validation, test = sets
        data_s = run.elapsed
        if self._unseen:
            facts = known_before(system, np.asarray(train.inputs[:]), train.grid, train.sensors)
        else:
            facts = statistics(train, system.time)
        plain = self.physics is None and self.constraint is None
        dtype = "float32" if plain else run.precision
        field = self._untrained(system, train, facts, declared, test, network_key, dtype)
        objective = OperatorError(
            field,
            train,
            validation,
            self.batch,
            self.loss,
            jax.random.fold_in(training_key, 1),
            None if self.physics is None else (self.physics, system),
            self._images(system, train, facts),
        )
        result = self._fit(objective, field.map, training_key, system, run)
        field = eqx.tree_at(lambda f: f.map, field, result.params)
        errors, squares = (np.asarray(e) for e in _errors(field, *in_memory(test, dtype)))
        solution = self._solution(system, run, field, result, errors, squares, data_s)
        seams = _seams(field, test, dtype)
        return dataclasses.replace(
            solution,
            stats={**solution.stats, **seams},
            provenance={"training inputs": marks(train)},
        )

    def _images(self, system: System, train: Dataset, facts: Statistics) -> Images | None:
        if not self.symmetric:
            return None
        found = symmetries(system, train.sensors, facts.signed)
        return Images(found, train.sensors, train.grid) if found else None

    @property
    def _unseen(self) -> bool:
        """Whether training sees no solution."""
        return self.physics is not None and self.physics.data == 0

    def _data(
        self, system: System, run: Run, key: jax.Array
    ) -> tuple[tuple[Dataset, ...], np.ndarray | None]:
        """Training, validation and test set, and the input function of an ordinary problem."""
        if self.data is not None:
            held = max(len(self.data) // 12, 5)
            return self.data.split(len(self.data) - 2 * held, held, held), None
        family = self.family(system)
        held = max(self.samples // 10, 5)
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        made = {"digest": system.digest, "seed": seed}
        count = 2 * held + (0 if self._unseen else self.samples)
        data, declared = generate(system, family, count, seed, made, run.report, run.interrupted)
        if not self._unseen:
            return data.split(len(data) - 2 * held, held, held), declared
        nodes = [axis.nodes for axis in family.sensors]
        with precision.scope("float64"):
            inputs = family.inputs.draw(nodes, range(count, count + self.samples), seed)
        unknown = np.broadcast_to(np.nan, (len(inputs), *data.outputs.shape[1:]))
        train = dataclasses.replace(
            data, inputs=inputs, outputs=unknown, errors=np.full(len(inputs), np.nan)
        )
        return (train, *data.split(held, held)), declared

    def _untrained(
        self,
        system: System,
        train: Dataset,
        facts: Statistics,
        declared: np.ndarray | None,
        test: Dataset,
        key: jax.Array,
        dtype: str,
    ) -> OperatorField:
        """The evaluator with random weights, normalised by the training set."""
        mapping, ends = self._map(train, facts, key)
        mapping = jax.tree.map(lambda a: a.astype(dtype), mapping)
        function = np.asarray(test.inputs[:1])[0] if declared is None else declared
        return OperatorField(
            mapping,
            jnp.asarray(function),
            jnp.asarray(facts.centre),
            jnp.asarray(facts.mean),
            jnp.asarray(facts.scale),
            train.function,
            train.grid,
            train.sensors,
            ends,
            facts.starts if not mapping.pointwise else (False,) * len(train.fields),
            self._layer(system, train, facts),
        )

    def _layer(self, system: System, train: Dataset, facts: Statistics) -> ConstraintLayer | None:
        if not isinstance(self.constraint, HardConstraint):
            return None
        equations = GridResiduals.of(system, train.grid, train.sensors)
        sizes = np.asarray(facts.scale).reshape(len(train.fields), -1).max(axis=1)
        return ConstraintLayer(equations, self.constraint, tuple(map(float, sizes)))

    def _map(
        self, train: Dataset, facts: Statistics, key: jax.Array
    ) -> tuple[GridMap | PointMap, tuple[tuple[bool, bool], ...]]:
        """The network, and the ends of axes at which it needs help to vanish."""
        shape = tuple(axis.n for axis in train.sensors)
        if isinstance(self.architecture, DeepONet):
            _, outputs = train.arrays()
            snapshots = np.moveaxis((outputs - facts.mean) / facts.scale, 1, -1)
            nodes = tuple(axis.nodes for axis in train.grid)
            wraps = tuple(isinstance(axis, FourierAxis) for axis in train.grid)
            boundary = tuple("periodic" if w else "free" for w in wraps)
            network = self.architecture.build(1, shape, nodes, snapshots, boundary, key=key)
            mapping = PointMap(network)
            # proper modes vanish where all training outputs agree
            vanish = not mapping.pointwise and network.bias is None
            free = ((False, False),) * len(train.grid)
            return mapping, free if vanish else facts.ends
        others = other_axes(train.grid, train.sensors)
        frame = others[0] if others else None
        if self.constraint is not None:
            return self._basis(train, facts, self.constraint, frame, key), facts.ends
        if len(others) > 1:
            raise OptionError(
                f"Operator({type(self.architecture).__name__}) gives values along one axis beside "
                f"those of {train.function}, not along "
                f"{' and '.join(train.grid[i].name for i in others)}. Use a DeepONet."
            )
        ends = list(facts.ends)
        known, frames = (0, 0), 1
        if frame is not None:
            low, high = facts.ends[frame]
            known = int(all(facts.starts) or low), int(high)
            frames = train.grid[frame].n - sum(known)
            ends[frame] = (False, False)
        channels = len(train.fields) * frames
        boundary = train.boundary or boundaries(train, facts)
        network = built(self.architecture, 1, channels, shape, boundary, key=key)
        return GridMap(network, len(train.fields), known), tuple(ends)

    def _basis(
        self,
        train: Dataset,
        facts: Statistics,
        constraint: HardConstraint | SoftConstraint,
        frame: int | None,
        key: jax.Array,
    ) -> SpaceTimeMap:
        """A network of as many functions of every field as the layer combines."""
        boundary = list(train.boundary or boundaries(train, facts))
        if frame is not None:
            boundary.insert(frame, "free")
        shape = tuple(axis.n for axis in train.grid)
        channels = len(train.fields) * constraint.basis
        network = built(self.architecture, 1, channels, shape, tuple(boundary), key=key)
        return SpaceTimeMap(network, len(train.fields), (0, 0))

    def _fit(
        self,
        objective: OperatorError,
        mapping: GridMap | PointMap,
        key: jax.Array,
        system: System,
        run: Run,
    ) -> FitResult:
        rate = OneCycle(self.learning_rate, self.steps)
        stages = self.stages or (Adam(self.steps, rate, clip=1.0, weight_decay=self.weight_decay),)
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        options["data"] = None if self.data is None else dict(self.data.provenance)
        return fitted(
            objective, mapping, stages, key, run, f"{system.digest} {options!r}", self.steps
        )

    def _solution(
        self,
        system: System,
        run: Run,
        field: OperatorField,
        result: FitResult,
        errors: np.ndarray,
        squares: np.ndarray,
        data_s: float,
    ) -> Solution:
        stats = {
            "wall_s": run.elapsed,
            "data_s": data_s,
            "training_s": result.stats["wall_s"],
            "compile_s": result.stats["compile_s"],
            "parameters": sum(a.size for a in jax.tree.leaves(eqx.filter(field.map, eqx.is_array))),
            "validation error": result.score,
            "mean square error": dict(zip(system.fields, squares.tolist(), strict=True)),
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
            history=readable(result.history),
            stats=stats,
            error_estimate=dict(zip(system.fields, errors.tolist(), strict=True)),
        )


def boundaries(data: Dataset, facts: Statistics) -> tuple[str, ...]:
    """How fields go on beyond the ends of the sensors' axes, as far as the data tell."""
    ends = dict(zip((axis.name for axis in data.grid), facts.ends, strict=True))
    found = []
    for axis in data.sensors:
        fixed = ends.get(axis.name, (False, False))
        if isinstance(axis, FourierAxis):
            found.append("periodic")
        elif isinstance(axis, OpenAxis):
            found.append("open")
        else:
            found.append("dirichlet" if all(fixed) else "free")
    return tuple(found)


def check_data(system: System, data: Dataset) -> None:
    """OptionError unless the data are of this problem's functions, fields and axes."""
    reason = refusal(system)
    if reason is not None:
        raise MethodError(reason)
    wanted = (system.inputs, system.fields, system.axes)
    given = ((data.function,), data.fields, tuple(axis.name for axis in data.grid))
    if wanted != given:
        raise OptionError(
            f"the data map {data.function} to {', '.join(data.fields)} over "
            f"{', '.join(given[2])}, the problem {', '.join(system.inputs) or 'nothing'} to "
            f"{', '.join(system.fields)} over {', '.join(system.axes)}"
        )


def fitted(
    objective: Objective,
    network: Any,
    stages: tuple[Stage, ...],
    key: jax.Array,
    run: Run,
    fingerprint: str,
    steps: int,
) -> FitResult:
    """The network after training within the run's budget, with some fifty records in `steps`."""
    return fit(
        objective,
        network,
        stages,
        key=key,
        seconds=None if run.seconds is None else max(run.remaining, 1e-3),
        report=lambda stage, step, of, losses, _: run.report(
            Progress(stage, step, of, readable(losses), run.elapsed)
        ),
        interrupted=run.interrupted,
        checkpoint=run.checkpoint,
        fingerprint=fingerprint,
        record_every=max(25, steps // 50),
    )


def readable(losses: Mapping[str, Any]) -> dict[str, Any]:
    """Root mean squares of the named parts; the loss itself is a mean of norms already."""
    plain = ("step", "wall_s", "stage", "loss", "validation")
    return {k: v if k in plain else v**0.5 for k, v in losses.items()}


def _seams(field: OperatorField, test: Dataset, dtype: str) -> dict[str, float]:
    """The mean jump between the experts of a layer over the test set, if there are several."""
    if field.layer is None or math.prod(field.layer.parts) == 1:
        return {}
    return {"seam jump": float(jnp.mean(_jumps(field, in_memory(test, dtype)[0])))}


@eqx.filter_jit
def _jumps(field: OperatorField, inputs: jax.Array) -> jax.Array:
    return jax.vmap(field.jump)(inputs)


@eqx.filter_jit
def _errors(
    field: OperatorField, inputs: jax.Array, outputs: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Relative L2 errors and mean squares of the errors (c,), means over the samples."""
    found = jax.vmap(field.on_grid)(inputs)
    wrong = field.predicted(found, 2) - field.predicted(outputs, 2)
    over = (0, *range(2, wrong.ndim))
    relative = jnp.mean(errors_of(field, inputs, outputs, RelativeL2()), axis=0)
    return relative, jnp.mean(wrong**2, axis=over)
