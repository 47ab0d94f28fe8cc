"""Convolutions with a kernel that is given by its Fourier coefficients.

    (K v)(x) = sum_k R_k v^_k exp(2 pi i k x / L),
    v^_k = 1/L int_0^1 v(x) exp(-2 pi i k x / L) dx,      |k_j| < modes_j,

per axis with x scaled to [0, 1] and the period L = 1 along periodic axes. Along all others L =
1 + padding, which continues v by zero beyond the end, so that what leaves at one end does not
enter at the other at once. Integrals are trapezoidal sums: all this does not depend on the grid.

Source: Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart and Anandkumar, "Fourier Neural
Operator for Parametric Partial Differential Equations", ICLR 2021, arXiv:2010.08895, eqs. 4-5,
where all grids have L = 1 and paddings are left to the user.

Only few coefficients are kept, so they are computed as products with real matrices (cosines and
sines), axis by axis; on the CPU this is several times faster than whole fast transforms.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.nn.boundary import WITHOUT_END, positions, quadrature


def _waves(n: int, wavenumbers: np.ndarray, boundary: str, period: float) -> np.ndarray:
    """cos and sin of 2 pi k x / L at the nodes: (2, n, k)."""
    top = np.abs(wavenumbers).max(initial=0)
    intervals = n if boundary in WITHOUT_END else n - 1
    if 2 * top >= intervals * period and top > 0:
        raise OptionError(
            f"{n} nodes along a {boundary} axis cannot tell {top + 1} Fourier modes apart; "
            "use fewer modes or a finer grid."
        )
    phase = 2 * np.pi / period * np.outer(positions(n, boundary), wavenumbers)
    return np.stack([np.cos(phase), np.sin(phase)])


def require_resolved(
    shape: tuple[int, ...], modes: tuple[int, ...], boundary: tuple[str, ...], padding: float
) -> None:
    """Raise `OptionError` unless the grid tells the modes apart."""
    for n, m, word in zip(shape, modes, boundary, strict=True):
        _waves(n, np.arange(m), word, period(word, padding))


def period(boundary: str, padding: float) -> float:
    """Length L of the Fourier interval around an axis of length 1."""
    return 1.0 if boundary == "periodic" else 1.0 + padding


class SpectralConv(eqx.Module):
    """K above, from C to D functions: `weights` (2, K, C, D) are the real and imaginary parts of R.

    The K kept wavenumbers are 0 .. modes - 1 along the last axis and -(modes - 1) .. modes - 1
    along the others, the last axis running fastest; all other coefficients follow from these as
    the functions are real.
    """

    weights: Array
    modes: tuple[int, ...] = eqx.field(static=True)
    boundary: tuple[str, ...] = eqx.field(static=True)
    padding: float = eqx.field(static=True)

    @classmethod
    def create(
        cls,
        key: Array,
        channels: tuple[int, int],
        modes: tuple[int, ...],
        boundary: tuple[str, ...],
        padding: float,
    ) -> SpectralConv:
        """E |R|^2 = 1 / C: outputs are about as large as the inputs that are resolved."""
        count = modes[-1] * int(np.prod([2 * m - 1 for m in modes[:-1]]))
        shape = (2, count, *channels)
        weights = jax.random.normal(key, shape, jnp.result_type(float)) / (2 * channels[0]) ** 0.5
        return cls(weights, modes, boundary, padding)

    def __call__(
        self, fields: Array, bias: Array | None = None, out: tuple[int, ...] | None = None
    ) -> Array:
        """(C, *grid) -> (D, *out), on the same grid unless another is named; `bias` (D,)."""
        shape = fields.shape[1:]
        real, imaginary = self.weights
        # complex products as real ones: (a, b) -> (a R - b I, a I + b R)
        top = jnp.concatenate([real, imaginary], axis=2)
        low = jnp.concatenate([-imaginary, real], axis=2)
        matrix = jnp.concatenate([top, low], axis=1)
        found = self.coefficients(fields)
        found = found.transpose(2, 1, 0).reshape(found.shape[2], -1)
        mixed = jnp.einsum("kc,kcd->kd", found, matrix).reshape(len(found), 2, -1)
        if bias is not None:
            mixed = mixed.at[self._constant(), 0].add(bias)
        return self.synthesis(mixed.transpose(2, 1, 0), shape if out is None else out)

    def coefficients(self, fields: Array) -> Array:
        """v^: (C, *grid) -> (C, 2, K), real and imaginary parts."""
        shape = fields.shape[1:]
        cosine, sine = self._matrices(shape, -1, np.arange(self.modes[-1]))
        weights = quadrature(shape[-1], self.boundary[-1])[:, None] / self._period(-1)
        matrix = np.concatenate([cosine * weights, -sine * weights], axis=1)
        found = fields.reshape(-1, shape[-1]) @ jnp.asarray(matrix, fields.dtype)
        found = found.reshape(*fields.shape[:-1], 2, -1)
        for axis in reversed(range(len(shape) - 1)):
            cosine, sine = self._matrices(shape, axis, self._symmetric(axis))
            parts = np.stack([[cosine, -sine], [sine, cosine]])
            parts = parts * quadrature(shape[axis], self.boundary[axis])[:, None]
            matrix = jnp.asarray(parts / self._period(axis), fields.dtype)
            found = jnp.einsum("...npk,pqnl->...qlk", found, matrix)
            found = found.reshape(*found.shape[:-2], -1)
        return found

    def synthesis(self, coefficients: Array, shape: tuple[int, ...]) -> Array:
        """Real function with these coefficients: (D, 2, K) -> (D, *shape)."""
        kind, found = coefficients.dtype, coefficients
        for axis in range(len(shape) - 1):
            cosine, sine = self._matrices(shape, axis, self._symmetric(axis))
            matrix = jnp.asarray(np.stack([[cosine, sine], [-sine, cosine]]), kind)
            found = found.reshape(*found.shape[:-1], 2 * self.modes[axis] - 1, -1)
            found = jnp.einsum("...plk,pqnl->...nqk", found, matrix)
        cosine, sine = self._matrices(shape, -1, np.arange(self.modes[-1]))
        # every wavenumber but zero stands for itself and its negative
        twice = np.where(np.arange(self.modes[-1]) == 0, 1.0, 2.0)
        matrix = np.concatenate([cosine * twice, -sine * twice], axis=1).T
        flat = found.reshape(-1, 2 * self.modes[-1]) @ jnp.asarray(matrix, kind)
        return flat.reshape(-1, *shape)

    def _period(self, axis: int) -> float:
        return period(self.boundary[axis], self.padding)

    def _symmetric(self, axis: int) -> np.ndarray:
        return np.arange(1 - self.modes[axis], self.modes[axis])

    def _constant(self) -> int:
        """Place of wavenumber zero among the K."""
        sizes = (*(2 * m - 1 for m in self.modes[:-1]), self.modes[-1])
        return int(np.ravel_multi_index((*(m - 1 for m in self.modes[:-1]), 0), sizes))

    def _matrices(self, shape: tuple[int, ...], axis: int, wavenumbers: np.ndarray) -> np.ndarray:
        return _waves(shape[axis], wavenumbers, self.boundary[axis], self._period(axis))
