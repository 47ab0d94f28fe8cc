"""Reading of triangle meshes from files (Gmsh 2.2 and 4.1, VTU and whatever else meshio reads)."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import meshio
import numpy as np

from pinnkit.errors import GeometryError

TRIANGLES = ("triangle", "triangle6", "triangle7", "triangle10")
LINES = ("line", "line3", "line4")


@dataclass(frozen=True)
class RawMesh:
    """What a mesh file says: nodes (V, 2), triangles (T, 3), groups name -> (dim, cells)."""

    nodes: np.ndarray
    triangles: np.ndarray
    groups: dict[str, tuple[int, np.ndarray]]


def read_raw(path: Path) -> RawMesh:
    """Read a planar triangle mesh; curved elements keep their corners only.

    Raises:
        GeometryError: for an unreadable file, one without triangles, nodes that are
            not finite, or a mesh that does not lie in a plane z = constant.
    """
    content = _read(path)
    nodes = np.asarray(content.points, dtype=float)
    if not np.all(np.isfinite(nodes)):
        bad = int(np.sum(~np.isfinite(nodes).all(axis=1)))
        raise GeometryError(f"{path.name}: {bad} nodes are not finite; write the mesh again")
    triangles, triangle_tags = _gather(content, TRIANGLES, 3)
    lines, line_tags = _gather(content, LINES, 2)
    if not len(triangles):
        kinds = ", ".join(sorted({block.type for block in content.cells})) or "none"
        raise GeometryError(
            f"{path.name} has no triangles (cells found: {kinds}); mesh its surface with "
            "triangles and save that"
        )
    used = nodes[np.unique(triangles)]
    extent = np.ptp(used[:, :2], axis=0).max()
    if nodes.shape[1] > 2 and np.ptp(used[:, 2]) > 1e-9 * extent:
        raise GeometryError(
            f"{path.name} is not planar (z varies by {np.ptp(used[:, 2]):.3g}); "
            "only plane meshes in x and y are supported"
        )
    names = {(int(tag), int(dim)): name for name, (tag, dim) in content.field_data.items()}
    groups = _groups(lines, line_tags, 1, names) | _groups(triangles, triangle_tags, 2, names)
    _check_empty(path, names, groups)
    return RawMesh(nodes[:, :2], triangles, groups)


def _read(path: Path) -> meshio.Mesh:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return meshio.read(path)
    # meshio leaves by sys.exit on some formats, and by any exception at all on broken files.
    except (Exception, SystemExit) as error:
        reason = str(error) if str(error) not in ("", "1") else said.getvalue().strip()
        raise GeometryError(
            f"cannot read mesh file {str(path)!r} ({reason or type(error).__name__}); it is "
            "truncated or of an unknown kind: save it again as Gmsh .msh (2.2 or 4.1) or .vtu"
        ) from error


def _gather(
    content: meshio.Mesh, kinds: tuple[str, ...], corners: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cells of the given kinds (n, corners) and the number of their physical group, 0 if none."""
    cells, tags = [np.zeros((0, corners), int)], [np.zeros(0, int)]
    physical: Any = content.cell_data.get("gmsh:physical", [None] * len(content.cells))
    for block, numbers in zip(content.cells, physical, strict=True):
        if block.type in kinds:
            cells.append(np.asarray(block.data, dtype=int)[:, :corners])
            tags.append(np.zeros(len(block.data), int) if numbers is None else numbers)
    return np.concatenate(cells), np.concatenate(tags)


def _groups(
    cells: np.ndarray, tags: np.ndarray, dim: int, names: dict[tuple[int, int], str]
) -> dict[str, tuple[int, np.ndarray]]:
    """Cells by group name; a group without a name is called by its number."""
    present = [int(tag) for tag in np.unique(tags) if tag != 0]
    return {names.get((tag, dim), str(tag)): (dim, cells[tags == tag]) for tag in present}


def _check_empty(
    path: Path, names: dict[tuple[int, int], str], groups: dict[str, tuple[int, np.ndarray]]
) -> None:
    for (_, dim), name in names.items():
        if dim in (1, 2) and name not in groups:
            raise GeometryError(
                f"{path.name}: physical group {name!r} is empty; give it cells or delete it"
            )
