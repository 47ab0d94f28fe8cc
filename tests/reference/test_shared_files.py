"""Files that others computed, checked by properties that the file itself must have."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pinnkit.errors import OptionError, ReferenceFileError
from pinnkit.reference import read

pytestmark = pytest.mark.reference_data


def test_burgers_shock_agrees_with_cole_hopf(data):
    reference = read(
        data / "burgers" / "burgers_shock.mat",
        axes=("t", "x"),
        fields=("u",),
        rename={"usol": "u"},
    )
    assert reference.layout == "grid" and reference.fields["u"].shape == (100, 256)
    script = Path(__file__).resolve().parents[2] / "scripts" / "references" / "cole_hopf.py"
    spec = importlib.util.spec_from_file_location("cole_hopf", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    t, x = reference.coordinates["t"], reference.coordinates["x"]
    exact = module.cole_hopf(t, x, 0.01 / np.pi)
    difference = np.linalg.norm(reference.fields["u"] - exact)
    assert difference < 5e-12 * np.linalg.norm(exact)


def test_time_named_tt_and_dimensions_by_length(data):
    reference = read(
        data / "allen_cahn" / "AC.mat", axes=("t", "x"), fields=("u",), rename={"uu": "u"}
    )
    x = reference.coordinates["x"]
    assert reference.fields["u"].shape == (201, 512)
    assert np.allclose(reference.fields["u"][0], x**2 * np.cos(np.pi * x), atol=1e-12)


def test_kuramoto_sivashinsky_initial_state(data):
    reference = read(
        data / "kuramoto_sivashinsky" / "ks.mat",
        axes=("t", "x"),
        fields=("u",),
        rename={"usol": "u"},
        time=0.0,
    )
    x = reference.coordinates["x"]
    assert np.allclose(reference.fields["u"][0], -np.sin(np.pi * x), atol=1e-12)


def test_complex_field_is_offered_in_parts(data):
    path = data / "schroedinger" / "NLS.mat"
    maps = {"uu_re": "v", "uu_im": "w"}
    reference = read(path, axes=("t", "x"), fields=("v", "w"), rename=maps)
    start = reference.at_time(0.0)
    x = start.coordinates["x"]
    assert np.allclose(start.fields["v"][0], 2 / np.cosh(x), atol=1e-12)
    assert np.abs(start.fields["w"]).max() == 0
    with pytest.raises(ReferenceFileError, match="complex. Map its parts, for example"):
        read(path, axes=("t", "x"), fields=("v",), rename={"uu": "v"})


def test_comsol_poisson_disks_becomes_points(data):
    reference = read(
        data / "poisson_disks" / "poisson1_cg_data.dat", axes=("x", "y"), fields=("u",)
    )
    coordinates, fields = reference.points()
    assert reference.layout == "points" and len(fields["u"]) == 1246
    on_edge = np.isclose(np.abs(coordinates["x"]), 0.5)
    assert np.allclose(fields["u"][on_edge], 1)


def test_comsol_cavity_is_recognised_as_a_grid(data):
    reference = read(data / "cavity" / "lid_driven_a4.dat", axes=("x", "y"), fields=("u", "v", "p"))
    assert reference.layout == "grid" and reference.fields["u"].shape == (101, 101)
    x = reference.coordinates["x"]
    assert np.allclose(reference.fields["u"][:, -1], 4 * x * (1 - x), atol=5e-4)
    assert np.abs(reference.fields["v"][:, 0]).max() == 0


def test_equal_lengths_need_a_stated_order(data):
    path = data / "cavity" / "ldc_Re100.mat"
    with pytest.raises(ReferenceFileError, match=r"leave the order .* rename=\{'u\[x,y\]': 'u'\}"):
        read(path, axes=("x", "y"), fields=("u", "v"))
    maps = {"u[x,y]": "u", "v[x,y]": "v"}
    reference = read(path, axes=("x", "y"), fields=("u", "v"), rename=maps)
    assert np.allclose(reference.fields["u"][1:-1, -1], 1)
    turned = read(path, axes=("x", "y"), fields=("u",), rename={"u[y,x]": "u"})
    assert np.array_equal(turned.fields["u"], reference.fields["u"].T)


def test_profile_at_a_constant_coordinate(data):
    reference = read(
        data / "cavity" / "ldc_ghia1982_u.csv",
        axes=("x", "y"),
        fields=("u",),
        rename={"Re100": "u", "0.5": "x"},
    )
    coordinates, fields = reference.points()
    assert np.all(coordinates["x"] == 0.5)
    assert fields["u"].min() == -0.21090 and coordinates["y"][fields["u"].argmin()] == 0.4531


def test_operator_archives_lack_coordinates(data):
    with pytest.raises(ReferenceFileError, match="lacks the coordinate 't'"):
        read(data / "operators" / "burgers_test_16.npz", axes=("t", "x"), fields=("y",))


class TestOpenFOAM:
    maps = {"U_x": "u", "U_y": "v"}

    def case(self, data):
        pytest.importorskip("pyvista")
        return data / "formats" / "openfoam_cavity"

    def test_last_time_for_a_steady_problem(self, data):
        reference = read(self.case(data), axes=("x", "y"), fields=("u", "v", "p"), rename=self.maps)
        assert reference.layout == "grid" and reference.fields["u"].shape == (20, 20)
        assert reference.fields["u"].min() == pytest.approx(-0.204, abs=1e-3)
        assert np.ptp(reference.coordinates["x"]) == pytest.approx(0.095)

    def test_all_times_for_a_problem_with_time(self, data):
        reference = read(
            self.case(data) / "case.foam", axes=("t", "x", "y"), fields=("u", "v"), rename=self.maps
        )
        assert np.allclose(reference.times(), [0, 0.5, 1, 1.5, 2, 2.5])
        assert np.abs(reference.at_time(0.0).fields["u"]).max() == 0

    def test_a_time_that_is_not_stored(self, data):
        with pytest.raises(ReferenceFileError, match=r"holds no time 0.7.*nearest 0, 0.5, 1"):
            read(self.case(data), axes=("x", "y"), fields=("u", "v"), rename=self.maps, time=0.7)

    def test_the_vector_is_offered_by_component(self, data):
        with pytest.raises(ReferenceFileError, match="It holds .*U_x, U_y, U_z"):
            read(self.case(data), axes=("x", "y"), fields=("u",))


def test_solid_mesh_for_a_plane_problem(data):
    path = data / "formats" / "office.binary.vtk"
    with pytest.raises(ReferenceFileError, match="varies along 'z'"):
        read(path, axes=("x", "y"), fields=("scalars",))
    reference = read(path, axes=("x", "y", "z"), fields=("vectors_x", "scalars"))
    assert reference.fields["scalars"].size == 8400


def test_mesh_without_data(data):
    with pytest.raises(ReferenceFileError, match="a mesh without values.*values of u"):
        read(data / "formats" / "skfem_square.msh", axes=("x", "y"), fields=("u",))


def test_map_to_an_unknown_problem_name(data):
    with pytest.raises(OptionError, match="the problem has no 'w'"):
        read(
            data / "burgers" / "burgers_shock.mat",
            axes=("t", "x"),
            fields=("u",),
            rename={"usol": "w"},
        )
