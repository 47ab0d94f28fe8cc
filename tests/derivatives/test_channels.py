"""Channel propagation against nested autodiff, on random plans and all kinds of networks."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit import precision
from pinnkit.derivatives.channels import Collapsed, examine, propagate
from pinnkit.derivatives.channels.indices import Channels, partitions, splits
from pinnkit.nn import ACTIVATIONS, MLP

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(3)
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
compiled = functools.partial(jax.jit, compiler_options=QUICK)


def nested(f, points, orders):
    """d^orders f at points: an entry of the tensor of all derivatives of that order."""
    axes = [axis for axis, n in enumerate(orders) for _ in range(n)]
    tensor = functools.reduce(lambda g, _: jax.jacfwd(g), axes, f)
    return jax.vmap(tensor)(points)[(..., *axes)]


def places(d, n=5, seed=0):
    return jax.random.uniform(jax.random.key(seed), (n, d), minval=-1.0, maxval=1.0)


def assert_agrees(f, points, orders, operators=(), tolerance=1e-12):
    """Every channel equals nested differentiation, relative to the channel's largest value."""

    @compiled
    def both(z):
        found = propagate(f, z, orders, operators)
        expected = {k: nested(f, z, k) for k in found if not isinstance(k, Collapsed)}
        for p in operators:
            parts = [c * nested(f, z, k) for k, c in p.coefficients.items()]
            expected[p] = sum(parts[1:], start=parts[0])
        return list(found.values()), list(expected.values())

    for got, wanted in zip(*both(points), strict=True):
        size = max(float(jnp.abs(wanted).max()), 1e-3)
        np.testing.assert_allclose(got, wanted, atol=tolerance * size, rtol=0)


class Modified(eqx.Module):
    """Two encoders mixed by every hidden layer, with weights stored (out, in) as Equinox does."""

    encoders: tuple[eqx.nn.Linear, eqx.nn.Linear]
    layers: tuple[eqx.nn.Linear, ...]

    def __init__(self, d, width, key):
        keys = jax.random.split(key, 5)
        self.encoders = tuple(eqx.nn.Linear(d, width, key=k) for k in keys[:2])
        sizes = [(d, width), (width, width), (width, 2)]
        self.layers = tuple(eqx.nn.Linear(*s, key=k) for s, k in zip(sizes, keys[2:], strict=True))

    def __call__(self, z):
        u, v = (jnp.tanh(e(z)) for e in self.encoders)
        h = z
        for layer in self.layers[:-1]:
            gate = jax.nn.sigmoid(layer(h))
            h = gate * u + (1 - gate) * v
        return self.layers[-1](h)


class Residual(eqx.Module):
    """Random Fourier features, gated blocks and a trained skip, after the PirateNet design."""

    frequencies: jax.Array
    net: Modified
    skip: jax.Array

    def __init__(self, d, width, key):
        one, two = jax.random.split(key)
        self.frequencies = jax.random.normal(one, (width // 2, d))
        self.net = Modified(width, width, two)
        self.skip = jnp.asarray(0.3)

    def __call__(self, z):
        angle = self.frequencies @ z
        h = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)])
        return self.skip * self.net(h) + (1 - self.skip) * h[:2]


def mlp(d, activation="tanh"):
    return MLP(5, 2, activation).build(d, 2, key=KEY)


def test_partitions_count_bells_numbers_and_merge_equal_terms():
    assert [sum(c for c, _ in partitions((n,))) for n in range(6)] == [1, 1, 2, 5, 15, 52]
    assert partitions((4,))[1:3] == ((4, ((1,), (3,))), (3, ((2,), (2,))))
    assert sum(c for c, _ in partitions((2, 2))) == 15
    assert sum(c for c, _, _ in splits((2, 3))) == 2**5


def test_the_laplacian_needs_the_value_the_gradient_and_itself():
    d = 3
    laplacian = Collapsed({tuple(2 * (i == j) for i in range(d)): 1.0 for j in range(d)})
    assert len(Channels.of(d, [], [laplacian]).keys) == 1 + d + 1
    assert len(Channels.of(d, laplacian.coefficients).keys) == 1 + 2 * d


orders = st.integers(1, 3).flatmap(
    lambda d: st.lists(
        st.tuples(*[st.integers(0, 4)] * d).filter(lambda a: sum(a) <= 4), min_size=1, max_size=2
    )
)


@settings(max_examples=5, deadline=None, derandomize=True)
@given(orders, st.sampled_from([mlp, lambda d: Modified(d, 5, KEY)]), st.integers(0, 9))
def test_random_plans_up_to_order_four_in_up_to_three_coordinates(plan, build, seed):
    with precision.scope("float64"):
        d = len(plan[0])
        operator = Collapsed({a: 0.7 + i for i, a in enumerate(plan) if sum(a)})
        operators = (operator,) if operator.coefficients else ()
        assert_agrees(build(d), places(d, seed=seed), plan, operators)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_all_activations(name):
    net = mlp(2, name)
    assert_agrees(net, places(2), [(1, 1)], [Collapsed({(2, 0): 1.0, (0, 4): -0.2})])
    assert examine(net, places(2), [(3, 0)]).fallbacks == ()


@pytest.mark.parametrize("build", [Modified, Residual])
def test_gated_networks(build):
    net = build(2, 6, KEY)
    assert_agrees(net, places(2), [(3, 0), (1, 1)], [Collapsed({(0, 1): 1.0, (2, 0): 3.0})])
    assert examine(net, places(2), [(2, 0)]).fallbacks == ()


def elementary(z):
    x, y = z
    a = 1.5 + 0.4 * x * y
    parts = [
        jnp.sqrt(a) / (2 + y),
        a**2.5 + 1 / a**2 + 3.0**x + a**x,
        jax.lax.rsqrt(a) * jnp.log(a) + jnp.log1p(a * a),
        jax.scipy.special.erf(x * y) + jnp.abs(x - 3) * y,
        jnp.sinh(x) * jnp.cosh(y) + jnp.expm1(x * y),
        jnp.arctan(x * y) + jnp.cbrt(a) + jnp.exp(-x * x),
        jnp.maximum(x * y, y) - jnp.minimum(x, 2 * y * x),
        jnp.where(x > 0, x * y * y, jnp.sin(x)),
        (x - y) ** 5 + jax.nn.elu(x * y) + jax.nn.mish(x),
    ]
    return jnp.stack(parts)


def structural(z):
    h = jnp.outer(jnp.sin(z), jnp.arange(1.0, 4.0))
    h = jnp.concatenate([h, jnp.pad(h, ((0, 1), (0, 0)))[1:]])
    h = jax.nn.softmax(h @ h.T, axis=1) @ h
    first, second = jnp.split(h[::-1], 2)
    mean = jnp.cumsum(h, 0).mean(0) + first.at[0].add(second[1]).sum(0)
    return jnp.concatenate([mean / jnp.linalg.norm(mean), h[jnp.array([2, 0]), 1], h.max(1)])


def nested_calls(z):
    @jax.checkpoint
    def inner(w):
        return jax.jit(jnp.tanh)(w) * w[0]

    return inner(z) ** 3 + jax.lax.stop_gradient(z)


@pytest.mark.parametrize("f", [elementary, structural, nested_calls])
def test_operations_with_a_rule(f):
    plan, operator = [(1, 1)], Collapsed({(1, 1): 0.5, (3, 0): 1.0})
    assert_agrees(f, places(2), plan, [operator], tolerance=1e-11)
    assert examine(f, places(2), plan, [operator]).fallbacks == ()


def with_scan(z):
    return jax.lax.scan(lambda h, w: (jnp.tanh(h * w), h.sum()), z, jnp.arange(1.0, 4.0))[1]


def with_loop(z):
    def body(carry):
        return carry[0] + 1, jnp.sin(carry[1]) * z[0]

    return jax.lax.while_loop(lambda carry: carry[0] < 3, body, (0, z))[1]


def with_modulus(z):
    return jnp.abs(jnp.fft.rfft(jnp.stack([z[0], z[1] ** 2, jnp.exp(z[0])])) + 2)


def with_sort(z):
    return jnp.sort(jnp.concatenate([z**2, jnp.sin(z)])) + jnp.cumprod(jnp.tile(z, 2))


@pytest.mark.parametrize(
    ("f", "name"),
    [(with_scan, "scan"), (with_loop, "while"), (with_sort, "sort"), (with_modulus, "abs")],
)
def test_operations_without_a_rule_are_exact_and_named(f, name):
    plan, operator = [(2, 0)], Collapsed({(0, 1): 1.0, (2, 0): 0.5, (1, 2): 1.0})
    assert_agrees(f, places(2), plan, [operator])
    account = examine(f, places(2), plan, [operator])
    assert name in account.fallbacks
    assert name in account.describe()


def test_a_rule_for_reverse_mode_does_not_hide_the_function():
    @jax.custom_vjp
    def cubed(w):
        return w**3

    cubed.defvjp(lambda w: (w**3, w), lambda w, g: (3 * w**2 * g,))
    points = places(2)
    found = propagate(cubed, points, [(2, 0)])[2, 0]
    np.testing.assert_allclose(found[:, 0], 6 * points[:, 0], rtol=1e-14)


def test_softplus_keeps_its_derivatives_at_the_tie():
    found = propagate(lambda z: jax.nn.softplus(z), jnp.zeros((1, 1)), [(4,)])
    exact = {(0,): np.log(2), (1,): 0.5, (2,): 0.25, (3,): 0.0, (4,): -0.125}
    for key, value in exact.items():
        np.testing.assert_allclose(found[key][0, 0], value, atol=1e-15)


def test_the_collapsed_laplacian_is_the_trace_of_the_hessian():
    net, points = mlp(3), places(3)
    laplacian = Collapsed({tuple(2 * (i == j) for i in range(3)): 1.0 for j in range(3)})
    found = propagate(net, points, [], [laplacian])[laplacian]
    hessians = jax.vmap(jax.hessian(net))(points)
    np.testing.assert_allclose(found, jnp.trace(hessians, axis1=2, axis2=3), rtol=1e-10)


@pytest.mark.parametrize("stacked", [False, True])
def test_gradients_in_the_parameters_and_in_a_coefficient(stacked):
    net, points = Modified(2, 5, KEY), places(2)

    def residual(values, laplacian):
        return jnp.sum((values + laplacian) ** 2)

    @compiled
    @jax.grad
    def pushed(both):
        net, nu = both
        p = Collapsed({(2, 0): nu, (0, 2): 1.0})
        found = propagate(net, points, [(1, 0)], [p], stacked=stacked)
        return residual(found[0, 0] * found[1, 0], found[p])

    @compiled
    @jax.grad
    def expected(both):
        net, nu = both
        at = functools.partial(nested, net, points)
        return residual(at((0, 0)) * at((1, 0)), nu * at((2, 0)) + at((0, 2)))

    both = eqx.filter((net, jnp.asarray(0.3)), eqx.is_inexact_array)
    pairs = zip(jax.tree.leaves(pushed(both)), jax.tree.leaves(expected(both)), strict=True)
    for got, wanted in pairs:
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-14)


def test_the_type_of_the_points_is_kept():
    net = jax.tree.map(lambda w: w.astype(jnp.float32), mlp(2, "gelu"))
    points = places(2).astype(jnp.float32)
    p = Collapsed({(2, 0): np.float64(0.1), (0, 1): jnp.asarray(2.0)})
    found = propagate(lambda z: net(jnp.stack([jnp.sin(z[0]), z[1] ** 2])), points, [(1, 1)], [p])
    assert {v.dtype for v in found.values()} == {jnp.dtype("float32")}


def test_channels_that_vanish_are_zeros_of_full_shape():
    found = propagate(lambda z: jnp.stack([z[0], z[0]]), places(2), [(2, 1)])
    assert {v.shape for v in found.values()} == {(5, 2)}
    assert not found[2, 1].any() and not found[0, 1].any()
    constant = propagate(lambda z: jnp.ones(1), places(2), [(1, 0)])
    assert not constant[1, 0].any()
