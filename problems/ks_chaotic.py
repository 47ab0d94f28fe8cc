"""Kuramoto–Sivashinsky, u_t + a u u_x + b u_xx + g u_xxxx = 0, in its chaotic regime.

Periodic on [0, 2 pi] from cos(x) (1 + sin(x)), (a, b, g) = (100/16, 100/16^2, 100/16^4): Wang,
Sankaran and Perdikaris, "Respecting causality for training PINNs" (Comput. Methods Appl. Mech.
Eng. 421, 2024). It is ks_classic with lengths in units of 16 and times in units of 100.
"""

from sympy import Eq, Rational, cos, pi, sin

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
a = parameter("a", Rational(100, 16))
b = parameter("b", Rational(100, 16**2))
g = parameter("g", Rational(100, 16**4))
rate = -a * u * u.diff(x) - b * u.diff(x, 2) - g * u.diff(x, 4)


def problem(end=1):
    """The problem up to t = `end`."""
    return Problem(
        name="ks_chaotic",
        domain=Box(t=(0, end), x=(0, 2 * pi), time="t"),
        conditions=[
            Equation(Eq(u.diff(t), rate), name="kuramoto-sivashinsky"),
            Initial(u, cos(x) * (1 + sin(x))),
            Periodic(x),
        ],
    )
