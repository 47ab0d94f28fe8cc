"""Deep operator networks: shapes, the fast path, proper modes, scaled coordinates."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.errors import OptionError
from pinnkit.nn.deeponet import Branch, DeepONet, ProperModes
from pinnkit.nn.gated import ModifiedMLP
from pinnkit.nn.mlp import MLP

NODES = (np.linspace(0, 1, 9), np.linspace(-1, 1, 11))


def snapshots(count=30, rank=3, outputs=2):
    rng = np.random.default_rng(0)
    modes = rng.normal(size=(rank, 9, 11, outputs))
    return np.einsum("sr,rxyc->sxyc", rng.normal(size=(count, rank)), modes)


def random(architecture, key, data=None, nodes=NODES, boundary=()):
    """A network of this architecture, made in one compiled call."""
    data = snapshots() if data is None else data
    build = lambda k: architecture.build(1, (13,), nodes, data, boundary, key=k)  # noqa: E731
    return eqx.filter_jit(build)(key)


@pytest.mark.parametrize("branch", [Branch(), Branch((4, 8), 16, 1)])
@pytest.mark.parametrize("trunk", [MLP(16, 2), ProperModes()])
def test_many_points_equal_one_point_at_a_time(key, branch, trunk):
    network = random(DeepONet(5, branch, trunk), key)
    rng = np.random.default_rng(0)
    functions, points = rng.normal(size=(4, 1, 13)), rng.uniform(size=(6, 2))
    fast = jax.jit(jax.vmap(network.at, (0, None)))(functions, points)
    slow = jax.jit(jax.vmap(lambda f: jax.vmap(lambda z: network(f, z))(points)))(functions)
    assert fast.shape == (4, 6, 2)
    assert np.allclose(fast, slow, atol=1e-5)


def test_proper_modes_span_the_snapshots():
    data = snapshots(rank=3)
    table = ProperModes().build(NODES, data, 3).values
    for c in range(2):
        basis = np.asarray(table)[..., c].reshape(-1, 3)
        flat = data[..., c].reshape(len(data), -1).T
        fitted = basis @ np.linalg.lstsq(basis, flat, rcond=None)[0]
        assert np.allclose(fitted, flat, atol=1e-4)


def test_coefficients_of_the_snapshots_have_unit_variance():
    data = snapshots(rank=3, outputs=1)
    table = np.asarray(ProperModes().build(NODES, data, 3).values).reshape(-1, 3)
    coefficients = np.linalg.lstsq(table, data.reshape(len(data), -1).T, rcond=None)[0]
    assert np.allclose(np.mean(coefficients**2, axis=1), 1, rtol=1e-3)


def test_tabulated_modes_interpolate_bilinear_functions_exactly():
    x, y = np.meshgrid(*NODES, indexing="ij")
    data = (1 + 2 * x - y + 3 * x * y)[None, ..., None]
    modes = ProperModes().build(NODES, data, 1)
    at = np.array([0.33, 0.71])
    exact = 1 + 0.66 - 0.71 + 3 * 0.33 * 0.71
    assert abs(abs(float(modes(jnp.asarray(at))[0, 0])) - exact) < 1e-5


def test_modes_that_vanish_on_the_boundary_keep_it_exact(key):
    data = snapshots()
    data[:, [0, -1]] = 0.0
    network = random(DeepONet(3, Branch(width=8)), key, data)
    values = eqx.filter_jit(network.at)(jnp.ones((1, 13)), jnp.asarray([[0.0, 0.3], [1.0, -0.77]]))
    assert jnp.all(values == 0)


def test_learned_modes_see_scaled_coordinates(key):
    """Stretching the box leaves the network's values at corresponding points the same."""
    small = DeepONet(4, Branch(width=8), MLP(8, 1))
    wide = tuple(1000 * x + 5 for x in NODES)
    z = np.array([0.25, 0.5])
    places = zip((NODES, wide), (z, 1000 * z + 5), strict=True)
    a, b = (
        eqx.filter_jit(random(small, key, nodes=nodes))(jnp.ones((1, 13)), jnp.asarray(at))
        for nodes, at in places
    )
    assert np.allclose(a, b, atol=1e-4)


def test_tables_and_box_are_not_trained(key):
    for trunk in (MLP(8, 1), ProperModes()):
        network = random(DeepONet(3, Branch(width=8), trunk), key)
        loss = lambda n: jnp.sum(n(jnp.ones((1, 13)), jnp.asarray([0.2, 0.1])) ** 2)  # noqa: E731
        gradient = jax.jit(jax.grad(loss))(network)
        fixed = [gradient.trunk.values] if trunk == ProperModes() else [gradient.trunk.lower]
        assert all(not np.any(np.asarray(a)) for a in fixed)
        assert np.any(np.asarray(gradient.branch.dense.weights[0]))


def test_periodic_modes(key):
    """With harmonics the value at the upper end, which is no node, is that at the lower one."""
    nodes = (np.linspace(0, 2, 8, endpoint=False), np.linspace(0, 1, 5))
    data = np.zeros((3, 8, 5, 1))
    architecture = DeepONet(4, Branch(width=8), MLP(8, 1), harmonics=2)
    network = random(architecture, key, data, nodes, ("periodic", "free"))
    f = np.random.default_rng(0).normal(size=(1, 13)).astype(np.float32)
    places = jnp.asarray([[0.0, 0.4], [2.0, 0.4], [1.0, 0.4]])
    a, b, c = np.asarray(eqx.filter_jit(network.at)(f, places))[:, 0]
    assert abs(a - b) < 1e-5 < 1e-3 < abs(a - c)


def test_gated_branch_and_trunk_with_a_constant(key):
    architecture = DeepONet(4, Branch(width=8, gated=True), ModifiedMLP(8, 2), bias=True)
    network = random(architecture, key)
    shifted = eqx.tree_at(lambda n: n.bias, network, jnp.asarray([1.0, -2.0]))
    f = np.random.default_rng(0).normal(size=(1, 13)).astype(np.float32)
    z = jnp.asarray([0.2, 0.1])
    value = eqx.filter_jit(lambda n: n(f, z))
    found = np.asarray(value(shifted))
    assert np.allclose(found - value(network), shifted.bias, atol=1e-5)
    assert np.allclose(eqx.filter_jit(shifted.at)(f, z[None])[0], found, atol=1e-5)


def test_errors():
    with pytest.raises(OptionError, match="0 or more"):
        DeepONet(harmonics=-1)
    with pytest.raises(OptionError, match="positive"):
        DeepONet(0)
    with pytest.raises(OptionError, match="positive"):
        Branch((0,))
    with pytest.raises(OptionError, match="fewer modes or more samples"):
        ProperModes().build(NODES, snapshots(count=2), 5)
