"""Datasets in HDF5: one variable per function, chunked by sample, with its coordinates.

Layout: attributes `format`, `version`, `about` (JSON: names, axes, provenance); variables named
as the input function and the fields, (sample, *axes) each with dimension scales, so that xarray
and other programs find the coordinates; `error` (sample).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pinnkit import files
from pinnkit.data.dataset import Dataset
from pinnkit.derivatives import Axis, ChebyshevAxis, FourierAxis, OpenAxis, UniformAxis
from pinnkit.errors import OptionError, ReferenceFileError

FORMAT = "pinnkit-dataset"
VERSION = 1
SUFFIXES = (".h5", ".hdf5")
AXES: Mapping[str, type[Axis]] = {
    cls.__name__: cls for cls in (FourierAxis, UniformAxis, OpenAxis, ChebyshevAxis)
}
OWN = ("sample", "error")


def save(dataset: Dataset, path: str | Path) -> Path:
    """Write all samples to `path`, atomically.

    Raises OptionError for another suffix than `.h5` or `.hdf5`, and if the folder cannot be
    written.
    """
    path = check_path(path)
    with files.atomic(path) as temporary, Writer(temporary, dataset) as writer:
        writer.append(*dataset.arrays(), dataset.errors)
    return path


def check_path(path: str | Path) -> Path:
    """The path, or OptionError for a suffix that is not HDF5's."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(
            f"Datasets are HDF5; '{path}' has another suffix. Write '{path.with_suffix('.h5')}'."
        )
    return path


class Writer:
    """An open file to which samples are appended; `like` gives names and axes, not samples.

    A file that holds some samples already is continued.
    """

    def __init__(self, path: Path, like: Dataset) -> None:
        self.like = like
        self.file = h5py.File(path, "a")
        if "about" not in self.file.attrs:
            self._create()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def count(self) -> int:
        """Number of samples in the file."""
        return int(self.file["error"].shape[0])  # type: ignore[union-attr]

    def append(self, inputs: np.ndarray, outputs: np.ndarray, errors: np.ndarray) -> None:
        """Write samples behind those that are there, and flush."""
        numbers = np.arange(self.count, self.count + len(inputs))
        parts = {"sample": numbers, self.like.function: inputs, "error": errors}
        parts |= {name: outputs[:, i] for i, name in enumerate(self.like.fields)}
        count = self.count
        # the error comes last: its length counts the samples
        for name in (*(n for n in parts if n != "error"), "error"):
            variable: Any = self.file[name]
            variable.resize(count + len(inputs), axis=0)
            variable[count:] = parts[name]
        self.file.flush()

    def _create(self) -> None:
        like, file = self.like, self.file
        names = (like.function, *like.fields)
        if len({*names, *OWN}) != len(names) + len(OWN):
            raise OptionError(
                f"Functions called {', '.join(OWN)} cannot be stored. Rename them in the problem."
            )
        for axis in {a.name: a for a in (*like.sensors, *like.grid)}.values():
            own = file.create_dataset(axis.name, data=axis.nodes)
            own.make_scale(axis.name)
        samples = file.create_dataset("sample", (0,), "i8", maxshape=(None,), chunks=(64,))
        samples.make_scale("sample")
        variables = {like.function: like.sensors, "error": ()}
        variables |= dict.fromkeys(like.fields, like.grid)
        for name, axes in variables.items():
            shape = tuple(axis.n for axis in axes)
            variable = file.create_dataset(
                name,
                (0, *shape),
                "f8",
                maxshape=(None, *shape),
                chunks=(1 if shape else 64, *shape),
            )
            variable.dims[0].attach_scale(samples)
            for i, axis in enumerate(axes):
                scale = file[axis.name]
                if scale.shape == (axis.n,):  # type: ignore[union-attr]
                    variable.dims[i + 1].attach_scale(scale)
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        file.attrs["about"] = json.dumps(about(like))


def about(like: Dataset) -> dict[str, Any]:
    """Names, axes and provenance, as JSON values."""
    return {
        "problem": like.problem,
        "function": like.function,
        "fields": list(like.fields),
        "sensors": [_axis_tree(axis) for axis in like.sensors],
        "grid": [_axis_tree(axis) for axis in like.grid],
        "provenance": dict(like.provenance),
        "boundary": list(like.boundary),
    }


def _axis_tree(axis: Axis) -> dict[str, Any]:
    return {"kind": type(axis).__name__, **dataclasses.asdict(axis)}


def _axis(tree: Mapping[str, Any]) -> Axis:
    return AXES[tree["kind"]](**{k: v for k, v in tree.items() if k != "kind"})


def is_dataset(path: str | Path) -> bool:
    """Whether the file says that it is a dataset of this kind."""
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("format") == FORMAT
    except OSError:
        return False


def load(path: str | Path, streamed: bool = False) -> Dataset:
    """See `Dataset.load`."""
    path = Path(path)
    if not path.is_file():
        raise ReferenceFileError(f"Dataset '{path}' does not exist. Check the path.")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise ReferenceFileError(
                    f"'{path}' is HDF5 but no dataset of pinnkit. Read it with pk.read_dataset, "
                    "which takes a mapping of names."
                )
            attributes: Any = file.attrs
            if int(attributes["version"]) != VERSION:
                raise ReferenceFileError(
                    f"Dataset '{path}' has version {attributes['version']}, this pinnkit reads "
                    f"version {VERSION}. Use the pinnkit that wrote it, or generate it again."
                )
            found = json.loads(attributes["about"])
            errors = np.asarray(file["error"])
    except (OSError, KeyError, ValueError) as error:
        raise ReferenceFileError(
            f"Dataset '{path}' cannot be read ({error}). It is truncated or not HDF5; "
            "generate it again."
        ) from error
    function, fields = found["function"], tuple(found["fields"])
    count = len(errors)
    inputs: Any = Stored(path, (function,), count, tuple(a["n"] for a in found["sensors"]))
    outputs: Any = Stored(path, fields, count, tuple(a["n"] for a in found["grid"]), stacked=True)
    if not streamed:
        inputs, outputs = inputs[:], outputs[:]
    return Dataset(
        found["problem"],
        function,
        fields,
        tuple(map(_axis, found["sensors"])),
        tuple(map(_axis, found["grid"])),
        inputs,
        outputs,
        errors,
        found["provenance"],
        tuple(found["boundary"]),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """Samples of variables in a file, read when they are asked for; several are `stacked`."""

    path: Path
    names: tuple[str, ...]
    count: int
    grid: tuple[int, ...]
    stacked: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *((len(self.names),) if self.stacked else ()), *self.grid)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Rows by slice or by indices in any order, with repetitions."""
        back: Any = slice(None)
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.count)
            rows = slice(start, max(start, stop), step)
        else:
            rows, back = np.unique(np.asarray(rows) % self.count, return_inverse=True)
        with h5py.File(self.path, "r") as file:
            parts = [np.asarray(file[name][rows])[back] for name in self.names]  # type: ignore[index]
        return np.stack(parts, axis=1) if self.stacked else parts[0]
