"""Rows, medians and tables of the comparison with other packages."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "scripts/benchmarks"
sys.path[:0] = [str(BENCHMARKS / "peers"), str(BENCHMARKS)]

import common  # noqa: E402
import compare  # noqa: E402
import rates  # noqa: E402
import run_pinnkit  # noqa: E402
import steps  # noqa: E402
import tally  # noqa: E402

from pinnkit.compile import compile_problem  # noqa: E402
from pinnkit.nn import MLP  # noqa: E402


def row(package="pinnkit", key=0, error=1e-3, **others):
    made = {"package": package, "problem": "burgers", "key": key, "budget": 60.0}
    return made | {"choice": "best", "error": error} | others


def test_a_run_made_again_replaces_its_row():
    rows = [row(key=0), row(key=1), row("jinns", key=1)]
    again = tally.merged(rows, row(key=1, error=2e-3))
    assert [r["error"] for r in again] == [1e-3, 2e-3, 1e-3]
    assert len(rows) == 3 and rows[1]["error"] == 1e-3
    failed = {k: v for k, v in row(key=1).items() if k != "error"} | {"failed": "killed"}
    assert tally.merged(again, failed)[1] == failed


@pytest.mark.parametrize(
    "change", [{"key": 2}, {"budget": 10.0}, {"problem": "poisson"}, {"choice": "soft"}]
)
def test_other_runs_are_appended(change):
    assert len(tally.merged([row()], row() | change)) == 2


def test_files_are_read_as_written(tmp_path):
    path = tmp_path / "folder" / "rows.json"
    assert tally.read(path) == []
    for rows in ([], [row(), row("jinns", curve=[[1.0, 0.5], [2.0, 0.25]])]):
        tally.write(path, rows)
        assert tally.read(path) == rows == json.loads(path.read_text())
    assert [p.name for p in path.parent.iterdir()] == ["rows.json"]


def test_a_failed_run_counts_as_infinite_in_the_median():
    failed = {k: v for k, v in row(key=2).items() if k != "error"}
    assert tally.median_error([row(error=1.0), row(error=3.0), failed]) == 3.0
    assert tally.median_error([row(error=1.0), row(error=float("nan")), failed]) == float("inf")


def test_medians_are_by_problem_and_package():
    rows = [row(error=e) for e in (3e-3, 1e-3, 2e-3)] + [row("jinns", error=8e-3)]
    assert tally.medians(rows) == {("burgers", "pinnkit"): 2e-3, ("burgers", "jinns"): 8e-3}


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [(2e-2, 1e-2, "2"), (1e-2, 2e-2, "0.5"), (1e-2, 1e-8, "1e+06"), (float("inf"), 1e-2, "failed")]
    + [(None, 1e-2, "–"), (1e-2, None, "–"), (1e-2, float("inf"), "–")],
)
def test_ratio(theirs, ours, words):
    assert tally.ratio(theirs, ours) == words


def test_summary_has_a_line_for_every_problem():
    text = compare.summary([row(error=1e-4), row("deepxde", error=3e-3)])
    line = next(part for part in text.splitlines() if "burgers" in part)
    assert line == "| burgers | 1.0e-04 | 3.0e-03 | 30 | – | – |"
    assert len(text.splitlines()) == 2 + len(common.PROBLEMS)


def test_moments_end_with_the_budget_and_are_even_on_a_logarithmic_axis():
    found = common.moments(60.0)
    assert len(found) == common.MOMENTS and found[-1] == pytest.approx(60.0)
    np.testing.assert_allclose(np.diff(np.log(found)), np.log(20) / 11)


def test_a_watch_keeps_one_copy_a_moment():
    watch = common.Watch(1000.0)
    assert not watch.look(lambda: "early") and not watch.kept
    watch.wall -= 500.0
    assert not watch.look(lambda: "late") and not watch.look(lambda: "later")
    assert [weights for _, weights in watch.kept] == ["late"]
    watch.wall -= 501.0
    assert watch.look(lambda: "end") and watch.stop()[0] >= 1000.0


def test_relative_l2():
    true = np.array([3.0, 4.0])
    assert common.relative_l2(true[:, None] * 1.1, true) == pytest.approx(0.1)


def speed(peer, rate, **others):
    made = {"peer": peer, "work": "W1", "net": "4x64", "n": 2540, "dtype": "float32"}
    return made | {"steps_per_cpu_s": rate, "steps_per_s": rate, "peak_rss_mb": 400} | others


def test_rates_are_medians_of_runs_against_the_base():
    lines = [speed("deepxde-pytorch", r, compile_s=0.5) for r in (9.0, 10.0, 30.0)]
    lines += [speed("pinnkit", 40.0, method="channels"), speed("bare", 20.0, method="jvp")]
    text = "\n".join(["noise", "{broken", *map(json.dumps, lines), '{"work": "W9"}'])
    rows = rates.gather(rates.parse(text))
    assert [r["who"] for r in rows] == [
        "pinnkit",
        "hand-written JAX: nested forward mode",
        "DeepXDE (PyTorch)",
    ]
    assert "| pinnkit | 40 | 1 | – | 400 | 4.00 |" in rates.tables(rows)
    assert "| DeepXDE (PyTorch) | 10 | 3 | 0.5 | 400 | 1.00 |" in rates.tables(rows)


def test_rates_made_again_replace_all_of_their_task_and_no_others():
    other = rates.gather([speed("pinnkit", 3.0, work="W3")])
    earlier = rates.gather([speed("pinnkit", 40.0), speed("jinns", 10.0)])
    again = rates.gather([speed("pinnkit", 50.0), speed("pina", 20.0)])
    dated = [row | {"date": "2026-11-30"} for row in again]
    found = rates.replaced(other + earlier, dated)
    assert found == dated + other
    assert "**Burgers**, 4x64 network, 2540 points, float32, 2026-11-30\n" in rates.tables(found)


def test_laps_give_median_rates_and_the_first_step_the_compilation():
    seen = [(5.0, 4.0), (7.0, 5.0), (9.0, 6.6), (17.0, 8.2)]
    found = steps.rates(seen, 4)
    assert (found["steps_per_s"], found["steps_per_cpu_s"]) == (2.0, 2.5)
    assert found["runs"] == [2.0, 2.0, 0.5] and found["compile_s"] == 4.5
    assert steps.rates(seen, 4, before=4)["compile_s"] == 3.0


def test_the_loss_of_the_peers_is_that_of_pinnkit(x64, key):
    at, network = steps.points(50, seed=1), MLP(width=8, depth=3).build(2, 1, key=key)
    system = compile_problem(run_pinnkit.allen_cahn().problem)
    posed = run_pinnkit.objective(system, {"interior": at.interior, "start": at.start})
    parts = (*posed.equations, *posed.conditions)
    found = jax.jit(lambda u: [part.values(u, {}, part.pool) for part in parts])(network)
    residuals = [values for part in found for values in part.values()]
    assert len(residuals) == 2
    arrays = [map(np.asarray, part) for part in (network.weights, network.biases)]
    layers = list(zip(*arrays, strict=True))
    ours = sum(float(np.mean(np.square(r))) for r in residuals)
    assert steps.loss(layers, at) == pytest.approx(ours, rel=1e-13)
