"""Staggered sub-grids: splitting loses nothing, and networks see their own sub-grid alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.errors import OptionError
from pinnkit.nn.fno import FNO
from pinnkit.nn.initial import built
from pinnkit.nn.stagger import NeuralStagger, merge, split


@pytest.mark.parametrize(
    ("shape", "factors"),
    [((12,), (3,)), ((12,), (4,)), ((6, 8), (2, 4)), ((9, 10), (3, 5)), ((4, 6, 6), (2, 3, 1))],
)
def test_merging_the_parts_gives_the_field_back_exactly(key, shape, factors):
    u = jax.random.normal(key, (2, *shape))
    parts = split(u, factors)
    assert jnp.array_equal(merge(parts, factors), u)
    offsets = list(np.ndindex(*factors))
    for part, offset in zip(parts, offsets, strict=True):
        every = tuple(slice(p, None, s) for p, s in zip(offset, factors, strict=True))
        assert jnp.array_equal(part, u[(slice(None), *every)])


def test_each_network_maps_its_own_sub_grid(key):
    network = built(NeuralStagger(FNO(4, 3, 2), 2), 1, 2, (12, 16), ("periodic",) * 2, key=key)
    u = jax.random.normal(key, (1, 12, 16))
    whole = eqx.filter_jit(network)(u)
    forward = eqx.filter_jit(lambda part, v: part(v))
    for i, (p, q) in enumerate(np.ndindex(2, 2)):
        alone = forward(network.part(i), u[:, p::2, q::2])
        assert np.allclose(whole[:, p::2, q::2], alone, atol=1e-6)
    slope = jax.jit(jax.grad(lambda v: network(v)[0, 0, 0]))(u)[0]
    own = np.zeros((12, 16), bool)
    own[::2, ::2] = True
    assert not np.any(np.asarray(slope)[~own]) and np.any(np.asarray(slope)[own])


def test_networks_differ_and_without_splitting_there_is_one(key):
    plain = FNO(4, 3, 2)
    network = built(NeuralStagger(plain, 1), 1, 1, (12,), ("periodic",), key=key)
    inner = built(plain, 1, 1, (12,), ("periodic",), key=jax.random.split(key, 1)[0])
    u = jax.random.normal(key, (1, 12))
    assert np.allclose(*(eqx.filter_jit(n)(u) for n in (network, inner)), atol=1e-6)
    two = built(NeuralStagger(plain, 2), 1, 1, (12,), ("periodic",), key=key)
    leaves = jax.tree.leaves(eqx.filter(two.networks, eqx.is_array))
    assert any(not jnp.array_equal(leaf[0], leaf[1]) for leaf in leaves)


def test_errors(key):
    with pytest.raises(OptionError, match="do not divide a grid"):
        NeuralStagger(FNO(4, 3, 2), 2).build(1, 1, (13,), ("free",), key=key)
    with pytest.raises(OptionError, match="Give 1 for no splitting"):
        NeuralStagger(FNO(), 0)
