"""Power spectra: Parseval's theorem, single waves, and a reference on its own grid."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import pinnkit as pk
from pinnkit.errors import OptionError
from pinnkit.reference import Reference
from pinnkit.report import plot_spectrum, power_spectrum, reference_spectrum, spectrum

t, x, y = pk.coordinates("t x y")
u = pk.field("u", t, x)
LENGTH = 22


@pytest.fixture(scope="module")
def wave():
    """u = 1 + e^t (sin(3 q x) + cos(5 q x) / 2) with q = 2 pi / 22."""
    q = 2 * sp.pi / LENGTH
    exact = {u: 1 + sp.exp(t) * (sp.sin(3 * q * x) + sp.cos(5 * q * x) / 2)}
    conditions = [pk.Equation(u.diff(t) - exact[u].diff(t)), pk.Initial(u, exact[u].subs(t, 0))]
    box = pk.Box(t=(0, 1), x=(0, LENGTH), time="t")
    problem = pk.Problem("wave", box, [*conditions, pk.Periodic(x)], exact=exact)
    return pk.solve(problem, pk.Exact(), quiet=True)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.integers(0, 99))
def test_powers_sum_to_the_mean_square(shape, seed):
    values = np.random.default_rng(seed).standard_normal(shape)
    lengths = [1.0, 2.5, 7.0][: len(shape)]
    power = power_spectrum(values, lengths)
    assert power.sum() == pytest.approx(np.mean(values**2), rel=1e-12)
    assert np.all(power >= 0) and power.index[0] == 0


@pytest.mark.parametrize("lengths", [(2.0, 2.0), (2.0, 4.0)])
def test_a_plane_wave_fills_one_shell(lengths):
    m, n = 3, 4
    grid = np.meshgrid(*(np.arange(16) * length / 16 for length in lengths), indexing="ij")
    waves = [2 * np.pi * number / length for number, length in zip((m, n), lengths, strict=True)]
    power = power_spectrum(np.cos(waves[0] * grid[0] + waves[1] * grid[1] + 0.3), lengths)
    unit = 2 * np.pi / max(lengths)
    nearest = round(np.hypot(*waves) / unit)
    assert (
        power.iloc[nearest] == pytest.approx(0.5) and power.drop(power.index[nearest]).max() < 1e-30
    )
    assert power.index[1] == pytest.approx(unit)


def test_the_waves_of_a_solution(wave):
    table = spectrum(wave, "u", [0, 1], points=32)
    assert table.index[1] == pytest.approx(2 * np.pi / LENGTH) and list(table) == [0.0, 1.0]
    for time in (0.0, 1.0):
        power = table[time].to_numpy()
        assert power[[0, 3, 5]] == pytest.approx([1, np.exp(2 * time) / 2, np.exp(2 * time) / 8])
        assert np.delete(power, [0, 3, 5]).max() < 1e-28


def test_a_reference_with_or_without_the_repeated_end(wave, tmp_path):
    times, places = np.array([0.0, 0.5, 1.0]), np.linspace(0, LENGTH, 25)
    values = wave(t=times[:, None], x=places[None, :])
    whole = Reference("r", ("t", "x"), {"t": times, "x": places}, values, "grid", "t")
    ours = spectrum(wave, "u", times, points=24)
    for reference in (whole, whole.select(x=(0, 21.5))):
        np.testing.assert_allclose(reference_spectrum(wave, reference, "u"), ours, atol=1e-14)
    with pytest.raises(OptionError, match="no uniform grid over one period of x, 22"):
        reference_spectrum(wave, whole.select(x=(0, 10)), "u")
    drawn = plot_spectrum(wave, tmp_path / "s.png", reference=whole)
    styles = [line.get_linestyle() for line in drawn.axes[0].get_lines()]
    assert styles == ["-", "--"] * 3 and drawn.axes[0].get_xscale() == "log"


def test_powers_of_a_velocity_are_added_over_shells():
    a, b = pk.field("a", t, x, y), pk.field("b", t, x, y)
    exact = {a: -sp.cos(x) * sp.sin(y) * sp.exp(-t), b: sp.sin(x) * sp.cos(y) * sp.exp(-t)}
    conditions = [pk.Equation(f.diff(t) - e.diff(t)) for f, e in exact.items()]
    conditions += [pk.Initial(f, e.subs(t, 0)) for f, e in exact.items()]
    box = pk.Box(t=(0, 1), x=(0, 2 * sp.pi), y=(0, 2 * sp.pi), time="t")
    flow = pk.Problem("flow", box, [*conditions, pk.Periodic(x), pk.Periodic(y)], exact=exact)
    table = spectrum(pk.solve(flow, pk.Exact(), quiet=True), ("a", "b"), [0.5], points=16)
    assert table[0.5].to_numpy()[1] == pytest.approx(np.exp(-1) / 2)  # |k| = sqrt(2), nearest to 1
    assert table[0.5].sum() == pytest.approx(np.exp(-1) / 2)


def test_walls_and_unknown_fields_are_refused(wave):
    with pytest.raises(OptionError, match="no field w. Choose from u"):
        spectrum(wave, "w")
    exact = {u: x + t}
    conditions = [pk.Equation(u.diff(t) - 1), pk.Initial(u, x)]
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    walled = pk.solve(pk.Problem("walled", box, conditions, exact=exact), pk.Exact(), quiet=True)
    with pytest.raises(OptionError, match="'walled' has x without that"):
        spectrum(walled)
