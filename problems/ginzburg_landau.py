"""Complex Ginzburg–Landau, A_t = e (A_xx + A_yy) + k A - k (1 + c i) |A|^2 A, with A = u + i v.

Periodic on [-1, 1]^2 from A = (10 y + 10 i x) exp(-25 (x^2 + y^2)), k = 10, e = k/2500, c = 1.5: a
vortex winds up into a spiral. Wang, Li, Chen and Perdikaris, "PirateNets: physics-informed deep
learning with residual adaptive networks" (2024). At the ends of the period the start is below
2e-10, so that its jump there does not show.
"""

from sympy import Eq, Rational, exp

from pinnkit import (
    Box,
    Equation,
    Initial,
    Periodic,
    Problem,
    coordinates,
    field,
    laplacian,
    parameter,
)

t, x, y = coordinates("t x y")
u, v = field("u", t, x, y), field("v", t, x, y)
e, k, c = parameter("e", Rational(1, 250)), parameter("k", 10), parameter("c", Rational(3, 2))

size = u**2 + v**2
spot = exp(-25 * (x**2 + y**2))
real = e * laplacian(u, x, y) + k * u - k * size * (u - c * v)
imaginary = e * laplacian(v, x, y) + k * v - k * size * (v + c * u)

problem = Problem(
    name="ginzburg_landau",
    domain=Box(t=(0, 1), x=(-1, 1), y=(-1, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), real), name="real part"),
        Equation(Eq(v.diff(t), imaginary), name="imaginary part"),
        Initial(u, 10 * y * spot),
        Initial(v, 10 * x * spot),
        Periodic(x),
        Periodic(y),
    ],
)
