"""Short waves, -u_xx - k^2 u = f on the unit interval, u = 0 at both ends, for random sources f.

k = 40: thirteen half-waves nearly fit in (k / pi = 12.73). Waves of that length leave next to
nothing in the equation, so that residuals say little of errors: Ihlenburg and Babuska, "Finite
element solution of the Helmholtz equation with high wave number" (Comput. Math. Appl. 30, 1995).
f is Gaussian of covariance exp(-(x - x')^2 / (2 l^2)), l = 0.05.
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Problem,
    SquaredExponential,
    coordinates,
    field,
    input_function,
    parameter,
)


def problem(length=0.05):
    """The family for sources of this correlation length."""
    x = coordinates("x")
    u = field("u", x)
    k = parameter("k", 40.0)
    f = input_function("f", x, law=SquaredExponential(length))
    return Problem(
        name="helmholtz_sources_family",
        domain=Box(x=(0, 1)),
        conditions=[
            Equation(Eq(-u.diff(x, 2) - k**2 * u, f), name="waves"),
            Dirichlet(u, 0),
        ],
        scales={u: 2.5e-3},
    )
