"""Operator layers have a meaning that does not depend on the grid or the points."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.errors import OptionError
from pinnkit.nn.boundary import positions
from pinnkit.nn.dymix import Differences, DyMixOp
from pinnkit.nn.initial import built
from pinnkit.nn.pointwise import ChannelMLP
from pinnkit.nn.transformer import Transformer
from pinnkit.nn.uno import UNO, resample


def smooth(shape, boundary, channels=1):
    """One or two waves along every axis, none the same."""
    places = np.meshgrid(*map(positions, shape, boundary), indexing="ij")
    rows = []
    for c in range(channels):
        field = sum(np.sin(2 * np.pi * (1 + i) * x + c + i) for i, x in enumerate(places))
        rows.append(field + 0.3 * np.prod([np.cos(2 * np.pi * x) for x in places], axis=0))
    return jnp.asarray(np.stack(rows), jnp.float32)


@pytest.mark.parametrize("boundary", [("periodic",), ("dirichlet", "periodic"), ("neumann",)])
@pytest.mark.parametrize(
    ("architecture", "n"), [(DyMixOp(6, 5, 2), 256), (UNO(4, 2, 5), 128)], ids=["DyMixOp", "UNO"]
)
def test_network_is_a_map_of_functions(key, architecture, n, boundary):
    """On a grid of twice as many intervals it gives the same function within 2 %. Differences and
    interpolation converge with a low order, so the grids are fine."""
    coarse, fine = (tuple(m + (b != "periodic") for b in boundary) for m in (n, 2 * n))
    network = eqx.filter_jit(built(architecture, 1, 2, coarse, boundary, key=key))
    a, b = (np.asarray(network(smooth(shape, boundary))) for shape in (fine, coarse))
    a = a[(slice(None), *(slice(None, None, 2) for _ in boundary))]
    assert b.shape == (2, *coarse)
    assert np.linalg.norm(a - b) / np.linalg.norm(b) < 0.02


@pytest.mark.parametrize("architecture", [DyMixOp(4, 2, 1), UNO(4, 1, 2)], ids=["DyMixOp", "UNO"])
def test_three_axes_and_shifts(key, architecture):
    boundary = ("periodic",) * 3
    free = dataclasses.replace(architecture, anchored=False)
    network = eqx.filter_jit(built(free, 1, 2, (8, 6, 10), boundary, key=key))
    x = jax.random.normal(key, (1, 8, 6, 10))
    rolled = network(np.roll(x, (2, 4, 2), (1, 2, 3)))
    assert np.allclose(rolled, np.roll(network(x), (2, 4, 2), (1, 2, 3)), atol=1e-4)


def test_product_layer_represents_u_ux_exactly(key):
    """G with R_k = 2 pi i k is the derivative, Loc the identity, and u has few enough modes."""
    network = built(DyMixOp(1, 5, 1), 1, 1, (24,), ("periodic",), key=key)
    k = jnp.arange(5.0)
    weights = jnp.stack([0 * k, 2 * jnp.pi * k])[..., None, None]
    local = ChannelMLP((jnp.ones((1, 1)),), (jnp.zeros(1),), "identity")
    layer = eqx.tree_at(
        lambda m: (m.spectral.weights, m.local), network.layers[0], (weights, local)
    )
    x = np.arange(24) / 24
    u = 1 + np.sin(2 * np.pi * x) + 0.5 * np.cos(8 * np.pi * x)
    ux = 2 * np.pi * np.cos(2 * np.pi * x) - 4 * np.pi * np.sin(8 * np.pi * x)
    found = eqx.filter_jit(layer.product)(jnp.asarray(u, jnp.float32)[None])[0]
    assert np.allclose(found, u * ux, atol=1e-4)


@pytest.mark.parametrize("boundary", ["periodic", "neumann", "free"])
def test_differences_of_constants_vanish(key, boundary):
    difference = Differences(jax.random.normal(key, (3, 3, 2, 2)), (boundary, boundary))
    found = eqx.filter_jit(difference)(jnp.ones((2, 9, 10)))
    assert np.all(np.abs(found) < 1e-4)


@pytest.mark.parametrize("boundary", ["periodic", "free"])
def test_resampling_is_exact_at_shared_nodes_and_for_linear_functions(boundary):
    n, m = (8, 16) if boundary == "periodic" else (9, 17)
    v = jnp.asarray(np.random.default_rng(0).normal(size=(2, n)), jnp.float32)
    assert np.allclose(resample(v, (m,), (boundary,))[:, ::2], v, atol=1e-6)
    if boundary == "free":
        line = 3 - 2 * positions(n, boundary)
        found = resample(jnp.asarray(line, jnp.float32)[None], (14,), (boundary,))[0]
        assert np.allclose(found, 3 - 2 * positions(14, boundary), atol=1e-6)


def cloud(key, count):
    points = np.asarray(jax.random.uniform(key, (count, 2), minval=-1.0, maxval=3.0))
    functions = np.sin(points @ np.asarray([[1.0, 0.5], [0.3, -1.0]], np.float32))
    return points, np.full(count, 1 / count, np.float32), functions


def random_cloud_map(key, channels):
    corners = [-1.0, -1.0], [3.0, 3.0]
    build = lambda k: Transformer(16, 2, 2).in_box(2, channels, *corners, key=k)  # noqa: E731
    return eqx.filter_jit(eqx.filter_jit(build)(key))


def test_two_points_of_half_the_weight_count_as_one(key):
    network = random_cloud_map(key, 3)
    points, weights, functions = cloud(key, 30)
    twice = [np.concatenate([a, a[:12]]) for a in (points, functions)]
    shared = np.concatenate([weights[:12] / 2, weights[12:], weights[:12] / 2])
    found = network(twice[0], shared, twice[1])
    once = network(points, weights, functions)
    assert once.shape == (30, 3)
    assert np.allclose(found, np.concatenate([once, once[:12]]), atol=1e-5)


def test_order_of_points_and_points_without_weight_do_not_matter(key):
    network = random_cloud_map(key, 1)
    points, weights, functions = cloud(key, 20)
    order = np.random.default_rng(0).permutation(20)
    once = np.asarray(network(points, weights, functions))
    assert np.allclose(
        network(points[order], weights[order], functions[order]), once[order], atol=1e-5
    )
    more = [np.concatenate([a, 5 + 0 * a[:3]]) for a in (points, functions)]
    known = np.concatenate([weights, np.zeros(3, np.float32)])
    padded = np.asarray(network(more[0], known, more[1]))
    assert np.allclose(padded[:20], once, atol=1e-5)
    gradient = jax.jit(jax.grad(lambda w: jnp.sum(network(more[0], w, more[1]) ** 2)))(known)
    assert np.all(np.isfinite(gradient))


def test_attention_tends_to_an_integral(key):
    """Gauss-Legendre nodes, 12 and 24 of them: the same function between them within 2 %."""
    network = eqx.filter_jit(Transformer(16, 2, 2).in_box(1, 1, [-1.0], [1.0], key=key))
    probe = np.linspace(-1, 1, 9, dtype=np.float32)[:, None]

    def at_probe(count):
        x, w = np.polynomial.legendre.leggauss(count)
        points = np.concatenate([x.astype(np.float32)[:, None], probe])
        weights = np.concatenate([w, np.zeros(9)]).astype(np.float32)
        return np.asarray(network(points, weights, np.cos(3 * points)))[count:]

    a, b = at_probe(12), at_probe(24)
    assert np.linalg.norm(a - b) / np.linalg.norm(b) < 0.02


def test_transformer_on_a_grid_is_that_of_its_nodes_with_quadrature_weights(key):
    boundary = ("free", "periodic")
    network = built(Transformer(16, 2, 2), 1, 2, (5, 6), boundary, key=key)
    s, t = np.linspace(0, 1, 5, dtype=np.float32), np.arange(6, dtype=np.float32) / 6
    s, t = (a.ravel() for a in np.meshgrid(s, t, indexing="ij"))
    points = np.stack([s, np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], axis=1)
    weights = np.where((s == 0) | (s == 1), np.float32(1), np.float32(2))
    values = np.sin(3 * s) * points[:, 1]
    found = eqx.filter_jit(network)(values.reshape(1, 5, 6))
    expected = eqx.filter_jit(network.network)(points, weights, values[:, None])
    assert np.allclose(np.asarray(found).reshape(2, -1).T, expected, atol=1e-5)
    assert network.network.lower.shape == (3,)


def test_transformer_on_a_finer_grid_is_the_same_map(key):
    network = eqx.filter_jit(built(Transformer(16, 2, 2), 1, 1, (17,), ("free",), key=key))
    waves = (np.cos(3 * np.linspace(0, 1, n, dtype=np.float32))[None] for n in (33, 65))
    coarse, fine = (np.asarray(network(wave)) for wave in waves)
    assert np.linalg.norm(coarse - fine[:, ::2]) < 1e-3 * np.linalg.norm(coarse)


def test_errors(key):
    with pytest.raises(OptionError, match="give a multiple"):
        Transformer(10, 4)
    with pytest.raises(OptionError, match="finer grid"):
        UNO(4, 3, 8).build(1, 1, (14,), ("periodic",), key=key)
    with pytest.raises(OptionError, match="finer grid"):
        DyMixOp(4, 8).build(1, 1, (14,), ("periodic",), key=key)
    with pytest.raises(OptionError, match="0 or more"):
        UNO(padding=-0.1)
