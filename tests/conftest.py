"""Shared fixtures. Rank promotion is an error, so that (N,) against (N, 1) never broadcasts."""

import gc

import jax
import matplotlib
import pytest

from pinnkit import precision

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_finish():
    """Tracing makes many small objects. The collector, which would take up to a tenth of the time,
    need not look at modules again, nor look so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)


@pytest.fixture
def x64():
    with precision.scope("float64"):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)
