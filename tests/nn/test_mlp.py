"""Fully connected networks: formula, initial variance, precision, messages."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit import precision
from pinnkit.errors import OptionError
from pinnkit.nn import ACTIVATIONS, MLP, activation
from pinnkit.nn.initial import built

KEY = jax.random.key(1)


def test_the_formula_by_numpy(x64, key):
    net = MLP(width=7, depth=2, activation="sin").build(3, 2, key=key)
    z = np.array([0.3, -0.2, 0.9])
    (a, b, c), (p, q, r) = (
        [np.asarray(w) for w in net.weights],
        [np.asarray(v) for v in net.biases],
    )
    expected = np.sin(np.sin(z @ a + p) @ b + q) @ c + r
    np.testing.assert_allclose(net(jnp.asarray(z)), expected, rtol=1e-14)


@settings(max_examples=5, deadline=None)
@given(width=st.integers(1, 9), depth=st.integers(1, 4), d=st.integers(1, 3), c=st.integers(1, 4))
def test_shapes_and_number_of_parameters(width, depth, d, c):
    build = lambda key: MLP(width, depth).build(d, c, key=key)  # noqa: E731
    net, value = eqx.filter_eval_shape(lambda k: (build(k), build(k)(jnp.zeros(d))), KEY)
    assert value.shape == (c,)
    count = sum(leaf.size for leaf in jax.tree.leaves(net))
    assert count == (d + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * c


def test_glorot_variance_and_zero_biases(x64, key):
    net = built(MLP(width=300, depth=2, frequency=0), 100, 1, key=key)
    np.testing.assert_allclose(jnp.var(net.weights[0]), 2 / 400, rtol=0.03)
    np.testing.assert_allclose(jnp.var(net.weights[1]), 2 / 600, rtol=0.03)
    assert all(not jnp.any(bias) for bias in net.biases)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_first_layer_turns_by_its_frequency(x64, key, size):
    """w.z has mean square frequency^2 / 3 for z uniform on the cube; biases are as large."""
    net = built(MLP(width=20000, depth=1, frequency=3.0), size, 1, key=key)
    z = np.random.default_rng(1).uniform(-1, 1, (size, 64))
    turned = np.asarray(net.weights[0]).T @ z
    np.testing.assert_allclose(np.mean(turned**2), 3.0 * np.mean(z**2) * 3.0, rtol=0.05)
    bound = 3.0 / size**0.5
    assert 0.99 * bound < np.abs(net.biases[0]).max() <= bound
    assert not np.any(net.biases[1])


def test_negative_frequencies_are_refused():
    with pytest.raises(OptionError, match="frequency=-1"):
        MLP(frequency=-1.0)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_dtype_is_that_of_the_scope(name, key):
    with precision.scope(name):
        net = built(MLP(), 2, 1, key=key)
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(net)} == {name}


def test_same_key_same_network_other_key_other(x64):
    plain = MLP(9, 2)
    build = lambda seed: built(plain, 2, 1, key=jax.random.key(seed))  # noqa: E731
    assert jnp.array_equal(build(3).weights[1], build(3).weights[1])
    assert not jnp.array_equal(build(3).weights[1], build(4).weights[1])


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"relu"}))
def test_activations_are_smooth_at_zero(name, x64):
    sigma = activation(name)
    h = 1e-3
    values = np.asarray(jax.jit(sigma)(jnp.array([-h, 0.0, h])))
    difference = (values[0] - 2 * values[1] + values[2]) / h**2
    second = jax.jit(jax.grad(jax.grad(lambda z: sigma(z))))
    np.testing.assert_allclose(second(0.0), difference, atol=1e-6)


def test_messages():
    with pytest.raises(OptionError, match=r"'swosh' is unknown\. Choose one of .*silu.*tanh"):
        MLP(activation="swosh")
    with pytest.raises(OptionError, match=r"MLP\(width=0\).*at least 1"):
        MLP(width=0)
    with pytest.raises(OptionError, match=r"depth=1\.5"):
        MLP(depth=1.5)
