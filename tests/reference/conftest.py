from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def data():
    """Folder of reference files computed by others."""
    if not DATA.is_dir():
        pytest.skip("the reference data are absent")
    return DATA
