"""Levels of one-dimensional wells in closed form, independent of pinnkit's solvers.

A step potential on [-half, half], V = inner for |x| < a and outer beyond, psi = 0 at the ends.
Let C'' = (V - E) C with C = 1, C' = 0 and S with S = 0, S' = 1. The state is C (even) or S (odd)
inside; it must match the function that vanishes at the wall:

    even: C(a) C_out(b) + C'(a) S_out(b) = 0,   odd: S(a) C_out(b) + S'(a) S_out(b) = 0,

with b = half - a: the transcendental equations of problems/well_*.py without their poles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np

Number = Any
"""A real number of mpmath, which declares no types."""

DIGITS = 40
WIDTH = mpmath.mpf(10) ** -25


def hard_walls(count: int) -> np.ndarray:
    """-psi'' = E psi on [0, 1]: E = n^2 pi^2."""
    return (np.pi * np.arange(1, count + 1)) ** 2


def oscillator(count: int) -> np.ndarray:
    """-psi'' + x^2 psi = E psi on the line: E = 2 n + 1."""
    return 2.0 * np.arange(count) + 1


def well(count: int) -> np.ndarray:
    """problems/well_finite.py."""
    return steps(count, inner="0", outer="50", a="0.5", half="1")


def barrier(count: int) -> np.ndarray:
    """problems/well_barrier.py."""
    return steps(count, inner="50", outer="0", a="0.1", half="1")


def steps(count: int, inner: str, outer: str, a: str, half: str) -> np.ndarray:
    """The lowest `count` levels (count,), by bisection with 40 digits, as double numbers.

    Even and odd states of a symmetric well alternate, so no two roots of one parity lie closer
    than the levels of the other; the search looks for sign changes on intervals of 1/4.
    """
    with mpmath.workdps(DIGITS):
        numbers = [mpmath.mpf(s) for s in (inner, outer, a, half)]
        found: list[Number] = []
        for odd in (False, True):
            roots = _roots(_matching(*numbers, odd=odd))
            found += [next(roots) for _ in range(count)]
        return np.array([float(e) for e in sorted(found)[:count]])


def _pair(height: Number, length: Number) -> tuple[Number, Number]:
    """C and S at `length` for V - E = height: cosh and sinh of q x, the latter over q."""
    q = mpmath.sqrt(mpmath.mpc(height))
    odd = mpmath.sinh(q * length) / q if q else length
    return mpmath.re(mpmath.cosh(q * length)), mpmath.re(odd)


def _matching(inner, outer, a, half, odd: bool) -> Callable[[Number], Number]:
    def matching(energy: Number) -> Number:
        c, s = _pair(inner - energy, a)
        c_out, s_out = _pair(outer - energy, half - a)
        value, slope = (s, c) if odd else (c, (inner - energy) * s)
        return value * c_out + slope * s_out

    return matching


def _roots(function: Callable[[Number], Number]) -> Iterator[Number]:
    """Roots above 0, lowest first."""
    low, step = mpmath.mpf(0), mpmath.mpf("0.25")
    at_low = function(low)
    while True:
        high = low + step
        at_high = function(high)
        if at_low * at_high <= 0:
            yield _bisect(function, low, high, at_low)
        low, at_low = high, at_high


def _bisect(function, low: Number, high: Number, at_low: Number) -> Number:
    while high - low > WIDTH:
        middle = (low + high) / 2
        at_middle = function(middle)
        if at_low * at_middle <= 0:
            high = middle
        else:
            low, at_low = middle, at_middle
    return (low + high) / 2
