"""Double well of Razavy, -psi'' + (zeta cosh 2x - M)^2 psi = E psi, cut off at |x| = 4.

Two minima where cosh 2x = M/zeta. For whole M the lowest M levels are known; for M = 3

    E = zeta^2 + 7 - 2 sqrt(1 + 4 zeta^2),  zeta^2 + 5,  zeta^2 + 7 + 2 sqrt(1 + 4 zeta^2).

Razavy, Am. J. Phys. 48 (1980) 285-288. The cut changes these states by less than round-off.
"""

from sympy import Eq, cosh

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, eigenvalue, field, parameter

x = coordinates("x")
psi = field("psi", x)
E = eigenvalue("E")
zeta, M = parameter("zeta", 0.2), parameter("M", 3)

problem = Problem(
    name="well_double",
    domain=Box(x=(-4, 4)),
    conditions=[
        Equation(Eq(-psi.diff(x, 2) + (zeta * cosh(2 * x) - M) ** 2 * psi, E * psi)),
        Dirichlet(psi, 0),
    ],
)
