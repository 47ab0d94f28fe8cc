"""One look for all figures, kept apart from the user's own Matplotlib settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pinnkit.files import atomic

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which remain distinct under colour blindness."""

FIELD, DIFFERENCE = "viridis", "RdBu_r"

_SETTINGS: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": False,
    "axes.prop_cycle": matplotlib.cycler(color=LINES),  # pyright: ignore
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "mathtext.fontset": "cm",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-3, 4),
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with the package's settings; those outside stay as they are."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def figure(width: float, height: float) -> Figure:
    """A figure of `width` x `height` inches, independent of any graphical backend."""
    result = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(result)
    return result


def save(drawn: Figure, path: str | Path | None) -> Figure:
    """Write the figure if there is a path (`.png .pdf .svg`), atomically."""
    if path is not None:
        with atomic(path) as temporary:
            drawn.savefig(temporary, dpi=160, bbox_inches="tight", pad_inches=0.05)
    return drawn


def headline(drawn: Figure, text: str) -> None:
    """A title of the whole figure, in the middle of its panels without their colour bars."""
    title = drawn.suptitle(text, fontsize=9, color="0.35")
    drawn.draw_without_rendering()  # only now the layout knows where the panels stand
    places = [a.get_position() for a in drawn.axes if a.get_label() != "<colorbar>"]
    title.set_x((min(p.x0 for p in places) + max(p.x1 for p in places)) / 2)


def bar(drawn: Figure, image: Any, axes: Any, shrink: float = 1.0) -> Axes:
    """A colour bar of at least three numbers beside `axes`."""
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3)
    return drawn.colorbar(image, ax=axes, shrink=shrink, ticks=ticks).ax


def legend_beside(axes: Axes, title: str) -> None:
    """A legend to the right of the axes, where no curve can run through it."""
    place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    axes.legend(title=title, handlelength=1.2, borderaxespad=0.2, **place)


def label(name: str) -> str:
    """A name as mathematics: `u_x` with its subscript, single letters in italics."""
    stem, _, rest = name.partition("_")
    if len(stem) == 1:
        return rf"${stem}_{{\mathrm{{{rest}}}}}$" if rest else f"${stem}$"
    return name
