"""Evolution equations in Fourier modes: state, linear rates, remainder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.compile import Rate, System, Term
from pinnkit.spec.condition import Kind

Component = tuple[str, int]
SAMPLES = {1: 16384, 2: 1024, 3: 128}
"""Points per axis on which initial values are sampled before they are truncated."""


def components(system: System) -> tuple[Component, ...]:
    """The state: (field, j) for every time derivative below the field's highest."""
    return tuple((rate.field, j) for rate in system.evolution or () for j in range(rate.order))


def times_order(system: System, term: Term) -> int:
    """Order of a term in time."""
    return term.along(str(system.time))


def missing_initial(system: System) -> list[Component]:
    """Components without a condition that reads "component = known data" at the start."""
    return [c for c in components(system) if _initial_data(system, c) is None]


def _initial_data(system: System, component: Component):
    """Data function of the initial condition that wins, of several the highest priority."""
    found = None
    for residual in system.residuals:
        target = residual.target
        if residual.kind is not Kind.INITIAL or target is None or residual.data is None:
            continue
        here = target.field, times_order(system, target)
        better = found is None or residual.priority >= found.priority
        if here == component and target.order == here[1] and better:
            found = residual
    return None if found is None else found.data


def initial_modes(system: System) -> np.ndarray:
    """Fourier coefficients (s, ...) of the initial state on a fine grid, in kept layout.

    The coarser states are truncations, hence projections rather than interpolants.
    """
    axes = system.domain.space_axes
    count = SAMPLES[len(axes)]
    nodes = [
        lo + (hi - lo) * np.arange(count) / count
        for lo, hi in (system.domain.bounds[axis] for axis in axes)
    ]
    z = dict(zip(axes, np.meshgrid(*nodes, indexing="ij"), strict=True))
    shape = (count,) * len(axes)
    z[str(system.time)] = np.full(shape, system.domain.bounds[str(system.time)][0])
    rows = []
    for component in components(system):
        data = _initial_data(system, component)
        assert data is not None
        values = np.broadcast_to(np.asarray(data(z, system.parameters), dtype=float), shape)
        rows.append(np.fft.rfftn(values, norm="forward"))
    return cut(np.stack(rows), tuple((n - 1) // 2 for n in shape), full=shape)


def cut(modes: np.ndarray, kept: Sequence[int], full: Sequence[int] | None = None) -> np.ndarray:
    """Coefficients (..., modes) with |k_i| <= kept[i]: dropped, or zeros where there are fewer.

    The layout is 0, 1 ... K, -K ... -1 on all axes but the last, which holds 0 ... K of real data.
    """
    first = modes.ndim - len(kept)
    for i, wanted in enumerate(kept):
        axis = first + i
        last = i == len(kept) - 1
        held = modes.shape[axis] - 1 if last else (modes.shape[axis] - 1) // 2
        low = min(held, wanted)
        index = [slice(None)] * modes.ndim
        index[axis] = slice(0, low + 1)
        parts = [modes[tuple(index)]]
        shape = list(modes.shape)
        shape[axis] = (1 if last else 2) * (wanted - low)
        parts.append(np.zeros(shape, modes.dtype))
        if not last and low:
            index[axis] = slice(modes.shape[axis] - low, None)
            parts.append(modes[tuple(index)])
        modes = np.concatenate(parts, axis=axis)
    return modes


class Modes:
    """A system on `points` grid points per space axis, |k| <= (points - 1) // 3 modes of each.

    The state is v (s, ...modes), one row per component, in units of the fields (coefficients of
    exp(i k.x)). Products are formed on the grid, so quadratic ones have no aliasing error
    (Orszag, J. Atmos. Sci. 28, 1971, 1074); higher ones have one of the size of the tail.
    """

    def __init__(self, system: System, points: tuple[int, ...]) -> None:
        self.system, self.points = system, points
        self.axes = system.domain.space_axes
        self.kept = kept_modes(points)
        self.components = components(system)
        self.index = {c: i for i, c in enumerate(self.components)}
        self.lengths = [hi - lo for lo, hi in (system.domain.bounds[a] for a in self.axes)]
        rates = system.evolution or ()
        self.terms = tuple({t: None for r in rates for t in r.remainder_plan.terms})

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the modes of one component."""
        return (*(2 * k + 1 for k in self.kept[:-1]), self.kept[-1] + 1)

    @cached_property
    def wavenumbers(self) -> tuple[np.ndarray, ...]:
        """Integer wavenumbers, one array per axis."""
        whole = [np.concatenate([np.arange(k + 1), np.arange(-k, 0)]) for k in self.kept[:-1]]
        return (*whole, np.arange(self.kept[-1] + 1))

    def symbol(self, orders: Sequence[int]) -> np.ndarray:
        """Multiplier of a space derivative on the modes."""
        return multiplier(self.wavenumbers, self.lengths, orders)

    def split(self, term: Term) -> tuple[int, tuple[int, ...]]:
        """Index of the component and space orders of a term."""
        orders = tuple(term.along(axis) for axis in self.axes)
        return self.index[term.field, times_order(self.system, term)], orders

    @cached_property
    def linear(self) -> np.ndarray:
        """Constant-coefficient rates L, (s, s, ...modes): v' = L v + remainder."""
        s = len(self.components)
        matrix = np.zeros((s, s, *self.shape), complex)
        for rate in self.system.evolution or ():
            for j in range(rate.order - 1):
                matrix[self.index[rate.field, j], self.index[rate.field, j + 1]] = 1.0
            row = self.index[rate.field, rate.order - 1]
            for term, coefficient in rate.linear.items():
                column, orders = self.split(term)
                matrix[row, column] += coefficient * self.symbol(orders)
        return matrix if np.imag(matrix).any() else np.real(matrix)

    @cached_property
    def power(self) -> np.ndarray:
        """Weights of |v_k|^2 in the mean square of the field, (...modes)."""
        weight = np.full(self.shape, 2.0)
        weight[..., 0] = 1.0
        return weight

    @cached_property
    def outer(self) -> np.ndarray:
        """1 where |k| exceeds three quarters of the largest, else 0, (axes, ...modes)."""
        grid = np.meshgrid(*(np.abs(k) for k in self.wavenumbers), indexing="ij")
        return np.stack([g > 0.75 * k for g, k in zip(grid, self.kept, strict=True)]).astype(float)

    @cached_property
    def slowest(self) -> np.ndarray:
        """Smallest |eigenvalue| of L, (...modes)."""
        matrices = np.moveaxis(self.linear, (0, 1), (-2, -1))
        return np.abs(np.linalg.eigvals(matrices)).min(axis=-1)

    def values(self, modes: Array) -> Array:
        """Modes (..., modes) to values (..., grid)."""
        axes = range(-len(self.points), 0)
        for axis, n, k in zip(axes[:-1], self.points[:-1], self.kept[:-1], strict=True):
            low, high = jnp.split(modes, [k + 1], axis=axis)
            modes = jnp.concatenate([_padded(low, axis, n - k), high], axis=axis)
        modes = _padded(modes, -1, self.points[-1] // 2 + 1)
        return jnp.fft.irfftn(modes, self.points, axes=tuple(axes), norm="forward")

    def transform(self, values: Array) -> Array:
        """Values (..., grid) to modes (..., modes)."""
        axes = tuple(range(-len(self.points), 0))
        modes = jnp.fft.rfftn(values, axes=axes, norm="forward")[..., : self.kept[-1] + 1]
        for axis, n, k in zip(axes[:-1], self.points[:-1], self.kept[:-1], strict=True):
            index = np.concatenate([np.arange(k + 1), np.arange(n - k, n)])
            modes = jnp.take(modes, index, axis=axis)
        return modes

    @cached_property
    def grid(self) -> dict[str, np.ndarray]:
        nodes = [
            self.system.domain.bounds[a][0] + length * np.arange(n) / n
            for a, length, n in zip(self.axes, self.lengths, self.points, strict=True)
        ]
        return dict(zip(self.axes, np.meshgrid(*nodes, indexing="ij"), strict=True))

    def _on_grid(self, states: Array, times: Array) -> tuple[dict[Term, Array], dict[str, Array]]:
        """Term values and coordinates, (m, ...grid)."""
        shape = (len(times), *self.points)
        values: dict[Term, Array] = {}
        for term in self.terms:
            row, orders = self.split(term)
            factor = jnp.asarray(self.symbol(orders))[None]
            values[term] = self.values(states[:, row] * factor)
        z = {a: jnp.broadcast_to(jnp.asarray(x)[None], shape) for a, x in self.grid.items()}
        instants = times.reshape((-1,) + (1,) * len(self.points))
        z[str(self.system.time)] = jnp.broadcast_to(instants, shape)
        return values, z

    def remainder(self, states: Array, times: Array) -> Array:
        """N(v, t) at several instants: states (m, s, ...modes), times (m,), result as states."""
        values, z = self._on_grid(states, times)
        shape = (len(times), *self.points)
        rows = [jnp.zeros((len(times), *self.shape), complex)] * len(self.components)
        for rate in self.system.evolution or ():
            mine = {t: values[t] for t in rate.remainder_plan.terms}
            found = jnp.broadcast_to(rate.remainder(mine, z, self.system.parameters), shape)
            rows[self.index[rate.field, rate.order - 1]] = self.transform(found * 1.0)
        return jnp.stack(rows, axis=1)

    def slopes(self, state: Array, time: Array) -> tuple[Array, ...]:
        """max_x |d remainder / d term|, an array (terms,) for every rate."""
        values, z = self._on_grid(state[None], time.reshape(1))
        found = []
        for rate in self.system.evolution or ():
            mine = {t: values[t] for t in rate.remainder_plan.terms}
            largest = [self._slope(rate, mine, z, term) for term in mine]
            found.append(jnp.stack(largest) if largest else jnp.zeros(0))
        return tuple(found)

    def _slope(self, rate: Rate, values: dict[Term, Array], z: Mapping, term: Term) -> Array:
        def along(value: Array) -> Array:
            result = rate.remainder(values | {term: value}, z, self.system.parameters)
            return jnp.broadcast_to(result, value.shape)

        at = values[term]
        return jnp.max(jnp.abs(jax.jvp(along, (at,), (jnp.ones_like(at),))[1]))

    def reach(self, slopes: Sequence[np.ndarray], h: float, p: int) -> float:
        """Bound of the Picard operator over a slab of length h: max_k h |N'_k| / (1 + h |L_k|/p).

        For a rate of order m in time the m-th root of h^m |N'_k| takes the place of h |N'_k|.
        """
        worst = 0.0
        for rate, found in zip(self.system.evolution or (), slopes, strict=True):
            size = np.zeros(self.shape)
            for term, slope in zip(rate.remainder_plan.terms, found, strict=True):
                size += slope * np.abs(self.symbol(self.split(term)[1]))
            z = h * size ** (1.0 / rate.order) / (1.0 + h * self.slowest / p)
            worst = max(worst, float(z.max()))
        return worst


def kept_modes(points: Sequence[int]) -> tuple[int, ...]:
    """Largest wavenumbers of quadratic products without aliasing on `points` points."""
    return tuple((n - 1) // 3 for n in points)


def multiplier(
    wavenumbers: Sequence[np.ndarray], lengths: Sequence[float], orders: Sequence[int]
) -> np.ndarray:
    """prod_j (2 pi i k_j / length_j)^orders_j on the tensor grid of wavenumbers; real if even."""
    result = np.ones((1,) * len(orders), complex)
    for i, (k, length, order) in enumerate(zip(wavenumbers, lengths, orders, strict=True)):
        vector = np.asarray((1.0, 1j, -1.0, -1j)[order % 4]) * (2 * math.pi * k / length) ** order
        result = result * vector.reshape([-1 if j == i else 1 for j in range(len(orders))])
    shape = tuple(len(k) for k in wavenumbers)
    result = np.broadcast_to(result, shape)
    return np.real(result).copy() if sum(orders) % 2 == 0 else result.copy()


def _padded(modes: Array, axis: int, size: int) -> Array:
    widths = [(0, 0)] * modes.ndim
    widths[axis] = (0, size - modes.shape[axis])
    return jnp.pad(modes, widths)


def fitting(n: int) -> tuple[int, ...]:
    """Grid sizes 2^a and 3 * 2^a, ascending, up to n."""
    sizes = [m for e in range(4, 16) for m in (2**e, 3 * 2 ** (e - 1))]
    return tuple(m for m in sorted(sizes) if m <= n)
