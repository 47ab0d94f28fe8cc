"""Freely decaying flow on the unit torus at a high Reynolds number, for random initial vorticities.

w_t + u w_x + v w_y = (w_xx + w_yy) / Re, -(psi_xx + psi_yy) = w, (u, v) = (psi_y, -psi_x), with
Re = 1e4 and t up to 5 as in Chalapathi, Du and Krishnapriyan (ICLR 2024, arXiv:2402.13412). The
vorticity starts as a Gaussian field of covariance c^2 (-lap + 49)^(-5/2): the law of Li et al.,
"Fourier neural operator for parametric PDEs" (ICLR 2021), with c twice theirs, so that its root
mean square is about 0.3. The constant in psi is left open.
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
    laplacian,
    parameter,
)


def problem(end=5.0, amplitude=2.0):
    """The family up to t = `end`."""
    t, x, y = coordinates("t x y")
    w, psi = field("w", t, x, y), field("psi", t, x, y)
    reynolds = parameter("Re", 1e4)
    law = GaussianField(amplitude * 7**1.5, tau=7, alpha=2.5, zero_mean=True, modes=12)
    carried = psi.diff(y) * w.diff(x) - psi.diff(x) * w.diff(y)
    return Problem(
        name="decaying_vorticity_family",
        domain=Box(t=(0, end), x=(0, 1), y=(0, 1), time="t"),
        conditions=[
            Equation(Eq(w.diff(t) + carried, laplacian(w, x, y) / reynolds), name="vorticity"),
            Equation(Eq(-laplacian(psi, x, y), w), name="streamfunction"),
            Initial(w, input_function("a", x, y, law=law)),
            Periodic(x),
            Periodic(y),
        ],
        scales={w: 0.3, psi: 0.005},
    )
