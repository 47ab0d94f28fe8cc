"""What is exported is read back by the readers of other people's results."""

import numpy as np
import pytest
from stand_in import Stand, decay, swirl

from pinnkit.errors import OptionError
from pinnkit.geometry import Box, MeshDomain
from pinnkit.reference import read
from pinnkit.report import compare, export, to_xarray


@pytest.mark.parametrize("suffix", [".h5", ".nc", ".npz", ".csv"])
def test_grids_round_trip_with_their_error_estimate(heat, tmp_path, suffix):
    path = export(heat, tmp_path / f"a{suffix}", resolution=7)
    result = compare(heat, path)
    assert result.n_points == 49 and result.table.loc["u", "max"] == 0
    assert result.reference_floor == 1e-9


@pytest.mark.parametrize("suffix", [".vtu", ".vtk"])
def test_meshes_round_trip(flow, tmp_path, suffix):
    result = compare(flow, export(flow, tmp_path / f"a{suffix}", resolution=6))
    assert result.n_points == 36 and result.table["max"].max() < 1e-15


def test_cells_fill_the_domain(tmp_path):
    import meshio

    box = Box(x=(0, 1), y=(0, 2), z=(0, 3))
    export(Stand(box, {"u": lambda x, y, z: x}), tmp_path / "a.vtu", resolution=3)
    mesh = meshio.read(tmp_path / "a.vtu")
    corners = mesh.points[mesh.cells_dict["hexahedron"]]
    edges = [corners[:, k] - corners[:, 0] for k in (1, 3, 4)]
    volumes = np.einsum("ni,ni->n", np.cross(edges[0], edges[1]), edges[2])
    assert volumes.sum() == pytest.approx(6) and volumes.min() > 0


def test_the_last_time_by_default(heat, tmp_path):
    last = read(export(heat, tmp_path / "a.vtu"), axes=("x",), fields=("u",))
    assert np.allclose(last.fields["u"], decay(1.0, last.coordinates["x"]))
    early = read(export(heat, tmp_path / "b.vtu", time=0), axes=("x",), fields=("u",))
    assert np.allclose(early.fields["u"], decay(0.0, early.coordinates["x"]))
    with pytest.raises(OptionError, match="time 3 is outside 0…1"):
        export(heat, tmp_path / "c.vtu", time=3)


def test_a_mesh_domain_keeps_its_triangles_and_its_outline(tmp_path):
    nodes = np.array([[0, 0], [1, 0], [0, 1.0]])
    domain = MeshDomain.from_arrays(nodes, np.array([[0, 1, 2]]))
    solution = Stand(domain, {"u": lambda x, y: x + 2 * y})
    import meshio

    mesh = meshio.read(export(solution, tmp_path / "a.vtu"))
    assert len(mesh.cells_dict["triangle"]) == 1 and sorted(mesh.point_data["u"]) == [0, 1, 2]
    result = compare(solution, export(solution, tmp_path / "a.h5", resolution=11))
    assert result.n_points == 66 and result.n_outside == 0


def test_a_series_for_paraview(heat, tmp_path):
    pytest.importorskip("pyvista")
    path = export(heat, tmp_path / "a.pvd", resolution=5)
    reference = read(path, axes=("t", "x"), fields=("u",))
    assert reference.fields["u"].shape == (51, 5)
    assert np.allclose(
        reference.fields["u"],
        decay(reference.coordinates["t"][:, None], reference.coordinates["x"][None, :]),
    )


def test_xarray(flow):
    dataset = to_xarray(flow, {"x": 3, "y": 5})
    assert dataset["u"].dims == ("x", "y") and dataset["u"].shape == (3, 5)
    exact = swirl(dataset["x"].values[:, None], dataset["y"].values[None, :])
    assert np.allclose(dataset["u"], exact)
    assert dataset.attrs["problem"] == "formula"


def test_refusals(flow, tmp_path):
    with pytest.raises(OptionError, match="unknown kind '.stl'"):
        export(flow, tmp_path / "a.stl")
    with pytest.raises(OptionError, match="is steady"):
        export(flow, tmp_path / "a.vtu", time=1)
    with pytest.raises(OptionError, match="Export to .vtu instead"):
        export(flow, tmp_path / "a.pvd")
    assert not list(tmp_path.iterdir())


def test_a_series_takes_all_times(heat, tmp_path):
    with pytest.raises(OptionError, match=r"takes all times. Leave time=0.5 out, or write .vtu"):
        export(heat, tmp_path / "a.pvd", time=0.5)
