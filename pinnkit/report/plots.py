"""Figures of one solution."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pinnkit.errors import OptionError
from pinnkit.reference import Reference
from pinnkit.report import panels
from pinnkit.report.sample import sample
from pinnkit.report.style import FIELD, bar, figure, headline, label, legend_beside, save, style

COLUMN, HEIGHT = 3.3, 2.7


def plot(
    solution: Any,
    path: str | Path | None = None,
    *,
    fields: Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    resolution: int | Mapping[str, int] | None = None,
) -> Figure:
    """Draw what suits the domain, one row per field; write it to `path` if given.

    One coordinate: a curve. Time and one space coordinate: a map and profiles at some `times`.
    Two space coordinates: a map, with time one for each of `times` (by default the first, middle
    and last). Three space coordinates: the middle plane of the last one.

    Raises `OptionError` for unknown fields.
    """
    values = sample(solution, resolution, _instants(solution, times))
    names = list(fields or values.fields)
    unknown = [name for name in names if name not in values.fields]
    if unknown:
        raise OptionError(
            f"The solution has no field {', '.join(unknown)}. "
            f"Choose from {', '.join(values.fields)}."
        )
    with style():
        drawn = _rows(values, names, times)
        headline(drawn, values.source)
        return save(drawn, path)


def _instants(solution: Any, times: Sequence[float] | None) -> dict[str, np.ndarray]:
    """Snapshots of 2-D and 3-D problems need values at a few times only."""
    domain = solution.problem.domain
    if domain.time is None or len(domain.axes) < 3:
        return {}
    low, high = domain.bounds[domain.time]
    return {domain.time: np.array(times or [low, (low + high) / 2, high], dtype=float)}


def _rows(values: Reference, names: list[str], times: Sequence[float] | None) -> Figure:
    seen = panels.views(values, times)
    first = seen[0]
    if len(first.axes) == 1:
        return _curves(first, names)
    if values.time_axis in first.axes:
        return _map_and_profiles(values, first, names, times)
    return _maps(seen, names) if len(seen) > 1 else _one_row(first, names)


def _curves(view: panels.View, names: list[str]) -> Figure:
    drawn = figure(COLUMN * 1.4, HEIGHT * len(names))
    for (axes,), name in zip(_grid(drawn, len(names), 1), names, strict=True):
        panels.draw(axes, view, name)
        axes.set_ylabel(label(name))
    return drawn


def _one_row(view: panels.View, names: list[str]) -> Figure:
    """Steady fields beside each other, each on its own scale."""
    drawn = figure(COLUMN * len(names), _height(view))
    for axes, name in zip(_grid(drawn, 1, len(names))[0], names, strict=True):
        image = panels.draw(axes, view, name, cmap=FIELD)
        axes.set_title(", ".join(filter(None, [label(name), view.title()])))
        bar(drawn, image, axes, shrink=0.8)
    return drawn


def _maps(seen: list[panels.View], names: list[str]) -> Figure:
    """Snapshots beside each other, one row and one scale per field."""
    drawn = figure(COLUMN * len(seen), _height(seen[0]) * len(names))
    for row, name in zip(_grid(drawn, len(names), len(seen)), names, strict=True):
        scale = panels.limits(*(v.values.fields[name] for v in seen))
        images = [
            panels.draw(axes, view, name, cmap=FIELD, **scale)
            for axes, view in zip(row, seen, strict=True)
        ]
        for axes, view in zip(row, seen, strict=True):
            axes.set_title(f"{label(name)}, {view.title()}")
        bar(drawn, images[-1], list(row), shrink=0.8)
    return drawn


def _grid(drawn: Figure, rows: int, columns: int) -> np.ndarray:
    return np.asarray(drawn.subplots(rows, columns, squeeze=False))


def _height(view: panels.View) -> float:
    """Panel height in proportion to the extent of the domain."""
    x, y = (np.ptp(view.values.coordinates[a]) for a in view.axes)
    return float(np.clip(0.7 * COLUMN * y / x, 1.2, 5.0)) + 0.6


def _map_and_profiles(
    values: Reference, view: panels.View, names: list[str], times: Sequence[float] | None
) -> Figure:
    drawn = figure(COLUMN * 2.2, HEIGHT * len(names))
    stored = values.times()
    chosen = panels.nearest(stored, times or np.linspace(stored[0], stored[-1], 5).tolist())
    for (left, right), name in zip(_grid(drawn, len(names), 2), names, strict=True):
        image = panels.draw(left, view, name, cmap=FIELD)
        bar(drawn, image, left).set_title(label(name))
        profiles(right, values, name, chosen)
    return drawn


def profiles(axes: Any, values: Reference, name: str, times: Sequence[float]) -> None:
    """Curves over the space coordinate at stored `times`, dark to light."""
    import matplotlib

    colours = matplotlib.colormaps[FIELD](np.linspace(0.0, 0.85, len(times)))
    for time, colour in zip(times, colours, strict=True):
        (view,) = panels.views(values.at_time(time))
        panels.draw(axes, view, name, color=colour, label=f"{time:.3g}")
    axes.set_ylabel(label(name))
    legend_beside(axes, label(values.time_axis or "t"))
    axes.margins(x=0)
