"""Errors as functions of time, and how long a solution of a chaotic problem is valid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pinnkit.errors import OptionError
from pinnkit.reference import Reference
from pinnkit.report.style import LINES, figure, label, save, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pinnkit.report.compare import Comparison

THRESHOLD = 0.4
"""Normalised error up to which a prediction counts as valid."""

DASHES = ("-", "--", ":", "-.")


def relative_l2_by_time(ours: Reference, theirs: Reference) -> pd.DataFrame:
    """||ours - theirs|| / ||theirs|| at each stored time (rows) by field (columns).

    Both norms belong to that time; NaN where the reference vanishes. Empty without a time axis.
    """
    times, squares = _squares(ours, theirs)
    columns = {
        name: np.sqrt(np.divide(error, size, out=np.full(len(times), np.nan), where=size > 0))
        for name, (error, size, _) in squares.items()
    }
    return pd.DataFrame(columns, index=times)


def normalised_error(comparison: Comparison) -> pd.DataFrame:
    """E(t) = ||ours - theirs||(t) / <||theirs||^2>^(1/2), times (rows) by field (columns).

    ||.|| is the root mean square over the places of one time, <.> the mean over all that were
    compared. Unlike the relative error of each time, it stays of use where the reference passes
    through zero. Infinite at times at which the solution has no finite value inside the domain.

    Raises `OptionError` where there is no time axis, or the reference vanishes.
    """
    ours, theirs = comparison.ours, comparison.theirs
    times, squares = _squares(ours, theirs)
    if not len(times):
        raise OptionError(
            f"'{comparison.reference}' has no time axis. Compare with values at several times."
        )
    lost = _lost(comparison)
    columns = {}
    for name, (error, size, count) in squares.items():
        if not size.sum() > 0:
            raise OptionError(
                f"The reference of '{name}' is zero, so that no error is relative to it. "
                "Use the column `rms` of the table."
            )
        square = np.divide(error, count, out=np.full(len(times), np.nan), where=count > 0)
        found = np.sqrt(square / (size.sum() / count.sum()))
        columns[name] = np.where(lost[name], np.inf, found)
    return pd.DataFrame(columns, index=times)


def valid_time(
    comparison: Comparison, threshold: float = THRESHOLD, lyapunov: float | None = None
) -> pd.DataFrame:
    """How long a solution can be trusted, one row per field.

    - `valid_time`: from the first compared time until `normalised_error` first exceeds
      `threshold`, linear between stored times, in the units of time.
    - `lyapunov_times`: the same times `lyapunov`, the largest Lyapunov exponent (one over the
      Lyapunov time); NaN without it.
    - `passed`: False if the error stayed below, so that `valid_time` is a lower bound.

    Norm and threshold as in Pathak et al., "Hybrid forecasting of chaotic processes: using machine
    learning in conjunction with a knowledge-based model" (Chaos 28, 2018).

    Raises `OptionError` for numbers that are not positive, and as `normalised_error` does.
    """
    for name, value in (("threshold", threshold), ("lyapunov", lyapunov)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise OptionError(f"{name}={value:g} is out of range. Give a positive number.")
    errors = normalised_error(comparison)
    rows = {}
    for name in errors:
        known = errors[name].dropna()
        passed, time = first_passage(known.index.to_numpy(), known.to_numpy(), threshold)
        elapsed = time - float(errors.index[0])
        rows[name] = [elapsed, elapsed * (math.nan if lyapunov is None else lyapunov), passed]
    columns = ["valid_time", "lyapunov_times", "passed"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def plot_over_time(
    comparisons: Comparison | Mapping[str, Comparison],
    path: str | Path | None = None,
    *,
    threshold: float | None = None,
    lyapunov: float | None = None,
) -> Figure:
    """Error over time on a logarithmic scale, one curve per field of each labelled comparison.

    The relative L2 error of each time. With a `threshold` the normalised error instead, with a
    mark where it first passes the threshold (see `valid_time`). With the largest `lyapunov`
    exponent a second axis counts Lyapunov times.

    Raises `OptionError` where there is only one time.
    """
    named = comparisons if isinstance(comparisons, Mapping) else {"": comparisons}
    with style():
        drawn = figure(5.6, 3.2)
        axes = drawn.subplots()
        for (key, comparison), colour in zip(named.items(), LINES * len(named), strict=False):
            errors = comparison.by_time if threshold is None else normalised_error(comparison)
            if len(errors) < 2:
                raise OptionError(
                    f"'{comparison.reference}' has {len(errors)} times. Compare at several of them."
                )
            _curves(axes, errors, key, colour)
            if threshold is not None:
                _marks(axes, valid_time(comparison, threshold), errors, colour)
        if threshold is not None:
            axes.axhline(threshold, color="0.6", linewidth=0.8, zorder=0)
        _frame(axes, list(named.values()), "relative" if threshold is None else "normalised")
        if lyapunov is not None:
            _lyapunov_axis(axes, lyapunov)
        return save(drawn, path)


def to_json(errors: pd.DataFrame) -> dict[str, list[float | None]]:
    """Times and curves by name as plain numbers; null where there is none."""
    columns = {str(name): errors[name].to_numpy(float) for name in errors}
    curves = {"time": errors.index.to_numpy(float), **columns}
    return {k: [float(v) if np.isfinite(v) else None for v in c] for k, c in curves.items()}


def _squares(
    ours: Reference, theirs: Reference
) -> tuple[pd.Index, dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Stored times; by field the sums at each of (ours - theirs)^2, of theirs^2, and of ones.

    Over the places where both are finite.
    """
    axis = theirs.time_axis
    coordinates, mine = ours.points()
    _, other = theirs.points()
    if axis is None:
        empty = np.empty(0)
        return pd.Index([], dtype=float), dict.fromkeys(mine, (empty, empty, empty))
    times, index = np.unique(coordinates[axis], return_inverse=True)
    result = {}
    for name in mine:
        good = np.isfinite(mine[name]) & np.isfinite(other[name])
        error = np.where(good, mine[name] - other[name], 0.0) ** 2
        size = np.where(good, other[name], 0.0) ** 2
        error, size, count = (np.bincount(index, w, len(times)) for w in (error, size, 1.0 * good))
        result[name] = (error, size, count)
    return pd.Index(times, name=axis), result


def _lost(comparison: Comparison) -> dict[str, np.ndarray]:
    """By field, at which times the solution lacks a value that the reference has."""
    coordinates, mine = comparison.ours.points()
    _, other = comparison.theirs.points()
    times, index = np.unique(coordinates[comparison.theirs.time_axis or ""], return_inverse=True)
    inside = comparison.inside(coordinates)
    return {
        name: np.bincount(
            index, inside & np.isfinite(other[name]) & ~np.isfinite(mine[name]), len(times)
        )
        > 0
        for name in mine
    }


def first_passage(times: np.ndarray, errors: np.ndarray, threshold: float) -> tuple[bool, float]:
    """Whether and when the piecewise linear error first exceeds the threshold."""
    above = np.flatnonzero(errors > threshold)
    if not len(above):
        return False, float(times[-1])
    i = int(above[0])
    if i == 0 or not np.isfinite(errors[i]):
        return True, float(times[max(i - 1, 0)])
    share = (threshold - errors[i - 1]) / (errors[i] - errors[i - 1])
    return True, float(times[i - 1] + share * (times[i] - times[i - 1]))


def _curves(axes: Axes, errors: pd.DataFrame, key: str, colour: str) -> None:
    """Fields differ by dashes; where there is one comparison only, by colour too."""
    for i, name in enumerate(errors):
        values = errors[name].to_numpy()
        shown = np.where((values > 0) & np.isfinite(values), values, np.nan)
        text = ", ".join(filter(None, [key, label(str(name)) if len(errors.columns) > 1 else ""]))
        shade = colour if key else LINES[i % len(LINES)]
        axes.plot(errors.index, shown, label=text, color=shade, linestyle=DASHES[i % 4])


def _marks(axes: Axes, valid: pd.DataFrame, errors: pd.DataFrame, colour: str) -> None:
    start = float(errors.index[0])
    for elapsed, passed in zip(valid["valid_time"], valid["passed"], strict=True):
        if passed:
            axes.axvline(start + elapsed, color=colour, linewidth=0.8, linestyle=":")


def _frame(axes: Axes, comparisons: Sequence[Comparison], kind: str) -> None:
    times = np.concatenate([c.by_time.index.to_numpy() for c in comparisons])
    names = {str(name) for c in comparisons for name in c.table.index}
    what = f" of {label(names.pop())}" if len(names) == 1 else ""
    axes.set_yscale("log")
    axes.set_xlim(times.min(), times.max())
    axes.set_xlabel(label(str(comparisons[0].by_time.index.name or "t")))
    axes.set_ylabel(f"{kind} error{what}")
    if any(axes.get_legend_handles_labels()[1]):
        axes.legend()


def _lyapunov_axis(axes: Axes, lyapunov: float) -> None:
    start = axes.get_xlim()[0]
    functions = (lambda t: (t - start) * lyapunov, lambda n: n / lyapunov + start)
    above = axes.secondary_xaxis("top", functions=functions)
    above.set_xlabel("Lyapunov times")
