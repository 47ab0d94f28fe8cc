"""Figures are drawn for every kind of domain and of reference, and show what they should."""

import numpy as np
import pytest
from stand_in import Stand, decay, swirl

from pinnkit.errors import OptionError
from pinnkit.geometry import Box, MeshDomain
from pinnkit.reference import Reference
from pinnkit.report import compare, plot, plot_history
from pinnkit.report.panels import triangulate, views
from pinnkit.report.sample import sample


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def titles(drawn):
    return [axes.get_title() for axes in drawn.axes]


def test_map_and_profiles(heat, tmp_path):
    drawn = plot(heat, tmp_path / "a.png", times=[0, 1], resolution=31)
    lines = drawn.axes[1].get_lines()
    assert is_png(tmp_path / "a.png") and len(lines) == 2
    x, u = lines[1].get_data()
    assert np.allclose(u, np.exp(-1) * np.sin(np.pi * x))
    assert drawn.axes[0].get_xlabel() == "$t$" and drawn.axes[0].get_ylabel() == "$x$"


def test_one_coordinate_is_a_curve():
    drawn = plot(Stand(Box(t=(0, 1), time="t"), {"u": lambda t: t**2}))
    t, u = drawn.axes[0].get_lines()[0].get_data()
    assert np.allclose(u, np.asarray(t) ** 2)


def test_steady_fields_beside_each_other(flow):
    drawn = plot(flow, resolution=21)
    assert titles(drawn)[:2] == ["$u$", "$v$"]
    only = plot(flow, fields=["v"], resolution=21)
    assert titles(only)[0] == "$v$" and len(only.axes) == 2


def test_snapshots_share_a_scale():
    box = Box(t=(0, 2), x=(0, 1), y=(0, 1), time="t")
    solution = Stand(box, {"u": lambda t, x, y: np.exp(-t) * x})
    drawn = plot(solution, times=[0, 2], resolution=9)
    images = [axes.collections[0] for axes in drawn.axes[:2]]
    assert titles(drawn)[:2] == ["$u$, $t$ = 0", "$u$, $t$ = 2"]
    assert images[0].get_clim() == images[1].get_clim() == (0, 1)


def test_a_solid_shows_its_middle_plane():
    solution = Stand(Box(x=(0, 1), y=(0, 1), z=(0, 2)), {"u": lambda x, y, z: z})
    (view,) = views(sample(solution, 5))
    assert view.fixed == {"z": 1.0} and np.all(view.values.fields["u"] == 1)


def beside(legend, axes, drawn):
    """Whether the legend lies to the right of the axes, once laid out."""
    drawn.draw_without_rendering()
    return legend.get_window_extent().x0 >= axes.get_window_extent().x1


def test_legends_stand_beside_the_axes(heat):
    drawn = plot(heat, resolution=31)
    assert beside(drawn.axes[1].get_legend(), drawn.axes[1], drawn)
    times, x = np.array([0.0, 0.5]), np.linspace(-1, 1, 9)
    values = {"u": decay(times[:, None], x[None, :])}
    reference = Reference("r", ("t", "x"), {"t": times, "x": x}, values, "grid", "t")
    drawn = compare(heat, reference).plot()
    assert beside(drawn.axes[2].get_legend(), drawn.axes[2], drawn)


@pytest.mark.parametrize("scale", [1.0, 0.021, 3e-9])
def test_a_plane_has_its_title_over_the_axes_and_three_numbers_at_the_bar(scale):
    box = Box(x=(0, 4), y=(0, 1))
    drawn = plot(Stand(box, {"u": lambda x, y: scale * x * y + 0.37}), resolution=11)
    axes, bar = drawn.axes
    drawn.draw_without_rendering()
    place = axes.get_position()
    assert drawn.get_suptitle() == "Stand of formula"
    assert drawn._suptitle.get_position()[0] == pytest.approx((place.x0 + place.x1) / 2, abs=0.01)
    low, high = bar.get_ylim()
    assert sum(low <= tick <= high for tick in bar.get_yticks()) >= 3


def test_unknown_field(heat):
    with pytest.raises(OptionError, match="no field w. Choose from u"):
        plot(heat, fields=["w"])


def test_comparison_on_a_grid(heat, tmp_path):
    drawn = compare(heat, Stand(heat.domain, {"u": lambda t, x: x}), resolution=21).plot(
        tmp_path / "c.png"
    )
    assert is_png(tmp_path / "c.png") and len(drawn.axes) == 5
    assert titles(drawn)[2].startswith("difference, relative $L_2$")
    low, high = drawn.axes[2].collections[0].get_clim()
    assert low == -high


def test_comparison_at_few_times_is_drawn_as_profiles(heat):
    times, x = np.array([0.0, 0.5]), np.linspace(-1, 1, 9)
    values = {"u": decay(times[:, None], x[None, :])}
    reference = Reference("r", ("t", "x"), {"t": times, "x": x}, values, "grid", "t")
    drawn = compare(heat, reference).plot()
    assert [len(axes.get_lines()) for axes in drawn.axes] == [2, 2, 2]


def test_scattered_points_and_profiles(flow):
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 200))
    scattered = Reference("r", ("x", "y"), {"x": x, "y": y}, {"u": swirl(x, y)}, "points")
    assert compare(flow, scattered).plot().axes[0].collections
    line = Reference("r", ("x", "y"), {"x": x, "y": 1 - x}, {"u": swirl(x, 1 - x)}, "points")
    assert compare(flow, line).plot().axes[0].get_lines()


def test_points_in_a_solid_are_drawn_against_each_other():
    solid = Stand(Box(x=(0, 1), y=(0, 1), z=(0, 1)), {"u": lambda x, y, z: x + z})
    x, y, z = np.random.default_rng(0).random((3, 50))
    places = {"x": x, "y": y, "z": z}
    drawn = compare(solid, Reference("r", ("x", "y", "z"), places, {"u": x}, "points")).plot()
    assert drawn.axes[0].get_xlabel() == "reference $u$"


def test_no_triangle_spans_a_hole():
    angle = np.linspace(0, 2 * np.pi, 41)[:-1]
    x, y = (np.concatenate([r * f(angle) for r in (1.0, 1.5, 2.0)]) for f in (np.cos, np.sin))
    masked = triangulate(x, y, lambda a, b: np.hypot(a, b) > 0.995)
    assert masked.mask is not None
    kept = masked.triangles[~masked.mask]
    area = np.abs(np.linalg.det(np.stack([x[kept], y[kept], np.ones_like(x[kept])], -1))).sum() / 2
    polygon = 20 * np.sin(2 * np.pi / 40)
    assert area == pytest.approx(3 * polygon, rel=1e-9)


def test_a_mesh_domain_is_masked_outside():
    nodes = np.array([[0, 0], [1, 0], [0, 1.0]])
    domain = MeshDomain.from_arrays(nodes, np.array([[0, 1, 2]]))
    values = sample(Stand(domain, {"u": lambda x, y: x}), 11)
    assert np.isnan(values.fields["u"]).sum() == 55
    assert plot(Stand(domain, {"u": lambda x, y: x}), resolution=11)


def test_history(heat, tmp_path):
    steps = np.arange(5.0)
    history = {"step": steps, "wall_s": steps / 10, "momentum": 10.0**-steps}
    trained = Stand(heat.domain, heat.formulas, history=history)
    drawn = plot_history(trained, tmp_path / "h.png", against="wall_s")
    assert drawn.axes[0].get_yscale() == "log" and is_png(tmp_path / "h.png")
    assert len(drawn.axes) == 1
    history |= {"causal weight": 0.9**steps, "epsilon": np.array([0.1, 0.1, 1, 1, 10])}
    causal = plot_history(Stand(heat.domain, heat.formulas, history=history), tmp_path / "c.png")
    above, below = causal.axes
    assert len(above.lines) == 1 and [text.get_text() for text in below.texts] == [
        "epsilon = 0.1",
        "1",
        "10",
    ]
    assert is_png(tmp_path / "c.png")
    with pytest.raises(OptionError, match="recorded no history"):
        plot_history(heat)
    with pytest.raises(OptionError, match="against='epoch'"):
        plot_history(trained, against="epoch")
