"""Four emulated devices compute what one computes, to rounding; one computes as ever."""

import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit import devices

SCRIPT = Path(__file__).parent / "shared_work.py"
# what these processes do is compile; one thread would do for one device only
QUICK, PLAIN = "--xla_cpu_use_fusion_emitters=false", {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def computed(case, count, out):
    flags = f"{QUICK} --xla_force_host_platform_device_count={count}"
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, **PLAIN, "XLA_FLAGS": flags, "PYTHONPATH": root}
    command = [sys.executable, SCRIPT, str(count), out, case]
    subprocess.run(command, check=True, env=environment, timeout=300)
    return np.load(out)


slow = pytest.mark.accuracy


@pytest.mark.parametrize(
    ("case", "tolerance"),
    [
        ("first order", 1e-10),
        pytest.param("curvature", 1e-8, marks=slow),  # three steps amplify rounding
        pytest.param("operator", 1e-10, marks=slow),
        ("experts", 1e-10),
        pytest.param("experts that touch faces", 1e-10, marks=slow),
        pytest.param("joined experts", 1e-10, marks=slow),
    ],
)
def test_four_devices_compute_what_one_computes(case, tolerance, tmp_path):
    one, four = (computed(case, count, tmp_path / f"{count}.npz") for count in (1, 4))
    assert set(one) == set(four)
    for name, value in one.items():
        size = np.abs(value).max()
        assert np.allclose(four[name], value, rtol=0, atol=tolerance * size), name


def test_one_device_gets_back_what_it_gave():
    rows = jnp.arange(6.0)
    assert devices.count() == 1 and devices.leads()
    assert devices.shared(rows) is rows
    assert devices.everywhere(rows) is rows
    assert devices.here(rows) is rows
    assert devices.each(lambda whole, part: (whole, part), 3, rows) == (3, rows)
    assert devices.total(lambda whole, part: whole * jnp.sum(part), 2.0, rows) == 30.0
    assert devices.everyones([1, 2]).tolist() == [[1, 2]]
