"""Least squares along a chain of levels of experts, one level after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from pinnkit.experts.rows import RIDGE, Rows, assembled, split

PANEL = 32


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


def chain_cost(
    rows: Sequence[Rows], levels: Sequence[Sequence[int]], sizes: Sequence[int]
) -> float:
    """Floating-point operations of `solve_chain`, from the numbers of rows per level."""
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


def solve_chain(
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
        own = Triangle.of_level(inside[i], sizes, level)
        shared = [r for r in inside[i] if len(r.experts) > 1]
        own.fold(*_level_matrix(shared, sizes, level))
        own.fold(carry[:, :-1], carry[:, -1:])
        ahead = levels[i + 1] if i + 1 < len(levels) else []
        matrix, rhs = assembled(between[i], sizes, [*level, *ahead])
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
        parts = split(later, [sizes[e] for e in level])
        solution.update(zip(level, parts, strict=True))
    return [solution[e] for e in range(len(sizes))]


def _level_matrix(
    rows: Sequence[Rows], sizes: Sequence[int], level: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    matrix, rhs = assembled(rows, sizes, level)
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

    @classmethod
    def of_level(
        cls, rows: Sequence[Rows], sizes: Sequence[int], level: Sequence[int]
    ) -> "Triangle":
        """The experts' own rows, triangles if square, with ridge rows, along the diagonal."""
        parts = {expert: cls.ridge(sizes[expert]) for expert in level}
        for block in rows:
            if len(block.experts) == 1:
                part, own = parts[block.experts[0]], block.blocks[0]
                part.fold(own, block.rhs[:, None], triangular=own.shape[0] == own.shape[1])
        factor = scipy.linalg.block_diag(*(parts[expert].factor for expert in level))
        rhs = np.concatenate([parts[expert].rhs for expert in level])
        return cls(np.asfortranarray(factor), np.asfortranarray(rhs))

    def fold(self, rows: np.ndarray, rhs: np.ndarray, triangular: bool = False) -> None:
        """Take in `rows` (m, width) with the right side `rhs` (m, 1)."""
        above, _ = self.fold_and_apply(rows, rhs, triangular)
        self.rhs = np.asfortranarray(above)

    def fold_and_apply(
        self, rows: np.ndarray, others: np.ndarray, triangular: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take in `rows`, whose further columns are `others` (m, r), the last one the right side.

        `triangular` rows, a triangle of the same width, cost a third of dense ones. Returns those
        columns transformed: (width, r) beside the triangle, (m, r) beneath it.
        """
        width = self.factor.shape[0]
        beside = np.zeros((width, others.shape[1]), order="F")
        beside[:, -1] = self.rhs[:, 0]
        if not len(rows):
            return beside, others
        block, pentagon = min(PANEL, width), width if triangular else 0
        self.factor, vectors, t, _ = scipy.linalg.lapack.dtpqrt(  # pyright: ignore
            pentagon, block, self.factor, np.asfortranarray(rows), overwrite_a=1, overwrite_b=1
        )
        beside, beneath, _ = scipy.linalg.lapack.dtpmqrt(  # pyright: ignore
            pentagon, vectors, t, beside, np.asfortranarray(others), trans="T", overwrite_a=1
        )
        return beside, beneath
