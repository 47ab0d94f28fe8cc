"""Least squares over very many experts by LSMR, preconditioned expert by expert."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
import scipy

from pinnkit.experts.compress import triangle
from pinnkit.experts.rows import RIDGE, Rows, split

MOST = 4000
OUT_OF_ITERATIONS = 7
"""The reason that SciPy's `lsmr` gives."""
TOLERANCE = 1e-15


def solve_iteratively(
    rows: Sequence[Rows], sizes: Sequence[int], executor: Executor
) -> list[np.ndarray] | None:
    """Coefficients by expert; None where `MOST` iterations do not converge.

    With R_e the triangle of all rows that touch expert e, unknowns are y_e = R_e c_e: the columns
    of each expert become orthonormal, and what is left to iterate on is how experts hang together.
    Memory and the cost of an iteration are those of the rows; the condition number is never
    squared (Fong & Saunders, "LSMR", SIAM J. Sci. Comput. 33, 2011).
    """
    touching: list[list[np.ndarray]] = [[] for _ in sizes]
    for block in rows:
        for expert, values in zip(block.experts, block.blocks, strict=True):
            touching[expert].append(values)
    factors = list(executor.map(_factor, touching, sizes))
    scaled = [
        Rows(r.experts, tuple(map(_scaled, r.blocks, (factors[e] for e in r.experts))), r.rhs)
        for r in rows
    ]
    matrix, rhs = _sparse(scaled, sizes), np.concatenate([r.rhs for r in rows])
    found = scipy.sparse.linalg.lsmr(
        matrix, rhs, atol=TOLERANCE, btol=TOLERANCE, conlim=0, maxiter=MOST
    )
    if found[1] == OUT_OF_ITERATIONS:
        return None
    parts = split(np.asarray(found[0]), sizes)
    pairs = zip(factors, parts, strict=True)
    return [scipy.linalg.solve_triangular(r, y, check_finite=False) for r, y in pairs]


def _factor(parts: list[np.ndarray], size: int) -> np.ndarray:
    stack = np.concatenate([*parts, RIDGE * np.eye(size)])
    return triangle(stack)


def _scaled(block: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """block R^-1."""
    return scipy.linalg.solve_triangular(factor, block.T, trans=1, check_finite=False).T


def _sparse(rows: Sequence[Rows], sizes: Sequence[int]) -> scipy.sparse.csr_array:
    """All rows as one matrix over the columns of all experts."""
    ends = np.cumsum([0, *sizes])
    values, columns, lengths = [], [], []
    for block in rows:
        whole = np.concatenate(block.blocks, axis=1)
        values.append(whole.ravel())
        places = np.concatenate([np.arange(ends[e], ends[e + 1]) for e in block.experts])
        columns.append(np.tile(places, len(whole)))
        lengths.append(np.full(len(whole), whole.shape[1]))
    pointers = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    parts = np.concatenate(values), np.concatenate(columns), pointers
    return scipy.sparse.csr_array(parts, shape=(len(pointers) - 1, int(ends[-1])))
