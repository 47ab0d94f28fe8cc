"""Pendulum under a random force, s1' = s2 and s2' = -k sin(s1) + u(t) from rest, t in [0, 1].

u is Gaussian of covariance exp(-(t - t')^2 / (2 l^2)), l = 0.2: Lu, Jin, Pang, Zhang and
Karniadakis, "Learning nonlinear operators via DeepONet" (Nat. Mach. Intell. 3, 2021).
"""

from sympy import Eq, sin

from pinnkit import (
    Box,
    Equation,
    Initial,
    Problem,
    SquaredExponential,
    coordinates,
    field,
    input_function,
    parameter,
)

t = coordinates("t")
angle, speed = field("angle", t), field("speed", t)
k = parameter("k", 1)
u = input_function("u", t, law=SquaredExponential(0.2))


def problem(end=1):
    """The problem up to t = `end`."""
    return Problem(
        name="pendulum_family",
        domain=Box(t=(0, end), time="t"),
        conditions=[
            Equation(Eq(angle.diff(t), speed), name="angle"),
            Equation(Eq(speed.diff(t), u - k * sin(angle)), name="speed"),
            Initial(angle, 0),
            Initial(speed, 0),
        ],
    )
