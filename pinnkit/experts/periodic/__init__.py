"""Space-time experts for evolution on periodic axes: Fourier in space, Chebyshev in time."""

from pinnkit.experts.periodic.march import Periodic, PeriodicMarch, solve_periodic, suits
from pinnkit.experts.periodic.mixture import TensorMixture

__all__ = ["Periodic", "PeriodicMarch", "TensorMixture", "solve_periodic", "suits"]
