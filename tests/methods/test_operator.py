"""Operators on tiny families: data against exact solutions, learning, boundaries, determinism."""

import jax
import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq
from sympy import Eq, cos, exp, pi, sin

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Exponential,
    GaussianField,
    Initial,
    Periodic,
    Problem,
    SquaredExponential,
    Threshold,
    UniformConstant,
    coordinates,
    div,
    field,
    grad,
    input_function,
)
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Run
from pinnkit.methods.compact import solve_compact
from pinnkit.methods.elliptic_family import EllipticFamily
from pinnkit.methods.evolution_family import EvolutionFamily
from pinnkit.methods.finite_volume import Side, solve_divergence_form
from pinnkit.methods.neural_operator import Operator
from pinnkit.nn.deeponet import Branch, DeepONet
from pinnkit.nn.mgno import MgNO
from pinnkit.nn.mlp import MLP
from pinnkit.nn.transformer import Transformer
from pinnkit.solution import Solution

pytestmark = pytest.mark.usefixtures("x64")

t, x, y = coordinates("t x y")
SMALL = DeepONet(8, Branch(width=32, depth=1))


def darcy(law=None):
    u = field("u", x, y)
    law = law or Threshold(GaussianField(3, 3, 2, boundary="neumann", zero_mean=True, modes=8))
    a = input_function("a", x, y, law=law)
    flow = Equation(Eq(-div([a * s for s in grad(u)], x, y), 1))
    return Problem("darcy", Box(x=(0, 1), y=(0, 1)), (flow, Dirichlet(u, 0)))


def heat(law=None, nu=0.02):
    u = field("u", t, x)
    a = input_function("a", x, law=law or GaussianField(10, 5, 2, zero_mean=True, modes=6))
    equation = Equation(Eq(u.diff(t), nu * u.diff(x, 2)))
    box = Box(t=(0, 1), x=(0, 1), time="t")
    return Problem("heat", box, (equation, Initial(u, a), Periodic(x)))


def run(problem, method, key=0, **options):
    return method.run(compile_problem(problem), Run(jax.random.key(key), **options))


def test_finite_volumes_converge_with_order_two():
    a = 1 + sin(3 * x) * cos(2 * y) / 2
    u = exp(x) * sin(2 * y)
    source = -sum((a * u.diff(s)).diff(s) for s in (x, y)) + 2 * u
    errors = []
    for n in (17, 33):
        mesh = np.meshgrid(*[np.linspace(0, 1, n)] * 2, indexing="ij")
        known = [_on(mesh, e) for e in (a, source, u)]
        found = solve_divergence_form(*known, [1 / (n - 1)] * 2, reaction=np.full((n, n), 2.0))
        errors.append(np.abs(found - known[2]).max())
    assert 1.8 < np.log2(errors[0] / errors[1]) < 2.2


@pytest.mark.parametrize("compact", [False, True])
def test_orders_with_slopes_given_on_two_sides(compact):
    """Second order for finite volumes with a Robin condition, fourth for compact differences."""
    u, r = exp(x) * sin(2 * y), -30 * (1 + cos(pi * x) * cos(pi * y) / 5)
    a = sp.Integer(2) if compact else 1 + x * y
    ratio = 0.0 if compact else 3.0
    source = -sum((a * u.diff(s)).diff(s) for s in (x, y)) + r * u
    errors = []
    for n in (17, 33):
        mesh = np.meshgrid(*[np.linspace(0, 1, n)] * 2, indexing="ij")
        known = [_on(mesh, e) for e in (a, source, u)]
        slope, lower = _on(mesh, u.diff(y) + ratio * u)[:, -1], _on(mesh, -u.diff(x))[0]
        sides = (Side(1, 1, slope, ratio), Side(0, 0, lower))
        edge, h = known[2].copy(), [1 / (n - 1)] * 2
        if compact:
            found = solve_compact(2.0, known[1], edge, h, _on(mesh, r), sides)
        else:
            found = solve_divergence_form(*known[:2], edge, h, _on(mesh, r), sides)
        errors.append(np.abs(found - known[2]).max())
    assert abs(np.log2(errors[0] / errors[1]) - (4 if compact else 2)) < 0.4


def _on(mesh, expression):
    from sympy import lambdify

    return lambdify((x, y), expression)(*mesh) + 0 * mesh[0]


@pytest.mark.parametrize("reaction", [0.0, -30.0])
def test_three_axes_and_indefinite_systems(reaction):
    n = 9
    mesh = np.meshgrid(*[np.linspace(0, 1, n)] * (3 if reaction == 0 else 2), indexing="ij")
    u = sum(s**2 for s in mesh)
    ones = np.ones_like(u)
    source = -2.0 * len(mesh) * ones + reaction * u
    found = solve_divergence_form(ones, source, u, [1 / (n - 1)] * len(mesh), reaction * ones)
    assert np.allclose(found, u, atol=1e-10)


def test_coefficient_scales_the_darcy_solution():
    """A constant a divides the solution of -lap u = 1, which peaks at 0.0736713."""
    family = EllipticFamily(compile_problem(darcy(UniformConstant(1, 5))), 32, 0.3)
    data = family.solve(range(3), 0)
    peaks = data.outputs[:, 0].max(axis=(1, 2)) * data.inputs[:, 0, 0]
    assert np.allclose(peaks, 0.0736713, rtol=2e-3)


def test_heat_family_against_decaying_fourier_modes():
    nu = 0.02
    family = EvolutionFamily(compile_problem(heat(nu=nu)), 32, 8, 0.3)
    data = family.solve(range(5), 1)
    k = 2 * np.pi * np.fft.rfftfreq(32, 1 / 32)
    decay = np.exp(-nu * np.outer(np.linspace(0, 1, 9), k**2))
    expected = np.fft.irfft(np.fft.rfft(data.inputs)[:, None] * decay, 32)
    assert np.allclose(data.outputs[:, 0], expected, atol=1e-9)


def test_walls_reflect_and_a_nonlinear_source_is_solved():
    u = field("u", x)
    equation = Equation(Eq(u.diff(x, 2), exp(u)))
    bratu = Problem("bratu", Box(x=(0, 1)), (equation, Dirichlet(u, 0)))
    family = EllipticFamily(compile_problem(bratu), 64, 1e-9)
    found = family.solve(range(1), 0).outputs[0, 0]
    c = brentq(lambda c: 2 * c**2 - np.cos(c / 2) ** 2, 0.5, 0.9)
    exact = np.log(2 * c**2) - 2 * np.log(np.cos(c * (np.linspace(0, 1, 65) - 0.5)))
    assert np.allclose(found, exact, atol=1e-8)


@pytest.mark.parametrize(
    "architecture",
    [
        SMALL,
        pytest.param(
            DeepONet(8, Branch(width=32, depth=1), MLP(32, 2)), marks=pytest.mark.accuracy
        ),
        pytest.param(MgNO(4, 1, 3), marks=pytest.mark.accuracy),
        pytest.param(Transformer(16, 2, 2), marks=pytest.mark.accuracy),
    ],
)
def test_learning_beats_the_mean_by_a_wide_margin(architecture):
    """Log-normal coefficients, with which the mean of the training solutions is far off."""
    law = Exponential(GaussianField(2, 3, 2, boundary="neumann", modes=4))
    method = Operator(architecture, samples=200, resolution=10, steps=250, learning_rate=5e-3)
    data = method.family(compile_problem(darcy(law))).solve(range(60), 5).outputs
    mean = data[:40].mean(axis=0)
    size = np.linalg.norm(data[40:], axis=(2, 3))
    baseline = np.mean(np.linalg.norm(data[40:] - mean, axis=(2, 3)) / size)
    solution = run(darcy(law), method)
    assert solution.error_estimate["u"] < baseline / 2.5
    edge = solution(x=np.array([0.0, 1.0, 0.3]), y=np.array([0.4, 0.7, 1.0]))["u"]
    assert np.abs(edge).max() < 1e-12


def test_the_solution_takes_input_functions(tmp_path):
    method = Operator(SMALL, samples=100, resolution=16, frames=8, steps=300, learning_rate=5e-3)
    solution = run(heat(), method)
    xs, ts = np.linspace(0, 1, 7)[None], np.array([[0.0], [0.5]])
    state = lambda x: np.sin(2 * np.pi * x)  # noqa: E731
    found = solution(a=state, t=ts, x=xs)["u"]
    exact = np.exp(-0.02 * 4 * np.pi**2 * ts) * np.sin(2 * np.pi * xs)
    assert np.linalg.norm(found - exact) < 0.1 * np.linalg.norm(exact)
    fine = state(np.arange(64) / 64)
    assert np.allclose(solution(a=fine, t=ts, x=xs)["u"], found, atol=2e-3)
    again = Solution.load(solution.save(tmp_path / "run.h5"))
    assert np.array_equal(again(a=state, t=ts, x=xs)["u"], found)


@pytest.mark.accuracy
def test_an_ordinary_problem_is_learned_around_what_it_declares():
    u = field("u", t, x)
    conditions = (
        Equation(Eq(u.diff(t) + u * u.diff(x), 0.05 * u.diff(x, 2))),
        Initial(u, sin(pi * x)),
        Dirichlet(u, 0),
    )
    problem = Problem("front", Box(t=(0, 1), x=(0, 1), time="t"), conditions)
    method = Operator(SMALL, samples=100, resolution=16, frames=8, steps=300, learning_rate=5e-3)
    solution = run(problem, method)
    start = solution(t=0.0, x=np.linspace(0, 1, 5))["u"]
    assert np.allclose(start, np.sin(np.pi * np.linspace(0, 1, 5)), atol=0.05)
    assert np.abs(start[[0, -1]]).max() < 1e-12
    assert solution.error_estimate["u"] < 0.1


@pytest.mark.accuracy
def test_equal_keys_give_equal_networks():
    method = Operator(SMALL, samples=20, resolution=8, steps=20)
    first, second = (run(darcy(), method, key=1) for _ in range(2))
    assert first(x=0.3, y=0.4) == second(x=0.3, y=0.4)


def test_reasons_why_not():
    u, a = field("u", t, x), input_function("a", x)
    box = Box(t=(0, 1), x=(0, 1), time="t")
    moving = Equation(Eq(u.diff(t), u.diff(x, 2)))

    def reason(*conditions):
        return Operator().supports(compile_problem(Problem("p", box, conditions)))

    assert "no law" in (reason(moving, Initial(u, a), Periodic(x)) or "")
    law = input_function("a", x, law=GaussianField())
    assert "contradict" in (reason(moving, Initial(u, law), Dirichlet(u, 0)) or "")
    rough = input_function("b", x, law=SquaredExponential())
    assert "boundary 'free'" in (reason(moving, Initial(u, rough), Periodic(x)) or "")
    assert "must depend on time" in (reason(moving, Initial(u, 0), Dirichlet(u, law)) or "")
    forced = Equation(Eq(u.diff(t), u.diff(x, 2) + law))
    assert reason(forced, Initial(u, 0), Periodic(x)) is None
    v = field("v", x, y)
    mixed = Equation(Eq(v.diff(x, 2) + 2 * v.diff(y, 2), 1))
    plane = Problem("q", Box(x=(0, 1), y=(0, 1)), (mixed, Dirichlet(v, 0)))
    assert "-div(a grad u)" in (Operator().supports(compile_problem(plane)) or "")
    assert Operator().supports(compile_problem(darcy())) is None


def test_errors():
    with pytest.raises(OptionError, match="at least 10"):
        Operator(samples=3)
    with pytest.raises(OptionError, match="above zero"):
        Operator(spread=0.0)
    with pytest.raises(MethodError, match="must be positive"):
        run(darcy(GaussianField(3, 3, 2)), Operator(SMALL, samples=20, resolution=8, steps=5))
    solution = run(darcy(), Operator(SMALL, samples=20, resolution=8, steps=5))
    with pytest.raises(OptionError, match="takes the input function 'a'"):
        solution.evaluator.with_inputs({"b": np.ones((9, 9))})
    with pytest.raises(OptionError, match="one axis for each"):
        solution.evaluator.with_inputs({"a": np.ones(9)})
