"""Kuramoto–Sivashinsky, u_t + u u_x + u_xx + u_xxxx = 0, periodic on [0, 22]: small but chaotic.

Cvitanović, Davidchack and Siminos, "On the state space geometry of the Kuramoto–Sivashinsky flow
in a periodic domain" (SIAM J. Appl. Dyn. Syst. 9, 2010). The largest Lyapunov exponent is about
0.048, a Lyapunov time of 21 (0.043 is quoted as well). The two waves of the initial state have no
centre of odd symmetry in common, which the equation would keep.
"""

from sympy import Eq, cos, pi

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field

t, x = coordinates("t x")
u = field("u", t, x)


def problem(end=200):
    """The problem up to t = `end`."""
    rate = -u * u.diff(x) - u.diff(x, 2) - u.diff(x, 4)
    return Problem(
        name="ks_l22",
        domain=Box(t=(0, end), x=(0, 22), time="t"),
        conditions=[
            Equation(Eq(u.diff(t), rate), name="kuramoto-sivashinsky"),
            Initial(u, cos(pi * x / 11) + cos(2 * pi * x / 11)),
            Periodic(x),
        ],
    )
