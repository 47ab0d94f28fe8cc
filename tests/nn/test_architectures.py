"""Gated, factorised, separable and Kolmogorov-Arnold networks: formulas, starts, precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit import precision
from pinnkit.errors import OptionError
from pinnkit.nn import KAN, MLP, Factorized, Fourier, ModifiedMLP, PirateNet, Separable, head
from pinnkit.nn.initial import built

EVERY = (
    MLP(7, 2),
    ModifiedMLP(7, 3),
    PirateNet(6, 2),
    KAN(4, 2, 5),
    Fourier(ModifiedMLP(6, 2), 5, 2.0),
    Factorized(MLP(7, 2)),
    Factorized(PirateNet(5, 1)),
    Separable(3, MLP(5, 2)),
    Factorized(Separable(2, ModifiedMLP(4, 1))),
)


def shaken(network, seed=3):
    """The network with every array moved, so that nothing stays at a special start."""
    rng = np.random.default_rng(seed)
    move = lambda a: jnp.asarray(np.asarray(a) + 0.3 * rng.standard_normal(a.shape), a.dtype)  # noqa: E731
    return jax.tree.map(lambda a: move(a) if eqx.is_inexact_array(a) else a, network)


def test_modified_mlp_by_numpy(x64, key):
    net = shaken(ModifiedMLP(6, 2).build(3, 2, key=key))
    z = np.array([0.3, -0.2, 0.9])
    pairs = zip(net.gates.weights, net.gates.biases, strict=True)
    u, v = (np.tanh(z @ np.asarray(w) + np.asarray(b)) for w, b in pairs)
    h = z
    layers = [(np.asarray(w), np.asarray(b)) for w, b in zip(net.weights, net.biases, strict=True)]
    for w, b in layers[:-1]:
        f = np.tanh(h @ w + b)
        h = f * u + (1 - f) * v
    np.testing.assert_allclose(net(jnp.asarray(z)), h @ layers[-1][0] + layers[-1][1], rtol=1e-13)


def test_pirate_block_by_numpy(x64, key):
    net = shaken(PirateNet(5, 1).build(2, 1, key=key))
    z = np.array([0.4, -0.7])
    dense = lambda x, w, b: np.tanh(x @ np.asarray(w) + np.asarray(b))  # noqa: E731
    u, v = (dense(z, w, b) for w, b in zip(net.gates.weights, net.gates.biases, strict=True))
    (block,) = net.blocks
    x = dense(z, *net.first)
    f = dense(x, block.weights[0], block.biases[0])
    g = dense(f * u + (1 - f) * v, block.weights[1], block.biases[1])
    h = dense(g * u + (1 - g) * v, block.weights[2], block.biases[2])
    alpha = float(block.alpha)
    expected = (alpha * h + (1 - alpha) * x) @ np.asarray(net.last[0]) + np.asarray(net.last[1])
    np.testing.assert_allclose(net(jnp.asarray(z)), expected, rtol=1e-13)


def test_pirate_net_begins_as_a_linear_combination_of_its_first_features(x64, key):
    net = built(PirateNet(8, 3), 2, 1, key=key)
    z = np.array([0.2, 0.5])
    features = np.tanh(z @ np.asarray(net.first[0]) + np.asarray(net.first[1]))
    expected = features @ np.asarray(net.last[0])
    np.testing.assert_allclose(eqx.filter_jit(net)(z), expected, rtol=1e-14)


@pytest.mark.parametrize("architecture", EVERY, ids=repr)
def test_networks_are_affine_in_their_heads(x64, key, architecture):
    net = shaken(built(architecture, 2, 3, key=key))
    parts, leaves = head(net), jax.tree.leaves(net)
    if "Separable" in repr(architecture):
        assert parts == ()
        return
    assert parts and all(any(part is leaf for leaf in leaves) for part in parts)
    z = jnp.array([0.3, -0.6])

    @jax.jit
    def value(share):
        return eqx.tree_at(head, net, tuple(share * part for part in parts))(z)

    zero, one, two = value(0.0), value(1.0), value(2.0)
    np.testing.assert_allclose(two - one, one - zero, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(zero, 0, atol=1e-13)
    assert jnp.all(one != 0)


@pytest.mark.parametrize("inner", [MLP(9, 2), ModifiedMLP(6, 2), Separable(2, MLP(4, 1))])
def test_factorised_network_begins_as_the_plain_one(x64, key, inner):
    """Same draw, same values; every column of every matrix has a scale of its own."""
    net = built(Factorized(inner, mean=1.0), 2, 3, key=key)
    plain = built(inner, 2, 3, key=jax.random.split(key)[0])
    z = jnp.array([0.1, -0.8])
    value = eqx.filter_jit(lambda n: n(z))
    np.testing.assert_allclose(value(net), value(plain), rtol=1e-13)
    assert jax.tree.structure(net.plain()) == jax.tree.structure(plain)
    scales = np.concatenate([np.asarray(s) for s in net.scales])
    assert abs(scales.mean() - 1.0) < 0.1 and 0.03 < scales.std() < 0.3
    slopes = eqx.filter_jit(eqx.filter_grad(lambda n: jnp.sum(n(z))))(net).scales
    assert all(np.any(np.asarray(s) != 0) for s in slopes)


def test_fourier_features_and_their_fixed_matrix(x64, key):
    net = Fourier(MLP(5, 1), features=4, scale=3.0).build(2, 1, key=key)
    z = jnp.array([0.3, 0.6])
    phase = np.asarray(z) @ np.asarray(net.matrix)
    inputs = jnp.asarray(np.concatenate([np.cos(phase), np.sin(phase)]))
    np.testing.assert_allclose(net(z), net.network(inputs), rtol=1e-14)
    slopes = eqx.filter_grad(lambda n: jnp.sum(n(z)))(net)
    assert not jnp.any(slopes.matrix) and bool(jnp.any(slopes.network.weights[0] != 0))


@pytest.mark.parametrize(("groups", "fields"), [((1, 3), 1), ((2, 1, 3), 2)])
def test_separable_network_is_a_sum_of_products(x64, groups, fields):
    """Values on a grid are the contraction of the factors; matrices have rank at most `rank`."""
    architecture = Separable(2, MLP(6, 1))
    build = lambda seed: built(  # noqa: E731
        architecture, sum(groups), fields, key=jax.random.key(seed), groups=groups
    )
    rng = np.random.default_rng(0)
    grids = [rng.uniform(-1, 1, (7, n)) for n in groups]
    places = rng.integers(0, 7, (5, len(groups)))
    points = np.concatenate([g[i] for g, i in zip(grids, places.T, strict=True)], axis=1)

    @eqx.filter_jit
    def evaluate(net):
        factors = [jax.vmap(lambda z, i=i: net.factor(i, z))(g) for i, g in enumerate(grids)]
        return factors, jax.vmap(net)(jnp.asarray(points))

    letters = "abc"[: len(groups)]
    spec = ",".join(f"{letter}fr" for letter in letters) + "->" + letters + "f"
    for seed in range(3):
        factors, found = evaluate(build(seed))
        whole = np.einsum(spec, *map(np.asarray, factors))
        np.testing.assert_allclose(found, whole[tuple(places.T)], rtol=1e-12, atol=1e-14)
        singular = np.linalg.svd(whole[..., 0].reshape(7, -1), compute_uv=False)
        assert (singular[2:] < 1e-12 * singular[0]).all()


def test_kan_by_chebyshev_series(x64, key):
    net = shaken(KAN(3, 1, degree=5).build(2, 1, key=key))
    h = np.array([0.3, -0.9])
    for c in net.coefficients:
        series = np.polynomial.chebyshev.chebvander(np.tanh(h), 5)
        h = series.T.reshape(-1) @ np.asarray(c)
    np.testing.assert_allclose(net(jnp.array([0.3, -0.9])), h, rtol=1e-13)


@pytest.mark.parametrize("architecture", EVERY, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_all_are_smooth_functions_in_the_precision_of_the_scope(architecture, name, key):
    with precision.scope(name):
        net = built(architecture, 2, 3, key=key)
        found = jax.jit(jax.jacfwd(jax.jacfwd(net)))(jnp.array([0.1, 0.2], name))
        assert found.shape == (3, 2, 2) and bool(jnp.all(jnp.isfinite(found)))
        arrays = jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))
        assert {str(leaf.dtype) for leaf in (*arrays, found)} == {name}
        again, other = (built(architecture, 2, 3, key=k) for k in (key, jax.random.key(99)))
        value = eqx.filter_jit(lambda n: n(jnp.array([0.4, -0.3])))
        first, second, third = (np.asarray(value(n)) for n in (net, again, other))
        assert np.array_equal(first, second) and not np.any(first == third)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: ModifiedMLP(width=0), r"ModifiedMLP\(width=0\) is not a size"),
        (lambda: PirateNet(blocks=1.5), r"PirateNet\(blocks=1.5\) is not a size"),
        (lambda: KAN(degree=0), "degree=0"),
        (lambda: Separable(rank=-1), "rank=-1"),
        (lambda: Fourier(scale=0.0), r"Fourier\(scale=0.0\) must be positive"),
        (lambda: Factorized(spread=0), "must be positive"),
        (lambda: PirateNet(activation="swosh"), "swosh"),
    ],
)
def test_bad_sizes_are_told(wrong, words):
    with pytest.raises(OptionError, match=words):
        wrong()
