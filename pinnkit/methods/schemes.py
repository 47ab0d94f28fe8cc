"""Semi-discrete members of a family, v' = L v + N(v, t; input), for exponential time stepping.

A scheme holds all that members share: nodes at which input functions are wanted, the linear part
L, and how states begin and are read. States have one array per member, so that `jax.vmap` makes
batches of them.
"""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from pinnkit.compile import System
from pinnkit.compile.terms import TermSymbol
from pinnkit.derivatives import Axis, ChebyshevAxis, chebyshev
from pinnkit.methods import etdrk
from pinnkit.methods.constrained import ConstrainedModal
from pinnkit.methods.evolution import initial_beside, terms_of
from pinnkit.methods.faces import FaceRow
from pinnkit.methods.modal import Modal, Parities
from pinnkit.methods.semidiscrete import Semidiscrete

Input = Callable[[Array], Array]
Rest = Callable[[Array, Array], Array]
Start = Callable[[Mapping[str, Array], tuple[str, int], Array], Array]
"""(coordinates, component, input function) -> initial values of the component."""


def declared_start(system: System) -> Start:
    """Initial values from the conditions, which may hold the input function."""

    def start(z: Mapping[str, Array], component: tuple[str, int], function: Array) -> Array:
        known = {name: function for name in system.inputs}
        return initial_beside(system, *component, z, known)

    return start


def is_coefficient(system: System) -> bool:
    """Whether the input function multiplies an unknown field in an equation."""
    for residual in system.equations:
        unknown = set(map(TermSymbol, residual.plan.terms))
        slopes = [residual.expression.diff(TermSymbol(t)) for t in residual.input_plan.terms]
        if any(slope.free_symbols & unknown for slope in slopes):
            return True
    return False


class Scheme(abc.ABC):
    """`nodes`: per space axis, where input functions are wanted."""

    nodes: tuple[np.ndarray, ...]

    @abc.abstractmethod
    def coefficients(self, h: float) -> etdrk.Coefficients | None:
        """Weights of a step of size h, None if these differ from member to member."""

    @abc.abstractmethod
    def initial(self, function: Array) -> Array:
        """State at the initial time."""

    @abc.abstractmethod
    def nonlinear(self, v: Array, t: Array, function: Array) -> Array:
        """N(v, t) for the values of the input function at the nodes, or one for all of them."""

    def member(self, v: Array, t: Array, at: Input, weights: Any, h: Array) -> tuple[Any, Rest]:
        """Weights of a step and N(v, t) for one member, which has the state v at time t."""
        del v, t, h
        return weights, lambda v, t: self.nonlinear(v, t, at(t))

    @abc.abstractmethod
    def fields(self, v: Array, t: Array, function: Array) -> Array:
        """Fields (c, *sensors)."""


class FourierScheme(Scheme):
    """Fourier modes, by reflection also between walls that are symmetry planes."""

    def __init__(
        self,
        system: System,
        found: Parities,
        points: Mapping[str, int],
        sensors: Sequence[Axis],
        start: Start,
    ) -> None:
        self.system, self.start = system, start
        if system.constrained is None:
            self.modal = Modal(system, found, points)
        else:
            self.modal = ConstrainedModal(system, points)
        modal = self.modal
        self.nodes = tuple(
            np.asarray(np.moveaxis(np.asarray(modal.z[axis.name]), i, 0).reshape(axis.n, -1)[:, 0])
            for i, axis in enumerate(modal.grid)
        )
        self.readers = [_reader(own, axis) for own, axis in zip(modal.grid, sensors, strict=True)]

    def coefficients(self, h: float) -> etdrk.Coefficients:
        rates, coupled = self.modal.rates()
        make = etdrk.matrix_coefficients if coupled else etdrk.scalar_coefficients
        return make(rates, h)

    def initial(self, function: Array) -> Array:
        modal = self.modal
        time = self.system.time or ""
        lo = self.system.domain.bounds[time][0]
        z = {**modal.z, time: jnp.full(modal.shape, lo)}
        rows = [
            modal.reflect(self.start(z, component, function), terms_of(self.system, component[0]))
            for component in modal.components
        ]
        return modal.transform(jnp.stack(rows))

    def _known(self, function: Array) -> dict[str, Array]:
        return dict.fromkeys(self.system.inputs, jnp.broadcast_to(function, self.modal.shape))

    def nonlinear(self, v: Array, t: Array, function: Array) -> Array:
        return self.modal.nonlinear(v, t, self._known(function))

    def fields(self, v: Array, t: Array, function: Array) -> Array:
        values = self.modal.values(self.modal.field_modes(v, t, self._known(function)))
        for i, read in enumerate(self.readers):
            values = read(values, i + 1)
        return values

    def adopt(self, v: Array, fine: FourierScheme) -> Array:
        """The state of a scheme with twice as many points, without its higher modes."""
        shape, last = self.modal.shape, len(self.modal.shape) - 1
        for i, n in enumerate(shape):
            keep = np.arange(n // 2 + 1) if i == last else np.fft.fftfreq(n, 1 / n).astype(int)
            v = jnp.take(v, jnp.asarray(keep % fine.modal.shape[i]), axis=i + 1)
        return v * self.modal.mask[None] / 2 ** len(shape)


def _reader(own: Axis, sensor: Axis) -> Callable[[Array, int], Array]:
    """Values at nodes of `own` -> at those of `sensor`, which are among them or between."""
    place = (sensor.nodes - own.lo) / own.length * own.n
    index = np.rint(place).astype(int)
    if np.allclose(place, index, atol=1e-9) and index.max() < own.n:
        stride = int(index[1] - index[0])
        return lambda values, axis: jax.lax.slice_in_dim(
            values, 0, int(index[-1]) + 1, stride, axis
        )
    rows = own.interpolation_matrix(sensor.nodes)
    return lambda values, axis: chebyshev.apply(jnp.asarray(rows), values, axis)


class GridScheme(Scheme):
    """Grids between walls (Chebyshev or `between`, Fourier along periodic axes), states as vectors.

    Any L gives the same solutions; it should leave little that is stiff. It is the Jacobian of the
    rates, at the mean of some members and for all of them, or, where the input function is a
    coefficient (`own`), for each member at its first state.
    """

    def __init__(
        self,
        system: System,
        rows: tuple[FaceRow, ...],
        points: Mapping[str, int],
        sensors: Sequence[Axis],
        start: Start,
        mean: Callable[[Sequence[np.ndarray]], np.ndarray],
        between: type[Axis] = ChebyshevAxis,
    ) -> None:
        self.system, self.start = system, start
        self.space = Semidiscrete(system, rows, points, between)
        self.nodes = tuple(axis.nodes for axis in self.space.grid)
        self.sensors = tuple(sensors)
        self.mean = mean
        self.own = is_coefficient(system)

    @functools.cached_property
    def _shapes(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        shape = tuple(len(x) for x in self.nodes)
        like = jax.ShapeDtypeStruct(shape, jnp.asarray(1.0).dtype)
        return jax.eval_shape(self._begin, like)

    def _begin(self, function: Array) -> tuple[Array, ...]:
        time = self.system.time or ""
        lo = self.system.domain.bounds[time][0]
        z = {**self.space.z, time: jnp.full(self.space.provider.shape, lo)}
        found = []
        for component in self.space.components:
            values = self.start(z, component, function)
            found.append(self.space.restrict(component[0], values))
        return tuple(found)

    def initial(self, function: Array) -> Array:
        return ravel_pytree(self._begin(function))[0]

    def _known(self, function: Array) -> dict[str, Array]:
        return dict.fromkeys(self.system.inputs, function)

    def contradiction(self, function: Array) -> Array:
        """By how much the initial state changes if the conditions are put in, of the larger."""
        space, time, known = self.space, self.system.time or "", self._known(function)
        lo = jnp.asarray(self.system.domain.bounds[time][0])
        z = {**space.z, time: jnp.full(space.provider.shape, lo)}
        found = []
        for (field, j), part in zip(space.components, self._begin(function), strict=True):
            given = self.start(z, (field, j), function)
            full = space.full(field, j, part, lo, known)
            size = jnp.maximum(jnp.abs(given).max(), jnp.abs(full).max())
            found.append(jnp.abs(full - given).max() / jnp.maximum(size, 1e-300))
        return jnp.max(jnp.stack(found))

    def _split(self, v: Array) -> tuple[Array, ...]:
        sizes = np.cumsum([math.prod(s.shape) for s in self._shapes])[:-1]
        parts = jnp.split(v, [int(n) for n in sizes])
        return tuple(p.reshape(s.shape) for p, s in zip(parts, self._shapes, strict=True))

    def rate(self, v: Array, t: Array, function: Array) -> Array:
        return ravel_pytree(self.space.rate(t, self._split(v), self._known(function)))[0]

    @functools.cached_property
    def linear(self) -> np.ndarray:
        function = jnp.asarray(self.mean(self.nodes))
        start = jnp.asarray(self.system.domain.bounds[self.system.time or ""][0])
        slope = jax.jit(jax.jacfwd(lambda v: self.rate(v, start, function)))
        return np.asarray(slope(self.initial(function)))

    def coefficients(self, h: float) -> etdrk.Coefficients | None:
        if self.own:
            return None
        found = etdrk.matrix_coefficients(self.linear, h)
        return etdrk.Coefficients(*(jnp.real(part) for part in found))

    def member(self, v: Array, t: Array, at: Input, weights: Any, h: Array) -> tuple[Any, Rest]:
        if not self.own:
            return super().member(v, t, at, weights, h)
        linear = jax.jacfwd(lambda v: self.rate(v, t, at(t)))(v)

        def rest(v: Array, t: Array) -> Array:
            return self.rate(v, t, at(t)) - jnp.matmul(linear, v, precision="highest")

        return etdrk.dense_coefficients(linear, h), rest

    def nonlinear(self, v: Array, t: Array, function: Array) -> Array:
        linear = jnp.matmul(jnp.asarray(self.linear), v, precision="highest")
        return self.rate(v, t, function) - linear

    def fields(self, v: Array, t: Array, function: Array) -> Array:
        known = self._known(function)
        pairs = zip(self.space.components, self._split(v), strict=True)
        values = jnp.stack(
            [self.space.full(f, 0, part, t, known) for (f, j), part in pairs if j == 0]
        )
        for i, (own, axis) in enumerate(zip(self.space.grid, self.sensors, strict=True)):
            rows = own.interpolation_matrix(axis.nodes)
            values = chebyshev.apply(jnp.asarray(rows), values, i + 1)
        return values
