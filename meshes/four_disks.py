"""Make four_disks.msh: the square [-0.5, 0.5]^2 without four disks of radius 0.1 at (±0.3, ±0.3).

Run `python meshes/four_disks.py`; needs the `gmsh` package.
"""

from pathlib import Path

import gmsh

RADIUS, PLACE = 0.1, 0.3
FINE, COARSE = 0.0125, 0.04


def build() -> None:
    """Geometry, groups "outer", "disks", "interior", and a mesh that is finer at the disks."""
    model = gmsh.model.occ
    square = model.addRectangle(-0.5, -0.5, 0.0, 1.0, 1.0)
    places = [(x, y) for x in (-PLACE, PLACE) for y in (-PLACE, PLACE)]
    disks = [(2, model.addDisk(x, y, 0.0, RADIUS, RADIUS)) for x, y in places]
    surface, _ = model.cut([(2, square)], disks)
    model.synchronize()
    curves = [tag for _, tag in gmsh.model.getBoundary(surface, oriented=False)]
    circles = [tag for tag in curves if gmsh.model.getType(1, tag) != "Line"]
    sides = [tag for tag in curves if tag not in circles]
    for name, dim, tags in (
        ("outer", 1, sides),
        ("disks", 1, circles),
        ("interior", 2, [tag for _, tag in surface]),
    ):
        gmsh.model.addPhysicalGroup(dim, tags, name=name)
    refine_at(circles)
    gmsh.model.mesh.generate(2)


def refine_at(curves: list[int]) -> None:
    """Grade the mesh size from FINE on the curves to COARSE away from them."""
    fields = gmsh.model.mesh.field
    distance, size = fields.add("Distance"), fields.add("Threshold")
    fields.setNumbers(distance, "CurvesList", curves)
    fields.setNumber(distance, "Sampling", 200)
    for option, value in (
        ("InField", distance),
        ("SizeMin", FINE),
        ("SizeMax", COARSE),
        ("DistMin", 0.01),
        ("DistMax", 0.2),
    ):
        fields.setNumber(size, option, value)
    fields.setAsBackgroundMesh(size)
    for option in ("MeshSizeExtendFromBoundary", "MeshSizeFromPoints", "MeshSizeFromCurvature"):
        gmsh.option.setNumber(f"Mesh.{option}", 0)


def main() -> None:
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    build()
    gmsh.option.setNumber("Mesh.MshFileVersion", 4.1)
    gmsh.write(str(Path(__file__).with_suffix(".msh")))
    gmsh.finalize()


if __name__ == "__main__":
    main()
