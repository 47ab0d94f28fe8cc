"""Newton in quasi-linear form: quadratic convergence, shortened steps, words for failure."""

import numpy as np
import pytest

from pinnkit.errors import MethodError
from pinnkit.experts.assembly import Linear
from pinnkit.experts.newton import newton
from pinnkit.experts.rows import Rows


def scalar(function, slope):
    def linear(c):
        with np.errstate(all="ignore"):
            value, derivative = function(c), slope(c)
            own = Rows((0,), (np.diag(derivative),), derivative * c - value)
            return Linear(((value, lambda: iter([own])),))

    return linear


def solve(linear):
    block = linear.rows[0]
    with np.errstate(all="ignore"):
        return block.rhs / np.diag(block.blocks[0])


def values(c):
    return c[:, None]


def test_it_finds_roots_of_an_equation_without_source_in_few_steps():
    linear = scalar(lambda c: c**2 - 2.0, lambda c: 2.0 * c)
    found = newton(linear, solve, values, np.array([3.0, 1.0]))
    assert found.converged
    assert found.iterations <= 7
    np.testing.assert_allclose(found.coefficients, np.sqrt(2.0), rtol=1e-13)


def test_a_linear_problem_is_solved_once():
    found = newton(
        scalar(lambda c: 3.0 * c - 6.0, lambda c: 3.0 + 0 * c),
        solve,
        values,
        np.zeros(1),
        is_linear=True,
    )
    assert found.iterations == 1
    assert found.coefficients[0] == pytest.approx(2.0)


def test_a_step_into_the_undefined_is_shortened():
    """log c = 5 from c = 1.001 overshoots downwards to negative c from large c."""
    linear = scalar(lambda c: np.log(c) - 1.0, lambda c: 1.0 / c)
    found = newton(linear, solve, values, np.array([12.0]), most=40)
    assert found.converged
    assert found.coefficients[0] == pytest.approx(np.e, rel=1e-12)


def test_without_a_root_it_stops_finite_and_says_why():
    linear = scalar(lambda c: c**2 + 1.0, lambda c: 2.0 * c)
    found = newton(linear, solve, values, np.array([0.7]))
    assert not found.converged
    assert np.isfinite(found.coefficients).all()
    assert "Newton" in found.reason


def test_a_singular_start_is_refused():
    linear = scalar(lambda c: np.log(c), lambda c: 1.0 / c)
    with pytest.raises(MethodError, match="initial guess is not finite"):
        newton(linear, solve, values, np.array([-1.0]))
