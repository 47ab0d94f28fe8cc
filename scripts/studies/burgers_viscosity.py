"""Burgers at six viscosities, by least-squares experts, against the method of lines."""

from pinnkit import LeastSquares, Lines, load
from pinnkit.study import Study, sweep

burgers = load("problems/burgers.py")
study = Study(
    "burgers_viscosity",
    sweep(burgers, experts, nu=[0.2, 0.1, 0.05, 0.03, 0.02, 0.01]),
    reference=Lines(),
)
