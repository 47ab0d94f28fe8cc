"""Transfinite interpolation: a closed-form function that satisfies conditions on box faces.

For the functionals l_i = h_i along one axis, let s_i be the polynomials with l_j(s_i) = delta_ij.
The projector P[g] = g + sum_i s_i (h_i - l_i[g]) satisfies them for every g. Applying the
projectors of all axes to g = 0 gives the lift; it satisfies all conditions if these agree where
faces meet (Gordon 1971; Leake & Mortari, "Deep Theory of Functional Connections", 2020).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import sympy as sp

from pinnkit.ansatz.functionals import Functional
from pinnkit.spec.symbols import Coordinate


def switching_polynomials(
    functionals: Sequence[Functional], bounds: tuple[float, float]
) -> list[sp.Expr]:
    """Polynomials s_i of lowest degree with l_j(s_i) = delta_ij, along one axis.

    They are written in the normalised coordinate, which keeps them accurate on any interval.
    """
    low, high = (sp.Rational(b) for b in bounds)
    s = (Coordinate(functionals[0].axis) - low) / (high - low)
    n = len(functionals)
    for degrees in itertools.combinations(range(n + 2), n):
        monomials = [s**k for k in degrees]
        matrix = sp.Matrix(
            n, n, lambda i, j, m=monomials: _apply(m[j], functionals[i], sp.Rational)
        )
        if matrix.det() != 0:
            inverse = matrix.inv()
            return [sp.Add(*(inverse[j, i] * monomials[j] for j in range(n))) for i in range(n)]
    raise ValueError("conditions at the ends of an axis are linearly dependent")


def lift(functionals: Sequence[Functional], bounds: Mapping[str, tuple[float, float]]) -> sp.Expr:
    """The lift of one field; the conditions along the last axis hold whatever the others say."""
    axes = list(dict.fromkeys(f.axis for f in functionals))
    result: sp.Expr = sp.S.Zero
    for axis in axes:
        own = [f for f in functionals if f.axis == axis]
        switches = switching_polynomials(own, bounds[axis])
        result = result + sp.Add(
            *(s * (f.value - _apply(result, f)) for s, f in zip(switches, own, strict=True))
        )
    return result


def _apply(expression: sp.Expr, functional: Functional, number=sp.Float) -> sp.Expr:
    """The functional of an explicit expression."""
    x = Coordinate(functional.axis)
    derivative = sp.diff(expression, x, functional.order) if functional.order else expression
    return derivative.subs(x, number(functional.place))
