"""Shared fixtures. Rank promotion is an error, so that (N,) against (N, 1) never broadcasts."""

import jax
import matplotlib
import pytest

from pinnkit import precision

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    with precision.scope("float64"):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)
