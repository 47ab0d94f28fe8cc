"""Operators whose outputs are combined by a constraint layer."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import pinnkit as pk
from pinnkit.errors import OptionError
from pinnkit.nn import FNO


def heat():
    """Random states of four waves, which decay."""
    t, x = pk.coordinates("t x")
    law = pk.GaussianField(1, 5, 2, zero_mean=True, modes=4)
    u, a = pk.field("u", t, x), pk.input_function("a", x, law=law)
    equation = pk.Equation(u.diff(t) - 0.01 * u.diff(x, 2))
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    return pk.Problem("heat", box, (equation, pk.Initial(u, a), pk.Periodic(x)))


def learned(steps, constraint, samples=20):
    method = pk.Operator(
        FNO(8, 5, 2),
        samples=samples,
        resolution=16,
        frames=15,
        steps=steps,
        batch=4,
        learning_rate=5e-3,
        physics=pk.Physics(data=0),
        constraint=constraint,
    )
    return pk.solve(heat(), method, quiet=True)


@pytest.mark.accuracy
@pytest.mark.usefixtures("x64")
def test_functions_learned_through_the_solve_without_any_solution(tmp_path):
    """The first frame of an input never seen is exact, as are kept files."""
    solution = learned(60, pk.HardConstraint(basis=6))
    x = np.arange(16) / 16
    function = jnp.asarray(np.cos(2 * np.pi * x) - 0.3 * np.sin(6 * np.pi * x))
    field = solution.evaluator
    found = eqx.filter_jit(field.on_grid)(function)
    assert jnp.allclose(found[0, 0], function, atol=1e-12)
    residuals = solution.history["loss"]
    assert residuals[-1] < 0.8 * residuals[0]
    again = pk.Solution.load(solution.save(tmp_path / "run.h5"))
    assert np.array_equal(again(t=0.5, x=0.3)["u"], solution(t=0.5, x=0.3)["u"])


def test_errors():
    with pytest.raises(OptionError, match="a network on grids"):
        pk.Operator(constraint=pk.HardConstraint())
