"""Decaying Taylor–Green vortices: unsteady Navier–Stokes, periodic in x and y.

Exact: u = -cos(x) sin(y) F, v = sin(x) cos(y) F, p = -(cos(2x) + cos(2y)) F^2 / 4, where
F = exp(-2 nu t). Taylor and Green (Proc. R. Soc. A 158, 1937). The integral fixes p's constant.
"""

from sympy import Eq, cos, exp, pi, sin

from pinnkit import (
    Box,
    Equation,
    Initial,
    Integral,
    Periodic,
    Problem,
    coordinates,
    div,
    field,
    laplacian,
    parameter,
)

t, x, y = coordinates("t x y")
u, v, p = field("u", t, x, y), field("v", t, x, y), field("p", t, x, y)
nu = parameter("nu", 0.1)
decay = exp(-2 * nu * t)


def momentum(w, p_w):
    """Momentum along one axis: acceleration + advection + pressure gradient = friction."""
    return Eq(w.diff(t) + u * w.diff(x) + v * w.diff(y) + p_w, nu * laplacian(w, x, y))


problem = Problem(
    name="taylor_green",
    domain=Box(t=(0, 1), x=(0, 2 * pi), y=(0, 2 * pi), time="t"),
    conditions=[
        Equation(momentum(u, p.diff(x)), name="momentum x"),
        Equation(momentum(v, p.diff(y)), name="momentum y"),
        Equation(Eq(div((u, v), x, y), 0), name="continuity"),
        Initial(u, -cos(x) * sin(y)),
        Initial(v, sin(x) * cos(y)),
        Periodic(x),
        Periodic(y),
        Integral(p, 0),
    ],
    exact={
        u: -cos(x) * sin(y) * decay,
        v: sin(x) * cos(y) * decay,
        p: -(cos(2 * x) + cos(2 * y)) * decay**2 / 4,
    },
)
