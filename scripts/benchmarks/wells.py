"""Levels of wells and membranes, independent of pinnkit's solvers.

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
from scipy import special
from scipy.optimize import brentq

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


def well_in_unit_box(count: int) -> np.ndarray:
    """problems/well_unit.py."""
    return steps(count, inner="0", outer="50", a="0.25", half="0.5")


def quartic(count: int) -> np.ndarray:
    """-psi'' + x^4 psi = E psi: Bender and Orszag, section 10.5."""
    known = [1.0603620904841829, 3.7996730298013942, 7.4556979379867384, 11.6447455113781620]
    return np.array(known[:count])


def razavy(count: int) -> np.ndarray:
    """problems/well_double.py, where three levels are algebraic."""
    square = 0.2**2
    root = 2 * np.sqrt(1 + 4 * square)
    return (square + np.array([7 - root, 5, 7 + root]))[:count]


def mathieu(count: int) -> np.ndarray:
    """a_0 < b_1 < a_1 < b_2 < ... for q = 5."""
    pairs = [(special.mathieu_b(n, 5), special.mathieu_a(n, 5)) for n in range(1, count)]
    return np.array([special.mathieu_a(0, 5), *np.ravel(pairs)])[:count]


def annulus(count: int) -> np.ndarray:
    """problems/sturm_liouville.py for m = 1: a cross product of Bessel functions."""

    def cross(k: float) -> float:
        return special.j1(k) * special.yvp(1, 2 * k) - special.y1(k) * special.jvp(1, 2 * k)

    grid = np.linspace(0.3, 4.0 * count, 80 * count)
    signs = np.sign([cross(k) for k in grid])
    at = np.nonzero(signs[1:] * signs[:-1] < 0)[0][:count]
    return np.square([brentq(cross, grid[i], grid[i + 1], xtol=1e-14) for i in at])


def square_membrane(count: int) -> np.ndarray:
    """(pi/2)^2 (m^2 + n^2)."""
    squares = np.arange(1, count + 1) ** 2
    return np.sort(np.add.outer(squares, squares).ravel())[:count] * np.pi**2 / 4


def drum(count: int) -> np.ndarray:
    """Squares of the zeros of the Bessel functions, twice for m > 0."""
    found = [np.repeat(special.jn_zeros(m, count) ** 2, 1 + (m > 0)) for m in range(count + 1)]
    return np.sort(np.concatenate(found))[:count]


def condensate(count: int) -> np.ndarray:
    """problems/gross_pitaevskii.py: Newton's method on 160 sines, from Thomas and Fermi's state."""
    modes, nodes, half, beta = 160, 480, 10.0, 100.0
    n = np.arange(1, modes + 1)
    s = (np.arange(nodes) + 0.5) / nodes
    sines = np.sqrt(1 / half) * np.sin(np.pi * np.outer(s, n))
    weight = 2 * half / nodes
    trap = 0.5 * (2 * half * s - half) ** 2
    linear = np.diag(0.5 * (n * np.pi / (2 * half)) ** 2)
    linear += weight * sines.T @ (trap[:, None] * sines)
    mu = (9 * beta**2 / 32) ** (1 / 3)
    c = weight * sines.T @ np.sqrt(np.maximum(mu - trap, 0) / beta)
    for _ in range(30):
        square = weight * beta * (sines @ c) ** 2
        force = linear + sines.T @ (square[:, None] * sines)
        system = np.zeros((modes + 1, modes + 1))
        system[:-1, :-1] = 3 * force - 2 * linear - mu * np.eye(modes)
        system[:-1, -1] = system[-1, :-1] = -c
        right = np.append(mu * c - force @ c, 0.5 * (c @ c - 1))
        step = np.linalg.solve(system, right)
        c, mu = c + step[:-1], mu + step[-1]
    return np.array([mu])[:count]


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
