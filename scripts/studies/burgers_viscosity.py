"""Burgers at six viscosities, by least-squares experts, against the method of lines."""

from pinnkit import Graded, LeastSquares, Lines, Sine, load
from pinnkit.study import Study, sweep

EDGES = (-1, -0.4, -0.15, -0.06, -0.025, 0, 0.025, 0.06, 0.15, 0.4, 1)

burgers = load("problems/burgers.py")
experts = LeastSquares(Sine(100, (4.0, 2.0)), Graded(x=EDGES), slabs=12)
study = Study(
    "burgers_viscosity",
    sweep(burgers, experts, nu=[0.2, 0.1, 0.05, 0.03, 0.02, 0.01]),
    reference=Lines(),
)
