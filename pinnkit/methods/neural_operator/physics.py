"""The equations themselves as a loss: compiled residuals of an operator's fields on a grid."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.ansatz.functionals import Functional, functional, is_face_condition
from pinnkit.ansatz.lift import lift
from pinnkit.compile import System
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import Residual
from pinnkit.derivatives import GridProvider
from pinnkit.errors import OptionError
from pinnkit.methods.faces import face_normals, faces, with_normals
from pinnkit.methods.neural_operator.maps import Grid, frame_axis
from pinnkit.methods.neural_operator.statistics import Statistics
from pinnkit.objective.scaling import residual_scale
from pinnkit.spec.condition import Kind
from pinnkit.spec.symbols import function_name


@dataclasses.dataclass(frozen=True)
class Physics:
    """Weights of an operator's loss, weight * residuals + data * relative error.

    Each residual counts by the root mean square, over the nodes of the grid, of its dimensionless
    value: equations everywhere, conditions on their faces. Derivatives are those of the grid,
    spectral along periodic axes and differences of fourth order along others (sixth in time),
    on a grid in space `refine` times finer than that of the data, which needs a network that
    means the same on all grids. With `data` = 0 no solution is used in training, but for the
    test set.

    Physics-informed neural operators (Li et al., arXiv:2111.03794) and DeepONets (Wang, Wang &
    Perdikaris, arXiv:2103.10974), from one declaration.

    Raises OptionError for weights that are negative or a refinement below 1.
    """

    weight: float = 1.0
    data: float = 1.0
    refine: int = 1

    def __post_init__(self) -> None:
        if not (self.weight > 0 and self.data >= 0 and self.refine >= 1):
            raise OptionError(
                f"Physics(weight={self.weight!r}, data={self.data!r}, refine={self.refine!r}): "
                "weight must be positive, data not negative, refine at least 1. Change them."
            )


class GridResiduals(eqx.Module):
    """Dimensionless residuals of fields (c, *grid) that belong to a function (*sensors)."""

    system: System = eqx.field(static=True)
    grid: Grid = eqx.field(static=True)
    sensors: Grid = eqx.field(static=True)
    scales: tuple[float, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, system: System, grid: Grid, sensors: Grid) -> GridResiduals:
        """All residuals of a system on a grid."""
        rng = np.random.default_rng(0)
        low, high = np.array([system.domain.bounds[a] for a in system.axes]).T
        points = rng.uniform(low, high, (2000, len(low)))
        scales = []
        for residual in system.residuals:
            plan = (*residual.plan.terms, *residual.input_plan.terms)
            scales.append(_scale(system, residual, points) if plan else 1.0)
        return cls(system, grid, sensors, tuple(scales))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the residuals."""
        return tuple(r.name for r in self.system.residuals)

    def __call__(self, function: jax.Array, fields: jax.Array) -> dict[str, jax.Array]:
        """Values by name, each (nodes where the residual holds,)."""
        system, provider = self.system, GridProvider(self.grid)
        known = dict(zip(system.fields, fields, strict=True))
        for name in system.inputs:
            known[name] = self.everywhere(function)
        values = provider.terms(known, system.plan)
        for residual in system.residuals:
            values |= provider.terms(known, residual.input_plan)
        z = provider.coordinates()
        found = {}
        for residual, scale in zip(system.residuals, self.scales, strict=True):
            if residual.kind is Kind.EQUATION:
                value = residual.fn(values, z, system.parameters)
                found[residual.name] = jnp.ravel(jnp.broadcast_to(value, provider.shape)) / scale
                continue
            parts = [
                self._on_face(residual, values, z, axis, end)
                for _, axis, end in faces(system, residual)
            ]
            found[residual.name] = jnp.concatenate(parts) / scale
        return found

    def everywhere(self, function: jax.Array) -> jax.Array:
        """The input function at all nodes of the grid."""
        frame = frame_axis(self.grid, self.sensors)
        whole = function if frame is None else jnp.expand_dims(function, frame)
        return jnp.broadcast_to(whole, tuple(axis.n for axis in self.grid))

    def _on_face(self, residual: Residual, values, z, axis: str, end: int) -> jax.Array:
        i = self.system.axes.index(axis)
        cut = lambda a: jnp.take(jnp.asarray(a), -end, axis=i)  # noqa: E731
        places = {name: cut(x) for name, x in z.items()}
        if axis != self.system.time:
            places = with_normals(places, face_normals(self.system, axis, end))
        terms = {t: cut(v) for t, v in values.items()}
        value = residual.fn(terms, places, self.system.parameters)
        return jnp.ravel(jnp.broadcast_to(value, next(iter(places.values())).shape))


def _scale(system: System, residual: Residual, points: np.ndarray) -> float:
    """Typical size of a residual, input functions counting as one."""
    inputs = {t: np.ones(len(points)) for t in residual.input_plan.terms if t.order == 0}
    inputs |= {t: np.zeros(len(points)) for t in residual.input_plan.terms if t.order}
    fn = residual.fn
    filled = dataclasses.replace(residual, fn=lambda v, z, p: fn({**v, **inputs}, z, p))
    normals = np.ones((len(points), len(system.domain.space_axes)))
    return residual_scale(system, filled, points, normals)


def declared(system: System, inputs: np.ndarray, grid: Grid, sensors: Grid) -> Statistics:
    """What the declaration alone says of the solutions: for training without any.

    Values known in advance on whole faces are lifted into the mean, scales are the problem's,
    and where an initial state is the input function itself the first frame is.
    """
    hard = known_values(system)
    provider = GridProvider(grid)
    mean = np.zeros((len(system.fields), *provider.shape))
    scales = {function_name(u): float(s) for u, s in system.problem.scales.items()}
    for i, field in enumerate(system.fields):
        own = [f for f in hard if f.field == field]
        if own:
            expression = Emitted(lift(own, system.domain.bounds), "lift")
            value = expression({}, provider.coordinates(), system.parameters)
            mean[i] = np.broadcast_to(np.asarray(value), provider.shape)
    fixed = {(axis, side): set[str]() for axis in system.axes for side in (0, 1)}
    for f in hard:
        fixed[f.axis, f.side].add(f.field)
    every = set(system.fields)
    ends = tuple((fixed[a, 0] == every, fixed[a, 1] == every) for a in system.axes)
    scale = np.array([scales.get(name, 1.0) for name in system.fields])
    return Statistics(
        np.array([inputs.mean(), inputs.std()]),
        mean,
        scale.reshape(-1, *(1 for _ in grid)),
        ends,
        tuple(_begins(system, name, sensors, grid) for name in system.fields),
    )


def known_values(system: System) -> list[Functional]:
    """Conditions that give all fields' values on whole faces, in advance."""
    found = []
    for residual in system.conditions:
        if not is_face_condition(residual):
            continue
        for name in residual.regions:
            for part in system.domain.region(name).parts:
                result = functional(system, residual, part.name) if len(part.fixed) == 1 else ""
                if isinstance(result, Functional) and result.order == 0:
                    found.append(result)
    counts = {(f.axis, f.side): set[str]() for f in found}
    for f in found:
        counts[f.axis, f.side].add(f.field)
    whole = {key for key, fields in counts.items() if fields == set(system.fields)}
    return [f for f in found if (f.axis, f.side) in whole]


def _begins(system: System, field: str, sensors: Grid, grid: Grid) -> bool:
    """Whether a field's initial state is the input function itself."""
    if frame_axis(grid, sensors) is None or not system.inputs:
        return False
    for residual in system.conditions:
        if residual.kind is not Kind.INITIAL or residual.plan.fields != (field,):
            continue
        terms = (*residual.plan.terms, *residual.input_plan.terms)
        if len(terms) == 2 and all(t.order == 0 for t in terms):
            one, two = np.array(1.3), np.array(1.3)
            at = dict.fromkeys(system.axes, np.array(0.3))
            value = residual.fn({terms[0]: one, terms[1]: two}, at, system.parameters)
            return bool(np.abs(np.asarray(value)) < 1e-12)
    return False
