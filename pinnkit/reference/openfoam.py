"""OpenFOAM case folders, through PyVista."""

from pathlib import Path

from pinnkit.errors import ReferenceFileError
from pinnkit.reference.raw import Raw, Wanted
from pinnkit.reference.vtk import import_pyvista, stack, strict, tables


def is_openfoam(path: Path) -> bool:
    """Whether `path` is a case folder, or a `.foam` marker inside one."""
    return (_folder(path) / "constant" / "polyMesh").is_dir()


def read_openfoam(path: Path, wanted: Wanted) -> list[Raw]:
    """Cell values at cell centres (what a finite-volume code computes), then VTK's point values.

    Without a wanted time: all times for a problem with time, the last one for a steady problem.
    """
    folder = _folder(path)
    pyvista = import_pyvista(path)
    with strict(pyvista, path, "OpenFOAM case"):
        reader = pyvista.OpenFOAMReader(_entry(folder))
        times = list(reader.time_values)
    if not times:
        raise ReferenceFileError(
            f"OpenFOAM case '{path}' holds no time folders. Run the case, or reconstruct it."
        )
    parts = []
    for index in wanted.indices(path, times):
        with strict(pyvista, path, "OpenFOAM case"):
            reader.set_active_time_value(times[index])
            mesh = reader.read()["internalMesh"]
        parts.append((times[index], tables(mesh)[::-1]))
    return stack(parts)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _entry(folder: Path) -> Path:
    markers = [*sorted(folder.glob("*.foam")), folder / "system" / "controlDict"]
    for marker in markers:
        if marker.exists():
            return marker
    raise ReferenceFileError(
        f"OpenFOAM case '{folder}' has neither system/controlDict nor a .foam file. "
        "Add an empty file case.foam to the folder."
    )
