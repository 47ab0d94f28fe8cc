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
from pinnkit.objective import TimeSlabs, causal_weights, slab_means

pytestmark = pytest.mark.usefixtures("x64")

LOSSES = arrays(float, 9, elements=st.floats(0, 1e3))
SEEDS = st.integers(0, 10**6)
SLABS = TimeSlabs(0.0, 2.0, slabs=7, epsilon=0.8)
quick = settings(max_examples=40, deadline=None)


def scattered(seed: int, n: int = 50):
    """Unsorted times in [0, 2], some slabs empty, and squares that belong to them."""
    rng = np.random.default_rng(seed)
    time = rng.uniform(0, 2, n)
    time = np.where((time > 0.6) & (time < 1.1), 1.9, time)
    return jnp.asarray(rng.exponential(1.0, n)), jnp.asarray(time)


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
    a, b = SLABS.weights(squares, time), SLABS.weights(squares[order], time[order])
    np.testing.assert_allclose(a, b, rtol=1e-13)
    np.testing.assert_allclose(
        SLABS.mean(squares, time, a), SLABS.mean(squares[order], time[order], b), rtol=1e-13
    )


@quick
@given(SEEDS, st.integers(0, 49), st.floats(0.1, 1e3))
def test_weights_depend_on_the_past_only(seed, point, change):
    squares, time = scattered(seed)
    slab = int(SLABS.of(time)[point])
    before = SLABS.weights(squares, time)
    after = SLABS.weights(squares.at[point].add(change), time)
    assert jnp.array_equal(before[: slab + 1], after[: slab + 1])
    assert jnp.all(after[slab + 1 :] <= before[slab + 1 :])


@quick
@given(SEEDS)
def test_points_keep_their_own_time(seed):
    squares, time = scattered(seed)
    means, held = slab_means(squares, SLABS.of(time), SLABS.slabs)
    for i in range(SLABS.slabs):
        inside = (np.asarray(time) >= i * 2 / 7) & (np.asarray(time) < (i + 1) * 2 / 7)
        expected = np.asarray(squares)[inside].mean() if inside.any() else 0.0
        np.testing.assert_allclose(means[i], expected, rtol=1e-12)
        assert bool(held[i]) == inside.any()


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from pinnkit import precision
from pinnkit.objective import TimeSlabs
assert jax.device_count() == 2
with precision.scope("float64"):
    rng = np.random.default_rng(3)
    r, t = jnp.asarray(rng.normal(size=64)), jnp.asarray(rng.uniform(0, 1, 64))
    slabs = TimeSlabs(0.0, 1.0, 8, 1.0)
    def value(a, r, t):
        s = (a * r) ** 2
        return slabs.mean(s, t, slabs.weights(s, t))
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
    fixed = SLABS.weights(squares, time)
    live = jax.grad(lambda s: SLABS.mean(s, time, SLABS.weights(s, time)))(squares)
    frozen = jax.grad(lambda s: SLABS.mean(s, time, fixed))(squares)
    np.testing.assert_allclose(live, frozen, rtol=1e-14)


def test_zero_epsilon_is_the_plain_mean_of_slab_means(x64):
    squares, time = scattered(5)
    plain = TimeSlabs(0.0, 2.0, 7, 0.0)
    means, held = slab_means(squares, plain.of(time), 7)
    value = plain.mean(squares, time, plain.weights(squares, time))
    np.testing.assert_allclose(value, means[held].mean(), rtol=1e-14)


def test_messages():
    with pytest.raises(OptionError, match="at least one slab"):
        TimeSlabs(0.0, 1.0, slabs=0)
    with pytest.raises(OptionError, match="epsilon=-1"):
        TimeSlabs(0.0, 1.0, epsilon=-1.0)
