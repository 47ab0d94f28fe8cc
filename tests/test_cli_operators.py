"""From the command line: data, an operator that learns from them, errors over samples."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pinnkit.cli import app

ROOT = Path(__file__).resolve().parents[1]
DARCY = ROOT / "problems/darcy_family.py"


def run(*arguments, status=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, (result.exit_code, result.output, result.exception)
    return result


def test_data_operator_and_errors(tmp_path):
    made, out, plot = tmp_path / "d.h5", tmp_path / "run.h5", tmp_path / "p.png"
    told = json.loads(
        run("dataset", DARCY, "-n", 40, "--resolution", 8, "--out", made, "--json").stdout
    )
    assert told["samples"] == 40
    assert told["error"] > 0
    options = ["--with", "steps=20", "--with", "modes=4", "--out", out]
    run("solve", DARCY, "--method", "deeponet", "--data", made, *options, "--quiet")
    found = json.loads(run("compare", out, made, "--plot", plot, "--json").stdout)
    assert 0 < found["fields"]["u"]["rel_l2"] < 1
    assert found["fields"]["u"]["n_samples"] == 40
    assert found["shared_with_training"] == 30
    assert plot.stat().st_size > 5000
    theirs = tmp_path / "theirs.npz"
    samples = np.random.default_rng(0).uniform(size=(2, 5, 9, 9))
    np.savez(theirs, coeff=samples[0], sol=samples[1])
    maps = ["--map", "coeff=a", "--map", "sol=u"]
    found = json.loads(run("compare", out, theirs, *maps, "--json").stdout)
    assert found["shared_with_training"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "fno", "--with", "mode=3"], "no such option"),
        (["--with", "steps=3"], "belong to a method"),
        (["--method", "mgno", "--with", "boundary=wet"], "unknown boundary"),
        (["--method", "fno", "--data", "none.h5"], "does not exist"),
        (["--method", "unknown"], "--method unknown is unknown"),
    ],
)
def test_bad_options_are_named(options, words):
    assert words in run("solve", DARCY, *options, status=2).output.replace("\n", " ")
