"""NumPy archives."""

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from pinnkit.reference.hdf5 import parse_floor
from pinnkit.reference.raw import Raw, Wanted, numeric, unreadable

DIMENSIONS = "dimensions"
"""Name of the JSON text beside the arrays that says which coordinates they run along."""


def read_npz(path: Path, wanted: Wanted) -> list[Raw]:
    """All numeric arrays of an `.npz`; pickled objects are never loaded."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("not an archive of named arrays")
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise unreadable(path, "NumPy .npz", error) from error
    floor = parse_floor(arrays.pop("error_estimate", np.array("{}"))[()])
    return [Raw(numeric(arrays), _dims(arrays.get(DIMENSIONS)), floor=floor)]


def _dims(stated: np.ndarray | None) -> dict[str, tuple[str, ...]]:
    """Dimension names by array, where this package wrote the file."""
    try:
        loaded = json.loads(str(stated[()])) if stated is not None else {}
    except ValueError:
        return {}
    return {k: tuple(map(str, v)) for k, v in loaded.items()} if isinstance(loaded, dict) else {}
