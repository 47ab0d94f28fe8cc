"""Each named family of problems from the command line, compared with a reference in a file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles import CAVITY_U, CAVITY_V, kuramoto_sivashinsky
from typer.testing import CliRunner

from pinnkit.cli import app
from pinnkit.reference import write_grid, write_points

pytestmark = pytest.mark.accuracy
ROOT = Path(__file__).resolve().parents[2]


def run(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, (result.exit_code, result.output, result.exception)
    return json.loads(result.stdout)


def compared(folder, problem, reference):
    """Norms of the default solution of `problem` against the file `reference`."""
    out = folder / f"{problem}.h5"
    told = run("solve", ROOT / "problems" / f"{problem}.py", "--out", out, "--json")
    assert told["status"] == "ok"
    plot = folder / f"{problem}.png"
    facts = run("compare", out, reference, "--plot", plot, "--json")
    assert plot.stat().st_size > 5000
    return facts


def test_navier_stokes(tmp_path):
    """Tabulated profiles of the cavity flow (six digits), one file for each."""
    s, half = np.linspace(0.1, 0.9, 9), np.full(9, 0.5)
    down, across = tmp_path / "u.csv", tmp_path / "v.csv"
    write_points(down, {"x": half, "y": s}, {"u": np.array(CAVITY_U)})
    write_points(across, {"x": s, "y": half}, {"v": np.array(CAVITY_V)})
    facts = compared(tmp_path, "cavity", down)
    assert facts["fields"]["u"]["rel_l2"] < 5e-5
    facts = run("compare", tmp_path / "cavity.h5", across, "--json")
    assert facts["fields"]["v"]["rel_l2"] < 5e-5


def test_kuramoto_sivashinsky(tmp_path):
    t, x = np.array([0.25, 0.5, 0.75, 1.0]), np.linspace(-1, 1, 257)
    path = tmp_path / "theirs.h5"
    write_grid(path, {"t": t, "x": x}, {"u": kuramoto_sivashinsky(t, x)})
    assert compared(tmp_path, "ks_regular", path)["fields"]["u"]["rel_l2"] < 5e-10


def test_schroedinger_well(tmp_path):
    path = tmp_path / "exact.h5"
    script = ROOT / "scripts/references/finite_well.py"
    subprocess.run([sys.executable, script, "--out", path], check=True)
    facts = compared(tmp_path, "well_finite", path)
    assert max(norms["rel_l2"] for norms in facts["fields"].values()) < 1e-11
    assert max(level["relative"] for level in facts["eigenvalues"].values()) < 1e-12
