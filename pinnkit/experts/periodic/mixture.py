"""Slabs of time with a tensor basis each, as a function of physical points."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnkit.experts.bases import Numbers, Orders, Tensor, tensor_basis

GATHERED = 4_000_000
"""Coefficients that one batch of points may gather."""
BEYOND = 1.0 + 1e-6
"""Local coordinate at which the first and the last expert stop to follow their polynomials."""


class TensorMixture(eqx.Module):
    """u_f(z) = sum_k 1_k(t) sum_j c_kfj phi_j(xi_k(z)) with a full tensor basis.

    As `Mixture`, with experts that follow each other along one axis and products contracted axis
    by axis: n multiplications per point and field, and tables of the one-dimensional functions.

    `edges` (K + 1,) along the axis of index `along`; `lower`, `upper` (d,) bound all experts
    together; `coefficients` (K, fields, n), n in the order of `tensor_basis(..., full=True)`. At
    an edge the expert before it answers; beyond the ends the values of the ends are continued,
    because a polynomial of a short slab is no guide to what lies far from it.
    """

    edges: Numbers
    lower: Numbers
    upper: Numbers
    coefficients: Numbers
    kinds: tuple[str, ...] = eqx.field(static=True)
    degrees: tuple[int, ...] = eqx.field(static=True)
    along: int = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    @property
    def basis(self) -> Tensor:
        """The basis of each expert."""
        return tensor_basis(self.degrees, self.kinds, full=True)

    @property
    def counts(self) -> tuple[int, ...]:
        """Functions per axis."""
        pairs = zip(self.kinds, self.degrees, strict=True)
        return tuple(2 * p + 1 if kind == "fourier" else p + 1 for kind, p in pairs)

    def fields(self) -> tuple[str, ...]:
        return self.names

    def __call__(self, points: Array) -> Array:
        """Values (N, fields) at points (N, d)."""
        return self.derivative(points, (0,) * len(self.kinds))

    def derivative(self, points: Array, orders: Orders) -> Array:
        """Exact derivatives of physical multi-index `orders`, (N, fields)."""
        points = jnp.asarray(points)
        batch = max(1, min(len(points), GATHERED // int(np.prod(self.coefficients.shape[1:]))))
        return jax.lax.map(lambda z: self._at(z, orders), points, batch_size=batch)

    def _at(self, point: Array, orders: Orders) -> Array:
        edges = jnp.asarray(self.edges)
        time = jax.lax.stop_gradient(point[self.along])
        k = jnp.clip(jnp.searchsorted(edges, time) - 1, 0, len(edges) - 2)
        lower = jnp.asarray(self.lower).at[self.along].set(edges[k])
        upper = jnp.asarray(self.upper).at[self.along].set(edges[k + 1])
        half = 0.5 * (upper - lower)
        xi = (point - 0.5 * (upper + lower)) / half
        # The margin keeps one-sided derivatives at the ends exact.
        xi = xi.at[self.along].set(jnp.clip(xi[self.along], -BEYOND, BEYOND))
        result = jnp.asarray(self.coefficients)[k].reshape(-1, *self.counts)
        for axis in reversed(range(len(orders))):
            table = self._tables(xi[axis : axis + 1], axis, orders[axis])[0]
            result = jnp.tensordot(result, table * half[axis] ** -orders[axis], 1)
        return result

    def _tables(self, xi, axis: int, order: int):
        """One-dimensional functions of an axis, (N, count)."""
        one = tensor_basis((self.degrees[axis],), (self.kinds[axis],), full=True)
        return one.features(xi[:, None], (order,))

    def on_host(self, points: np.ndarray) -> np.ndarray:
        """Values (N, fields) by NumPy, expert by expert, without compiling."""
        points = np.asarray(points)
        edges, lower, upper = (np.asarray(a) for a in (self.edges, self.lower, self.upper))
        owner = np.clip(np.searchsorted(edges, points[:, self.along]) - 1, 0, len(edges) - 2)
        result = np.empty((len(points), len(self.names)))
        for k in np.unique(owner):
            mine = owner == k
            lo, hi = lower.copy(), upper.copy()
            lo[self.along], hi[self.along] = edges[k], edges[k + 1]
            xi = (2.0 * points[mine] - (lo + hi)) / (hi - lo)
            xi[:, self.along] = np.clip(xi[:, self.along], -BEYOND, BEYOND)
            result[mine] = self._contract(np.asarray(self.coefficients[k]), xi)
        return result

    def _contract(self, coefficients: np.ndarray, xi: np.ndarray) -> np.ndarray:
        """Values (N, fields) of one expert, coefficients (fields, n), at local points (N, d)."""
        tables = [self._tables(xi[:, i], i, 0) for i in range(xi.shape[1])]
        shaped = coefficients.reshape(-1, *self.counts)
        partial = np.moveaxis(np.tensordot(tables[-1], shaped, (1, shaped.ndim - 1)), 0, -1)
        for table in reversed(tables[:-1]):
            partial = np.einsum("...jn,nj->...n", partial, table)
        return partial.T


def real_coefficients(modes: np.ndarray) -> np.ndarray:
    """Complex modes (m, ...modes) of functions on [lower, upper) to those of the tensor basis.

    A wave exp(i k 2 pi (x - lower)/L) is (-1)^k exp(i k pi xi) in the local coordinate xi. The
    functions are 1, sin pi xi, cos pi xi, sin 2 pi xi, ... on every axis: (m, ...2 K_i + 1).
    """
    result = modes
    for axis in range(1, modes.ndim):
        last = axis == modes.ndim - 1
        moved = np.moveaxis(result, axis, -1)
        top = moved.shape[-1] - 1 if last else (moved.shape[-1] - 1) // 2
        sign = (-1.0) ** np.arange(1, top + 1)
        plus = moved[..., 1 : top + 1] * sign
        minus = np.conj(plus) if last else moved[..., :top:-1] * sign
        made = np.empty((*moved.shape[:-1], 2 * top + 1), complex)
        made[..., 0] = moved[..., 0]
        made[..., 1::2] = 1j * (plus - minus)
        made[..., 2::2] = plus + minus
        result = np.moveaxis(made, -1, axis)
    return np.real(result)


def place_axes(coefficients: np.ndarray, axes: Sequence[str], time: str, fields: int) -> np.ndarray:
    """(p + 1, fields, ...space) to (fields, n), the products ordered as `axes`."""
    moved = np.moveaxis(coefficients, 0, 1 + list(axes).index(time))
    return moved.reshape(fields, -1)
