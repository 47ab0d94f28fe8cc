"""Burgers in the plane: a velocity that carries itself, and fronts that viscosity keeps smooth.

u_t + u u_x + v u_y = nu (u_xx + u_yy), v_t + u v_x + v v_y = nu (v_xx + v_yy), periodic on the unit
square, nu = 5e-3, as in Zeng et al., "PhyMPGN: physics-encoded message passing graph network for
spatiotemporal PDE systems" (ICLR 2025), scenario A; their random waves are replaced by six.
"""

from sympy import Eq, cos, pi, sin

from pinnkit import (
    Box,
    Equation,
    Initial,
    Periodic,
    Problem,
    coordinates,
    field,
    laplacian,
    parameter,
)

t, x, y = coordinates("t x y")
u, v = field("u", t, x, y), field("v", t, x, y)
nu = parameter("nu", 5e-3)

first = (
    sin(2 * pi * (x + y)) / 2 + cos(2 * pi * (2 * x - y)) / 4 + sin(2 * pi * (x - 3 * y) + 1) / 4
)
second = cos(2 * pi * (x - y)) / 2 + sin(2 * pi * (x + 2 * y)) / 4 + cos(2 * pi * 3 * x + 2) / 4


def carried(w):
    """The velocity along the slope of w."""
    return u * w.diff(x) + v * w.diff(y)


def problem(end=1):
    """The problem up to t = `end`."""
    return Problem(
        name="burgers_plane",
        domain=Box(t=(0, end), x=(0, 1), y=(0, 1), time="t"),
        conditions=[
            Equation(Eq(u.diff(t) + carried(u), nu * laplacian(u, x, y)), name="along x"),
            Equation(Eq(v.diff(t) + carried(v), nu * laplacian(v, x, y)), name="along y"),
            Initial(u, first),
            Initial(v, second),
            Periodic(x),
            Periodic(y),
        ],
    )
