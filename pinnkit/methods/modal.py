"""Semi-linear evolution in Fourier modes, on periodic axes and by reflection between walls.

A field that vanishes at both ends of an axis continues as an odd, one with zero slope as an even
periodic function of twice the period, if the equations allow it. Its Fourier series is then the
sine or cosine series between the walls.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.compile import Constraint, Rate, System, Term
from pinnkit.derivatives import FourierAxis, spectral
from pinnkit.methods import etdrk
from pinnkit.methods.evolution import components, initial_values, space_axes, terms_of, times_order
from pinnkit.methods.faces import NOTHING, SAMPLES, FaceRow, Known

Parities = Mapping[tuple[str, str], int]
TOLERANCE = 1e-9


def parities(system: System, rows: tuple[FaceRow, ...]) -> dict[tuple[str, str], int] | None:
    """Parity +1 or -1 by (field, walled axis), or None if some wall is not of this kind."""
    found = {}
    for axis in space_axes(system):
        if axis in system.traits.periodic:
            continue
        for field in system.fields:
            mine = [r for r in rows if r.field == field and r.axis == axis]
            orders = {next(iter(r.coefficients)) for r in mine if len(r.coefficients) == 1}
            if sorted(r.end for r in mine) != [0, 1] or len(orders) != 1 or not orders <= {0, 1}:
                return None
            if any(len(r.coefficients) != 1 for r in mine) or not all(map(_homogeneous, mine)):
                return None
            found[field, axis] = 1 if orders == {1} else -1
    return found


def _homogeneous(row: FaceRow) -> bool:
    if row.varies:
        return False
    system_points = row.region.sample(SAMPLES, seed=1)
    z = {a: jnp.asarray(system_points[:, i]) for i, a in enumerate(row.region.axes)}
    return bool(jnp.all(row.data(z) == 0))


def unsuited(system: System, rows: tuple[FaceRow, ...]) -> str | None:
    """Why Fourier modes with ETDRK4 do not fit the system, or None."""
    found = parities(system, rows)
    if not space_axes(system):
        return "no space axis"
    if found is None:
        return "walls that are no symmetry planes"
    for rate in system.rates:
        mine = [t for t in rate.remainder_plan.terms if t.field in system.fields]
        if any(t.order - times_order(system, t) > 1 for t in mine):
            return "a stiff part that varies or is nonlinear"
    if not all(_symmetric(system, found, axis) for _, axis in found):
        return "equations without the symmetry of the walls"
    return None if _fits_initially(system, found) else "initial values that break the symmetry"


def _sign(found: Parities, term: Term, axis: str) -> int:
    """Sign of a term under reflection; input functions go on as even functions."""
    return found.get((term.field, axis), 1) * (-1) ** term.along(axis)


def _symmetric(system: System, found: Parities, axis: str) -> bool:
    """Whether reflecting all term values along `axis` reflects the rates."""
    points = system.domain.interior.sample(SAMPLES, seed=2)
    z = {a: jnp.asarray(points[:, i]) for i, a in enumerate(system.axes)}
    random = np.random.default_rng(0)
    for rate in system.rates:
        values = {t: jnp.asarray(random.normal(size=SAMPLES)) for t in rate.plan.terms}
        flipped = {t: _sign(found, t, axis) * v for t, v in values.items()}
        call = jax.jit(lambda v, rate=rate: rate.fn(v, z, system.parameters))
        straight, mirrored = call(values), found[rate.field, axis] * call(flipped)
        if not jnp.allclose(straight, mirrored, rtol=TOLERANCE, atol=TOLERANCE):
            return False
    return True


def _fits_initially(system: System, found: Parities) -> bool:
    """Whether odd fields start from zero at the walls, and even ones with zero slope."""
    for (field, axis), parity in found.items():
        lo, hi = system.domain.bounds[axis]
        points = system.domain.region("initial").sample(SAMPLES, seed=3)
        z = {a: jnp.asarray(points[:, i]) for i, a in enumerate(system.axes)}

        def along(x, field=field, axis=axis, z=z):
            return initial_values(system, field, 0, {**z, axis: x})

        size = 1e-300 + jnp.abs(along(z[axis])).max()
        for wall in (lo, hi):
            x = jnp.full(SAMPLES, wall)
            value, slope = jax.jit(lambda x, f=along: jax.jvp(f, (x,), (jnp.ones_like(x),)))(x)
            if jnp.abs(value if parity < 0 else slope * (hi - lo)).max() > TOLERANCE * size:
                return False
    return True


class Modal:
    """The system in Fourier modes v (s, …modes), one row per component (field, time order).

    `known`, where a method takes it, are input functions by name, with values on the grid.
    """

    def __init__(self, system: System, found: Parities, points: Mapping[str, int]):
        self.system, self.parities, self.points = system, found, dict(points)
        self.compiling = 0.0  # seconds of the last solve that were no marching
        self.walled = {axis for _, axis in found}
        self.grid = tuple(self._axis(name, points[name]) for name in space_axes(system))
        self.shape = tuple(axis.n for axis in self.grid)
        self.components = components(system)
        self.over = tuple(range(-len(self.grid), 0))
        self.mask = spectral.dealias_mask(self.shape, range(len(self.shape)))
        grids = np.meshgrid(*(axis.nodes for axis in self.grid), indexing="ij")
        self.z, self.side = {}, {}
        for axis, x in zip(self.grid, grids, strict=True):
            beyond = (x > system.domain.bounds[axis.name][1]) & (axis.name in self.walled)
            self.z[axis.name] = jnp.asarray(np.where(beyond, axis.lo + axis.hi - x, x))
            self.side[axis.name] = np.where(beyond, -1.0, 1.0)

    def _axis(self, name: str, n: int) -> FourierAxis:
        lo, hi = self.system.domain.bounds[name]
        if name in self.walled:
            return FourierAxis(name, lo, 2 * hi - lo, 2 * n)
        return FourierAxis(name, lo, hi, n)

    def reflect(self, values: Array, term: Term) -> Array:
        for axis in self.walled:
            if _sign(self.parities, term, axis) < 0:
                values = values * self.side[axis]
        return values

    @functools.cache  # noqa: B019  (the object lives as long as one solve)
    def symbol(self, orders: tuple[int, ...]) -> np.ndarray:
        """Multiplier of a space derivative on the modes of `rfftn`."""
        result = np.ones((1,) * len(self.grid), complex)
        for i, (axis, order) in enumerate(zip(self.grid, orders, strict=True)):
            last = i == len(self.grid) - 1
            vector = spectral.symbol(axis.n, axis.length, order, real=last)
            result = result * vector.reshape([-1 if j == i else 1 for j in range(len(self.grid))])
        return result

    def rates(self) -> tuple[np.ndarray, bool]:
        """Linear rates: (s, …modes) if components are uncoupled, else (…modes, s, s)."""
        return uncoupled(self.matrix(self.linear_rows(), self.components))

    def linear_rows(self) -> list[Mapping[Term, float]]:
        """The linear part of each component's rate."""
        rows: list[Mapping[Term, float]] = []
        for rate in self.system.rates:
            for j in range(1, rate.order):
                rows.append({terms_of(self.system, rate.field, j): 1.0})
            rows.append(rate.linear)
        return rows

    def matrix(
        self, rows: Sequence[Mapping[Term, float]], columns: Sequence[tuple[str, int]]
    ) -> np.ndarray:
        """Symbols of linear rows on some components, (…modes, rows, columns)."""
        found = np.zeros((*self.mask.shape, len(rows), len(columns)), complex)
        index = {c: i for i, c in enumerate(columns)}
        for i, row in enumerate(rows):
            for term, coefficient in row.items():
                component, orders = self.split(term)
                if component in index:
                    found[..., i, index[component]] += coefficient * self.symbol(orders)
        return found

    def split(self, term: Term) -> tuple[tuple[str, int], tuple[int, ...]]:
        """Component and space orders of a term."""
        space = tuple(term.along(axis.name) for axis in self.grid)
        return (term.field, times_order(self.system, term)), space

    def transform(self, values: Array) -> Array:
        return jnp.fft.rfftn(values, axes=self.over) * self.mask[None]

    def values(self, modes: Array) -> Array:
        return jnp.fft.irfftn(modes, self.shape, axes=self.over)

    def initial(self) -> Array:
        """Modes of the initial values."""
        start = self.system.domain.bounds[self.system.time or ""][0]
        z = {**self.z, self.system.time or "": jnp.full(self.shape, start)}

        @jax.jit
        def modes() -> Array:
            rows = [
                self.reflect(initial_values(self.system, f, j, z), terms_of(self.system, f))
                for f, j in self.components
            ]
            return self.transform(jnp.stack(rows))

        return modes()

    def nonlinear(self, modes: Array, t: Array, known: Known = NOTHING) -> Array:
        """Modes of the remainder; the time derivatives of lower components are linear."""
        return self.rest(modes, self.components, t, known)

    def rest(
        self,
        modes: Array,
        components: Sequence[tuple[str, int]],
        t: Array,
        known: Known = NOTHING,
    ) -> Array:
        """Modes of the rates' remainders, from the modes of all components that they hold."""
        system, index = self.system, {c: i for i, c in enumerate(self.components)}
        values = self.term_values(modes, components, system.rates, known)
        rows = [jnp.zeros(self.shape)] * len(self.components)
        for rate in system.rates:
            result = self.remainder(rate, values, t)
            row = index[rate.field, rate.order - 1]
            rows[row] = self.reflect(result, terms_of(system, rate.field))
        return self.transform(jnp.stack(rows))

    def term_values(
        self,
        modes: Array,
        components: Sequence[tuple[str, int]],
        equations: Iterable[Rate | Constraint],
        known: Known = NOTHING,
    ) -> dict[Term, Array]:
        """Values on the grid of all terms in the equations' remainders."""
        held = tuple({t: None for e in equations for t in e.remainder_plan.terms})
        given = {t: self._known_term(known[t.field], t) for t in held if t.field in known}
        terms = tuple(t for t in held if t not in given)
        if not terms:
            return given
        index = {c: i for i, c in enumerate(components)}
        parts = [(index[self.split(t)[0]], self.symbol(self.split(t)[1])) for t in terms]
        stacked = self.values(jnp.stack([modes[i] * factor for i, factor in parts]))
        return given | {t: self.reflect(stacked[i], t) for i, t in enumerate(terms)}

    def _known_term(self, values: Array, term: Term) -> Array:
        """A derivative of an input function on the grid."""
        if not term.order:
            return values
        modes = jnp.fft.rfftn(values, axes=self.over) * self.symbol(self.split(term)[1])
        return self.reflect(self.values(modes), term)

    def remainder(
        self, equation: Rate | Constraint, values: Mapping[Term, Array], t: Array
    ) -> Array:
        """The remainder of one equation on the grid, from the values of its terms."""
        mine = {term: values[term] for term in equation.remainder_plan.terms}
        z = {**self.z, self.system.time or "": jnp.broadcast_to(t, self.shape)}
        return equation.remainder(mine, z, self.system.parameters)

    def solve(self, times: np.ndarray, steps: int) -> np.ndarray:
        """Fields (m, c, …grid) at equidistant `times` with `steps` steps of ETDRK4 in all."""
        per, h = steps // (len(times) - 1), (times[-1] - times[0]) / steps
        rates, coupled = self.rates()
        make = etdrk.matrix_coefficients if coupled else etdrk.scalar_coefficients
        coefficients = make(rates, h)
        modes = self.initial()
        self.check(modes, times[0])
        found = [np.asarray(self._fields(modes, times[0]))]
        laps = [time.monotonic()]
        for start, end in zip(times[:-1], times[1:], strict=True):
            modes = self._advance(coefficients, modes, start, h, per)
            found.append(np.asarray(self._fields(modes, end)))
            laps.append(time.monotonic())
            if not np.isfinite(found[-1]).all():
                break
        else:
            self.check(modes, times[-1])
        self.compiling = max(0.0, 2 * laps[1] - laps[0] - laps[min(2, len(laps) - 1)])
        found += [np.full_like(found[0], np.nan)] * (len(times) - len(found))
        return np.stack(found)

    def check(self, modes: Array, t: float) -> None:
        """Raises `MethodError` for a state that the equations forbid; here all are allowed."""

    @functools.cached_property
    def _advance(self):
        def advance(weights: etdrk.Coefficients, modes: Array, start, h, steps) -> Array:
            return etdrk.advance(weights, self.nonlinear, modes, start, h, steps)

        return jax.jit(advance)

    @functools.cached_property
    def _fields(self):
        return jax.jit(lambda modes, t: self.values(self.field_modes(modes, t)))

    def field_modes(self, modes: Array, t: Array, known: Known = NOTHING) -> Array:
        """Modes of all fields, in their order, from those of the state."""
        del t, known
        return modes[np.array([i for i, (_, j) in enumerate(self.components) if j == 0])]


def uncoupled(matrix: np.ndarray) -> tuple[np.ndarray, bool]:
    """Rates (…modes, s, s) as (s, …modes) if no component feels another; whether one does."""
    if (matrix * (1 - np.eye(matrix.shape[-1]))).any():
        return matrix, True
    diagonal = np.moveaxis(np.einsum("...ii->...i", matrix), -1, 0)
    return (diagonal if np.abs(diagonal.imag).any() else diagonal.real), False
