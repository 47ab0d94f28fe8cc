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

from pinnkit.errors import OptionError, ReferenceFileError
from pinnkit.reference import Reference, read
from pinnkit.report import norms
from pinnkit.report.sample import inside, sample, solution_name

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

    def __str__(self) -> str:
        numbers = self.table.drop(columns=["n_points", "floor"]).map(lambda v: f"{v:.2e}")
        floors = [self.theirs.floor.get(str(name)) for name in self.table.index]
        numbers["reference floor"] = ["unknown" if f is None else f"{f:.1e}" for f in floors]
        numbers["largest error at"] = [_place(self.worst[str(n)]) for n in self.table.index]
        outside = f", {self.n_outside} points outside the domain left out" if self.n_outside else ""
        head = f"{self.name} against {self.reference}\n{self.n_points} points{outside}"
        levels = f"\n{_table(self.levels)}" if len(self.levels) else ""
        return f"{head}\n{numbers.to_string()}{levels}"


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

    Raises `ReferenceFileError` if the file cannot be used, or all its points lie outside.
    """
    theirs = as_reference(solution, reference, rename or {}, time, resolution)
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
        raise ReferenceFileError(_all_outside(solution, theirs, coordinates))
    ours = _evaluate(solution, theirs, coordinates, mask & known)
    return _comparison(solution, ours, theirs, int(np.count_nonzero(~mask & known)))


def field_names(solution: Any) -> tuple[str, ...]:
    """Names of the solution's components."""
    return tuple(getattr(solution, "fields", None) or solution.problem.field_names)


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
        loaded = _load_run(Path(reference))
        if loaded is None:
            return read(
                reference,
                axes=tuple(domain.axes),
                fields=field_names(solution),
                rename=rename,
                time=time,
                time_axis=domain.time,
                eigenvalues=tuple(e.name for e in solution.problem.eigenvalues),
            )
        reference = loaded
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


def _load_run(path: Path) -> Any:
    """The solution in a run file of pinnkit, or None if it is anything else."""
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return None
    from pinnkit.runfile import is_run_file, load

    return load(path) if is_run_file(path) else None


def _evaluate(
    solution: Any, theirs: Reference, coordinates: Mapping[str, np.ndarray], mask: np.ndarray
) -> Reference:
    found = solution(**{a: c[mask] for a, c in coordinates.items()})
    fields = {}
    for name, reference in theirs.fields.items():
        flat = np.full(len(mask), np.nan)
        flat[mask] = found[name]
        fields[name] = flat.reshape(np.shape(reference))
    if getattr(solution.problem, "eigenvalues", ()):
        fields = {n: f * _sign(f, theirs.fields[n]) for n, f in fields.items()}
    levels = getattr(solution, "eigenvalues", {})
    source = solution_name(solution)
    return dataclasses.replace(theirs, source=source, fields=fields, eigenvalues=levels)


def _sign(ours: np.ndarray, theirs: np.ndarray) -> float:
    return -1.0 if np.nansum(ours * theirs) < 0 else 1.0


def _comparison(solution: Any, ours: Reference, theirs: Reference, n_outside: int) -> Comparison:
    coordinates, flat_ours = ours.points()
    _, flat_theirs = theirs.points()
    rows, worst, count = {}, {}, 0
    for name in ours.fields:
        mask = np.isfinite(flat_ours[name]) & np.isfinite(flat_theirs[name])
        mine, other = flat_ours[name][mask], flat_theirs[name][mask]
        count = int(mask.sum())
        if not count:
            raise OptionError(
                f"The solution is not finite at any point where '{name}' is compared. Solve again."
            )
        place = int(np.argmax(np.abs(mine - other)))
        worst[name] = {a: float(c[mask][place]) for a, c in coordinates.items()}
        rows[name] = _row(mine, other, theirs.floor.get(name))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    by_time = _by_time(ours.time_axis, coordinates, flat_ours, flat_theirs)
    name, source = solution_name(solution), theirs.source
    contains = functools.partial(inside, solution)
    levels = _compare_levels(ours.eigenvalues, theirs.eigenvalues)
    norms_and_places = (table, by_time, levels, worst, count, n_outside)
    return Comparison(name, source, *norms_and_places, ours, theirs, contains)


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


def _by_time(
    time_axis: str | None,
    coordinates: Mapping[str, np.ndarray],
    ours: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Relative L2 at each stored time, by sums of squares over equal times."""
    if time_axis is None:
        return pd.DataFrame(columns=list(ours))
    times, index = np.unique(coordinates[time_axis], return_inverse=True)
    columns = {}
    for name in ours:
        good = np.isfinite(ours[name]) & np.isfinite(theirs[name])
        error = np.where(good, ours[name] - theirs[name], 0.0) ** 2
        size = np.bincount(index, np.where(good, theirs[name], 0.0) ** 2, len(times))
        total = np.bincount(index, error, len(times))
        ratio = np.divide(total, size, out=np.full(len(times), np.nan), where=size > 0)
        columns[name] = np.sqrt(ratio)
    return pd.DataFrame(columns, index=pd.Index(times, name=time_axis))


def _all_outside(solution: Any, theirs: Reference, coordinates: Mapping[str, np.ndarray]) -> str:
    bounds = solution.problem.domain.bounds
    have = ", ".join(f"{a} {c.min():.4g}…{c.max():.4g}" for a, c in coordinates.items())
    want = ", ".join(f"{a} {low:.4g}…{high:.4g}" for a, (low, high) in bounds.items())
    return (
        f"Reference '{theirs.source}': all {theirs.points()[1].popitem()[1].size} points lie "
        f"outside the domain. They span {have}; the domain is {want}. Check units and --map."
    )


def _place(coordinates: Mapping[str, float]) -> str:
    return ", ".join(f"{axis} = {value:.4g}" for axis, value in coordinates.items())


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
