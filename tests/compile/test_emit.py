"""Every allow-listed function evaluates under jit, vmap and grad; everything else is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from pinnkit import coordinates
from pinnkit.compile.emit import SINGULAR, SMOOTH, Emitted
from pinnkit.errors import UnsupportedTerm

pytestmark = pytest.mark.usefixtures("x64")
x, y = coordinates("x y")


def evaluate(expression, **z):
    return Emitted(expression, "test")({}, {k: jnp.asarray(v) for k, v in z.items()}, {})


@pytest.mark.parametrize("function", [*SMOOTH, *SINGULAR], ids=lambda f: f.__name__)
def test_function_and_gradient(function):
    argument = 1.7 if function in (sp.acosh, sp.coth, sp.acoth) else 0.37
    emitted = Emitted(function(x), "test")

    def f(value):
        return emitted({}, {"x": value}, {})

    points = jnp.array([argument, argument * 1.1])
    for value, point in zip(jax.jit(jax.vmap(f))(points), points, strict=True):
        assert value == pytest.approx(float(function(sp.Float(float(point))).evalf()), rel=1e-10)
    derivative = sp.diff(function(x), x)
    if not derivative.has(sp.Derivative, sp.Subs, sp.DiracDelta):
        exact = float(derivative.subs(x, argument).evalf())
        assert jax.grad(f)(argument) == pytest.approx(exact, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(
    "expression",
    [
        x**3 / y**2 - sp.sqrt(y) / 3,
        sp.Piecewise((x, x < 0), (y, x < 1), (x * y, True)),
        sp.Max(x, y) + sp.Min(x, 2) * sp.Heaviside(x - y),
        sp.atan2(y, x) * y ** (sp.Rational(1, 3)) + sp.pi**x,
        sp.Piecewise((1, (x > 0) & (y > 1)), (2, sp.Not(x > 0) | (y < 1)), (3, True)),
        2 ** (-x) / (1 + y**2),
    ],
    ids=str,
)
def test_composite_expressions_agree_with_sympy(expression):
    rng = np.random.default_rng(1)
    xs, ys = rng.normal(size=20), rng.uniform(0.5, 2, 20)
    ours = evaluate(expression, x=xs, y=ys)
    exact = [float(expression.subs({x: a, y: b}).evalf()) for a, b in zip(xs, ys, strict=True)]
    np.testing.assert_allclose(ours, exact, rtol=1e-12)


@pytest.mark.parametrize(
    "singular", [sp.sqrt(x), sp.log(x), 1 / x, x ** sp.Rational(2, 3), sp.acosh(1 + x)], ids=str
)
def test_guarded_branch_has_finite_gradient(singular):
    emitted = Emitted(sp.Piecewise((singular, x > 0), (0, True)), "test")

    def f(value):
        return emitted({}, {"x": value}, {})

    assert jax.grad(f)(-1.0) == 0
    assert jax.grad(f)(0.0) == 0
    assert jnp.isfinite(jax.grad(f)(0.5))


def test_constant_has_the_shape_of_the_points():
    assert evaluate(sp.Integer(0), x=np.zeros(7)).shape == (7,)


@pytest.mark.parametrize("expression", [sp.besselj(0, x), sp.zeta(x), sp.DiracDelta(x)], ids=str)
def test_unknown_functions_are_refused(expression):
    with pytest.raises(UnsupportedTerm, match="cannot be compiled. Known functions"):
        Emitted(expression, "test")
