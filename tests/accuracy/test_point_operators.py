"""Operators on scattered points, at a fixed number of iterations."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts/benchmarks"))

import points  # noqa: E402

import pinnkit as pk  # noqa: E402

pytestmark = pytest.mark.accuracy


def test_darcy_at_random_nodes_and_at_others():
    """250 samples at 400 nodes; the same operator at 400 others and at 800."""
    problem = pk.load(points.PROBLEMS / "darcy_family.py")
    data = pk.dataset(problem, 300, resolution=32)
    network = pk.nn.LatentGrid(pk.nn.FNO(16, 6, 3), 16)
    found, _ = points.errors(problem, data, 400, 0, network=network, steps=250)
    print(found)
    assert found[0] < 0.10
    assert max(found[1:]) < 1.5 * found[0]
