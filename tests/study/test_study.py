"""A study does every case once, whatever interrupts it, and keeps one tidy table."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sine import PROBLEM

import pinnkit as pk
from pinnkit.errors import MethodError, OptionError, SpecError
from pinnkit.experts import RandomSine
from pinnkit.methods.base import Method
from pinnkit.solution import Pointwise, Solution, Status
from pinnkit.study import Case, Study, load_study, sweep
from pinnkit.study.case import identity


class Sine(eqx.Module):
    k: jax.Array

    def __call__(self, z):
        return jnp.sin(jnp.pi * self.k * z)


class Tape:
    """What happens at which k: told to the method, no part of what it is."""

    def __init__(self, log, fails_at=(), stops_at=()):
        self.log, self.fails_at, self.stops_at = log, fails_at, stops_at

    def __repr__(self):
        return "Tape()"


class Counting(Method):
    """The closed form; notes every run, fails or stops where told."""

    tape: Tape = eqx.field(static=True)

    def supports(self, system):
        return None

    def run(self, system, run):
        value = system.parameters["k"]
        self.tape.log.append(value)
        if value in self.tape.fails_at:
            raise MethodError("no luck")
        interrupted = value in self.tape.stops_at
        status = Status(True, "interrupted" if interrupted else "done", interrupted)
        return Solution(system.problem, Pointwise(Sine(jnp.asarray(value))), self.name, status)


def study(tmp_path, log, **options):
    cases = sweep(PROBLEM, Counting(Tape(log, **options)), k=[1.0, 2.0, 3.0], keys=(0, 1))
    return Study("sines", cases, folder=tmp_path)


def test_a_case_is_what_its_method_is_made_of():
    """Arrays count by content, and every field counts, also one at its default."""
    weights = [np.ones((500, 2)), np.ones((500, 2))]
    weights[1][250, 1] = 2.0
    methods = [pk.LeastSquares(RandomSine(w, np.zeros(500), (1.0, 1.0))) for w in weights]
    assert repr(methods[0]) == repr(methods[1])
    assert len({Case(PROBLEM, m).digest for m in (*methods, *methods)}) == 2
    assert "tolerance" in repr(identity(pk.LeastSquares()))


def test_interrupted_study_carries_on_without_redoing_a_case(tmp_path):
    log = []
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, log, stops_at=(2.0,)).run()
    assert log == [1.0, 1.0, 2.0]
    table = study(tmp_path, log).run()
    assert log == [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0]
    assert list(table["status"]) == ["done"] * 6
    study(tmp_path, log).run()
    assert len(log) == 7


@pytest.mark.parametrize(("method", "reference"), [(pk.Steady(), None), (pk.Exact(), pk.Steady())])
def test_ctrl_c_in_a_solve_or_its_reference_is_no_result(tmp_path, monkeypatch, method, reference):
    original = pk.Steady.run

    def stopped(self, system, run):
        return original(self, system, dataclasses.replace(run, interrupted=lambda: True))

    case = Case(PROBLEM.replace(parameters={"k": 0.5}), method)
    sine = Study("sine", [case], reference=reference, folder=tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pk.Steady, "run", stopped)
        sine.run()
    (row,) = sine.table().to_dict("records")
    assert row["status"] == "interrupted" and "rel_l2_u" not in row
    (row,) = sine.run().to_dict("records")
    assert row["status"] == "done" and (reference is None or row["rel_l2_u"] < 1e-8)


def test_table_is_tidy_and_readable(tmp_path):
    done = study(tmp_path, [])
    table = done.run()
    assert list(table["k"]) == [1, 1, 2, 2, 3, 3] and list(table["key"]) == [0, 1] * 3
    pd.testing.assert_frame_equal(pd.read_parquet(done.path / "table.parquet"), table)
    assert len(pd.read_csv(done.path / "table.csv")) == 6


def test_the_overview_shows_what_tells_the_cases_apart(tmp_path):
    cases = sweep(PROBLEM, [pk.Exact(), Counting(Tape([]))], k=[1.0, 2.0])
    done = Study("sines", cases, reference=pk.Exact(), folder=tmp_path)
    assert {"reason", "problem", "digest", "key"} <= set(done.run())
    shown = done.overview()
    assert list(shown)[:4] == ["method", "k", "status", "wall_s"]
    assert set(list(shown)[4:]) == {"estimate_u", "rel_l2_u"}
    one = Study("sine", cases[:1], folder=tmp_path)
    assert one.overview().empty and not len(one.overview().columns)
    one.run()
    assert list(one.overview())[:5] == ["problem", "method", "key", "k", "status"]


def test_failures_are_recorded_and_not_repeated(tmp_path):
    log = []
    table = study(tmp_path, log, fails_at=(2.0,)).run()
    assert list(table["status"]) == ["done", "done", "failed", "failed", "done", "done"]
    assert table["reason"][2] == "no luck"
    study(tmp_path, log).run()
    assert len(log) == 6
    assert set(study(tmp_path, log).run(retry_failed=True)["status"]) == {"done"}


def test_identity_is_the_content():
    first, second = sweep(PROBLEM, k=[1.0, 2.0])
    again = Case(PROBLEM.replace(parameters={"k": 2.0}), labels={"note": "same"})
    assert first.digest != second.digest == again.digest
    assert Case(PROBLEM, key=1).digest != Case(PROBLEM).digest


def test_mistakes(tmp_path):
    with pytest.raises(OptionError, match="has no cases"):
        Study("empty", ())
    with pytest.raises(OptionError, match="two equal cases"):
        Study("twice", (Case(PROBLEM), Case(PROBLEM)))
    with pytest.raises(OptionError, match="'k' is an empty list"):
        sweep(PROBLEM, k=[])
    with pytest.raises(SpecError, match="no parameter 'q'"):
        sweep(PROBLEM, q=[1.0])
    with pytest.raises(SpecError, match="does not exist"):
        load_study(tmp_path / "none.py")
    (tmp_path / "s.py").write_text("study = 1")
    with pytest.raises(SpecError, match="defines no `study`"):
        load_study(tmp_path / "s.py")
    with pytest.raises(OptionError, match="was not loaded from a file"):
        study(tmp_path, []).run(workers=2)
