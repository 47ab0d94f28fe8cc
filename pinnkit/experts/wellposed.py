"""Whether the conditions determine the solution, asked of a coarse polynomial space."""

from collections.abc import Mapping

import numpy as np
import scipy.linalg

from pinnkit.compile import System
from pinnkit.errors import MethodError
from pinnkit.experts.assembly import Collocation, Lineariser, collocate
from pinnkit.experts.bases import Tensor
from pinnkit.experts.families import Chebyshev, Shape
from pinnkit.experts.layout import Single
from pinnkit.experts.solvers import dense_matrix

DEFICIENT = 1e-12
COARSE = {1: 45, 2: 60, 3: 120}


def require_determined(system: System, linearisers: Mapping[str, Lineariser]) -> None:
    """Raise `MethodError` if coefficients of a coarse polynomial space stay undetermined.

    The rows of the system on one expert (linearised at random coefficients if it is nonlinear)
    must have full column rank: a null vector is a polynomial that satisfies all homogeneous
    conditions, so a boundary, initial or integral condition is missing.
    """
    periodic = tuple(system.axes.index(a) for a in system.traits.periodic)
    basis = Chebyshev().sized(COARSE.get(len(system.axes), 150), Shape(len(system.axes), periodic))
    assert isinstance(basis, Tensor)
    rows = collocate(system, basis, Single().boxes(system.axes, system.domain.bounds), linearisers)
    null = _null_space(rows)
    if null.shape[0]:
        raise MethodError(_message(system, basis, null))


def _null_space(rows: Collocation) -> np.ndarray:
    shape = (1, len(rows.system.fields), rows.basis.size)
    at = np.zeros(shape)
    if not rows.system.traits.linear:
        at = np.random.default_rng(0).normal(size=shape) / rows.basis.size
    matrix, _ = dense_matrix(rows.linear(at).rows, [rows.width])
    norms = np.linalg.norm(matrix, axis=0)
    scale = norms.max()
    _, singular, right = scipy.linalg.svd(
        matrix / np.where(norms > DEFICIENT * scale, norms, scale)[None, :], full_matrices=False
    )
    return right[singular <= DEFICIENT * singular[0]].reshape(-1, *shape[1:])


def _message(system: System, basis: Tensor, null: np.ndarray) -> str:
    constant = int(np.argmin(basis.frequencies().sum(axis=1)))
    weight = np.abs(null[:, :, constant]).max(axis=0)
    if null.shape[0] == 1 and weight.max() > 0.99:
        name = system.fields[int(np.argmax(weight))]
        return (
            f"Least squares: the conditions of '{system.problem.name}' determine '{name}' only up "
            f"to a constant. Add Integral({name}, 0) or a value of {name} on a region."
        )
    energy = (null**2).sum(axis=(0, 2))
    name = system.fields[int(np.argmax(energy))]
    return (
        f"Least squares: the conditions of '{system.problem.name}' leave {null.shape[0]} of "
        f"{null[0].size} coefficients of a coarse polynomial undetermined, most of '{name}'. "
        f"Add the missing boundary, initial or Integral conditions on {name}."
    )
