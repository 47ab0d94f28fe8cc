"""Steady Navier–Stokes behind a grid, (u·grad) u + grad p = lap u / Re, div u = 0: Kovasznay flow.

Exact, with l = Re/2 - sqrt(Re^2/4 + 4 pi^2): u = 1 - exp(l x) cos(2 pi y),
v = l/(2 pi) exp(l x) sin(2 pi y), p = (1 - exp(2 l x))/2. Kovasznay, "Laminar flow behind a
two-dimensional grid" (Proc. Camb. Phil. Soc. 44, 1948). The integral fixes the constant of p.
"""

from sympy import Eq, Rational, cos, exp, pi, sin, sqrt

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Integral,
    Problem,
    coordinates,
    div,
    field,
    laplacian,
    parameter,
)

x, y = coordinates("x y")
u, v, p = field("u", x, y), field("v", x, y), field("p", x, y)
Re = parameter("Re", 20)
(x0, x1), (y0, y1) = (-Rational(1, 2), 1), (-Rational(1, 2), Rational(3, 2))

rate = Re / 2 - sqrt(Re**2 / 4 + 4 * pi**2)
u_exact = 1 - exp(rate * x) * cos(2 * pi * y)
v_exact = rate / (2 * pi) * exp(rate * x) * sin(2 * pi * y)
p_exact = (1 - exp(2 * rate * x)) / 2
p_total = (y1 - y0) * ((x1 - x0) / 2 - (exp(2 * rate * x1) - exp(2 * rate * x0)) / (4 * rate))


def momentum(w, p_w):
    """Momentum along one axis: advection + pressure gradient = friction."""
    return Eq(u * w.diff(x) + v * w.diff(y) + p_w, laplacian(w) / Re)


problem = Problem(
    name="kovasznay",
    domain=Box(x=(x0, x1), y=(y0, y1)),
    conditions=[
        Equation(momentum(u, p.diff(x)), name="momentum x"),
        Equation(momentum(v, p.diff(y)), name="momentum y"),
        Equation(Eq(div((u, v), x, y), 0), name="continuity"),
        Dirichlet(u, u_exact),
        Dirichlet(v, v_exact),
        Integral(p, p_total),
    ],
    exact={u: u_exact, v: v_exact, p: p_exact},
)
