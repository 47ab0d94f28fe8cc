"""Operators on scattered points: symmetries, and functions that do not depend on the points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.errors import OptionError
from pinnkit.geometry.graph import PointGraph
from pinnkit.nn import FNO, MLP, KernelOperator, LatentGrid, MessagePassing, Transformer
from pinnkit.nn.initial import single

SMALL = MLP(8, 1, "gelu")
NETWORKS = [
    KernelOperator(6, 2, 0.5, SMALL),
    LatentGrid(FNO(6, 3, 2, lift=0, projection=0), 9, 2.0, 4, SMALL),
    Transformer(8, 2, 1),
]


def halton(count):
    """Points that fill the unit square evenly, in no order of rows."""

    def digits(base):
        n, found, scale = np.arange(1, count + 1), np.zeros(count), 1.0
        while n.any():
            scale, found, n = scale / base, found + scale / base * (n % base), n // base
        return found

    return np.stack([digits(2), digits(3)], axis=1)


def smooth(points):
    return np.cos(2 * points[:, 0] + 1)[:, None] * np.exp(points[:, 1:])


def random_map(architecture, graph, key):
    network = eqx.filter_jit(lambda k: architecture.on_points(1, 2, graph, key=k))(key)
    return single(network)


def values(network, graph, functions):
    run = eqx.filter_jit(lambda n, p, f: n(*p, f))
    return np.asarray(run(network, network.prepared(graph), jnp.asarray(functions, jnp.float32)))


@pytest.mark.parametrize("architecture", NETWORKS, ids=lambda a: type(a).__name__)
def test_numbering_does_not_matter(architecture, key):
    points = halton(120)
    graph = PointGraph.delaunay(points)
    network = random_map(architecture, graph, key)
    once = values(network, graph, smooth(points))
    order = np.random.default_rng(0).permutation(120)
    other = PointGraph.delaunay(points[order])
    assert once.shape == (120, 2) and np.std(once) > 1e-3
    again = values(network, other, smooth(points[order]))
    assert np.allclose(again, once[order], atol=2e-4 * np.abs(once).max())


@pytest.mark.parametrize("architecture", NETWORKS, ids=lambda a: type(a).__name__)
def test_more_points_give_the_same_function(architecture, key):
    """The first 80 of 400, 1600 and 3600 points: values converge as points are added."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    clouds = [np.concatenate([corners, halton(n)]) for n in (400, 1600, 3600)]
    if isinstance(architecture, Transformer):
        clouds = clouds[:2]
    graphs = [PointGraph.delaunay(c) for c in clouds]
    network = random_map(architecture, graphs[0], key)
    found = [values(network, g, smooth(c))[4:84] for g, c in zip(graphs, clouds, strict=True)]
    # the boundary of the hull moves with the points, so that those inside are compared
    inside = np.all((clouds[0][4:84] > 0.15) & (clouds[0][4:84] < 0.85), axis=1)
    size = np.std(found[-1][inside])
    gaps = [np.abs(f - found[-1])[inside].max() / size for f in found[:-1]]
    assert gaps[0] < 0.25
    assert len(gaps) == 1 or gaps[1] < gaps[0] / 2.7  # a quarter at first order


def test_a_periodic_map_moves_with_the_points(key):
    points = halton(150)
    graph = PointGraph.delaunay(points, (1.0, 1.0))
    architecture = KernelOperator(6, 2, 0.5, SMALL)
    network = random_map(architecture, graph, key)
    wave = lambda p: np.cos(2 * np.pi * (p[:, :1] - p[:, 1:]))  # noqa: E731
    once = values(network, graph, wave(points))
    other = PointGraph.delaunay(np.mod(points + [0.3, 0.45], 1.0), (1.0, 1.0))
    assert np.allclose(values(network, other, wave(points)), once, atol=1e-3 * np.abs(once).max())


def test_what_no_point_is_near_stays_finite(key):
    """An L: a quarter of the latent grid sees no points at all."""
    points = halton(300)
    points = points[(points[:, 0] < 0.5) | (points[:, 1] < 0.5)]
    graph = PointGraph.delaunay(points)
    network = random_map(NETWORKS[1], graph, key)
    (ways,) = network.prepared(graph)
    assert np.sum(ways.reached == 0) >= 9
    f = jnp.asarray(smooth(points), jnp.float32)
    slopes = eqx.filter_jit(eqx.filter_grad(lambda n: jnp.sum(n(ways, f) ** 2)))(network)
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(slopes))


def test_messages_take_any_graph(key):
    graph = PointGraph.delaunay(halton(60))
    network = random_map(MessagePassing(8, 1), graph, key)
    assert not np.any(values(network, graph, smooth(graph.points)))  # a new one is zero


def test_errors():
    with pytest.raises(OptionError, match="radius=0"):
        KernelOperator(radius=0)
    with pytest.raises(OptionError, match="at least 4"):
        LatentGrid(nodes=(3, 9))
