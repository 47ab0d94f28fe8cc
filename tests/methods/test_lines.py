"""The method of lines against closed forms and independent integrators."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io
from sympy import Eq, Rational, cos, exp, pi, sin

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Neumann,
    Periodic,
    Problem,
    Robin,
    coordinates,
    field,
    laplacian,
    parameter,
    precision,
)
from pinnkit.compile import compile_problem
from pinnkit.errors import OptionError
from pinnkit.methods import etdrk
from pinnkit.methods.base import Run
from pinnkit.methods.faces import face_rows
from pinnkit.methods.lines import Lines
from pinnkit.methods.modal import Modal, unsuited
from pinnkit.methods.semidiscrete import Semidiscrete

KS_FILE = Path(__file__).parents[3] / "shared/data/kuramoto_sivashinsky/ks.mat"
t, x, y = coordinates("t x y")
u, v = field("u", t, x), field("v", t, x)


def solve(problem, **options):
    system = compile_problem(problem)
    assert Lines(**options).supports(system) is None
    with precision.scope("float64"):
        return Lines(**options).run(system, Run(jax.random.key(0)))


def error(solution, exact, seed=0, **fixed):
    """Relative L2 error of field u at random points."""
    random = np.random.default_rng(seed)
    bounds = solution.problem.domain.bounds
    at = {a: random.uniform(*bounds[a], 400) for a in bounds} | fixed
    found, expected = solution(**at)["u"], exact(**at)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


CLASSIC = cos(x / 16) * (1 + sin(x / 16))


def ks(end, length, a=1, b=1, g=1, initial=CLASSIC, lo=0):
    rate = -a * u * u.diff(x) - b * u.diff(x, 2) - g * u.diff(x, 4)
    return Problem(
        "ks",
        Box(t=(0, end), x=(lo, length), time="t"),
        (Equation(Eq(u.diff(t), rate)), Initial(u, initial), Periodic(x)),
    )


def test_heat_by_reflection_is_exact():
    kappa = parameter("kappa", Rational(1, 4))
    heat = Problem(
        "heat",
        Box(t=(0, 1), x=(0, 1), time="t"),
        (Equation(Eq(u.diff(t), kappa * u.diff(x, 2))), Initial(u, sin(pi * x)), Dirichlet(u, 0)),
    )
    solution = solve(heat)
    decay = lambda t, x: np.exp(-0.25 * np.pi**2 * t) * np.sin(np.pi * x)  # noqa: E731
    assert error(solution, decay) < 1e-10
    assert solution.error_estimate["u"] < 1e-8


def test_ctrl_c_ends_the_refinement_and_is_told():
    system = compile_problem(ks(1, 1, 5, Rational(1, 2), Rational(5, 1000), -sin(pi * x), lo=-1))
    with precision.scope("float64"):
        stopped = Lines().run(system, Run(jax.random.key(0), interrupted=lambda: True))
    assert stopped.status.interrupted and stopped.status.reason.startswith("interrupted")
    assert len(stopped.history["step"]) == 1


def test_wave_equation():
    """Second order in time: position and velocity are coupled mode by mode."""
    problem = Problem(
        "string",
        Box(t=(0, 1), x=(0, 1), time="t"),
        (
            Equation(Eq(u.diff(t, 2), 4 * u.diff(x, 2))),
            Initial(u, sin(pi * x)),
            Initial(u.diff(t), 2 * pi * sin(2 * pi * x)),
            Dirichlet(u, 0),
        ),
    )

    def exact(t, x):
        still = np.cos(2 * np.pi * t) * np.sin(np.pi * x)
        return still + np.sin(4 * np.pi * t) * np.sin(2 * np.pi * x) / 2

    assert error(solve(problem), exact) < 1e-8


def test_walls_with_moving_data_and_slopes():
    """Collocation between walls: Dirichlet at one end, Robin at the other, both in time."""
    solution_ = sin(x + t) * exp(-t)
    problem = Problem(
        "walls",
        Box(t=(0, 1), x=(0, 1), time="t"),
        (
            Equation(
                Eq(u.diff(t), u.diff(x, 2) / 10 + solution_.diff(t) - solution_.diff(x, 2) / 10)
            ),
            Initial(u, sin(x)),
            Dirichlet(u, solution_, on="x-"),
            Robin(u, 2, 1, 2 * solution_ + solution_.diff(x), on="x+"),
        ),
    )
    solution = solve(problem, rtol=1e-4)
    assert "collocation" in solution.stats["scheme"]
    assert error(solution, lambda t, x: np.sin(x + t) * np.exp(-t)) < 1e-6
    assert error(solution, lambda t, x: np.sin(x + t) * np.exp(-t), x=np.ones(400)) < 1e-6


def test_reflection_between_insulated_walls_in_two_dimensions():
    w = field("u", t, x, y)
    problem = Problem(
        "insulated",
        Box(t=(0, 1), x=(0, 1), y=(0, 2), time="t"),
        (
            Equation(Eq(w.diff(t), laplacian(w, x, y) / 20)),
            Initial(w, cos(pi * x) * sin(pi * y)),
            Neumann(w, 0, on=("x-", "x+")),
            Dirichlet(w, 0, on=("y-", "y+")),
        ),
    )

    def exact(t, x, y):
        return np.exp(-2 * np.pi**2 * t / 20) * np.cos(np.pi * x) * np.sin(np.pi * y)

    solution = solve(problem, points=24)
    assert "Fourier" in solution.stats["scheme"]
    assert error(solution, exact) < 1e-8


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("order,ends", [(2, "-+"), (3, "-++"), (4, "--++")])
def test_semidiscrete_operators_do_not_grow(order, ends):
    """u_t = +-d^k u/dx^k with k homogeneous conditions: no eigenvalue to the right of zero."""
    conditions = [Dirichlet(u, 0, on=f"x{end}") for end in sorted(set(ends))]
    conditions += [Neumann(u, 0, on=f"x{e}") for e in sorted(set(ends)) if ends.count(e) == 2]
    problem = Problem(
        "operator",
        Box(t=(0, 1), x=(0, 1), time="t"),
        (
            Equation(Eq(u.diff(t), (1 if order == 2 else -1) * u.diff(x, order))),
            Initial(u, sin(pi * x) ** 2),
            *conditions,
        ),
    )
    system = compile_problem(problem)
    semidiscrete = Semidiscrete(system, face_rows(system), {"x": 33})
    (state,) = semidiscrete.initial()
    jacobian = jax.jacfwd(lambda s: semidiscrete.rate(jnp.asarray(0.0), (s,))[0])(state)
    values = np.linalg.eigvals(np.asarray(jacobian))
    assert values.real.max() < 1e-9 * np.abs(values).max()
    if order == 2:
        slowest = np.sort(-values.real)[:4]
        np.testing.assert_allclose(slowest, (np.pi * np.arange(1, 5)) ** 2, rtol=1e-9)


def cole_hopf(t, x, nu):
    """Burgers from -sin(pi x) as a quotient of integrals, trapezoidal rule in log space."""
    reach = t + 6 * np.sqrt(4 * nu * t)
    eta = np.linspace(-reach, reach, 4001)
    exponent = -np.cos(np.pi * (x[:, None] - eta)) / (2 * np.pi * nu) - eta**2 / (4 * nu * t)
    weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(np.sin(np.pi * (x[:, None] - eta)) * weight).sum(axis=1) / weight.sum(axis=1)


def burgers(nu):
    rate = nu * u.diff(x, 2) - u * u.diff(x)
    return Problem(
        "burgers",
        Box(t=(0, 1), x=(-1, 1), time="t"),
        (Equation(Eq(u.diff(t), rate)), Initial(u, -sin(pi * x)), Dirichlet(u, 0)),
    )


def test_burgers_follows_cole_hopf():
    nu = 0.03 / np.pi
    solution = solve(burgers(nu), rtol=1e-5)
    points = np.linspace(-0.99, 0.99, 101)
    for time in (0.1, 0.4, 1.0):
        expected = cole_hopf(time, points, nu)
        found = solution(t=time, x=points)["u"]
        assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max() * 10


LORENZ = {5: (-6.5121137, -6.97404279, 23.92412957), 10: (-4.90268754, -3.74387292, 24.6908581)}


def test_lorenz_to_the_published_orbit():
    p, q, r = field("p", t), field("q", t), field("r", t)
    problem = Problem(
        "lorenz",
        Box(t=(0, 10), time="t"),
        (
            Equation(Eq(p.diff(t), 10 * (q - p))),
            Equation(Eq(q.diff(t), p * (28 - r) - q)),
            Equation(Eq(r.diff(t), p * q - Rational(8, 3) * r)),
            Initial(p, 1),
            Initial(q, 1),
            Initial(r, 1),
        ),
    )
    solution = solve(problem)
    for time, expected in LORENZ.items():
        found = solution(t=float(time))
        np.testing.assert_allclose([found[n] for n in "pqr"], expected, atol=3e-8)


def plain_etdrk4(values, length, h, steps):
    """ETDRK4 for Kuramoto–Sivashinsky in plain NumPy, with Taylor series for the coefficients."""
    n = values.size
    q = 2 * np.pi * np.fft.rfftfreq(n, 1 / n) / length
    c = h * (q**2 - q**4)
    keep = np.arange(n // 2 + 1) < n / 3
    wave = np.where(np.arange(n // 2 + 1) == n // 2, 0, -0.5j * q) * keep

    def phi(k, z):
        small = np.abs(z) < 1
        zs, series, factor = np.where(small, z, 0), 0.0, 1.0
        for i in range(1, k + 1):
            factor /= i
        term = factor * np.ones_like(z)
        for j in range(30):
            series = series + term
            term = term * zs / (k + j + 1)
        zb, value = np.where(small, 1, z), np.exp(np.where(small, 1, z))
        for i in range(k):
            value = (value - 1 / np.prod(np.arange(1, i + 1, dtype=float))) / zb
        return np.where(small, series, value)

    one, two, three = (phi(k, c) for k in (1, 2, 3))
    stage, full, half = h * phi(1, c / 2) / 2, np.exp(c), np.exp(c / 2)
    f1, f2, f3 = h * (one - 3 * two + 4 * three), h * (two - 2 * three), h * (4 * three - two)

    def rest(modes):
        return wave * np.fft.rfft(np.fft.irfft(modes, n) ** 2)

    modes = np.fft.rfft(values) * keep
    for _ in range(steps):
        n0 = rest(modes)
        a = half * modes + stage * n0
        na = rest(a)
        b = half * modes + stage * na
        nb = rest(b)
        d = half * a + stage * (2 * nb - n0)
        modes = full * modes + f1 * n0 + 2 * f2 * (na + nb) + f3 * rest(d)
    return np.fft.irfft(modes, n)


def classic(steps, end=50.0):
    system = compile_problem(ks(end, 32 * pi))
    modal = Modal(system, {}, {"x": 128})
    return modal, modal.solve(np.linspace(0, end, 3), steps)[:, 0]


@pytest.mark.usefixtures("x64")
def test_kassam_trefethen_setting_agrees_with_plain_numpy():
    """L = 32 pi, N = 128, h = 1/4; beyond t of about 50 rounding errors would be amplified."""
    modal, found = classic(200)
    nodes = modal.grid[0].nodes
    start = np.cos(nodes / 16) * (1 + np.sin(nodes / 16))
    plain = plain_etdrk4(start, 32 * np.pi, 0.25, 200)
    np.testing.assert_allclose(found[-1], plain, atol=1e-8)
    far = modal.solve(np.linspace(0, 150, 3), 600)[-1, 0]
    assert np.isfinite(far).all() and 0.8 < far.std() < 1.8 and np.abs(far).max() < 4


@pytest.mark.usefixtures("x64")
def test_etdrk4_is_of_fourth_order():
    """The order shows once h times the largest unstable rate is small."""
    modal, finest = classic(3200, 5.0)
    errors = [
        np.linalg.norm(modal.solve(np.linspace(0, 5, 3), n)[-1] - finest[-1])
        for n in (160, 320, 640)
    ]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(rates, 4, atol=0.2)


@pytest.mark.usefixtures("x64")
def test_coupled_coefficients_match_scalar_ones_and_defective_blocks():
    rates = np.array([[-3.0, 0.4], [0.0, -1e-3]])
    h = 0.7
    coupled = etdrk.matrix_coefficients(np.stack([np.diag([-3.0, -1e-3]), rates]), h)
    scalar = etdrk.scalar_coefficients(np.array([-3.0, -1e-3]), h)
    for matrix, vector in zip(coupled, scalar, strict=True):
        np.testing.assert_allclose(np.diagonal(matrix[0]), vector, atol=1e-13)
    jordan = np.array([[0.0, 1.0], [0.0, 0.0]])
    block = etdrk.matrix_coefficients(jordan[None], h)
    np.testing.assert_allclose(block.full[0], [[1, h], [0, 1]], atol=1e-14)
    np.testing.assert_allclose(block.stage[0], [[h / 2, h**2 / 8], [0, h / 2]], atol=1e-14)
    np.testing.assert_allclose(
        block.first[0] + 4 * block.middle[0] + block.last[0], [[h, h**2 / 2], [0, h]], atol=1e-14
    )


def test_schroedinger_conserves_and_turns():
    """Real and imaginary part, i h_t + h_xx / 2 = 0: a plane wave turns with frequency k^2 / 2."""
    problem = Problem(
        "free",
        Box(t=(0, 1), x=(0, 2 * pi), time="t"),
        (
            Equation(Eq(u.diff(t), -v.diff(x, 2) / 2)),
            Equation(Eq(v.diff(t), u.diff(x, 2) / 2)),
            Initial(u, cos(3 * x)),
            Initial(v, sin(3 * x)),
            Periodic(x),
        ),
    )
    assert error(solve(problem), lambda t, x: np.cos(3 * x - 4.5 * t)) < 1e-9


@pytest.mark.reference_data
@pytest.mark.skipif(not KS_FILE.exists(), reason="reference data are not here")
def test_regular_kuramoto_sivashinsky_against_published_data():
    data = scipy.io.loadmat(KS_FILE)
    problem = ks(1, 1, 5, Rational(1, 2), Rational(5, 1000), -sin(pi * x), lo=-1)
    solution = solve(problem, rtol=1e-7)
    times, places = data["t"].ravel()[::25], data["x"].ravel()
    found = solution(t=times[:, None], x=places[None, :])["u"]
    expected = data["usol"][::25]
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 1e-7


def test_symmetry_decides_the_scheme():
    def rows(problem):
        system = compile_problem(problem)
        with precision.scope("float64"):
            return unsuited(system, face_rows(system))

    assert rows(burgers(0.1)) is None
    skewed = Problem(
        "skewed",
        Box(t=(0, 1), x=(-1, 1), time="t"),
        (
            Equation(Eq(u.diff(t), u.diff(x, 2) - u.diff(x))),
            Initial(u, sin(pi * x)),
            Dirichlet(u, 0),
        ),
    )
    assert rows(skewed) == "equations without the symmetry of the walls"
    stiff = Problem(
        "stiff",
        Box(t=(0, 1), x=(-1, 1), time="t"),
        (
            Equation(Eq(u.diff(t), (2 + sin(pi * x)) * u.diff(x, 2))),
            Initial(u, sin(pi * x)),
            Periodic(x),
        ),
    )
    assert rows(stiff) == "a stiff part that varies or is nonlinear"


def test_refusals_are_in_words():
    w = field("w", x)
    steady = Problem("steady", Box(x=(0, 1)), (Equation(w.diff(x, 2) - 1), Dirichlet(w, 0)))
    assert "no time evolution" in Lines().supports(compile_problem(steady))
    p = field("p", t, x)
    constrained = Problem(
        "constrained",
        Box(t=(0, 1), x=(0, 1), time="t"),
        (
            Equation(Eq(u.diff(t), u.diff(x, 2) + p)),
            Equation(Eq(p.diff(x), u)),
            Initial(u, 0),
            Dirichlet(u, 0),
            Dirichlet(p, 0, on="x-"),
        ),
    )
    assert "p has no time derivative" in Lines().supports(compile_problem(constrained))
    with pytest.raises(OptionError, match="too coarse"):
        Lines(points=2)
    with pytest.raises(OptionError, match=r"in \(0, 1\)"):
        Lines(rtol=0.0)


def test_evaluator_gives_back_its_data():
    solution = solve(burgers(0.1), rtol=1e-4, points=32)
    field_ = solution.evaluator
    with precision.scope("float64"):
        time, place = field_.grid[0].nodes[7], field_.grid[1].nodes[5]
        value = field_(jnp.asarray([[time, place]]))
    assert float(value[0, 0]) == pytest.approx(float(field_.data[0, 7, 5]), abs=1e-12)
