"""Block least squares by orthogonal factorisations; the normal equations are never formed.

Unknowns come in blocks, one per expert. Rows touch one expert (equation, boundary), two (shared
faces) or many (integrals). Columns are scaled to unit norm, the rows of each expert are compressed
to a triangle, then the rest is solved rank-revealing and dense, or as a chain of blocks.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import scipy
from threadpoolctl import ThreadpoolController

from pinnkit.experts.bases import namespace
from pinnkit.experts.chain import chain_cost, chain_levels, solve_chain
from pinnkit.experts.compress import compressed, pool, triangle
from pinnkit.experts.condense import condensed
from pinnkit.experts.iterative import solve_iteratively
from pinnkit.experts.rows import RIDGE, Rows, assembled, localised, split

RANK_TOLERANCE = 1e-13
REVEALING_LIMIT = 1500
CONDENSE_ABOVE = 2.0
DENSE_LIMIT = 60
ITERATE_ABOVE = 3e11
"""Floating-point operations of a factorisation, about a minute of a core.

Measured on Poisson, 136 features each: 256 experts 22 s by the chain, 13 s in 1390 iterations.
"""


@dataclass(frozen=True)
class Solved:
    """Coefficients per expert, in the units of the unscaled columns.

    `rank` is the numerical rank where the factorisation reveals it, else -1. `solver` names it.
    """

    coefficients: tuple[np.ndarray, ...]
    rank: int
    solver: str


def solve_blocks(rows: Iterable[Rows], sizes: Sequence[int]) -> Solved:
    """Least-squares solution of all `rows` for one coefficient vector per expert.

    Dense and rank-revealing (LAPACK xGELSY, tolerance 1e-13 on unit columns) for small systems;
    QR with ridge rows 1e-14 I, in block-banded form along levels of neighbouring experts, for
    larger ones. Rows are taken one by one, and those of an expert forgotten as soon as their
    triangle is there: best expert by expert. Raises `MethodError` if a row holds a value that is
    not finite.
    """
    with one_blas_thread():
        return _solve_compressed(compressed(rows), sizes)


def one_blas_thread() -> AbstractContextManager:
    """Keep BLAS to one thread: experts are factorised side by side instead.

    A second BLAS thread gains little on a few hundred columns, and spins for a hundred times as
    long as the work takes where the cores are shared.
    """
    return _controller().limit(limits=1, user_api="blas")


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _solve_compressed(rows: list[Rows], sizes: Sequence[int]) -> Solved:
    short = [r.experts for r in rows if len(r.experts) <= 2]
    levels = chain_levels(short, len(sizes))
    total = int(sum(sizes))
    if len(levels) > 2 and total > DENSE_LIMIT:
        local, widths = localised(rows, sizes, levels)
        cost = chain_cost(local, levels, widths)
        if total > REVEALING_LIMIT or cost < 0.2 * total**3:
            if len(short) < len(rows):
                rows[:] = compressed(_taken(rows, local))
            del local
            norms = _to_unit_columns(rows, widths)
            solution, solver = _solve_levels(rows, widths, levels, cost)
            found = zip(solution, norms, sizes, strict=True)
            return Solved(tuple((c / s)[:n] for c, s, n in found), -1, solver)
    norms = _to_unit_columns(rows, sizes)
    matrix, rhs = assembled(rows, sizes, range(len(sizes)))
    solution, rank, solver = _solve_dense(matrix, rhs, sizes)
    return Solved(tuple(c / s for c, s in zip(solution, norms, strict=True)), rank, solver)


def _taken(rows: list[Rows], local: list[Rows]) -> Iterator[Rows]:
    """`local` one by one, each forgotten; `rows`, which they stand for, are forgotten first."""
    rows.clear()
    local.reverse()
    while local:
        yield local.pop()


def _solve_levels(
    rows: Sequence[Rows], sizes: Sequence[int], levels: Sequence[Sequence[int]], cost: float
) -> tuple[list[np.ndarray], str]:
    """Along the levels; where these are wide, what experts settle alone is eliminated first.

    Where even so a factorisation would take long, the rest is iterated.
    """
    own = sum(4.0 * n**3 for n in sizes)
    if cost < CONDENSE_ABOVE * own or sum(sizes) <= REVEALING_LIMIT:
        return solve_chain(rows, sizes, levels), "block-banded QR"
    smaller = condensed(rows, sizes, pool())
    if chain_cost(smaller.rows, levels, smaller.sizes) > ITERATE_ABOVE:
        found = solve_iteratively(smaller.rows, smaller.sizes, pool())
        if found is not None:
            return smaller.expanded(found), "condensed LSMR"
    found = solve_chain(smaller.rows, smaller.sizes, levels)
    return smaller.expanded(found), "condensed block-banded QR"


def ridge_solve(matrix, rhs, ridge: float = RIDGE):
    """min |A c - b|^2 + ridge^2 |c|^2 by QR of the stacked rows; NumPy or JAX arrays.

    `matrix` (m, n), `rhs` (m,) or (m, r). The condition number is that of A, never its square.
    """
    xp = namespace(matrix)
    n = matrix.shape[1]
    sides = rhs.reshape(rhs.shape[0], -1)
    bottom = xp.concatenate([ridge * xp.eye(n), xp.zeros((n, sides.shape[1]))], axis=1)
    factor = triangle(xp.concatenate([xp.concatenate([matrix, sides], axis=1), bottom]))
    solve = jnp.linalg.solve if xp is jnp else scipy.linalg.solve_triangular
    return solve(factor[:n, :n], factor[:n, n:]).reshape((n, *rhs.shape[1:]))


def revealing_solve(
    matrix: np.ndarray, rhs: np.ndarray, tolerance: float = RANK_TOLERANCE
) -> tuple[np.ndarray, int]:
    """Minimum-norm least squares by QR with column pivoting: solution (n,) and numerical rank."""
    found = scipy.linalg.lstsq(
        matrix, rhs, cond=tolerance, lapack_driver="gelsy", check_finite=False
    )
    assert found is not None
    return found[0], int(found[2])


def column_norms(rows: Sequence[Rows], sizes: Sequence[int]) -> list[np.ndarray]:
    """Euclidean norm of every column, by expert; 1 for a column of zeros."""
    squares = [np.zeros(size) for size in sizes]
    for block in rows:
        for expert, matrix in zip(block.experts, block.blocks, strict=True):
            squares[expert] += np.einsum("ij,ij->j", matrix, matrix)
    return [np.sqrt(np.where(s > 0.0, s, 1.0)) for s in squares]


def _to_unit_columns(rows: list[Rows], sizes: Sequence[int]) -> list[np.ndarray]:
    """Scale all columns in place of the list's entries; their norms before."""
    norms = column_norms(rows, sizes)
    for i, block in enumerate(rows):
        pairs = zip(block.experts, block.blocks, strict=True)
        rows[i] = Rows(block.experts, tuple(b / norms[e][None, :] for e, b in pairs), block.rhs)
    return norms


def dense_matrix(rows: Sequence[Rows], sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """All rows as one matrix (m, sum of sizes) and right-hand side (m,)."""
    return assembled(rows, sizes, range(len(sizes)))


def _solve_dense(
    matrix: np.ndarray, rhs: np.ndarray, sizes: Sequence[int]
) -> tuple[list[np.ndarray], int, str]:
    if matrix.shape[1] > REVEALING_LIMIT:
        return split(ridge_solve(matrix, rhs, RANK_TOLERANCE), sizes), -1, "QR with ridge rows"
    solution, rank = revealing_solve(matrix, rhs)
    return split(solution, sizes), rank, "rank-revealing QR"
