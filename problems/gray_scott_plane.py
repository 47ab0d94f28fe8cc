"""Gray–Scott reaction and diffusion in the plane: spots of the activator grow and divide.

u_t = Du (u_xx + u_yy) + F (1 - u) - r u v^2, v_t = Dv (v_xx + v_yy) - k v + r u v^2, periodic on
[-1, 1]^2, (Du, Dv, F, k, r) = (0.2, 0.1, 40, 100, 1000), in the units of Wang, Li, Chen and
Perdikaris, "PirateNets: physics-informed deep learning with residual adaptive networks" (2024);
Pearson, Science 261 (1993). The two bumps of the start are cut off where they are 1e-4, so that
the first instants hold a small jump across the ends of the period.
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
Du, Dv = parameter("Du", 0.2), parameter("Dv", 0.1)
F, k, r = parameter("F", 40), parameter("k", 100), parameter("r", 1000)

a, b = Rational(1, 20), Rational(1, 50)
reaction = r * u * v**2

problem = Problem(
    name="gray_scott_plane",
    domain=Box(t=(0, 2), x=(-1, 1), y=(-1, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), Du * laplacian(u, x, y) + F * (1 - u) - reaction), name="substrate"),
        Equation(Eq(v.diff(t), Dv * laplacian(v, x, y) - k * v + reaction), name="activator"),
        Initial(u, 1 - exp(-10 * ((x + a) ** 2 + (y + b) ** 2))),
        Initial(v, exp(-10 * ((x - a) ** 2 + (y - b) ** 2))),
        Periodic(x),
        Periodic(y),
    ],
)
