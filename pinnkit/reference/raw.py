"""What a reader hands on: named arrays exactly as the file holds them, before any matching."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pinnkit.errors import ReferenceFileError

_COMPONENTS = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Wanted:
    """Which stored times a reader of a series should load.

    `time` picks one; without it a `series` reader loads all times, any other the last one.
    """

    time: float | None = None
    series: bool = False

    def indices(self, path: Path, times: Sequence[float]) -> list[int]:
        """Positions in `times` to load; `ReferenceFileError` if `time` is not stored."""
        if self.time is not None:
            return [nearest_time(path, np.asarray(times, dtype=float), self.time)]
        return list(range(len(times))) if self.series else [len(times) - 1]


@dataclass(frozen=True)
class Raw:
    """Arrays of one file (or of one part of it, such as the cell data of a mesh).

    `dims` gives dimension names where the format stores them. `table` says that every array is a
    list over the same N locations, so that a trailing axis means vector components.
    `floor` maps a variable to the error estimate that the file itself states.
    """

    variables: Mapping[str, np.ndarray]
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    table: bool = False
    floor: Mapping[str, float] = field(default_factory=dict)

    def find(self, name: str) -> np.ndarray | None:
        """The array called `name`, or the part `U_x` of a vector, or `h_re`/`h_im` of a complex."""
        if name in self.variables:
            return np.asarray(self.variables[name])
        stem, _, part = name.rpartition("_")
        array = self.variables.get(stem)
        if array is None:
            return None
        array = np.asarray(array)
        if part in ("re", "im"):
            return _part(array, part) if _is_complex(array) else None
        index = _COMPONENTS.get(part)
        has_components = index is not None and array.ndim == 2 and index < array.shape[1] <= 3
        return array[:, index] if has_components else None

    def dimension_names(self, name: str) -> tuple[str, ...] | None:
        """Stored dimension names of `name` or of the array that it is a part of."""
        return self.dims.get(name) or self.dims.get(name.rpartition("_")[0])

    def names(self) -> tuple[str, ...]:
        """Names that `find` understands, vectors and complex arrays taken apart."""
        return tuple(part for name in self.variables for part in self._parts(name))

    def _parts(self, name: str) -> tuple[str, ...]:
        array = np.asarray(self.variables[name])
        if _is_complex(array):
            return (f"{name}_re", f"{name}_im")
        if self.table and array.ndim == 2 and 2 <= array.shape[1] <= 3:
            return tuple(f"{name}_{axis}" for axis in "xyz"[: array.shape[1]])
        return (name,)

    def describe(self) -> str:
        """`x (256, 1), usol (256, 100)`: for messages."""
        found = ((name, self.find(name)) for name in self.names())
        shapes = (f"{name} {array.shape}" for name, array in found if array is not None)
        return ", ".join(shapes) or "none"


def numeric(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Only the arrays of numbers (bool, integer, real, complex)."""
    return {
        name: np.asarray(a) for name, a in arrays.items() if np.asarray(a).dtype.kind in "biufc"
    }


def suggestion(wanted: Sequence[str], present: Sequence[str]) -> str:
    """A `rename=` hint with the stored name that looks most like one of `wanted`."""
    lower = {name.lower(): name for name in present}
    for name in wanted:
        close = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.4)
        starts = [full for low, full in lower.items() if low.startswith(name.lower())]
        found = starts[:1] or [lower[c] for c in close]
        if found:
            return renaming(found[0], name)
    return renaming("NAME", wanted[0])


def renaming(left: str, name: str) -> str:
    """The option that maps `left` in the file to `name` in the problem, as Python."""
    return f"rename={{{left!r}: {name!r}}}"


def nearest_time(path: Path, times: np.ndarray, time: float) -> int:
    """Index of the stored time equal to `time` to 1e-6 of the stored span."""
    index = int(np.argmin(np.abs(times - time)))
    span = max(float(np.ptp(times)), abs(time), 1e-300)
    if abs(times[index] - time) <= 1e-6 * span:
        return index
    close = ", ".join(f"{t:.6g}" for t in sorted(times[np.argsort(np.abs(times - time))[:3]]))
    raise ReferenceFileError(
        f"Reference file '{path}' holds no time {time:g}: its {len(times)} times run from "
        f"{times.min():.6g} to {times.max():.6g}, nearest {close}. Choose a stored time."
    )


def unreadable(path: Path, kind: str, error: BaseException | str) -> ReferenceFileError:
    """The error for a file that its own format cannot parse."""
    reason = str(error).strip().splitlines()
    first = reason[0] if reason else type(error).__name__
    return ReferenceFileError(
        f"Reference file '{path}' cannot be read as {kind}; it is truncated or damaged ({first}). "
        "Write or copy it again."
    )


def _part(array: np.ndarray, part: str) -> np.ndarray:
    return np.real(array) if part == "re" else np.imag(array)


def _is_complex(array: np.ndarray) -> bool:
    return array.dtype.kind == "c"
