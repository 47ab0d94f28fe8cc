"""The course of a training."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pinnkit.errors import OptionError
from pinnkit.report.style import LINES, figure, save, style

CLOCKS = ("step", "wall_s")
LABELS = (*CLOCKS, "stage", "window")
CAUSAL = "causal weight", "epsilon"


def plot_history(solution: Any, path: str | Path | None = None, *, against: str = "step") -> Figure:
    """Every recorded quantity on a logarithmic scale, one line per residual, over steps or seconds.

    With causal weights the smallest of them is below, with a mark where epsilon changes.

    Raises `OptionError` if nothing was recorded, or `against` is neither "step" nor "wall_s".
    """
    history = {k: np.asarray(v, dtype=float) for k, v in solution.history.items()}
    if against not in CLOCKS:
        raise OptionError(f"against={against!r} is unknown. Choose one of {', '.join(CLOCKS)}.")
    apart = (*LABELS, *CAUSAL)
    recorded = {k: v for k, v in history.items() if k not in apart and np.any(v > 0)}
    if against not in history or not recorded:
        raise OptionError(
            f"{solution.method} of '{solution.problem.name}' recorded no history. "
            "Plot the history of an iterative method."
        )
    with style():
        drawn, (axes, *others) = _panels(history)
        dashes = ("-", "--", ":", "-.")
        for index, (name, values) in enumerate(recorded.items()):
            shown = np.where(values > 0, values, np.nan)
            look = dashes[index // len(LINES) % len(dashes)]
            width = 2.0 if name in ("loss", "total") else 1.2
            axes.plot(history[against], shown, label=name, linestyle=look, linewidth=width)
        axes.set_yscale("log")
        axes.set_ylabel("recorded value")
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.margins(x=0)
        for below in others:
            _causality(below, history[against], *(history[name] for name in CAUSAL))
        (axes, *others)[-1].set_xlabel("step" if against == "step" else "wall time (s)")
        drawn.legend(loc="outside right upper")
        axes.set_title(f"{solution.method} of {solution.problem.name}", color="0.35")
        return save(drawn, path)


def _panels(history: dict[str, np.ndarray]) -> tuple[Figure, list[Axes]]:
    """One panel, or a second one below for causal weights."""
    if any(name not in history for name in CAUSAL):
        drawn = figure(6.4, 3.4)
        return drawn, [drawn.subplots()]
    drawn = figure(6.4, 4.6)
    return drawn, list(drawn.subplots(2, 1, sharex=True, height_ratios=(3, 1)))


def _causality(axes: Axes, clock: np.ndarray, least: np.ndarray, epsilon: np.ndarray) -> None:
    """The smallest causal weight, and the epsilon to which it belongs."""
    axes.plot(clock, least, color=LINES[0], linewidth=1.2)
    starts = [0, *(np.flatnonzero(np.diff(epsilon)) + 1)]
    for start in starts:
        axes.axvline(float(clock[start]), color="0.75", linewidth=0.6, zorder=0)
        axes.annotate(
            f"{epsilon[start]:g}" if start else f"epsilon = {epsilon[start]:g}",
            (float(clock[start]), 1),
            (2, 1),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=7,
            color="0.35",
        )
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("min w")
    axes.margins(x=0)
