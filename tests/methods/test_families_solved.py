"""Families of problem files against exact solutions and independent solvers."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.sparse import diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve
from sympy import Eq

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError
from pinnkit.methods.elliptic_family import EllipticFamily
from pinnkit.methods.evolution_family import EvolutionFamily

pytestmark = pytest.mark.usefixtures("x64")

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"


def family(name, resolution, frames, *, after=None, stride=None, steps=None, **parameters):
    system = compile_problem(pk.load(PROBLEMS / f"{name}_family.py", **parameters))
    return EvolutionFamily(system, resolution, frames, 0.1, after, stride, steps)


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def drawn(made, sample, seed, nodes):
    """The input function of a sample as a spline through many values."""
    return CubicSpline(nodes, made.inputs.draw([nodes], [sample], seed)[0])


def periodic_modes(made, sample, seed, n):
    lo, hi = made.inputs.bounds[0]
    nodes = lo + (hi - lo) * np.arange(n) / n
    return np.fft.rfft(made.inputs.draw([nodes], [sample], seed)[0])


def integrated(rate, modes, times, n, every):
    """Fourier modes integrated by an adaptive implicit solver, values at every so many nodes."""
    solution = solve_ivp(
        lambda t, v: rate(v.view(complex)).view(float),
        (times[0], times[-1]),
        modes.view(float),
        t_eval=times,
        rtol=1e-9,
        atol=1e-9 * np.abs(modes).max(),
        method="LSODA",
    )
    found = solution.y.T.copy().view(complex)
    return np.fft.irfft(found, n, axis=1)[:, ::every]


def test_antiderivatives_are_those_of_splines():
    made = family("antiderivative", 50, 8)
    data = made.solve(range(2, 4), 5)
    nodes = np.linspace(0, 1, 2001)
    for i, found in zip((2, 3), data.outputs[:, 0], strict=True):
        expected = drawn(made, i, 5, nodes).antiderivative()(made.grid[0].nodes)
        assert relative(found, expected) < 1e-7
    assert data.errors.max() < 1e-5 and made.boundary == ("free",)


def test_pendulum_against_an_adaptive_solver():
    made = family("pendulum", 40, 8, end=3, k=2)
    data = made.solve(range(2), 1)
    times, nodes = made.grid[0].nodes, np.linspace(0, 3, 3001)
    for i in range(2):
        force = drawn(made, i, 1, nodes)
        expected = solve_ivp(
            lambda t, s, force=force: (s[1], force(t) - 2 * np.sin(s[0])),
            (0, 3),
            (0, 0),
            t_eval=times,
            rtol=1e-10,
            atol=1e-12,
        ).y
        error = relative(data.outputs[i], expected)
        assert error < 1e-5 and error < data.errors[i]


def test_diffusion_and_reaction_against_finite_differences():
    made = family("diffusion_reaction", 20, 10)
    data = made.solve(range(2), 0)

    def by_differences(source, n):
        x = np.linspace(0, 1, n + 1)
        u = source(x)

        def rate(t, s):
            del t
            full = np.concatenate([[0], s, [0]])
            second = (full[2:] - 2 * full[1:-1] + full[:-2]) * n**2
            return 0.01 * second + 0.01 * s**2 + u[1:-1]

        found = solve_ivp(
            rate, (0, 1), np.zeros(n - 1), t_eval=made.grid[0].nodes, rtol=1e-9, method="LSODA"
        )
        return np.pad(found.y.T, ((0, 0), (1, 1)))[:, :: n // 20]

    for i in range(2):
        source = drawn(made, i, 0, np.linspace(0, 1, 1001))
        coarse, fine = by_differences(source, 80), by_differences(source, 160)
        assert relative(data.outputs[i, 0], (4 * fine - coarse) / 3) < 2e-5
    assert made.boundary == ("dirichlet",) and made.walls == (False, True)


def test_advection_with_random_speed_follows_the_characteristics():
    made = family("advection", 20, 10, stride=2)
    data = made.solve(range(3), 1)
    nodes, times, x = np.linspace(0, 1, 4001), made.grid[0].nodes, made.grid[1].nodes
    for i in range(3):
        arrival = CubicSpline(nodes, 1 / drawn(made, i, 1, nodes)(nodes)).antiderivative()
        origin = CubicSpline(arrival(nodes), nodes)
        since = times[:, None] - arrival(x)
        old = np.sin(np.pi * origin(np.maximum(-since, 0)))
        expected = np.where(since > 0, np.sin(np.pi / 2 * since), old)
        error = relative(data.outputs[i, 0], expected)
        assert error < 5e-3 and error < data.errors[i]
    assert made.boundary == ("free",)


def test_advection_of_random_states_shifts_them():
    made = family("advection_periodic", 32, 8)
    data = made.solve(range(2), 0)
    times, x = made.grid[0].nodes, made.grid[1].nodes
    for i in range(2):
        for t, found in zip(times, data.outputs[i, 0], strict=True):
            assert np.allclose(found, made.inputs.draw([(x - t) % 1], [i], 0)[0], atol=1e-6)


@pytest.mark.parametrize("parameters", [{"nu": 0.1}, {"nu": 0.02, "scale": 625, "alpha": 4}])
def test_burgers_by_the_formula_of_cole_and_hopf(parameters):
    made = family("burgers", 32, 4, **parameters)
    data = made.solve(range(2), 3)
    nu, n = parameters["nu"], 4096
    x = np.arange(n) / n
    k = 2j * np.pi * np.fft.rfftfreq(n, 1 / n)
    for i in range(2):
        a = np.fft.rfft(made.inputs.draw([x], [i], 3)[0])
        primitive = np.fft.irfft(np.where(k == 0, 0, a / np.where(k == 0, 1, k)), n)
        phi = np.fft.rfft(np.exp(-primitive / (2 * nu)))
        for t, found in zip(made.grid[0].nodes, data.outputs[i, 0], strict=True):
            decayed = phi * np.exp(nu * np.real(k**2) * t)
            expected = -2 * nu * np.fft.irfft(k * decayed, n) / np.fft.irfft(decayed, n)
            assert relative(found, expected[:: n // 32]) < 2e-5
    assert data.errors.max() < 1e-3 and made.boundary == ("periodic",)


@pytest.mark.parametrize(
    ("name", "powers", "parameters"),
    [
        ("kdv", {3: -1.0}, {"end": 1}),
        ("ks", {2: -1.0, 4: -1.0}, {"end": 4, "length": 32}),
    ],
)
def test_waves_against_an_implicit_solver(name, powers, parameters):
    made, n = family(name, 64, 4, **parameters), 192
    data = made.solve(range(2), 0)
    length = made.inputs.bounds[0][1]
    k = 2j * np.pi * np.fft.rfftfreq(n, length / n)
    linear = sum(c * k**p for p, c in powers.items())

    def rate(v):
        square = np.fft.irfft(v, n) ** 2
        return linear * v - k / 2 * np.fft.rfft(square) * (np.arange(n // 2 + 1) < n / 3)

    for i in range(2):
        modes = periodic_modes(made, i, 0, n)
        expected = integrated(rate, modes, made.grid[0].nodes, n, 3)
        error = relative(data.outputs[i, 0], expected)
        assert error < 1e-4


def test_frames_that_begin_later_continue_the_same_solutions():
    whole = family("ks", 64, 8, end=8, length=32, steps=16, stride=1).solve(range(2), 0)
    late = family("ks", 64, 4, end=8, length=32, after=4, steps=16, stride=1).solve(range(2), 0)
    assert np.allclose(late.outputs, whole.outputs[:, :, 4:], atol=1e-10)
    assert np.allclose(late.inputs, whole.outputs[:, 0, 4], atol=1e-10)


def test_stirred_flow_against_runge_kutta_in_modes():
    made, n = family("navier_stokes", 32, 2, end=0.5, nu=0.01), 64
    data = made.solve(range(1, 2), 0)
    x = np.arange(n) / n
    k = 2j * np.pi * np.fft.fftfreq(n, 1 / n)[:, None], 2j * np.pi * np.fft.rfftfreq(n, 1 / n)
    lap = np.real(k[0] ** 2 + k[1] ** 2)
    keep = (np.abs(k[0]) < 2 * np.pi * n / 3) & (np.abs(k[1]) < 2 * np.pi * n / 3)
    phase = 2 * np.pi * (x[:, None] + x)
    force = np.fft.rfft2(0.1 * (np.sin(phase) + np.cos(phase)))

    def rate(w):
        psi = -w / np.where(lap == 0, 1, lap) * (lap != 0)
        back = lambda v: np.fft.irfft2(v, (n, n))  # noqa: E731
        carried = back(k[1] * psi) * back(k[0] * w) - back(k[0] * psi) * back(k[1] * w)
        return 0.01 * lap * w + force - np.fft.rfft2(carried) * keep

    w, h = np.fft.rfft2(made.inputs.draw([x, x], [1], 0)[0]) * keep, 0.5 / 400
    for _ in range(400):
        a = rate(w)
        b = rate(w + h / 2 * a)
        c = rate(w + h / 2 * b)
        w = w + h / 6 * (a + 2 * b + 2 * c + rate(w + h * c))
    expected = np.fft.irfft2(w, (n, n))[::2, ::2]
    error = relative(data.outputs[0, made.system.fields.index("w"), -1], expected)
    assert error < 1e-4 and error < data.errors[0]
    assert data.outputs.shape == (1, 2, 3, 32, 32) and made.boundary == ("periodic",) * 2


def test_waves_through_a_medium_against_five_point_differences():
    """At a lower frequency, where second order and Richardson's extrapolation are an oracle."""
    problem = pk.load(PROBLEMS / "helmholtz_family.py", omega=120)
    made = EllipticFamily(compile_problem(problem), 40, 0.1)
    data = made.solve(range(2), 6)

    def by_differences(sample, n):
        x = np.linspace(0, 1, n + 1)
        speed = 20 + np.tanh(made.inputs.draw([x, x], [sample], 6)[0])
        ones = np.full(n, 1.0 * n**2)
        second = diags_array([-ones, np.full(n + 1, 2.0 * n**2), -ones], offsets=[-1, 0, 1]).tolil()
        second[0, 1] = second[n, n - 1] = -2 * n**2
        matrix = kron(second, eye_array(n + 1)) + kron(eye_array(n + 1), second)
        matrix = matrix - diags_array((120 / speed.ravel()) ** 2)
        part = np.where(np.abs(x - 0.5) < 0.15 - 1e-9, 1.0, 0.0)
        part[np.isclose(np.abs(x - 0.5), 0.15)] = 0.5
        right = np.zeros((n + 1, n + 1))
        right[:, -1] = 2 * n * part
        found = spsolve(matrix.tocsc(), right.ravel()).reshape(n + 1, n + 1)
        return found[:: n // 40, :: n // 40]

    for i in range(2):
        coarse, fine = by_differences(i, 80), by_differences(i, 160)
        error = relative(data.outputs[i, 0], (4 * fine - coarse) / 3)
        assert error < 3e-3 and error < data.errors[i]
    assert made.boundary == ("neumann",) * 2 and made.walls == (False,) * 2


def test_samples_depend_on_seed_and_index_only():
    made = family("burgers", 16, 4, nu=0.1)
    whole, part = made.solve(range(5), 2), made.solve(range(3, 5), 2)
    assert np.array_equal(whole.inputs[3:], part.inputs)
    assert np.allclose(whole.outputs[3:], part.outputs, rtol=1e-12, atol=1e-14)
    again = family("burgers", 16, 4, nu=0.1).solve(range(3, 5), 2)
    assert np.array_equal(again.outputs, part.outputs)
    assert not np.allclose(made.solve(range(1), 3).inputs, whole.inputs[0])


def test_samples_without_solution_are_named():
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    a = pk.input_function("a", x, law=pk.UniformConstant(-9, 1.5))
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    grows = pk.Equation(Eq(u.diff(t), u.diff(x, 2) + u**2))
    problem = pk.Problem("blow_up", box, (grows, pk.Initial(u, a), pk.Periodic(x)))
    made = EvolutionFamily(compile_problem(problem), 8, 8, 0.1)
    values = made.inputs.draw([np.zeros(1)], range(40), 4)[:, 0]
    first = int(np.flatnonzero(values > 1)[0])
    with pytest.raises(MethodError, match=rf"sample {first} \(seed 4\).*shorten the time"):
        made.solve(range(40), 4)
