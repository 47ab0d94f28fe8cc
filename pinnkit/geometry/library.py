"""Meshes by name, so that a problem file holds no path."""

from __future__ import annotations

from pathlib import Path

from pinnkit.errors import GeometryError

MESH_SUFFIXES = ("", ".msh", ".vtu", ".vtk", ".xdmf", ".mesh")


def find_mesh(name: str | Path, near: Path | None = None) -> Path:
    """Find the mesh file `name` (a path, or a name whose suffix is optional) in the usual places.

    Looks at `name` itself, then in the folder `near` and its neighbour `meshes`, in `meshes` of
    the current folder and of each of its parents, and in the `meshes` beside the package.

    Raises:
        GeometryError: where it is in none of them, listing the places.
    """
    here = Path.cwd()
    folders = [] if near is None else [near, near.parent / "meshes"]
    folders += [folder / "meshes" for folder in (here, *here.parents)]
    folders.append(Path(__file__).resolve().parents[2] / "meshes")
    for folder in (here, *folders):
        for suffix in MESH_SUFFIXES:
            candidate = folder / f"{name}{suffix}"
            if candidate.is_file():
                return candidate
    suffixes = ", ".join(MESH_SUFFIXES[1:])
    places = "\n  ".join(str(folder) for folder in dict.fromkeys(folders))
    raise GeometryError(
        f"no mesh called {str(name)!r} (or with {suffixes}) in any of\n  {places}"
        f"\nMake it with the script in meshes/, or give its path: MeshDomain.read(path)"
    )
