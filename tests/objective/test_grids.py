"""Equations on tensor grids by factors against the same equations place by place."""

import dataclasses
from functools import cache
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnkit
from pinnkit.ansatz import build_ansatz, enforce
from pinnkit.ansatz.factors import factors, lift_of
from pinnkit.compile import compile_problem
from pinnkit.derivatives.channels import propagate
from pinnkit.derivatives.separable import contracted, factor_tables
from pinnkit.errors import OptionError
from pinnkit.nn import MLP, Separable
from pinnkit.objective import Causal, TimeSlabs, Trial, residual_objective
from pinnkit.objective.grids import GridPlaces
from pinnkit.objective.sampling import Even, Grid
from pinnkit.objective.weighting import NTK, Attention

pytestmark = pytest.mark.usefixtures("x64")
PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
KEY = jax.random.key(0)
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def quick(function, *args):
    return jax.jit(function, compiler_options=QUICK)(*args)


@cache
def posed(name):
    return compile_problem(pinnkit.load(PROBLEMS / f"{name}.py"))


def trial(system, key=KEY):
    ansatz = build_ansatz(enforce(system), Separable(3, MLP(5, 2)), key=key)
    return Trial(ansatz, {})


def objective(system, points=90, sampling=Grid(nodes=3), **options):  # noqa: B008
    soft = enforce(system).soft
    return residual_objective(system, soft, points=points, sampling=sampling, **options)


@eqx.filter_jit
def sampled(loss, own, key=KEY, previous=None):
    return loss.sample(key, own, jnp.zeros((), int), previous)


def everywhere(loss, batch):
    """The objective that takes the same places one by one, and its batch."""
    pairs = zip(loss.equations, batch.places, strict=False)
    parts = [part.pointwise(places) for part, places in pairs]
    number = len(parts)
    plain = dataclasses.replace(loss, equations=tuple(block for block, _ in parts), sampling=Even())
    places = (*(where for _, where in parts), *batch.places[number:])
    return plain, dataclasses.replace(batch, places=places)


@pytest.mark.parametrize("name", ["heat1d", "helmholtz3d", "taylor_green", "ks_classic"])
def test_every_derivative_of_the_sum_of_products(name):
    """Gates, periodic axes, several fields, two and three axes, and an operator of them all."""
    system = posed(name)
    ansatz, rng = trial(system).function, np.random.default_rng(3)
    axes = tuple(
        jnp.asarray(rng.uniform(*system.domain.bounds[axis], (2, 3 + i)))
        for i, axis in enumerate(system.axes)
    )
    d = len(axes)
    orders = [(1,) * d, (2,) + (0,) * (d - 1), (0,) * (d - 1) + (4,), (0,) * d]
    operator = {a: 0.3 + i for i, a in enumerate(orders)}
    points = GridPlaces(axes).points

    def both(points):
        expected = propagate(ansatz, points, orders)
        lift = lift_of(ansatz)
        if lift is not None:
            known = propagate(lift, points, orders)
            expected = {a: expected[a] - known[a] for a in orders}
        tables = factor_tables(factors(ansatz), axes, orders)
        columns = range(len(system.fields))
        pairs = [
            (contracted(tables, c, {a: 1.0}), expected[a][:, c]) for a in orders for c in columns
        ]
        whole = sum(value * expected[a] for a, value in operator.items())
        return pairs + [(contracted(tables, c, operator), whole[:, c]) for c in columns]

    assert lift_of(ansatz) is None or name in ("heat1d", "ks_classic", "taylor_green")
    for found, expected in quick(both, points):
        size = float(jnp.abs(expected).max())
        np.testing.assert_allclose(found.ravel(), expected, rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize("name", ["heat1d", "wave1d", "helmholtz3d", "taylor_green", "burgers"])
def test_residuals_are_those_of_the_places_one_by_one(name):
    system = posed(name)
    own, loss = trial(system), objective(system)
    part = loss.equations[0]

    def both(arrays):
        where = sampled(loss, own).places[0]
        block, places = part.pointwise(where)
        return (
            part.values(own.function, system.parameters, where),
            block.values(own.function, system.parameters, places),
        )

    found, expected = quick(both, 0.0)
    assert set(found) == set(expected) == {r.name for r in system.equations}
    for name, value in expected.items():
        size = float(jnp.abs(value).max())
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"slabs": TimeSlabs(0.0, 1.0, Causal((1.0,), 4))},
        {"weighting": Attention(groups=NTK(places=9))},
    ],
    ids=["plain", "causal", "attention"],
)
def test_loss_and_gradient_are_those_of_the_places_one_by_one(options):
    system = posed("wave1d")
    own, loss = trial(system), objective(system, **options)
    arrays, static = eqx.partition(own, eqx.is_inexact_array)

    def both(arrays):
        held = eqx.combine(jax.lax.stop_gradient(arrays), static)
        batch = loss.freeze(held, sampled(loss, held))
        plain, same = everywhere(loss, batch)
        run = lambda o, b: jax.value_and_grad(  # noqa: E731
            lambda a: o.loss(eqx.combine(a, static), b)[0]
        )(arrays)
        return run(loss, batch), run(plain, same), loss.residuals(held, batch)

    found, expected, rows = quick(both, arrays)
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12 * float(jnp.abs(b).max()))
    np.testing.assert_allclose(rows @ rows, found[0], rtol=1e-12)


def test_nodes_are_one_in_each_stretch_and_new_at_every_draw():
    """Of each grid, and of all grids together."""
    system = posed("taylor_green")
    loss, own = objective(system, sampling=Grid(500, nodes=5)), trial(posed("taylor_green"))
    batch = sampled(loss, own)
    again = sampled(loss, own, jax.random.key(7), batch)
    pairs = zip(batch.places[0].axes, again.places[0].axes, strict=True)
    for (nodes, other), (low, high) in zip(pairs, system.domain.bounds.values(), strict=True):
        assert nodes.shape == (4, 5) and not np.any(np.asarray(nodes) == np.asarray(other))
        s = (np.asarray(nodes) - low) / (high - low)
        np.testing.assert_array_equal(np.floor(s * 5), [range(5)] * 4)
        np.testing.assert_array_equal(np.floor(np.sort(s.ravel()) * 20), range(20))
    assert batch.places[0].points.shape == (500, 3)


def test_attention_stays_with_the_stretches():
    system = posed("heat1d")
    loss, own = objective(system, weighting=Attention(decay=0.5, rate=0.5)), trial(system)
    batch = eqx.filter_jit(lambda: loss.freeze(own, sampled(loss, own)))()
    (weights,) = batch.weights.places
    assert float(weights.min()) > 0 and float(weights.max()) == 0.5
    (kept,) = sampled(loss, own, jax.random.key(7), batch).weights.places
    np.testing.assert_array_equal(kept, weights)


def test_the_account_names_the_grids():
    own, loss = trial(posed("helmholtz3d")), objective(posed("helmholtz3d"), 1000, Grid())
    assert loss.derivatives(own).endswith("from factors on 2 grids of 8 x 8 x 8")
    shapes = {Grid(50): (1, 7, 7), Grid(1000): (4, 16, 16), Grid(1000, 5): (40, 5, 5)}
    for sampling, shape in shapes.items():
        assert objective(posed("heat1d"), sampling=sampling).equations[0].shape == shape


def test_what_has_no_factors_is_refused():
    system = posed("heat1d")
    plain = Trial(build_ansatz(enforce(system), MLP(5, 2), key=KEY), {})
    with pytest.raises(OptionError, match=r"Grid\(\) needs a sum of products.*network=Separable"):
        sampled(objective(system), plain)
    with pytest.raises(OptionError, match=r"no network with gates"):
        sampled(objective(system), Trial(lambda z: z[:1], {}))
    with pytest.raises(OptionError, match=r"'poisson_disks' do not hold on all of a box.*RAD"):
        objective(posed("poisson_disks"))
    with pytest.raises(OptionError, match="a whole number of points"):
        Grid(0)
