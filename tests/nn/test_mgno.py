"""Multigrid neural operator: parameter counts, adjoint transfers, boundaries, any grid size."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinnkit.errors import OptionError
from pinnkit.nn.boundary import quadrature
from pinnkit.nn.initial import built
from pinnkit.nn.mgno import MgNO, MgNOLayer
from pinnkit.nn.stencil import Prolongation, Stencil, pad

ZERO = ("zero", "zero")


def count(network):
    return sum(a.size for a in jax.tree.leaves(network))


@pytest.mark.parametrize(("inputs", "expected"), [(1, 572_661), (3, 578_685)])
def test_parameter_count_of_the_paper(key, inputs, expected):
    """He, Liu and Xu (2024), Darcy rough: 4 layers, 24 channels, 6 levels on 256 x 256."""
    build = lambda k: MgNO(24, 4, 6).build(  # noqa: E731
        inputs, 1, (256, 256), ("dirichlet",) * 2, key=k
    )
    assert count(eqx.filter_eval_shape(build, key)) == expected


@pytest.mark.parametrize("boundary", ["dirichlet", "periodic", "neumann", "free"])
@pytest.mark.parametrize("grid", [(33,), (10, 13), (8, 9, 7)])
def test_any_grid_size(key, boundary, grid):
    build = lambda k: MgNO(3, 2, 2).build(  # noqa: E731
        2, 4, grid, (boundary,) * len(grid), key=k
    )
    found = eqx.filter_eval_shape(lambda k, x: build(k)(x), key, jnp.ones((2, *grid)))
    assert found.shape == (4, *grid)


@pytest.mark.parametrize("n", [8, 9])
def test_stencil_is_the_zero_padded_convolution(key, n):
    """Against an explicit sum over neighbours."""
    stencil = Stencil.create(key, (1, 1), (ZERO,), 2)
    x = np.asarray(jax.random.normal(key, (n,)))
    padded, w = np.pad(x, 1), np.asarray(stencil.kernel)[:, 0, 0]
    expected = [padded[2 * i : 2 * i + 3] @ w for i in range((n + 1) // 2)]
    found = stencil(jnp.asarray(x)[:, None])[:, 0]
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("grid", [(8,), (9,), (6, 7)])
def test_prolongation_is_the_transposed_convolution(key, grid):
    """Against scattering every coarse value with the kernel: coarse c to fine 2c-1 .. 2c+2."""
    prolong = Prolongation.create(key, grid, 1, (ZERO,) * len(grid))
    kernel = np.asarray(prolong.kernel)[..., 0, 0]
    coarse = np.asarray(jax.random.normal(key, tuple((n + 1) // 2 for n in grid)))
    full = np.zeros(tuple(2 * n + 4 for n in coarse.shape))
    for c in np.ndindex(coarse.shape):
        place = tuple(slice(2 * i, 2 * i + k) for i, k in zip(c, kernel.shape, strict=True))
        full[place] += coarse[c] * kernel
    expected = full[tuple(slice(1, 1 + n) for n in grid)]
    assert np.allclose(prolong(jnp.asarray(coarse)[..., None])[..., 0], expected, atol=1e-6)


def test_periodic_network_commutes_with_shifts_of_the_coarsest_spacing(key):
    network = built(MgNO(4, 2, 3), 1, 1, (16,), ("periodic",), key=key)
    network = eqx.filter_jit(network)
    x = jax.random.normal(key, (1, 16))
    shifted = network(jnp.roll(x, 4, axis=1))
    assert np.allclose(shifted, jnp.roll(network(x), 4, axis=1), atol=1e-5)


def test_v_cycle_is_linear(key):
    network = built(MgNO(2, 1, 2), 1, 1, (7, 6), ("dirichlet", "periodic"), key=key)
    cycle = eqx.filter_jit(network.layers[0].cycle)
    x, y = jax.random.normal(key, (2, 7, 6, 1))
    assert np.allclose(cycle(2 * x - 3 * y), 2 * cycle(x) - 3 * cycle(y), atol=1e-5)


def classical(cycle):
    """The V-cycle with the kernels of classical multigrid for -laplacian u = f, spacing 1 on the
    finest grid: damped Jacobi steps, five-point operators, full weighting, linear interpolation.

    The coarse problem begins from zero, so the state is not restricted."""
    line = np.array([-1.0, 2.0, -1.0])
    delta = np.array([0.0, 1.0, 0.0])
    five = np.multiply.outer(line, delta) + np.multiply.outer(delta, line)

    def kernel(values, like):
        return eqx.tree_at(lambda s: s.kernel, like, jnp.asarray(values)[..., None, None])

    def steps(found, level):
        h2 = 4.0**level
        jacobi = 0.2 * h2 * np.multiply.outer(delta, delta)
        return tuple(
            dataclasses.replace(
                step,
                correction=kernel(jacobi, step.correction),
                operator=step.operator and kernel(five / h2, step.operator),
            )
            for step in found
        )

    levels = []
    for index, level in enumerate(cycle.levels):
        transfer = level.transfer
        if transfer is not None:
            halves = [
                np.array([0.5, 1, 0.5, 0])[: 3 if n % 2 else 4] for n in transfer.prolong.fine
            ]
            weights = np.array([0.25, 0.5, 0.25])
            transfer = dataclasses.replace(
                transfer,
                restrict_state=kernel(np.zeros((3, 3)), transfer.restrict_state),
                restrict_source=kernel(
                    np.multiply.outer(weights, weights), transfer.restrict_source
                ),
                prolong=kernel(np.multiply.outer(*halves), transfer.prolong),
                operator=kernel(five / 4.0**index, transfer.operator),
            )
        levels.append(
            dataclasses.replace(
                level,
                smoothings=steps(level.smoothings, index),
                transfer=transfer,
                after=steps(level.after, index),
            )
        )
    return dataclasses.replace(cycle, levels=tuple(levels)), five


WALLS = {"periodic": ("wrap", "wrap"), "dirichlet": ("odd", "odd"), "neumann": ("even", "even")}


@pytest.mark.parametrize(
    "boundary",
    [
        ("dirichlet", "dirichlet"),
        ("neumann", "neumann"),
        ("periodic", "periodic"),
        ("dirichlet", "periodic"),
        ("neumann", "dirichlet"),
    ],
    ids="-".join,
)
def test_v_cycle_with_classical_kernels_is_a_multigrid_step(key, boundary):
    """e <- e - V A e for -laplacian on 33 nodes (32 where periodic) and five levels. A step of
    Jacobi's method damped by 4/5 leaves at most 0.6 of rough errors (Trottenberg, Oosterlee and
    Schueller, Multigrid, 2001, section 2.1.2), so one before and one after leave 0.36 at best."""
    shape = tuple(32 + (b != "periodic") for b in boundary)
    one = ((1, 1),) * 4 + ((30, 0),)
    architecture = MgNO(1, 1, 5, smoothings=one, residual=True)
    layer = architecture.build(1, 1, shape, boundary, key=key).layers[0]
    assert isinstance(layer, MgNOLayer)
    cycle, five = classical(layer.cycle)
    ends = tuple(WALLS[b] for b in boundary)
    operator = Stencil(jnp.asarray(five)[..., None, None], 1, ends)
    weights = jnp.asarray(
        np.multiply.outer(*(quadrature(*a) for a in zip(shape, boundary, strict=True)))
    )
    inside = np.ones(shape)
    for axis, word in enumerate(boundary):
        if word == "dirichlet":
            inside[tuple(slice(None) if i != axis else [0, -1] for i in range(2))] = 0
    singular = "dirichlet" not in boundary

    @jax.jit
    def step(e):
        e = e - cycle(operator(e))
        e = e * jnp.asarray(inside)[..., None]
        return e - jnp.sum(weights[..., None] * e) if singular else e

    e = jax.random.normal(key, (*shape, 1)) * jnp.asarray(inside)[..., None]
    for _ in range(6):
        e = step(e / jnp.linalg.norm(e))
    rates = []
    for _ in range(4):
        e = e / jnp.linalg.norm(e)
        e = step(e)
        rates.append(float(jnp.linalg.norm(e)))
    assert np.prod(rates) ** 0.25 < 0.4, rates


@pytest.mark.parametrize(
    ("ends", "function"),
    [
        ("odd", np.sin),
        ("even", np.cos),
        ("line", lambda x: 2 - x),
        ("parabola", lambda x: x * x),
        ("wrap", np.cos),
    ],
)
def test_fields_continue_beyond_walls_as_functions_of_their_kind_do(ends, function):
    n = 8 if ends == "wrap" else 9
    x = 2 * np.pi * np.arange(-1, n + 1) / 8
    found = pad(jnp.asarray(function(x[1:-1]))[:, None], ((ends, ends),))
    assert np.allclose(found[:, 0], function(x), atol=1e-5)


@pytest.mark.accuracy
def test_linear_v_cycle_learns_the_poisson_solver(key):
    """f -> u with -u'' = f, u = 0 at the ends: one layer without activation, 17 nodes."""
    n = 17
    laplacian = (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)) * (n - 1) ** 2
    smooth = np.sin(np.pi * np.outer(np.arange(1, 7), np.arange(n)) / (n - 1))
    f = np.random.default_rng(0).normal(size=(160, 6)) @ smooth
    u = np.zeros_like(f)
    u[:, 1:-1] = np.linalg.solve(laplacian[1:-1, 1:-1], f[:, 1:-1].T).T
    f, u = (jnp.asarray(a / a.std(), jnp.float32) for a in (f, u))
    network = MgNO(8, 1, 3).build(1, 1, (n,), ("dirichlet",), key=key)

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
    with pytest.raises(OptionError, match="periodic, dirichlet, neumann, free, open"):
        MgNO(boundary="closed")
    with pytest.raises(OptionError, match="as many as there are levels"):
        MgNO(levels=3, smoothings=(1, 1))
    with pytest.raises(OptionError, match="fewer levels"):
        MgNO(levels=6).build(1, 1, (32,), ("periodic",), key=key)
    with pytest.raises(OptionError, match="whole number"):
        MgNO(channels=0)
