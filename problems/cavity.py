"""Steady flow in a square cavity whose lid moves: (u·grad) u + grad p = lap u / Re, div u = 0.

The lid's speed 16 x^2 (1 - x)^2 vanishes smoothly in the corners, so that the flow is regular:
Shih, Tan and Hwang (Int. J. Numer. Methods Fluids 9, 1989); Bruneau and Saad (Comput. Fluids 35,
2006) for the unit lid. The integral fixes the constant of p.
"""

from sympy import Eq

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
Re = parameter("Re", 100)


def momentum(w, p_w):
    """Momentum along one axis: advection + pressure gradient = friction."""
    return Eq(u * w.diff(x) + v * w.diff(y) + p_w, laplacian(w) / Re)


problem = Problem(
    name="cavity",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(momentum(u, p.diff(x)), name="momentum x"),
        Equation(momentum(v, p.diff(y)), name="momentum y"),
        Equation(Eq(div((u, v), x, y), 0), name="continuity"),
        Dirichlet(u, 16 * x**2 * (1 - x) ** 2, on="y+", name="lid"),
        Dirichlet(u, 0, on=("x-", "x+", "y-"), name="walls"),
        Dirichlet(v, 0, on=("x-", "x+", "y-", "y+"), name="no flow through"),
        Integral(p, 0),
    ],
)
