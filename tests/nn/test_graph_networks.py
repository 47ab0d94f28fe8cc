"""Networks on graphs: symmetries, the Laplacian, integrals that do not depend on the points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.errors import GeometryError, OptionError
from pinnkit.geometry.graph import PointGraph
from pinnkit.nn.graph import CorrectedLaplacian, Edges, GraphKernel, MessagePassing
from pinnkit.nn.initial import built


def cloud(count, seed=0):
    return np.random.default_rng(seed).uniform(size=(count, 2))


def noisy(network):
    """The same with weights that are all random: new networks are zero."""
    rng = np.random.default_rng(3)
    move = lambda a: jnp.asarray(np.asarray(a) + 0.3 * rng.normal(size=a.shape), a.dtype)  # noqa: E731
    return jax.tree.map(move, network)


def test_messages_do_not_depend_on_numbering_or_place(key):
    points = cloud(60)
    network = eqx.filter_jit(noisy(built(MessagePassing(12, 2), 2, 3, key=key)))
    v = jnp.asarray(np.random.default_rng(1).normal(size=(60, 2)), jnp.float32)
    once = network(Edges.of(PointGraph.delaunay(points, (1.0, 1.0))), v)
    order = np.random.default_rng(2).permutation(60)
    moved = np.mod(points[order] + 0.3, 1.0)
    again = network(Edges.of(PointGraph.delaunay(moved, (1.0, 1.0))), v[order])
    assert once.shape == (60, 3) and jnp.std(once) > 0.1
    assert np.allclose(again, once[order], atol=1e-4)


def test_messages_reach_as_far_as_there_are_layers(key):
    points = cloud(200)
    graph = PointGraph.delaunay(points)
    network = noisy(built(MessagePassing(8, 2), 1, 1, key=key))
    edges = Edges.of(graph)
    slopes = jax.jit(jax.grad(lambda v: network(edges, v[:, None])[0, 0]))(jnp.zeros(200))
    near = abs(graph.laplacian()) > 0
    reach = (near @ near @ near).toarray()[0]
    # edges hold differences of the values at their ends, which are one edge away from the start
    assert not np.any(np.asarray(slopes)[~reach])
    assert np.any(np.asarray(slopes)[reach & ~near.toarray()[0]])


def test_new_laplacian_is_that_of_the_mesh(key):
    graph = PointGraph.delaunay(cloud(80))
    edges = Edges.of(graph)
    v = np.random.default_rng(1).normal(size=(80, 2))
    network = CorrectedLaplacian(built(MessagePassing(8, 1), 2, 2, key=key))
    expected = graph.laplacian() @ v
    found = eqx.filter_jit(network)(edges, jnp.asarray(v, jnp.float32))
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_two_points_of_half_the_weight_count_as_one(key):
    integral = built(GraphKernel(0.3), 2, 3, key=key)
    apply = eqx.filter_jit(integral)
    points, random = cloud(100), np.random.default_rng(1)
    weights, v = random.uniform(size=100), random.normal(size=(100, 2))
    twice = np.concatenate([points, points[:40]])
    shared = np.concatenate([weights[:40] / 2, weights[40:], weights[:40] / 2])
    once = apply(integral.pairs(points, points), jnp.asarray(weights), jnp.asarray(v))
    pairs = integral.pairs(points, twice)
    found = apply(pairs, jnp.asarray(shared), jnp.asarray(np.concatenate([v, v[:40]])))
    assert once.shape == (100, 3)
    assert np.allclose(found, once, atol=1e-5)


@pytest.mark.parametrize("periodic", [True, False])
def test_integral_converges_with_the_points(key, periodic):
    """Lattices of 10, 20 and 40 points along each side: errors fall at least as h^2."""
    integral = built(GraphKernel(0.3), 1, 2, key=key)
    apply = eqx.filter_jit(integral)
    probe = 0.35 + 0.3 * cloud(7)

    def value(n):
        s = (np.arange(n) + 0.5) / n
        points = np.stack(np.meshgrid(s, s, indexing="ij"), axis=-1).reshape(-1, 2)
        v = np.cos(2 * np.pi * points @ [1, 2])[:, None]
        pairs = integral.pairs(probe, points, (1.0, 1.0) if periodic else None)
        return apply(pairs, jnp.full(n * n, 1 / n**2), jnp.asarray(v, jnp.float32))

    best = value(160)
    errors = [float(jnp.abs(value(n) - best).max()) for n in (10, 20, 40)]
    assert errors[1] < errors[0] / 4 and errors[2] < errors[1] / 4
    assert errors[2] < 0.02 * float(jnp.abs(best).max())


def test_errors():
    with pytest.raises(OptionError, match="above zero"):
        GraphKernel(0.0)
    with pytest.raises(OptionError, match="at least 1"):
        MessagePassing(width=0)
    with pytest.raises(GeometryError, match="Give one below 0.5"):
        GraphKernel(0.6).build(1, 1, key=jax.random.key(0)).pairs(cloud(3), cloud(3), (1.0, 1.0))
