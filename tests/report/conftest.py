"""Closed forms on the simplest domains."""

from pathlib import Path

import pytest
from stand_in import Stand, decay, swirl

from pinnkit.geometry import Box


@pytest.fixture
def heat():
    """u(t, x) = exp(-t) sin(pi x) on [0, 1] x [-1, 1]."""
    return Stand(Box(t=(0, 1), x=(-1, 1), time="t"), {"u": decay}, {"u": 1e-9})


@pytest.fixture
def flow():
    """Two steady fields on the unit square."""
    formulas = {"u": swirl, "v": lambda x, y: swirl(y, x) + 0.5}
    return Stand(Box(x=(0, 1), y=(0, 1)), formulas)


@pytest.fixture
def data_folder():
    """Folder of reference files computed by others."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the reference data are absent")
    return folder
