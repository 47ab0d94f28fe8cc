"""Decaying Taylor–Green vortices in vorticity and streamfunction, periodic in x and y.

w_t + u w_x + v w_y = nu (w_xx + w_yy), -(psi_xx + psi_yy) = w, (u, v) = (psi_y, -psi_x). Exact:
psi = cos(x) cos(y) F and w = 2 psi with F = exp(-2 nu t). Taylor and Green (Proc. R. Soc. A 158,
1937). The integral fixes the constant of psi. taylor_green is the same flow by velocity and
pressure.
"""

from sympy import Eq, cos, exp, pi

from pinnkit import (
    Box,
    Equation,
    Initial,
    Integral,
    Periodic,
    Problem,
    coordinates,
    field,
    laplacian,
    parameter,
)

t, x, y = coordinates("t x y")
w, psi = field("w", t, x, y), field("psi", t, x, y)
nu = parameter("nu", 0.1)
vortices = cos(x) * cos(y)
decay = exp(-2 * nu * t)
advection = psi.diff(y) * w.diff(x) - psi.diff(x) * w.diff(y)

problem = Problem(
    name="taylor_green_vorticity",
    domain=Box(t=(0, 1), x=(0, 2 * pi), y=(0, 2 * pi), time="t"),
    conditions=[
        Equation(Eq(w.diff(t) + advection, nu * laplacian(w, x, y)), name="vorticity"),
        Equation(Eq(-laplacian(psi, x, y), w), name="streamfunction"),
        Initial(w, 2 * vortices),
        Periodic(x),
        Periodic(y),
        Integral(psi, 0),
    ],
    exact={w: 2 * vortices * decay, psi: vortices * decay},
)
