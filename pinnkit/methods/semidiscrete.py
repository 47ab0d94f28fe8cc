"""Method of lines on tensor grids: Fourier on periodic axes, Chebyshev between walls."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.compile import DerivativePlan, System, Term
from pinnkit.derivatives import Axis, ChebyshevAxis, FourierAxis, GridProvider, chebyshev
from pinnkit.methods.evolution import components, initial_values, space_axes, times_order
from pinnkit.methods.faces import FaceRow

State = tuple[Array, ...]
IMPLICIT_SIZE = 700
STIFF = 3e4
MAX_STEPS = 1_000_000


class Wall:
    """Elimination of the nodes next to the walls of one axis for one field.

    The conditions R u = g (one row each) give the values at as many end nodes from the kept
    ones: u = extend @ kept + insert @ g.
    """

    def __init__(self, axis: Axis, rows: tuple[FaceRow, ...]):
        self.rows = tuple(sorted(rows, key=lambda row: row.end))
        below = sum(row.end == 0 for row in rows)
        n = axis.n
        self.kept = slice(below, n - (len(rows) - below))
        removed = np.r_[0:below, n - (len(rows) - below) : n]
        table = np.zeros((len(rows), n))
        for i, row in enumerate(self.rows):
            for order, coefficient in row.coefficients.items():
                table[i] += coefficient * axis.matrix(order)[-row.end]
        inverse = np.linalg.inv(table[:, removed])
        self.extend = np.zeros((n, n - len(rows)))
        self.extend[self.kept] = np.eye(n - len(rows))
        self.extend[removed] = -inverse @ table[:, self.kept]
        self.insert = np.zeros((n, len(rows)))
        self.insert[removed] = inverse


class Semidiscrete:
    """d state / dt on the kept nodes; a state holds one array per component (field, order)."""

    def __init__(self, system: System, rows: tuple[FaceRow, ...], points: Mapping[str, int]):
        self.system = system
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
        kind = FourierAxis if name in self.system.traits.periodic else ChebyshevAxis
        return kind(name, lo, hi, n)

    def kept(self, field: str) -> tuple[slice, ...]:
        """Index of the nodes that carry the field's state."""
        whole = slice(None)
        count = range(len(self.grid))
        return tuple(w.kept if (w := self.walls.get((field, i))) else whole for i in count)

    def initial(self) -> State:
        start = self.system.domain.bounds[self.system.time or ""][0]
        z = {**self.z, self.system.time or "": jnp.full(self.provider.shape, start)}
        return tuple(
            initial_values(self.system, field, j, z)[self.kept(field)]
            for field, j in self.components
        )

    def full(self, field: str, j: int, kept: Array, t: Array) -> Array:
        """Values at all nodes from those at the kept ones, by the conditions at time t."""
        index = list(self.kept(field))
        values = kept
        for i in range(len(self.grid)):
            wall = self.walls.get((field, i))
            if wall is None:
                continue
            index[i] = slice(0, 1)
            z = {a: x[tuple(index)] for a, x in self.z.items()}
            data = jnp.stack([_derivative(lambda s, r=r, z=z: self._data(r, z, s), j, t)
                              for r in wall.rows], axis=i)
            values = chebyshev.apply(jnp.asarray(wall.extend), values, i) + chebyshev.apply(
                jnp.asarray(wall.insert), jnp.squeeze(data, i + 1), i
            )
            index[i] = slice(None)
        return values

    def _data(self, row: FaceRow, z: Mapping[str, Array], t: Array) -> Array:
        like = next(iter(z.values()))
        at = {**z, self.system.time or "": jnp.broadcast_to(t, like.shape)}
        axis = next(a for a in self.grid if a.name == row.axis)
        at[row.axis] = jnp.full(like.shape, (axis.lo, axis.hi)[row.end])
        return row.data(at)

    def rate(self, t: Array, state: State, args: None = None) -> State:
        """Time derivative of the state."""
        del args
        system, rates = self.system, self.system.evolution or ()
        fields = {
            f"{field}@{j}": self.full(field, j, kept, t)
            for (field, j), kept in zip(self.components, state, strict=True)
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
            result[index[rate.field, rate.order - 1]] = whole[self.kept(rate.field)]
        return tuple(result)

    def _spatial(self, term: Term) -> Term:
        names = tuple(axis.name for axis in self.grid)
        orders = tuple(term.along(name) for name in names)
        return Term(f"{term.field}@{times_order(self.system, term)}", orders, names)

    def solve(self, times: np.ndarray, tolerance: float) -> np.ndarray:
        """Fields (m, c, …grid) at `times`; NaN from where the integration failed."""
        state = self.initial()
        size = sum(a.size for a in state)
        radius = 0.0
        if size <= IMPLICIT_SIZE:
            radius = float(self._spectral_radius(jnp.asarray(times[0]), state))
        implicit = radius * (times[-1] - times[0]) > STIFF
        scale = max(1e-6, *(float(jnp.abs(a).max()) for a in state))
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
        def run(state: State, times: Array, tolerance, scale, implicit: bool) -> State:
            # Steps end on the snapshots: the solvers' own interpolants are of lower order.
            controller = diffrax.ClipStepSizeController(
                diffrax.PIDController(tolerance, tolerance * scale, pcoeff=0.2, icoeff=0.4),
                step_ts=times,
            )
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(self.rate),
                diffrax.Kvaerno5() if implicit else diffrax.Dopri8(),
                times[0],
                times[-1],
                None,
                state,
                saveat=diffrax.SaveAt(ts=times),
                stepsize_controller=controller,
                max_steps=MAX_STEPS,
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

        def body(carry: tuple[State, Array], _: None) -> tuple[tuple[State, Array], None]:
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
