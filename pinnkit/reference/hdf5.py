"""HDF5 and MATLAB 7.3 files (the latter are HDF5 with reversed axes)."""

import json
from pathlib import Path

import h5py
import numpy as np

from pinnkit.reference.raw import Raw, Wanted, numeric, unreadable


def read_hdf5(path: Path, wanted: Wanted) -> list[Raw]:
    """All numeric datasets; a name is the last part of the path where that is unique."""
    try:
        with h5py.File(path, "r") as file:
            datasets = _datasets(file)
            variables = numeric({name: _load(d) for name, d in datasets.items()})
            dims = {name: _dims(datasets[name]) for name in variables}
            floor = _floors(file, datasets)
    except (OSError, RuntimeError, KeyError) as error:
        raise unreadable(path, "HDF5", error) from error
    return [Raw(variables, {k: v for k, v in dims.items() if v}, floor=floor)]


def read_matlab73(path: Path) -> list[Raw]:
    """MATLAB stores column-major: reversing the axes gives the shapes that MATLAB shows."""
    (raw,) = read_hdf5(path, Wanted())
    return [Raw({name: array.T for name, array in raw.variables.items()})]


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    full: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: _collect(full, name, item))
    short = [name.rpartition("/")[2] for name in full]
    unique = {name: short.count(name) == 1 for name in short}
    return {
        (last if unique[last := name.rpartition("/")[2]] else name): dataset
        for name, dataset in full.items()
    }


def _collect(full: dict[str, h5py.Dataset], name: str, item: object) -> None:
    hidden = name.startswith("#refs#") or "/_" in f"/{name}"
    if isinstance(item, h5py.Dataset) and not hidden:
        full[name] = item


def _load(dataset: h5py.Dataset) -> np.ndarray:
    array = np.asarray(dataset[()])
    if array.dtype.names == ("real", "imag"):
        return array["real"] + 1j * array["imag"]
    return array


def _dims(dataset: h5py.Dataset) -> tuple[str, ...]:
    scales = [str(d[0].name).rpartition("/")[2] if len(d) else str(d.label) for d in dataset.dims]
    return tuple(scales) if all(scales) else ()


def _floors(file: h5py.File, datasets: dict[str, h5py.Dataset]) -> dict[str, float]:
    floors = parse_floor(file.attrs.get("error_estimate"))
    for name, dataset in datasets.items():
        if "error_estimate" in dataset.attrs:
            floors[name] = float(np.asarray(dataset.attrs["error_estimate"]).item())
    return floors


def parse_floor(value: object) -> dict[str, float]:
    """Error estimates from a JSON object such as `{"u": 1e-6}`; anything else gives none."""
    if isinstance(value, bytes | np.bytes_):
        value = value.decode()
    try:
        loaded = json.loads(str(value)) if value is not None else {}
    except ValueError:
        return {}
    if not isinstance(loaded, dict):
        return {}
    return {k: float(v) for k, v in loaded.items() if isinstance(v, int | float)}
