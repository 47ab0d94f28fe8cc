"""Multigrid neural operator: parameter counts, adjoint transfers, boundaries, any grid size."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinnkit.errors import OptionError
from pinnkit.nn.mgno import MgNO, Prolongation, Stencil


def count(network):
    return sum(a.size for a in jax.tree.leaves(network))


@pytest.mark.parametrize(("inputs", "expected"), [(1, 572_661), (3, 578_685)])
def test_parameter_count_of_the_paper(key, inputs, expected):
    """He, Liu and Xu (2024), Darcy rough: 4 layers, 24 channels, 6 levels on 256 x 256."""
    build = lambda k: MgNO(24, 4, 6).build(inputs, 1, (256, 256), key=k)  # noqa: E731
    assert count(eqx.filter_eval_shape(build, key)) == expected


@pytest.mark.parametrize("boundary", ["dirichlet", "periodic", "neumann"])
@pytest.mark.parametrize("grid", [(33,), (10, 13), (8, 9, 7)])
def test_any_grid_size(key, boundary, grid):
    build = lambda k: MgNO(3, 2, 2, boundary).build(2, 4, grid, key=k)  # noqa: E731
    found = eqx.filter_eval_shape(lambda k, x: build(k)(x), key, jnp.ones((2, *grid)))
    assert found.shape == (4, *grid)


@pytest.mark.parametrize("n", [8, 9])
def test_stencil_is_the_zero_padded_convolution(key, n):
    """Against an explicit sum over neighbours."""
    stencil = Stencil.create(key, 1, (1, 1), "dirichlet", 2)
    x = np.asarray(jax.random.normal(key, (n,)))
    padded, w = np.pad(x, 1), np.asarray(stencil.kernel)[:, 0, 0]
    expected = [padded[2 * i : 2 * i + 3] @ w for i in range((n + 1) // 2)]
    found = stencil(jnp.asarray(x)[:, None])[:, 0]
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("grid", [(8,), (9,), (6, 7)])
def test_prolongation_is_the_transposed_convolution(key, grid):
    """Against scattering every coarse value with the kernel: coarse c to fine 2c-1 .. 2c+2."""
    prolong = Prolongation.create(key, grid, 1, "dirichlet")
    kernel = np.asarray(prolong.kernel)[..., 0, 0]
    coarse = np.asarray(jax.random.normal(key, tuple((n + 1) // 2 for n in grid)))
    full = np.zeros(tuple(2 * n + 4 for n in coarse.shape))
    for c in np.ndindex(coarse.shape):
        place = tuple(slice(2 * i, 2 * i + k) for i, k in zip(c, kernel.shape, strict=True))
        full[place] += coarse[c] * kernel
    expected = full[tuple(slice(1, 1 + n) for n in grid)]
    assert np.allclose(prolong(jnp.asarray(coarse)[..., None])[..., 0], expected, atol=1e-6)


def test_periodic_network_commutes_with_shifts_of_the_coarsest_spacing(key):
    network = MgNO(4, 2, 3, "periodic").build(1, 1, (16,), key=key)
    network = eqx.filter_jit(network)
    x = jax.random.normal(key, (1, 16))
    shifted = network(jnp.roll(x, 4, axis=1))
    assert jnp.allclose(shifted, jnp.roll(network(x), 4, axis=1), atol=1e-5)


def test_v_cycle_is_linear(key):
    cycle = MgNO(2, 1, 2).build(1, 1, (7, 6), key=key).layers[0].cycle
    cycle = eqx.filter_jit(cycle)
    x, y = jax.random.normal(key, (2, 7, 6, 1))
    assert jnp.allclose(cycle(2 * x - 3 * y), 2 * cycle(x) - 3 * cycle(y), atol=1e-5)


@pytest.mark.accuracy
def test_linear_v_cycle_learns_the_poisson_solver(key):
    """f -> u with -u'' = f, u = 0 at the ends: one layer without activation, 15 nodes."""
    n = 15
    laplacian = (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)) * (n + 1) ** 2
    smooth = np.sin(np.pi * np.outer(np.arange(1, 7), np.arange(1, n + 1)) / (n + 1))
    f = np.random.default_rng(0).normal(size=(160, 6)) @ smooth
    u = np.linalg.solve(laplacian, f.T).T
    f, u = (jnp.asarray(a / a.std(), jnp.float32) for a in (f, u))
    network = MgNO(8, 1, 3).build(1, 1, (n,), key=key)

    def predict(parts, f):
        return parts[0](f[:, None]) @ parts[1][:, 0]

    def loss(parts, f, u):
        errors = jnp.linalg.norm(jax.vmap(lambda a: predict(parts, a))(f) - u, axis=1)
        return jnp.mean(errors / jnp.linalg.norm(u, axis=1))

    start = (network.layers[0].cycle, network.head)
    arrays, static = eqx.partition(start, eqx.is_array)
    optimiser = optax.adam(optax.cosine_decay_schedule(1e-2, 600))

    @jax.jit
    def train(arrays):
        def step(carry, _):
            arrays, state = carry
            gradient = jax.grad(lambda a: loss(eqx.combine(a, static), f[:128], u[:128]))(arrays)
            updates, state = optimiser.update(gradient, state)
            return (optax.apply_updates(arrays, updates), state), None

        return jax.lax.scan(step, (arrays, optimiser.init(arrays)), None, 600)[0][0]

    trained = eqx.combine(train(arrays), static)
    assert loss(trained, f[128:], u[128:]) < 2e-2


def test_errors(key):
    with pytest.raises(OptionError, match="dirichlet, periodic, neumann"):
        MgNO(boundary="open")
    with pytest.raises(OptionError, match="one positive number for each"):
        MgNO(levels=3, smoothings=(1, 1))
    with pytest.raises(OptionError, match="fewer levels"):
        MgNO(levels=6).build(1, 1, (32,), key=key)
    with pytest.raises(OptionError, match="positive integer"):
        MgNO(channels=0)
