"""Draws of places: densities, what is kept, shapes, and messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from pinnkit.errors import OptionError
from pinnkit.objective.sampling import R3, RAD, RARD, Even

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)
SIZE, COUNT = 640, 40
HILL = np.random.default_rng(0).permutation(np.exp(-(((np.arange(SIZE) - 200) / 40) ** 2)))
RULES = [Even(), RAD(), RAD(share=0.3), RARD(share=0.1), R3()]


def draws(sampling, rounds, residual=HILL, key=KEY):
    """Batches of indices one after another, the first from a batch of zeros."""
    table = jnp.asarray(residual)
    drawn = jax.jit(lambda k, p, n: sampling.draw(k, SIZE, p, n, lambda index: table[index]))
    index, found = jnp.zeros(COUNT, int), []
    for n, k in enumerate(jax.random.split(key, rounds)):
        index = drawn(k, index, jnp.asarray(n))
        found.append(np.asarray(index))
    assert drawn._cache_size() == 1
    return found


@pytest.mark.parametrize("sampling", RULES, ids=repr)
def test_shapes_never_change_and_a_first_batch_is_none_of_zeros(sampling):
    for index in draws(sampling, 6):
        assert index.shape == (COUNT,) and index.min() >= 0 and index.max() < SIZE
        assert len(set(index.tolist())) > COUNT // 2


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("sampling", RULES, ids=repr)
def test_residuals_that_tell_nothing_do_no_harm(sampling, value):
    for index in draws(sampling, 3, np.full(SIZE, value)):
        assert index.min() >= 0 and index.max() < SIZE
        assert len(set(index.tolist())) > COUNT // 2


@pytest.mark.parametrize("power, offset", [(1.0, 1.0), (2.0, 0.0)])
def test_rad_has_its_density(power, offset):
    """Pearson's statistic of one draw in a hundred of the pool, over many keys."""
    residual = jnp.linspace(0.5, 4, SIZE)
    rule = RAD(power=power, offset=offset, candidates=SIZE)

    def one(key):
        zeros = jnp.zeros(6, int)
        return rule.draw(key, SIZE, zeros, jnp.asarray(0), lambda index: residual[index])

    found = np.asarray(jax.vmap(one)(jax.random.split(KEY, 1000))).ravel()
    density = np.asarray(residual) ** power
    density = density / density.mean() + offset
    expected = found.size * (density / density.sum()).reshape(16, -1).sum(axis=1)
    counts = np.bincount(found, minlength=SIZE).reshape(16, -1).sum(axis=1)
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, 15)


def test_r3_keeps_exactly_the_places_above_the_mean():
    found, sizes = draws(R3(), 8), HILL
    for before, after in zip(found, found[1:], strict=False):
        above = sizes[before] > sizes[before].mean()
        np.testing.assert_array_equal(after[above], before[above])
        assert not set(after[~above]) & set(before[above])
        assert len(set(after.tolist())) == COUNT
    means = [sizes[index].mean() for index in found]
    assert means[-1] > 2 * means[0]


def test_r3_releases_places_that_are_not_above_the_mean_any_more():
    rule, flat = R3(), np.ones(SIZE)
    first, second = draws(rule, 2, flat)
    assert not np.array_equal(first, second)


def test_rard_keeps_what_it_adds_and_adds_what_it_says():
    rule = RARD(share=0.1, most=0.35)
    found = draws(rule, 7)
    kept = [int(rule.kept(COUNT, jnp.asarray(n + 1))) for n in range(7)]
    assert kept == [0, 4, 8, 12, 14, 14, 14]
    for n, number in enumerate(kept):
        assert len(set(found[n].tolist())) == COUNT
        for later in found[n:]:
            np.testing.assert_array_equal(later[:number], found[n][:number])
    assert np.mean(HILL[found[-1][:14]]) > 0.5
    assert not np.array_equal(found[-1][14:], found[-2][14:])


@pytest.mark.parametrize(
    "rule, wanted",
    [
        (lambda: RAD(share=1.5), r"RAD\(share=1.5.*a share between 0 and 1"),
        (lambda: RAD(power=0), "a power above zero"),
        (lambda: RAD(candidates=0), "whole number of candidates"),
        (lambda: RARD(share=0.6, most=0.5), "0 < share <= most <= 1"),
        (lambda: RARD(offset=-1), "an offset of zero or more"),
    ],
)
def test_messages(rule, wanted):
    with pytest.raises(OptionError, match=wanted):
        rule()
