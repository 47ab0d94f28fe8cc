"""Every evaluator, and everything inside one, can be saved."""

import importlib
import pkgutil

import equinox as eqx
import pytest

import pinnkit
from pinnkit.known import KNOWN
from pinnkit.solution import Evaluator

ROOMS = ("nn", "ansatz")


def modules(prefixes):
    for info in pkgutil.walk_packages(pinnkit.__path__, "pinnkit."):
        if info.name.split(".")[1] in prefixes:
            yield importlib.import_module(info.name)


def classes(prefixes, base):
    return {
        c
        for module in modules(prefixes)
        for c in vars(module).values()
        if isinstance(c, type)
        and issubclass(c, base)
        and c.__module__ == module.__name__
        and not getattr(c, "__abstractmethods__", None)
    }


@pytest.mark.parametrize(
    "cls", sorted(classes(ROOMS, eqx.Module), key=str), ids=lambda c: c.__name__
)
def test_network_is_known(cls):
    assert cls in KNOWN


def test_evaluators_are_known():
    list(modules(("methods",)))
    for cls in classes(("methods", "solution"), Evaluator):
        assert cls in KNOWN, cls
