"""Rows of a block least-squares problem: one block of columns per expert."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIDGE = 1e-14


@dataclass(frozen=True)
class Rows:
    """Rows sum_e blocks[e] c_e = rhs; blocks[e] is (m, sizes[experts[e]]), `rhs` (m,)."""

    experts: tuple[int, ...]
    blocks: tuple[np.ndarray, ...]
    rhs: np.ndarray


def assembled(
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


def split(vector: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    return np.split(vector, np.cumsum(np.asarray(sizes))[:-1])


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
