"""The start by least squares: the dense solution, nonlinear problems, what stays untouched."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from sympy import Eq, pi, sin
from training_objectives import Rosenbrock

from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError
from pinnkit.geometry import Box
from pinnkit.nn import MLP, Factorized
from pinnkit.objective import Trial, residual_objective
from pinnkit.objective.sampling import Even
from pinnkit.spec.condition import Dirichlet, Equation, Initial
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, field, parameter
from pinnkit.training import LastLayer, Objective, Rows, fit

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(3)
t, x = coordinates("t x")
u = field("u", t, x)
nu = parameter("nu", 0.1)


class Waves(Objective):
    """Data at points by a sum of cosines, whose amplitudes are the head."""

    places: jax.Array
    data: jax.Array

    def sample(self, key, params, step, previous=None):
        return jnp.zeros(0)

    def loss(self, params, batch):
        (part,) = self.rows(params, batch)
        value = jnp.sum(part.values(params) ** 2)
        return value, {"value": value}

    def rows(self, params, batch):
        def miss(p, place):
            z, b = place
            return (p["a"] @ jnp.cos(p["k"] * z) - b)[None]

        count = self.places.size
        return (Rows(miss, (self.places, self.data), jnp.full((count, 1), count**-0.5)),)

    def head(self, params):
        return (params["a"],)


@pytest.mark.parametrize("points", [40, 5], ids=["over-determined", "under-determined"])
def test_one_step_is_the_dense_solution(points):
    rng = np.random.default_rng(0)
    places, start, k = rng.uniform(-1, 1, points), rng.standard_normal(7), 1.5 * np.arange(7)
    data = np.exp(places)
    begin = {"a": jnp.asarray(start), "k": jnp.asarray(k)}
    objective = Waves(jnp.asarray(places), jnp.asarray(data))
    found = fit(objective, begin, (LastLayer(damping=0.0),), key=KEY)
    matrix = np.cos(places[:, None] * k[None, :])
    change = np.linalg.lstsq(matrix, data - matrix @ start, rcond=None)[0]
    np.testing.assert_allclose(found.params["a"], start + change, rtol=1e-10, atol=1e-10)
    assert jnp.array_equal(found.params["k"], begin["k"])


def heat():
    """Heat equation with a source, all conditions soft."""
    conditions = [
        Equation(Eq(u.diff(t), nu * u.diff(x, 2) + u), name="heat"),
        Initial(u, sin(pi * x), name="start"),
        Dirichlet(u, 0, on=("x-", "x+"), name="ends"),
    ]
    return compile_problem(Problem("heat", Box(t=(0, 1), x=(0, 1), time="t"), conditions))


def test_a_linear_problem_with_soft_conditions_and_an_unknown_number():
    system, network = heat(), Factorized(MLP(8, 1)).build(2, 1, key=jax.random.key(1))
    objective = residual_objective(system, system.conditions, points=64, sampling=Even())
    trial = Trial(network, {"nu": jnp.asarray(0.3)})
    found = fit(objective, trial, (LastLayer(damping=0.0),), key=KEY)
    head, first = trial.function.head, jax.random.fold_in(jax.random.fold_in(KEY, 0), 0)
    vector, unravel = ravel_pytree(head)

    @jax.jit
    def residuals(vectors):
        batch = objective.sample(first, trial, jnp.zeros((), int))
        new = lambda v: eqx.tree_at(lambda p: p.function.head, trial, unravel(v))  # noqa: E731
        return jax.vmap(lambda v: objective.residuals(new(v), batch))(vectors)

    trained, _ = ravel_pytree(found.params.function.head)
    beside = vector[None, :] + jnp.eye(vector.size)
    values = residuals(jnp.concatenate([vector[None, :], trained[None, :], beside]))
    before, after, *columns = np.asarray(values)
    matrix = np.stack(columns, axis=1) - before[:, None]  # the residuals are affine in the head
    change = np.linalg.lstsq(matrix, -before, rcond=None)[0]
    np.testing.assert_allclose(after, before + matrix @ change, atol=1e-10)
    assert found.params.unknown["nu"] == 0.3
    rest = eqx.tree_at(lambda p: p.function.head, found.params, head)
    assert eqx.tree_equal(rest, trial)


class Squared(Waves):
    """Data by the square of the sum."""

    def rows(self, params, batch):
        def miss(p, place):
            z, b = place
            return ((p["a"] @ jnp.cos(p["k"] * z)) ** 2 - b)[None]

        (part,) = super().rows(params, batch)
        return (Rows(miss, part.places, part.weights),)


def test_a_nonlinear_problem_descends_in_every_step():
    places = jnp.linspace(-1, 1, 30)
    begin = {"a": jnp.array([0.1, -2.0, 0.5]), "k": jnp.arange(3.0)}
    objective = Squared(places, jnp.exp(places))
    found = fit(objective, begin, (LastLayer(steps=6),), key=KEY, record_every=1)
    losses = [float(objective.loss(begin, None)[0]), *found.history["loss"]]
    assert np.all(np.diff(losses) <= 0) and losses[-1] < 0.5 * losses[0]


class Pole(Waves):
    """Not a number for large amplitudes, among them the least-squares solution."""

    def rows(self, params, batch):
        (part,) = super().rows(params, batch)
        fine = lambda p: jnp.where(p["a"] @ p["a"] < 0.3, 1.0, jnp.nan)  # noqa: E731
        return (Rows(lambda p, z: fine(p) * part.function(p, z), part.places, part.weights),)


def test_steps_are_damped_until_the_loss_is_finite_and_falls():
    places = jnp.linspace(-1, 1, 20)
    begin = {"a": jnp.zeros(3), "k": jnp.arange(3.0)}
    stage = LastLayer(damping=0.0)
    found = fit(Pole(places, jnp.exp(places)), begin, (stage,), key=KEY)
    before, _ = Waves(places, jnp.exp(places)).loss(begin, None)
    assert jnp.isfinite(found.state.loss) and found.state.loss < before
    assert found.state.memory.rejected > 0


def test_a_network_without_a_head_is_refused():
    with pytest.raises(MethodError, match=r"LastLayer needs a network that names its last layer"):
        fit(Rosenbrock(), jnp.zeros(4), (LastLayer(),), key=KEY)
