"""Elimination of what each expert settles alone, so that only its shared part is joined."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from pinnkit.experts.rows import Rows

SETTLED = 1e-2
"""Directions of an expert with a pivot above this part of the largest are settled by its own rows.

The rows of an equation leave as many directions free as the traces of its solutions on the faces
have; their pivots fall steeply (216 Chebyshev features of degree 16: 31 below 1e-2, 27 below
1e-3). An error of the own rows is amplified by at most the inverse of this in the solution.
"""


@dataclass(frozen=True)
class Part:
    """c = P [t - T y; y] with the free directions y; `order` is the permutation P."""

    order: np.ndarray
    offset: np.ndarray
    matrix: np.ndarray

    @property
    def free(self) -> int:
        return self.matrix.shape[1]

    def restrict(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`block` (m, n) acting on y, (m, free), and what it makes of the offset, (m,)."""
        settled = len(self.offset)
        first, second = block[:, self.order[:settled]], block[:, self.order[settled:]]
        return second - first @ self.matrix, first @ self.offset

    def expand(self, free: np.ndarray) -> np.ndarray:
        """All n coefficients from the free directions."""
        result = np.empty(len(self.order))
        settled = len(self.offset)
        result[self.order[:settled]] = self.offset - self.matrix @ free
        result[self.order[settled:]] = free
        return result


@dataclass(frozen=True)
class Condensed:
    """The rows in the free directions of all experts."""

    rows: list[Rows]
    parts: list[Part]

    @property
    def sizes(self) -> list[int]:
        return [part.free for part in self.parts]

    def expanded(self, free: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Coefficients of all experts."""
        return [part.expand(y) for part, y in zip(self.parts, free, strict=True)]


def condensed(rows: Sequence[Rows], sizes: Sequence[int], executor: Executor) -> Condensed:
    """Settle each expert's stiff directions by its own rows alone (QR with column pivoting).

    Exact where the rows of all experts and faces can be satisfied together, which is what a
    resolved solution does to its truncation error; else the settled directions ignore the faces.
    """
    own = {r.experts[0]: r for r in rows if len(r.experts) == 1}
    jobs = [(own.get(k), n) for k, n in enumerate(sizes)]
    settled = list(executor.map(lambda job: _settle(*job), jobs))
    parts = [part for part, _, _ in settled]
    result = [Rows((k,), (matrix,), rhs) for k, (_, matrix, rhs) in enumerate(settled) if len(rhs)]
    for block in rows:
        if len(block.experts) > 1:
            pairs = zip(block.experts, block.blocks, strict=True)
            reduced = [parts[expert].restrict(values) for expert, values in pairs]
            rhs = block.rhs - sum(known for _, known in reduced)
            result.append(Rows(block.experts, tuple(m for m, _ in reduced), rhs))
    return Condensed(result, parts)


def _settle(own: Rows | None, size: int) -> tuple[Part, np.ndarray, np.ndarray]:
    """The part of one expert, and its own rows that remain for the free directions."""
    if own is None:
        part = Part(np.arange(size), np.zeros(0), np.zeros((0, size)))
        return part, np.zeros((0, size)), np.zeros(0)
    factors: Any = scipy.linalg.qr(
        own.blocks[0], mode="economic", pivoting=True, check_finite=False
    )
    q, r, order = factors
    rhs = own.rhs @ q
    pivots = np.abs(np.diagonal(r))
    settled = int(np.count_nonzero(pivots > SETTLED * pivots[0])) if len(pivots) else 0
    # At least one direction stays free, so that no expert loses its place in the chain.
    settled = min(settled, size - 1)
    both = np.concatenate([r[:settled, settled:], rhs[:settled, None]], axis=1)
    solved = scipy.linalg.solve_triangular(r[:settled, :settled], both, check_finite=False)
    part = Part(order, solved[:, -1], solved[:, :-1])
    return part, r[settled:, settled:].copy(), rhs[settled:]
