"""Method of lines on tensor grids: Fourier on periodic axes, Chebyshev between walls."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.compile import DerivativePlan, System, Term
from pinnkit.derivatives import (
    Axis,
    ChebyshevAxis,
    FourierAxis,
    GradedAxis,
    GridProvider,
    chebyshev,
)
from pinnkit.errors import MethodError
from pinnkit.methods.evolution import components, initial_values, space_axes, times_order
from pinnkit.methods.faces import NOTHING, FaceRow, Known

State = tuple[Array, ...]
IMPLICIT_SIZE = 700
STIFF = 3e4
EXPLICIT_STEPS, IMPLICIT_STEPS = 1_000_000, 12_000


class Wall:
    """Boundary conditions along one axis for one field, by rectangular collocation.

    A polynomial with n coefficients is fixed by its values at the n - b Chebyshev points of the
    first kind (the state) and by the b conditions R u = g: u = extend @ state + insert @ g at the
    n Lobatto nodes. `restrict` takes rates back to the state's points. This stays stable for
    several conditions at one end, unlike dropping nodes (Driscoll and Hale, IMA J. Numer. Anal.
    36, 2016, 108-132).
    """

    def __init__(self, axis: Axis, rows: tuple[FaceRow, ...]):
        """Raises MethodError for several conditions at one end between nodes' straight lines."""
        self.rows = rows
        table = np.zeros((len(rows), axis.n))
        for i, row in enumerate(rows):
            for order, coefficient in row.coefficients.items():
                table[i] += coefficient * axis.matrix(order)[-row.end]
        count = axis.n - len(rows)
        self.points = _inner(axis, rows) if isinstance(axis, GradedAxis) else _first(axis, count)
        self.restrict = axis.interpolation_matrix(self.points)
        size = np.abs(table).max(axis=1, keepdims=True)
        inverse = np.linalg.inv(np.concatenate([self.restrict, table / size]))
        self.extend, self.insert = inverse[:, :count], inverse[:, count:] / size.T


def _first(axis: Axis, count: int) -> np.ndarray:
    """Chebyshev points of the first kind."""
    angle = np.pi * (2 * np.arange(count) + 1 - count) / (2 * count)
    return 0.5 * (axis.lo + axis.hi) + 0.5 * axis.length * np.sin(angle)


def _inner(axis: Axis, rows: tuple[FaceRow, ...]) -> np.ndarray:
    """Nodes but those at ends with a condition."""
    ends = {row.end for row in rows}
    if len(ends) < len(rows):
        raise MethodError(
            f"it has several conditions at one end of {axis.name}, where its walls contradict its "
            "initial state"
        )
    return axis.nodes[(0 in ends) : axis.n - (1 in ends)]


class Semidiscrete:
    """d state / dt; a state holds one array per component (field, order).

    `between`: kind of the axes between walls, `GradedAxis` where they contradict the initial state.
    """

    def __init__(
        self,
        system: System,
        rows: tuple[FaceRow, ...],
        points: Mapping[str, int],
        between: type[Axis] = ChebyshevAxis,
    ):
        self.system, self.between = system, between
        self.grid = tuple(self._axis(name, points[name]) for name in space_axes(system))
        self.provider = GridProvider(self.grid)
        self.components = components(system)
        self.walls = {
            (field, i): Wall(axis, mine)
            for field in system.fields
            for i, axis in enumerate(self.grid)
            if (mine := tuple(r for r in rows if r.field == field and r.axis == axis.name))
        }
        self.z = {a: jnp.asarray(x) for a, x in self.provider.coordinates().items()}

    def _axis(self, name: str, n: int) -> Axis:
        lo, hi = self.system.domain.bounds[name]
        kind = FourierAxis if name in self.system.traits.periodic else self.between
        return kind(name, lo, hi, n)

    def restrict(self, field: str, values: Array) -> Array:
        """Values at all nodes -> values at the points of the field's state."""
        for i in range(len(self.grid)):
            if (field, i) in self.walls:
                values = chebyshev.apply(jnp.asarray(self.walls[field, i].restrict), values, i)
        return values

    def _coordinates(self, field: str, lifted: int) -> dict[str, np.ndarray]:
        """Coordinates where axes before `lifted` are whole, that one is single, others reduced."""
        places = []
        for i, axis in enumerate(self.grid):
            reduced = i > lifted and (field, i) in self.walls
            places.append(self.walls[field, i].points if reduced else axis.nodes)
        if lifted >= 0:
            places[lifted] = places[lifted][:1]
        grids = np.meshgrid(*places, indexing="ij")
        return {axis.name: x for axis, x in zip(self.grid, grids, strict=True)}

    def initial(self) -> State:
        """Initial values at the points of each state."""
        found = []
        for field, j in self.components:
            z = self._coordinates(field, -1)
            start = self.system.domain.bounds[self.system.time or ""][0]
            shape = next((x.shape for x in z.values()), ())
            z[self.system.time or ""] = np.full(shape, start)
            at = jax.jit(lambda z, field=field, j=j: initial_values(self.system, field, j, z))
            found.append(at(z))
        return tuple(found)

    def full(self, field: str, j: int, state: Array, t: Array, known: Known = NOTHING) -> Array:
        """Values at all nodes from those of the state, by the conditions at time t.

        The conditions on d^j field / dt^j are the j-th time derivatives of the given ones, in
        which `known` input functions of time count as constant.
        """
        values = state
        for i in range(len(self.grid)):
            wall = self.walls.get((field, i))
            if wall is None:
                continue
            z = self._coordinates(field, i)
            data = [
                _derivative(lambda s, row=row, z=z: self._data(row, z, s, known), j, t)
                for row in wall.rows
            ]
            values = chebyshev.apply(jnp.asarray(wall.extend), values, i) + chebyshev.apply(
                jnp.asarray(wall.insert), jnp.concatenate(data, axis=i), i
            )
        return values

    def _data(self, row: FaceRow, z: Mapping[str, np.ndarray], t: Array, known: Known) -> Array:
        like = next(iter(z.values()))
        at = {**z, self.system.time or "": jnp.broadcast_to(t, like.shape)}
        axis = next(a for a in self.grid if a.name == row.axis)
        at[row.axis] = jnp.full(like.shape, (axis.lo, axis.hi)[row.end])
        return row.data(at, known)

    def rate(self, t: Array, state: State, known: Known = NOTHING) -> State:
        """Time derivative of the state, beside input functions at all nodes or one for all."""
        system, rates = self.system, self.system.evolution or ()
        fields = {
            f"{field}@{j}": self.full(field, j, kept, t, known)
            for (field, j), kept in zip(self.components, state, strict=True)
        }
        fields |= {
            f"{name}@0": jnp.broadcast_to(values, self.provider.shape)
            for name, values in known.items()
        }
        wanted = {t: self._spatial(t) for rate in rates for t in rate.plan.terms}
        found = self.provider.terms(fields, DerivativePlan.of(wanted.values()))
        z = {**self.z, system.time or "": jnp.broadcast_to(t, self.provider.shape)}
        index = {c: i for i, c in enumerate(self.components)}
        result = list(state)
        for rate in rates:
            for j in range(rate.order - 1):
                result[index[rate.field, j]] = state[index[rate.field, j + 1]]
            values = {t: found[wanted[t]] for t in rate.plan.terms}
            whole = rate.fn(values, z, system.parameters)
            result[index[rate.field, rate.order - 1]] = self.restrict(rate.field, whole)
        return tuple(result)

    def _spatial(self, term: Term) -> Term:
        names = tuple(axis.name for axis in self.grid)
        orders = tuple(term.along(name) for name in names)
        return Term(f"{term.field}@{times_order(self.system, term)}", orders, names)

    def solve(self, times: np.ndarray, tolerance: float, size: float = 0.0) -> np.ndarray:
        """Fields (m, c, …grid) at `times`; NaN from where the integration failed.

        Errors are relative to the fields' own `size`, to the initial values if these are larger.
        """
        state = self.initial()
        size = sum(a.size for a in state)
        radius = 0.0
        if size <= IMPLICIT_SIZE:
            radius = float(self._spectral_radius(jnp.asarray(times[0]), state))
        implicit = radius * (times[-1] - times[0]) > STIFF
        # At rest nothing tells the size that the fields will have.
        scale = max(size, *(float(jnp.abs(a).max()) for a in state)) or 1.0
        found = self._integrate(state, jnp.asarray(times), tolerance, scale, implicit)
        rows = [i for i, (_, j) in enumerate(self.components) if j == 0]
        return np.asarray(self._fields(jnp.asarray(times), *(found[i] for i in rows)))

    @functools.cached_property
    def _fields(self):
        names = [field for field, j in self.components if j == 0]

        def at(t: Array, *kept: Array) -> Array:
            pairs = zip(names, kept, strict=True)
            return jnp.stack([self.full(name, 0, k, t) for name, k in pairs])

        return jax.jit(jax.vmap(at))

    @functools.cached_property
    def _integrate(self):
        # takes a second to import, which only this needs
        import diffrax

        def run(state: State, times: Array, tolerance, scale, implicit: bool) -> State:
            # Steps end on the snapshots: the solvers' own interpolants are of lower order.
            controller = diffrax.ClipStepSizeController(
                diffrax.PIDController(tolerance, tolerance * scale, pcoeff=0.2, icoeff=0.4),
                step_ts=times,
            )
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, y, args: self.rate(jnp.asarray(t), y)),
                diffrax.Kvaerno5() if implicit else diffrax.Dopri8(),
                times[0],
                times[-1],
                None,
                state,
                saveat=diffrax.SaveAt(ts=times),
                stepsize_controller=controller,
                max_steps=IMPLICIT_STEPS if implicit else EXPLICIT_STEPS,
                throw=False,
                adjoint=diffrax.ForwardMode(),
            )
            failed = solution.result != diffrax.RESULTS.successful
            return jax.tree.map(lambda a: jnp.where(failed, jnp.nan, a), solution.ys)

        return jax.jit(run, static_argnums=4)

    def _spectral_radius(self, t: Array, state: State, count: int = 40) -> Array:
        """Growth of a random vector under repeated products with the Jacobian of the rate."""
        random = np.random.default_rng(0)
        vector = tuple(jnp.asarray(random.normal(size=a.shape)) for a in state)

        def norm(v: State) -> Array:
            return jnp.sqrt(sum(jnp.sum(a**2) for a in v)) + 1e-300

        def body(carry: tuple[State, Array], step: None) -> tuple[tuple[State, Array], None]:
            del step
            v, _ = carry
            unit = jax.tree.map(lambda a: a / norm(v), v)
            product = jax.jvp(lambda s: self.rate(t, s), (state,), (unit,))[1]
            return (product, norm(product)), None

        run = jax.jit(lambda v: jax.lax.scan(body, (v, norm(v)), None, length=count)[0][1])
        return run(vector)


def _derivative(function, j: int, t: Array) -> Array:
    """The j-th derivative of an array-valued function of time."""
    for _ in range(j):
        function = _tangent(function)
    return function(t)


def _tangent(function):
    return lambda t: jax.jvp(function, (t,), (jnp.ones_like(t),))[1]
