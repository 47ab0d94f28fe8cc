"""Exponential time differencing of fourth order (ETDRK4) for v' = L v + N(v, t)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax import Array

CONTOUR_POINTS, TAYLOR = 64, 12


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


def dense_coefficients(rates: Array, h: Array) -> Coefficients:
    """Coefficients for one dense matrix `rates` (n, n), traced: for batches of matrices.

    Scaling and doubling of phi_k(z) = sum_j z^j / (j + k)!:

        phi_0(2z) = phi_0^2,                    phi_1(2z) = (phi_0 phi_1 + phi_1) / 2,
        phi_2(2z) = (phi_1^2 + 2 phi_2) / 4,    phi_3(2z) = (phi_1 phi_2 + phi_2 + 2 phi_3) / 8

    (Skaflestad and Wright, Appl. Numer. Math. 59, 2009, eq. 3.5).
    """
    one, z = jnp.eye(rates.shape[0], dtype=rates.dtype), h * rates
    times = functools.partial(jnp.matmul, precision="highest")
    size = jnp.abs(z).sum(axis=1).max()
    doublings = jnp.maximum(jnp.ceil(jnp.log2(jnp.maximum(size, 1e-300))), 0).astype(int) + 1
    z = z / 2.0**doublings
    three = one / math.factorial(TAYLOR + 3)
    for j in range(TAYLOR - 1, -1, -1):
        three = times(z, three) + one / math.factorial(j + 3)
    two = times(z, three) + one / 2
    first = times(z, two) + one
    phis = (times(z, first) + one, first, two, three)

    def double(_: Any, phis: tuple[Array, ...]) -> tuple[Array, ...]:
        zero, one, two, three = phis
        return (
            times(zero, zero),
            (times(zero, one) + one) / 2,
            (times(one, one) + 2 * two) / 4,
            (times(one, two) + two + 2 * three) / 8,
        )

    half = jax.lax.fori_loop(0, doublings - 1, double, phis)
    full, first, second, third = double(None, half)
    return Coefficients(
        full,
        half[0],
        h * half[1] / 2,
        h * (first - 3 * second + 4 * third),
        h * (second - 2 * third),
        h * (4 * third - second),
    )


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
