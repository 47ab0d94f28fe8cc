"""Causal weights: the six properties that published implementations get wrong, and the formula."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pinnkit.errors import OptionError
from pinnkit.objective import Causal, TimeSlabs, causal_weights, slab_means

pytestmark = pytest.mark.usefixtures("x64")

LOSSES = arrays(float, 9, elements=st.floats(0, 1e3))
SEEDS = st.integers(0, 10**6)
EPSILON = 0.8
SLABS = TimeSlabs(0.0, 2.0, Causal(epsilons=(EPSILON,), slabs=7))
quick = settings(max_examples=40, deadline=None)


def scattered(seed: int, n: int = 50):
    """Unsorted times in [0, 2], some slabs empty, and squares that belong to them."""
    rng = np.random.default_rng(seed)
    time = rng.uniform(0, 2, n)
    time = np.where((time > 0.6) & (time < 1.1), 1.9, time)
    return jnp.asarray(rng.exponential(1.0, n)), jnp.asarray(time)


def weighed(squares, time):
    """Causal weights (7,) of the only rung."""
    return SLABS.measured(SLABS.begin(), SLABS.past(squares, time)).weights


def test_the_formula_and_its_direction(x64):
    weights = causal_weights(jnp.array([1.0, 10.0, 100.0, 1000.0]), 0.01)
    np.testing.assert_allclose(weights, np.exp(-0.01 * np.array([0, 1, 11, 111])), rtol=1e-14)


@quick
@given(LOSSES, st.floats(0, 10))
def test_first_weight_is_one(means, epsilon):
    assert causal_weights(jnp.asarray(means), epsilon)[0] == 1


@quick
@given(LOSSES, st.floats(0, 10))
def test_weights_never_increase_in_time(means, epsilon):
    weights = causal_weights(jnp.asarray(means), epsilon)
    assert jnp.all(jnp.diff(weights) <= 0) and jnp.all(weights <= 1) and jnp.all(weights >= 0)


@quick
@given(SEEDS)
def test_order_of_points_is_irrelevant(seed):
    squares, time = scattered(seed)
    order = np.random.default_rng(seed + 1).permutation(len(time))
    a, b = weighed(squares, time), weighed(squares[order], time[order])
    np.testing.assert_allclose(a, b, rtol=1e-13)
    np.testing.assert_allclose(
        SLABS.mean(squares, time, a), SLABS.mean(squares[order], time[order], b), rtol=1e-13
    )


@quick
@given(SEEDS, st.integers(0, 49), st.floats(0.1, 1e3))
def test_weights_depend_on_the_past_only(seed, point, change):
    squares, time = scattered(seed)
    slab = int(SLABS.of(time)[point])
    before = weighed(squares, time)
    after = weighed(squares.at[point].add(change), time)
    assert jnp.array_equal(before[: slab + 1], after[: slab + 1])
    assert jnp.all(after[slab + 1 :] <= before[slab + 1 :])


@quick
@given(SEEDS)
def test_points_keep_their_own_time(seed):
    squares, time = scattered(seed)
    means, held = slab_means(squares, SLABS.of(time), 7)
    for i in range(7):
        inside = (np.asarray(time) >= i * 2 / 7) & (np.asarray(time) < (i + 1) * 2 / 7)
        expected = np.asarray(squares)[inside].mean() if inside.any() else 0.0
        np.testing.assert_allclose(means[i], expected, rtol=1e-12)
        assert bool(held[i]) == inside.any()


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from pinnkit import precision
from pinnkit.objective import Causal, TimeSlabs
assert jax.device_count() == 2
with precision.scope("float64"):
    rng = np.random.default_rng(3)
    r, t = jnp.asarray(rng.normal(size=64)), jnp.asarray(rng.uniform(0, 1, 64))
    slabs = TimeSlabs(0.0, 1.0, Causal((1.0,), slabs=8))
    def value(a, r, t):
        s = (a * r) ** 2
        return slabs.mean(s, t, slabs.measured(slabs.begin(), slabs.past(s, t)).weights)
    step = jax.jit(jax.value_and_grad(value))
    one = step(1.3, r, t)
    place = NamedSharding(Mesh(np.array(jax.devices()), ("points",)), PartitionSpec("points"))
    two = step(1.3, jax.device_put(r, place), jax.device_put(t, place))
    np.testing.assert_allclose(np.array(two), np.array(one), rtol=1e-12)
print("equal")
"""


def test_two_devices_give_the_value_and_gradient_of_one():
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "equal", done.stderr


def test_no_gradient_passes_through_the_weights(x64):
    squares, time = scattered(4)
    fixed = weighed(squares, time)
    live = jax.grad(lambda s: SLABS.mean(s, time, weighed(s, time)))(squares)
    frozen = jax.grad(lambda s: SLABS.mean(s, time, fixed))(squares)
    np.testing.assert_allclose(live, frozen, rtol=1e-14)


def test_equal_weights_give_the_plain_mean_of_slab_means(x64):
    squares, time = scattered(5)
    means, held = slab_means(squares, SLABS.of(time), 7)
    value = SLABS.mean(squares, time, jnp.ones(7))
    np.testing.assert_allclose(value, means[held].mean(), rtol=1e-14)


def climb(rule, pasts, checks=None):
    """States of the ladder for one sum of all earlier slabs after another."""
    slabs = TimeSlabs(0.0, 1.0, rule)
    step = jax.jit(lambda s, p, c: slabs.measured(s, jnp.array([0.0, p]), c))
    state, found = slabs.begin(), []
    for past, check in zip(pasts, checks or [True] * len(pasts), strict=True):
        state = step(state, jnp.asarray(float(past)), check)
        found.append((int(state.rung), int(state.checks), float(state.weights[1])))
    return found, step


def test_the_ladder_climbs_exactly_where_the_certificate_holds():
    """One rung at a check, by the weights of the rung; the last one is never left."""
    rule = Causal(epsilons=(1.0, 10.0, 100.0), slabs=2, certificate=0.9)
    limit = -np.log(0.9)
    pasts = [limit * 1.001, limit * 0.999, limit / 10 * 1.001, limit / 10 * 0.999, 0.0, 1.0]
    found, step = climb(rule, pasts)
    assert [rung for rung, *_ in found] == [0, 1, 1, 2, 2, 2]
    assert [checks for _, checks, _ in found] == [1, 0, 1, 0, 1, 2]
    expected = [np.exp(-rule.epsilons[r] * p) for (r, *_), p in zip(found, pasts, strict=True)]
    np.testing.assert_allclose([w for *_, w in found], expected, rtol=1e-14)
    assert step._cache_size() == 1


def test_the_ladder_climbs_at_checks_alone_and_at_the_latest_after_most_of_them():
    rule = Causal(epsilons=(1.0, 10.0), slabs=2)
    found, _ = climb(rule, [0.0] * 4, [False, False, True, False])
    assert [rung for rung, *_ in found] == [0, 0, 1, 1]
    rule = Causal(epsilons=(1.0, 2.0, 3.0), slabs=2, most=2)
    found, _ = climb(rule, [5.0] * 6, [True, False, True, True, True, True])
    assert [rung for rung, *_ in found] == [0, 0, 1, 1, 2, 2]
    found, _ = climb(rule, [np.nan, np.nan])
    assert [rung for rung, *_ in found] == [0, 1]


def test_words_of_the_certificate():
    rule = Causal(epsilons=(1.0, 100.0))
    assert rule.words(0.9971, 100.0) == "min w = 0.9971 at epsilon = 100: certified"
    assert rule.words(0.5, 100.0).endswith("not certified, late times still wait for earlier ones")
    assert rule.words(0.999, 1.0).endswith("epsilon = 1, rung 1 of 2: not certified, train longer")


@pytest.mark.parametrize(
    "options, match",
    [
        (dict(slabs=0), "slabs=0.*Give slabs=1 or more"),
        (dict(slabs=2.5), "Give slabs=1 or more, whole"),
        (dict(epsilons=()), "increasing epsilons"),
        (dict(epsilons=(1.0, 1.0)), "increasing epsilons"),
        (dict(epsilons=(-1.0,)), "positive"),
        (dict(epsilons=(1.0, np.inf)), "positive"),
        (dict(epsilons=1.0), "a tuple"),
        (dict(certificate=1.0), "certificate between 0 and 1"),
        (dict(most=0), "Give most=1 or more"),
        (dict(every=0), "Give every=1 or more"),
    ],
)
def test_messages(options, match):
    with pytest.raises(OptionError, match=match):
        Causal(**options)
