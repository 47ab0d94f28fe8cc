"""Levenberg-Marquardt, also known as damped energy natural gradient."""

from dataclasses import dataclass
from typing import Any

from jax import Array

from pinnkit.errors import MethodError
from pinnkit.training.damped import Damped
from pinnkit.training.evaluation import Evaluation, Unpack
from pinnkit.training.linear_models import LinearModel, dense
from pinnkit.training.stage import StageState, flat


@dataclass(frozen=True)
class LevenbergMarquardt(Damped):
    """Levenberg-Marquardt with the dense Jacobian; damping and acceptance as in `Damped`.

    The equations are solved in the space of lower dimension: (J^T J + lambda I) d = -J^T r for
    m >= P residuals, d = -J^T (J J^T + lambda I)^-1 r (Woodbury) for m < P. For a loss that is the
    energy of a linear equation's residual J^T J is the Gram matrix of the tangent functions in the
    energy inner product, and d the energy natural gradient (Müller & Zeinhofer, ICML 2023; in
    sample space: Guzmán-Cordero et al., arXiv:2505.12149).

    A step costs m P^2 operations. Raises `MethodError` above `largest` parameters.
    """

    largest: int = 8000

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        if x.size > self.largest:
            raise MethodError(
                f"{self.name} forms the Jacobian for {x.size} parameters (limit {self.largest}). "
                "Use GaussNewtonCG, LBFGS or Adam, or a smaller network."
            )
        return super().init(x, squares, unpack)

    def model(self, evaluate: Evaluation, x: Array, batch: Any) -> LinearModel:
        return dense(evaluate, x, batch)
