"""Run files: a `Solution` in one self-describing HDF5 file, data only.

Layout: attributes `format`, `version`; dataset `tree` (JSON: problem, evaluator, status …) and
group `arrays`, to whose members the tree refers; group `history` for people who open the file
with other tools. Nothing in a file is executed when it is read.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import equinox as eqx
import h5py
import numpy as np

from pinnkit import files, precision
from pinnkit.errors import OptionError, RunFileError
from pinnkit.known import KNOWN
from pinnkit.solution import Solution
from pinnkit.store.codec import Decoder, Encoder

FORMAT = "pinnkit-run"
VERSION = 1
SUFFIXES = (".h5", ".hdf5")


def save(solution: Solution, path: str | Path, *classes: type) -> Path:
    """Write the solution to `path`, atomically; `classes` are network classes of your own.

    Raises `OptionError` for a suffix other than `.h5` and `.hdf5`, and if the folder cannot be
    written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(
            f"Run files are HDF5; '{path}' has another suffix. Write "
            f"solution.save('{path.with_suffix('.h5')}'), or values for other programs with "
            "solution.export(path)."
        )
    own = {type(m) for m in _modules(solution.evaluator)} - set(KNOWN)
    encoder = Encoder((*KNOWN, *classes, *own))
    names = [f.name for f in dataclasses.fields(Solution)]
    tree = {name: encoder(getattr(solution, name)) for name in names}
    with files.atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["title"] = solution.problem.name
        file.create_dataset("tree", data=json.dumps(tree, allow_nan=False))
        arrays = file.create_group("arrays")
        for i, array in enumerate(encoder.arrays):
            arrays.create_dataset(str(i), data=array)
        history = file.create_group("history")
        for name, values in solution.history.items():
            history.create_dataset(name.replace("/", "|"), data=np.asarray(values))
    return path


def load(path: str | Path, *classes: type) -> Solution:
    """Read a solution.

    Raises `RunFileError` for a file that is missing, truncated, of another format or version, or
    holds anything but the expected data.
    """
    path = Path(path)
    if not path.is_file():
        raise RunFileError(f"Run file '{path}' does not exist. Check the path.")
    try:
        with h5py.File(path, "r") as file:
            _is_run_file(path, file)
            tree = json.loads(file["tree"][()])  # type: ignore[index]
            group: Any = file["arrays"]
            arrays = [np.asarray(group[str(i)]) for i in range(len(group))]
    except (OSError, KeyError, ValueError) as error:
        raise RunFileError(
            f"Run file '{path}' cannot be read ({error}). It is truncated or not HDF5; "
            "write it again with solution.save(path)."
        ) from error
    names = {f.name for f in dataclasses.fields(Solution)}
    if not isinstance(tree, dict) or set(tree) != names:
        raise RunFileError(
            f"Run file '{path}' lacks parts of a solution. Write it again with this version."
        )
    decoder = Decoder((*KNOWN, *classes), arrays)
    with precision.scope("float64" if tree["precision"] != "float32" else "float32"):
        return Solution(**{name: decoder(tree[name]) for name in names})


def is_run_file(path: str | Path) -> bool:
    """Whether the file says that it is a run file."""
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("format") == FORMAT
    except OSError:
        return False


def _is_run_file(path: Path, file: h5py.File) -> None:
    found = file.attrs.get("format")
    if found != FORMAT:
        raise RunFileError(
            f"'{path}' is HDF5 but not a run file of pinnkit (format {found!r}). "
            "Give a file written by solution.save, or read it as a reference."
        )
    version = int(file.attrs.get("version", -1))
    if version != VERSION:
        raise RunFileError(
            f"Run file '{path}' has version {version}, this pinnkit reads version {VERSION}. "
            "Use the pinnkit that wrote it, or solve again."
        )


def _modules(tree: Any):
    """Equinox modules inside a module, itself included."""
    if isinstance(tree, eqx.Module):
        yield tree
        for field in dataclasses.fields(tree):  # type: ignore[arg-type]
            yield from _modules(getattr(tree, field.name))
    elif isinstance(tree, (tuple, list)):
        for item in tree:
            yield from _modules(item)
