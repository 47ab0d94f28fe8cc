"""Fourier experts in slabs of time against closed forms and an independent integrator."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.io
from sympy import Eq, Piecewise, Rational, cos, exp, pi, sin

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Integral,
    Periodic,
    Problem,
    coordinates,
    field,
    laplacian,
)
from pinnkit.compile import compile_problem
from pinnkit.derivatives.basis import linearise
from pinnkit.experts.collocate import held_out
from pinnkit.experts.layout import Boxes
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.periodic.check import HeldOut
from pinnkit.experts.periodic.march import PeriodicMarch, solve_periodic, suits
from pinnkit.experts.periodic.mixture import TensorMixture
from pinnkit.experts.periodic.modes import Modes, cut, initial_modes
from pinnkit.experts.periodic.slab import SlabSolver, radau
from pinnkit.experts.periodic.walk import PeriodicSlab
from pinnkit.methods.modal import Modal
from pinnkit.store.codec import Decoder, Encoder

pytestmark = pytest.mark.usefixtures("x64")
KS_FILE = Path(__file__).parents[3] / "shared/data/kuramoto_sivashinsky/ks.mat"
t, x, y = coordinates("t x y")
u, v, w = field("u", t, x), field("v", t, x), field("w", t, x, y)
TURN = 2 * pi


def evolution(rate, initial, end=1, lo=0, hi=TURN, more=()):
    """u_t = rate, periodic, or a second-order equation with its velocity in `more`."""
    order = 2 if more else 1
    box = Box(t=(0, end), x=(lo, hi), time="t")
    conditions = (Equation(Eq(u.diff(t, order), rate)), Initial(u, initial), *more, Periodic(x))
    return Problem("evolution", box, conditions)


def solve(problem, tolerance=1e-9, interrupted=lambda: False, report=lambda *_: None):
    system = compile_problem(problem)
    assert suits(system) is None
    lines = {r.name: linearise(r) for r in system.residuals}
    return system, solve_periodic(system, lines, tolerance, interrupted, report)


def error(system, march, exact):
    points = system.domain.interior.sample(1000, 1)
    found = march.mixture(system).on_host(points)[:, 0]
    expected = exact(**dict(zip(system.axes, points.T, strict=True)))
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def check(problem, exact, bound, tolerance=1e-9):
    """The march reaches the end, and is as close to the exact solution as it says."""
    system, found = solve(problem, tolerance)
    assert found.stopped == "" and found.coarse is not None
    assert error(system, found.fine, exact) < bound
    assert found.fine.held < 10 * tolerance
    return system, found


def test_fast_advection():
    """exp(sin(x - 50 t)): linear, so one pass per slab."""
    problem = evolution(-50 * u.diff(x), exp(sin(x)))
    _, found = check(problem, lambda t, x: np.exp(np.sin(x - 50 * t)), 1e-11)
    assert {s.iterations for s in found.fine.slabs} == {1}


def test_transport_with_a_speed_that_varies_in_time():
    problem = evolution(-5 * cos(3 * t) * u.diff(x), exp(sin(x)))
    check(problem, lambda t, x: np.exp(np.sin(x - 5 * np.sin(3 * t) / 3)), 1e-10)


def test_wave_equation_from_rest():
    start = exp(sin(pi * x))
    problem = evolution(4 * u.diff(x, 2), start, lo=0, hi=2, more=(Initial(u.diff(t), 0),))

    def exact(t, x):
        return sum(np.exp(np.sin(np.pi * (x + c * t))) for c in (-2, 2)) / 2

    check(problem, exact, 1e-11)


def test_manufactured_second_order_nonlinear():
    """Sine-Gordon with a source; time is the second axis."""
    wave = cos(x) * cos(t)
    source = wave.diff(t, 2) - wave.diff(x, 2) + sin(wave)
    problem = Problem(
        "sine-gordon",
        Box(x=(0, TURN), t=(0, 2), time="t"),
        (
            Equation(Eq(u.diff(t, 2), u.diff(x, 2) - sin(u) + source)),
            Initial(u, cos(x)),
            Initial(u.diff(t), 0),
            Periodic(x),
        ),
    )
    check(problem, lambda x, t: np.cos(x) * np.cos(t), 1e-11)


def test_plane_wave_of_ginzburg_and_landau():
    """A_t = A + (1 + i/2) A_xx - (1 - 6i/5) |A|^2 A: coupled linear parts; A ~ exp(ix/2 - iwt)."""
    b, c, k = Rational(1, 2), Rational(-6, 5), Rational(1, 2)
    size, speed = (1 - k**2) ** Rational(1, 2), b * k**2 + c * (1 - k**2)
    square = u**2 + v**2
    problem = Problem(
        "ginzburg-landau",
        Box(t=(0, 4), x=(0, 4 * pi), time="t"),
        (
            Equation(Eq(u.diff(t), u + u.diff(x, 2) - b * v.diff(x, 2) - square * (u - c * v))),
            Equation(Eq(v.diff(t), v + v.diff(x, 2) + b * u.diff(x, 2) - square * (v + c * u))),
            Initial(u, size * cos(k * x)),
            Initial(v, size * sin(k * x)),
            Periodic(x),
        ),
    )
    check(problem, lambda t, x: float(size) * np.cos(x / 2 - float(speed) * t), 1e-11)


def test_two_space_dimensions():
    def rate(f):
        return laplacian(f, x, y) / 10 + f - f**3

    exact = exp(-t / 5) * sin(x) * cos(2 * y)
    problem = Problem(
        "reaction",
        Box(t=(0, 1), x=(0, TURN), y=(0, TURN), time="t"),
        (
            Equation(Eq(w.diff(t), rate(w) + exact.diff(t) - rate(exact))),
            Initial(w, exact.subs(t, 0)),
            Periodic(x),
            Periodic(y),
        ),
    )
    check(problem, lambda t, x, y: np.exp(-t / 5) * np.sin(x) * np.cos(2 * y), 1e-11)


KDV = -6 * u * u.diff(x) - u.diff(x, 3)


@functools.cache
def korteweg():
    return solve(evolution(KDV, cos(x) + sin(2 * x) / 2))


def test_korteweg_de_vries_conserves():
    """Mass and momentum at all slab ends, int u and int u^2."""
    _, found = korteweg()
    ends = [s.modes.sum(axis=0)[0] for s in found.fine.slabs]
    mass = [m[0].real for m in ends]
    momentum = [abs(m[0]) ** 2 + 2 * (np.abs(m[1:]) ** 2).sum() for m in ends]
    np.testing.assert_allclose(mass, 0.0, atol=1e-12)
    np.testing.assert_allclose(momentum, 0.625, rtol=1e-9)


def test_korteweg_de_vries_agrees_with_exponential_time_differencing():
    system, found = korteweg()
    modal = Modal(system, {}, {"x": 192})
    expected = modal.solve(np.linspace(0, 1, 3), 8000)[-1, 0]
    nodes = modal.grid[0].nodes
    points = np.stack([np.ones_like(nodes), nodes], axis=1)
    fine = found.fine.mixture(system).on_host(points)[:, 0]
    np.testing.assert_allclose(fine, expected, atol=1e-8)


def test_the_two_resolutions_estimate_the_error():
    system, found = solve(evolution(-50 * u.diff(x), exp(sin(x))), 1e-6)
    points = system.domain.interior.sample(1000, 1)
    exact = np.exp(np.sin(points[:, 1] - 50 * points[:, 0]))
    fine, coarse = (
        m.mixture(system).on_host(points)[:, 0] for m in (found.fine, found.coarse) if m
    )
    assert np.abs(fine - exact).max() < np.abs(fine - coarse).max() < 1e-4


def one_slab(problem, points, p, length=1.0):
    """Exactly one slab with given points and degree."""
    system = compile_problem(problem)
    modes = Modes(system, (points,))
    state = cut(initial_modes(system), modes.kept)
    guess = np.repeat(state[None], p, axis=0)
    return system, modes, SlabSolver(modes, p)(state, guess, 0.0, length, 1e-14)


def test_convergence_in_time_is_exponential():
    """exp(4 i t) is entire: the decades gained per degree keep growing."""
    problem = evolution(-4 * u.diff(x), sin(x))
    degrees = np.array([4, 6, 8, 10])
    errors = []
    for p in degrees:
        _, _, solved = one_slab(problem, 16, int(p))
        nodes = np.linspace(-1, 1, 201)
        found = np.polynomial.chebyshev.chebval(nodes, solved.coefficients[:, 0, 1])
        errors.append(np.abs(found - np.exp(-2j * (nodes + 1)) / 2j).max())
    rates = -np.diff(np.log10(errors)) / 2
    assert (np.diff(rates) > 0).all() and rates[0] > 0.5 and errors[-1] < 1e-6


def test_convergence_in_space_is_exponential():
    """1 / (2 - cos x) has coefficients (2 - sqrt 3)^k."""
    problem = evolution(-u.diff(x), 1 / (2 - cos(x)))
    kept, errors = [], []
    nodes = 2 * np.pi * np.arange(200) / 200
    for points in (24, 32, 48, 64):
        _, modes, solved = one_slab(problem, points, 20)
        full = cut(np.asarray(solved.end), (99,))
        found = np.fft.irfft(full[0], 200, norm="forward")
        errors.append(np.abs(found - 1 / (2 - np.cos(nodes - 1))).max())
        kept.append(modes.kept[0])
    rate = np.polyfit(kept, np.log(errors), 1)[0]
    assert rate == pytest.approx(np.log(2 - np.sqrt(3)), rel=0.03)


def test_radau_nodes_are_of_order_two_p_less_one():
    nodes, matrix = radau(5)
    for power in range(9):
        assert matrix[-1] @ nodes**power == pytest.approx(1 / (power + 1), rel=1e-13)
    assert abs(matrix[-1] @ nodes**9 - 0.1) > 1e-8


def coarse_slab():
    """A poorly resolved solution as a march of one slab."""
    problem = evolution(u.diff(x, 2) / 10 - u * u.diff(x), sin(x))
    system, modes, solved = one_slab(problem, 24, 5)
    coefficients = np.asarray(solved.coefficients)
    lines = {r.name: linearise(r) for r in system.residuals}
    held = HeldOut(system, lines)(modes, coefficients, 0.0, 1.0, True)
    slab = PeriodicSlab(0.0, 1.0, coefficients, (24,), 1, 0.0, 0.0, held)
    return system, lines, PeriodicMarch((slab,), "", 5, 1e-3, 0.0)


@pytest.mark.accuracy
def test_mixture_and_residual_agree_with_the_generic_experts():
    """The same coefficients in a tensor basis, judged by the rows of least squares."""
    system, lines, march = coarse_slab()
    mixture = march.mixture(system)
    lower, upper = mixture.lower[None], mixture.upper[None]
    generic = Mixture(mixture.basis, lower, upper, mixture.coefficients, system.fields)
    points = system.domain.interior.sample(64, 0)
    np.testing.assert_allclose(mixture.on_host(points), generic.on_host(points), atol=1e-14)
    for orders in ((1, 0), (1, 3)):
        found, expected = mixture.derivative(points, orders), generic.derivative(points, orders)
        np.testing.assert_allclose(found, expected, atol=1e-11)
    rows = held_out(system, mixture.basis, Boxes(lower, upper), lines)
    size = np.sqrt(np.mean(rows.values(mixture.coefficients) ** 2))
    generic_held = rows.linear(mixture.coefficients).norm / size
    assert march.held == pytest.approx(generic_held, rel=0.5) and march.held > 1e-5


def test_derivatives_at_the_ends_and_files():
    system, _, march = coarse_slab()
    mixture = march.mixture(system)
    ends = np.array([[0.0, 1.0], [1.0, 2.0]])
    slope = jax.vmap(jax.jacfwd(lambda z: mixture(z[None])[0, 0]))(jax.numpy.asarray(ends))
    np.testing.assert_allclose(slope[:, 0], mixture.derivative(ends, (1, 0))[:, 0], atol=1e-12)
    encoder = Encoder((TensorMixture,))
    again = Decoder((TensorMixture,), encoder.arrays)(encoder(mixture))
    np.testing.assert_array_equal(again.on_host(ends), mixture.on_host(ends))
    far = mixture.on_host(np.array([[9.0, 2.0]]))
    np.testing.assert_allclose(far, mixture.on_host(ends[1:]), atol=1e-4)


@pytest.mark.accuracy
def test_a_shock_is_never_called_resolved():
    system, found = solve(evolution(-u * u.diff(x), sin(x), end=2), 1e-6)
    assert "not resolved" in found.stopped and found.coarse is None
    reached = found.fine.slabs[-1].end
    assert 0.9 < reached < 1.0
    assert all(np.isfinite(s.modes).all() for s in found.fine.slabs)
    assert np.isfinite(found.fine.mixture(system).on_host(np.array([[2.0, 1.0]]))).all()


def test_a_jump_in_the_data_shows_in_the_residual():
    _, found = solve(evolution(-u.diff(x), Piecewise((1, x > 3), (0, True)), end=0.01), 1e-4)
    assert found.fine.held > 1e-3 and found.fine.space_tail > 1e-3


def test_values_that_are_not_finite_are_refused():
    _, found = solve(evolution(-u.diff(x), 1 / sin(x) ** 2))
    assert "not finite" in found.stopped
    assert found.fine.held == np.inf and np.isfinite(found.fine.slabs[0].modes).all()


def test_interruption_keeps_the_slabs():
    told = []
    _, found = solve(
        evolution(-50 * u.diff(x), sin(x)),
        interrupted=lambda: len(told) >= 3,
        report=lambda *what: told.append(what),
    )
    assert "interrupted" in found.stopped and len(found.fine.slabs) == 3
    assert told[-1][0] == 3 and told[-1][1] == found.fine.slabs[-1].end


def test_reasons_to_refuse():
    def reason(*conditions, box=None):
        box = box or Box(t=(0, 1), x=(0, 1), time="t")
        return suits(compile_problem(Problem("refused", box, conditions)))

    heat = Equation(Eq(u.diff(t), u.diff(x, 2)))
    start = Initial(u, sin(TURN * x))
    assert "periodic" in reason(heat, start, Dirichlet(u, 0))
    assert "integral" in reason(heat, start, Periodic(x), Integral(u, 0))
    diffusion = Equation(Eq(u.diff(t), ((2 + u) * u.diff(x)).diff(x)))
    assert "u_xx" in reason(diffusion, start, Periodic(x))
    varying = Equation(Eq(u.diff(t), (2 + sin(TURN * x)) * u.diff(x, 2)))
    assert "varies" in reason(varying, start, Periodic(x))
    wave = Equation(Eq(u.diff(t, 2), u.diff(x, 2)))
    assert reason(heat, start, Periodic(x)) is None
    assert reason(wave, start, Initial(u.diff(t), 0), Periodic(x)) is None


@pytest.mark.reference_data
@pytest.mark.skipif(not KS_FILE.exists(), reason="reference data are not here")
def test_regular_kuramoto_sivashinsky_against_published_data():
    """The grid of the file holds both ends, so that its spacing is 2/511."""
    rate = -5 * u * u.diff(x) - u.diff(x, 2) / 2 - u.diff(x, 4) / 200
    system, found = solve(evolution(rate, -sin(pi * x), lo=-1, hi=1))
    data = scipy.io.loadmat(KS_FILE)
    times, nodes = data["t"].ravel()[::25], np.linspace(-1, 1, 512)
    points = np.stack([np.repeat(times, 512), np.tile(nodes, len(times))], axis=1)
    fine = found.fine.mixture(system).on_host(points)[:, 0].reshape(-1, 512)
    expected = data["usol"][::25]
    assert np.linalg.norm(fine - expected) / np.linalg.norm(expected) < 1e-9
