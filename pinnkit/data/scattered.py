"""Pairs of functions at scattered points of the plane."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from pinnkit.data.dataset import Dataset, Indices
from pinnkit.errors import OptionError
from pinnkit.geometry.graph import PointGraph


@dataclasses.dataclass(frozen=True, eq=False)
class Scattered:
    """Input functions (S, N) and solutions (S, c, N) at the same N points.

    - `function`: name of the input function; `fields`: names of the c fields.
    - `points` (N, 2), in the order of the problem's coordinates.
    - `triangles` (n, 3): a mesh of the points; None for their Delaunay triangulation.
    - `periods`: of both axes, where copies of the points are neighbours too.

    Raises OptionError where shapes contradict each other or values are not finite.
    """

    function: str
    fields: tuple[str, ...]
    points: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    triangles: np.ndarray | None = None
    periods: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        count = len(self.points)
        for name, array, shape in (
            ("points", self.points, (count, 2)),
            (f"input function '{self.function}'", self.inputs, (len(self.inputs), count)),
            (
                f"fields {', '.join(self.fields)}",
                self.outputs,
                (len(self.inputs), len(self.fields), count),
            ),
        ):
            if array.shape != shape:
                raise OptionError(
                    f"Scattered: {name} of shape {array.shape} should have shape {shape}, samples "
                    "first and points last. Transpose, or give the right points."
                )
            if not np.isfinite(array).all():
                raise OptionError(
                    f"Scattered: {name} is not finite at {int(np.sum(~np.isfinite(array)))} "
                    "places. Leave such samples out."
                )
        if self.triangles is not None and self.periods is not None:
            raise OptionError(
                "Scattered: triangles say nothing of copies beyond the periods. Give either "
                "triangles or periods."
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        names = f"{self.function} -> {', '.join(self.fields)}"
        return f"Scattered({names}; {len(self)} samples at {len(self.points)} points)"

    @functools.cached_property
    def graph(self) -> PointGraph:
        """Points and their neighbours."""
        if self.triangles is not None:
            return PointGraph.of_triangles(self.points, self.triangles)
        return PointGraph.delaunay(self.points, self.periods)

    def arrays(self, rows: Indices = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Input functions and solutions of some samples."""
        return self.inputs[rows], self.outputs[rows]

    def split(self, *sizes: int) -> Iterator[Scattered]:
        """Parts of these numbers of samples, in order.

        Raises OptionError if there are not enough.
        """
        if min(sizes) < 1 or sum(sizes) > len(self):
            raise OptionError(
                f"{len(self)} samples cannot be split into {sizes}. Ask for positive numbers "
                "whose sum is not larger."
            )
        ends = np.cumsum(sizes)
        for size, end in zip(sizes, ends, strict=True):
            rows = slice(int(end - size), int(end))
            inputs, outputs = self.arrays(rows)
            yield dataclasses.replace(self, inputs=inputs, outputs=outputs)

    @classmethod
    def of(cls, data: Dataset, count: int, seed: int = 0) -> Scattered:
        """Random nodes of a grid of two axes that inputs and solutions share, its corners included.

        Raises OptionError for other grids, periodic axes, or more points than nodes.
        """
        names = [tuple(axis.name for axis in axes) for axes in (data.sensors, data.grid)]
        shape = tuple(axis.n for axis in data.grid)
        if names[0] != names[1] or len(shape) != 2 or data.inputs.shape[1:] != shape:
            raise OptionError(
                f"Scattered.of: {data!r} is no map between functions on one grid of two axes. "
                "Take a steady family in the plane."
            )
        if "periodic" in data.boundary or not 4 <= count <= shape[0] * shape[1]:
            raise OptionError(
                f"Scattered.of(count={count}): give between 4 and {shape[0] * shape[1]} nodes, of "
                "a grid without periodic axes."
            )
        nodes = np.stack(np.meshgrid(*(a.nodes for a in data.grid), indexing="ij"), axis=-1)
        numbers = np.arange(shape[0] * shape[1]).reshape(shape)
        corners = numbers[[0, 0, -1, -1], [0, -1, 0, -1]]
        others = np.setdiff1d(numbers, corners)
        chosen = np.random.default_rng(seed).choice(others, count - 4, replace=False)
        rows = np.sort(np.concatenate([corners, chosen]))
        inputs, outputs = data.arrays()
        return cls(
            data.function,
            data.fields,
            nodes.reshape(-1, 2)[rows],
            inputs.reshape(len(data), -1)[:, rows],
            outputs.reshape(len(data), len(data.fields), -1)[..., rows],
        )
