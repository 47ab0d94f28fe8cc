"""The course of a training."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pinnkit.errors import OptionError
from pinnkit.report.style import LINES, figure, save, style

CLOCKS = ("step", "wall_s")
LABELS = (*CLOCKS, "stage")


def plot_history(solution: Any, path: str | Path | None = None, *, against: str = "step") -> Figure:
    """Every recorded quantity on a logarithmic scale, one line per residual, over steps or seconds.

    Raises `OptionError` if nothing was recorded, or `against` is neither "step" nor "wall_s".
    """
    history = {k: np.asarray(v, dtype=float) for k, v in solution.history.items()}
    if against not in CLOCKS:
        raise OptionError(f"against={against!r} is unknown. Choose one of {', '.join(CLOCKS)}.")
    recorded = {k: v for k, v in history.items() if k not in LABELS and np.any(v > 0)}
    if against not in history or not recorded:
        raise OptionError(
            f"{solution.method} of '{solution.problem.name}' recorded no history. "
            "Plot the history of an iterative method."
        )
    with style():
        drawn = figure(6.4, 3.4)
        axes = drawn.subplots()
        dashes = ("-", "--", ":", "-.")
        for index, (name, values) in enumerate(recorded.items()):
            shown = np.where(values > 0, values, np.nan)
            look = dashes[index // len(LINES) % len(dashes)]
            width = 2.0 if name in ("loss", "total") else 1.2
            axes.plot(history[against], shown, label=name, linestyle=look, linewidth=width)
        axes.set_yscale("log")
        axes.set_xlabel("step" if against == "step" else "wall time (s)")
        axes.set_ylabel("recorded value")
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.margins(x=0)
        drawn.legend(loc="outside right upper")
        axes.set_title(f"{solution.method} of {solution.problem.name}", color="0.35")
        return save(drawn, path)
