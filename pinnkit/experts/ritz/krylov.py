"""A few of the largest eigenpairs of a symmetric definite pencil.

Block Lanczos with full reorthogonalisation (Golub and Van Loan, Matrix Computations, section
10.3.6), started at random: a block at least as wide as the levels sought finds multiple levels
with all their modes. One Cholesky factorisation and triangular solves replace the reduction of
the whole pencil, which costs ten times as much.
"""

import numpy as np
import scipy

DENSE = 500
"""Sizes up to which all of the pencil is reduced."""

MOST_STEPS = 48
CHECK = 4
"""Steps between looks at the residuals."""

SMALL = 1e-11
"""Residual relative to the largest eigenvalue at which a pair is found; levels err by its square.
"""


def largest(mass: np.ndarray, metric: np.ndarray, count: int) -> np.ndarray:
    """Vectors (N, count) of the largest mu in mass v = mu metric v, largest first.

    Raises `LinAlgError` if the metric is not positive definite.
    """
    size = len(mass)
    width = count + 2
    if size <= max(DENSE, 4 * width):
        return _dense(mass, metric, count)
    lower = scipy.linalg.cholesky(metric, lower=True)
    found = _lanczos(lambda y: _congruent(lower, mass, y), size, count, width)
    if found is None:
        return _dense(mass, metric, count)
    return scipy.linalg.solve_triangular(lower, found, lower=True, trans=1)


def _dense(mass: np.ndarray, metric: np.ndarray, count: int) -> np.ndarray:
    last = len(mass) - 1
    return scipy.linalg.eigh(mass, metric, subset_by_index=(last + 1 - count, last))[1][:, ::-1]


def _congruent(lower: np.ndarray, mass: np.ndarray, y: np.ndarray) -> np.ndarray:
    """L^-1 M L^-T y."""
    x = scipy.linalg.solve_triangular(lower, y, lower=True, trans=1, check_finite=False)
    return scipy.linalg.solve_triangular(lower, mass @ x, lower=True, check_finite=False)


def _lanczos(apply, size: int, count: int, width: int) -> np.ndarray | None:
    """Orthonormal vectors (N, count), or None if they do not settle."""
    rng = np.random.default_rng(0)
    block = np.linalg.qr(rng.standard_normal((size, width)))[0]
    basis = np.empty((size, 0))
    images = np.empty((size, 0))
    for step in range(1, MOST_STEPS + 1):
        basis = np.concatenate([basis, block], axis=1)
        images = np.concatenate([images, apply(block)], axis=1)
        if step % CHECK == 0:
            small = basis.T @ images
            values, rotation = scipy.linalg.eigh(0.5 * (small + small.T))
            chosen = rotation[:, ::-1][:, :count]
            rest = images @ chosen - (basis @ chosen) * values[::-1][None, :count]
            if np.linalg.norm(rest, axis=0).max() <= SMALL * values[-1]:
                return basis @ chosen
        block = images[:, -width:]
        for _ in range(2):
            block = np.linalg.qr(block - basis @ (basis.T @ block))[0]
        if basis.shape[1] + width > size:
            return None
    return None
