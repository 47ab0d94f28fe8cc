"""Plane domains that a triangle mesh describes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from pinnkit.errors import GeometryError
from pinnkit.geometry import triangles as tri
from pinnkit.geometry.curves import Curve
from pinnkit.geometry.domain import Domain, Region, check_axes
from pinnkit.geometry.library import find_mesh
from pinnkit.geometry.mesh_regions import EdgeRegion, TriangleRegion
from pinnkit.geometry.outline import loops
from pinnkit.geometry.plane import NEAR, PlaneDomain
from pinnkit.geometry.product import Product

Groups = Mapping[str, tuple[int, np.ndarray]]

SMOOTH_JOINT = 1e-3
"""Two fitted curves that meet at a smaller angle meet smoothly."""


@dataclass(frozen=True, eq=False, repr=False)
class MeshDomain(Domain):
    """The polygon that a triangle mesh covers; built by `read` or `from_arrays`.

    Regions: "interior"; "boundary", the edges of one triangle only; and every named group of the
    mesh, of edges (with normals where they lie on the boundary) or of triangles.
    Two of them are equal where nodes, cells and groups are; the name of the file does not count.

    Attributes:
        name: what it was read from.
        axes: the two coordinate names.
        vertices: (V, 2) nodes, only those that triangles use.
        triangles: (T, 3) vertex numbers, counter-clockwise.
        groups: name -> (dimension, cells).
        digest: SHA-256 of the content.
    """

    name: str
    axes: tuple[str, str]
    vertices: np.ndarray
    triangles: np.ndarray
    groups: Groups
    time: None = None
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        check_axes(tuple(self.axes), (), self.name)
        if len(self.axes) != 2:
            raise GeometryError(f"{self.name}: a plane mesh has two axes, not {self.axes}")
        areas = tri.signed_areas(self.vertices, self.triangles)
        flat = np.abs(areas) <= 1e-12 * np.prod(np.ptp(self.vertices, axis=0))
        if flat.any():
            raise GeometryError(
                f"{self.name}: {int(flat.sum())} triangles are degenerate (no area); "
                "remove duplicate nodes and mesh again"
            )
        turned = np.where(areas[:, None] < 0, self.triangles[:, [0, 2, 1]], self.triangles)
        object.__setattr__(self, "triangles", turned)
        for array in (self.vertices, turned):
            array.setflags(write=False)
        object.__setattr__(self, "digest", self._hash())

    @classmethod
    def read(cls, name: str | Path, axes: tuple[str, str] = ("x", "y")) -> MeshDomain:
        """Read a mesh file (Gmsh 2.2 and 4.1, VTU, ...); physical names become regions.

        `name` is a path, or the bare name of a file in a `meshes` folder (see `find_mesh`), so
        that a problem file can say `MeshDomain.read("four_disks")` wherever it is run.

        Raises:
            GeometryError: for a missing, truncated or unknown file, no triangles, degenerate
                triangles, nodes that are not finite, or an empty group.
        """
        path = find_mesh(name)
        from pinnkit.geometry.meshfile import read_raw  # loads meshio, which only meshes need

        raw = read_raw(path)
        return cls.from_arrays(raw.nodes, raw.triangles, raw.groups, axes, path.name)

    @classmethod
    def from_arrays(
        cls,
        nodes: np.ndarray,
        triangles: np.ndarray,
        groups: Groups | None = None,
        axes: tuple[str, str] = ("x", "y"),
        name: str = "mesh",
    ) -> MeshDomain:
        """Build the domain from nodes (V, 2), triangles (T, 3), groups name -> (dim, cells)."""
        used, flat = np.unique(triangles, return_inverse=True)
        number = np.full(len(nodes), -1)
        number[used] = np.arange(len(used))
        renumbered = {}
        for group, (dim, cells) in (groups or {}).items():
            renumbered[group] = dim, number[np.asarray(cells, int)]
            if np.any(renumbered[group][1] < 0):
                raise GeometryError(
                    f"{name}: group {group!r} has nodes that no triangle uses; "
                    "let it follow edges of the triangles"
                )
        vertices = np.asarray(nodes, float)[used]
        return cls(name, axes, vertices, flat.reshape(np.shape(triangles)), renumbered)

    def _hash(self) -> str:
        digest = hashlib.sha256(repr(self.axes).encode())
        for array in (self.vertices, self.triangles):
            digest.update(np.ascontiguousarray(array).tobytes())
        for group in sorted(self.groups):
            dim, cells = self.groups[group]
            digest.update(f"{group}:{dim}".encode() + np.ascontiguousarray(cells).tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MeshDomain) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"MeshDomain({self.name}, {len(self.triangles)} triangles, {self.digest[:12]})"

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float]]:
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        return {axis: (float(low[k]), float(high[k])) for k, axis in enumerate(self.axes)}

    @cached_property
    def regions(self) -> dict[str, Region]:
        boundary = tri.boundary_edges(self.triangles)
        regions: dict[str, Region] = {}
        for name, (dim, cells) in self.groups.items():
            if dim == 1:
                edges, outer = tri.direct_edges(cells, boundary)
                regions[name] = EdgeRegion(name, self.axes, self.vertices, edges, outer)
            else:
                regions[name] = TriangleRegion(name, self.axes, self.vertices, cells)
        whole = {
            "interior": TriangleRegion("interior", self.axes, self.vertices, self.triangles),
            "boundary": EdgeRegion("boundary", self.axes, self.vertices, boundary, True),
        }
        for name, region in whole.items():
            given = regions.get(name)
            if given is not None and not np.isclose(given.measure, region.measure):
                raise GeometryError(
                    f"{self.name}: its group {name!r} is not the whole {name}; rename the group"
                )
        return {**whole, **{n: r for n, r in regions.items() if n not in whole}}

    @cached_property
    def outline(self) -> Outline:
        """The plane domain within the smooth curves that the boundary nodes outline."""
        return Outline(self)

    @cached_property
    def _locator(self) -> tri.Locator:
        return tri.Locator(self.vertices, self.triangles)

    def locate(self, points: np.ndarray, tol: float = 1e-9) -> tuple[np.ndarray, np.ndarray]:
        """Triangle of each of `points` (n, 2), -1 outside, and barycentric coordinates (n, 3)."""
        length = float(np.ptp(self.vertices, axis=0).max())
        return self._locator.find(np.asarray(points, float), tol * length)

    def contains(self, points: np.ndarray, tol: float = 1e-9) -> np.ndarray:
        return self.locate(points, tol)[0] >= 0


class Outline(PlaneDomain):
    """A mesh with its boundary made smooth between corners; see `geometry.outline`.

    Its regions are those of the mesh, of which groups of edges inside and of triangles stay what
    they are.
    """

    smooth_turn: ClassVar[float] = SMOOTH_JOINT

    def __init__(self, mesh: MeshDomain):
        self.mesh, self.axes = mesh, mesh.axes

    def __repr__(self) -> str:
        return f"outline of {self.mesh!r}"

    def describe(self) -> str:
        """Of what the boundary is made, in words."""
        kinds = [type(curve).__name__.lower() for curve in self.curves]
        counts = [f"{kinds.count(k)} {k}{'s' * (kinds.count(k) > 1)}" for k in dict.fromkeys(kinds)]
        return f"{' and '.join(counts)} through the boundary nodes of {self.mesh.name}"

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        mesh = self.mesh
        edges = tri.boundary_edges(mesh.triangles)
        names: dict[tuple[int, ...], list[str]] = {tuple(sorted(e)): [] for e in edges.tolist()}
        for name, (dim, cells) in mesh.groups.items():
            if dim == 1 and tri.direct_edges(cells, edges)[1]:
                for cell in cells.tolist():
                    names[tuple(sorted(cell))].append(name)
        own = [tuple(names[tuple(sorted(edge))]) for edge in edges.tolist()]
        found = [loop.curves() for loop in loops(mesh.vertices, edges, own)]
        return tuple(curve for chain in found for curve in chain)

    @cached_property
    def regions(self) -> Mapping[str, Region]:
        return {**self.mesh.regions, **super().regions}

    @cached_property
    def _band(self) -> float:
        """No point farther than this from the curves lies between them and the edges."""
        edges = tri.boundary_edges(self.mesh.triangles)
        middles = self.mesh.vertices[edges].mean(axis=1)
        gaps = np.min([curve.distance(middles) for curve in self.curves], axis=0)
        return 2.0 * float(gaps.max()) + NEAR * self.extent

    def strictly(self, points: np.ndarray, slack: float) -> np.ndarray:
        points = np.asarray(points, float)
        gaps = np.stack([curve.distance(points) for curve in self.curves])
        nearest, gap = np.argmin(gaps, axis=0), np.min(gaps, axis=0)
        inside = self.mesh.contains(points)
        for k in np.unique(nearest[gap <= self._band]):
            mine = np.flatnonzero((nearest == k) & (gap <= self._band))
            curve = self.curves[k]
            foot = curve.nearest(points[mine])
            # At an end of the curve the edges decide: the nearest point of a corner has no normal.
            along = (foot > 0.0) & (foot < 1.0) | curve.closed
            away = np.sum((points[mine] - curve.at(foot)) * curve.normal(foot), axis=1)
            inside[mine] = np.where(along, away < 0.0, inside[mine])
        return inside & (gap > slack)


def outlined(domain: Domain) -> Domain:
    """`domain` with smooth boundaries in place of meshes, also where a mesh is a factor of it."""
    if isinstance(domain, MeshDomain):
        return domain.outline
    if isinstance(domain, Product):
        first, second = outlined(domain.first), outlined(domain.second)
        changed = first is not domain.first or second is not domain.second
        return Product(first, second) if changed else domain
    return domain
