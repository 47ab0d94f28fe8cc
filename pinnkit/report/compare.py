"""A solution against what others computed, or against another solution."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pinnkit.errors import OptionError, PinnkitError, ReferenceFileError
from pinnkit.reference import Reference, read
from pinnkit.report import norms
from pinnkit.report.over_time import (
    THRESHOLD,
    plot_over_time,
    relative_l2_by_time,
    valid_time,
)
from pinnkit.report.sample import evaluate_at, field_names, inside, sample, solution_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("rel_l2", "rel_linf", "rms", "max", "n_points", "floor")


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Norms of ours minus theirs over the points of the reference that lie in the domain.

    - `table`: one row per field: `rel_l2`, `rel_linf` (relative to the reference's norm, NaN if
      that vanishes), `rms`, `max` (in the field's units), `n_points`, `floor`.
    - `by_time`: relative L2 by time (rows) and field (columns); empty for steady problems.
    - `worst`: for each field the coordinates of the largest error.
    - `floor` in the table is the reference's own error estimate; differences below it mean
      agreement with the reference, not accuracy.
    - `levels`: for eigenvalue problems `ours`, `theirs` and their relative difference, one row per
      level that both have; else empty.
    - `n_points` were compared. Left out were `n_outside` of the reference's points, which lie
      outside the domain, and those inside where the reference (`n_theirs_not_finite`) or the
      solution (`n_ours_not_finite`) has no finite value.
    - `ours`, `theirs`: the values compared, in the layout of the reference; NaN outside.
    - `inside`: which places, given as arrays by name, lie in the domain.
    """

    name: str
    reference: str
    table: pd.DataFrame
    by_time: pd.DataFrame
    levels: pd.DataFrame
    worst: Mapping[str, Mapping[str, float]]
    n_points: int
    n_outside: int
    n_theirs_not_finite: int
    n_ours_not_finite: int
    ours: Reference
    theirs: Reference
    inside: Callable[[Mapping[str, np.ndarray]], np.ndarray]

    @property
    def reference_floor(self) -> float | None:
        """The largest of the fields' floors; None if one of them is unknown."""
        floors = [self.theirs.floor.get(name) for name in self.table.index]
        known = [float(f) for f in floors if f is not None]
        return max(known) if known and len(known) == len(floors) else None

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; null for norms relative to zero and for an unknown floor."""
        rows: dict[str, Any] = self.table.to_dict(orient="index")  # pyright: ignore
        fields = {
            name: {
                **{norm: _finite(row[norm]) for norm in ("rel_l2", "rel_linf", "rms")},
                "n_points": int(row["n_points"]),
            }
            for name, row in rows.items()
        }
        result = {
            "fields": fields,
            "reference": self.reference,
            "reference_floor": self.reference_floor,
        }
        if len(self.levels):
            result["eigenvalues"] = self.levels.to_dict(orient="index")
        json.dumps(result, allow_nan=False)
        return result

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Ours, theirs and the difference side by side, one row per field."""
        from pinnkit.report.compare_plot import plot_comparison

        return plot_comparison(self, path)

    def plot_over_time(self, path: str | Path | None = None, **options: Any) -> "Figure":
        """Relative L2 error over time, logarithmic; see `report.over_time.plot_over_time`."""
        return plot_over_time(self, path, **options)

    def valid_time(
        self, threshold: float = THRESHOLD, lyapunov: float | None = None
    ) -> pd.DataFrame:
        """Time until the normalised error passes `threshold`; see `report.over_time.valid_time`."""
        return valid_time(self, threshold, lyapunov)

    def animate(self, path: str | Path, **options: Any) -> Path:
        """Ours, theirs and the difference over time; see `report.animate.animate_comparison`."""
        from pinnkit.report.animate import animate_comparison

        return animate_comparison(self, path, **options)

    def __str__(self) -> str:
        numbers = self.table.drop(columns=["n_points", "floor"]).map(lambda v: f"{v:.2e}")
        floors = [self.theirs.floor.get(str(name)) for name in self.table.index]
        numbers["reference floor"] = ["unknown" if f is None else f"{f:.1e}" for f in floors]
        numbers["largest error at"] = [_place(self.worst[str(n)]) for n in self.table.index]
        head = f"{self.name} against {self.reference}\n{self.n_points} points{self._left_out()}"
        levels = f"\n{_table(self.levels)}" if len(self.levels) else ""
        return f"{head}\n{numbers.to_string()}{levels}"

    def _left_out(self) -> str:
        counts = {
            "outside the domain": self.n_outside,
            "where the reference is not finite": self.n_theirs_not_finite,
            "where the solution is not finite": self.n_ours_not_finite,
        }
        told = [f"{count} points {where}" for where, count in counts.items() if count]
        return f"; left out: {', '.join(told)}" if told else ""


def compare(
    solution: Any,
    reference: Any,
    *,
    rename: Mapping[str, str] | None = None,
    time: float | None = None,
    resolution: int | Mapping[str, int] | None = None,
) -> Comparison:
    """Compare `solution` with another solution, a `Reference`, or a file.

    - `reference`: a path may be a run file of pinnkit or anything that `reference.read` knows; the
      solution is evaluated at the reference's own points, so nothing is interpolated.
    - `rename`: file name -> problem name (see `reference.read`); `time`: one stored time.
    - `resolution`: of the uniform grid on which two solutions meet.

    For eigenvalue problems the sign of each function is matched first, as it is arbitrary.

    Points where the reference or the solution is not finite are left out, and counted.

    Raises `ReferenceFileError` if the file cannot be used, or all its points lie outside, and
    `OptionError` if a solution has no finite values, or the two have nothing in common.
    """
    other = run_or_itself(reference)
    theirs = as_reference(solution, other, rename or {}, time, resolution)
    names = [name for name in theirs.fields if name in field_names(solution)]
    if not names:
        raise OptionError(
            f"'{theirs.source}' has fields {', '.join(theirs.fields)}, the solution has "
            f"{', '.join(field_names(solution))}. Compare solutions with a field in common."
        )
    theirs = theirs.select(names)
    coordinates, values = theirs.points()
    known = np.all([np.isfinite(v) for v in values.values()], axis=0)
    mask = inside(solution, coordinates)
    if not (mask & known).any():
        raise _nothing_to_compare(solution, other, theirs, known, mask)
    ours = _evaluate(solution, theirs, coordinates, mask & known)
    broken = np.any([np.isnan(values) for values in ours.points()[1].values()], axis=0)
    left_out = {
        "n_outside": int(np.count_nonzero(~mask & known)),
        "n_theirs_not_finite": int(np.count_nonzero(mask & ~known)),
        "n_ours_not_finite": int(np.count_nonzero(mask & known & broken)),
    }
    return _comparison(solution, ours, theirs, left_out)


def as_reference(
    solution: Any,
    reference: Any,
    rename: Mapping[str, str],
    time: float | None,
    resolution: int | Mapping[str, int] | None,
) -> Reference:
    """Whatever was given to compare with, as a `Reference`."""
    domain = solution.problem.domain
    if isinstance(reference, str | Path):
        return read(
            reference,
            axes=tuple(domain.axes),
            fields=field_names(solution),
            rename=rename,
            time=time,
            time_axis=domain.time,
            eigenvalues=tuple(e.name for e in solution.problem.eigenvalues),
        )
    if isinstance(reference, Reference):
        return reference if time is None else reference.at_time(time)
    other = tuple(reference.problem.domain.axes)
    if other != tuple(domain.axes):
        raise OptionError(
            f"The solutions have different coordinates, {', '.join(domain.axes)} and "
            f"{', '.join(other)}. Compare solutions of one problem."
        )
    at = {domain.time: time} if time is not None and domain.time else {}
    return sample(reference, resolution, at)


def run_or_itself(reference: Any) -> Any:
    """The solution in a run file of pinnkit; anything else as it is."""
    if not isinstance(reference, str | Path):
        return reference
    path = Path(reference)
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return reference
    from pinnkit.runfile import is_run_file, load

    return load(path) if is_run_file(path) else reference


def _evaluate(
    solution: Any, theirs: Reference, coordinates: Mapping[str, np.ndarray], mask: np.ndarray
) -> Reference:
    found = evaluate_at(solution, {a: c[mask] for a, c in coordinates.items()})
    fields = {}
    for name, reference in theirs.fields.items():
        flat = np.full(len(mask), np.nan)
        flat[mask] = np.where(np.isfinite(found[name]), found[name], np.nan)
        fields[name] = flat.reshape(np.shape(reference))
    if getattr(solution.problem, "eigenvalues", ()):
        fields = {n: f * _sign(f, theirs.fields[n]) for n, f in fields.items()}
    levels = getattr(solution, "eigenvalues", {})
    source = solution_name(solution)
    return dataclasses.replace(theirs, source=source, fields=fields, eigenvalues=levels)


def _sign(ours: np.ndarray, theirs: np.ndarray) -> float:
    return -1.0 if np.nansum(ours * theirs) < 0 else 1.0


def _comparison(
    solution: Any, ours: Reference, theirs: Reference, left_out: Mapping[str, int]
) -> Comparison:
    coordinates, flat_ours = ours.points()
    _, flat_theirs = theirs.points()
    rows, worst, count = {}, {}, 0
    for name in ours.fields:
        mask = np.isfinite(flat_ours[name]) & np.isfinite(flat_theirs[name])
        mine, other = flat_ours[name][mask], flat_theirs[name][mask]
        count = int(mask.sum())
        if not count:
            raise OptionError(
                f"Solution '{solution_name(solution)}' has no finite values{_status(solution)} at "
                f"the points where '{name}' is compared. Solve again, with other options."
            )
        place = int(np.argmax(np.abs(mine - other)))
        worst[name] = {a: float(c[mask][place]) for a, c in coordinates.items()}
        rows[name] = _row(mine, other, theirs.floor.get(name))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    levels = _compare_levels(ours.eigenvalues, theirs.eigenvalues)
    return Comparison(
        name=solution_name(solution),
        reference=theirs.source,
        table=table,
        by_time=relative_l2_by_time(ours, theirs),
        levels=levels,
        worst=worst,
        n_points=count,
        **left_out,
        ours=ours,
        theirs=theirs,
        inside=functools.partial(inside, solution),
    )


def _table(levels: pd.DataFrame) -> str:
    digits = {"ours": ".12g", "theirs": ".12g", "relative": ".1e"}
    columns = {name: levels[name].map(f"{{:{d}}}".format) for name, d in digits.items()}
    return pd.DataFrame(columns).to_string()


def _compare_levels(ours: Mapping[str, float], theirs: Mapping[str, float]) -> pd.DataFrame:
    rows = {
        name: [value, theirs[name], abs(value - theirs[name]) / max(abs(theirs[name]), 1e-300)]
        for name, value in ours.items()
        if name in theirs
    }
    columns = ["ours", "theirs", "relative"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _row(ours: np.ndarray, theirs: np.ndarray, floor: float | None) -> list[float]:
    return [
        norms.relative_l2(ours, theirs),
        norms.relative_linf(ours, theirs),
        norms.rms(ours - theirs),
        norms.maximum(ours - theirs),
        len(ours),
        math.nan if floor is None else floor,
    ]


def _nothing_to_compare(
    solution: Any, other: Any, theirs: Reference, known: np.ndarray, mask: np.ndarray
) -> PinnkitError:
    """Why no point of the reference can be used; `other` is what was given to compare with."""
    solved = hasattr(other, "problem")
    kind, error = ("Solution", OptionError) if solved else ("Reference", ReferenceFileError)
    what = f"{kind} '{theirs.source}'"
    if not known.any():
        mend = "Solve again, with other options" if solved else "Repair the file"
        return error(f"{what} has no finite values{_status(other)}. {mend}.")
    if mask.any():
        return error(
            f"{what} has no finite values{_status(other)} at those {np.count_nonzero(mask)} of its "
            f"{len(mask)} points that lie in the domain. Give other points."
        )
    coordinates, _ = theirs.points()
    bounds = solution.problem.domain.bounds
    have = ", ".join(f"{a} {c.min():.4g}…{c.max():.4g}" for a, c in coordinates.items())
    want = ", ".join(f"{a} {low:.4g}…{high:.4g}" for a, (low, high) in bounds.items())
    return error(
        f"{what}: all {len(mask)} points lie outside the domain. They span {have}; the domain is "
        f"{want}. Check the units, and which name stands for which coordinate."
    )


def _status(solution: Any) -> str:
    status = getattr(solution, "status", None)
    return "" if status is None else f" (status: {status})"


def _place(coordinates: Mapping[str, float]) -> str:
    return ", ".join(f"{axis} = {value:.4g}" for axis, value in coordinates.items())


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
