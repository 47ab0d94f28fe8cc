"""Steady flow around a cylinder in a channel, Re 20: the benchmark "DFG 2D-1".

[0, 2.2] x [0, 0.41] without the disk of radius 0.05 at (0.2, 0.2); nu = 0.001, parabolic inflow
with maximum 0.3, free outflow. Schäfer & Turek, "Benchmark computations of laminar flow around a
cylinder" (1996); drag 5.57953523, lift 0.01061895, pressure difference 0.11752017.
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Disk,
    Equation,
    Neumann,
    Problem,
    coordinates,
    field,
    laplacian,
    parameter,
)

x, y = coordinates("x y")
u, v, p = (field(name, x, y) for name in "uvp")
nu = parameter("nu", 0.001)

channel = Box(x=(0, 2.2), y=(0, 0.41))
cylinder = Disk(x=0.2, y=0.2, radius=0.05, name="cylinder")

problem = Problem(
    name="channel_cylinder",
    domain=channel - cylinder,
    conditions=[
        Equation(Eq(u * u.diff(x) + v * u.diff(y) + p.diff(x), nu * laplacian(u)), name="u"),
        Equation(Eq(u * v.diff(x) + v * v.diff(y) + p.diff(y), nu * laplacian(v)), name="v"),
        Equation(Eq(u.diff(x) + v.diff(y), 0), name="continuity"),
        Dirichlet(u, 1.2 * y * (0.41 - y) / 0.41**2, on="x-"),
        Dirichlet(v, 0, on="x-"),
        Neumann(u, p / nu, on="x+", name="outflow_u"),
        Neumann(v, 0, on="x+", name="outflow_v"),
        Dirichlet(u, 0, on=("y-", "y+", "cylinder"), name="no_slip_u"),
        Dirichlet(v, 0, on=("y-", "y+", "cylinder"), name="no_slip_v"),
    ],
    scales={u: 0.3, v: 0.3, p: 0.1},
)
