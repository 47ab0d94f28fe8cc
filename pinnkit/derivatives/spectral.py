"""Fourier derivatives, interpolation factors and dealiased products on periodic axes."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array


def wavenumbers(n: int, length: float, real: bool = True) -> np.ndarray:
    """Angular wavenumbers 2 pi k / length in the order of `rfft` (or `fft`), shape (modes,)."""
    spacing = length / n
    frequency = np.fft.rfftfreq(n, spacing) if real else np.fft.fftfreq(n, spacing)
    return 2 * math.pi * frequency


def symbol(n: int, length: float, order: int, real: bool = True) -> np.ndarray:
    """Multiplier (i k)^order per mode; zero at the Nyquist mode of even n when the order is odd.

    The Nyquist mode cos(n x / 2) has a sine as odd derivative, which vanishes at every node
    (Trefethen, Spectral Methods in MATLAB, 2000, chapter 3).
    """
    multiplier = (1j * wavenumbers(n, length, real)) ** order
    if n % 2 == 0 and order % 2 == 1:
        multiplier[n // 2] = 0.0
    return multiplier


def derivative(values: Array, axis: int, order: int, length: float) -> Array:
    """d^order(values)/dx^order along a periodic `axis` with nodes lo + length * j / n.

    Exact for trigonometric polynomials below the Nyquist mode; real or complex values of any
    shape, the result has the same shape.
    """
    if order == 0:
        return values
    n, real = values.shape[axis], not jnp.iscomplexobj(values)
    multiplier = along(symbol(n, length, order, real), axis, values.ndim)
    if real:
        modes = jnp.fft.rfft(values, axis=axis)
        return jnp.fft.irfft(modes * multiplier.astype(modes.dtype), n, axis=axis)
    modes = jnp.fft.fft(values, axis=axis)
    return jnp.fft.ifft(modes * multiplier.astype(modes.dtype), axis=axis)


def along(vector: np.ndarray, axis: int, ndim: int) -> Array:
    """Reshape (n,) so that it broadcasts along `axis` of an array with `ndim` dimensions."""
    shape = [1] * ndim
    shape[axis] = vector.shape[0]
    return jnp.asarray(vector).reshape(shape)


def resample(values: Array, axis: int, n: int) -> Array:
    """Trigonometric interpolation (or truncation) from the nodes of `axis` to n nodes.

    Real values. Going up, half of the Nyquist mode goes to either sign, so that the
    interpolant stays real and passes through the old nodes.
    """
    old = values.shape[axis]
    if n == old:
        return values
    modes = jnp.moveaxis(jnp.fft.rfft(values, axis=axis), axis, -1)
    kept = min(old, n) // 2 + 1
    modes = modes[..., :kept]
    if min(old, n) % 2 == 0:
        factor = np.ones(kept)
        factor[-1] = 0.5 if n > old else 2.0
        modes = modes * factor.reshape((1,) * (modes.ndim - 1) + (kept,))
    return jnp.moveaxis(jnp.fft.irfft(modes, n, axis=-1) * (n / old), -1, axis)


def dealias_mask(shape: Sequence[int], axes: Sequence[int]) -> np.ndarray:
    """1 for |k| < n/3 on every axis of an `rfftn` over `axes`, 0 above, shape of the transform.

    The 2/3 rule: quadratic products of fields so truncated have no aliasing error in the kept
    modes (Orszag, J. Atmos. Sci. 28, 1971, 1074).
    """
    mask = np.ones([1] * len(shape))
    for axis in axes:
        n = shape[axis]
        last = axis == axes[-1]
        index = np.arange(n // 2 + 1) if last else np.abs(np.fft.fftfreq(n, 1 / n))
        keep = (index < n / 3).astype(float)
        extent = [1] * len(shape)
        extent[axis] = keep.size
        mask = mask * keep.reshape(extent)
    return mask


def dealias(values: Array, axes: Sequence[int]) -> Array:
    """Values with the upper third of the modes removed along `axes` (2/3 rule)."""
    axes = tuple(axis % values.ndim for axis in axes)
    mask = jnp.asarray(dealias_mask(values.shape, axes), values.real.dtype)
    sizes = [values.shape[axis] for axis in axes]
    return jnp.fft.irfftn(jnp.fft.rfftn(values, axes=axes) * mask, sizes, axes=axes)


def dealiased_product(factors: Sequence[Array], axes: Sequence[int]) -> Array:
    """Product of two real fields on a periodic grid, free of aliasing in the modes below n/3.

    Both factors are truncated, multiplied and truncated again. For three factors and more the
    product is formed pairwise, each partial product being truncated.
    """
    result = dealias(factors[0], axes)
    for factor in factors[1:]:
        result = dealias(result * dealias(factor, axes), axes)
    return result
