"""Burgers, u_t + u u_x = nu u_xx, periodic on [0, 1], for random initial states a(x).

a is Gaussian of covariance 25^2 (-d^2/dx^2 + 5^2)^(-2) without its constant part: Li et al.,
"Fourier neural operator for parametric PDEs" (ICLR 2021), with nu = 0.01 in place of their 0.1,
so that fronts form.
"""

from sympy import Eq

from pinnkit import (
    Box,
    Equation,
    GaussianField,
    Initial,
    Periodic,
    Problem,
    coordinates,
    field,
    input_function,
    parameter,
)

t, x = coordinates("t x")
u = field("u", t, x)
nu = parameter("nu", 0.01)
a = input_function("a", x, law=GaussianField(25, tau=5, alpha=2, zero_mean=True))

problem = Problem(
    name="burgers_family",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)), name="momentum"),
        Initial(u, a),
        Periodic(x),
    ],
)
