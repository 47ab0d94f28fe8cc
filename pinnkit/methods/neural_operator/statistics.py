"""What a training set says of itself: normalisation, and what never varies on the boundary."""

from __future__ import annotations

import dataclasses

import numpy as np

from pinnkit.data import Dataset
from pinnkit.derivatives import FourierAxis, OpenAxis
from pinnkit.methods.grid_residuals import frame_axis

CHUNK = 256
FIXED = 1e-9
SIGNIFICANT = 12.0
LOPSIDED = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """Means and deviations over a training set.

    - `centre` (2,): mean and deviation of all values of the input function.
    - `mean` (c, *grid): mean solution; `scale` (c, 1 or frames, 1, ...): deviation from it, by
      field and node along an axis without sensors (`frame_axis`), or else by instant.
    - `ends`: for each axis of the grid, whether no field ever varies at its lower and upper end.
    - `starts` (c,): whether the first frame of a field is always the input function itself.
    """

    centre: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    ends: tuple[tuple[bool, bool], ...]
    starts: tuple[bool, ...]

    @property
    def signed(self) -> bool:
        """Whether input functions are about zero in the mean, as far as a few samples can tell."""
        return bool(abs(self.centre[0]) < LOPSIDED * self.centre[1])


def statistics(data: Dataset, time: str | None) -> Statistics:
    """Statistics of all samples, read in chunks; `time` names the axis of instants, if any."""
    parts = range(0, len(data), CHUNK)
    count = len(data)
    means = [_weighted(data, slice(i, i + CHUNK)) for i in parts]
    centre = sum(m[0] for m in means) / count
    mean = np.sum([m[1] for m in means], axis=0) / count
    frame = frame_axis(data.grid, data.sensors)
    if frame is None:
        frame = next((i for i, axis in enumerate(data.grid) if axis.name == time), None)
    over = tuple(i for i in range(1, mean.ndim) if frame is None or i != frame + 1)
    spread, variance = 0.0, np.zeros_like(mean)
    starts = np.ones(len(data.fields), bool)
    for i in parts:
        inputs, outputs = data.arrays(slice(i, i + CHUNK))
        spread += float(((inputs - centre) ** 2).mean(axis=tuple(range(1, inputs.ndim))).sum())
        variance += ((outputs - mean) ** 2).sum(axis=0)
        starts &= _first_frame(inputs, outputs, frame)
    variance /= count
    for i, axis in enumerate(data.grid, 1):
        if isinstance(axis, FourierAxis):
            mean = _smoothed(mean, variance / count, i)
    scale = np.sqrt(variance.mean(axis=over, keepdims=True))
    largest = scale.max(axis=tuple(range(1, scale.ndim)), keepdims=True)
    fixed = np.sqrt(variance) <= FIXED * np.maximum(largest, 1e-300)
    # an instant at which nothing varies needs no scale of its own
    scale = np.where(scale > FIXED * largest, scale, np.maximum(largest, 1e-30))
    ends = tuple(
        (False, False)
        if isinstance(axis, FourierAxis | OpenAxis)
        else (bool(fixed.take(0, i).all()), bool(fixed.take(-1, i).all()))
        for i, axis in enumerate(data.grid, 1)
    )
    return Statistics(
        np.array([centre, np.sqrt(spread / count)]), mean, scale, ends, tuple(map(bool, starts))
    )


def _smoothed(mean: np.ndarray, noise: np.ndarray, axis: int) -> np.ndarray:
    """The mean along a periodic axis, if its variation there is no more than that of samples.

    Otherwise a network that treats all places alike could not learn to undo it.
    """
    level = mean.mean(axis=axis, keepdims=True)
    if ((mean - level) ** 2).mean() > SIGNIFICANT * noise.mean():
        return mean
    return np.broadcast_to(level, mean.shape).copy()


def _weighted(data: Dataset, rows: slice) -> tuple[float, np.ndarray]:
    inputs, outputs = data.arrays(rows)
    return float(inputs.mean(axis=tuple(range(1, inputs.ndim))).sum()), outputs.sum(axis=0)


def _first_frame(inputs: np.ndarray, outputs: np.ndarray, frame: int | None) -> np.ndarray:
    """For each field whether its first frame is the input function, in all samples."""
    if frame is None or outputs.ndim != inputs.ndim + 2:
        return np.zeros(outputs.shape[1], bool)
    first = outputs.take(0, frame + 2)
    if first.shape[2:] != inputs.shape[1:]:
        return np.zeros(outputs.shape[1], bool)
    away = np.abs(first - inputs[:, None]).max(axis=tuple(range(2, first.ndim)))
    return (away <= 1e-6 * max(np.abs(inputs).max(), 1e-300)).all(axis=0)
