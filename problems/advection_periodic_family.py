"""Advection, s_t + c s_x = 0, periodic on [0, 1], for random initial states a(x).

The exact solution is a(x - c t). a is Gaussian of covariance 25^2 (-d^2/dx^2 + 5^2)^(-2) without
its constant part: the simplest of the families in Lu, Jin, Pang, Zhang and Karniadakis, "Learning
nonlinear operators via DeepONet" (Nat. Mach. Intell. 3, 2021), with the states of Li et al.,
"Fourier neural operator for parametric PDEs" (ICLR 2021).
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
s = field("s", t, x)
c = parameter("c", 1)
a = input_function("a", x, law=GaussianField(25, tau=5, alpha=2, zero_mean=True))

problem = Problem(
    name="advection_periodic_family",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(s.diff(t) + c * s.diff(x), 0), name="advection"),
        Initial(s, a),
        Periodic(x),
    ],
)
