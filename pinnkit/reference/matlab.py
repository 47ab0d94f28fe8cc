"""MATLAB files: up to version 7 through SciPy, version 7.3 through HDF5."""

import zlib
from pathlib import Path

import h5py
import numpy as np
import scipy

from pinnkit.reference.hdf5 import read_matlab73
from pinnkit.reference.raw import Raw, Wanted, numeric, unreadable


def read_matlab(path: Path, wanted: Wanted) -> list[Raw]:
    """Numeric arrays with the shapes that MATLAB shows: a vector is (n, 1) or (1, n)."""
    if h5py.is_hdf5(path):
        return read_matlab73(path)
    try:
        content = scipy.io.loadmat(path)
    except (OSError, ValueError, TypeError, EOFError, IndexError, KeyError, zlib.error) as error:
        raise unreadable(path, "MATLAB .mat", error) from error
    except (NotImplementedError, scipy.io.matlab.MatReadError) as error:
        raise unreadable(path, "MATLAB .mat", error) from error
    arrays = {name: a for name, a in content.items() if isinstance(a, np.ndarray)}
    return [Raw(numeric(arrays))]
