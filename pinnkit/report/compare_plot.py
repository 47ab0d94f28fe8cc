"""Ours, theirs and the difference, side by side."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pinnkit.reference import Reference
from pinnkit.report import panels
from pinnkit.report.compare import Comparison
from pinnkit.report.plots import COLUMN, HEIGHT
from pinnkit.report.style import (
    DIFFERENCE,
    FIELD,
    LINES,
    bar,
    figure,
    headline,
    label,
    legend_beside,
    save,
    style,
)

FEW_TIMES = 8
"""Up to so many times, profiles show more than a map over space and time."""


def plot_comparison(comparison: Comparison, path: str | Path | None = None) -> Figure:
    """Three panels per field; fields on grids and at scattered points alike.

    Curves, maps over time and space, or maps over two space coordinates (at the last time), as the
    data allow. Ours and theirs share one colour scale; the difference has zero in the middle.
    """
    ours, theirs = comparison.ours, comparison.theirs
    difference = dataclasses.replace(
        ours, fields={n: ours.fields[n] - theirs.fields[n] for n in ours.fields}
    )
    triple = (ours, theirs, difference)
    with style():
        if ours.layout == "points" and _solid(ours):
            return save(_against(comparison), path)
        views = [
            dataclasses.replace(panels.views(values)[-1], inside=comparison.inside)
            for values in triple
        ]
        drawn = figure(COLUMN * 3.1, _height(views[0]) * len(ours.fields))
        grid = np.asarray(drawn.subplots(len(ours.fields), 3, squeeze=False))
        for row, name in zip(grid, ours.fields, strict=True):
            if _as_profiles(ours, views[0]):
                _profile_row(row, triple, name)
            else:
                _row(drawn, row, views, name)
            _titles(row, views[0], name, comparison)
        headline(drawn, f"{comparison.name} against {_short(comparison.reference)}")
        return save(drawn, path)


def _solid(values: Reference) -> bool:
    return sum(a != values.time_axis for a in panels.varying(values)) > 2


def _against(comparison: Comparison) -> Figure:
    """Ours over theirs, point by point: what scattered points in a solid allow."""
    names = list(comparison.ours.fields)
    drawn = figure(COLUMN * len(names), COLUMN)
    for axes, name in zip(drawn.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        ours, theirs = comparison.ours.fields[name], comparison.theirs.fields[name]
        axes.plot(theirs, ours, ".", markersize=1.5, rasterized=True)
        ends = [np.nanmin(theirs), np.nanmax(theirs)]
        axes.plot(ends, ends, color="0.4", linewidth=0.8)
        axes.set_xlabel(f"reference {label(name)}")
        axes.set_ylabel(f"ours {label(name)}")
        axes.set_title(f"relative $L_2$ {comparison.table.loc[name, 'rel_l2']:.1e}")
    return drawn


def _as_profiles(values: Reference, view: panels.View) -> bool:
    return (
        values.time_axis in view.axes and len(view.axes) == 2 and len(values.times()) <= FEW_TIMES
    )


def _height(view: panels.View) -> float:
    if len(view.axes) == 1 or view.values.time_axis in view.axes:
        return HEIGHT
    x, y = (np.ptp(view.values.coordinates[a]) for a in view.axes)
    return float(np.clip(0.75 * COLUMN * y / x, 1.3, 5.0)) + 0.6


def _row(drawn: Figure, row: np.ndarray, views: list[panels.View], name: str) -> None:
    if len(views[0].axes) == 1:
        for axes, view, colour in zip(row, views, LINES, strict=False):
            panels.draw(axes, view, name, color=colour)
            axes.set_ylabel(label(name))
        _share(row)
        return
    fields = [view.values.fields[name] for view in views]
    common = panels.limits(*(np.where(np.isfinite(fields[0]), f, np.nan) for f in fields[:2]))
    scales: list[dict[str, Any]] = [{"cmap": FIELD, **common}] * 2
    scales.append({"cmap": DIFFERENCE, **panels.symmetric(fields[2])})
    images = [panels.draw(a, v, name, **s) for a, v, s in zip(row, views, scales, strict=True)]
    bar(drawn, images[1], list(row[:2]), shrink=0.9)
    bar(drawn, images[2], row[2], shrink=0.9)
    row[1].set_ylabel("")
    row[2].set_ylabel("")


def _profile_row(row: np.ndarray, triple: tuple[Reference, ...], name: str) -> None:
    for axes, values in zip(row, triple, strict=True):
        for time, colour in zip(values.times(), LINES * 2, strict=False):
            (view,) = panels.views(values.at_time(float(time)))
            panels.draw(axes, view, name, color=colour, label=f"{time:.3g}")
        axes.set_ylabel(label(name))
    legend_beside(row[2], label(triple[0].time_axis or "t"))
    _share(row)


def _share(row: np.ndarray) -> None:
    """Ours and theirs on one scale."""
    low = min(axes.get_ylim()[0] for axes in row[:2])
    high = max(axes.get_ylim()[1] for axes in row[:2])
    for axes in row[:2]:
        axes.set_ylim(low, high)


def _titles(row: np.ndarray, view: panels.View, name: str, comparison: Comparison) -> None:
    fixed = f", {view.title()}" if view.fixed else ""
    error = comparison.table.loc[name, "rel_l2"]
    row[0].set_title(f"ours: {label(name)}{fixed}")
    row[1].set_title(f"reference: {label(name)}{fixed}")
    row[2].set_title(f"difference, relative $L_2$ {error:.1e}")


def _short(source: str) -> str:
    return Path(source).name if "/" in source else source
