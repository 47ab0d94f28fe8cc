"""Trajectories of fields at scattered points of the plane."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from pinnkit.errors import OptionError
from pinnkit.geometry.graph import PointGraph


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectories:
    """Fields at the same points and instants, for several initial states.

    - `fields`: names of the c fields; `points` (N, 2); `times` (T,), at equal distances.
    - `values` (S, T, N, c).
    - `triangles` (n, 3): a mesh of the points; None for their Delaunay triangulation.
    - `periods`: of both axes, where copies of the points are neighbours too.

    Raises OptionError where shapes contradict each other or instants are not at equal distances.
    """

    fields: tuple[str, ...]
    points: np.ndarray
    times: np.ndarray
    values: np.ndarray
    triangles: np.ndarray | None = None
    periods: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.values), len(self.times), len(self.points), len(self.fields))
        if self.values.shape != shape or self.points.shape[1:] != (2,):
            raise OptionError(
                f"Trajectories: values of shape {self.values.shape} should have shape {shape}, "
                "samples, instants, points, fields. Transpose, or give the right points and times."
            )
        steps = np.diff(self.times)
        if not len(steps) or steps.min() <= 0 or np.ptp(steps) > 1e-6 * steps.max():
            raise OptionError(
                "Trajectories: instants must ascend at equal distances, at least two of them. "
                "Interpolate to such times."
            )
        if self.triangles is not None and self.periods is not None:
            raise OptionError(
                "Trajectories: triangles say nothing of copies beyond the periods. Give either "
                "triangles or periods."
            )

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        n, instants, points, _ = self.values.shape
        names = ", ".join(self.fields)
        return f"Trajectories({names}; {n} of {instants} instants at {points} points)"

    @property
    def step(self) -> float:
        """From one instant to the next."""
        return float((self.times[-1] - self.times[0]) / (len(self.times) - 1))

    @functools.cached_property
    def graph(self) -> PointGraph:
        """Points and their neighbours."""
        if self.triangles is not None:
            return PointGraph.of_triangles(self.points, self.triangles)
        return PointGraph.delaunay(self.points, self.periods)

    def split(self, *sizes: int) -> Iterator[Trajectories]:
        """Parts of these numbers of trajectories, in order.

        Raises OptionError if there are not enough.
        """
        if min(sizes) < 1 or sum(sizes) > len(self):
            raise OptionError(
                f"{len(self)} trajectories cannot be split into {sizes}. Ask for positive numbers "
                "whose sum is not larger."
            )
        ends = np.cumsum(sizes)
        for size, end in zip(sizes, ends, strict=True):
            yield dataclasses.replace(self, values=self.values[end - size : end])
