"""Films: fields over time, alone or beside a reference."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib import animation
from matplotlib.colors import to_rgb
from PIL import Image

from pinnkit.errors import OptionError
from pinnkit.files import atomic
from pinnkit.methods.base import Progress
from pinnkit.reference import Reference
from pinnkit.report import panels
from pinnkit.report.plots import COLUMN, HEIGHT
from pinnkit.report.sample import field_names, instants, sample
from pinnkit.report.style import DIFFERENCE, FIELD, LINES, bar, figure, headline, label, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pinnkit.report.compare import Comparison


class Gif(animation.PillowWriter):
    """Frames with one palette, so that a colour means the same value in all of them."""

    def finish(self) -> None:
        palette = Image.new("P", (1, 1))
        palette.putpalette(_colours().tobytes())
        self._frames = [
            frame.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
            for frame in self._frames
        ]
        super().finish()


def _colours() -> np.ndarray:
    """256 colours as bytes: two maps, tints of the lines, and greys."""
    maps = [
        matplotlib.colormaps[name](np.linspace(0, 1, 110))[:, :3] for name in (FIELD, DIFFERENCE)
    ]
    lines = np.array([to_rgb(colour) for colour in LINES[:3]])
    tints = [share * lines + 1 - share for share in (1.0, 0.75, 0.5, 0.25)]
    greys = np.repeat(np.linspace(0, 1, 24)[:, None], 3, axis=1)
    return np.rint(255 * np.concatenate([*maps, *tints, greys])).astype(np.uint8)


WRITERS = {".gif": Gif, ".mp4": animation.FFMpegWriter}
SUFFIXES = tuple(WRITERS)

RESOLUTION = {1: 401, 2: 97}
"""Places along each space axis that is shown, by their number."""

Report = Callable[[Progress], None]


def _unheard(progress: Progress) -> None:
    """Nobody listens."""


@dataclasses.dataclass(frozen=True)
class Film:
    """What is shown: `frames` holds for each time the values of every column.

    `titles` of the columns; one column for a solution, three for a comparison, of which the first
    two share a scale and the last has zero in the middle. `inside` as in `panels.View`.
    """

    heading: str
    titles: tuple[str, ...]
    fields: tuple[str, ...]
    times: tuple[float, ...]
    frames: tuple[tuple[Reference, ...], ...]
    inside: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None = None


def animate(
    solution: Any,
    path: str | Path,
    *,
    fields: Sequence[str] | None = None,
    frames: int = 101,
    times: Sequence[float] | None = None,
    fps: float = 20,
    resolution: int | None = None,
    report: Report = _unheard,
) -> Path:
    """Write a film of a solution: curves over one space axis, maps over two; returns the path.

    Scales are the same in all frames. Of three space axes the middle plane of the last is shown.

    - `path`: `.gif`, or `.mp4` where ffmpeg is installed.
    - `frames`: their number, evenly from the first to the last time, or `times` themselves;
      `fps`: frames per second.
    - `resolution`: points along each space axis, by default 401 for curves, 97 for maps.
    - `report`: called with `Progress` after each frame.

    Raises `OptionError` for another suffix, `.mp4` without ffmpeg, a steady problem or one without
    space axes, unknown fields, times outside the domain, and numbers out of range.
    """
    _check(path, frames, fps)
    domain, names = solution.problem.domain, tuple(fields or field_names(solution))
    moments = instants(solution, times, frames)
    unknown = [name for name in names if name not in field_names(solution)]
    if unknown or not domain.space_axes:
        what = f"no field {', '.join(unknown)}" if unknown else "no space axis to draw over"
        raise OptionError(
            f"'{solution.problem.name}' has {what}. Animate fields of "
            f"{', '.join(field_names(solution))} that depend on space."
        )
    shown, through = domain.space_axes[:2], domain.space_axes[2:]
    count = resolution or RESOLUTION[len(shown)]
    middle = {a: float(np.mean(domain.bounds[a])) for a in through}
    steps = _counted("values", len(moments), report)
    values = tuple(
        (sample(solution, dict.fromkeys(shown, count), {**middle, str(domain.time): time}),)
        for time in steps(moments)
    )
    heading = values[0][0].source
    return _write(Film(heading, ("",), names, tuple(moments), values), path, fps, report)


def animate_comparison(
    comparison: Comparison,
    path: str | Path,
    *,
    fields: Sequence[str] | None = None,
    frames: int = 101,
    fps: float = 20,
    report: Report = _unheard,
) -> Path:
    """Write a film of ours, theirs and the difference side by side, one row per field.

    The frames are the reference's stored times, at most `frames` of them, evenly spread. For the
    rest see `animate`.

    Raises `OptionError` where there are no two times, and as `animate` does.
    """
    _check(path, frames, fps)
    ours, theirs = comparison.ours.select(fields), comparison.theirs.select(fields)
    stored = theirs.times()
    space = [a for a in panels.varying(theirs) if a != theirs.time_axis]
    if len(stored) < 2 or not space:
        raise OptionError(
            f"'{comparison.reference}' has {len(stored)} times and {len(space)} space axes. "
            "Compare with values at several times and places."
        )
    picked = np.unique(np.linspace(0, len(stored) - 1, min(frames, len(stored))).round())
    moments = stored[picked.astype(int)]
    difference = dataclasses.replace(
        ours, fields={n: ours.fields[n] - theirs.fields[n] for n in ours.fields}
    )
    columns = (ours, theirs, difference)
    values = tuple(tuple(c.at_time(float(t)) for c in columns) for t in moments)
    film = Film(
        f"{comparison.name} against {comparison.reference}",
        ("ours: ", "reference: ", "difference: "),
        tuple(ours.fields),
        tuple(moments),
        values,
        comparison.inside,
    )
    return _write(film, path, fps, report)


def check_writer(path: str | Path) -> None:
    """`OptionError` unless a film can be written with this suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise OptionError(
            f"Cannot write a film to '{path}': unknown kind '{suffix}'. "
            f"Choose one of {' '.join(SUFFIXES)}."
        )
    if not WRITERS[suffix].isAvailable():
        raise OptionError(
            f"Cannot write '{path}': the program ffmpeg is not on the PATH. "
            "Install ffmpeg with the system's package manager, or write .gif."
        )


def _check(path: str | Path, frames: int, fps: float) -> None:
    check_writer(path)
    if frames < 2 or not (fps > 0 and math.isfinite(fps)):
        raise OptionError(
            f"frames={frames}, fps={fps:g}: out of range. Give at least 2 frames and a positive "
            "number of frames per second."
        )


def _counted(
    stage: str, count: int, report: Report
) -> Callable[[Sequence[float] | np.ndarray], Iterator[float]]:
    """Walk along a sequence and report each step once it is done."""
    started = clock.monotonic()

    def walk(items: Sequence[float] | np.ndarray) -> Iterator[float]:
        for step, item in enumerate(items, 1):
            yield float(item)
            report(Progress(stage, step, count, elapsed=clock.monotonic() - started))

    return walk


def _write(film: Film, path: str | Path, fps: float, report: Report) -> Path:
    """Draw the fields of every frame anew, on axes that stay as in the first."""
    path = Path(path)
    writer = WRITERS[path.suffix.lower()](fps=fps)  # pyright: ignore[reportCallIssue]
    scales = _scales(film)
    digits = _digits(film.times)
    with style(), atomic(path) as temporary:
        drawn, grid = _stage(film, scales)
        with writer.saving(drawn, str(temporary), dpi=100):
            walk = _counted("frame", len(film.times), report)
            for values, time in zip(film.frames, walk(film.times), strict=True):
                _draw(grid, film, values, scales, f"{time:.{digits}f}")
                writer.grab_frame()
    return path


def _stage(film: Film, scales: Mapping[tuple[str, int], dict[str, float]]) -> tuple[Figure, Any]:
    """The figure with its first frame, colour bars, and a layout that is fixed from here on."""
    rows, columns = len(film.fields), len(film.titles)
    view = panels.views(film.frames[0][0])[-1]
    curves = len(view.axes) == 1
    width = COLUMN * (1.4 if curves and columns == 1 else columns + 0.1 * (columns > 1))
    drawn = figure(width, (HEIGHT if curves else _height(view)) * rows + 0.2)
    grid = np.asarray(drawn.subplots(rows, columns, squeeze=False))
    images = _draw(grid, film, film.frames[0], scales, f"{film.times[0]:.{_digits(film.times)}f}")
    if not curves:
        for row, shown in zip(grid, images, strict=True):
            bar(drawn, shown[0], list(row[:2]), shrink=0.9)
            if columns > 2:
                bar(drawn, shown[2], row[2], shrink=0.9)
    headline(drawn, film.heading)
    drawn.set_layout_engine("none")
    return drawn, grid


def _draw(
    grid: np.ndarray,
    film: Film,
    values: tuple[Reference, ...],
    scales: Mapping[tuple[str, int], dict[str, float]],
    time: str,
) -> list[list[Any]]:
    """One frame; returns the images by row and column, None for curves."""
    clock_text = f"{label(values[0].time_axis or 't')} = {time}"
    images: list[list[Any]] = [[] for _ in film.fields]
    for (i, name), column in itertools.product(enumerate(film.fields), range(len(values))):
        axes, scale = grid[i, column], scales[name, column]
        for artist in (*axes.lines, *axes.collections):
            artist.remove()
        view = dataclasses.replace(panels.views(values[column])[-1], inside=film.inside)
        colours = {"cmap": DIFFERENCE if column == 2 else FIELD, **scale}
        look: dict[str, Any] = {"color": LINES[column]} if len(view.axes) == 1 else colours
        images[i].append(panels.draw(axes, view, name, **look))
        if len(view.axes) == 1:
            slack = 0.04 * (scale["vmax"] - scale["vmin"])
            axes.set_ylim(scale["vmin"] - slack, scale["vmax"] + slack)
            axes.margins(x=0)
        axes.set_title(f"{film.titles[column]}{label(name)}, {clock_text}")
    return images


def _scales(film: Film) -> dict[tuple[str, int], dict[str, float]]:
    """Limits over all frames by field and column."""
    result: dict[tuple[str, int], dict[str, float]] = {}
    for name in film.fields:
        columns = range(len(film.titles))
        stacks = [np.stack([values[c].fields[name] for values in film.frames]) for c in columns]
        if not np.isfinite(stacks[0]).any():
            raise OptionError(f"'{name}' has no finite values. Solve again, with other options.")
        common = panels.limits(*stacks[:2])
        for c, stack in enumerate(stacks):
            result[name, c] = panels.symmetric(stack) if c == 2 else common
    return result


def _digits(times: Sequence[float]) -> int:
    """Decimals by which successive times differ, so that the title keeps its width."""
    step = float(np.min(np.diff(times))) if len(times) > 1 else 1.0
    return max(0, 1 - math.floor(math.log10(step))) if step > 0 else 3


def _height(view: panels.View) -> float:
    x, y = (np.ptp(view.values.coordinates[a]) for a in view.axes)
    return float(np.clip(0.7 * COLUMN * y / x, 1.2, 5.0)) + 0.6
