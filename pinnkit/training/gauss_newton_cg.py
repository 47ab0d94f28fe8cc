"""Matrix-free Gauss-Newton for networks whose Jacobian is too large to form."""

from dataclasses import dataclass
from typing import Any

from jax import Array

from pinnkit.errors import OptionError
from pinnkit.training.damped import Damped
from pinnkit.training.evaluation import Evaluation
from pinnkit.training.linear_models import LinearModel, matrix_free
from pinnkit.training.stage import whole


@dataclass(frozen=True)
class GaussNewtonCG(Damped):
    """Damped Gauss-Newton by truncated conjugate gradients (Martens 2010; Dembo et al. 1982).

    Damping and acceptance as in `Damped`, with c = 1. The inner iteration ends at a relative
    residual `tolerance` or after `iterations` products with J^T J, each about as dear as one
    gradient. Memory is that of a gradient, so the number of parameters is not limited.

    Raises `OptionError` for a tolerance outside (0, 1).
    """

    tolerance: float = 0.1
    iterations: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self, iterations=self.iterations)
        if not 0 < self.tolerance < 1:
            raise OptionError(
                f"{self.name}(tolerance={self.tolerance}) is no relative residual. "
                "Choose 0 < tolerance < 1."
            )

    def model(self, evaluate: Evaluation, x: Array, batch: Any) -> LinearModel:
        return matrix_free(evaluate, x, batch, self.tolerance, self.iterations)
