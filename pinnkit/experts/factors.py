"""A factorisation of block rows that is kept: the least-squares operator and its transpose.

`solve_blocks` forgets its orthogonal factors. Sensitivities need x = A^+ g for many right-hand
sides, and g = (A^+)^T x for adjoints, both from one factorisation and exactly each other's
transpose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import scipy

from pinnkit.experts.chain import chain_levels
from pinnkit.experts.rows import RIDGE, Rows, assembled, localised
from pinnkit.experts.solvers import RANK_TOLERANCE, REVEALING_LIMIT, column_norms, one_blas_thread

CHAIN_ABOVE = 300
"""Unknowns above which a chain of three or more levels is factorised level by level."""


class Operator(Protocol):
    """A linear map of columns, (rows, r) -> (unknowns, r), with its transpose."""

    def solve(self, sides: np.ndarray) -> np.ndarray: ...

    def transposed(self, unknowns: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Dense:
    """A^+ of one matrix by QR with column pivoting, the rank cut at 1e-13 (basic solution)."""

    q: np.ndarray
    triangle: np.ndarray
    kept: np.ndarray
    width: int

    @classmethod
    def of(cls, matrix: np.ndarray) -> "Dense":
        factors: Any = scipy.linalg.qr(matrix, mode="economic", pivoting=True, check_finite=False)
        q, r, order = factors
        pivots = np.abs(np.diagonal(r))
        rank = int(np.count_nonzero(pivots > RANK_TOLERANCE * pivots[0])) if len(pivots) else 0
        return cls(q[:, :rank], r[:rank, :rank], order[:rank], matrix.shape[1])

    def solve(self, sides: np.ndarray) -> np.ndarray:
        result = np.zeros((self.width, sides.shape[1]))
        result[self.kept] = _back(self.triangle, self.q.T @ sides)
        return result

    def transposed(self, unknowns: np.ndarray) -> np.ndarray:
        return self.q @ _back(self.triangle, unknowns[self.kept], True)


@dataclass(frozen=True)
class Level:
    """One level of a chain: rows `inside`, rows `between` it and the next one, unknowns `columns`.

    `first` folds carried and inside rows to a triangle, `second` that with the rows between.
    """

    columns: np.ndarray
    inside: np.ndarray
    between: np.ndarray
    first: np.ndarray
    second: np.ndarray
    triangle: np.ndarray
    above: np.ndarray


@dataclass(frozen=True)
class Chain:
    """A^+ along levels of experts, with ridge rows 1e-14 I, as `solve_chain` does it."""

    levels: tuple[Level, ...]
    rows: int
    unknowns: int

    @classmethod
    def of(
        cls, rows: Sequence[Rows], sizes: Sequence[int], levels: Sequence[Sequence[int]]
    ) -> "Chain":
        """Factorise `rows`, whose right-hand sides number them."""
        level_of = {expert: i for i, level in enumerate(levels) for expert in level}
        starts = np.cumsum([0, *sizes])
        found: list[Level] = []
        carry = np.zeros((0, sum(sizes[e] for e in levels[0])))
        for i, level in enumerate(levels):
            touching = [r for r in rows if min(level_of[e] for e in r.experts) == i]
            own = [r for r in touching if max(level_of[e] for e in r.experts) == i]
            shared = [r for r in touching if max(level_of[e] for e in r.experts) > i]
            ahead = levels[i + 1] if i + 1 < len(levels) else []
            columns = np.concatenate([np.arange(starts[e], starts[e + 1]) for e in level])
            inner, inside = assembled(own, sizes, level)
            outer, between = assembled(shared, sizes, [*level, *ahead])
            made, carry = _level(columns, (inner, inside), (outer, between), carry)
            found.append(made)
        return cls(tuple(found), sum(r.rhs.size for r in rows), int(starts[-1]))

    def solve(self, sides: np.ndarray) -> np.ndarray:
        carry = np.zeros((0, sides.shape[1]))
        tops: list[np.ndarray] = []
        for level in self.levels:
            width = len(level.columns)
            ridge = np.zeros((width, sides.shape[1]))
            folded = level.first.T @ np.concatenate([sides[level.inside], carry, ridge])
            turned = level.second.T @ np.concatenate([folded, sides[level.between]])
            tops.append(turned[:width])
            carry = turned[width:]
        result = np.zeros((self.unknowns, sides.shape[1]))
        later = np.zeros((0, sides.shape[1]))
        for level, top in zip(reversed(self.levels), reversed(tops), strict=True):
            later = _back(level.triangle, top - level.above @ later)
            result[level.columns] = later
        return result

    def transposed(self, unknowns: np.ndarray) -> np.ndarray:
        tops: list[np.ndarray] = []
        passed = np.zeros((len(self.levels[0].columns), unknowns.shape[1]))
        for level in self.levels:
            tops.append(_back(level.triangle, unknowns[level.columns] - passed, True))
            passed = level.above.T @ tops[-1]
        result = np.zeros((self.rows, unknowns.shape[1]))
        carry = np.zeros((0, unknowns.shape[1]))
        for level, top in zip(reversed(self.levels), reversed(tops), strict=True):
            width = len(level.columns)
            turned = level.second @ np.concatenate([top, carry])
            result[level.between] = turned[width:]
            folded = level.first @ turned[:width]
            result[level.inside] = folded[: len(level.inside)]
            carry = folded[len(level.inside) : len(folded) - width]
        return result


def _level(
    columns: np.ndarray,
    inside: tuple[np.ndarray, np.ndarray],
    between: tuple[np.ndarray, np.ndarray],
    carry: np.ndarray,
) -> tuple[Level, np.ndarray]:
    """Fold one level; what is left of its rows acts on the next one."""
    width = len(columns)
    stacked = np.concatenate([inside[0], carry, RIDGE * np.eye(width)])
    factors: Any = scipy.linalg.qr(stacked, mode="economic", check_finite=False)
    first, triangle = factors
    outer = between[0]
    joined = np.concatenate([triangle, outer[:, :width]])
    factors = scipy.linalg.qr(joined, check_finite=False)
    second, triangle = factors
    ahead = outer.shape[1] - width
    turned = second.T @ np.concatenate([np.zeros((width, ahead)), outer[:, width:]])
    numbers = inside[1].astype(int), between[1].astype(int)
    level = Level(columns, *numbers, first, second, triangle[:width], turned[:width])
    return level, turned[width:]


@dataclass(frozen=True)
class Own:
    """All rows of one expert alone, compressed: R = Q^T A on unit columns."""

    where: np.ndarray
    q: np.ndarray


@dataclass(frozen=True)
class Factors:
    """The pseudo-inverse A^+ of block rows in their own order, and its transpose.

    Columns have unit norm inside, coefficients keep their units outside. `places[i]` is the row,
    counted from 1, that stands at place i of the factorised system; 0 for the rows that define
    partial sums of integrals.
    """

    rows: int
    columns: np.ndarray
    norms: np.ndarray
    places: np.ndarray
    own: tuple[Own, ...]
    others: np.ndarray
    core: Operator

    def solve(self, sides: np.ndarray) -> np.ndarray:
        """A^+ g for `sides` g (rows, r): (unknowns of all experts, r)."""
        with one_blas_thread():
            placed = np.concatenate([np.zeros((1, sides.shape[1])), sides])[self.places]
            parts = [own.q.T @ placed[own.where] for own in self.own]
            found = self.core.solve(np.concatenate([*parts, placed[self.others]]))
            return (found / self.norms[:, None])[self.columns]

    def transposed(self, unknowns: np.ndarray) -> np.ndarray:
        """(A^+)^T x for `unknowns` x (unknowns of all experts, r): (rows, r)."""
        with one_blas_thread():
            wide = np.zeros((len(self.norms), unknowns.shape[1]))
            wide[self.columns] = unknowns
            reduced = self.core.transposed(wide / self.norms[:, None])
            placed = np.zeros((len(self.places), unknowns.shape[1]))
            start = 0
            for own in self.own:
                count = own.q.shape[1]
                placed[own.where] = own.q @ reduced[start : start + count]
                start += count
            placed[self.others] = reduced[start:]
            result = np.zeros((self.rows + 1, unknowns.shape[1]))
            result[self.places] = placed
            return result[1:]


def factorise(rows: Sequence[Rows], sizes: Sequence[int]) -> Factors:
    """Factorise `rows` (their right-hand sides are ignored) for one block of columns per expert.

    Dense with column pivoting for few unknowns, else along the levels of neighbouring experts:
    memory and work as those of `solve_chain`, plus the orthogonal factors.
    """
    with one_blas_thread():
        numbered, count = _numbered(rows)
        levels = chain_levels([r.experts for r in rows if len(r.experts) <= 2], len(sizes))
        total = sum(sizes)
        chained = total > REVEALING_LIMIT or (len(levels) > 2 and total > CHAIN_ABOVE)
        widths = list(sizes)
        if chained:
            numbered, widths = localised(numbered, sizes, levels)
        places = np.concatenate([r.rhs for r in numbered]).astype(int)
        norms = column_norms(numbered, widths)
        own, others, reduced = _reduced(numbered, widths, norms)
        core = Chain.of(reduced, widths, levels) if chained else _dense(reduced, widths)
        ends = np.cumsum([0, *widths])
        columns = np.concatenate([np.arange(ends[e], ends[e] + n) for e, n in enumerate(sizes)])
        return Factors(count, columns, np.concatenate(norms), places, own, others, core)


def _numbered(rows: Sequence[Rows]) -> tuple[list[Rows], int]:
    """Rows whose right-hand sides are their numbers, from 1."""
    found, count = [], 0
    for block in rows:
        found.append(replace(block, rhs=1.0 + count + np.arange(block.rhs.size)))
        count += block.rhs.size
    return found, count


def _reduced(
    rows: Sequence[Rows], sizes: Sequence[int], norms: Sequence[np.ndarray]
) -> tuple[tuple[Own, ...], np.ndarray, list[Rows]]:
    """Experts' own rows compressed, the places of the others, and what is left to solve."""
    ends = np.cumsum([0, *(r.rhs.size for r in rows)])
    spans = [np.arange(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    own: list[Own] = []
    left: list[Rows] = []
    start = 0
    for expert in range(len(sizes)):
        mine = [i for i, r in enumerate(rows) if r.experts == (expert,)]
        if not mine:
            continue
        stack = np.concatenate([rows[i].blocks[0] for i in mine]) / norms[expert][None, :]
        factors: Any = scipy.linalg.qr(stack, mode="economic", check_finite=False)
        q, r = factors
        own.append(Own(np.concatenate([spans[i] for i in mine]), q))
        left.append(Rows((expert,), (r,), start + np.arange(len(r), dtype=float)))
        start += len(r)
    others: list[np.ndarray] = []
    for block, span in zip(rows, spans, strict=True):
        if len(block.experts) > 1:
            pairs = zip(block.experts, block.blocks, strict=True)
            scaled = tuple(b / norms[e][None, :] for e, b in pairs)
            left.append(Rows(block.experts, scaled, start + np.arange(len(span), dtype=float)))
            others.append(span)
            start += len(span)
    return tuple(own), np.concatenate([np.zeros(0, dtype=int), *others]), left


def _dense(rows: Sequence[Rows], sizes: Sequence[int]) -> Dense:
    """All rows as one matrix; they already stand in the order of their numbers."""
    matrix, _ = assembled(rows, sizes, range(len(sizes)))
    return Dense.of(matrix)


def _back(triangle: np.ndarray, sides: np.ndarray, transposed: bool = False) -> np.ndarray:
    return scipy.linalg.solve_triangular(triangle, sides, trans=int(transposed), check_finite=False)
