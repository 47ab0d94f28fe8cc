"""Exponential time differencing of fourth order (ETDRK4) for v' = L v + N(v, t)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax import Array

CONTOUR_POINTS = 64


class Coefficients(NamedTuple):
    """Weights of one step, with the step h included; (…,) or (…, s, s) for coupled modes.

    full = exp(hL), half = exp(hL/2), stage = h phi_1(hL/2)/2, and the three weights of the
    update, in the notation of Kassam and Trefethen f1, f2, f3 times h.
    """

    full: Array
    half: Array
    stage: Array
    first: Array
    middle: Array
    last: Array


def scalar_coefficients(rates: np.ndarray, h: float) -> Coefficients:
    """Coefficients for uncoupled modes v_k' = rates_k v_k + N_k.

    Means over a circle of radius 1 around h L replace the divided differences, which cancel
    near zero (Kassam and Trefethen, SIAM J. Sci. Comput. 26, 2005, eqs. 2.5 and 2.9). The whole
    circle is used, so that complex rates (dispersion) are covered.
    """
    c = h * np.asarray(rates, complex)
    angle = 2 * np.pi * (np.arange(CONTOUR_POINTS) + 0.5) / CONTOUR_POINTS
    sums = [np.zeros_like(c) for _ in range(4)]
    for r in np.exp(1j * angle):
        z = c + r
        e = np.exp(z)
        sums[0] += np.expm1(z / 2) / z
        sums[1] += (-4 - z + e * (4 - 3 * z + z**2)) / z**3
        sums[2] += (2 + z + e * (z - 2)) / z**3
        sums[3] += (-4 - 3 * z - z**2 + e * (4 - z)) / z**3
    stage, first, middle, last = (h * s / CONTOUR_POINTS for s in sums)
    parts = (np.exp(c), np.exp(c / 2), stage, first, middle, last)
    if not np.iscomplexobj(rates):
        parts = tuple(np.real(p) for p in parts)
    return Coefficients(*(jnp.asarray(p) for p in parts))


def matrix_coefficients(rates: np.ndarray, h: float) -> Coefficients:
    """Coefficients for coupled modes, `rates` (…, s, s): one small matrix for each wavenumber.

    By eigenvectors where these are well conditioned, else by the exponential of an augmented
    matrix that holds the phi functions (Al-Mohy and Higham, SIAM J. Sci. Comput. 33, 2011,
    theorem 2.1).
    """
    s = rates.shape[-1]
    flat = np.asarray(rates, complex).reshape(-1, s, s)
    values, vectors = np.linalg.eig(flat)
    good = np.linalg.cond(vectors) < 1e3
    parts = [np.zeros_like(flat) for _ in Coefficients._fields]
    if good.any():
        inverse = np.linalg.inv(vectors[good])
        for part, f in zip(parts, scalar_coefficients(values[good], h), strict=True):
            part[good] = np.einsum("kij,kj,kjl->kil", vectors[good], np.asarray(f), inverse)
    for k in np.flatnonzero(~good):
        for part, f in zip(parts, _augmented(flat[k], h), strict=True):
            part[k] = f
    return Coefficients(*(jnp.asarray(p.reshape(rates.shape)) for p in parts))


def _augmented(rates: np.ndarray, h: float) -> tuple[np.ndarray, ...]:
    def phis(step: float) -> list[np.ndarray]:
        s = len(rates)
        big = np.zeros((4 * s, 4 * s), complex)
        big[:s, :s] = step * rates
        for i in range(3):
            big[i * s : (i + 1) * s, (i + 1) * s : (i + 2) * s] = np.eye(s)
        row = scipy.linalg.expm(big)[:s]
        return [row[:, i * s : (i + 1) * s] for i in range(4)]

    full, one, two, three = phis(h)
    half, one_half = phis(h / 2)[:2]
    stage, first = h * one_half / 2, h * (one - 3 * two + 4 * three)
    return full, half, stage, first, h * (two - 2 * three), h * (4 * three - two)


def step(
    coefficients: Coefficients, nonlinear: Callable[[Array, Array], Array], v: Array, t: Array, h
) -> Array:
    """One step of ETDRK4 (Cox and Matthews, J. Comput. Phys. 176, 2002, eqs. 26-29).

    `v` is (s, …modes); `nonlinear(v, t)` has the same shape.
    """
    c = coefficients
    times = _coupled if c.full.ndim == v.ndim + 1 else jnp.multiply
    n0 = nonlinear(v, t)
    relaxed = times(c.half, v)
    a = relaxed + times(c.stage, n0)
    na = nonlinear(a, t + h / 2)
    b = relaxed + times(c.stage, na)
    nb = nonlinear(b, t + h / 2)
    d = times(c.half, a) + times(c.stage, 2 * nb - n0)
    nd = nonlinear(d, t + h)
    return times(c.full, v) + times(c.first, n0) + 2 * times(c.middle, na + nb) + times(c.last, nd)


def _coupled(matrix: Array, v: Array) -> Array:
    return jnp.einsum("...ij,j...->i...", matrix, v, precision="highest")


def advance(
    coefficients: Coefficients,
    nonlinear: Callable[[Array, Array], Array],
    v: Array,
    start: Array,
    h: Array,
    steps: Array,
) -> Array:
    """`steps` steps of size `h` (both may be traced) from time `start`, in one compiled loop."""

    def body(i: Array, carry: Array) -> Array:
        return step(coefficients, nonlinear, carry, start + i * h, h)

    return jax.lax.fori_loop(0, steps, body, v)
