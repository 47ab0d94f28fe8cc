"""Layers inside networks that satisfy the equations themselves, by a differentiable solve."""

from pinnkit.methods.constraint.jaxopt_levenberg import JaxoptLevenberg as JaxoptLevenberg
from pinnkit.methods.constraint.layer import ConstraintLayer as ConstraintLayer
from pinnkit.methods.constraint.optimistix_levenberg import (
    OptimistixLevenberg as OptimistixLevenberg,
)
from pinnkit.methods.constraint.options import HardConstraint as HardConstraint
from pinnkit.methods.constraint.options import SoftConstraint as SoftConstraint
from pinnkit.methods.constraint.solvers import OwnLevenberg as OwnLevenberg
