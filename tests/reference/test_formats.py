"""Every format: a manufactured field comes back; damaged and contradictory files are refused."""

import shutil
import warnings

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit.errors import OptionError, ReferenceFileError
from pinnkit.reference import Reference, formats, read, write_grid

T, X = np.linspace(0, 1, 5), np.linspace(-1, 1, 7)
U = np.sin(np.pi * X)[None, :] * np.exp(-T)[:, None]
AXES, FIELDS = ("t", "x"), ("u",)


def save_h5(path, t=T, x=X, u=U):
    with h5py.File(path, "w") as file:
        file["deep/t"], file["deep/x"], file["deep/u"] = t, x, u


def save_mat73(path, t=T, x=X, u=U):
    save_h5(path, t[None, :].T, x[None, :].T, u.T)


def save_npz(path, t=T, x=X, u=U):
    np.savez(path, t=t, x=x, u=u)


def save_mat(path, t=T, x=X, u=U):
    scipy.io.savemat(path, {"t": t, "x": x, "u": u})


def save_nc(path, t=T, x=X, u=U):
    import xarray as xr

    dims = ("t", "x")[: np.ndim(u)]
    xr.Dataset({"u": (dims, u)}, coords={"t": t, "x": x}).to_netcdf(path)


def save_columns(path, t=T, x=X, u=U):
    tt, xx = np.meshgrid(t, x, indexing="ij")
    rows = np.stack([tt.ravel(), xx.ravel(), u.ravel()], axis=1)
    np.savetxt(path, rows, header="t x u", delimiter=",", fmt="%.17g")


def save_vtu(path, t=T, x=X, u=U):
    import meshio

    tt, xx = np.meshgrid(t, x, indexing="ij")
    points = np.stack([xx.ravel(), tt.ravel(), 0 * tt.ravel()], axis=1)
    cells = [("vertex", np.arange(len(points))[:, None])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meshio.write(path, meshio.Mesh(points, cells, point_data={"u": u.ravel()}))


GRIDS = {
    "a.h5": save_h5,
    "v73.mat": save_mat73,
    "a.npz": save_npz,
    "a.mat": save_mat,
    "a.nc": save_nc,
    "a.csv": save_columns,
    "a.txt": save_columns,
}
MESHES = {"a.vtu": save_vtu, "a.vtk": save_vtu, "a.xdmf": save_vtu}


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_comes_back(tmp_path, name):
    GRIDS[name](tmp_path / name)
    reference = read(tmp_path / name, axes=AXES, fields=FIELDS)
    assert reference.layout == "grid" and reference.time_axis == "t"
    assert np.array_equal(reference.coordinates["x"], X)
    assert np.array_equal(reference.fields["u"], U)


@pytest.mark.parametrize("name", MESHES)
def test_a_mesh_comes_back(tmp_path, name):
    MESHES[name](tmp_path / name)
    reference = read(tmp_path / name, axes=("y", "x"), fields=FIELDS)
    coordinates, fields = reference.points()
    exact = np.sin(np.pi * coordinates["x"]) * np.exp(-coordinates["y"])
    assert np.abs(fields["u"] - exact).max() < 1e-12


@pytest.mark.parametrize("name", [*GRIDS, *MESHES])
def test_a_truncated_file_is_refused(tmp_path, name):
    path = tmp_path / name
    {**GRIDS, **MESHES}[name](path)
    content = path.read_bytes()
    cut = content[: len(content) // 2] if b"," not in content[:40] else content[:-25]
    path.write_bytes(cut)
    axes = ("y", "x") if name in MESHES else AXES
    with pytest.raises(ReferenceFileError, match="truncated or damaged"):
        read(path, axes=axes, fields=FIELDS)


@pytest.mark.reference_data
def test_a_truncated_openfoam_case_is_refused(tmp_path, data):
    pytest.importorskip("pyvista")
    case = shutil.copytree(
        data / "formats" / "openfoam_cavity", tmp_path / "case", copy_function=shutil.copyfile
    )
    case.chmod(0o755)
    velocity = case / "2.5" / "U"
    velocity.write_text(velocity.read_text()[:5000])
    with pytest.raises(ReferenceFileError, match="truncated or damaged .*Unexpected EOF"):
        read(case, axes=("x", "y"), fields=("u",), rename={"U_x": "u"})


@pytest.mark.parametrize("name", [*GRIDS, *MESHES])
def test_an_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ReferenceFileError, match="is empty"):
        read(tmp_path / name, axes=AXES, fields=FIELDS)


@pytest.mark.parametrize("name", [n for n in GRIDS if n != "a.nc"])
def test_a_lacking_variable_lists_those_present(tmp_path, name):
    GRIDS[name](tmp_path / name)
    with pytest.raises(ReferenceFileError, match="none of the fields v.*holds .*u"):
        read(tmp_path / name, axes=AXES, fields=("v",))
    with pytest.raises(ReferenceFileError, match="lacks 'usol'.*holds .*u.*rename={'u': 'u'}"):
        read(tmp_path / name, axes=AXES, fields=FIELDS, rename={"usol": "u"})


@pytest.mark.parametrize("name", [*GRIDS, *MESHES])
def test_values_that_are_not_finite_are_counted(tmp_path, name):
    u = U.copy()
    u[1, 2], u[2, 3] = np.nan, np.inf
    {**GRIDS, **MESHES}[name](tmp_path / name, u=u)
    axes = ("y", "x") if name in MESHES else AXES
    with pytest.raises(ReferenceFileError, match="2 of 35 values that are not finite"):
        read(tmp_path / name, axes=axes, fields=FIELDS)


@pytest.mark.parametrize("name", ["a.h5", "v73.mat", "a.npz", "a.mat"])
def test_contradictory_lengths(tmp_path, name):
    GRIDS[name](tmp_path / name, x=X[:-1])
    with pytest.raises(ReferenceFileError, match="contradicts the lengths"):
        read(tmp_path / name, axes=AXES, fields=FIELDS)


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(ReferenceFileError, match="does not exist"):
        read(tmp_path / "none.h5", axes=AXES, fields=FIELDS)
    (tmp_path / "a.xyz").write_text("1 2 3")
    with pytest.raises(ReferenceFileError, match=r"unknown kind '.xyz'.*\.h5 .*\.vtu"):
        read(tmp_path / "a.xyz", axes=AXES, fields=FIELDS)
    with pytest.raises(ReferenceFileError, match="not an OpenFOAM case"):
        read(tmp_path, axes=AXES, fields=FIELDS)
    assert ".vtu" in formats()


def test_close_names_are_suggested(tmp_path):
    np.savez(tmp_path / "a.npz", t=T, x=X, velocity=U, pressure=U)
    with pytest.raises(ReferenceFileError, match="rename={'pressure': 'p'}"):
        read(tmp_path / "a.npz", axes=AXES, fields=("p",))


def test_any_order_of_dimensions_and_meshgrids(tmp_path):
    np.savez(tmp_path / "turned.npz", time=T, x=X[::-1], u=U[:, ::-1].T)
    turned = read(tmp_path / "turned.npz", axes=AXES, fields=FIELDS)
    assert np.array_equal(turned.fields["u"], U) and np.array_equal(turned.coordinates["x"], X)
    tt, xx = np.meshgrid(T, X)
    np.savez(tmp_path / "mesh.npz", t=tt, x=xx, u=U.T)
    meshed = read(tmp_path / "mesh.npz", axes=AXES, fields=FIELDS)
    assert meshed.layout == "grid" and np.array_equal(meshed.fields["u"], U)


def test_dimension_names_settle_equal_lengths(tmp_path):
    import xarray as xr

    u = np.arange(9.0).reshape(3, 3)
    axis = np.linspace(0, 1, 3)
    xr.Dataset({"u": (("y", "x"), u)}, coords={"x": axis, "y": axis}).to_netcdf(tmp_path / "a.nc")
    reference = read(tmp_path / "a.nc", axes=("x", "y"), fields=FIELDS)
    assert np.array_equal(reference.fields["u"], u.T)
    with pytest.raises(OptionError, match="brackets name the coordinates"):
        read(tmp_path / "a.nc", axes=("x", "y"), fields=FIELDS, rename={"u[x,z]": "u"})


def test_a_file_without_time_needs_one(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, u=U[1])
    with pytest.raises(ReferenceFileError, match="Say which time it stands for"):
        read(tmp_path / "a.npz", axes=AXES, fields=FIELDS)
    reference = read(tmp_path / "a.npz", axes=AXES, fields=FIELDS, time=0.25)
    assert np.array_equal(reference.fields["u"], U[1:2]) and reference.times() == [0.25]


def test_comsol_times_in_columns(tmp_path):
    header = "% Nodes: 3\n% x   u (m/s) @ t=0   u (m/s) @ t=0.5\n"
    (tmp_path / "a.txt").write_text(header + "0 1 2\n1 3 4\n2 5 6\n")
    reference = read(tmp_path / "a.txt", axes=AXES, fields=FIELDS)
    assert np.array_equal(reference.fields["u"], [[1, 3, 5], [2, 4, 6]])
    (tmp_path / "a.txt").write_text(header + "0 1 2\n1 3 4\n")
    with pytest.raises(ReferenceFileError, match="states 3 rows, it has 2"):
        read(tmp_path / "a.txt", axes=AXES, fields=FIELDS)


def test_columns_without_names(tmp_path):
    np.savetxt(tmp_path / "a.dat", np.stack([X, X**2], axis=1))
    with pytest.raises(ReferenceFileError, match="column_1, column_2"):
        read(tmp_path / "a.dat", axes=("x",), fields=FIELDS)
    maps = {"column_1": "x", "column_2": "u"}
    reference = read(tmp_path / "a.dat", axes=("x",), fields=FIELDS, rename=maps)
    assert np.allclose(reference.fields["u"], X**2)


def test_ragged_columns_and_headers(tmp_path):
    (tmp_path / "a.csv").write_text("t,x\n1,2,3\n")
    with pytest.raises(ReferenceFileError, match="names 2 columns but its rows have 3"):
        read(tmp_path / "a.csv", axes=AXES, fields=FIELDS)
    head = "# from a probe\n\nt,x,u\n1,2,3\n"
    for bad, told in [
        ("1,x,3", r"line 5: 'x' is not a number"),
        ("# broken off\n1,2", "line 6 has 2 columns, those before it 3"),
    ]:
        (tmp_path / "c.csv").write_text(head + bad)
        with pytest.raises(ReferenceFileError, match=told):
            read(tmp_path / "c.csv", axes=AXES, fields=FIELDS)
    (tmp_path / "b.csv").write_text("t,x,u\n")
    with pytest.raises(ReferenceFileError, match="has|header"):
        read(tmp_path / "b.csv", axes=AXES, fields=FIELDS)


def test_cell_data_are_used_when_points_have_none(tmp_path):
    import meshio

    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    cells = [("triangle", np.array([[0, 1, 2], [0, 2, 3]]))]
    mesh = meshio.Mesh(points, cells, cell_data={"U": [np.array([[1.0, 2, 3], [4, 5, 6]])]})
    meshio.write(tmp_path / "a.vtu", mesh)
    reference = read(tmp_path / "a.vtu", axes=("x", "y"), fields=("v",), rename={"U_y": "v"})
    coordinates, fields = reference.points()
    assert sorted(fields["v"]) == [2, 5] and sorted(coordinates["x"]) == [1 / 3, 2 / 3]


def test_a_time_series_in_xdmf(tmp_path, monkeypatch):
    import meshio

    # meshio writes the heavy data beside the process, not beside the file.
    monkeypatch.chdir(tmp_path)

    points = np.stack([X, 0 * X, 0 * X], axis=1)
    cells = [("line", np.stack([np.arange(6), np.arange(1, 7)], axis=1))]
    with meshio.xdmf.TimeSeriesWriter(tmp_path / "a.xdmf") as writer:
        writer.write_points_cells(points, cells)
        for time, u in zip(T, U, strict=True):
            writer.write_data(time, point_data={"u": u})
    reference = read(tmp_path / "a.xdmf", axes=AXES, fields=FIELDS)
    assert np.allclose(reference.fields["u"], U)
    one = read(tmp_path / "a.xdmf", axes=AXES, fields=FIELDS, time=0.5)
    assert np.allclose(one.fields["u"], U[2:3])


def square():
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    return points, np.array([[0, 1, 2], [0, 2, 3]])


def test_tecplot_shares_a_suffix_with_columns(tmp_path):
    import meshio

    points, triangles = square()
    data = {"u": points[:, 0] + 2 * points[:, 1]}
    meshio.write(tmp_path / "a.dat", meshio.Mesh(points[:, :2], {"triangle": triangles}, data))
    reference = read(tmp_path / "a.dat", axes=("x", "y"), fields=FIELDS)
    assert np.allclose(reference.fields["u"], [[0, 2], [1, 3]])


def test_raw_appended_data_that_meshio_cannot_read(tmp_path):
    """What SU2 writes."""
    pyvista = pytest.importorskip("pyvista")
    from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridWriter

    points, triangles = square()
    mesh = pyvista.UnstructuredGrid({pyvista.CellType.TRIANGLE: triangles}, points)
    mesh.point_data["u"] = points[:, 0]
    writer = vtkXMLUnstructuredGridWriter()
    writer.SetFileName(str(tmp_path / "a.vtu"))
    writer.SetInputData(mesh)
    writer.SetDataModeToAppended()
    writer.EncodeAppendedDataOff()
    writer.SetHeaderTypeToUInt64()
    writer.Write()
    reference = read(tmp_path / "a.vtu", axes=("x", "y"), fields=FIELDS)
    assert np.array_equal(reference.fields["u"], [[0, 0], [1, 1]])


def test_meshio_that_ends_the_program_does_not(tmp_path, monkeypatch):
    import meshio

    def leave(path):
        raise SystemExit(1)

    save_vtu(tmp_path / "a.vtu")
    monkeypatch.setattr(meshio, "read", leave)
    pytest.importorskip("pyvista")
    reference = read(tmp_path / "a.vtu", axes=("y", "x"), fields=FIELDS)
    assert reference.fields["u"].size == U.size


@pytest.mark.parametrize("name", ["a.h5", "a.nc", "a.npz", "a.csv"])
def test_what_is_written_comes_back_with_its_floor(tmp_path, name):
    attributes = {"error_estimate": {"u": 3e-7}, "method": "lines"}
    write_grid(tmp_path / name, {"t": T, "x": X}, {"u": U}, attributes)
    reference = read(tmp_path / name, axes=AXES, fields=FIELDS)
    assert np.array_equal(reference.fields["u"], U)
    assert reference.floor == {"u": 3e-7}
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_the_writer_refuses(tmp_path):
    with pytest.raises(OptionError, match="unknown kind '.bin'"):
        write_grid(tmp_path / "a.bin", {"x": X}, {"u": X})
    with pytest.raises(ReferenceFileError, match="'u' has shape"):
        write_grid(tmp_path / "a.h5", {"x": X}, {"u": U})
    with pytest.raises(ReferenceFileError, match="1 values that are not finite"):
        write_grid(tmp_path / "a.h5", {"x": X}, {"u": np.where(X == 1, np.nan, X)})
    assert not list(tmp_path.iterdir())


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(12)), st.integers(1, 3))
def test_points_in_any_order_become_the_grid(tmp_path_factory, order, columns):
    x, y = np.arange(columns, dtype=float), np.arange(12 // columns, dtype=float)
    xx, yy = np.meshgrid(x, y, indexing="ij")
    u = np.sin(xx) + yy
    rows = np.stack([xx.ravel(), yy.ravel(), u.ravel()], axis=1)[order]
    path = tmp_path_factory.mktemp("any") / "a.csv"
    np.savetxt(path, rows, delimiter=",", header="x,y,u", fmt="%.17g")
    reference = read(path, axes=("x", "y"), fields=FIELDS)
    assert reference.layout == "grid" and np.array_equal(reference.fields["u"], u)


def test_select_and_at_time():
    reference = Reference("r", AXES, {"t": T, "x": X}, {"u": U, "v": U}, "grid", "t", {"u": 1e-3})
    part = reference.select(["u"], x=(0, 1))
    assert part.fields["u"].shape == (5, 4) and part.floor == {"u": 1e-3}
    coordinates, fields = reference.points()
    scattered = Reference("s", AXES, coordinates, fields, "points", "t")
    assert np.array_equal(scattered.at_time(0.5).fields["u"], U[2])
    with pytest.raises(ReferenceFileError, match="holds no time 0.3.*nearest 0, 0.25, 0.5"):
        reference.at_time(0.3)
    with pytest.raises(OptionError, match="has no z"):
        reference.select(z=(0, 1))
    with pytest.raises(OptionError, match="has no time axis"):
        Reference("r", ("x",), {"x": X}, {"u": X}, "grid").at_time(0.5)
