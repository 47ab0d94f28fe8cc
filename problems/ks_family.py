"""Kuramoto-Sivashinsky, u_t + u u_x + u_xx + u_xxxx = 0, periodic, for random initial states.

Length 32 pi, where it is chaotic (Lyapunov time about 11). From any state u falls on the attractor
within some 50 units of time, so data for learning begin later: solve with `after=50`, and with
steps and points given, as no number of steps makes chaotic solutions agree for long. Kassam and
Trefethen, "Fourth-order time-stepping for stiff PDEs" (SIAM J. Sci. Comput. 26, 2005).
"""

from sympy import Eq, pi

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
)

t, x = coordinates("t x")
u = field("u", t, x)
a = input_function("a", x, law=GaussianField(1, tau=1, alpha=2, zero_mean=True, modes=30))


def problem(end=100, length=32 * pi):
    """The problem up to t = `end` on a box of this length."""
    return Problem(
        name="ks_family",
        domain=Box(t=(0, end), x=(0, length), time="t"),
        conditions=[
            Equation(Eq(u.diff(t) + u * u.diff(x) + u.diff(x, 2) + u.diff(x, 4), 0), name="ks"),
            Initial(u, a),
            Periodic(x),
        ],
    )
