"""Korteweg-de Vries, u_t + u u_x + u_xxx = 0, periodic on [0, 32], for random initial states.

The states are smooth Gaussian fields with waves of about the length of solitons; the equation in
the scaling of Kassam and Trefethen, "Fourth-order time-stepping for stiff PDEs" (SIAM J. Sci.
Comput. 26, 2005).
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
dispersion = parameter("dispersion", 1)
a = input_function("a", x, law=GaussianField(0.3, tau=0.5, alpha=4, zero_mean=True, modes=16))


def problem(end=10, length=32):
    """The problem up to t = `end` on a box of this length."""
    return Problem(
        name="kdv_family",
        domain=Box(t=(0, end), x=(0, length), time="t"),
        conditions=[
            Equation(Eq(u.diff(t) + u * u.diff(x) + dispersion * u.diff(x, 3), 0), name="kdv"),
            Initial(u, a),
            Periodic(x),
        ],
    )
