"""Every mistake in a declaration has its own message, with the culprit and the mend."""

import numpy as np
import pytest
import sympy as sp

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Integral,
    Neumann,
    Observed,
    Periodic,
    Problem,
    Robin,
    coordinates,
    field,
    parameter,
)
from pinnkit.errors import PinnkitError, SpecError

t, x = coordinates("t x")
u = field("u", t, x)
SPACE_TIME = Box(t=(0, 1), x=(-1, 1), time="t")
HEAT = Equation(sp.Eq(u.diff(t), u.diff(x, 2)))
START = Initial(u, sp.sin(sp.pi * x))
ENDS = Dirichlet(u, 0, on=("x-", "x+"))


def problem(*conditions, domain=SPACE_TIME, **options):
    return Problem("test", domain, conditions, **options)


def test_complete_problem_passes():
    assert problem(HEAT, START, ENDS).field_names == ("u",)


MISTAKES = {
    "no equation": ([START, ENDS], "has no equation"),
    "initial missing": ([HEAT, ENDS], r"order 1 in t and needs 1 initial .* Add Initial\(u, "),
    "initial of order too high": (
        [HEAT, START, ENDS, Initial(u.diff(t), 0)],
        "one of order 1 is too many",
    ),
    "initial twice": ([HEAT, START, START, ENDS], "two initial conditions of order 0"),
    "velocity missing": (
        [Equation(sp.Eq(u.diff(t, 2), u.diff(x, 2))), START, ENDS],
        r"needs 2 initial conditions, found 1. Add Initial\(u.diff\(t, 1\)",
    ),
    "boundary missing": (
        [HEAT, START, Dirichlet(u, 0, on="x-")],
        r"needs 1 condition\(s\) on 'x\+', found 0",
    ),
    "boundary surplus": (
        [HEAT, START, ENDS, Neumann(u, 0, on="x-")],
        "takes 2 conditions at the ends of x, found 3. Remove 1",
    ),
    "boundary repeated": (
        [HEAT, START, ENDS, Dirichlet(u, 0, on="x-")],
        "both set .* on 'x-'. Remove one",
    ),
    "fourth order takes two at each end": (
        [Equation(sp.Eq(u.diff(t), -u.diff(x, 4))), START, ENDS],
        "needs 2 condition",
    ),
    "odd order": (
        [Equation(sp.Eq(u.diff(t), u.diff(x))), START],
        r"order 1 in x and needs 1 conditions at the ends of x, found 0",
    ),
    "unknown region": ([HEAT, START, Dirichlet(u, 0, on="left")], "'left' does not exist"),
    "corner": (
        [HEAT, START, Dirichlet(u, 1, on=("x-", "x+"))],
        r"disagree where they meet: at .* the values are .* \(mismatch 1\)",
    ),
    "periodic and value": ([HEAT, START, ENDS, Periodic("x")], "x is periodic. Remove one"),
    "periodic twice": ([HEAT, START, Periodic("x"), Periodic("x")], "given 2 times"),
    "value at a point": (
        [Equation(sp.Eq(u.diff(t), u.subs(x, 0))), START, ENDS],
        "is a value at a point. State it as a condition",
    ),
    "integral in an equation": (
        [Equation(sp.Eq(u.diff(t), sp.Integral(u, x) + u.diff(x, 2))), START, ENDS],
        "integral inside an equation",
    ),
    "foreign symbol": (
        [Equation(sp.Eq(u.diff(t), sp.Symbol("k") * u.diff(x, 2))), START, ENDS],
        "symbol 'k' was not declared",
    ),
    "lookalike coordinate": (
        [Equation(sp.Eq(u.diff(t), u.diff(x, 2) + sp.Symbol("x"))), START, ENDS],
        "symbol 'x' was not declared",
    ),
    "foreign function": (
        [Equation(sp.Eq(u.diff(t), sp.Function("g")(x) + u.diff(x, 2))), START, ENDS],
        "was not declared",
    ),
    "parameter without value": (
        [Equation(sp.Eq(u.diff(t), parameter("k") * u.diff(x, 2))), START, ENDS],
        "Parameter 'k' has no value",
    ),
    "parameter declared twice": (
        [
            Equation(sp.Eq(u.diff(t), parameter("k", 1) * u.diff(x, 2))),
            START,
            Dirichlet(u, (parameter("k", 2) - 2) * x, on=("x-", "x+")),
        ],
        "'k' stands for different things",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named(mistake):
    conditions, message = MISTAKES[mistake]
    with pytest.raises(SpecError, match=message):
        problem(*conditions)


def test_priority_settles_a_corner():
    def walls(priority):
        return Dirichlet(u, 1, on=("x-", "x+"), priority=priority)

    with pytest.raises(SpecError, match="priority=1; the other then yields"):
        problem(HEAT, START, walls(0))
    settled = problem(HEAT, START, walls(1))
    assert [c.priority for c in settled.conditions] == [0, 0, 1]


def test_field_must_fit_the_domain():
    y = coordinates("y")
    v = field("v", y)
    with pytest.raises(SpecError, match="coordinate 'y' is no axis|does not fit"):
        problem(Equation(v.diff(y, 2)), domain=Box(x=(0, 1)))


def test_pressure_takes_no_initial_condition():
    p = field("p", t, x)
    with pytest.raises(SpecError, match="'p' is of order 0 in t.*too many"):
        problem(HEAT, Equation(sp.Eq(p, u)), START, ENDS, Initial(p, 0))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: coordinates(""), "names no coordinate"),
        (lambda: coordinates("2x"), "not a name"),
        (lambda: field("u"), "depends on no coordinate"),
        (lambda: field("u", sp.Symbol("x")), "not a coordinate"),
        (lambda: parameter("nu", sp.Symbol("a")), "not a number"),
        (lambda: parameter("nu", float("nan")), "finite"),
        (lambda: Dirichlet(x, 0), "not an unknown field"),
        (lambda: Dirichlet(u, sp.oo), "not finite"),
        (lambda: Dirichlet(u, [0, 1]), "not a"),
        (lambda: Dirichlet(u, 0, on=()), "names no region"),
        (lambda: Robin(u, 1, "a + b"), "not a number or a SymPy expression"),
        (lambda: Equation(sp.Eq(x, x)), "already decided"),
        (lambda: Observed(u, {"t": [0.0], "x": [[0.0]]}, [0.0]), r"shape \(1, 1\)"),
        (lambda: Observed(u, {"t": [0.0], "x": [0.0]}, [np.nan]), "1 non-finite"),
    ],
)
def test_bad_symbols_and_conditions(build, message):
    with pytest.raises(SpecError, match=message):
        build()


@pytest.mark.parametrize("symbol", [sp.Symbol("x"), sp.Symbol("x", real=True), "x"])
def test_a_lookalike_of_a_coordinate_does_not_make_a_term_vanish(symbol):
    for derivative in (lambda: u.diff(symbol, 2), lambda: sp.diff(u, t, (symbol, 2))):
        with pytest.raises(SpecError, match=r"'u' is differentiated .* coordinates\(\"t x\"\)"):
            derivative()


def test_a_lookalike_in_a_derivative_that_is_not_carried_out():
    lookalike = sp.Derivative(u**2, sp.Symbol("x"))
    with pytest.raises(SpecError, match="not its coordinate of that name"):
        problem(Equation(sp.Eq(u.diff(t), lookalike)), START, ENDS)


def test_a_field_does_not_vary_along_the_coordinates_of_others():
    assert u.diff(coordinates("y")) == 0 and u.diff(sp.Symbol("k")) == 0
    xi = coordinates("xi")
    w = field("w", xi)
    assert (w**2).diff(w) == 2 * w and sp.diff(w.diff(xi) ** 2, w.diff(xi)) == 2 * w.diff(xi)


def test_replace_knows_its_parameters():
    nu = parameter("nu", 0.1)
    burgers = problem(Equation(sp.Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2))), START, ENDS)
    assert burgers.replace(parameters={"nu": 0.2}).parameter_values == {"nu": 0.2}
    assert burgers.parameter_values == {"nu": 0.1}
    with pytest.raises(SpecError, match="no parameter 'mu'. Its parameters: nu"):
        burgers.replace(parameters={"mu": 0.2})
    with pytest.raises(SpecError, match="finite"):
        burgers.replace(parameters={"nu": float("inf")})


def test_errors_are_one_family():
    assert issubclass(SpecError, PinnkitError)


def test_ordinary_differential_equations():
    s = coordinates("s")
    y = field("y", s)
    Problem("ivp", Box(s=(0, 1), time="s"), [Equation(y.diff(s) + y), Initial(y, 1)])
    Problem(
        "bvp",
        Box(s=(0, 1)),
        [Equation(y.diff(s, 2) + y), Dirichlet(y, 1, on="s-"), Neumann(y, 0, on="s-")],
    )
    with pytest.raises(SpecError, match="needs 2 conditions at the ends of s, found 1"):
        Problem("bvp", Box(s=(0, 1)), [Equation(y.diff(s, 2) + y), Dirichlet(y, 1, on="s-")])


def test_integral_condition_is_accepted():
    p = Problem("mean", Box(x=(-1, 1), t=(0, 1), time="t"), [HEAT, START, ENDS, Integral(u, 0)])
    assert "integral" in p.summary()
