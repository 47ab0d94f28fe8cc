"""Decaying flow on a torus: Navier–Stokes in vorticity and streamfunction, Re 100.

w_t + u w_x + v w_y = nu (w_xx + w_yy), -(psi_xx + psi_yy) = w, (u, v) = (psi_y, -psi_x), periodic
on [0, 2 pi]^2. Viscosity, box and a largest speed of about 3 at wave numbers of about 2 follow
Wang, Sankaran and Perdikaris, "Respecting causality for training PINNs" (Comput. Methods Appl.
Mech. Eng. 421, 2024); they start from a stored random field, this file from four waves of three
lengths, whose sum is no steady flow.
"""

from sympy import Eq, Rational, cos, pi, sin

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
nu = parameter("nu", 0.01)

stirred = sin(x + y) + cos(2 * x - 1) / 2 + sin(2 * x - y) / 2 + Rational(2, 5) * cos(x + 2 * y + 2)
advection = psi.diff(y) * w.diff(x) - psi.diff(x) * w.diff(y)

problem = Problem(
    name="ns_torus",
    domain=Box(t=(0, 1), x=(0, 2 * pi), y=(0, 2 * pi), time="t"),
    conditions=[
        Equation(Eq(w.diff(t) + advection, nu * laplacian(w, x, y)), name="vorticity"),
        Equation(Eq(-laplacian(psi, x, y), w), name="streamfunction"),
        Initial(w, -(stirred.diff(x, 2) + stirred.diff(y, 2))),
        Periodic(x),
        Periodic(y),
        Integral(psi, 0),
    ],
    scales={w: 8, psi: 2},
)
