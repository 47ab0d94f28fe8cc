"""A mixture of experts as a function of physical points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnkit.derivatives.basis import chart_factor
from pinnkit.experts.bases import Basis, Numbers, Orders
from pinnkit.experts.layout import FACE_MARGIN, Boxes

BATCH = 2048


class Mixture(eqx.Module):
    """u_f(z) = sum_k 1_k(z) sum_j c_kfj phi_j(xi_k(z)), the expert k being the one that holds z.

    `lower`, `upper` (K, d) are the experts' boxes, `coefficients` (K, fields, n). On a shared face
    the first expert answers; outside all boxes the nearest one (in its own chart) extrapolates.
    """

    basis: Basis
    lower: Numbers
    upper: Numbers
    coefficients: Numbers
    names: tuple[str, ...] = eqx.field(static=True)

    def fields(self) -> tuple[str, ...]:
        return self.names

    def __call__(self, points: Array) -> Array:
        """Values (N, fields) at points (N, d)."""
        return self.derivative(points, (0,) * self.lower.shape[1])

    def derivative(self, points: Array, orders: Orders) -> Array:
        """Exact derivatives of physical multi-index `orders`, (N, fields)."""
        points = jnp.asarray(points)
        return jax.lax.map(lambda z: self._at(z, orders), points, batch_size=BATCH)

    def on_host(self, points: np.ndarray, orders: Orders | None = None) -> np.ndarray:
        """Values or derivatives (N, fields) by NumPy, not compiled; the same experts answer."""
        boxes = Boxes(np.asarray(self.lower), np.asarray(self.upper))
        orders = orders or (0,) * boxes.dim
        owner, found = boxes.owners(points), np.empty((len(points), len(self.names)))
        for k in np.unique(owner):
            own = owner == k
            features = self.basis.features(boxes.local(owner[own], points[own]), orders)
            found[own] = features @ np.asarray(self.coefficients)[k].T
        return found * chart_factor(boxes.half[owner], orders)[:, None]

    def _at(self, point: Array, orders: Orders) -> Array:
        half = 0.5 * (jnp.asarray(self.upper) - jnp.asarray(self.lower))
        centre = 0.5 * (jnp.asarray(self.upper) + jnp.asarray(self.lower))
        depth = jnp.max(jnp.abs((point[None, :] - centre) / half), axis=1)
        k = jnp.argmin(jnp.maximum(jax.lax.stop_gradient(depth), 1.0 + FACE_MARGIN))
        xi = (point - centre[k]) / half[k]
        factor = jnp.prod(half[k] ** -jnp.asarray(orders, dtype=half.dtype))
        features = self.basis.features(xi[None, :], orders)[0]
        return factor * (jnp.asarray(self.coefficients)[k] @ features)
