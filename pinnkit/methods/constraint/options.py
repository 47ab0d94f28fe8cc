"""Options of the constraint layer."""

from __future__ import annotations

import dataclasses

from pinnkit.errors import OptionError
from pinnkit.methods.constraint.solvers import InnerSolver, OwnLevenberg


@dataclasses.dataclass(frozen=True)
class HardConstraint:
    """A layer that makes a network's outputs a basis, whose coefficients satisfy the equations.

    On each part of the grid its own: the residuals of the equations and conditions are minimised in
    least squares over the coefficients of `basis` functions of every field, for every input
    function anew, inside the network.

    - `basis`: number of functions of each field.
    - `experts`: number of parts along each axis of the grid, in its order; () for one.
    - `shared`: whether every expert sees all conditions, also on faces that its part does not touch
      (its functions go on beyond the part); without, such experts need seams to know of them.
    - `seam`: weight of the jumps of values and slopes between parts, 0 for none.
    - `overlap`: by how much of its length a part goes on beyond its ends, 0 to 1/2. Each expert
      then is found on the longer part, and fields are means weighted by a partition of unity.
    - `shrink`: weight of the squares of the coefficients' distances from where they begin.
    - `solver`: who minimises; `OwnLevenberg(steps, tolerance)`, `OptimistixLevenberg(...)` or
      `JaxoptLevenberg(...)`.
    - `full`: second derivatives of the residuals in the derivative of the solution; else Gauss and
      Newton's matrix.

    Source: Chalapathi, Du and Krishnapriyan, "Scaling physics-informed hard constraints with
    mixture-of-experts", ICLR 2024, arXiv:2402.13412; there without seams.

    Raises OptionError for values out of range.
    """

    basis: int = 16
    experts: tuple[int, ...] = ()
    shared: bool = True
    seam: float = 0.0
    overlap: float = 0.0
    shrink: float = 1e-8
    solver: InnerSolver = OwnLevenberg()
    full: bool = True

    def __post_init__(self) -> None:
        if min(self.basis, *self.experts, 1) < 1:
            raise OptionError(
                f"HardConstraint(basis={self.basis}, experts={self.experts}): "
                "numbers must be at least 1. Change them."
            )
        if min(self.seam, self.shrink) < 0:
            raise OptionError("HardConstraint: seam and shrink must not be negative.")
        if not 0 <= self.overlap <= 0.5:
            raise OptionError(
                f"HardConstraint(overlap={self.overlap}) is a share of a part. Give 0 to 0.5."
            )
        if self.overlap and self.seam:
            raise OptionError(
                f"HardConstraint(overlap={self.overlap}, seam={self.seam}): parts that overlap "
                "have no seams. Set one of them to zero."
            )


@dataclasses.dataclass(frozen=True)
class SoftConstraint:
    """The same network over all instants and places without a layer: its outputs are the fields.

    The equations then hold as far as training makes them (`Physics`).
    """

    basis = 1
