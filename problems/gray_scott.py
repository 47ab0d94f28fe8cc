"""Gray-Scott reaction and diffusion in one dimension: a pulse divides.

u_t = Du u_xx - u v^2 + F (1 - u),  v_t = Dv v_xx + u v^2 - (F + k) v, periodic on [-1, 1].
Pearson, "Complex patterns in a simple system", Science 261 (1993); in the form of Wang et al.,
"An expert's guide to training physics-informed neural networks" (2023), in one dimension.
"""

from sympy import Eq, Rational, exp

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u, v = field("u", t, x), field("v", t, x)
Du, Dv = parameter("Du", 2e-4), parameter("Dv", 1e-4)
F, k = parameter("F", 0.04), parameter("k", 0.06)

pulse = exp(-80 * (x + Rational(1, 20)) ** 2)

problem = Problem(
    name="gray_scott",
    domain=Box(t=(0, 200), x=(-1, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), Du * u.diff(x, 2) - u * v**2 + F * (1 - u)), name="substrate"),
        Equation(Eq(v.diff(t), Dv * v.diff(x, 2) + u * v**2 - (F + k) * v), name="activator"),
        Initial(u, 1 - pulse / 2),
        Initial(v, pulse / 4),
        Periodic(x),
    ],
)
