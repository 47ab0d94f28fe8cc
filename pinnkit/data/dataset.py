"""Pairs of functions on tensor grids: input functions and the solutions that belong to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pinnkit.derivatives import Axis, UniformAxis
from pinnkit.errors import OptionError

if TYPE_CHECKING:
    import xarray

Indices = slice | Sequence[int] | np.ndarray


class Lazy(Protocol):
    """Arrays by sample in a file: `shape`, `len` and `[rows]` as NumPy has them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> np.ndarray: ...


Samples = np.ndarray | Lazy


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Input functions (S, *sensors) and solutions (S, c, *grid) on tensor grids.

    - `problem`: name of the family; `function`: name of its input function; `fields`: names of
      the c fields.
    - `sensors`, `grid`: the axes, in the order of the dimensions.
    - `errors` (S,): relative L2 error of each solution as its maker estimates it, NaN if unknown.
    - `boundary`: how fields go on beyond the ends of each of the sensors' axes, "periodic",
      "dirichlet", "neumann" or "free"; empty if unknown.
    - `provenance`: what made the data, as plain numbers and words.

    Raises OptionError where shapes and axes contradict each other.
    """

    problem: str
    function: str
    fields: tuple[str, ...]
    sensors: tuple[Axis, ...]
    grid: tuple[Axis, ...]
    inputs: Samples
    outputs: Samples
    errors: np.ndarray
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    boundary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sensors = tuple(axis.n for axis in self.sensors)
        grid = (len(self.fields), *(axis.n for axis in self.grid))
        for name, array, shape in (
            (f"input function '{self.function}'", self.inputs, sensors),
            (f"fields {', '.join(self.fields)}", self.outputs, grid),
            ("errors", self.errors, ()),
        ):
            expected = (len(self.inputs), *shape)
            if tuple(array.shape) != expected:
                raise OptionError(
                    f"Dataset of '{self.problem}': {name} of shape {tuple(array.shape)} should "
                    f"have shape {expected}, samples first. Transpose, or give the right axes."
                )

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        shapes = f"{self.function} {self.inputs.shape[1:]} -> {self.outputs.shape[1:]}"
        return f"Dataset({self.problem}, {len(self)} samples, {shapes})"

    @property
    def nbytes(self) -> int:
        """Size of all samples in single precision."""
        return 4 * int(np.prod(self.inputs.shape) + np.prod(self.outputs.shape))

    def arrays(self, rows: Indices = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Input functions and solutions of some samples, in memory."""
        return np.asarray(self.inputs[rows]), np.asarray(self.outputs[rows])

    def subset(self, rows: slice) -> Dataset:
        """A part of the samples, as a view."""
        inputs, outputs = Part.of(self.inputs, rows), Part.of(self.outputs, rows)
        return dataclasses.replace(self, inputs=inputs, outputs=outputs, errors=self.errors[rows])

    def split(self, *sizes: int) -> tuple[Dataset, ...]:
        """Parts of these numbers of samples, in order.

        Raises OptionError if there are not enough.
        """
        if min(sizes) < 1 or sum(sizes) > len(self):
            raise OptionError(
                f"A dataset of {len(self)} samples cannot be split into {sizes}. "
                "Ask for positive numbers whose sum is not larger."
            )
        ends = np.cumsum(sizes)
        return tuple(
            self.subset(slice(int(end - size), int(end)))
            for size, end in zip(sizes, ends, strict=True)
        )

    def after(self, time: float) -> Dataset:
        """The later part of trajectories: frames from `time` on, whose first is the new input.

        The input function becomes the state at the first frame kept, of the one field that began
        as the input function did. Raises OptionError for samples that do not evolve, or where that
        leaves fewer than two frames or no such field.
        """
        own = [axis.name for axis in self.sensors]
        frames = [i for i, axis in enumerate(self.grid) if axis.name not in own]
        if len(frames) != 1 or not isinstance(self.grid[frames[0]], UniformAxis):
            raise OptionError(
                f"Dataset of '{self.problem}' has no instants in time, so that after({time:g}) "
                "keeps nothing. Leave it out."
            )
        where = frames[0]
        axis = self.grid[where]
        kept = np.flatnonzero(axis.nodes >= time - 1e-9 * axis.length)
        inputs, outputs = self.arrays()
        first = outputs.take(0, where + 2)
        shaped = first.shape[2:] == inputs.shape[1:]
        gaps = (
            np.abs(first - inputs[:, None]).max(axis=(0, *range(2, first.ndim))) if shaped else []
        )
        begins = np.flatnonzero(np.asarray(gaps) <= 1e-6 * max(np.abs(inputs).max(), 1e-300))
        if len(kept) < 2 or not len(begins):
            raise OptionError(
                f"Dataset of '{self.problem}': after({time:g}) leaves {len(kept)} frames of "
                f"{len(begins)} fields that begin as {self.function}. Give an earlier time, and "
                "data whose input function is the initial state."
            )
        outputs = np.take(outputs, kept, axis=where + 2)
        later = dataclasses.replace(axis, lo=float(axis.nodes[kept[0]]), n=len(kept))
        grid = (*self.grid[:where], later, *self.grid[where + 1 :])
        inputs = outputs[:, begins[0]].take(0, where + 1)
        return dataclasses.replace(self, inputs=inputs, outputs=outputs, grid=grid)

    def save(self, path: str | Path) -> Path:
        """Write `.h5`, atomically; see `data.file`."""
        from pinnkit.data.file import save

        return save(self, path)

    @staticmethod
    def load(path: str | Path, streamed: bool = False) -> Dataset:
        """Read a file that `save` or `pk.dataset` has written.

        With `streamed` samples stay in the file until they are asked for.
        Raises ReferenceFileError for a file that is missing, truncated or of another kind.
        """
        from pinnkit.data.file import load

        return load(path, streamed)

    def to_xarray(self) -> xarray.Dataset:
        """All samples with their coordinates, by the names of functions and fields."""
        import xarray

        inputs, outputs = self.arrays()
        own = tuple(a.name for a in self.sensors)
        axes = tuple(a.name for a in self.grid)
        values = {self.function: (("sample", *own), inputs)}
        for i, field in enumerate(self.fields):
            values[field] = (("sample", *axes), outputs[:, i])
        coordinates = {a.name: a.nodes for a in (*self.sensors, *self.grid)}
        return xarray.Dataset(
            {**values, "error": ("sample", self.errors)}, coordinates, dict(self.provenance)
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Rows `start` to `stop` of samples that may be in a file."""

    whole: Samples
    start: int
    stop: int

    @classmethod
    def of(cls, whole: Any, rows: slice) -> Any:
        start, stop, step = rows.indices(len(whole))
        if isinstance(whole, np.ndarray) or step != 1:
            return whole[rows]
        return cls(whole, start, max(start, stop))

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.whole.shape[1:])

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return self.whole[slice(self.start + start, self.start + max(start, stop), step)]
        return self.whole[np.asarray(rows) + self.start]
