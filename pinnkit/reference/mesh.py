"""Mesh files: meshio first, PyVista where meshio gives up (or ends the program)."""

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pinnkit.errors import ReferenceFileError
from pinnkit.reference.raw import Raw, Wanted, unreadable
from pinnkit.reference.vtk import located, read_vtk, stack


def read_mesh(path: Path, wanted: Wanted) -> list[Raw]:
    """Point data, then cell data at cell centres.

    meshio raises nearly anything, and calls `sys.exit` on some files, hence the wide net; the file
    counts as damaged only if PyVista cannot read it either.
    """
    if path.suffix.lower() in (".xdmf", ".xmf"):
        return _read_xdmf_only(path, wanted)
    try:
        return _quietly(_read_meshio, path, wanted)
    except (Exception, SystemExit) as error:
        return _fall_back(path, wanted, error)


def _read_xdmf_only(path: Path, wanted: Wanted) -> list[Raw]:
    """Without a second reader: VTK's XDMF reader crashes the process on damaged files."""
    try:
        return _quietly(_read_xdmf, path, wanted)
    except ReferenceFileError:
        raise
    except (Exception, SystemExit) as error:
        raise unreadable(path, "XDMF", _words(error)) from error


def _fall_back(path: Path, wanted: Wanted, error: BaseException) -> list[Raw]:
    try:
        import pyvista  # noqa: F401
    except ImportError as missing:
        raise ReferenceFileError(
            f"Reference file '{path}' cannot be read by meshio ({_words(error)}): it is truncated, "
            "or a dialect that only PyVista reads. Install it with: pip install 'pinnkit[cfd]'."
        ) from missing
    try:
        return read_vtk(path, wanted)
    except ReferenceFileError as second:
        raise unreadable(path, f"a mesh ({path.suffix})", _words(error)) from second


def _words(error: BaseException) -> str:
    return "meshio gave up" if isinstance(error, SystemExit) else str(error) or repr(error)


def _quietly(read: Callable[[Path, Wanted], list[Raw]], path: Path, wanted: Wanted) -> list[Raw]:
    silence = io.StringIO()
    with (
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        return read(path, wanted)


def _read_meshio(path: Path, wanted: Wanted) -> list[Raw]:
    import meshio

    mesh = meshio.read(path)
    return _tables(mesh.points, mesh.cells, mesh.point_data, mesh.cell_data)


def _read_xdmf(path: Path, wanted: Wanted) -> list[Raw]:
    import meshio

    try:
        with meshio.xdmf.TimeSeriesReader(path) as reader:
            points, cells = reader.read_points_cells()
            steps = [reader.read_data(k) for k in range(reader.num_steps)]
    except (meshio.ReadError, SystemExit, KeyError, AttributeError):
        return _read_meshio(path, wanted)
    chosen = wanted.indices(path, [step[0] for step in steps])
    parts = [(steps[k][0], _tables(points, cells, steps[k][1], steps[k][2])) for k in chosen]
    return stack(parts)


def _tables(points: Any, cells: Any, point_data: Any, cell_data: Any) -> list[Raw]:
    points = np.asarray(points, dtype=float)
    result = [located(points, {name: np.asarray(a) for name, a in point_data.items()})]
    if cell_data:
        centres = np.concatenate([points[block.data].mean(axis=1) for block in cells])
        data = {name: np.concatenate(list(blocks)) for name, blocks in cell_data.items()}
        result.append(located(centres, data))
    return result
