"""Integrals over space against closed forms."""

import numpy as np
import pytest
import sympy as sp

import pinnkit as pk
from pinnkit.errors import OptionError
from pinnkit.report import drift, integrals, means, plot_integrals

t, x, y = pk.coordinates("t x y")
TIMES = [0.0, 0.3, 1.0]


def posed(name, domain, exact, extra=()):
    """A problem with the closed form `exact`: what it would have to satisfy does not matter."""
    (u, *_), time = exact, t
    equations = [pk.Equation(f.diff(time) - e.diff(time)) for f, e in exact.items()]
    del u
    initial = [pk.Initial(f, e.subs(time, 0)) for f, e in exact.items()]
    return pk.Problem(name, domain, [*equations, *initial, *extra], exact=exact)


def solved(problem):
    return pk.solve(problem, pk.Exact(), quiet=True)


def test_mean_square_of_heat_decays_by_its_rate():
    u, k = pk.field("u", t, x), pk.parameter("k", 0.1)
    exact = {u: sp.exp(-k * sp.pi**2 * t) * sp.sin(sp.pi * x)}
    heat = solved(posed("heat", pk.Box(t=(0, 1), x=(-1, 1), time="t"), exact))
    decay = np.exp(-2 * 0.1 * np.pi**2 * np.array(TIMES))
    table = heat.integrals({"mass": u, "square": u**2, "loss": k * u.diff(x) ** 2}, times=TIMES)
    np.testing.assert_allclose(table["mass"], 0, atol=1e-15)
    np.testing.assert_allclose(table["square"], decay, rtol=1e-13)
    np.testing.assert_allclose(table["loss"], 0.1 * np.pi**2 * decay, rtol=1e-12)
    assert list(table.index) == TIMES and table.index.name == "t"
    mean = means(heat, {"square": u**2, "place": x**2}, times=TIMES)
    np.testing.assert_allclose(mean["square"], decay / 2, rtol=1e-13)
    np.testing.assert_allclose(mean["place"], 1 / 3, rtol=1e-13)


def test_an_advected_sine_keeps_its_energy(tmp_path):
    u = pk.field("u", t, x)
    exact = {u: sp.sin(x - 3 * t)}
    domain = pk.Box(t=(0, 1), x=(0, 2 * sp.pi), time="t")
    wave = solved(posed("wave", domain, exact, [pk.Periodic(x)]))
    table = integrals(wave, {"energy": u**2 / 2})
    np.testing.assert_allclose(table["energy"], np.pi / 2, rtol=1e-13)
    assert len(table) == 51 and np.abs(drift(table)["energy"]).max() < 1e-13
    drawn = plot_integrals(drift(table), tmp_path / "d.png")
    assert len(drawn.axes) == 1 and (tmp_path / "d.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "domain, moment",
    [
        (pk.Disk(x=0, y=0, radius=2, name="disk") * pk.Box(t=(0, 1), time="t"), 4 * np.pi),
        (pk.Box(t=(0, 1), x=(-1, 1), y=(0, 3), time="t"), 2.0),
    ],
    ids=["disk", "box"],
)
def test_any_domain_by_its_own_quadrature(domain, moment):
    """The integral of x^2 (1 + t): pi r^4 / 4 on a disk."""
    v = pk.field("v", *[{"t": t, "x": x, "y": y}[axis] for axis in domain.axes])
    moving = solved(posed("moving", domain, {v: x * sp.sqrt(1 + t)}))
    table = moving.integrals({"v^2": v**2}, times=TIMES)
    np.testing.assert_allclose(table["v^2"], moment * (1 + np.array(TIMES)), rtol=1e-10)


def test_energy_and_enstrophy_of_taylor_green_vortices():
    u, v = (pk.field(name, t, x, y) for name in "uv")
    nu = pk.parameter("nu", 0.1)
    decay = sp.exp(-2 * nu * t)
    exact = {u: -sp.cos(x) * sp.sin(y) * decay, v: sp.sin(x) * sp.cos(y) * decay}
    box = pk.Box(t=(0, 1), x=(0, 2 * sp.pi), y=(0, 2 * sp.pi), time="t")
    flow = solved(posed("vortices", box, exact))
    enstrophy = (v.diff(x) - u.diff(y)) ** 2 / 2
    table = means(flow, {"energy": (u**2 + v**2) / 2, "enstrophy": enstrophy}, TIMES)
    expected = np.exp(-0.4 * np.array(TIMES))
    np.testing.assert_allclose(table["energy"], expected / 4, rtol=1e-12)
    np.testing.assert_allclose(table["enstrophy"], expected / 2, rtol=1e-12)


def test_without_space_they_are_the_values():
    u = pk.field("u", t)
    decay = solved(posed("decay", pk.Box(t=(0, 1), time="t"), {u: sp.exp(-t)}))
    table = decay.integrals({"u^2": u**2, "slope": u.diff(t)}, times=TIMES)
    np.testing.assert_allclose(table["u^2"], np.exp(-2 * np.array(TIMES)), rtol=1e-14)
    np.testing.assert_allclose(table["slope"], -np.exp(-np.array(TIMES)), rtol=1e-14)


def test_what_the_problem_does_not_have_is_refused():
    u, other = pk.field("u", t, x), pk.field("w", t, x)
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    solution = solved(posed("line", box, {u: x + t}))
    with pytest.raises(OptionError, match="'e' holds w, which 'line' does not have.*u, t, x"):
        solution.integrals({"e": u * other})
    with pytest.raises(OptionError, match="'e' holds k"):
        solution.integrals({"e": u * pk.parameter("k", 1)})
    with pytest.raises(OptionError, match="solved for 0 <= t <= 1"):
        solution.integrals({"e": u}, times=[2.0])
    s = pk.field("s", x)
    conditions = [pk.Equation(s.diff(x) - 1), pk.Dirichlet(s, 0, on="x-")]
    steady = pk.Problem("still", pk.Box(x=(0, 1)), conditions, exact={s: x})
    with pytest.raises(OptionError, match="'still' is steady"):
        solved(steady).integrals({"e": s})
