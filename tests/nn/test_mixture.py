"""Mixtures on overlapping windows: the sum of all windows by NumPy, derivatives, smoothness."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit import precision
from pinnkit.compile.terms import DerivativePlan, Term
from pinnkit.derivatives.autodiff import term_values
from pinnkit.derivatives.channels import examine, propagate
from pinnkit.errors import OptionError
from pinnkit.nn import MLP, Factorized, Fourier, Mixture
from pinnkit.nn.initial import built
from pinnkit.nn.mixture import step

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(7)
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def smooth_step(s):
    """The integral of the normalised (1 - s^2)^4 from -1, by Gauss-Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    ends = np.clip(np.asarray(s, float), -1, 1)
    half = (ends + 1) / 2
    inner = half[..., None] * (nodes + 1) - 1
    return half * ((1 - inner**2) ** 4 @ weights) * 315 / 256


def along(s, count, overlap):
    """Weights (count,) of all windows of [-1, 1] and local coordinates (count,)."""
    half = 1 / count
    edges = -1 + 2 * half * np.arange(1, count)
    steps = smooth_step((s - edges) / (overlap * half))
    weights = np.concatenate([[1.0], steps]) - np.concatenate([steps, [0.0]])
    centres = -1 + half * (2 * np.arange(count) + 1)
    return weights, (s - centres) / (half * (1 + overlap))


def around(angle, count, overlap):
    """The same on a circle; a window's own step up, then one down, in angles from its centre."""
    half = math.pi / count
    centres = half * (2 * np.arange(count) + 1)
    phi = np.mod(angle - centres + math.pi, 2 * math.pi) - math.pi
    scale = math.sin(overlap * half)
    near = lambda gap: np.where(np.abs(gap) < overlap * half, np.sin(gap) / scale, np.sign(gap))  # noqa: E731
    weights = smooth_step(near(phi + half)) * smooth_step(near(half - phi))
    return weights, np.tan(phi / 2) / math.tan(half * (1 + overlap) / 2)


@eqx.filter_jit
def each(experts, seen):
    """Values (J, c) of all networks of the stack at their own inputs (J, e)."""
    return eqx.filter_vmap(lambda own, z: own(z))(experts, seen)


@settings(max_examples=6, deadline=None)
@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    overlap=st.floats(0.1, 1.0),
    seed=st.integers(0, 99),
)
def test_sum_over_all_windows_by_numpy(counts, overlap, seed):
    with precision.scope("float64"):
        size = len(counts)
        net = built(Mixture(MLP(4, 1), counts, overlap), size, 2, key=jax.random.key(seed))
        (level,), value = net.levels, eqx.filter_jit(net)
        rng = np.random.default_rng(seed)
        ends = np.array(list(itertools.product((-1.0, 1.0), repeat=size)))
        for z in np.concatenate([rng.uniform(-1, 1, (4, size)), ends]):
            axes = [along(s, n, overlap) for s, n in zip(z, counts, strict=True)]
            # axes that are not divided are seen as they are
            axes = [
                a if n > 1 else (a[0], np.array([s]))
                for a, n, s in zip(axes, counts, z, strict=True)
            ]
            places = list(itertools.product(*map(range, counts)))
            weights = [np.prod([w[i] for (w, _), i in zip(axes, p, strict=True)]) for p in places]
            seen = [[x[i] for (_, x), i in zip(axes, p, strict=True)] for p in places]
            expected = np.asarray(weights) @ np.asarray(each(level.experts, np.asarray(seen)))
            np.testing.assert_allclose(np.sum(weights), 1.0, rtol=1e-12)
            np.testing.assert_allclose(value(z), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("count", "overlap"), [(3, 1.0), (4, 0.5), (7, 0.8)])
def test_windows_around_a_circle_by_numpy(count, overlap):
    mixture = Mixture(MLP(4, 1), count, overlap).around((True,))
    net = built(mixture, 4, 1, key=KEY, groups=(4,))
    value = eqx.filter_jit(net)
    for angle in (*np.random.default_rng(0).uniform(-4, 9, 20), 0.0, math.pi, 2 * math.pi):
        z = [f(k * angle) / k**2 for k in (1, 2) for f in (np.cos, np.sin)]
        weights, local = around(angle, count, overlap)
        np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-12)
        values = np.asarray(each(net.levels[0].experts, local[:, None]))
        found = value(np.asarray(z))
        np.testing.assert_allclose(found, weights @ values, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("mixture", "groups"),
    [
        (Mixture(MLP(5, 2), (3, 4)), (1, 1)),
        (Mixture(Fourier(MLP(4, 1), 3), (2, 1), overlap=0.4), (1, 1)),
        (Mixture(Factorized(MLP(4, 1)), 4, levels=3), (1, 1)),
        (Mixture(MLP(5, 1), (2, 3), levels=2).around((False, True)), (1, 2)),
    ],
    ids=["plain", "partly divided", "levels", "periodic"],
)
def test_channels_agree_with_nested_differentiation(mixture, groups):
    """Derivatives up to third order in one pass, of random networks; nothing falls back."""
    net = built(mixture, sum(groups), 1, key=KEY, groups=groups)

    def u(z):
        seen = [z[0][None], z[1][None]]
        if groups[1] == 2:
            seen[1] = jnp.stack([jnp.cos(3 * z[1]), jnp.sin(3 * z[1])])
        return net(jnp.concatenate(seen))

    orders = [(0, 0), (1, 0), (2, 0), (1, 1), (0, 3)]
    plan = DerivativePlan.of([Term("u", o, ("a", "b")) for o in orders])
    points = jax.random.uniform(KEY, (9, 2), minval=-1.0, maxval=1.0)

    def both(z):
        nested = jax.vmap(lambda p: term_values(u, ("u",), plan, p))(z)
        return propagate(u, z, orders), nested

    found, plain = jax.jit(both, compiler_options=QUICK)(points)
    for term, values in plain.items():
        size = float(jnp.abs(values).max())
        np.testing.assert_allclose(found[term.orders][:, 0], values, rtol=0, atol=1e-11 * size)
    assert examine(u, points, orders).fallbacks == ()


def test_steps_have_four_continuous_derivatives():
    found = [step]
    for _ in range(5):
        found.append(jax.grad(found[-1]))
    ends = jnp.array([-1 + 1e-12, 1 - 1e-12])
    values = jax.jit(lambda z: [jax.vmap(f)(z) for f in found], compiler_options=QUICK)(ends)
    np.testing.assert_allclose(values[0], [0.0, 1.0], atol=1e-14)
    np.testing.assert_allclose(values[1:5], 0.0, atol=1e-8)
    assert float(jnp.abs(values[5]).min()) > 1
    s = np.linspace(-1.2, 1.2, 25)
    np.testing.assert_allclose(jax.vmap(step)(jnp.asarray(s)), smooth_step(s), atol=1e-14)


def test_networks_are_local_and_equal_constants_give_one_constant():
    net = built(Mixture(MLP(4, 1), 6), 1, 1, key=KEY)
    moved = eqx.tree_at(
        lambda n: n.levels[0].experts.biases[-1], net, replace_fn=lambda b: b.at[2].add(1.0)
    )
    z = np.linspace(-1, 1, 97)[:, None]
    value = eqx.filter_jit(lambda n: jax.vmap(n)(z))
    changed = (np.asarray(value(moved)) != np.asarray(value(net)))[:, 0]
    gap = np.abs(z[:, 0] + 1 / 6)  # from the centre of the third of six
    assert changed[gap < 0.99 / 3].all() and not changed[gap > 1.01 / 3].any()
    flat = eqx.tree_at(
        lambda n: n.head,
        net,
        (jnp.zeros_like(net.head[0]), jnp.full_like(net.head[1], 0.7)),
    )
    np.testing.assert_allclose(value(flat), 0.7, rtol=1e-14)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_affine_in_all_last_layers_together_and_in_the_precision_of_the_scope(kind):
    with precision.scope(kind):
        net = built(Mixture(Factorized(MLP(4, 1)), (3, 2), levels=2), 2, 3, key=KEY)
        z, parts = jnp.array([0.3, -0.6], kind), net.head
        assert all(any(part is leaf for leaf in jax.tree.leaves(net)) for part in parts)

        @jax.jit
        def value(share):
            return eqx.tree_at(lambda n: n.head, net, tuple(share * part for part in parts))(z)

        zero, one, two = value(0.0), value(1.0), value(2.0)
        assert {str(leaf.dtype) for leaf in (*jax.tree.leaves(net), one)} == {kind}
        tolerance = 1e-5 if kind == "float32" else 1e-13
        np.testing.assert_allclose(two, 2 * one, rtol=100 * tolerance, atol=tolerance)
        np.testing.assert_allclose(zero, 0, atol=tolerance)
        assert jnp.all(one != 0)


def test_levels_halve_the_windows():
    mixture = Mixture(MLP(3, 1), (5, 4), levels=4).around((False, True))
    net = built(mixture, 3, 1, key=KEY, groups=(1, 2))
    found = [tuple(axis.count for axis in level.axes) for level in net.levels]
    assert found == [(5, 4), (3, 1), (2, 1), (1, 1)]
    z = jnp.array([0.3, 0.6, 0.8])
    whole, parts = eqx.filter_jit(lambda n: (n(z), [level(z) for level in n.levels]))(net)
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-14)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Mixture(windows=0), r"Mixture\(windows=0\) is no number of windows"),
        (lambda: Mixture(windows=(3, 2.5)), "is no number of windows"),
        (lambda: Mixture(windows=()), "is no number of windows"),
        (lambda: Mixture(overlap=0.0), "does not let neighbours overlap"),
        (lambda: Mixture(overlap=1.5), "above 0, and at most 1"),
        (lambda: Mixture(levels=0), r"Mixture\(levels=0\) is not a size"),
        (lambda: Mixture(windows=(3, 2)).build(1, 1, key=KEY), "2 numbers for 1 axes"),
        (lambda: Factorized(Mixture(windows=3)), r"Mixture\(Factorized\("),
        (lambda: Mixture(windows=30).build(3, 1, key=KEY), "27000 windows on 3 axes"),
        (
            lambda: Mixture(windows=2).around((True,)).build(2, 1, key=KEY, groups=(2,)),
            "Give 1, or at least 3",
        ),
    ],
)
def test_bad_options_are_told(wrong, words):
    with pytest.raises(OptionError, match=words):
        wrong()
