"""Solutions of an evolution family as sequences of states, and what they have in common."""

from __future__ import annotations

import dataclasses

import numpy as np

from pinnkit.data import Dataset
from pinnkit.derivatives import Axis, FourierAxis, GridProvider
from pinnkit.errors import OptionError
from pinnkit.methods.grid_residuals import frame_axis

FIXED = 1e-9
"""Relative change below which values count as equal."""
CONSERVED = 1e-6
"""The same for means over space, which are sums over nodes."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which fields make the state, and which follow from it.

    - `carried`: fields whose initial values are known: those of `starts` from the input function,
      all others the same in every sample. `diagnosed`: the rest, a function of the state at
      every instant, such as a stream function.
    - `frame`: index of time among the axes of the grid; `space`: the others.
    """

    carried: tuple[int, ...]
    diagnosed: tuple[int, ...]
    starts: tuple[bool, ...]
    frame: int
    space: tuple[Axis, ...]


def layout(data: Dataset, time: str | None) -> Layout:
    """Raises OptionError if the input function is no initial state at the first `time`."""
    frame = frame_axis(data.grid, data.sensors)
    space = tuple(axis for i, axis in enumerate(data.grid) if i != frame)
    inputs, outputs = data.arrays()
    if (
        frame is None
        or data.grid[frame].name != time
        or tuple(a.n for a in space) != inputs.shape[1:]
    ):
        raise OptionError(
            f"the samples of '{data.problem}' are no trajectories: fields over "
            f"{', '.join(a.name for a in data.grid)} for functions of "
            f"{', '.join(a.name for a in data.sensors)}. Give instants in time on one grid in space"
        )
    first = outputs.take(0, frame + 2)
    size = np.abs(outputs).max(axis=(0, *range(2, outputs.ndim)))
    starts = _equal(first, inputs[:, None], 1e-6 * np.abs(inputs).max())
    known = _equal(first, first[:1], FIXED * size)
    if not starts.any():
        raise OptionError(
            f"no field of '{data.problem}' begins as its input function {data.function}, so that "
            "roll-outs have no initial state. Declare the input function as the initial value"
        )
    carried = np.flatnonzero(starts | known)
    return Layout(
        tuple(carried.tolist()),
        tuple(np.flatnonzero(~(starts | known)).tolist()),
        tuple(starts[carried].tolist()),
        frame,
        space,
    )


def _equal(first: np.ndarray, other: np.ndarray, tolerance: float | np.ndarray) -> np.ndarray:
    """Fields (c,) that agree in all samples."""
    away = np.abs(first - other).max(axis=(0, *range(2, first.ndim)))
    return away <= tolerance


def trajectories(data: Dataset, plan: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Carried fields (S, T, c, *space) and diagnosed ones (S, T, d, *space)."""
    moved = np.moveaxis(data.arrays()[1], plan.frame + 2, 1)
    return moved[:, :, list(plan.carried)], moved[:, :, list(plan.diagnosed)]


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """Numbers of a training set, by field.

    - `centre`, `deviation`, `change` (c,): mean and deviation of carried fields over everything,
      and the root mean square of their change from one instant to the next.
    - `level`, `spread` (d,): mean and deviation of diagnosed fields.
    - `first` (c, *space): state at the first instant, averaged over the samples.
    - `conserved` (c,): whether the mean over space never changes.
    - `still`: for each space axis, whether values at its lower and upper end never change.
    """

    centre: np.ndarray
    deviation: np.ndarray
    change: np.ndarray
    level: np.ndarray
    spread: np.ndarray
    first: np.ndarray
    conserved: tuple[bool, ...]
    still: tuple[tuple[bool, bool], ...]


def facts(data: Dataset, plan: Layout) -> Facts:
    """What all trajectories of a training set have in common."""
    states, others = trajectories(data, plan)
    over = (0, 1, *range(3, states.ndim))
    steps = np.diff(states, axis=1)
    change = _positive(np.sqrt((steps**2).mean(axis=over)))
    deviation = _positive(states.std(axis=over))
    means = mean_over(steps, plan.space)
    conserved = np.abs(means).max(axis=(0, 1)) <= CONSERVED * change
    largest = np.abs(steps).max(axis=(0, 1))
    still = tuple(
        (False, False)
        if isinstance(axis, FourierAxis)
        else (_rests(largest, i, 0, change), _rests(largest, i, -1, change))
        for i, axis in enumerate(plan.space, 1)
    )
    return Facts(
        states.mean(axis=over),
        deviation,
        change,
        others.mean(axis=over),
        _positive(others.std(axis=over)),
        states[:, 0].mean(axis=0),
        tuple(map(bool, conserved)),
        still,
    )


def mean_over(values, space: tuple[Axis, ...]):
    """Means over space: (..., *space) -> (...)."""
    weights = GridProvider(space).weights().astype(values.dtype)
    weights = weights / weights.sum()
    axes = tuple(range(values.ndim - len(space), values.ndim))
    return (values * weights.reshape((1,) * (values.ndim - len(space)) + weights.shape)).sum(axes)


def _rests(largest: np.ndarray, axis: int, end: int, change: np.ndarray) -> bool:
    at = largest.take(end, axis)
    return bool((at.max(axis=tuple(range(1, at.ndim))) <= FIXED * change).all())


def _positive(sizes: np.ndarray) -> np.ndarray:
    return np.where(sizes > 0, sizes, 1.0)
