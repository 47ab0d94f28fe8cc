"""Burgers, u_t + u u_x = nu u_xx, periodic on [0, 1], for random initial states a(x).

a is Gaussian of covariance 25^2 (-d^2/dx^2 + 5^2)^(-2) without its constant part: Li et al.,
"Fourier neural operator for parametric PDEs" (ICLR 2021), with nu = 0.01 in place of their 0.1,
so that fronts form. scale=625 and alpha=4 give the states of Wang, Wang and Perdikaris, "Learning
the solution operator of parametric PDEs with physics-informed DeepONets" (Sci. Adv. 7, 2021).
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


def problem(scale=25, alpha=2):
    """The problem for states of this scale and smoothness."""
    a = input_function("a", x, law=GaussianField(scale, tau=5, alpha=alpha, zero_mean=True))
    return Problem(
        name="burgers_family",
        domain=Box(t=(0, 1), x=(0, 1), time="t"),
        conditions=[
            Equation(Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)), name="momentum"),
            Initial(u, a),
            Periodic(x),
        ],
    )
