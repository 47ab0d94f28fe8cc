"""Pictures of an operator on the best, the median and the worst sample of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnkit.derivatives import Axis
from pinnkit.reference import Reference
from pinnkit.report import panels
from pinnkit.report.plots import COLUMN
from pinnkit.report.style import DIFFERENCE, FIELD, LINES, bar, figure, headline, label, save, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pinnkit.report.held_out import HeldOut

ROW = 2.0
FEW_FRAMES = 3


def plot_held_out(result: HeldOut, path: str | Path | None = None) -> Figure:
    """Input function, ours, theirs and the difference, one row for each of three samples.

    The first field is shown; in two space dimensions at the last instant.
    """
    errors = result.errors.mean(axis=1)
    order = np.argsort(errors)
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    with style():
        drawn = figure(COLUMN * 3.8, ROW * len(chosen))
        grid = np.asarray(drawn.subplots(len(chosen), 4, squeeze=False))
        for row, (word, i) in zip(grid, chosen.items(), strict=True):
            _row(drawn, row, result, int(i), f"{word}, {errors[i]:.1e}")
        headline(drawn, f"{result.name}, {len(result.data)} samples of {result.reference}")
        return save(drawn, path)


def _row(drawn: Figure, row: np.ndarray, result: HeldOut, i: int, words: str) -> None:
    data, name = result.data, result.data.fields[0]
    inputs, theirs = data.arrays(slice(i, i + 1))
    given = _view(data.sensors, inputs[0], data.function)
    pair = [_view(data.grid, field[0], name) for field in (result.ours[i : i + 1, 0], theirs[:, 0])]
    difference = _view(data.grid, result.ours[i, 0] - theirs[0, 0], name)
    row[0].set_title(f"{label(data.function)}: {words}")
    _draw(drawn, row[0], given, data.function, {"cmap": FIELD})
    common = panels.limits(*(view.values.fields[name] for view in pair))
    for axes, view, title in zip(row[1:3], pair, ("ours", "theirs"), strict=True):
        axes.set_title(f"{title}: {label(name)}")
        _draw(drawn, axes, view, name, {"cmap": FIELD, **common})
    scale = panels.symmetric(difference.values.fields[name])
    row[3].set_title("difference")
    _draw(drawn, row[3], difference, name, {"cmap": DIFFERENCE, **scale})


def _view(axes: tuple[Axis, ...], values: np.ndarray, name: str) -> panels.View:
    """What can be drawn of a function; few instants in time as the last of them."""
    time = next((a for a in axes if a.name in ("t", "time")), None)
    if time is not None and (time.n <= FEW_FRAMES or len(axes) > 2):
        values = values.take(-1, axes.index(time))
        axes = tuple(a for a in axes if a is not time)
        time = None
    names = tuple(a.name for a in axes)
    places = {a.name: a.nodes for a in axes}
    reference = Reference(
        "", names, places, {name: values}, "grid", None if time is None else time.name, {}
    )
    return panels.views(reference)[-1]


def _draw(drawn: Figure, axes: Any, view: panels.View, name: str, options: dict[str, Any]) -> None:
    if len(view.axes) == 1:
        panels.draw(axes, view, name, color=LINES[0])
        return
    bar(drawn, panels.draw(axes, view, name, **options), axes, shrink=0.9)
