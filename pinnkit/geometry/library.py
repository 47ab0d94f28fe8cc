"""Meshes by name, so that a problem file holds no path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pinnkit.errors import GeometryError

MESH_SUFFIXES = ("", ".msh", ".vtu", ".vtk", ".xdmf", ".mesh")
_NEAR: ContextVar[Path | None] = ContextVar("near", default=None)


@contextmanager
def meshes_near(folder: Path) -> Iterator[None]:
    """Within this context meshes are also looked for in `folder`, that of a problem file."""
    token = _NEAR.set(folder.absolute())
    try:
        yield
    finally:
        _NEAR.reset(token)


def find_mesh(name: str | Path, near: Path | None = None) -> Path:
    """Find the mesh file `name` (a path, or a name whose suffix is optional) in the usual places.

    Looks at `name` itself, then in the folder `near` (by default that of the problem file that is
    being loaded), in its `meshes` and its neighbour `meshes`, in `meshes` of the current folder and
    of each of its parents, and in the `meshes` beside the package.

    Raises:
        GeometryError: where it is in none of them, listing the places.
    """
    here, near = Path.cwd(), near or _NEAR.get()
    folders = [here] if near is None else [here, near, near / "meshes", near.parent / "meshes"]
    folders += [folder / "meshes" for folder in (here, *here.parents)]
    folders.append(Path(__file__).resolve().parents[2] / "meshes")
    folders = list(dict.fromkeys(folders))
    for folder in folders:
        for suffix in MESH_SUFFIXES:
            candidate = folder / f"{name}{suffix}"
            if candidate.is_file():
                return candidate
    suffixes = ", ".join(MESH_SUFFIXES[1:])
    places = "\n  ".join(map(str, folders))
    scripts = [folder / f"{Path(name).stem}.py" for folder in folders if folder.name == "meshes"]
    made = next((f"Make it by running {s}, or give" for s in scripts if s.is_file()), "Give")
    raise GeometryError(
        f"There is no mesh called {str(name)!r} (or with {suffixes}) in any of\n  {places}\n"
        f"{made} its path: MeshDomain.read(path)."
    )
