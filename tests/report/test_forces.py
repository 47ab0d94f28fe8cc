"""Forces on a body against the divergence theorem."""

import numpy as np
import pytest
import sympy as sp

import pinnkit as pk
from pinnkit.errors import OptionError
from pinnkit.report.forces import force

x, y = pk.coordinates("x y")
u, v, p = (pk.field(name, x, y) for name in "uvp")
NU = 0.3
BODY = pk.Ellipse(x=0.2, y=-0.1, radii=(0.4, 0.2), name="body")
EXACT = {u: y**2 + sp.sin(x), v: x * y - y * sp.cos(x), p: 2 * x + sp.exp(y)}


def flow():
    """div U = x and U arbitrary; equations are written so that the exact fields hold."""
    a, b, c = EXACT.values()
    domain = pk.Box(x=(-1, 1), y=(-1, 1)) - BODY
    conditions = [
        pk.Equation(pk.laplacian(u) - p.diff(x) - (a.diff(x, 2) + a.diff(y, 2) - c.diff(x))),
        pk.Equation(pk.laplacian(v) - p.diff(y) - (b.diff(x, 2) + b.diff(y, 2) - c.diff(y))),
        pk.Equation(u.diff(x) + v.diff(y) - a.diff(x) - b.diff(y)),
        pk.Dirichlet(u, a),
        pk.Dirichlet(v, b),
        pk.Integral(p, 0),
    ]
    return pk.Problem(name="flow", domain=domain, conditions=conditions, exact=EXACT)


def test_force_is_the_integral_of_the_divergence_of_the_stress():
    found = force(pk.solve(flow(), pk.Exact()), "body", NU)
    a, b, c = EXACT.values()
    stress = -c * sp.eye(2) + NU * sp.Matrix(
        [[2 * a.diff(x), a.diff(y) + b.diff(x)], [a.diff(y) + b.diff(x), 2 * b.diff(y)]]
    )
    points, weights = BODY.interior.quadrature(30)
    for i in (0, 1):
        density = sp.lambdify((x, y), stress[i, 0].diff(x) + stress[i, 1].diff(y), "numpy")
        assert found[i] == pytest.approx(weights @ (density(*points.T) + 0.0 * points[:, 0]))
    assert np.isfinite(found).all()


def test_fields_are_asked_for_by_name():
    with pytest.raises(OptionError, match="Name the fields"):
        force(pk.solve(flow(), pk.Exact()), "body", NU, pressure="q")
