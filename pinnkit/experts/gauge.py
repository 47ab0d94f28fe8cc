"""How well experts of any basis resolve their part of a solution, told by polynomials."""

from dataclasses import dataclass

import numpy as np

from pinnkit.experts.bases import Basis, Tensor, tensor_basis
from pinnkit.experts.collocation import gauss_tensor

REPRODUCED = 1e-2
"""Error up to which the features must reproduce every polynomial of the gauge."""

MOST_DEGREE = 30


@dataclass(frozen=True)
class Gauge:
    """Chebyshev coefficients of what an expert holds, whatever its own features are.

    Smooth functions have Chebyshev coefficients that fall geometrically, so the last ones measure
    what is missing; the coefficients of random features say nothing of the kind. `matrix`
    (polynomials, n) maps the latter to the former by least squares on Gauss points; None where
    the features are the polynomials themselves.
    """

    polynomials: Tensor
    matrix: np.ndarray | None

    def coefficients(self, found: np.ndarray) -> np.ndarray:
        """(K, fields, n) -> (K, fields, polynomials)."""
        return found if self.matrix is None else found @ self.matrix.T


def gauge(basis: Basis, dim: int) -> Gauge:
    """The polynomials up to the largest degree that `basis` reproduces to `REPRODUCED`.

    Polynomials of lower degree are then reproduced far better (by a factor of about 20 for each
    degree less), so that a solution whose last coefficients are below a tolerance is resolved to
    about that tolerance.
    """
    if isinstance(basis, Tensor):
        return Gauge(basis, None)
    nodes = tuple(min(n, MOST_DEGREE + 4) for n in basis.nodes())
    xi, weights = gauss_tensor(nodes)
    root, still = np.sqrt(weights)[:, None], (0,) * dim
    features = root * np.asarray(basis.features(xi, still))
    space, sizes, _ = np.linalg.svd(features, full_matrices=False)
    space = space[:, sizes > 1e-12 * sizes[0]]
    best = _ball(1, dim)
    for degree in range(2, MOST_DEGREE):
        tried = _ball(degree, dim)
        table = root * tried.features(xi, still)
        missed = np.linalg.norm(table - space @ (space.T @ table), axis=0)
        if np.max(missed / np.linalg.norm(table, axis=0)) > REPRODUCED:
            break
        best = tried
    table = root * best.features(xi, still)
    return Gauge(best, np.linalg.lstsq(table, features, rcond=None)[0])


def _ball(degree: int, dim: int) -> Tensor:
    return tensor_basis((degree,) * dim, ("chebyshev",) * dim)
