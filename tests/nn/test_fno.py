"""Fourier layers against fast transforms, shifts, and the same function on other grids."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.errors import OptionError
from pinnkit.nn.boundary import positions, quadrature
from pinnkit.nn.fno import FNO
from pinnkit.nn.initial import built
from pinnkit.nn.spectral import SpectralConv

WAVES = [(1.0, 1, 0.3), (0.7, 2, 1.1), (-0.5, 3, 2.0)]


def smooth(shape, boundary, channels=1):
    """Sums of products of three waves of different phases, periodic on [0, 1]^d, wavenumber 3."""
    places = np.meshgrid(*map(positions, shape, boundary), indexing="ij")
    rows = []
    for c in range(channels):
        waves = [a * np.sin(2 * np.pi * k * places[0] + p + c) for a, k, p in WAVES]
        for x in places[1:]:
            waves = [
                w * np.cos(2 * np.pi * k * x - p) for w, (_, k, p) in zip(waves, WAVES, strict=True)
            ]
        rows.append(sum(waves))
    return jnp.asarray(np.stack(rows), jnp.float32)


def change(fine, coarse, boundary):
    """Relative distance of a field on a grid from that on the grid of double spacing."""
    step = (slice(None), *(slice(None, None, 2) for _ in boundary))
    fine, coarse = np.asarray(fine), np.asarray(coarse)
    return float(np.linalg.norm(fine[step] - coarse) / np.linalg.norm(coarse))


@pytest.mark.parametrize("shape", [(15,), (12, 16), (8, 9, 12)])
def test_layer_agrees_with_fast_transforms(key, shape):
    """numpy.fft.fftn of the whole grid, products wavenumber by wavenumber, the inverse of these."""
    modes = (3, 4, 2)[: len(shape)]
    layer = SpectralConv.create(key, (2, 3), modes, ("periodic",) * len(shape), 0.0)
    v = jax.random.normal(key, (2, *shape))
    axes = tuple(range(1, 1 + len(shape)))
    v_hat = np.fft.fftn(np.asarray(v), axes=axes, norm="forward")
    real, imaginary = np.asarray(layer.weights)
    ranges = [range(1 - m, m) for m in modes[:-1]] + [range(modes[-1])]
    out = np.zeros((3, *shape), complex)
    kept = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, len(shape))
    for r, i, k in zip(real, imaginary, kept, strict=True):
        value = v_hat[:, *k] @ (r + 1j * i)
        out[:, *k] += value
        if k[-1] != 0:
            out[:, *-k] += value.conj()
    expected = np.fft.ifftn(out, axes=axes, norm="forward").real
    assert np.allclose(eqx.filter_jit(layer)(v), expected, atol=1e-5)


def test_coefficients_beside_walls_are_integrals_over_the_domain(key):
    """v = x on [0, 1], continued by zero up to L = 3/2: v^_k in closed form."""
    layer = SpectralConv.create(key, (1, 1), (4,), ("free",), 0.5)
    x = jnp.asarray(positions(2001, "free"), jnp.float32)
    found = np.asarray(layer.coefficients(x[None]))[0]
    a = 2j * np.pi * np.arange(1, 4) / 1.5
    exact = (-np.exp(-a) / a + (1 - np.exp(-a)) / a**2) / 1.5
    assert np.allclose(found[0, 1:] + 1j * found[1, 1:], exact, atol=1e-5)
    assert abs(found[0, 0] - 0.5 / 1.5) < 1e-6


@pytest.mark.parametrize("boundary", ["periodic", "free"])
def test_trapezoidal_weights(boundary):
    s, w = positions(41, boundary), quadrature(41, boundary)
    assert abs(w.sum() - 1) < 1e-12
    assert abs(w @ np.cos(2 * np.pi * s) ** 2 - 0.5) < 1e-12


@pytest.mark.parametrize("shape", [(24,), (16, 20)])
def test_periodic_network_commutes_with_shifts(key, shape):
    boundary = ("periodic",) * len(shape)
    network = eqx.filter_jit(built(FNO(6, 4, 2), 1, 2, shape, boundary, key=key))
    x = jax.random.normal(key, (1, *shape))
    axes = tuple(range(1, 1 + len(shape)))
    shift = (5, 3)[: len(shape)]
    shifted = network(np.roll(x, shift, axes))
    assert np.allclose(shifted, np.roll(network(x), shift, axes), atol=1e-5)


def test_anchored_network_knows_where_it_is(key):
    network = eqx.filter_jit(
        built(FNO(6, 4, 2, anchored=True), 1, 1, (24,), ("periodic",), key=key)
    )
    x = jax.random.normal(key, (1, 24))
    assert not np.allclose(network(np.roll(x, 5, 1)), np.roll(network(x), 5, 1), atol=1e-2)


@pytest.mark.parametrize("shape", [(16,), (12, 16)])
def test_band_limited_functions_pass_a_layer_exactly_on_any_grid(key, shape):
    boundary = ("periodic",) * len(shape)
    network = built(FNO(3, 4, 1), 1, 1, shape, boundary, key=key)
    coarse, fine = (
        eqx.filter_jit(network.layers[0])(smooth(n, boundary, 3))
        for n in (shape, tuple(2 * n for n in shape))
    )
    assert change(fine, coarse, boundary) < 2e-6


@pytest.mark.parametrize(
    "boundary", [("periodic",), ("dirichlet",), ("periodic", "neumann"), ("free", "dirichlet")]
)
def test_network_is_a_map_of_functions(key, boundary):
    """On a grid of twice as many intervals it gives the same function within 2 %."""
    n = 32
    coarse, fine = (tuple(m + (b != "periodic") for b in boundary) for m in (n, 2 * n))
    network = eqx.filter_jit(built(FNO(8, 6, 3), 1, 2, coarse, boundary, key=key))
    found = [network(smooth(shape, boundary)) for shape in (fine, coarse)]
    assert change(*found, boundary) < 0.02


def test_resolved_modes_of_a_layer_can_be_put_on_another_grid(key):
    boundary = ("periodic", "periodic")
    layer = eqx.filter_jit(SpectralConv.create(key, (2, 2), (4, 4), boundary, 0.0))
    v = smooth((16, 18), boundary, 2)
    fine = layer(v, out=(32, 36))
    assert change(fine, layer(v), boundary) < 2e-6


def test_batches_by_vmap_equal_samples_one_by_one_also_in_their_gradients(key):
    network = built(FNO(5, 3, 2), 2, 1, (9, 12), ("neumann", "periodic"), key=key)
    x = jax.random.normal(key, (4, 2, 9, 12))
    weights = jax.random.normal(key, (4, 1, 9, 12))
    loss = lambda net, x, w: jnp.sum(w * net(x))  # noqa: E731
    whole = jax.jit(jax.grad(lambda n: jnp.sum(weights * jax.vmap(n)(x))))(network)
    gradient = jax.jit(jax.grad(loss))
    parts = [gradient(network, a, w) for a, w in zip(x, weights, strict=True)]
    total = jax.tree.map(lambda *g: sum(map(np.asarray, g)), *parts)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(total), strict=True):
        assert np.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_number_of_parameters(key):
    """Two real numbers per kept coefficient and pair of channels; in 2-D the 2 m - 1 wavenumbers
    of both signs along the first axis."""
    network = built(
        FNO(32, 12, 4, lift=0, projection=128), 1, 1, (64, 64), ("dirichlet", "dirichlet"), key=key
    )
    spectral = 2 * 23 * 12 * 32 * 32
    expected = 4 * (spectral + 32 * 32 + 32) + (3 * 32 + 32) + (32 * 128 + 128) + (128 + 1)
    assert sum(a.size for a in jax.tree.leaves(network)) == expected


def test_errors(key):
    with pytest.raises(OptionError, match="finer grid"):
        FNO(modes=9).build(1, 1, (16,), ("periodic",), key=key)
    with pytest.raises(OptionError, match="one number per axis"):
        FNO(modes=(4, 4)).build(1, 1, (16,), ("periodic",), key=key)
    with pytest.raises(OptionError, match="periodic, dirichlet, neumann, free, open"):
        FNO().build(1, 1, (64,), ("closed",), key=key)
    with pytest.raises(OptionError, match="one word each"):
        FNO().build(1, 1, (64, 64), ("free",), key=key)
    with pytest.raises(OptionError, match="one to three axes"):
        FNO().build(1, 1, (8,) * 4, ("free",) * 4, key=key)
    with pytest.raises(OptionError, match="Give such numbers"):
        FNO(padding=-1.0)
    with pytest.raises(OptionError, match="whole number"):
        FNO(width=0)
