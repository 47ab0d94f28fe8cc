"""Write values on a tensor grid or at points to HDF5, NetCDF, npz or CSV, atomically."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np

from pinnkit.errors import OptionError, ReferenceFileError
from pinnkit.files import atomic
from pinnkit.reference.npz import DIMENSIONS

Arrays = Mapping[str, np.ndarray]
Dims = Mapping[str, tuple[str, ...]]
POINT = "point"


def write_grid(
    path: str | Path,
    coordinates: Arrays,
    fields: Arrays,
    attributes: Mapping[str, object] | None = None,
    lists: Arrays | None = None,
) -> Path:
    """Write `fields`, each of shape `(len(c) for c in coordinates)`, with their 1-D `coordinates`.

    `attributes` are strings, numbers or JSON-able objects; `error_estimate`, a dict field ->
    relative L2 error, comes back as the `floor` of the `Reference`. The kind follows the suffix
    (`.h5 .hdf5 .nc .npz .csv`). `lists` are 1-D arrays with an index of their own, such as the
    levels of an eigenvalue; in a `.csv` they stand in its head.

    Raises `OptionError` for another suffix, `ReferenceFileError` for wrong shapes or non-finite
    values, which are never saved.
    """
    axes = tuple(coordinates)
    dims = {**{axis: (axis,) for axis in axes}, **dict.fromkeys(fields, axes)}
    numbered = lists or {}
    dims.update({name: (f"{name}_index",) for name in numbered})
    return _write(Path(path), {**coordinates, **fields, **numbered}, dims, attributes)


def write_points(
    path: str | Path,
    coordinates: Arrays,
    fields: Arrays,
    attributes: Mapping[str, object] | None = None,
) -> Path:
    """Write coordinates and fields at scattered points, every array (N,); else as `write_grid`."""
    columns = {**coordinates, **fields}
    return _write(Path(path), columns, dict.fromkeys(columns, (POINT,)), attributes)


def _write(path: Path, arrays: Arrays, dims: Dims, attributes: Mapping[str, object] | None) -> Path:
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise OptionError(
            f"Cannot write to '{path}': unknown kind '{path.suffix}'. "
            f"Choose one of {' '.join(_WRITERS)}."
        )
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    _check(path, arrays, dims)
    with atomic(path) as temporary:
        writer(temporary, arrays, dims, {k: _plain(v) for k, v in (attributes or {}).items()})
    return path


def _check(path: Path, arrays: Arrays, dims: Dims) -> None:
    lengths: dict[str, int] = {}
    for name, d in dims.items():
        lengths.setdefault(d[0], len(arrays[name]))
    for name, values in arrays.items():
        shape = tuple(lengths[d] for d in dims[name])
        if values.shape != shape:
            raise ReferenceFileError(
                f"Cannot write '{path}': '{name}' has shape {values.shape}, the coordinates "
                f"ask for {shape}. Mend the array."
            )
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        if bad:
            raise ReferenceFileError(
                f"Cannot write '{path}': '{name}' has {bad} values that are not finite. "
                "Mend the solver's settings before saving."
            )


def _plain(value: object) -> str | float | int:
    return value if isinstance(value, str | float | int) else json.dumps(value)


def _write_hdf5(path: Path, arrays: Arrays, dims: Dims, attributes: Mapping) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            dataset = file.create_dataset(name, data=values)
            if dims[name] == (name,):
                dataset.make_scale(name)
        for name in arrays:
            for index, axis in enumerate(dims[name]):
                if axis in arrays and axis != name:
                    dataset = file[name]
                    assert isinstance(dataset, h5py.Dataset)
                    dataset.dims[index].attach_scale(file[axis])
        file.attrs.update(attributes)


def _write_netcdf(path: Path, arrays: Arrays, dims: Dims, attributes: Mapping) -> None:
    import xarray as xr

    variables = {name: (dims[name], values) for name, values in arrays.items()}
    xr.Dataset(variables, attrs=dict(attributes)).to_netcdf(path)


def _write_npz(path: Path, arrays: Arrays, dims: Dims, attributes: Mapping) -> None:
    texts = {name: np.array(value) for name, value in attributes.items()}
    texts[DIMENSIONS] = np.array(json.dumps(dims))
    np.savez_compressed(path, **{**texts, **arrays})  # pyright: ignore


def _write_csv(path: Path, arrays: Arrays, dims: Dims, attributes: Mapping) -> None:
    lists = {name: a for name, a in arrays.items() if dims[name] == (f"{name}_index",)}
    arrays = {name: a for name, a in arrays.items() if name not in lists}
    attributes = {**attributes, **{name: _plain(a.tolist()) for name, a in lists.items()}}
    axes = [name for name in arrays if dims[name] == (name,)]
    mesh = np.meshgrid(*(arrays[a] for a in axes), indexing="ij")
    grid = dict(zip(axes, mesh, strict=True))
    table = np.stack([grid.get(name, values).ravel() for name, values in arrays.items()], axis=1)
    with path.open("w", encoding="utf-8") as file:
        for name, value in attributes.items():
            file.write(f"# {name}: {value}\n")
        file.write(f"# rows: {len(table)}\n{','.join(arrays)}\n")
        np.savetxt(file, table, fmt="%.17g", delimiter=",")


_WRITERS: dict[str, Callable[[Path, Arrays, Dims, Mapping], None]] = {
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".nc": _write_netcdf,
    ".npz": _write_npz,
    ".csv": _write_csv,
}
WRITABLE = tuple(_WRITERS)
"""Suffixes that `write_grid` and `write_points` know."""
