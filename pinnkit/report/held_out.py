"""An operator or emulator against solutions that it has not seen."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pinnkit import precision
from pinnkit.data import Dataset, shared
from pinnkit.data.file import is_dataset
from pinnkit.derivatives import Axis, FourierAxis, OpenAxis
from pinnkit.errors import OptionError
from pinnkit.reference import read_pairs
from pinnkit.report.over_time import THRESHOLD, first_passage, plot_over_time
from pinnkit.solution import Learned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pinnkit.solution import Solution

BANDS = (4, 12)
"""Wavenumbers at which the low band ends and the high one begins, as in PDEBench."""


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """Errors over the samples of a dataset.

    A first frame that is the input function itself counts in `by_time` only.

    - `table`: one row per field: `rel_l2`, the mean over samples of ||ours - theirs|| / ||theirs||
      over the grid; `median` and `worst` of the same; `rmse` and `max` in the field's units;
      `mean_error`, the root mean square error of the mean over space; `low`, `mid`, `high`, the
      root mean square errors of the waves below 4, from 4 to 12, and above, that of the mean
      itself in `low`; `n_samples`.
    - `by_time`: mean relative L2 error by time and field; empty for steady problems.
    - `errors`: relative L2 error (samples, fields).
    - `time`: name of the axis of instants, None for steady problems.
    - `shared`: how many of the samples were in the training set, so that their errors flatter.
    - `floor`: the mean error that the data state of themselves; None if unknown.
    """

    name: str
    reference: str
    table: pd.DataFrame
    by_time: pd.DataFrame
    errors: np.ndarray
    data: Dataset
    ours: np.ndarray
    time: str | None = None
    shared: int = 0

    @property
    def floor(self) -> float | None:
        known = self.data.errors[np.isfinite(self.data.errors)]
        return float(known.mean()) if len(known) else None

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, keys as in `Comparison.to_json`."""
        rows: Mapping[str, Any] = self.table.to_dict(orient="index")  # pyright: ignore
        fields = {
            name: {k: int(v) if k == "n_samples" else float(v) for k, v in row.items()}
            for name, row in rows.items()
        }
        result = {"fields": fields, "reference": self.reference, "reference_floor": self.floor}
        result["shared_with_training"] = self.shared
        json.dumps(result, allow_nan=False)
        return result

    def valid_time(
        self, threshold: float = THRESHOLD, lyapunov: float | None = None
    ) -> pd.DataFrame:
        """Mean over the samples of the time for which one is valid; see `over_time.valid_time`.

        Errors are relative to the root mean square of the sample's own field over all times.
        `passed` is false where no sample passes, so that the time is a lower bound.
        """
        where = self._time()
        times = self.data.grid[where].nodes
        theirs = self.data.arrays()[1]
        rows = {}
        for c, name in enumerate(self.data.fields):
            over = tuple(i + 1 for i in range(len(self.data.grid)) if i != where)
            error = np.sqrt(((self.ours[:, c] - theirs[:, c]) ** 2).mean(axis=over))
            size = np.sqrt((theirs[:, c] ** 2).mean(axis=tuple(range(1, theirs.ndim - 1))))
            found = [
                first_passage(times, e / s, threshold) for e, s in zip(error, size, strict=True)
            ]
            elapsed = float(np.mean([time for _, time in found])) - times[0]
            passed = any(p for p, _ in found)
            rows[name] = [elapsed, elapsed * (math.nan if lyapunov is None else lyapunov), passed]
        columns = ["valid_time", "lyapunov_times", "passed"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    def _time(self) -> int:
        """Index of time among the axes of the grid."""
        if self.time is None:
            raise OptionError("A steady problem has no valid time. Compare a time-dependent one.")
        return [axis.name for axis in self.data.grid].index(self.time)

    def plot_over_time(self, path: str | Path | None = None, **options: Any) -> Figure:
        """Mean relative L2 error over time, logarithmic."""
        del options
        return plot_over_time(self, path)  # type: ignore[arg-type]

    def plot(self, path: str | Path | None = None) -> Figure:
        """Input, ours, theirs and the difference for the best, the median and the worst sample."""
        from pinnkit.report.held_out_plot import plot_held_out

        return plot_held_out(self, path)

    def __str__(self) -> str:
        numbers = self.table.drop(columns="n_samples").map(lambda v: f"{v:.2e}")
        floor = "unknown" if self.floor is None else f"{self.floor:.1e}"
        return (
            f"{self.name} against {len(self.data)} samples of {self.reference}, whose own error "
            f"is {floor}{self._flattered()}\n{numbers.to_string()}"
        )

    def _flattered(self) -> str:
        if not self.shared:
            return ""
        return f"; {self.shared} of them were in the training set, whose errors flatter"


def samples_in(
    solution: Solution, other: Any, rename: Mapping[str, str], every: int | Mapping[str, int]
) -> tuple[Dataset, str] | None:
    """The dataset that was given to compare an operator with, and what it is called.

    None for anything that is one solution: another solution, or a file without input functions.
    """
    if isinstance(other, Dataset):
        return other, "a dataset"
    if not isinstance(other, str | Path) or not isinstance(solution.evaluator, Learned):
        return None
    path, name = Path(other), solution.evaluator.name
    if name not in rename.values() and not is_dataset(path):
        return None
    sensors = getattr(solution.evaluator, "sensors", ())
    own = [axis.name for axis in sensors if isinstance(axis, OpenAxis)]
    return read_pairs(path, solution.problem, rename, every, open_axes=own), path.name


def compare_held_out(solution: Solution, data: Dataset, reference: str = "a dataset") -> HeldOut:
    """An operator on every input function of `data`, against the solutions there.

    Raises OptionError for a solution that is no operator, or data of another problem.
    """
    field = solution.evaluator
    if not isinstance(field, Learned):
        raise OptionError(
            f"'{reference}' holds samples of a family, but this solution by {solution.method} is "
            "one function. Solve the family with Operator(...), or compare with one solution."
        )
    if (data.function, data.fields) != (field.name, solution.fields):
        raise OptionError(
            f"'{reference}' maps {data.function} to {', '.join(data.fields)}, this operator "
            f"{field.name} to {', '.join(solution.fields)}. Give data of the same problem."
        )
    inputs, theirs = data.arrays()
    with precision.scope(solution.precision):
        ours = field.predict(inputs, data.grid)
    time = solution.problem.domain.time
    mine, true = (field.predicted(a, 2) for a in (ours, theirs))
    return HeldOut(
        solution.problem.name,
        reference,
        _table(data, mine, true, time),
        _by_time(data, ours, theirs, time),
        relative(mine - true, true),
        data,
        ours,
        time,
        shared(solution.provenance.get("training inputs", ()), data),
    )


def relative(error: np.ndarray, truth: np.ndarray, skip: int = 2) -> np.ndarray:
    """||error|| / ||truth|| over all but the first `skip` dimensions; absolute for zero."""
    over = tuple(range(skip, truth.ndim))
    size = np.sqrt((truth**2).sum(axis=over))
    return np.sqrt((error**2).sum(axis=over)) / np.where(size > 0, size, 1.0)


def _table(data: Dataset, ours: np.ndarray, theirs: np.ndarray, time: str | None) -> pd.DataFrame:
    error = ours - theirs
    errors = relative(error, theirs)
    space = [i for i, axis in enumerate(data.grid) if axis.name != time]
    rows = {}
    for c, name in enumerate(data.fields):
        e = error[:, c]
        bands = band_errors(e, data.grid, space)
        mean = e.mean(axis=tuple(i + 1 for i in space))
        rows[name] = {
            "rel_l2": errors[:, c].mean(),
            "median": np.median(errors[:, c]),
            "worst": errors[:, c].max(),
            "rmse": np.sqrt((e**2).mean()),
            "max": np.abs(e).max(),
            "mean_error": np.sqrt((mean**2).mean()),
            **dict(zip(("low", "mid", "high"), bands, strict=True)),
            "n_samples": len(data),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def band_errors(error: np.ndarray, grid: tuple[Axis, ...], space: list[int]) -> np.ndarray:
    """Root mean squares (3,) of an error (S, *grid) by band of wavenumber.

    By Fourier series along periodic axes and cosine series along others, whose mode k counts as
    wavenumber k / 2; the squares of the three sum to that of the whole.
    """
    import scipy.fft

    power: Any = error
    numbers = []
    for i in space:
        n = error.shape[i + 1]
        if isinstance(grid[i], FourierAxis):
            power = scipy.fft.fft(power, axis=i + 1, norm="ortho")
            numbers.append(np.abs(np.fft.fftfreq(n, 1 / n)))
        else:
            power = scipy.fft.dct(power, axis=i + 1, norm="ortho")
            numbers.append(np.arange(n) / 2)
    other = tuple(i + 1 for i in range(len(grid)) if i not in space)
    power = (np.abs(power) ** 2).mean(axis=(0, *other)) / np.prod(
        [error.shape[i + 1] for i in space]
    )
    radius = np.sqrt(sum(k**2 for k in np.meshgrid(*numbers, indexing="ij")))
    low, high = BANDS
    masks = (radius < low, (radius >= low) & (radius <= high), radius > high)
    return np.array([np.sqrt(power[mask].sum()) for mask in masks])


def _by_time(data: Dataset, ours: np.ndarray, theirs: np.ndarray, time: str | None) -> pd.DataFrame:
    where = next((i for i, axis in enumerate(data.grid) if axis.name == time), None)
    if where is None:
        return pd.DataFrame()
    first = [np.moveaxis(a, where + 2, 2) for a in (ours - theirs, theirs)]
    errors = relative(*first, skip=3).mean(axis=0)
    index = pd.Index(data.grid[where].nodes, name=time)
    return pd.DataFrame(errors.T, index=index, columns=pd.Index(data.fields))
