"""The automatic choice of stages."""

import pytest

from pinnkit.errors import OptionError
from pinnkit.training import LBFGS, SOAP, SSBFGS, GaussNewtonCG, default_stages
from pinnkit.training.plan import ENDLESS


def kinds(*arguments, **options):
    return tuple(type(stage) for stage in default_stages(*arguments, **options))


def test_small_networks_get_the_dense_matrix():
    assert kinds(1000) == kinds(1000, 60.0) == (SSBFGS,)


def test_large_networks_get_matrix_free_stages():
    assert kinds(20_000) == (SOAP, GaussNewtonCG)
    assert kinds(20_000, residuals=False) == (SOAP, LBFGS)


@pytest.mark.parametrize("parameters", [1000, 20_000])
def test_the_budget_ends_the_last_stage(parameters):
    timed = default_stages(parameters, 60.0)
    counted = default_stages(parameters, steps=800)
    assert timed[-1].steps >= ENDLESS // 20
    assert sum(stage.steps for stage in counted) <= 800


def test_messages():
    with pytest.raises(OptionError, match=r"default_stages\(parameters=0\) is not a count"):
        default_stages(0)
