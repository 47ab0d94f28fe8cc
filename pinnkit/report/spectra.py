"""Power spectra of periodic fields over wavenumber."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd

from pinnkit.errors import OptionError
from pinnkit.reference import Reference
from pinnkit.report.compare import as_reference, run_or_itself
from pinnkit.report.sample import field_names, instants, sample
from pinnkit.report.style import FIELD, figure, label, legend_beside, save, style
from pinnkit.spec.condition import Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = {1: 512, 2: 256, 3: 64}
"""Places along each axis by the number of axes."""

UNIFORM = 1e-4
"""Nodes may be off a uniform grid by so much of their spacing: files round them."""


def power_spectrum(values: np.ndarray, lengths: Sequence[float]) -> pd.Series:
    """Power of `values` (n_1, …, n_d), nodes of a uniform periodic grid, over wavenumber k.

    P(k_j) is the sum of |c_m|^2 over the Fourier coefficients c_m, sum c_m exp(i k_m x) = u, with
    |k_m| nearest to k_j = j 2 pi / max(lengths): on one axis the pair of waves, on several a shell.
    By Parseval's theorem the powers sum to the mean of u^2; half of them to the mean energy of a
    velocity. k is in radians per unit of length.

    The shells beyond the highest wave of one axis are not whole, as the grid is a box.
    """
    values = np.asarray(values, float)
    unit = 2 * np.pi / max(lengths)
    axes = [
        np.fft.fftfreq(n, 1 / n) * (max(lengths) / length)
        for n, length in zip(values.shape, lengths, strict=True)
    ]
    radius = np.sqrt(sum(np.square(m) for m in np.meshgrid(*axes, indexing="ij")))
    shell = np.rint(radius).astype(int).ravel()
    power = np.abs(np.fft.fftn(values) / values.size) ** 2
    summed = np.bincount(shell, power.ravel())
    return pd.Series(summed, index=pd.Index(unit * np.arange(len(summed)), name="k"))


def spectrum(
    solution: Any,
    fields: str | Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    *,
    points: int | None = None,
) -> pd.DataFrame:
    """Power spectra of a solution, rows by wavenumber k, columns by time (see `power_spectrum`).

    - `fields`: powers are added over these, such as ("u", "v") for a velocity; by default all.
    - `times`: by default the first, the middle and the last.
    - `points`: along each axis; by default 512, 256, 64 for one, two, three axes.

    Raises `OptionError` unless all space axes are periodic, and for unknown fields and times.
    """
    lengths = _periods(solution)
    names = _names(solution, fields)
    count = points or POINTS.get(len(lengths), 32)
    domain, moments = solution.problem.domain, instants(solution, times, 3)
    at: dict[str, Any] = {a: n for a, n in domain.ticks(count, tuple(lengths)).items()}
    values = sample(solution, at={**at, str(domain.time): moments})
    return _spectra(values, names, lengths, moments)


def reference_spectrum(
    solution: Any,
    reference: Any,
    fields: str | Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    *,
    rename: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The same of a reference, on its own grid over the periods of the solution's problem.

    `reference` may be all that `compare` takes; of another solution this is its `spectrum`. Times
    of a file must be stored in it; by default the first, the middle and the last.

    Raises `OptionError` unless the reference is a uniform grid over whole periods.
    """
    other = run_or_itself(reference)
    if hasattr(other, "problem"):
        return spectrum(other, fields, times)
    theirs = as_reference(solution, other, rename or {}, None, None)
    lengths, names = _periods(solution), _names(solution, fields)
    stored = theirs.times()
    chosen = stored[[0, len(stored) // 2, -1]] if times is None else np.atleast_1d(times)
    return _spectra(_one_period(theirs, lengths), names, lengths, chosen)


def plot_spectrum(
    solution: Any,
    path: str | Path | None = None,
    *,
    reference: Any = None,
    fields: str | Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    rename: Mapping[str, str] | None = None,
) -> Figure:
    """Spectra at `times` on logarithmic scales, a reference's dashed beside them.

    With a reference the times are its stored ones. The mean, k = 0, is left out.
    """
    names = _names(solution, fields)
    theirs = None
    if reference is not None:
        theirs = reference_spectrum(solution, reference, names, times, rename=rename)
        times = theirs.columns.to_list()
    ours = spectrum(solution, names, times)
    with style():
        drawn = figure(5.0, 3.2)
        axes = drawn.subplots()
        colours = matplotlib.colormaps[FIELD](np.linspace(0.0, 0.85, len(ours.columns)))
        for time, colour in zip(ours, colours, strict=True):
            axes.loglog(*_shown(ours, time), color=colour, label=f"{float(time):.4g}")
            if theirs is not None:
                axes.loglog(*_shown(theirs, time), color=colour, linestyle="--")
        top = float(ours.iloc[1:].to_numpy().max())
        axes.set_ylim(bottom=top * 1e-33)  # below is rounding
        axes.set_xlabel("$k$")
        axes.set_ylabel(f"power of {', '.join(map(label, names))}")
        axes.set_title("" if theirs is None else "reference dashed")
        legend_beside(axes, label(solution.problem.domain.time))
        return save(drawn, path)


def _shown(table: pd.DataFrame, time: Any) -> tuple[np.ndarray, np.ndarray]:
    values = table[time].to_numpy()[1:]
    return table.index.to_numpy()[1:], np.where(values > 0, values, np.nan)


def _spectra(
    values: Reference, names: Sequence[str], lengths: Mapping[str, float], times: np.ndarray
) -> pd.DataFrame:
    columns = {}
    for time in np.unique(times):
        part = values.at_time(float(time))
        axis = part.axes.index(str(part.time_axis))
        powers = [
            power_spectrum(np.squeeze(part.fields[name], axis), list(lengths.values()))
            for name in names
        ]
        columns[float(time)] = sum(powers[1:], powers[0])
    return pd.DataFrame(columns).rename_axis("k")


def _periods(solution: Any) -> dict[str, float]:
    """Length of each space axis; all must be periodic."""
    domain = solution.problem.domain
    conditions = getattr(solution.problem, "conditions", ())
    periodic = {str(c.axis) for c in conditions if c.kind is Kind.PERIODIC}
    walled = [a for a in domain.space_axes if a not in periodic]
    if walled or not domain.space_axes:
        raise OptionError(
            f"A spectrum needs space axes that are all periodic; '{solution.problem.name}' has "
            f"{', '.join(walled) or 'none'} without that. Use a problem with Periodic(...)."
        )
    return {a: float(np.ptp(domain.bounds[a])) for a in domain.space_axes}


def _names(solution: Any, fields: str | Sequence[str] | None) -> list[str]:
    have = field_names(solution)
    names = [fields] if isinstance(fields, str) else list(fields or have)
    unknown = [name for name in names if name not in have]
    if unknown:
        raise OptionError(
            f"The solution has no field {', '.join(unknown)}. Choose from {', '.join(have)}."
        )
    return names


def _one_period(values: Reference, lengths: Mapping[str, float]) -> Reference:
    """Without the last node of an axis where that repeats the first."""
    kept = {}
    for axis, length in lengths.items():
        nodes = np.unique(values.coordinates[axis])
        steps, whole = np.diff(nodes), math.isclose(np.ptp(nodes), length, rel_tol=1e-6)
        count = len(nodes) - whole
        uniform = values.layout == "grid" and len(steps) and count > 1
        if not uniform or np.any(np.abs(steps - length / count) > UNIFORM * length / count):
            raise OptionError(
                f"'{values.source}' is no uniform grid over one period of {axis}, {length:g}. "
                "Interpolate it to one, or compare without a spectrum of it."
            )
        kept[axis] = (-np.inf, float(nodes[count - 1]))
    return values.select(None, **kept)
