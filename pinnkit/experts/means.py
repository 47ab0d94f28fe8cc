"""What a run may cost: work and memory, predicted from sizes before they are spent."""

import os
from dataclasses import dataclass

from pinnkit.errors import MethodError

RATE = 8e9
"""Floating-point operations per second of one core in the factorisations."""

OVERSAMPLING = 2.5
"""Rows per unknown of an expert, equation and boundary together."""

FREE = 0.2
"""Share of an expert's unknowns that its own rows leave to its neighbours."""


@dataclass(frozen=True)
class Size:
    """A least-squares problem: `experts` of `unknowns` each, divided along `axes` axes.

    `bytes` is its predicted memory (`predicted_bytes`).
    """

    experts: int
    unknowns: int
    axes: int = 1
    bytes: float = 0.0

    @property
    def seconds(self) -> float:
        """Predicted time of one linear solve on one core.

        Each expert's rows are compressed to a triangle; triangles are joined level by level, a
        level being a section through the layout across its longest direction.
        """
        n, k = float(self.unknowns), float(self.experts)
        own = (2.0 * OVERSAMPLING - 2.0 / 3.0) * k * n**3
        if k <= 2:
            return (own + 2.0 * (n * k) ** 3) / RATE
        levels = k ** (1.0 / self.axes)
        width = n * k / levels
        condensed = 3.0 * k * n**3 + 3.0 * levels * (FREE * width) ** 3
        return (own + min(3.0 * levels * width**3, condensed)) / RATE


def require_memory(size: Size) -> None:
    """Raise `MethodError` if a problem is predicted to need more memory than the computer has."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size.bytes > there:
        raise MethodError(
            f"{size.experts} experts with {size.unknowns} unknowns each need about "
            f"{size.bytes / 1e9:.1f} GB of memory for one solve; this computer has "
            f"{there / 1e9:.1f} GB. Take fewer features or experts, or shorter slabs of time."
        )


@dataclass
class Means:
    """Predicted work in seconds and memory in bytes that may be spent, and what has been."""

    work: float
    memory: float
    spent: float = 0.0

    def affords(self, size: Size, solves: int = 1) -> bool:
        """Whether `solves` problems of that size are within what is left."""
        return size.bytes <= self.memory and self.spent + solves * size.seconds <= self.work

    def charge(self, size: Size, solves: int) -> None:
        """Note `solves` problems of that size as done."""
        self.spent += solves * size.seconds
