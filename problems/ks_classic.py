"""Kuramoto–Sivashinsky, u_t + u u_x + u_xx + u_xxxx = 0, periodic on [0, 32 pi].

From cos(x/16) (1 + sin(x/16)): Kassam and Trefethen, "Fourth-order time-stepping for stiff PDEs"
(SIAM J. Sci. Comput. 26, 2005), who go to t = 150; chaos sets in at about t = 50.
"""

from sympy import Eq, cos, pi, sin

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field

t, x = coordinates("t x")
u = field("u", t, x)


def problem(end=50):
    """The problem up to t = `end`."""
    rate = -u * u.diff(x) - u.diff(x, 2) - u.diff(x, 4)
    return Problem(
        name="ks_classic",
        domain=Box(t=(0, end), x=(0, 32 * pi), time="t"),
        conditions=[
            Equation(Eq(u.diff(t), rate), name="kuramoto-sivashinsky"),
            Initial(u, cos(x / 16) * (1 + sin(x / 16))),
            Periodic(x),
        ],
    )
