"""Points of experts with their charts: what collocation rules produce."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pinnkit.experts.layout import Boxes

EDGE_RATIO = 1.4


@dataclass(frozen=True)
class Points:
    """Points of experts, sorted by `owner`.

    `owner` (P,), `local` and `physical` (P, d), `weights` (P,) of a quadrature in physical units,
    `normals` (P, space axes) on boundary regions.
    """

    owner: np.ndarray
    local: np.ndarray
    physical: np.ndarray
    weights: np.ndarray
    normals: np.ndarray | None = None

    def moved(self, boxes: Boxes) -> "Points":
        """The same local points in other boxes (another slab of time)."""
        return replace(self, physical=boxes.physical(self.owner, self.local))

    def selected(self, keep: np.ndarray) -> "Points":
        normals = None if self.normals is None else self.normals[keep]
        return Points(
            self.owner[keep], self.local[keep], self.physical[keep], self.weights[keep], normals
        )


@dataclass(frozen=True)
class Pairs:
    """Points on shared faces as both neighbours see them; arrays (P,) and (P, d)."""

    left: np.ndarray
    right: np.ndarray
    axis: np.ndarray
    local_left: np.ndarray
    local_right: np.ndarray


def place_key(local: np.ndarray) -> bytes:
    """Equal for local points that agree to rounding, as those of equal boxes do."""
    return (np.round(local, 12) + 0.0).tobytes()


def gauss_tensor(nodes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre product rule on [-1, 1]^d: points (Q, d), weights (Q,)."""
    if not nodes:
        return np.zeros((1, 0)), np.ones(1)
    rules = [np.polynomial.legendre.leggauss(q) for q in nodes]
    points = np.meshgrid(*(x for x, _ in rules), indexing="ij")
    weights = np.meshgrid(*(w for _, w in rules), indexing="ij")
    stacked = np.stack([p.ravel() for p in points], axis=1)
    return stacked, np.prod(np.stack([w.ravel() for w in weights]), axis=0)


def merged(parts: Sequence[Points]) -> Points:
    """All points in one, sorted by owner."""
    normals = None
    if all(p.normals is not None for p in parts):
        normals = np.concatenate([p.normals for p in parts if p.normals is not None])
    joined = Points(
        np.concatenate([p.owner for p in parts]),
        np.concatenate([p.local for p in parts]),
        np.concatenate([p.physical for p in parts]),
        np.concatenate([p.weights for p in parts]),
        normals,
    )
    return joined.selected(np.argsort(joined.owner, kind="stable"))
