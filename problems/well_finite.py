"""Particle in a well of depth V0, -psi'' + V psi = E psi on [-1, 1], psi = 0 at both ends.

V = 0 for |x| < 1/2 and V0 outside. With k^2 = E, q^2 = V0 - E the even states obey
k tan(k/2) = q coth(q/2), the odd ones -k cot(k/2) = q coth(q/2). Griffiths, "Introduction to
Quantum Mechanics", section 2.6 (units hbar^2/2m = 1), here inside hard outer walls.
"""

from sympy import Abs, Eq, Piecewise, Rational

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, eigenvalue, field, parameter

x = coordinates("x")
psi = field("psi", x)
E = eigenvalue("E")
V0 = parameter("V0", 50)
V = Piecewise((0, Abs(x) < Rational(1, 2)), (V0, True))

problem = Problem(
    name="well_finite",
    domain=Box(x=(-1, 1)),
    conditions=[
        Equation(Eq(-psi.diff(x, 2) + V * psi, E * psi), name="schrödinger"),
        Dirichlet(psi, 0),
    ],
)
