"""Block least squares by orthogonal factorisations; the normal equations are never formed.

Unknowns come in blocks, one per expert. Rows touch one expert (equation, boundary), two (shared
faces) or many (integrals). Columns are scaled to unit norm, the rows of each expert are compressed
to a triangle, then the rest is solved rank-revealing and dense, or as a chain of blocks.
"""

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from scipy.linalg import lapack
from threadpoolctl import ThreadpoolController

from pinnkit.errors import MethodError
from pinnkit.experts.bases import namespace

RANK_TOLERANCE = 1e-13
RIDGE = 1e-14
REVEALING_LIMIT = 1500
DENSE_LIMIT = 60
PANEL = 32


@dataclass(frozen=True)
class Rows:
    """Rows sum_e blocks[e] c_e = rhs; blocks[e] is (m, sizes[experts[e]]), `rhs` (m,)."""

    experts: tuple[int, ...]
    blocks: tuple[np.ndarray, ...]
    rhs: np.ndarray


@dataclass(frozen=True)
class Solved:
    """Coefficients per expert, in the units of the unscaled columns.

    `rank` is the numerical rank where the factorisation reveals it, else -1. `solver` names it.
    """

    coefficients: tuple[np.ndarray, ...]
    rank: int
    solver: str


def solve_blocks(rows: Sequence[Rows], sizes: Sequence[int]) -> Solved:
    """Least-squares solution of all `rows` for one coefficient vector per expert.

    Dense and rank-revealing (LAPACK xGELSY, tolerance 1e-13 on unit columns) for small systems;
    QR with ridge rows 1e-14 I, in block-banded form along levels of neighbouring experts, for
    larger ones. Raises `MethodError` if a row holds a value that is not finite.
    """
    for block in rows:
        if not np.isfinite(block.rhs).all() or not all(np.isfinite(b).all() for b in block.blocks):
            raise MethodError(
                "A collocation row holds a value that is not finite: a coefficient or datum of the "
                "equations is singular inside an expert. Split the layout at the singular place."
            )
    with one_blas_thread():
        return _solve_finite(rows, sizes)


def one_blas_thread() -> AbstractContextManager:
    """Keep BLAS to one thread: experts are factorised side by side instead.

    A second BLAS thread gains little on a few hundred columns, and spins for a hundred times as
    long as the work takes where the cores are shared.
    """
    return _controller().limit(limits=1, user_api="blas")


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)))


def _solve_finite(rows: Sequence[Rows], sizes: Sequence[int]) -> Solved:
    short = [r for r in rows if len(r.experts) <= 2]
    levels = chain_levels([r.experts for r in short], len(sizes))
    total = int(sum(sizes))
    if len(levels) > 2 and total > DENSE_LIMIT:
        local, widths = localised(rows, sizes, levels)
        norms = _column_norms(local, widths)
        compressed = _compress(local, widths, norms)
        if total > REVEALING_LIMIT or _chain_cost(compressed, levels, widths) < 0.2 * total**3:
            found = zip(_solve_chain(compressed, widths, levels), norms, sizes, strict=True)
            return Solved(tuple((c / s)[:n] for c, s, n in found), -1, "block-banded QR")
    norms = _column_norms(rows, sizes)
    matrix, rhs = _assemble(_compress(rows, sizes, norms), sizes, range(len(sizes)))
    solution, rank, solver = _solve_dense(matrix, rhs, sizes)
    return Solved(tuple(c / s for c, s in zip(solution, norms, strict=True)), rank, solver)


def localised(
    rows: Sequence[Rows], sizes: Sequence[int], levels: Sequence[Sequence[int]]
) -> tuple[list[Rows], list[int]]:
    """Rows over many experts, such as integrals, written as rows between neighbours.

    sum_k L_k c_k = d becomes S_k = S_(k-1) + L_k c_k along the order of the levels, S_last = d,
    with the partial sums S_k as further unknowns of expert k. Returns the rows and new sizes.
    """
    long = [r for r in rows if len(r.experts) > 2]
    if not long:
        return list(rows), list(sizes)
    count = sum(r.rhs.size for r in long)
    order = [expert for level in levels for expert in level]
    matrices, target, row = [np.zeros((count, n)) for n in sizes], np.empty(count), 0
    for block in long:
        here = slice(row, row + block.rhs.size)
        for expert, values in zip(block.experts, block.blocks, strict=True):
            matrices[expert][here] += values
        target[here] = block.rhs
        row = here.stop
    found = [
        Rows(r.experts, tuple(_widened(b, count, 0.0) for b in r.blocks), r.rhs)
        for r in rows
        if len(r.experts) <= 2
    ]
    for place, expert in enumerate(order):
        last = place == len(order) - 1
        own = _widened(matrices[expert], count, 0.0 if last else -1.0)
        rhs = target if last else np.zeros(count)
        if place == 0:
            found.append(Rows((expert,), (own,), rhs))
        else:
            before = _widened(np.zeros((count, sizes[order[place - 1]])), count, 1.0)
            found.append(Rows((order[place - 1], expert), (before, own), rhs))
    return found, [n + count for n in sizes]


def _widened(block: np.ndarray, count: int, diagonal: float) -> np.ndarray:
    """`block` with columns for `count` partial sums, `diagonal` times the identity if square."""
    extra = np.zeros((block.shape[0], count))
    if diagonal:
        extra[:] = diagonal * np.eye(count)
    return np.concatenate([block, extra], axis=1)


def triangle(matrix: np.ndarray) -> np.ndarray:
    """R of the QR factorisation of (..., m, n) matrices; NumPy stays in LAPACK, JAX in XLA."""
    return namespace(matrix).linalg.qr(matrix, mode="r")


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


def _column_norms(rows: Sequence[Rows], sizes: Sequence[int]) -> list[np.ndarray]:
    squares = [np.zeros(size) for size in sizes]
    for block in rows:
        for expert, matrix in zip(block.experts, block.blocks, strict=True):
            squares[expert] += np.einsum("ij,ij->j", matrix, matrix)
    return [np.sqrt(np.where(s > 0.0, s, 1.0)) for s in squares]


def _compress(
    rows: Sequence[Rows], sizes: Sequence[int], norms: Sequence[np.ndarray]
) -> list[Rows]:
    """Scale columns; replace all rows that touch one expert alone by their triangle."""
    own: list[list[np.ndarray]] = [[] for _ in sizes]
    result = []
    for block in rows:
        scaled = tuple(
            b / norms[e][None, :] for e, b in zip(block.experts, block.blocks, strict=True)
        )
        if len(block.experts) == 1:
            own[block.experts[0]].append(np.concatenate([scaled[0], block.rhs[:, None]], axis=1))
        else:
            result.append(Rows(block.experts, scaled, block.rhs))
    stacks = [
        np.concatenate(parts) if parts else np.zeros((0, n + 1))
        for parts, n in zip(own, sizes, strict=True)
    ]
    for expert, factor in enumerate(_triangles(stacks)):
        if factor.shape[0]:
            result.append(Rows((expert,), (factor[:, :-1],), factor[:, -1]))
    return result


def _triangles(stacks: list[np.ndarray]) -> list[np.ndarray]:
    """Triangles of all stacks; LAPACK runs outside the interpreter's lock, one per core."""
    return list(_pool().map(lambda s: triangle(s) if s.shape[0] > s.shape[1] else s, stacks))


def _assemble(
    rows: Sequence[Rows], sizes: Sequence[int], experts: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Dense matrix over the columns of `experts`, in that order."""
    place, offset = {}, 0
    for expert in experts:
        place[expert] = slice(offset, offset + sizes[expert])
        offset += sizes[expert]
    count = sum(block.rhs.size for block in rows)
    matrix, rhs = np.zeros((count, offset)), np.empty(count)
    row = 0
    for block in rows:
        here = slice(row, row + block.rhs.size)
        for expert, values in zip(block.experts, block.blocks, strict=True):
            matrix[here, place[expert]] += values
        rhs[here] = block.rhs
        row += block.rhs.size
    return matrix, rhs


def dense_matrix(rows: Sequence[Rows], sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """All rows as one matrix (m, sum of sizes) and right-hand side (m,)."""
    return _assemble(rows, sizes, range(len(sizes)))


def _split(vector: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    return np.split(vector, np.cumsum(np.asarray(sizes))[:-1])


def _solve_dense(
    matrix: np.ndarray, rhs: np.ndarray, sizes: Sequence[int]
) -> tuple[list[np.ndarray], int, str]:
    if matrix.shape[1] > REVEALING_LIMIT:
        return _split(ridge_solve(matrix, rhs, RANK_TOLERANCE), sizes), -1, "QR with ridge rows"
    solution, rank = revealing_solve(matrix, rhs)
    return _split(solution, sizes), rank, "rank-revealing QR"


def chain_levels(touching: Sequence[tuple[int, ...]], count: int) -> list[list[int]]:
    """Order experts in levels such that every row touches one level or two adjacent ones.

    Breadth-first levels of the graph whose edges join experts that share a row (the first half of
    the reverse Cuthill-McKee ordering); a ring becomes a chain of pairs. The start is the expert
    that gives most levels.
    """
    neighbours: list[set[int]] = [set() for _ in range(count)]
    for experts in touching:
        for expert in experts:
            neighbours[expert].update(experts)
    best: list[list[int]] = []
    start = 0
    for _ in range(3):
        levels = _breadth_first(neighbours, start)
        if len(levels) <= len(best):
            break
        best, start = levels, levels[-1][0]
    return best


def _breadth_first(neighbours: Sequence[set[int]], start: int) -> list[list[int]]:
    seen, levels, front = {start}, [], [start]
    while len(seen) < len(neighbours) or front:
        if not front:
            front = [next(k for k in range(len(neighbours)) if k not in seen)]
            seen.update(front)
        levels.append(front)
        reached = sorted(set().union(*(neighbours[k] for k in front)) - seen)
        seen.update(reached)
        front = reached
    return levels


def _chain_cost(
    rows: Sequence[Rows], levels: Sequence[Sequence[int]], sizes: Sequence[int]
) -> float:
    """Floating-point operations of `_solve_chain`, from the numbers of rows per level."""
    level_of = {expert: i for i, level in enumerate(levels) for expert in level}
    inside, between = np.zeros(len(levels)), np.zeros(len(levels) + 1)
    for block in rows:
        touched = {level_of[e] for e in block.experts}
        if len(block.experts) > 1:
            (inside if len(touched) == 1 else between)[min(touched)] += block.rhs.size
    widths = np.array([sum(sizes[e] for e in level) for level in levels] + [0], dtype=float)
    w, following = widths[:-1], widths[1:]
    carried = np.minimum(np.concatenate([[0.0], between[:-2]]), w)
    out = between[:-1]
    return float(np.sum(w**3 + 2.0 * (inside + carried + out) * w**2 + 4.0 * out * w * following))


def _solve_chain(
    rows: Sequence[Rows], sizes: Sequence[int], levels: Sequence[Sequence[int]]
) -> list[np.ndarray]:
    """Block-banded QR along the levels, ridge rows 1e-14 I against rank deficiency.

    Rows that touch one level are folded into its triangle first, then those shared with the next
    level, so that only as many rows are handed on as experts share: the cost of a level is that
    of a few hundred rows against its triangle, not that of a dense factorisation.
    """
    level_of = {expert: i for i, level in enumerate(levels) for expert in level}
    inside: list[list[Rows]] = [[] for _ in levels]
    between: list[list[Rows]] = [[] for _ in levels]
    for block in rows:
        touched = sorted({level_of[e] for e in block.experts})
        (inside if len(touched) == 1 else between)[touched[0]].append(block)
    factors: list[tuple[Triangle, np.ndarray]] = []
    carry = np.zeros((0, sum(sizes[e] for e in levels[0]) + 1))
    for i, level in enumerate(levels):
        own = Triangle.ridge(sum(sizes[e] for e in level))
        own.fold(*_level_matrix(inside[i], sizes, level))
        own.fold(carry[:, :-1], carry[:, -1:])
        ahead = levels[i + 1] if i + 1 < len(levels) else []
        matrix, rhs = _assemble(between[i], sizes, [*level, *ahead])
        width = own.factor.shape[0]
        others = np.concatenate([matrix[:, width:], rhs[:, None]], axis=1)
        above, carry = own.fold_and_apply(matrix[:, :width], others)
        factors.append((own, above))
    return _back_substituted(factors, sizes, levels)


def _back_substituted(
    factors: Sequence[tuple["Triangle", np.ndarray]],
    sizes: Sequence[int],
    levels: Sequence[Sequence[int]],
) -> list[np.ndarray]:
    solution: dict[int, np.ndarray] = {}
    later = np.zeros(0)
    for level, (own, above) in zip(reversed(levels), reversed(factors), strict=True):
        rhs = above[:, -1] - above[:, :-1] @ later
        later = scipy.linalg.solve_triangular(own.factor, rhs, check_finite=False)
        parts = _split(later, [sizes[e] for e in level])
        solution.update(zip(level, parts, strict=True))
    return [solution[e] for e in range(len(sizes))]


def _level_matrix(
    rows: Sequence[Rows], sizes: Sequence[int], level: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    matrix, rhs = _assemble(rows, sizes, level)
    return matrix, rhs[:, None]


@dataclass
class Triangle:
    """An upper triangle R x = rhs that takes in more rows by orthogonal transformations.

    LAPACK's xTPQRT treats [R; B] for a pentagonal B without touching the zeros below R.
    """

    factor: np.ndarray
    rhs: np.ndarray

    @classmethod
    def ridge(cls, width: int) -> "Triangle":
        """The triangle of the ridge rows alone."""
        return cls(np.asfortranarray(RIDGE * np.eye(width)), np.zeros((width, 1), order="F"))

    def fold(self, rows: np.ndarray, rhs: np.ndarray) -> np.ndarray:
        """Take in `rows` (m, width); returns what is left of `rhs` (m, 1) beneath the triangle."""
        above, below = self.fold_and_apply(rows, rhs)
        self.rhs = np.asfortranarray(above)
        return below

    def fold_and_apply(self, rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take in `rows`, whose further columns are `others` (m, r), the last one the right side.

        Returns those columns transformed: (width, r) beside the triangle, (m, r) beneath it.
        """
        width = self.factor.shape[0]
        beside = np.zeros((width, others.shape[1]), order="F")
        beside[:, -1] = self.rhs[:, 0]
        if not len(rows):
            return beside, others
        block = min(PANEL, width)
        self.factor, vectors, t, _ = lapack.dtpqrt(  # pyright: ignore
            0, block, self.factor, np.asfortranarray(rows), overwrite_a=1, overwrite_b=1
        )
        beside, beneath, _ = lapack.dtpmqrt(  # pyright: ignore
            0, vectors, t, beside, np.asfortranarray(others), trans="T", overwrite_a=1
        )
        return beside, beneath
