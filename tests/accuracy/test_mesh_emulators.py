"""The Laplacian of the mesh as a part of learned rates, at fixed numbers of iterations."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts/benchmarks"))

import mesh_laplacian  # noqa: E402

from pinnkit.nn.graph import MessagePassing  # noqa: E402

pytestmark = pytest.mark.accuracy


def test_laplacian_helps_an_emulator_of_burgers():
    """Medians over three seeds of roll-outs over 200 steps from states not learned from."""
    problem, data = mesh_laplacian.trajectories(9, nodes=200, grid=64)
    train, test = data.split(6, 3)
    small = {"messages": MessagePassing(16, 2), "correction": MessagePassing(8, 1), "steps": 100}
    with_, without = (
        np.median(
            [
                mesh_laplacian.rolled(problem, train, test, s, laplacian=yes, **small)[1]
                for s in range(3)
            ]
        )
        for yes in (True, False)
    )
    assert with_ < without


def test_learned_correction_halves_the_error_of_the_laplacian():
    before, after = mesh_laplacian.laplacian_errors(1000, nodes=200, most=3)
    assert after < before / 2
