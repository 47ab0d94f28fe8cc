"""The closed form as a method."""

import numpy as np
import pytest
from sympy import Eq, cos, exp, pi, sin

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, parameter, precision
from pinnkit.compile import compile_problem
from pinnkit.methods.base import Run
from pinnkit.methods.exact import Exact


def poisson(**more):
    x, y = coordinates("x y")
    u, k = field("u", x, y), parameter("k", 2)
    exact = sin(k * pi * x) * exp(y) * cos(y)
    return Problem(
        "poisson",
        Box(x=(0, 1), y=(0, 1)),
        (
            Equation(Eq(u.diff(x, 2) + u.diff(y, 2), exact.diff(x, 2) + exact.diff(y, 2))),
            Dirichlet(u, exact),
        ),
        **({"exact": {u: exact}} | more),
    )


def run(problem, kind="float64"):
    import jax

    with precision.scope(kind):
        return Exact().run(compile_problem(problem), Run(jax.random.key(0), precision=kind))


def test_values_follow_the_parameters():
    x, y = np.random.default_rng(0).uniform(size=(2, 40))
    for k in (2.0, 3.0):
        solution = run(poisson(parameters={"k": k}))
        expected = np.sin(k * np.pi * x) * np.exp(y) * np.cos(y)
        np.testing.assert_allclose(solution(x=x, y=y)["u"], expected, rtol=1e-12, atol=1e-14)
    assert solution.error_estimate == {"u": 0.0}
    assert solution.status.ok


def test_without_exact_solution_it_is_refused():
    problem = poisson(exact=None)
    assert "no exact solution" in (Exact().supports(compile_problem(problem)) or "")
    assert Exact().supports(compile_problem(poisson())) is None


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_precision_is_that_of_the_run(kind):
    assert run(poisson(), kind)(x=0.25, y=0.5)["u"].dtype == np.dtype(kind)
