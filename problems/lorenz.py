"""Lorenz's system, x' = s (y - x), y' = x (r - z) - y, z' = x y - b z, from (1, 1, 1).

Lorenz, "Deterministic nonperiodic flow" (J. Atmos. Sci. 20, 1963), with his (s, r, b) =
(10, 28, 8/3). Nearby orbits part as exp(0.9 t), so the orbit to t = 20 needs 1e-8 all along.
"""

from sympy import Eq, Rational

from pinnkit import Box, Equation, Initial, Problem, coordinates, field, parameter

t = coordinates("t")
x, y, z = field("x", t), field("y", t), field("z", t)
s, r, b = parameter("s", 10), parameter("r", 28), parameter("b", Rational(8, 3))


def problem(end=20):
    """The problem up to t = `end`."""
    return Problem(
        name="lorenz",
        domain=Box(t=(0, end), time="t"),
        conditions=[
            Equation(Eq(x.diff(t), s * (y - x)), name="convection"),
            Equation(Eq(y.diff(t), x * (r - z) - y), name="temperature"),
            Equation(Eq(z.diff(t), x * y - b * z), name="profile"),
            Initial(x, 1),
            Initial(y, 1),
            Initial(z, 1),
        ],
        scales={x: 10, y: 10, z: 30},
    )
