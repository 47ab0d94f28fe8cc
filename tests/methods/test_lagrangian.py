"""Problems on labels: the chain rule, the way back to places, crossing, and what is refused."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy import Eq, cos, exp, pi, sin

import pinnkit as pk
from pinnkit.ansatz import build_ansatz, enforce
from pinnkit.compile import compile_problem
from pinnkit.compile.emit import Emitted
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Method
from pinnkit.methods.gridfield import ClosedForm
from pinnkit.methods.lagrangian.field import LabelledField, labels
from pinnkit.methods.lagrangian.labels import on_labels
from pinnkit.methods.lagrangian.speed import obstacle
from pinnkit.report.residuals import residual_rms
from pinnkit.solution import Pointwise, Solution, Status
from pinnkit.spec.condition import Kind

t, x = pk.coordinates("t x")
u, v = pk.field("u", t, x), pk.field("v", t, x)
nu, c = pk.parameter("nu", 0.1), pk.parameter("c", 3)
RING = pk.Box(t=(0, 1), x=(0, 2 * pi), time="t")
STRIP = pk.Box(t=(0, 1), x=(0, 1), time="t")


def ring(*conditions, end=1.0):
    domain = pk.Box(t=(0, end), x=(0, 2 * pi), time="t")
    return pk.Problem("ring", domain, [*conditions, pk.Periodic(x)])


def convection_diffusion():
    equation = Eq(u.diff(t) + c * u.diff(x), nu * u.diff(x, 2))
    exact = {u: 2 + exp(-nu * t) * sin(x - c * t)}
    return dataclasses.replace(ring(pk.Equation(equation), pk.Initial(u, 2 + sin(x))), exact=exact)


def posed_on_labels(problem):
    """The problem on labels, its field D and the number `drift`."""
    found = on_labels(compile_problem(problem))
    return found.problem, found.problem.field(found.displacement), found.drift


def residuals_of(problem):
    """Residuals of the equations by name."""
    return {k.name: k.residual for k in problem.conditions if k.kind is Kind.EQUATION}


def test_known_solutions_satisfy_the_problem_on_labels():
    """U = 2 + exp(-nu t) sin(xi) on X = xi + c t, by SymPy alone."""
    problem, displacement, drift = posed_on_labels(convection_diffusion())
    assert drift == 3
    known = {u: 2 + exp(-nu * t) * sin(x), displacement: (c - 3) * t}
    for condition in problem.conditions:
        found = condition.residual.subs(known, simultaneous=True).doit()
        found = found.subs(t, 0) if condition.kind is Kind.INITIAL else found
        assert sp.simplify(sp.nsimplify(found)) == 0, condition.name


SPEED = u + cos(x) * v / 4
NONLINEAR = ring(
    pk.Equation(
        Eq(u.diff(t) + SPEED * u.diff(x), nu * (u * u.diff(x)).diff(x) - sin(x) * u.diff(x, 3))
    ),
    pk.Equation(Eq(v.diff(t) + SPEED * v.diff(x), v * u.diff(x, 2) - c * v.diff(x) ** 2)),
    pk.Initial(u, 1 + cos(x)),
    pk.Initial(v, sin(x)),
)
SMOOTH = {
    u: 1 + cos(x + 2 * t) / 2 + sin(2 * x) * t / 3,
    v: sin(x - t) + cos(2 * x) / 4,
    "D": t * (sin(x) / 3 + cos(2 * x + t) / 8),
}


def test_residuals_on_labels_are_those_at_places():
    """For any smooth U and D: J^m (R + (X_t - a) u_x) on labels, R the residual at places.

    u(t, x) is made from U by a root of X(t, xi) = x, and differentiated by differences with 60
    digits.
    """
    problem, displacement, drift = posed_on_labels(NONLINEAR)
    smooth = {u: SMOOTH[u], v: SMOOTH[v], displacement: SMOOTH["D"]}
    values = {nu: sp.Rational(1, 10), c: 3}
    functions = {
        k: sp.lambdify([t, x], e, "mpmath")
        for k, e in {**smooth, "X": x + sp.Float(drift) * t + SMOOTH["D"]}.items()
    }
    with mpmath.workdps(60):
        label, time = mpmath.mpf("1.3"), mpmath.mpf("0.7")
        at = {x: label, t: time}
        place = functions["X"](time, label)

        def at_place(field):
            def value(s, y):
                xi = mpmath.findroot(lambda xi: functions["X"](s, xi) - y, label, tol=1e-110)
                return functions[field](s, xi)

            return value

        terms = {
            d: mpmath.diff(
                at_place(d.expr),
                (time, place),
                tuple(dict(d.variable_count).get(a, 0) for a in (t, x)),
            )
            for e in NONLINEAR.conditions[:2]
            for d in e.residual.doit().atoms(sp.Derivative)
        }
        here = {u: functions[u](time, label), v: functions[v](time, label), x: place, t: time}

        def number(expression, *tables):
            for table in tables:
                expression = expression.xreplace(table)
            return sp.N(expression.xreplace(values), 40)

        def on_label(expression):
            return number(expression.subs(smooth, simultaneous=True).doit(), at)

        found = {name: on_label(r) for name, r in residuals_of(problem).items()}
        jacobian = on_label(1 + displacement.diff(x))
        for field, condition, power in (
            (u, NONLINEAR.conditions[0], 5),
            (v, NONLINEAR.conditions[1], 3),
        ):
            original = number(condition.residual.doit(), terms, here)
            slope = number(field.diff(x), terms)
            expected = jacobian**power * (original + found["characteristics"] * slope)
            assert abs(expected) > 1e-2
            assert abs(found[f"rate of {field.func.__name__}"] / expected - 1) < 1e-9


def closed_form(problem, on_label, displacement, drift, until=np.inf, periodic=True):
    """A solution whose fields on labels are expressions."""
    expressions = tuple(Emitted(e, "test") for e in (displacement, *on_label))
    parameters = problem.parameter_values
    inner = ClosedForm(expressions, ("t", "x"), parameters)
    columns = tuple(range(1, 1 + len(on_label)))
    bounds = problem.domain.bounds["x"]
    field = LabelledField(inner, columns, 0, drift, 0.0, until, 0, bounds, periodic)
    return Solution(problem, field, "test", Status(True, "closed form"), stats={"wall_s": 0.0})


def test_solutions_at_places_are_differentiated_exactly(tmp_path):
    """The residual report differentiates through the search for labels."""
    problem = convection_diffusion()
    solution = closed_form(problem, [2 + exp(-nu * t) * sin(x)], c * t - 2 * t, 2.0)
    exact = pk.solve(problem, pk.Exact(), quiet=True)
    assert solution.compare(exact).to_json()["fields"]["u"]["rel_linf"] < 1e-14
    assert max(residual_rms(solution).values()) < 1e-13
    again = pk.Solution.load(solution.save(tmp_path / "moving.h5"))
    points = np.array([[0.3, 1.0], [1.0, 6.28]])
    np.testing.assert_array_equal(again.at_points(points), solution.at_points(points))
    assert solution.plot(tmp_path / "moving.png") is not None


def test_derivatives_by_implicit_differentiation(x64):
    """u_x = U_xi / J, u_xx = (u_x)_xi / J and u_t = U_t - X_t u_x where labels are crowded."""
    displaced, profile = t * (sin(x) + cos(3 * x) / 8), exp(sin(x)) + t * cos(2 * x)
    field = closed_form(NONLINEAR, [profile], displaced, -7.5).evaluator
    jacobian, motion = 1 + displaced.diff(x), displaced.diff(t) - sp.Rational(15, 2)
    first = profile.diff(x) / jacobian
    expected = (first, first.diff(x) / jacobian, profile.diff(t) - motion * first)
    at = jnp.stack([jnp.full(40, 0.6), jnp.linspace(0.01, 6.2, 40)], axis=-1)
    places = field.places(at)
    points = jnp.stack([at[:, 0], places % (2 * jnp.pi)], axis=-1)
    np.testing.assert_allclose(labels(field, points), at[:, 1], rtol=0, atol=1e-13)

    def value(z):
        return field(z[None])[0, 0]

    slope = jax.vmap(jax.jacfwd(value))(points)
    curvature = jax.vmap(jax.jacfwd(jax.jacfwd(value)))(points)[:, 1, 1]
    for found, e in zip((slope[:, 1], curvature, slope[:, 0]), expected, strict=True):
        np.testing.assert_allclose(
            found, sp.lambdify([t, x], e)(0.6, np.asarray(at[:, 1])), rtol=1e-9, atol=1e-9
        )


def test_labels_are_found_for_random_weights(x64, key):
    """Of a network whose labels move by up to half of the domain; J is 0.05 at its smallest."""
    problem, *_ = posed_on_labels(NONLINEAR)
    system = compile_problem(problem)
    ansatz = build_ansatz(enforce(system), pk.nn.MLP(12, 2), key=key)
    column = system.fields.index("displacement")
    plain = LabelledField(
        Pointwise(ansatz), (0,), column, 0.0, 0.0, jnp.inf, 0, (0, 2 * np.pi), True
    )
    spots = jnp.linspace(0, 2 * jnp.pi, 2001)
    steepest = jnp.min(plain.jacobian(plain.at(jnp.array(1.0), spots))) - 1
    scaled = eqx.tree_at(
        lambda a: a.constraints,
        ansatz,
        tuple(dataclasses.replace(k, scale=float(-0.95 / steepest)) for k in ansatz.constraints),
    )
    field = dataclasses.replace(plain, labelled=Pointwise(scaled), drift=4.3)
    points = jnp.stack([jnp.linspace(0, 1, 2001), spots], axis=-1)
    found = labels(field, points)
    assert jnp.all((found >= 0) & (found <= 2 * jnp.pi))
    turns = (field.places(field.at(points[:, 0], found)) - spots) / (2 * jnp.pi)
    np.testing.assert_allclose(turns, jnp.round(turns), rtol=0, atol=2e-15)


def inviscid(end):
    start = pk.Initial(u, 2 + sin(x))
    return ring(pk.Equation(u.diff(t) + u * u.diff(x)), start, end=end)


def test_characteristics_cross_at_the_time_of_the_first_shock():
    """u = 2 + sin(xi) on x = xi + u t, until J = 1 + t cos(xi) vanishes at t = 1."""
    solution = pk.solve(inviscid(1.25), pk.Lagrangian(pk.Lines()), quiet=True)
    assert not solution.status.ok
    assert "characteristics cross at t = 1 (min J = -0.25): of use up to t = 1." in str(
        solution.status
    )
    assert "more viscosity" in str(solution.status)
    assert solution.stats["min J"] == pytest.approx(-0.25, abs=1e-6)
    assert solution.stats["time of min J"] == 1.25
    xi = np.linspace(0, 2 * np.pi, 101)
    places = (xi + 0.9 * (2 + np.sin(xi))) % (2 * np.pi)
    np.testing.assert_allclose(solution(t=0.9, x=places)["u"], 2 + np.sin(xi), rtol=0, atol=1e-8)
    assert np.isnan(solution(t=1.01, x=1.0)["u"])


class Told(Method):
    """Notes what it was given, and returns the fields on labels in another order."""

    seen: list = eqx.field(static=True)

    def supports(self, system):
        return None

    def run(self, system, run):
        self.seen.append(run)
        expressions = {"u": sin(x), "v": cos(x), "displacement": sp.S.Zero}
        inner = ClosedForm(tuple(Emitted(expressions[f], f) for f in system.fields), ("t", "x"), {})
        status = Status(False, "interrupted", interrupted=True)
        return Solution(system.problem, inner, "told", status, error_estimate={"u": 1e-3})


def test_the_run_is_handed_to_the_inner_method_as_it_is(tmp_path):
    told = Told([])
    reports = []
    solution = pk.solve(
        NONLINEAR,
        pk.Lagrangian(told),
        seconds=5.0,
        report=reports.append,
        checkpoint=tmp_path / "state.h5",
        quiet=True,
    )
    (run,) = told.seen
    assert (run.seconds, run.report, run.checkpoint) == (5.0, reports.append, tmp_path / "state.h5")
    assert solution.status.interrupted and solution.method == "Lagrangian Told"
    assert solution.problem is NONLINEAR and solution.error_estimate is None
    assert solution.stats["min J"] == 1.0
    drift = 1.0  # the mean of 1 + cos(x) + cos(x) sin(x) / 4
    found = solution(t=0.5, x=1.0)
    np.testing.assert_allclose(
        [found["u"], found["v"]], [np.sin(1 - 0.5 * drift), np.cos(1 - 0.5 * drift)]
    )


START, WALLS = pk.Initial(u, sin(pi * x)), pk.Dirichlet(u, 0)
BURGERS = pk.Equation(Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)))


def strip(*conditions):
    return pk.Problem("strip", STRIP, [*conditions])


def test_walls_at_rest_carry_labels():
    """With values that make the speed vanish, whatever makes it do so."""
    carried = pk.Equation(Eq(u.diff(t) + (u - sin(pi * t)) * u.diff(x), nu * u.diff(x, 2)))
    for problem in (
        strip(BURGERS, START, WALLS),
        strip(carried, pk.Initial(u, 0), pk.Dirichlet(u, sin(pi * t))),
        strip(pk.Equation(u.diff(t) + x * (1 - x) * u.diff(x)), START),
    ):
        system = compile_problem(problem)
        assert obstacle(system) is None
        found = on_labels(system)
        hard = {(f.field, f.region) for f in enforce(compile_problem(found.problem)).hard}
        assert found.drift == 0
        assert {("displacement", face) for face in ("x-", "x+", "initial")} <= hard


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (
            strip(pk.Equation(Eq(u.diff(t), u.diff(x, 2))), START, WALLS),
            "no advection term|no equation has an advection",
        ),
        (
            strip(BURGERS, START, pk.Dirichlet(u, t, on="x-"), pk.Dirichlet(u, 0, on="x+")),
            "characteristics cross 'x-', where the speed is t;",
        ),
        (
            strip(BURGERS, START, pk.Neumann(u, 0)),
            "characteristics cross 'x-', where the speed is u;",
        ),
        (
            ring(
                pk.Equation(Eq(u.diff(t) + u.diff(x), v)),
                pk.Equation(Eq(v.diff(t) + 2 * v.diff(x), -u)),
                pk.Initial(u, 0),
                pk.Initial(v, 0),
            ),
            "different speeds, u at 1 and v at 2",
        ),
        (
            ring(
                pk.Equation(Eq(u.diff(t, 2) + u.diff(x), 0)),
                pk.Initial(u, 0),
                pk.Initial(u.diff(t), 0),
            ),
            "second or higher time derivative",
        ),
        (
            ring(pk.Equation(u.diff(t) + (1 + x) * u.diff(x)), pk.Initial(u, 0)),
            "do not repeat with the period of x",
        ),
        (
            pk.Problem(
                "line",
                pk.Box(x=(0, 1)),
                [pk.Equation(pk.field("w", x).diff(x)), pk.Dirichlet(pk.field("w", x), 0, on="x-")],
            ),
            "no time evolution",
        ),
        (
            ring(
                pk.Equation(u.diff(t) + u.diff(x)),
                pk.Initial(u, 0),
                pk.Observed(u, at={"t": [0.1], "x": [0.5]}, values=[0.3]),
            ),
            "no condition on the boundary at each time",
        ),
    ],
)
def test_problems_whose_labels_say_nothing_are_refused(problem, reason):
    with pytest.raises(MethodError, match=reason):
        pk.solve(problem, pk.Lagrangian(), quiet=True)


def test_two_axes_are_refused():
    y = pk.coordinates("y")
    w = pk.field("w", t, x, y)
    box = pk.Box(t=(0, 1), x=(0, 1), y=(0, 1), time="t")
    given = [pk.Equation(w.diff(t) + w.diff(x)), pk.Initial(w, 0), pk.Periodic(x), pk.Periodic(y)]
    assert "along one axis in space" in (
        obstacle(compile_problem(pk.Problem("plane", box, given))) or ""
    )


def test_the_inner_method_has_its_say():
    with pytest.raises(MethodError, match="on labels, "):
        pk.solve(convection_diffusion(), pk.Lagrangian(pk.Steady()), quiet=True)
    with pytest.raises(OptionError, match="instance of another method"):
        pk.Lagrangian(pk.Lagrangian())
