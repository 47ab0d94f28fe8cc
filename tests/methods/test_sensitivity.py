"""Derivatives of solutions: closed forms, central differences, and adjoints against tangents."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import pinnkit as pk
from pinnkit.errors import MethodError, OptionError
from pinnkit.spec.symbols import coordinates, field, parameter

pytestmark = pytest.mark.usefixtures("x64")

T, X, Y = coordinates("t x y")
PI = sp.pi


def heat():
    u, k, a = field("u", T, X), parameter("k", 0.25), parameter("a", 1.5)
    return pk.Problem(
        name="heat",
        domain=pk.Box(t=(0, 1), x=(0, 1), time="t"),
        conditions=[
            pk.Equation(sp.Eq(u.diff(T), k * u.diff(X, 2))),
            pk.Initial(u, a * sp.sin(PI * X)),
            pk.Dirichlet(u, 0),
        ],
    )


def bratu():
    """Nonlinear, with a parameter in the equation and one in the boundary values."""
    u, c, b = field("u", X, Y), parameter("c", 1.2), parameter("b", 0.9)
    smooth = sp.sin(PI * X) * sp.cos(Y)
    source = smooth.diff(X, 2) + smooth.diff(Y, 2) - sp.exp(smooth)
    return pk.Problem(
        name="bratu",
        domain=pk.Box(x=(0, 1), y=(0, 1)),
        conditions=[
            pk.Equation(sp.Eq(u.diff(X, 2) + u.diff(Y, 2) - c * sp.exp(u), source)),
            pk.Dirichlet(u, b * smooth),
        ],
    )


def burgers():
    u, nu = field("u", T, X), parameter("nu", 0.1)
    return pk.Problem(
        name="burgers",
        domain=pk.Box(t=(0, 0.6), x=(-1, 1), time="t"),
        conditions=[
            pk.Equation(sp.Eq(u.diff(T) + u * u.diff(X), nu * u.diff(X, 2))),
            pk.Initial(u, -sp.sin(PI * X)),
            pk.Dirichlet(u, 0),
        ],
    )


def neumann():
    """Only the mean fixes the level; parameters in the integrand and in its value."""
    u, m, w = field("u", X), parameter("m", 2.0), parameter("w", 0.5)
    return pk.Problem(
        name="neumann",
        domain=pk.Box(x=(0, 1)),
        conditions=[
            pk.Equation(sp.Eq(u.diff(X, 2), w**2 * sp.cos(PI * X))),
            pk.Neumann(u, 0),
            pk.Integral((1 + w * X) * u, m),
        ],
    )


def wave():
    """Second order in time, so that value and velocity are handed over."""
    u, c = field("u", T, X), parameter("c", 1.1)
    return pk.Problem(
        name="wave",
        domain=pk.Box(t=(0, 1), x=(0, 1), time="t"),
        conditions=[
            pk.Equation(sp.Eq(u.diff(T, 2), c**2 * u.diff(X, 2))),
            pk.Initial(u, sp.sin(PI * X)),
            pk.Initial(u.diff(T), c * sp.sin(2 * PI * X)),
            pk.Dirichlet(u, 0),
        ],
    )


def periodic():
    u, nu = field("u", T, X), parameter("nu", 0.5)
    return pk.Problem(
        name="ring",
        domain=pk.Box(t=(0, 0.02), x=(-1, 1), time="t"),
        conditions=[
            pk.Equation(sp.Eq(u.diff(T) + u * u.diff(X), nu * u.diff(X, 2))),
            pk.Initial(u, sp.sin(PI * X)),
            pk.Periodic("x"),
        ],
    )


CASES = {
    "heat in slabs": (heat(), pk.LeastSquares(pk.Chebyshev(degree=14), slabs=2)),
    "bratu": (bratu(), pk.LeastSquares(pk.Chebyshev(degree=12))),
    "bratu in blocks": (bratu(), pk.LeastSquares(pk.Chebyshev(degree=8), pk.Blocks(x=3, y=2))),
    "burgers": (
        burgers(),
        pk.LeastSquares(pk.Chebyshev(degree=13), pk.Blocks(x=4), slabs=3),
    ),
    "integral": (neumann(), pk.LeastSquares(pk.Chebyshev(degree=10), pk.Blocks(x=4))),
    "wave": (wave(), pk.LeastSquares(pk.Chebyshev(degree=16), slabs=2)),
    "fourier": (periodic(), pk.LeastSquares(tolerance=1e-5)),
    "automatic": (burgers(), pk.LeastSquares(tolerance=1e-6)),
}
QUICK = CASES["heat in slabs"][1]
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def points(domain, count=60, seed=0):
    return domain.region("interior").sample(count, seed)


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.accuracy
@every_case
def test_tangents_match_central_differences_and_adjoints(case):
    problem, method = case
    names = tuple(problem.parameter_values)
    solved = pk.differentiable(problem, names, method)
    at, z = np.array(list(problem.parameter_values.values())), points(problem.domain)
    rng = np.random.default_rng(1)
    direction = rng.normal(size=len(at)) * at
    h = 1e-4
    ahead, behind = (solved.values(at + s * h * direction, z) for s in (1, -1))
    tangent = solved.pushed(at, z, direction)
    assert relative((ahead - behind) / (2 * h), tangent) <= 1e-6
    weights = rng.normal(size=tangent.shape)
    pulled = solved.pulled(at, z, weights)
    size = np.linalg.norm(tangent) * np.linalg.norm(weights)
    assert abs(float((tangent * weights).sum()) - float(pulled @ direction)) <= 1e-10 * size


def test_heat_has_a_closed_form():
    solution = pk.solve(heat(), QUICK, quiet=True)
    found = pk.sensitivity(solution)
    assert found.fields == ("du_dk", "du_da")
    t, x = np.linspace(0, 1, 21)[:, None], np.linspace(0, 1, 17)[None, :]
    u = solution(t=t, x=x)["u"]
    values = found(t=t, x=x)
    assert np.abs(values["du_dk"] + np.pi**2 * t * u).max() <= 1e-9
    assert np.abs(values["du_da"] - u / 1.5).max() <= 1e-10


def test_sensitivities_of_a_run_file_are_saved_and_plotted(tmp_path):
    path = pk.solve(heat(), QUICK, quiet=True).save(tmp_path / "u.h5")
    found = pk.sensitivity(pk.Solution.load(path), "k")
    again = pk.Solution.load(found.save(tmp_path / "k.h5"))
    wanted = -(np.pi**2) * 1.5 * np.exp(-0.25 * np.pi**2)
    assert float(again(t=1.0, x=0.5)["du_dk"]) == pytest.approx(wanted, rel=1e-9)
    found.plot(tmp_path / "k.png")
    assert (tmp_path / "k.png").stat().st_size > 5000


def test_jax_differentiates_through_the_solve():
    solved = pk.differentiable(heat(), ("k",), QUICK)
    z = jnp.asarray(points(heat().domain))
    k = jnp.asarray(0.3)

    def energy(k, z):
        return jnp.sum(solved({"k": k}, z) ** 2)

    def exact(k, z):
        u = 1.5 * jnp.exp(-k * jnp.pi**2 * z[:, 0]) * jnp.sin(jnp.pi * z[:, 1])
        return jnp.sum(u**2)

    for argument in (0, 1):
        wanted = jax.grad(exact, argument)(k, z)
        assert relative(jax.grad(energy, argument)(k, z), wanted) <= 1e-9
        assert relative(jax.jit(jax.grad(energy, argument))(k, z), wanted) <= 1e-9
    assert jax.jvp(energy, (k, z), (1.0, z))[1] == pytest.approx(
        float(jax.jvp(exact, (k, z), (1.0, z))[1]), rel=1e-9
    )


def test_the_length_of_a_rod():
    """u'' = -1, u(0) = 0, u'(s) = s^2: u = -x^2/2 + (s + s^2) x."""
    u = field("u", X)
    rod = pk.Problem(
        name="rod",
        domain=pk.Box(x=(0, 1.5)),
        conditions=[
            pk.Equation(sp.Eq(u.diff(X, 2), -1)),
            pk.Dirichlet(u, 0, on="x-"),
            pk.Neumann(u, X**2, on="x+"),
        ],
    )
    solution = pk.solve(rod, pk.LeastSquares(pk.Chebyshev(degree=8)), quiet=True)
    found = pk.shape_sensitivity(solution, lambda s: pk.Box(x=(0, s)), 1.5, "s")
    x = np.linspace(0, 1.5, 9)
    assert np.abs(found(x=x)["du_ds"] - 4 * x).max() <= 1e-8


def test_the_radius_of_a_hole():
    """Laplace between circles, u = log(r / s) / log(1 / s): du/ds by hand at s = 0.4."""
    u, s = field("u", X, Y), 0.4

    def ring(s):
        return pk.Disk(x=0, y=0, radius=1, name="outer") - pk.Disk(x=0, y=0, radius=s, name="hole")

    problem = pk.Problem(
        name="ring",
        domain=ring(s),
        conditions=[
            pk.Equation(u.diff(X, 2) + u.diff(Y, 2)),
            pk.Dirichlet(u, 0, on="hole"),
            pk.Dirichlet(u, 1, on="outer"),
        ],
    )
    solution = pk.solve(problem, pk.LeastSquares(tolerance=1e-6), quiet=True)
    found = pk.shape_sensitivity(solution, ring, s)
    r, angle = np.linspace(0.45, 0.95, 7), np.linspace(0, 6, 7)
    wanted = np.log(r) / (s * np.log(s) ** 2)
    values = found(x=r * np.cos(angle), y=r * np.sin(angle))["du_dshape"]
    assert relative(values, wanted) <= 1e-4


def test_errors_name_the_culprit():
    with pytest.raises(OptionError, match=r"no parameter 'q'. Its parameters: a, k"):
        pk.sensitivity(heat(), "q")
    with pytest.raises(OptionError, match=r"no parameter 'q'"):
        pk.differentiable(heat(), ("q",))
    with pytest.raises(OptionError, match=r"function of k, not of a"):
        pk.differentiable(heat(), ("k",), QUICK)({"a": 1.0}, jnp.zeros((1, 2)))
    with pytest.raises(MethodError, match=r"solved by Lines.*Solve it with LeastSquares"):
        pk.sensitivity(pk.solve(heat(), pk.Lines(), quiet=True), "k")
    solution = pk.solve(heat(), QUICK, quiet=True)
    failed = dataclasses.replace(solution.status, ok=False, reason="not resolved")
    with pytest.raises(MethodError, match=r"is not solved \(not resolved\)"):
        pk.sensitivity(dataclasses.replace(solution, status=failed), "k")
    with pytest.raises(OptionError, match=r"value of s at which they agree"):
        pk.shape_sensitivity(solution, lambda s: pk.Box(t=(0, 1), x=(0, s), time="t"), 2.0)
