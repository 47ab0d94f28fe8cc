"""Fisher's equation with insulated ends, u_t = D u_xx + k u (1 - u): spread and logistic growth.

R. A. Fisher, "The wave of advance of advantageous genes", Annals of Eugenics 7 (1937). The
diffusion coefficient D and the rate k are what one infers from measured densities.
"""

from sympy import Eq, Rational, cos, pi

from pinnkit import Box, Equation, Initial, Neumann, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
D = parameter("D", Rational(1, 20))
k = parameter("k", 2)

problem = Problem(
    name="reaction_diffusion",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), D * u.diff(x, 2) + k * u * (1 - u)), name="growth"),
        Initial(u, (1 + cos(2 * pi * x)) * Rational(3, 10)),
        Neumann(u, 0),
    ],
)
