"""Who finds the coefficients of a layer: our own method, or one of another library."""

from __future__ import annotations

import abc
import dataclasses

from jax import Array

from pinnkit.errors import OptionError
from pinnkit.methods.constraint.solve import Fit, Rows, fit


@dataclasses.dataclass(frozen=True)
class InnerSolver(abc.ABC):
    """A method for nonlinear least squares; see `solve` for what is minimised.

    `steps`: the most it takes; `tolerance`: gain in the sum of squares, relative to that, at which
    it ends, or what comes next to it in the library's own terms.

    Raises OptionError for values out of range.
    """

    steps: int = 20
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.tolerance >= 0:
            raise OptionError(
                f"{self}: steps must be at least 1 and tolerance not negative. Change them."
            )

    @abc.abstractmethod
    def fit(self, rows: Rows, start: Array, shrink: float) -> Fit:
        """Coefficients from `start` (K, n), each expert alone or, behind seams, all together.

        They are finite if `start` is, and no worse.
        """


@dataclasses.dataclass(frozen=True)
class OwnLevenberg(InnerSolver):
    """Our own: Levenberg and Marquardt's method on triangles of the experts' rows (`solve.fit`)."""

    def fit(self, rows: Rows, start: Array, shrink: float) -> Fit:
        return fit(rows, start, shrink, self.steps, self.tolerance)
