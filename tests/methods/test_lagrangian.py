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

t, x, y = pk.coordinates("t x y")
u, v, w = pk.field("u", t, x), pk.field("v", t, x), pk.field("w", x)
nu, c = pk.parameter("nu", 0.1), pk.parameter("c", 3)
TURN = 2 * np.pi


def ring(*conditions):
    """Periodic in x."""
    domain = pk.Box(t=(0, 1), x=(0, 2 * pi), time="t")
    return pk.Problem("ring", domain, [*conditions, pk.Periodic(x)])


def strip(*conditions):
    return pk.Problem("strip", pk.Box(t=(0, 1), x=(0, 1), time="t"), [*conditions])


def posed_on_labels(problem):
    """The problem on labels, its field D and the number `drift`."""
    found = on_labels(compile_problem(problem))
    return found.problem, found.problem.field(found.displacement), found.drift


CARRIED = ring(
    pk.Equation(Eq(u.diff(t) + c * u.diff(x), nu * u.diff(x, 2))), pk.Initial(u, 2 + sin(x))
)
SPEED = u + cos(x) * v / 4
NONLINEAR = ring(
    pk.Equation(
        Eq(u.diff(t) + SPEED * u.diff(x), nu * (u * u.diff(x)).diff(x) - sin(x) * u.diff(x, 3))
    ),
    pk.Equation(Eq(v.diff(t) + SPEED * v.diff(x), v * u.diff(x, 2) - c * v.diff(x) ** 2)),
    pk.Initial(u, 1 + cos(x)),
    pk.Initial(v, sin(x)),
)


def test_known_solutions_satisfy_the_problem_on_labels():
    """U = 2 + exp(-nu t) sin(xi) on X = xi + c t, by SymPy alone, for all nu and c."""
    problem, displacement, drift = posed_on_labels(CARRIED)
    assert drift == 3
    known = {u: 2 + exp(-nu * t) * sin(x), displacement: (c - 3) * t}
    for condition in problem.conditions:
        found = condition.residual.subs(known, simultaneous=True).doit()
        found = found.subs(t, 0) if condition.kind is Kind.INITIAL else found
        assert sp.simplify(sp.nsimplify(found)) == 0, condition.name


class AtPlaces:
    """u(t, x) = U(t, xi) by a root of X(t, xi) = x, with mpmath alone."""

    def __init__(self, profile, place):
        self.profile, self.place = (sp.lambdify([t, x], e, "mpmath") for e in (profile, place))

    def __call__(self, time, at):
        return self.profile(time, mpmath.findroot(lambda xi: self.place(time, xi) - at, at))


def test_residuals_on_labels_are_those_at_places():
    """J^m (R + (X_t - a) u_x) on labels, for any smooth U and D, with R the residual at places.

    Derivatives at places are differences with 60 digits.
    """
    problem, displacement, drift = posed_on_labels(NONLINEAR)
    smooth = {
        u: 1 + cos(x + 2 * t) / 2 + sin(2 * x) * t / 3,
        v: sin(x - t) + cos(2 * x) / 4,
        displacement: t * (sin(x) / 3 + cos(2 * x + t) / 8) - sp.Float(drift) * t,
    }
    place = x + sp.Float(drift) * t + smooth[displacement]
    with mpmath.workdps(60):
        label, time = mpmath.mpf("1.3"), mpmath.mpf("0.7")
        given = {nu: sp.Rational(1, 10), c: sp.Integer(3)}

        def number(expression, *tables):
            for table in (*tables, given):
                expression = sp.sympify(expression.xreplace(table))
            return sp.N(expression, 40)

        def on_label(expression):
            at = {x: sp.sympify(label), t: sp.sympify(time)}
            return number(expression.subs(smooth, simultaneous=True).doit(), at)

        here = {x: on_label(place), t: sp.sympify(time), u: on_label(u), v: on_label(v)}
        fields = {f: AtPlaces(smooth[f], place) for f in (u, v)}
        equations = [e.residual.doit() for e in NONLINEAR.conditions[:2]]
        slopes = {d for e in equations for d in e.atoms(sp.Derivative)}
        point = (time, mpmath.mpf(str(here[x])))
        terms = {
            d: sp.sympify(
                mpmath.diff(fields[d.expr], point, tuple(d.variables.count(a) for a in (t, x)))
            )
            for d in slopes
        }
        found = {e.name: on_label(e.residual) for e in problem.conditions[:3]}
        jacobian = on_label(1 + displacement.diff(x))
        for field, equation, power in zip((u, v), equations, (5, 3), strict=True):
            carried = found["characteristics"] * terms[field.diff(x)]
            expected = jacobian**power * (number(equation, terms, here) + carried)
            assert abs(expected) > 1e-2
            name = f"rate of {type(field).__name__}"
            assert abs(found[name] / expected - 1) < 1e-9


class Known(Method):
    """Returns expressions as the fields on labels, and notes what it was given."""

    fields: dict[str, sp.Expr] = eqx.field(static=True)
    status: Status = eqx.field(static=True, default=Status(True, "known"))
    seen: list = eqx.field(static=True, default_factory=list)

    def supports(self, system):
        return None

    def run(self, system, run):
        self.seen.append(run)
        expressions = tuple(Emitted(sp.sympify(self.fields[f]), f) for f in system.fields)
        inner = ClosedForm(expressions, ("t", "x"), system.parameters)
        return Solution(system.problem, inner, "known", self.status, error_estimate={"u": 0.0})


def solved(problem, **fields):
    return pk.solve(problem, pk.Lagrangian(Known(fields)), quiet=True)


def test_solutions_at_places_are_evaluated_and_differentiated_exactly(tmp_path):
    """The residual report differentiates through the search for labels."""
    solution = solved(CARRIED, u=2 + exp(-nu * t) * sin(x), displacement=(c - 3) * t)
    assert solution.status.ok and solution.stats["min J"] == 1.0
    ts, xs = np.linspace(0, 1, 11)[:, None], np.linspace(0, TURN, 13)[None, :]
    expected = 2 + np.exp(-0.1 * ts) * np.sin(xs - 3 * ts)
    np.testing.assert_allclose(solution(t=ts, x=xs)["u"], expected, rtol=0, atol=1e-14)
    assert max(residual_rms(solution).values()) < 1e-13
    again = pk.Solution.load(solution.save(tmp_path / "moving.h5"))
    np.testing.assert_array_equal(again(t=ts, x=xs)["u"], solution(t=ts, x=xs)["u"])


def test_derivatives_are_those_of_the_implicit_function(x64):
    """u_x = U_xi / J, u_xx = (u_x)_xi / J, u_t = U_t - X_t u_x, where J goes down to 0.17."""
    displaced, profile = t * (sin(x) + cos(3 * x) / 8), exp(sin(x)) + t * cos(2 * x)
    inner = ClosedForm((Emitted(displaced, "D"), Emitted(profile, "U")), ("t", "x"), {})
    field = LabelledField(inner, (1,), 0, -7.5, 0.0, np.inf, 0, (0, TURN), True)
    motion, first = displaced.diff(t) - 7.5, profile.diff(x) / (1 + displaced.diff(x))
    second, rate = first.diff(x) / (1 + displaced.diff(x)), profile.diff(t) - motion * first
    xi = np.linspace(0.01, 6.2, 40)

    @jax.jit
    def found(xi):
        at = field.at(jnp.array(0.6), xi)
        points = field.at(jnp.array(0.6), field.places(at) % TURN)
        value = lambda z: field(z)[:, 0]  # noqa: E731
        along = [jnp.zeros_like(points).at[:, i].set(1.0) for i in (0, 1)]
        slope = lambda z: jax.jvp(value, (z,), (along[1],))[1]  # noqa: E731
        u_t = jax.jvp(value, (points,), (along[0],))[1]
        return labels(field, points), *jax.jvp(slope, (points,), (along[1],)), u_t

    label, *slopes = found(xi)
    np.testing.assert_allclose(label, xi, rtol=0, atol=1e-13)
    for slope, expression in zip(slopes, (first, second, rate), strict=True):
        expected = sp.lambdify([t, x], expression)(0.6, xi)
        np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_labels_are_found_for_random_weights(x64, key):
    """A network with J down to 0.05, on a drift of four fifths of the domain."""
    problem, *_ = posed_on_labels(CARRIED)
    system = compile_problem(problem)
    ansatz = build_ansatz(enforce(system), pk.nn.MLP(12, 2), key=key)
    column, spots = system.fields.index("displacement"), jnp.linspace(0, TURN, 1001)

    def field_of(scale):
        parts = tuple(dataclasses.replace(k, scale=scale) for k in ansatz.constraints)
        scaled = Pointwise(eqx.tree_at(lambda a: a.constraints, ansatz, parts))
        return LabelledField(scaled, (0,), column, 5.0, 0.0, np.inf, 0, (0, TURN), True)

    plain = field_of(1.0)
    slopes = eqx.filter_jit(plain.jacobian)(plain.at(jnp.array(1.0), spots)) - 1
    field = field_of(0.95 / float(-slopes.min()))
    times = jnp.linspace(0, 1, 1001)

    @eqx.filter_jit
    def found(field, points):
        label = labels(field, points)
        return label, field.places(field.at(points[:, 0], label)) - points[:, 1]

    label, gap = found(field, field.at(times, spots))
    assert jnp.all((label >= 0) & (label <= TURN))
    np.testing.assert_allclose(gap / TURN, jnp.round(gap / TURN), rtol=0, atol=3e-15)


INVISCID = ring(pk.Equation(u.diff(t) + u * u.diff(x)), pk.Initial(u, 2 + sin(x)))


def test_characteristics_cross_at_the_time_of_the_first_shock():
    """u = 2 + sin(xi) on x = xi + u t, until J = 1 + t cos(xi) vanishes at t = 1."""
    late = INVISCID.replace(domain=pk.Box(t=(0, 1.25), x=(0, 2 * pi), time="t"))
    solution = solved(late, u=2 + sin(x), displacement=t * sin(x))
    words = str(solution.status)
    assert not solution.status.ok
    assert "characteristics cross at t = 1 (min J = -0.25): of use up to t = 1." in words
    assert "more viscosity" in words
    assert solution.stats["min J"] == pytest.approx(-0.25, abs=1e-12)
    assert solution.stats["time of min J"] == 1.25
    xi = np.linspace(0, TURN, 41)
    places = (xi + 0.9 * (2 + np.sin(xi))) % TURN
    np.testing.assert_allclose(solution(t=0.9, x=places)["u"], 2 + np.sin(xi), rtol=0, atol=1e-13)
    assert np.isnan(solution(t=1.01, x=places)["u"]).all()


def test_the_run_is_handed_to_the_inner_method_as_it_is(tmp_path):
    fields = {"u": sin(x), "v": cos(x), "displacement": 0}
    known = Known(fields, Status(False, "interrupted", interrupted=True))
    options = {"seconds": 5.0, "report": print, "checkpoint": tmp_path / "state.h5"}
    solution = pk.solve(NONLINEAR, pk.Lagrangian(known), quiet=True, **options)
    (run,) = known.seen
    assert {name: getattr(run, name) for name in options} == options
    assert solution.status.interrupted and solution.method == "Lagrangian Known"
    assert solution.problem is NONLINEAR and solution.error_estimate is None
    found = solution(t=0.5, x=1.0)  # the mean initial speed is 1
    assert found["u"] == pytest.approx(np.sin(0.5), abs=1e-12)
    assert found["v"] == pytest.approx(np.cos(0.5), abs=1e-12)


START, WALLS = pk.Initial(u, sin(pi * x)), pk.Dirichlet(u, 0)
BURGERS = pk.Equation(Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)))


@pytest.mark.parametrize(
    "problem",
    [
        strip(BURGERS, START, WALLS),
        strip(
            pk.Equation(Eq(u.diff(t) + (u - sin(pi * t)) * u.diff(x), nu * u.diff(x, 2))),
            pk.Initial(u, 0),
            pk.Dirichlet(u, sin(pi * t)),
        ),
        strip(
            pk.Equation(u.diff(t) + x * (1 - x) * u.diff(x)),
            START,
            pk.Dirichlet(u, 0, on="x-"),
        ),
    ],
)
def test_walls_at_rest_keep_their_labels(problem):
    system = compile_problem(problem)
    assert obstacle(system) is None
    found = on_labels(system)
    hard = {(f.field, f.region) for f in enforce(compile_problem(found.problem)).hard}
    assert found.drift == 0
    assert {("displacement", face) for face in ("x-", "x+", "initial")} <= hard


REFUSED = [
    (strip(pk.Equation(Eq(u.diff(t), u.diff(x, 2))), START, WALLS), "no equation has an advection"),
    (
        strip(BURGERS, START, pk.Dirichlet(u, t, on="x-"), pk.Dirichlet(u, 0, on="x+")),
        "characteristics cross 'x-', where the speed is t;",
    ),
    (strip(BURGERS, START, pk.Neumann(u, 0)), "characteristics cross 'x-', where the speed is u;"),
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
        ring(pk.Equation(u.diff(t, 2) + u.diff(x)), pk.Initial(u, 0), pk.Initial(u.diff(t), 0)),
        "second or higher time derivative",
    ),
    (
        ring(pk.Equation(u.diff(t) + (1 + x) * u.diff(x)), pk.Initial(u, 0)),
        "do not repeat with the period of x",
    ),
    (
        pk.Problem("line", pk.Box(x=(0, 1)), [pk.Equation(w.diff(x)), pk.Dirichlet(w, on="x-")]),
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
]


@pytest.mark.parametrize(("problem", "reason"), REFUSED)
def test_problems_that_labels_do_not_suit_are_refused(problem, reason):
    with pytest.raises(MethodError, match=reason):
        pk.solve(problem, pk.Lagrangian(), quiet=True)


def test_two_axes_are_refused():
    z = pk.field("z", t, x, y)
    box = pk.Box(t=(0, 1), x=(0, 1), y=(0, 1), time="t")
    given = [pk.Equation(z.diff(t) + z.diff(x)), pk.Initial(z, 0), pk.Periodic(x), pk.Periodic(y)]
    reason = obstacle(compile_problem(pk.Problem("plane", box, given)))
    assert "along one axis in space" in (reason or "")


def test_the_inner_method_has_its_say():
    with pytest.raises(MethodError, match="on labels, "):
        pk.solve(CARRIED, pk.Lagrangian(pk.Steady()), quiet=True)
    with pytest.raises(OptionError, match="instance of another method"):
        pk.Lagrangian(pk.Lagrangian())
