"""Families whose boundary values are the input function, against series and other solvers."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import dstn, idstn
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from sympy import Eq, pi, sin

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.elliptic_family import EllipticFamily
from pinnkit.methods.evolution_family import EvolutionFamily
from pinnkit.methods.grid_residuals import GridResiduals
from pinnkit.methods.neural_operator.physics import declared

pytestmark = pytest.mark.usefixtures("x64")

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
LAW = pk.GaussianField(10, tau=3, alpha=2, boundary="dirichlet")


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def laplace(*conditions, dimensions=2, law=LAW):
    """Laplace's equation; `conditions` take the field, the input function and the coordinates."""
    z = pk.coordinates("x y z"[: 2 * dimensions - 1])
    u = pk.field("u", *z)
    g = pk.input_function("g", *z[1:], law=law)
    names = [str(a) for a in z]
    return pk.Problem(
        "plate",
        domain=pk.Box(**{a: (0, 1) for a in names}),
        conditions=[
            pk.Equation(pk.laplacian(u), name="laplace"),
            *(make(u, g, *z) for make in conditions),
        ],
    )


def decaying(nodes, g, growth):
    """Sine series in all but the first axis: growth(x, k) times the coefficients of g."""
    inner = g[(slice(1, -1),) * g.ndim]
    numbers = np.meshgrid(*(np.arange(1, n + 1) for n in inner.shape), indexing="ij")
    k = np.pi * np.sqrt(sum(m**2 for m in numbers))
    modes = dstn(inner, type=1)
    rows = [idstn(modes * growth(x, k), type=1) for x in nodes]
    return np.pad(np.stack(rows), [(0, 0), *((1, 1) for _ in inner.shape)])


def from_value(x, k):
    """Laplace's equation with value 1 at x = 0, and 0 at 1."""
    return np.exp(-k * x) * np.expm1(-2 * k * (1 - x)) / np.expm1(-2 * k)


def from_slope(x, k):
    """With outward slope -u_x = 1 at x = 0, and 0 at 1."""
    return from_value(x, k) * np.tanh(k) / k


def from_both(x, k):
    """With u - u_x = 1 at x = 0, and 0 at 1."""
    return from_value(x, k) / (1 + k / np.tanh(k))


@pytest.mark.parametrize(
    ("first", "growth", "most"),
    [
        (lambda u, g, *z: pk.Dirichlet(u, g, on="x-"), from_value, 1e-3),
        (lambda u, g, *z: pk.Neumann(u, g, on="x-"), from_slope, 4e-3),
        (lambda u, g, *z: pk.Robin(u, 1, 1, g, on="x-"), from_both, 4e-3),
    ],
)
def test_laplace_with_random_data_on_an_edge(first, growth, most):
    problem = laplace(first, lambda u, g, *z: pk.Dirichlet(u, 0, on=("x+", "y-", "y+")))
    wrong = []
    for resolution in (32, 64):
        made = EllipticFamily(compile_problem(problem), resolution, 0.1)
        found = made.solve(range(2), 3)
        x, fine = made.grid[0].nodes, np.linspace(0, 1, 513)
        thin = slice(None, None, 512 // resolution)
        for a, u in zip(made.inputs.draw([fine], range(2), 3), found.outputs[:, 0], strict=True):
            wrong.append(relative(u, decaying(x, a, growth)[:, thin]))
    assert [axis.name for axis in made.sensors] == ["y"]
    assert made.boundary == ("dirichlet",)
    assert max(wrong[2:]) < most
    assert max(wrong[2:]) < 0.5 * max(wrong[:2])


def test_laplace_with_random_values_on_a_face():
    walls = lambda u, g, *z: pk.Dirichlet(u, 0, on=("x+", "y-", "y+", "z-", "z+"))  # noqa: E731
    problem = laplace(
        lambda u, g, *z: pk.Dirichlet(u, 2 * g, on="x-"),
        walls,
        dimensions=3,
        law=pk.GaussianField(10, tau=3, alpha=3, boundary="dirichlet"),
    )
    made = EllipticFamily(compile_problem(problem), 16, 0.1)
    found = made.solve(range(1), 0)
    assert [axis.name for axis in made.sensors] == ["y", "z"]
    x = made.grid[0].nodes
    expected = decaying(x, 2 * found.inputs[0], from_value)
    np.testing.assert_allclose(found.outputs[0, 0, 0], 2 * found.inputs[0], atol=1e-15)
    assert relative(found.outputs[0, 0], expected) < 2e-2


def rod(condition, law=LAW, equation=None):
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    g = pk.input_function("g", t, law=law)
    heat = Eq(u.diff(t), 0.1 * u.diff(x, 2)) if equation is None else equation(u, g, t, x)
    return pk.Problem(
        "rod",
        domain=pk.Box(t=(0, 1), x=(0, 1), time="t"),
        conditions=[
            pk.Equation(heat, name="heat"),
            pk.Initial(u, 0),
            condition(u, g, t, x),
            pk.Dirichlet(u, 0, on="x+"),
        ],
    )


def by_lines(g, flux, times, every, n=256):
    """u_t = 0.1 u_xx on n intervals by an adaptive solver; g the value or outward slope at 0."""
    h = 1 / n

    def rate(t, inner):
        first = (4 * inner[0] - inner[1] + 2 * h * g(t)) / 3 if flux else g(t)
        u = np.concatenate([[first], inner, [0.0]])
        return 0.1 * np.diff(u, 2) / h**2

    band = {"lband": 2, "uband": 2}
    begin = np.zeros(n - 1)
    found = solve_ivp(rate, (0, 1), begin, "LSODA", times, rtol=1e-8, atol=1e-10, **band)
    inner = found.y.T
    edge = g(times) if not flux else (4 * inner[:, 0] - inner[:, 1] + 2 * h * g(times)) / 3
    return np.column_stack([edge, inner, np.zeros(len(times))])[:, ::every]


@pytest.mark.parametrize("flux", [False, True])
def test_a_rod_with_a_random_end_against_finite_differences(flux):
    kind = pk.Neumann if flux else pk.Dirichlet
    made = EvolutionFamily(
        compile_problem(rod(lambda u, g, *z: kind(u, g, on="x-"))), 32, 32, 0.1, None, None, None
    )
    found = made.solve(range(1), 5)
    assert [axis.name for axis in made.sensors] == ["t"]
    times = np.linspace(0, 1, 513)
    g = CubicSpline(times, made.inputs.draw([times], range(1), 5)[0])
    expected = by_lines(g, flux, made.sensors[0].nodes, 8)
    assert relative(found.outputs[0, 0], expected) < 2e-4
    assert found.errors.max() < 1e-4


def test_a_random_force_of_time_in_a_rod():
    problem = rod(
        lambda u, g, *z: pk.Dirichlet(u, 0, on="x-"),
        pk.GaussianField(10, tau=3, alpha=2, boundary="neumann"),
        lambda u, g, t, x: Eq(u.diff(t), 0.1 * u.diff(x, 2) + g * sin(pi * x)),
    )
    made = EvolutionFamily(compile_problem(problem), 32, 32, 0.1, None, None, None)
    found = made.solve(range(1), 5)
    times = np.linspace(0, 1, 4097)
    g = made.inputs.draw([times], range(1), 5)[0]
    decay = np.exp(0.1 * np.pi**2 * times)
    summed = np.concatenate([[0], np.cumsum((g * decay)[1:] + (g * decay)[:-1]) / 2 / 4096])
    expected = np.outer((summed / decay)[::128], np.sin(np.pi * made.grid[1].nodes))
    assert relative(found.outputs[0, 0], expected) < 1e-4


def test_residuals_of_a_solution_are_small_and_those_of_conditions_zero():
    for name in ("laplace_edge", "heated_rod"):
        problem = pk.load(PROBLEMS / f"{name}_family.py")
        data = pk.dataset(problem, 1, resolution=64, key=2)
        residuals = GridResiduals.of(compile_problem(problem), data.grid, data.sensors)
        found = residuals(jnp.asarray(data.inputs[0]), jnp.asarray(data.outputs[0]))
        assert float(jnp.abs(found["u x-"]).max()) < 1e-12
        wrong = residuals(jnp.asarray(data.inputs[0]) + 1, jnp.asarray(data.outputs[0]))["u x-"]
        assert float(jnp.abs(wrong).min()) > 0.1
        assert float(jnp.ptp(wrong)) < 1e-12


def test_what_is_declared_of_the_edge_is_known_before_any_solution():
    problem = pk.load(PROBLEMS / "laplace_edge_family.py")
    data = pk.dataset(problem, 2, resolution=16, key=2)
    facts = declared(compile_problem(problem), np.asarray(data.inputs[:]), data.grid, data.sensors)
    assert facts.starts == (True,)
    assert facts.ends == ((False, True), (True, True))


@pytest.mark.parametrize("physics", [None, pk.Physics(data=0)])
def test_an_operator_holds_the_values_on_all_edges_for_random_weights(physics):
    problem = pk.load(PROBLEMS / "laplace_edge_family.py")
    method = pk.Operator(
        pk.nn.FNO(4, 4, 1), samples=10, resolution=8, steps=1, batch=2, physics=physics
    )
    solution = pk.solve(problem, method, key=1, quiet=True)
    places = np.linspace(0, 1, 9)
    g = np.sin(np.pi * places)
    x, y = np.meshgrid(places, places, indexing="ij")
    u = solution(g=g, x=x, y=y)["u"]
    np.testing.assert_allclose(u[0], g, atol=1e-6)
    np.testing.assert_allclose(u[-1], 0, atol=1e-6)
    np.testing.assert_allclose(u[1:, [0, -1]], 0, atol=1e-6)
    assert np.abs(u[1:-1, 1:-1]).max() > 1e-3


def test_an_emulator_does_not_take_an_edge_for_an_initial_state():
    problem = pk.load(PROBLEMS / "heated_rod_family.py")
    data = pk.dataset(problem, 12, resolution=8, key=2)
    with pytest.raises((MethodError, OptionError), match="no trajectories"):
        pk.solve(problem, pk.Emulator(pk.nn.FNO(4, 3, 1), data=data), quiet=True)


def second_order():
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    g = pk.input_function("g", t, law=LAW)
    return pk.Problem(
        "string",
        domain=pk.Box(t=(0, 1), x=(0, 1), time="t"),
        conditions=[
            pk.Equation(Eq(u.diff(t, 2), u.diff(x, 2)), name="wave"),
            pk.Initial(u, 0),
            pk.Initial(u.diff(t), 0),
            pk.Dirichlet(u, g, on="x-"),
            pk.Dirichlet(u, 0, on="x+"),
        ],
    )


free = pk.GaussianField(10, tau=3, alpha=2, boundary="neumann")
others = lambda u, g, *z: pk.Dirichlet(u, 0, on=("x+", "y-", "y+"))  # noqa: E731


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (
            laplace(
                lambda u, g, x, y: pk.Dirichlet(u, g, on=("x-", "y-")),
                lambda u, g, x, y: pk.Dirichlet(u, 0, on=("x+", "y+")),
            ),
            "sides along x and on sides along y",
        ),
        (laplace(lambda u, g, x, y: pk.Dirichlet(u, g.diff(y), on="x-"), others), "derivative"),
        (laplace(lambda u, g, x, y: pk.Robin(u, g, 1, 0, on="x-"), others), "varies"),
        (rod(lambda u, g, t, x: pk.Dirichlet(u, g, on="x-"), free), "multiply g with"),
        (second_order(), "second time derivative"),
    ],
    ids=["two axes", "derivative", "coefficient", "contradiction", "second order"],
)
def test_boundary_values_that_no_generator_knows(problem, words):
    with pytest.raises((MethodError, OptionError), match=words):
        pk.dataset(problem, 1, resolution=8)
