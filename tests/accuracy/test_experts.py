"""Least-squares experts as they come: a tolerance at most, no layout, basis or slabs given.

Oracles bypass the package: closed forms, the Cole-Hopf script, and the solvers and tables of
`oracles`. Thresholds stand within about ten times of what is achieved; the default
basis is not random, so that the key enters only where sines are asked for.
"""

import subprocess
import sys
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import (
    CAVITY_U,
    CAVITY_U_400,
    CAVITY_V,
    CAVITY_V_400,
    FOUR_DISKS_CENTRE,
    allen_cahn,
    chaotic_kuramoto_sivashinsky,
    korteweg_de_vries,
    l_shape,
)
from scipy.special import hyp2f1

import pinnkit as pk
from pinnkit import precision
from pinnkit.report.forces import force

pytestmark = pytest.mark.accuracy
ROOT = Path(__file__).resolve().parents[2]
TIMES = np.linspace(0.1, 1, 10)


def solve(name, tolerance=None, **parameters):
    """The default method, or experts with a tolerance; they must say that they succeeded."""
    problem = pk.load(ROOT / "problems" / f"{name}.py", **parameters)
    method = None if tolerance is None else pk.LeastSquares(tolerance=tolerance)
    solution = pk.solve(problem, method, quiet=True)
    assert solution.method == "LeastSquares" and solution.status.ok, solution.status.reason
    return solution


def relative(found, true):
    """Relative L2 error of values (times, x), all times together."""
    return np.linalg.norm(found - true) / np.linalg.norm(true)


def on_grid(solution, times, x):
    return solution(t=times[:, None], x=x[None, :])["u"]


@pytest.mark.parametrize(
    ("name", "parameters", "bound"),
    [
        ("poisson2d", {}, 2e-13),
        ("poisson_multiscale", {}, 1e-11),
        ("helmholtz2d", {}, 4e-13),
        ("helmholtz2d", {"a1": 10, "a2": 10}, 4e-12),
        ("poisson_nonlinear", {}, 2e-13),
        ("legendre", {}, 1e-13),
        ("heat1d", {}, 5e-13),
        ("wave1d", {}, 5e-12),
        ("advection", {}, 3e-12),
        ("advection_harmonics", {}, 1e-11),
        ("kovasznay", {}, 5e-10),
    ],
)
def test_against_closed_forms(name, parameters, bound):
    solution = solve(name, **parameters)
    exact = pk.solve(solution.problem, pk.Exact(), quiet=True)
    fields = solution.compare(exact).to_json()["fields"]
    assert max(norms["rel_l2"] for norms in fields.values()) < bound


@pytest.fixture(scope="module")
def cole_hopf(tmp_path_factory):
    """t (nt,), x (nx,) and u (nt, nx) of the Cole-Hopf script."""
    path = tmp_path_factory.mktemp("reference") / "cole_hopf.h5"
    script = ROOT / "scripts/references/cole_hopf.py"
    subprocess.run([sys.executable, script, "--out", path], check=True)
    with h5py.File(path) as file:
        return tuple(file[name][()] for name in ("t", "x", "u"))


@pytest.mark.parametrize(("tolerance", "bound"), [(1e-6, 1e-7), (None, 2e-11)])
def test_burgers(cole_hopf, tolerance, bound):
    times, x, u = cole_hopf
    assert relative(on_grid(solve("burgers", tolerance), times, x), u) < bound


def test_allen_cahn():
    """The kink of the initial profile limits both the solution and the oracle at small times."""
    x = np.linspace(-1, 1, 513)
    reference = allen_cahn(TIMES, x)
    assert relative(allen_cahn(TIMES, x, modes=2048, steps=500), reference) < 1e-6
    assert relative(on_grid(solve("allen_cahn"), TIMES, x), reference) < 1e-6


def test_korteweg_de_vries():
    x = np.linspace(-1, 1, 513)
    reference = korteweg_de_vries(TIMES, x)
    assert relative(korteweg_de_vries(TIMES, x, modes=512), reference) < 1e-10
    assert relative(on_grid(solve("kdv_periodic"), TIMES, x), reference) < 4e-9


def test_chaotic_kuramoto_sivashinsky():
    """The error grows with the distance of neighbouring solutions; both solvers share in it."""
    x = np.linspace(0, 2 * np.pi, 513)
    reference = chaotic_kuramoto_sivashinsky(TIMES, x)
    found = on_grid(solve("ks_chaotic"), TIMES, x)
    error = np.linalg.norm(found - reference, axis=1) / np.linalg.norm(reference, axis=1)
    curve = [1e-10, 1e-10, 4e-10, 1e-9, 4e-9, 3e-8, 2e-8, 7e-8, 2e-7, 2e-7]
    assert (error < curve).all(), error


@pytest.mark.parametrize("key", [0, 1])
def test_random_sines_find_their_layout_in_chaos(key):
    """A basis that knows neither the period nor the equation, on the first fifth of the time."""
    problem = pk.load(ROOT / "problems/ks_chaotic.py")
    short = problem.replace(domain=pk.Box(t=(0, 0.2), x=(0, 2 * np.pi), time="t"))
    method = pk.LeastSquares(basis=pk.Sine(), tolerance=1e-6)
    solution = pk.solve(short, method, key=key, quiet=True)
    x, times = np.linspace(0, 2 * np.pi, 513), TIMES[TIMES < 0.21]
    found = on_grid(solution, times, x)
    assert relative(found, chaotic_kuramoto_sivashinsky(TIMES, x)[: len(times)]) < 1e-7


def velocities(solution, points):
    """u = psi_y and v = -psi_x (N,) of a streamfunction, at points (N, 2)."""
    with precision.scope(solution.precision):
        slope = jax.vmap(jax.jacfwd(lambda z: solution.evaluator(z[None, :])[0, 0]))
        slopes = np.asarray(slope(jnp.asarray(points)))
    return slopes[:, 1], -slopes[:, 0]


@pytest.mark.parametrize(
    ("Re", "down", "across", "bound"),
    [(100, CAVITY_U, CAVITY_V, 2e-6), (400, CAVITY_U_400, CAVITY_V_400, 2e-5)],
)
def test_cavity_by_its_streamfunction(Re, down, across, bound):
    solution = solve("cavity_streamfunction", Re=Re)
    s, half = np.linspace(0.1, 0.9, 9), np.full(9, 0.5)
    u, _ = velocities(solution, np.stack([half, s], axis=1))
    _, v = velocities(solution, np.stack([s, half], axis=1))
    np.testing.assert_allclose(u, down, atol=bound)
    np.testing.assert_allclose(v, across, atol=bound)


def test_four_disks():
    solution = solve("four_disks")
    assert solution(x=0.0, y=0.0)["u"] == pytest.approx(FOUR_DISKS_CENTRE, abs=1e-8)


def test_l_shape():
    """The singularity of the corner is among the features; the largest value is 0.149412."""
    solution = solve("l_shape")
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (2, 4000))
    x, y = (z[(x < 0) | (y < 0)] for z in (x, y))
    reference = l_shape(x, y)
    assert relative(l_shape(x, y, count=50), reference) < 1e-7
    assert relative(solution(x=x, y=y)["u"], reference) < 1e-7
    assert solution(x=-0.331065, y=-0.331065)["u"] == pytest.approx(0.149412398, abs=1e-8)


def test_forces_on_a_cylinder():
    """DFG 2D-1: drag, lift and pressure difference of Schäfer & Turek's benchmark."""
    solution = solve("channel_cylinder")
    drag, lift = 2.0 * force(solution, "cylinder", 1e-3) / (0.2**2 * 0.1)
    p = solution(x=np.array([0.15, 0.25]), y=np.array([0.2, 0.2]))["p"]
    assert drag == pytest.approx(5.57953523, rel=1e-4)
    assert lift == pytest.approx(0.01061895, rel=1e-2)
    assert p[0] - p[1] == pytest.approx(0.11752017, rel=2e-4)


def test_hypergeometric_function():
    solution = solve("hypergeometric")
    x = np.linspace(0, 0.5, 201)
    assert np.abs(solution(x=x)["u"] - hyp2f1(1 / 3, 5 / 2, 23 / 12, x)).max() < 3e-12


def test_a_sphere_cools():
    solution = solve("radial_cooling")
    times, r = np.linspace(0, 0.3, 31), np.linspace(0, 1, 101)
    true = np.sinc(r)[None, :] * np.exp(-(np.pi**2) * times)[:, None]
    assert relative(solution(t=times[:, None], r=r[None, :])["u"], true) < 1e-12
