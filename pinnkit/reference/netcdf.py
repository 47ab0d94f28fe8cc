"""NetCDF files, through xarray; dimension names settle the order of axes."""

from pathlib import Path

import numpy as np

from pinnkit.reference.hdf5 import parse_floor
from pinnkit.reference.raw import Raw, Wanted, numeric, unreadable


def read_netcdf(path: Path, wanted: Wanted) -> list[Raw]:
    """All numeric variables and coordinates with their dimension names."""
    import xarray as xr

    try:
        with xr.open_dataset(path, decode_times=False) as dataset:
            dataset = dataset.load()
    except (OSError, ValueError, RuntimeError, IndexError, TypeError) as error:
        raise unreadable(path, "NetCDF", error) from error
    variables = numeric({str(name): np.asarray(v.values) for name, v in dataset.variables.items()})
    dims = {name: tuple(map(str, dataset[name].dims)) for name in variables}
    floor = parse_floor(dataset.attrs.get("error_estimate"))
    for name in variables:
        if "error_estimate" in dataset[name].attrs:
            floor[name] = float(dataset[name].attrs["error_estimate"])
    return [Raw(variables, dims, floor=floor)]
