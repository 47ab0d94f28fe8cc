"""`Reference`: other people's results under the names of the problem."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pinnkit.errors import OptionError
from pinnkit.reference.raw import nearest_time


@dataclass(frozen=True)
class Reference:
    """Field values at known places, in the units of the problem.

    `layout` is `"grid"`: `coordinates[a]` are 1-D axes and each field has shape
    `(len(coordinates[a]) for a in axes)`; or `"points"`: every array is (N,).
    `floor[f]` is the reference's own estimate of its relative L2 error, None where unknown;
    `eigenvalues` are levels by name, `{"E[0]": 0.5, ...}`, of an eigenvalue problem.
    """

    source: str
    axes: tuple[str, ...]
    coordinates: Mapping[str, np.ndarray]
    fields: Mapping[str, np.ndarray]
    layout: str
    time_axis: str | None = None
    floor: Mapping[str, float | None] = field(default_factory=dict)
    eigenvalues: Mapping[str, float] = field(default_factory=dict)

    def points(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Coordinates and fields as flat arrays, each (N,), in row-major order of `axes`."""
        if self.layout == "points":
            return dict(self.coordinates), dict(self.fields)
        mesh = np.meshgrid(*(self.coordinates[a] for a in self.axes), indexing="ij")
        flat = {axis: m.ravel() for axis, m in zip(self.axes, mesh, strict=True)}
        return flat, {name: np.ravel(values) for name, values in self.fields.items()}

    def times(self) -> np.ndarray:
        """Stored times in rising order; empty for a steady reference."""
        return np.unique(self.coordinates[self.time_axis]) if self.time_axis else np.empty(0)

    def at_time(self, time: float) -> "Reference":
        """The stored instant `time` (to 1e-6 of the stored span); the time axis has length one.

        Raises `ReferenceFileError` with the nearest stored times if there is none.
        """
        if self.time_axis is None:
            raise OptionError(
                f"Reference '{self.source}' has no time axis, yet time {time:g} was asked for. "
                "Leave the time out."
            )
        times = self.times()
        stored = times[nearest_time(Path(self.source), times, time)]
        return self.select(**{self.time_axis: (stored, stored)})

    def select(
        self, fields: Sequence[str] | None = None, **ranges: tuple[float, float]
    ) -> "Reference":
        """Only some fields, and only places with `low <= coordinate <= high` for each range."""
        unknown = [*(set(ranges) - set(self.axes)), *(set(fields or ()) - set(self.fields))]
        if unknown:
            raise OptionError(
                f"Reference '{self.source}' has no {', '.join(sorted(unknown))}. Choose from axes "
                f"{', '.join(self.axes)} and fields {', '.join(self.fields)}."
            )
        chosen = {name: self.fields[name] for name in (fields or self.fields)}
        keep = {a: _within(self.coordinates[a], ranges.get(a)) for a in self.axes}
        if self.layout == "grid":
            coordinates = {a: self.coordinates[a][keep[a]] for a in self.axes}
            index = np.ix_(*(keep[a] for a in self.axes))
            chosen = {name: values[index] for name, values in chosen.items()}
        else:
            mask = np.logical_and.reduce(list(keep.values()))
            coordinates = {a: self.coordinates[a][mask] for a in self.axes}
            chosen = {name: values[mask] for name, values in chosen.items()}
        floor = {name: self.floor.get(name) for name in chosen}
        return replace(self, coordinates=coordinates, fields=chosen, floor=floor)


def _within(values: np.ndarray, limits: tuple[float, float] | None) -> np.ndarray:
    if limits is None:
        return np.ones(len(values), dtype=bool)
    return (values >= limits[0]) & (values <= limits[1])
