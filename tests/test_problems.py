"""Every file in problems/, found automatically.

The checks of exact solutions substitute them with SymPy and evaluate with mpmath: nothing of
pinnkit's compiler takes part, so they are an oracle for it.
"""

import ast
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.derivatives.autodiff import term_values
from pinnkit.spec.condition import Kind
from pinnkit.spec.symbols import NormalComponent

FILES = sorted((Path(__file__).resolve().parents[1] / "problems").glob("*.py"))
DIGITS = 50
POINTS = 12

SLOW = {"poisson5d"}
"""Compiling derivatives in five dimensions takes ten seconds at a time."""
load = functools.cache(pk.load)


def files(paths):
    marks = {path: [pytest.mark.accuracy] if path.stem in SLOW else [] for path in paths}
    chosen = [pytest.param(path, marks=marks[path], id=path.stem) for path in paths]
    return pytest.mark.parametrize("path", chosen)


every_file = files(FILES)


def problems_with(test):
    return files([path for path in FILES if test(load(path))])


def test_there_are_problems():
    assert len(FILES) >= 24


@every_file
def test_file_holds_physics_only(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 60
    assert len(ast.get_docstring(tree) or "") > 60, "docstring: the equation and its reference"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= {"math"}
        if isinstance(node, ast.ImportFrom):
            assert node.module in {"sympy", "math", "pinnkit"}


@every_file
def test_problem_builds_and_describes_itself(path):
    problem = load(path)
    pk.check(problem)
    assert problem.name == path.stem
    assert problem.doc
    assert all(condition.name in problem.summary() for condition in problem.conditions)
    assert problem.latex()


class Substitution:
    """A problem and its exact solution, to evaluate expressions of the fields precisely."""

    def __init__(self, problem):
        self.problem = problem
        self.parameters = {
            p: mpmath.mpf(problem.parameter_values[p.name]) for p in problem.declared_parameters
        }
        self.axes = problem.coordinates
        self.normals = [NormalComponent(f"n_{axis}") for axis in problem.domain.space_axes]

    def __call__(self, expression):
        """(point, normal) -> value of the expression at the exact solution."""
        exact = expression.subs(dict(self.problem.exact)).doit()
        symbols = [*self.axes, *self.normals, *self.parameters]
        fn = sp.lambdify(symbols, exact, modules="mpmath")

        def value(point, normal=None):
            normal = np.zeros(len(self.normals)) if normal is None else normal
            numbers = [mpmath.mpf(float(n)) for n in (*point, *normal)]
            return fn(*numbers, *self.parameters.values())

        return value


def deviations(problem, condition):
    """Residuals of a condition at points of its regions."""
    with mpmath.workdps(DIGITS):
        evaluate = Substitution(problem)
        if condition.kind is Kind.INTEGRAL:
            return integral_deviations(problem, condition, evaluate)
        if condition.kind is Kind.PERIODIC:
            return periodic_deviations(problem, condition, evaluate)
        residual = evaluate(condition.residual)
        found = []
        for region in (problem.domain.region(name) for name in condition.on):
            for part in region.parts:
                points = part.sample(POINTS, seed=1)
                normals = part.normals(points) if condition.kind is Kind.BOUNDARY else None
                for i, point in enumerate(points):
                    found.append(residual(point, None if normals is None else normals[i]))
        return found


def periodic_deviations(problem, condition, evaluate):
    lower, upper = (problem.domain.region(name) for name in condition.on)
    axis = next(c for c in problem.coordinates if c.name == condition.axis)
    column = problem.domain.axes.index(condition.axis)
    points = lower.sample(POINTS, seed=1)
    period = upper.fixed[condition.axis] - lower.fixed[condition.axis]
    shift = np.eye(len(problem.domain.axes))[column] * period
    functions = [evaluate(u.diff(axis, k)) for u in problem.fields for k in (0, 1)]
    return [fn(p) - fn(p + shift) for fn in functions for p in points]


def integral_deviations(problem, condition, evaluate):
    """Over space, at three times if there are any."""
    domain = problem.domain
    target, value = evaluate(condition.target), evaluate(condition.value)
    assert condition.on == ("interior",)
    if domain.time is None:
        points, weights = domain.interior.quadrature(24)
        return [sum(w * target(p) for p, w in zip(points, weights, strict=True)) - value(points[0])]
    points, weights = domain.region("initial").quadrature(16)
    found = []
    for time in np.linspace(*domain.bounds[domain.time], 3):
        points[:, domain.axes.index(domain.time)] = time
        total = sum(w * target(p) for p, w in zip(points, weights, strict=True))
        found.append(total - value(points[0]))
    return found


@problems_with(lambda problem: problem.exact is not None)
def test_exact_solution_satisfies_every_condition(path):
    problem = load(path)
    for condition in problem.conditions:
        worst = max(abs(value) for value in deviations(problem, condition))
        assert worst < 1e-10, (condition.name, float(worst))


def test_a_wrong_exact_solution_is_found():
    problem = pk.load(FILES[0].with_name("heat1d.py"))
    (u,) = problem.fields
    wrong = problem.replace(exact={u: 1.001 * problem.exact[u]})
    equation, initial, boundary = wrong.conditions
    assert max(map(abs, deviations(wrong, initial))) > 1e-4
    slower = problem.replace(exact={u: problem.exact[u] * sp.exp(-problem.coordinates[0])})
    assert max(map(abs, deviations(slower, equation))) > 1e-2
    assert max(map(abs, deviations(slower, boundary))) < 1e-10


def random_field(key, size, count):
    """Weights of z -> C tanh(W z + b), smooth and of order one."""
    w, b, c = jax.random.split(key, 3)
    return (
        jax.random.normal(w, (8, size)),
        jax.random.normal(b, (8,)),
        jax.random.normal(c, (count, 8)) / 3,
    )


def evaluate_field(weights, z):
    w, b, c = weights
    return c @ jnp.tanh(w @ z + b)


def mean_square(weights, inputs, system, residual, points, normals):
    """Mean squared residual of the random fields at the points."""
    params = {**system.parameters, **dict.fromkeys(system.eigenvalues, 1.3)}
    names = [f"n_{axis}" for axis in system.domain.space_axes]

    def at(point, normal):
        values = term_values(
            lambda z: evaluate_field(weights, z), system.fields, residual.plan, point
        )
        values |= term_values(
            lambda z: evaluate_field(inputs, z), system.inputs, residual.input_plan, point
        )
        z = {**system.coordinates(point), **dict(zip(names, normal, strict=True))}
        return residual.fn(values, z, params)

    found = jax.vmap(at)(points, normals)
    assert found.shape == (len(points),)
    return jnp.mean(found**2)


@every_file
@pytest.mark.usefixtures("x64")
def test_residuals_and_gradients_are_finite(path, key):
    """Random fields through the compiled residuals of every condition, at points of its regions."""
    system = compile_problem(load(path))
    size = len(system.axes)
    weights = random_field(key, size, len(system.fields))
    inputs = random_field(jax.random.fold_in(key, 1), size, len(system.inputs))
    places = [sampled_region(system, residual) for residual in system.residuals]

    def total(weights):
        found = {
            residual.name: mean_square(weights, inputs, system, residual, points, normals)
            for residual, (points, normals) in zip(system.residuals, places, strict=True)
        }
        return sum(found.values()), found

    (_, found), slopes = jax.value_and_grad(total, has_aux=True)(weights)
    for name, value in found.items():
        assert jnp.isfinite(value) and value > 0, name
    assert all(jnp.all(jnp.isfinite(slope)) and jnp.any(slope) for slope in slopes)


def sampled_region(system, residual):
    """Points (n, d) of the residual's first region, and normals (n, n_space) where it has them."""
    region = system.domain.region(residual.regions[0])
    points = region.sample(POINTS, seed=2)
    if residual.kind is Kind.BOUNDARY:
        return points, region.normals(points)
    return points, np.zeros((POINTS, len(system.domain.space_axes)))


@problems_with(lambda problem: problem.exact is not None)
@pytest.mark.usefixtures("x64")
def test_compiled_residuals_vanish_at_the_exact_solution(path):
    """Terms made by SymPy from the exact solution, put into the compiled residuals."""
    problem = load(path)
    system = compile_problem(problem)
    for residual in system.residuals:
        if residual.kind is Kind.INTEGRAL:
            continue
        points, normals = sampled_region(system, residual)
        values = {t: precise_term(problem, t, points) for t in residual.plan.terms}
        z = {axis: jnp.asarray(c) for axis, c in system.coordinates(points).items()}
        names = (f"n_{axis}" for axis in system.domain.space_axes)
        z |= dict(zip(names, normals.T, strict=True))
        scale = 1 + max(float(np.abs(v).max()) for v in values.values())
        found = residual.fn(values, z, system.parameters)
        assert float(jnp.abs(found).max()) < 1e-10 * scale**2, residual.name


def precise_term(problem, term, points):
    """A derivative of the exact solution at points, rounded from many digits, (N,)."""
    expression = problem.field(term.field)
    for axis, count in zip(problem.coordinates, term.orders, strict=True):
        expression = expression.diff(axis, count)
    with mpmath.workdps(DIGITS):
        value = Substitution(problem)(expression)
        return jnp.asarray([float(value(point)) for point in points])


def test_parameters_of_problem_files_reach_the_domain():
    folder = FILES[0].parent
    assert pk.load(folder / "ks_classic.py", end=2).domain.bounds["t"] == (0.0, 2.0)
    assert pk.load(folder / "lorenz.py", end=1, r=20).parameter_values["r"] == 20
    six = pk.load(folder / "helmholtz2d.py", a1=6, a2=6)
    for condition in six.conditions:
        assert max(map(abs, deviations(six, condition))) < 1e-10


def test_two_solitons_have_their_known_values():
    """Values computed apart with many digits."""
    problem = pk.load(FILES[0].with_name("kdv.py"))
    value = Substitution(problem)(problem.fields[0])
    with mpmath.workdps(DIGITS):
        for x, t, expected in ((3, 1, 1.7778999912), (1, 0.5, 2.0), (7.3, 1.2, 0.437925447602)):
            assert float(value((t, x))) == pytest.approx(expected, rel=1e-9)


def potential_of(problem):
    """x -> V(x) of a well: the part of the equation without derivative and eigenvalue."""
    (equation,) = [c for c in problem.conditions if c.kind is Kind.EQUATION]
    (psi,), (E,), (x,) = problem.fields, problem.eigenvalues, problem.coordinates
    values = {p: problem.parameter_values[p.name] for p in problem.declared_parameters}
    expression = equation.target.xreplace({psi.diff(x, 2): sp.S.Zero}).subs(values) / psi
    assert not sp.simplify(expression).has(E)
    return sp.lambdify(x, sp.simplify(expression), "numpy")


LEVELS = {
    "well_infinite": [np.pi**2, 4 * np.pi**2, 9 * np.pi**2],
    "well_finite": [5.94859771, 23.05361146, 48.01632752],
    "well_barrier": [7.71606414, 10.14574013, 31.12176921],
    "well_harmonic": [1.0, 3.0, 5.0],
}


@pytest.mark.parametrize("name", LEVELS)
def test_levels_of_the_wells(name):
    """The declared potentials have the levels of their closed equations (linear elements)."""
    problem = pk.load(FILES[0].with_name(f"{name}.py"))
    potential = potential_of(problem)
    lower, upper = problem.domain.bounds["x"]

    def levels(n):
        h = (upper - lower) / n
        cells = lower + h * (np.arange(n) + 0.5)
        v = np.broadcast_to(potential(cells), (n,))
        stiff = 2 / h + h / 3 * (v[:-1] + v[1:])
        mass = np.full(n - 1, 2 * h / 3)
        off_stiff, off_mass = -1 / h + h / 6 * v[1:-1], np.full(n - 2, h / 6)
        a = np.diag(stiff) + np.diag(off_stiff, 1) + np.diag(off_stiff, -1)
        b = np.diag(mass) + np.diag(off_mass, 1) + np.diag(off_mass, -1)
        factor = np.linalg.inv(np.linalg.cholesky(b))
        return np.linalg.eigvalsh(factor @ a @ factor.T)[:3]

    # Jumps lie on element ends for multiples of 20, so that the error is c h^2 and extrapolates.
    extrapolated = (4 * levels(480) - levels(240)) / 3
    np.testing.assert_allclose(extrapolated, LEVELS[name], rtol=1e-5)
