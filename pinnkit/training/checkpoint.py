"""Checkpoints: HDF5 files of plain arrays and JSON text, read into a template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.errors import RunFileError
from pinnkit.files import atomic

if TYPE_CHECKING:
    import h5py

FORMAT = "pinnkit-checkpoint-1"
PARTS = ("problem or parameters", "options of the method", "training stages", "seed", "precision")


@dataclass(frozen=True)
class Kept:
    """Whatever a caller wants to find again: JSON-able `notes`, arrays by name."""

    notes: dict[str, Any]
    arrays: dict[str, np.ndarray]


def save(
    path: Path, tree: Any, facts: dict[str, Any], fingerprint: str, kept: Kept | None = None
) -> None:
    """Write the array leaves of `tree` and the JSON-able `facts`; the old file stays until done."""
    import h5py  # slow to load, and many runs keep no file

    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["fingerprint"] = fingerprint
        file.attrs["facts"] = json.dumps(facts)
        for index, leaf in enumerate(jax.tree.leaves(tree)):
            file.create_dataset(f"leaves/{index:05d}", data=np.asarray(leaf))
        if kept is not None:
            file.attrs["kept"] = json.dumps(kept.notes)
            for name, array in kept.arrays.items():
                file.create_dataset(f"kept/{name}", data=array)


def kept(path: Path) -> Kept | None:
    """What the caller of the fit had stored, None if nothing.

    Raises `RunFileError` if the file is truncated.
    """
    with _open(path) as file:
        if "kept" not in file.attrs:
            return None
        group: Any = file.get("kept", {})
        arrays = {name: np.asarray(group[name]) for name in group}
        return Kept(json.loads(str(file.attrs["kept"])), arrays)


def facts(path: Path, fingerprint: str) -> dict[str, Any]:
    """The JSON facts of a checkpoint written under the same `fingerprint`.

    Raises `RunFileError` if the file is truncated, is no checkpoint, or belongs to another run.
    """
    with _open(path) as file:
        if file.attrs.get("format") != FORMAT:
            raise RunFileError(
                f"'{path}' is not a checkpoint of this version ({FORMAT}). "
                "Choose another checkpoint path, or delete the file to start afresh."
            )
        stored = str(file.attrs["fingerprint"])
        if stored != fingerprint:
            raise RunFileError(
                f"'{path}' belongs to another run ({_difference(stored, fingerprint)}). "
                "Use another checkpoint path, or delete the file to start afresh."
            )
        return json.loads(str(file.attrs["facts"]))


def _difference(stored: str, wanted: str) -> str:
    """What tells two runs apart, in words, from the parts of their fingerprints."""
    old, new = _parts(stored), _parts(wanted)
    if len(old) != len(PARTS) or len(new) != len(PARTS):
        return "problem, method, seed or precision differ"
    return "different: " + ", ".join(
        name for name, a, b in zip(PARTS, old, new, strict=True) if a != b
    )


def _parts(fingerprint: str) -> list[str]:
    """Of `digest options | stages | seed | precision`, which `fit` makes, one for each of `PARTS`.

    The digest is without blanks.
    """
    run, *others = fingerprint.rsplit(" | ", 3)
    digest, _, options = run.partition(" ")
    return [digest, options, *others]


def place(path: Path) -> str:
    """Where the run in a checkpoint stopped: `step 1240 of stage 1, after 12 s`.

    Raises `RunFileError` if the file is truncated or is no checkpoint.
    """
    with _open(path) as file:
        notes = json.loads(str(file.attrs["facts"]))
    step, stage = notes.get("step", notes["recorded"]), notes["index"] + 1
    return f"step {step} of stage {stage}, after {notes['elapsed']:.0f} s"


def load(path: Path, template: Any) -> Any:
    """The stored arrays in the structure of `template` (arrays or shape structs).

    Raises `RunFileError` if the file is truncated or number, shape or type of the leaves differ.
    """
    expected, structure = jax.tree.flatten(template)
    with _open(path) as file:
        group: Any = file.get("leaves", {})
        leaves = [np.asarray(group[name]) for name in sorted(group)]
    same = len(leaves) == len(expected) and all(
        a.shape == tuple(b.shape) and a.dtype == b.dtype
        for a, b in zip(leaves, expected, strict=True)
    )
    if not same:
        raise RunFileError(
            f"'{path}' holds arrays of other shapes than this run needs. "
            "Use another checkpoint path, or delete the file to start afresh."
        )
    return jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in leaves])


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    """The file for reading; whatever HDF5 refuses becomes a `RunFileError`."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise RunFileError(
            f"'{path}' cannot be read as a checkpoint (truncated or not HDF5: {error}). "
            "Delete it to start afresh, or restore it from a copy."
        ) from error
