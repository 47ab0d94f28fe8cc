"""Triangle meshes: files, groups, point location, and what is refused."""

import re
from pathlib import Path

import meshio
import numpy as np
import pytest

from pinnkit.errors import GeometryError
from pinnkit.geometry import Box, MeshDomain, find_mesh
from pinnkit.geometry.library import meshes_near
from pinnkit.geometry.triangles import Locator, hilbert_keys

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "formats"


@pytest.fixture(scope="module")
def disks() -> MeshDomain:
    return MeshDomain.read("four_disks")


def write(path, nodes, cells, tags=None, names=None, **options):
    """Write a small Gmsh file; `cells` as meshio takes them."""
    data = {} if tags is None else {"gmsh:physical": tags, "gmsh:geometrical": tags}
    content = meshio.Mesh(nodes, cells, cell_data=data, field_data=names or {})
    meshio.write(path, content, **({"file_format": "gmsh22", "binary": False} | options))
    return path


SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


def test_measure_of_the_square_minus_disks(disks):
    """The polygon misses sectors: area by r^2 (pi - n sin(2 pi / n) / 2), perimeter likewise."""
    n = len(disks.region("disks").cells) // 4
    radius, half = 0.1, np.pi / n
    hole = n * radius**2 * np.sin(half) * np.cos(half)
    assert disks.measure == pytest.approx(1 - 4 * hole, rel=1e-9)
    assert disks.region("disks").measure == pytest.approx(8 * n * radius * np.sin(half), rel=1e-9)
    assert disks.measure == pytest.approx(1 - 4 * np.pi * radius**2, abs=5e-4)
    assert disks.region("outer").measure == pytest.approx(4.0)
    boundary = disks.region("boundary").measure
    assert boundary == pytest.approx(disks.region("outer").measure + disks.region("disks").measure)


def test_normals_of_the_holes_point_into_them(disks):
    points = disks.region("disks").sample(500, seed=0)
    centre = 0.3 * np.sign(points)
    inward = (centre - points) / np.linalg.norm(centre - points, axis=1)[:, None]
    assert np.sum(disks.region("disks").normals(points) * inward, axis=1).min() > 0.99


def test_point_location_agrees_with_geometry(disks):
    points = Box(x=(-0.6, 0.6), y=(-0.6, 0.6)).interior.sample(4096, seed=0)
    from_disk = np.linalg.norm(np.abs(points) - 0.3, axis=1) - 0.1
    from_side = 0.5 - np.abs(points).max(axis=1)
    clear = (np.abs(from_disk) > 1e-3) & (np.abs(from_side) > 1e-9)
    expected = (from_disk > 0) & (from_side > 0)
    assert np.array_equal(disks.contains(points)[clear], expected[clear])


def test_located_triangles_reproduce_the_point(disks):
    points = disks.interior.sample(1000, seed=1)
    triangle, weights = disks.locate(points)
    corners = disks.vertices[disks.triangles[triangle]]
    np.testing.assert_allclose(np.einsum("nk,nkd->nd", weights, corners), points, atol=1e-14)
    assert weights.min() > -1e-7


def test_location_works_on_stretched_meshes():
    nodes = SQUARE[:, :2] * [1e3, 1e-3]
    locator = Locator(nodes, HALVES)
    found, _ = locator.find(np.array([[900.0, 1e-4], [100.0, 9e-4], [1001.0, 0.0]]), 0.0)
    assert found.tolist() == [0, 1, -1]


def test_vertices_count_as_inside(disks):
    assert disks.contains(disks.vertices).all()


def test_hilbert_order_visits_neighbours():
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2)
    walk = grid[np.argsort(hilbert_keys(grid, levels=3))]
    assert np.all(np.abs(np.diff(walk, axis=0)).sum(axis=1) == 1)


def test_equality_is_by_content(disks, tmp_path):
    copy = tmp_path / "other.msh"
    copy.write_bytes((ROOT / "meshes" / "four_disks.msh").read_bytes())
    again = MeshDomain.read(copy)
    assert again == disks and hash(again) == hash(disks)
    assert again != MeshDomain.read(copy, axes=("x", "z"))
    assert "four_disks.msh" in repr(disks)


def test_groups_of_lines_and_triangles(tmp_path):
    path = write(
        tmp_path / "two.msh",
        SQUARE,
        [("line", np.array([[3, 0]])), ("line", np.array([[0, 2]])), ("triangle", HALVES)],
        [np.array([1]), np.array([9]), np.array([2, 3])],
        {"left": np.array([1, 1]), "steel": np.array([2, 2]), "air": np.array([3, 2])},
    )
    domain = MeshDomain.read(path)
    assert set(domain.regions) == {"interior", "boundary", "left", "steel", "air", "9"}
    assert domain.region("steel").measure == pytest.approx(0.5)
    np.testing.assert_allclose(domain.region("left").normals(np.array([[0, 0.3]])), [[-1, 0]])
    steel = domain.region("steel").sample(64, seed=0)
    assert np.all(steel[:, 1] <= steel[:, 0])
    np.testing.assert_allclose(domain.region("air").distance(np.array([[1.0, 0.0]])), 0.5**0.5)
    with pytest.raises(GeometryError, match="'9' has no outward normal"):
        domain.region("9").normals(np.array([[0.5, 0.5]]))


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".xdmf"])
def test_other_formats_carry_the_geometry(suffix, tmp_path, disks):
    nodes = np.hstack([disks.vertices, np.zeros((len(disks.vertices), 1))])
    path = tmp_path / f"m{suffix}"
    meshio.write(path, meshio.Mesh(nodes, [("triangle", disks.triangles)]))
    domain = MeshDomain.read(path)
    assert domain.measure == pytest.approx(disks.measure, rel=1e-12)
    assert set(domain.regions) == {"interior", "boundary"}


def test_products_extend_the_groups_over_time(disks):
    domain = disks * Box(t=(0, 2), time="t")
    assert domain.axes == ("x", "y", "t") and domain.time == "t"
    assert set(domain.regions) == {
        "interior",
        "boundary",
        "outer",
        "disks",
        "initial",
        "final",
    }
    assert domain.region("disks").measure == pytest.approx(2 * disks.region("disks").measure)
    assert domain.region("initial").fixed == {"t": 0.0}
    assert domain == disks * Box(t=(0, 2), time="t")
    with pytest.raises(GeometryError, match="'initial' has no outward normal"):
        domain.region("initial").normals(np.zeros((1, 3)))
    with pytest.raises(GeometryError, match="axis 'x' twice"):
        disks * Box(x=(0, 1))
    with pytest.raises(GeometryError, match="choose one of: boundary, disks"):
        domain.region("inner")


def test_missing_mesh_lists_the_places(tmp_path):
    with pytest.raises(
        GeometryError, match="(?s)no mesh called 'nothing'.*\n  .*meshes\nGive its.*MeshDomain.read"
    ):
        find_mesh("nothing")
    with meshes_near(tmp_path), pytest.raises(GeometryError) as caught:
        MeshDomain.read("channel.msh")
    assert f"\n  {tmp_path}\n" in str(caught.value) and str(caught.value).endswith(".")
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "channel.py").write_text("")
    with (
        meshes_near(tmp_path),
        pytest.raises(GeometryError, match=r"running .*channel\.py, or give"),
    ):
        MeshDomain.read("channel.msh")
    with pytest.raises(GeometryError, match="no mesh called 'nowhere.msh'"):
        MeshDomain.read("nowhere.msh")


def test_meshes_are_found_from_below_and_beside(tmp_path, monkeypatch):
    (tmp_path / "meshes").mkdir()
    write(tmp_path / "meshes" / "own.msh", SQUARE, [("triangle", HALVES)], [np.array([1, 1])])
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert MeshDomain.read("own").measure == pytest.approx(1.0)
    monkeypatch.chdir("/")
    assert find_mesh("own", near=tmp_path / "problems").name == "own.msh"
    assert find_mesh("four_disks").parent == ROOT / "meshes"


def refusal(path):
    with pytest.raises(GeometryError) as caught:
        MeshDomain.read(path)
    return str(caught.value)


def test_broken_files_are_refused(tmp_path):
    whole = (ROOT / "meshes" / "four_disks.msh").read_bytes()
    for part in (0.01, 0.1, 0.3, 0.6, 0.9):
        path = tmp_path / "cut.msh"
        path.write_bytes(whole[: int(part * len(whole))])
        assert "cut.msh" in refusal(path)
    other = tmp_path / "notes.txt"
    other.write_text("no mesh")
    assert re.search("notes.txt.*truncated or of an unknown kind", refusal(other))
    scrap = tmp_path / "scrap.vtu"
    scrap.write_text("<VTKFile")
    assert "scrap.vtu" in refusal(scrap)


def test_meshes_without_area_are_refused(tmp_path):
    path = tmp_path / "bad.msh"
    edges = write(path, SQUARE, [("line", np.array([[0, 1]]))])
    assert "no triangles (cells found: line" in refusal(edges)
    flat = SQUARE.copy()
    flat[2] = [0.5, 0, 0]
    assert "1 triangles are degenerate" in refusal(write(path, flat, [("triangle", HALVES)]))
    broken = SQUARE.copy()
    broken[1, 0] = np.nan
    assert "1 nodes are not finite" in refusal(write(path, broken, [("triangle", HALVES)]))
    bent = SQUARE + [[0, 0, 0], [0, 0, 0], [0, 0, 0.1], [0, 0, 0]]
    assert "not planar" in refusal(write(path, bent, [("triangle", HALVES)]))
    names = {"inlet": np.array([7, 1])}
    tags = [np.array([1, 1])]
    empty = write(path, SQUARE, [("triangle", HALVES)], tags, names)
    assert "'inlet' is empty" in refusal(empty)


def test_contradictory_groups_are_refused():
    nodes = SQUARE[:, :2]
    whole = MeshDomain.from_arrays(nodes, HALVES, {"interior": (2, HALVES[:1])})
    with pytest.raises(GeometryError, match="'interior' is not the whole interior"):
        whole.regions  # noqa: B018
    with pytest.raises(GeometryError, match="'stray' has nodes that no triangle uses"):
        MeshDomain.from_arrays(nodes, HALVES[:1], {"stray": (1, np.array([[0, 3]]))})
    thrice = MeshDomain.from_arrays(
        np.vstack([nodes, [[2.0, 0.5]]]), np.array([[0, 1, 2], [0, 2, 3], [0, 2, 4]])
    )
    with pytest.raises(GeometryError, match="shared by more than two triangles"):
        thrice.regions  # noqa: B018


@pytest.mark.reference_data
@pytest.mark.skipif(not DATA.is_dir(), reason="reference files are absent")
@pytest.mark.parametrize(
    ("file", "measure", "groups"),
    [
        ("skfem_square.msh", 1.0, {"left", "right", "top"}),
        ("skfem_annulus.msh", np.pi * (0.5**2 - 0.1**2), {"inter", "exter"}),
    ],
)
def test_foreign_gmsh_files(file, measure, groups):
    domain = MeshDomain.read(DATA / file)
    assert groups <= set(domain.regions)
    assert domain.measure == pytest.approx(measure, rel=0.03)
