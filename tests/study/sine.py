"""One small problem with a parameter and a closed form, for every study."""

import sympy as sp

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, parameter

x = coordinates("x")
u, k = field("u", x), parameter("k", 1)
PROBLEM = Problem(
    "sine",
    Box(x=(0, 1)),
    [
        Equation(u.diff(x, 2) + (sp.pi * k) ** 2 * u),
        Dirichlet(u, 0, on="x-"),
        Dirichlet(u, sp.sin(sp.pi * k), on="x+"),
    ],
    exact={u: sp.sin(sp.pi * k * x)},
)
