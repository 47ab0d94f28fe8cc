"""Square well or barrier in a unit box, -psi'' + V psi = E psi on [0, 1], psi = 0 at both ends.

V = V_in for |x - 1/2| < a and V_out outside; a well for V_in < V_out, a barrier for V_in > V_out.
With k^2 = E - V_in and q^2 = V_out - E the even states of a well obey
k tan(k a) = q coth(q (1/2 - a)), the odd ones -k cot(k a) = q coth(q (1/2 - a)). Griffiths,
"Introduction to Quantum Mechanics", section 2.6 (units hbar^2/2m = 1), inside hard outer walls.
"""

from sympy import Abs, Eq, Piecewise, Rational

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, eigenvalue, field, parameter

x = coordinates("x")
psi = field("psi", x)
E = eigenvalue("E")
V_in, V_out, a = parameter("V_in", 0), parameter("V_out", 50), parameter("a", 0.25)
V = Piecewise((V_in, Abs(x - Rational(1, 2)) < a), (V_out, True))

problem = Problem(
    name="well_unit",
    domain=Box(x=(0, 1)),
    conditions=[
        Equation(Eq(-psi.diff(x, 2) + V * psi, E * psi), name="schrödinger"),
        Dirichlet(psi, 0),
    ],
)
