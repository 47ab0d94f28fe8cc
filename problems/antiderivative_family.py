"""Antiderivative, ds/dx = u(x) with s(0) = 0 on [0, 1], for random u.

u is Gaussian of covariance exp(-(x - x')^2 / (2 l^2)), l = 0.2: Lu, Jin, Pang, Zhang and
Karniadakis, "Learning nonlinear operators via DeepONet" (Nat. Mach. Intell. 3, 2021).
"""

from sympy import Eq

from pinnkit import (
    Box,
    Equation,
    Initial,
    Problem,
    SquaredExponential,
    coordinates,
    field,
    input_function,
)

x = coordinates("x")
s = field("s", x)
u = input_function("u", x, law=SquaredExponential(0.2))

problem = Problem(
    name="antiderivative_family",
    domain=Box(x=(0, 1), time="x"),
    conditions=[Equation(Eq(s.diff(x), u), name="slope"), Initial(s, 0)],
)
