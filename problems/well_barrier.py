"""Particle in a box with a barrier of height V0, -psi'' + V psi = E psi on [-1, 1].

V = V0 for |x| < 1/10 and 0 outside; psi = 0 at both ends. With k^2 = E, q^2 = V0 - E the even
states obey q tanh(q/10) = -k cot(9k/10), the odd ones q coth(q/10) = -k cot(9k/10): the double
well, for example Griffiths, "Introduction to Quantum Mechanics" (units hbar^2/2m = 1).
"""

from sympy import Abs, Eq, Piecewise, Rational

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, eigenvalue, field, parameter

x = coordinates("x")
psi = field("psi", x)
E = eigenvalue("E")
V0 = parameter("V0", 50)
V = Piecewise((V0, Abs(x) < Rational(1, 10)), (0, True))

problem = Problem(
    name="well_barrier",
    domain=Box(x=(-1, 1)),
    conditions=[
        Equation(Eq(-psi.diff(x, 2) + V * psi, E * psi), name="schrödinger"),
        Dirichlet(psi, 0),
    ],
)
