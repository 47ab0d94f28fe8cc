"""Meshes through PyVista (optional extra `cfd`): what meshio cannot read, and the VTK families."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pinnkit.errors import ReferenceFileError
from pinnkit.reference.raw import Raw, Wanted, numeric, unreadable


def import_pyvista(path: Path) -> Any:
    """The module, or a `ReferenceFileError` that says how to install it."""
    try:
        import pyvista
    except ImportError as error:
        raise ReferenceFileError(
            f"Reference file '{path}' needs PyVista, which is not installed. "
            "Install it with: pip install 'pinnkit[cfd]'."
        ) from error
    return pyvista


@contextlib.contextmanager
def strict(pyvista: Any, path: Path, kind: str) -> Iterator[None]:
    """Turn VTK's messages, which only go to the terminal, into `ReferenceFileError`."""
    from vtkmodules.vtkCommonCore import vtkLogger

    before = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    try:
        with pyvista.VtkErrorCatcher(send_to_logging=False) as catcher:
            yield
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError, TypeError) as error:
        raise unreadable(path, kind, error) from error
    finally:
        vtkLogger.SetStderrVerbosity(before)
    events = [event for event in catcher.events if _means_damage(event)]
    if events:
        raise unreadable(path, kind, events[0].alert)


def _means_damage(event: Any) -> bool:
    words = ("error", "could not", "cannot", "fail", "premature", "truncat", "unexpected")
    return event.kind == "ERROR" or any(word in event.alert.lower() for word in words)


def read_vtk(path: Path, wanted: Wanted) -> list[Raw]:
    """Point data, then cell data at cell centres; of a time series the wanted times."""
    pyvista = import_pyvista(path)
    with strict(pyvista, path, f"VTK ({path.suffix})"):
        reader = pyvista.get_reader(path)
        times = list(getattr(reader, "time_values", None) or [])
    if not times:
        return tables(_read_mesh(pyvista, path, reader))
    parts = []
    for index in wanted.indices(path, times):
        reader.set_active_time_value(times[index])
        parts.append((times[index], tables(_read_mesh(pyvista, path, reader))))
    return stack(parts)


def _read_mesh(pyvista: Any, path: Path, reader: Any) -> Any:
    with strict(pyvista, path, f"VTK ({path.suffix})"):
        mesh = reader.read()
        mesh = mesh.combine() if isinstance(mesh, pyvista.MultiBlock) else mesh
        expected = mesh.n_points
        if not expected or not mesh.n_cells:
            raise ValueError("it holds no points or no cells")
    return mesh


def tables(mesh: Any) -> list[Raw]:
    """Point data and cell data of a PyVista mesh as two tables."""
    points = np.asarray(mesh.points, dtype=float)
    at_points = {name: np.asarray(mesh.point_data[name]) for name in mesh.point_data}
    at_cells = {name: np.asarray(mesh.cell_data[name]) for name in mesh.cell_data}
    result = [located(points, at_points)]
    if at_cells:
        result.append(located(np.asarray(mesh.cell_centers().points, dtype=float), at_cells))
    return result


def located(points: np.ndarray, data: dict[str, np.ndarray]) -> Raw:
    """A table with coordinates `x`, `y`, `z` from `points` (N, 2 or 3)."""
    coordinates = {name: points[:, i] for i, name in enumerate("xyz"[: points.shape[1]])}
    return Raw({**numeric(data), **coordinates}, table=True)


def stack(parts: list[tuple[float, list[Raw]]]) -> list[Raw]:
    """Tables of several times as one each, with a column `time`."""
    stacked = []
    for tables_of_kind in zip(*(raws for _, raws in parts), strict=True):
        names = set.intersection(*(set(raw.variables) for raw in tables_of_kind))
        columns = {n: np.concatenate([raw.variables[n] for raw in tables_of_kind]) for n in names}
        sizes = [len(raw.variables["x"]) for raw in tables_of_kind]
        columns["time"] = np.repeat([time for time, _ in parts], sizes)
        stacked.append(Raw(dict(sorted(columns.items())), table=True))
    return stacked
