"""Heat that conducts the better the hotter it is, u_t = (k(u) u_x)_x, from random initial states.

k = kappa (1 + beta u^2) between walls at zero, with u up to about 2 at first: where u is large it
flattens several times as fast as where it is small. A quasi-linear equation of the kind in J. L.
Vazquez, "The porous medium equation" (Oxford, 2007), section 1.1; beta = 0 is linear.
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    GaussianField,
    Initial,
    Problem,
    coordinates,
    field,
    input_function,
    parameter,
)


def problem(end=1.0):
    """The family up to t = `end`."""
    t, x = coordinates("t x")
    u = field("u", t, x)
    kappa, beta = parameter("kappa", 0.01), parameter("beta", 1.0)
    law = GaussianField(60.0, tau=6, alpha=2, boundary="dirichlet", modes=12)
    flux = kappa * (1 + beta * u**2) * u.diff(x)
    return Problem(
        name="nonlinear_heat_family",
        domain=Box(t=(0, end), x=(0, 1), time="t"),
        conditions=[
            Equation(Eq(u.diff(t), flux.diff(x)), name="heat"),
            Initial(u, input_function("a", x, law=law)),
            Dirichlet(u, 0),
        ],
    )
