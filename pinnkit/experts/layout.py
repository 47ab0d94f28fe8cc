"""Where the experts live: axis-aligned boxes, their charts and shared faces."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import equinox as eqx
import numpy as np

from pinnkit.errors import GeometryError, OptionError

FACE_MARGIN = 1e-12
"""Local coordinates this far outside a box still belong to it, so that rounding moves no owner."""


@dataclass(frozen=True)
class Interface:
    """The shared face of two boxes: `left` ends and `right` begins at `axis` = `at`.

    `lower`, `upper` (d,) bound the face; both equal `at` on `axis`.
    """

    left: int
    right: int
    axis: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@dataclass(frozen=True)
class Boxes:
    """K boxes [lower_k, upper_k] in d axes; arrays (K, d).

    The chart of box k is xi = (z - centre_k) / half_k, hence d^a/dz^a = prod_i half_ki^(-a_i)
    d^a/dxi^a.
    """

    lower: np.ndarray
    upper: np.ndarray

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lower).all() and np.isfinite(self.upper).all()):
            raise GeometryError("An expert's box has a non-finite edge. Give finite bounds.")
        if (self.upper <= self.lower).any():
            k = int(np.argmax((self.upper <= self.lower).any(axis=1)))
            raise GeometryError(
                f"Expert {k} has an empty box {self.lower[k]}..{self.upper[k]}. "
                "Give edges that increase strictly."
            )

    @property
    def count(self) -> int:
        return self.lower.shape[0]

    @property
    def dim(self) -> int:
        return self.lower.shape[1]

    @property
    def half(self) -> np.ndarray:
        return 0.5 * (self.upper - self.lower)

    @property
    def centre(self) -> np.ndarray:
        return 0.5 * (self.upper + self.lower)

    def local(self, owner: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Local coordinates (P, d) of physical `points` (P, d) in the boxes `owner` (P,)."""
        return (points - self.centre[owner]) / self.half[owner]

    def physical(self, owner: np.ndarray, xi: np.ndarray) -> np.ndarray:
        """Physical points (P, d); local coordinates -1 and 1 give the edges bit for bit."""
        inner = self.centre[owner] + self.half[owner] * xi
        inner = np.where(xi == -1.0, self.lower[owner], inner)
        return np.where(xi == 1.0, self.upper[owner], inner)

    def owners(self, points: np.ndarray) -> np.ndarray:
        """The box (P,) in whose chart each point lies deepest; the first one on shared faces."""
        depth = np.empty((points.shape[0], self.count))
        for k in range(self.count):
            depth[:, k] = np.abs((points - self.centre[k]) / self.half[k]).max(axis=1)
        return np.argmin(np.maximum(depth, 1.0 + FACE_MARGIN), axis=1)

    def interfaces(self) -> tuple[Interface, ...]:
        """All faces shared by two boxes, also where only a part of a face is shared."""
        tolerance = 1e-12 * np.ptp(np.concatenate([self.lower, self.upper]), axis=0)
        found = []
        for axis in range(self.dim):
            touch = np.abs(self.upper[:, None, axis] - self.lower[None, :, axis]) <= tolerance[axis]
            for left, right in zip(*np.nonzero(touch), strict=True):
                low = np.maximum(self.lower[left], self.lower[right])
                high = np.minimum(self.upper[left], self.upper[right])
                others = np.arange(self.dim) != axis
                if (high - low > tolerance)[others].all():
                    low[axis] = high[axis] = self.upper[left, axis]
                    found.append(
                        Interface(
                            int(left), int(right), axis, tuple(low.tolist()), tuple(high.tolist())
                        )
                    )
        return tuple(found)

    def faces(self, axis: int, value: float) -> list[tuple[int, float]]:
        """Boxes with a face on `axis` = `value`, as (box, local coordinate -1 or 1)."""
        near = 1e-12 * float(np.ptp(np.stack([self.lower[:, axis], self.upper[:, axis]])))
        low = [(int(k), -1.0) for k in np.nonzero(np.abs(self.lower[:, axis] - value) <= near)[0]]
        high = [(int(k), 1.0) for k in np.nonzero(np.abs(self.upper[:, axis] - value) <= near)[0]]
        return low + high


def tensor_boxes(edges: tuple[tuple[float, ...], ...]) -> Boxes:
    """Boxes between consecutive edges of every axis, the last axis running fastest."""
    spans = [np.array(list(pairwise(axis))) for axis in edges]
    index = np.stack([i.ravel() for i in np.indices([len(s) for s in spans])], axis=1)
    lower = np.stack([spans[a][index[:, a], 0] for a in range(len(spans))], axis=1)
    upper = np.stack([spans[a][index[:, a], 1] for a in range(len(spans))], axis=1)
    return Boxes(lower, upper)


class Layout(eqx.Module):
    """A way to divide the bounding box of a domain among experts."""

    @abc.abstractmethod
    def boxes(self, axes: tuple[str, ...], bounds: Mapping[str, tuple[float, float]]) -> Boxes:
        """The boxes in `axes` order. Raises `OptionError` for unknown axes or bad edges."""


class Single(Layout):
    """One expert for the whole domain."""

    def boxes(self, axes: tuple[str, ...], bounds: Mapping[str, tuple[float, float]]) -> Boxes:
        return tensor_boxes(tuple(tuple(map(float, bounds[a])) for a in axes))


class Blocks(Layout):
    """Equal blocks: `Blocks(x=4, y=2)`; axes not named are not divided."""

    counts: dict[str, int] = eqx.field(static=True)

    def __init__(self, **counts: int) -> None:
        for axis, count in counts.items():
            if int(count) != count or count < 1:
                raise OptionError(
                    f"Blocks({axis}={count!r}) is no number of experts. Give a whole number >= 1."
                )
        self.counts = {axis: int(count) for axis, count in counts.items()}

    def boxes(self, axes: tuple[str, ...], bounds: Mapping[str, tuple[float, float]]) -> Boxes:
        _known("Blocks", self.counts, axes)
        return tensor_boxes(
            tuple(tuple(np.linspace(*bounds[a], self.counts.get(a, 1) + 1).tolist()) for a in axes)
        )


class Graded(Layout):
    """Given edges: `Graded(x=(-1, -0.1, 0, 0.1, 1))`; axes not named are not divided."""

    edges: dict[str, tuple[float, ...]] = eqx.field(static=True)

    def __init__(self, **edges: tuple[float, ...]) -> None:
        self.edges = {axis: tuple(float(e) for e in values) for axis, values in edges.items()}

    def boxes(self, axes: tuple[str, ...], bounds: Mapping[str, tuple[float, float]]) -> Boxes:
        _known("Graded", self.edges, axes)
        checked = (
            check_edges(f"Graded({a}=...)", self.edges.get(a, bounds[a]), bounds[a]) for a in axes
        )
        return tensor_boxes(tuple(checked))


def _known(name: str, given: Mapping[str, object], axes: tuple[str, ...]) -> None:
    unknown = sorted(set(given) - set(axes))
    if unknown:
        raise OptionError(
            f"{name} names the axis {unknown[0]!r}, but experts divide {', '.join(axes)}. "
            "Name one of these (time is divided by `slabs`)."
        )


def check_edges(
    name: str, edges: tuple[float, ...], bounds: tuple[float, float]
) -> tuple[float, ...]:
    """`edges` as floats that increase strictly from one bound to the other, ends made exact.

    Raises `OptionError` otherwise.
    """
    values = np.asarray(edges, dtype=float)
    low, high = map(float, bounds)
    near = 1e-9 * (high - low)
    if values.size < 2 or not (np.diff(values) > 0).all():
        raise OptionError(f"{name}: edges {tuple(edges)} must increase strictly. Reorder them.")
    if abs(values[0] - low) > near or abs(values[-1] - high) > near:
        raise OptionError(
            f"{name}: edges run from {values[0]:g} to {values[-1]:g}, the domain from {low:g} to "
            f"{high:g}. Begin and end with the domain's bounds."
        )
    return (low, *values[1:-1].tolist(), high)
