"""Which reader serves which file."""

from collections.abc import Callable
from pathlib import Path

from pinnkit.errors import ReferenceFileError
from pinnkit.reference.columns import read_columns
from pinnkit.reference.hdf5 import read_hdf5
from pinnkit.reference.matlab import read_matlab
from pinnkit.reference.mesh import read_mesh
from pinnkit.reference.netcdf import read_netcdf
from pinnkit.reference.npz import read_npz
from pinnkit.reference.openfoam import is_openfoam, read_openfoam
from pinnkit.reference.raw import Raw, Wanted
from pinnkit.reference.vtk import read_vtk

Reader = Callable[[Path, Wanted], list[Raw]]


def read_text(path: Path, wanted: Wanted) -> list[Raw]:
    """Columns, or Tecplot's text format, which shares the suffix `.dat`."""
    with path.open("rb") as file:
        start = file.read(200).lstrip().upper()
    tecplot = start.startswith((b"TITLE", b"VARIABLES"))
    return (read_mesh if tecplot else read_columns)(path, wanted)


READERS: dict[tuple[str, ...], Reader] = {
    (".h5", ".hdf5", ".hdf"): read_hdf5,
    (".npz",): read_npz,
    (".mat",): read_matlab,
    (".nc", ".nc4", ".cdf"): read_netcdf,
    (".csv", ".txt", ".dat", ".tsv"): read_text,
    (
        ".vtu",
        ".vtk",
        ".xdmf",
        ".xmf",
        ".msh",
        ".med",
        ".cgns",
        ".inp",
        ".e",
        ".exo",
        ".tec",
    ): read_mesh,
    (".vtp", ".vts", ".vtr", ".vti", ".vtm", ".pvtu", ".pvd", ".case"): read_vtk,
}


def formats() -> tuple[str, ...]:
    """All known suffixes."""
    return tuple(suffix for group in READERS for suffix in group)


def load(path: Path, wanted: Wanted) -> list[Raw]:
    """Read `path` with the reader of its kind.

    Raises `ReferenceFileError` for a missing file, an unknown kind, or a damaged file.
    """
    if not path.exists():
        raise ReferenceFileError(f"Reference file '{path}' does not exist. Check the path.")
    if path.is_dir() or path.suffix.lower() == ".foam":
        return _load_folder(path, wanted)
    if path.stat().st_size == 0:
        raise ReferenceFileError(f"Reference file '{path}' is empty. Write or copy it again.")
    for suffixes, reader in READERS.items():
        if path.suffix.lower() in suffixes:
            return reader(path, wanted)
    raise ReferenceFileError(
        f"Reference file '{path}' is of unknown kind '{path.suffix}'. Known kinds: "
        f"{' '.join(formats())} and OpenFOAM case folders. Convert it to one of these."
    )


def _load_folder(path: Path, wanted: Wanted) -> list[Raw]:
    if is_openfoam(path):
        return read_openfoam(path, wanted)
    raise ReferenceFileError(
        f"Reference folder '{path}' is not an OpenFOAM case: it has no constant/polyMesh. "
        "Give the case folder, or a single file."
    )
