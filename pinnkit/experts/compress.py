"""Rows of each expert alone compressed to a triangle, side by side with their assembly."""

import functools
import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from pinnkit.errors import MethodError
from pinnkit.experts.bases import namespace
from pinnkit.experts.rows import Rows


@functools.cache
def pool() -> ThreadPoolExecutor:
    """Threads for factorisations side by side, one per core."""
    return ThreadPoolExecutor(_cores())


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def triangle(matrix: np.ndarray) -> np.ndarray:
    """R of the QR factorisation of (..., m, n) matrices; NumPy stays in LAPACK, JAX in XLA."""
    return namespace(matrix).linalg.qr(matrix, mode="r")


def compressed(rows: Iterable[Rows]) -> list[Rows]:
    """`rows`, with those that touch one expert alone replaced by their triangle.

    An expert is factorised when rows of another one come, and its rows are forgotten: whoever
    hands them over expert by expert needs the memory of few experts' rows. Later rows of the same
    expert are folded in. Raises `MethodError` if a row holds a value that is not finite.
    """
    triangles = _Triangles()
    shared: list[Rows] = []
    last: int | None = None
    for block in rows:
        if not np.isfinite(block.rhs).all() or not all(np.isfinite(b).all() for b in block.blocks):
            raise MethodError(
                "A collocation row holds a value that is not finite: a coefficient or datum of the "
                "equations is singular inside an expert. Split the layout at the singular place."
            )
        expert, *others = block.experts
        if others:
            shared.append(block)
            continue
        if last is not None and last != expert:
            triangles.fold(last)
        last = expert
        triangles.add(expert, np.concatenate([block.blocks[0], block.rhs[:, None]], axis=1))
    own = triangles.finished()
    return [_rows(expert, own.pop(expert)) for expert in sorted(own)] + shared


def _rows(expert: int, part: np.ndarray) -> Rows:
    return Rows((expert,), (part[:, :-1].copy(),), part[:, -1].copy())  # no view keeps `part` alive


@dataclass
class _Triangles:
    """Parts [A, b] by expert, which become one triangle each."""

    parts: dict[int, list[np.ndarray]] = field(default_factory=dict)
    running: deque[tuple[int, Future[np.ndarray]]] = field(default_factory=deque)
    done: set[int] = field(default_factory=set)

    def add(self, expert: int, part: np.ndarray) -> None:
        self.parts.setdefault(expert, []).append(part)
        self.done.discard(expert)

    def fold(self, expert: int) -> None:
        """Begin to make one part of those that are there; wait if too many are under way."""
        self.running.append((expert, pool().submit(_folded, self.parts.pop(expert))))
        self._collect(2 * _cores())

    def finished(self) -> dict[int, np.ndarray]:
        self._collect(0)
        while unfinished := [expert for expert in self.parts if expert not in self.done]:
            for expert in unfinished:
                self.fold(expert)
            self._collect(0)
        return {expert: part for expert, (part,) in self.parts.items()}

    def _collect(self, most: int) -> None:
        while len(self.running) > most:
            expert, found = self.running.popleft()
            alone = expert not in self.parts
            self.add(expert, found.result())
            if alone:
                self.done.add(expert)


def _folded(parts: list[np.ndarray]) -> np.ndarray:
    """One part; a triangle if its rows are as many as the unknowns, without what it cannot fit."""
    stack = np.concatenate(parts)
    unknowns = stack.shape[1] - 1
    return triangle(stack)[:unknowns] if len(stack) >= unknowns else stack
