"""Where a study runs changes nothing in its table: here, in processes, on a Dask cluster."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pinnkit.cli import app
from pinnkit.errors import MethodError, OptionError
from pinnkit.study import load_study, pools

distributed = pytest.importorskip("distributed")

STUDY = '''
import os
import time
from pathlib import Path

import sympy as sp

from sine import PROBLEM as problem

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, parameter
from pinnkit.errors import MethodError
from pinnkit.methods.exact import Exact
from pinnkit.study import Study, sweep



class Fragile(Exact):
    """Fails at k = 2 on purpose, at k = 4 by mistake, and waits for Ctrl-C at k = 5.

    Kills its process at k = 7.
    """

    folder: str = ""

    def run(self, system, run):
        value = system.parameters["k"]
        if value == 2:
            raise MethodError("no luck")
        if value == 4:
            raise ZeroDivisionError("a bug")
        if value == 5:
            (Path(self.folder) / "waiting").touch()
            time.sleep(60) if run.interrupted() else None
            while not run.interrupted():
                time.sleep(0.05)
            raise KeyboardInterrupt
        if value == 7:
            os._exit(9)
        with open(Path(self.folder) / "log", "a") as log:
            log.write(f"{value}\\n")
        return super().run(system, run)


'''


@pytest.fixture
def make(tmp_path):
    """A study file over some values of k; its results go beside it."""

    def write(*values, name="s"):
        path = tmp_path / f"{name}.py"
        method = f"Fragile(folder={str(tmp_path)!r})"
        path.write_text(
            STUDY + f"study = Study({name!r}, sweep(problem, {method}, k={list(values)}), "
            f"reference=Exact(), folder={str(tmp_path / 'runs')!r})\n"
        )
        return path

    return write


@pytest.fixture(scope="module")
def scheduler():
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            dashboard_address=":0",
        ) as cluster,
    ):
        yield cluster.scheduler_address


def timeless(table):
    return table.drop(columns="wall_s")


def test_a_cluster_gives_the_table_of_one_process(make, scheduler):
    here = load_study(make(1.0, 2.0, 3.0, name="here"))
    there = load_study(make(1.0, 2.0, 3.0, name="there"))
    heard = []
    far = there.run(scheduler=scheduler, on_case=lambda case, record: heard.append(case))
    pd.testing.assert_frame_equal(timeless(far), timeless(here.run()))
    assert list(far["status"]) == ["done", "failed", "done"] and far["reason"][1] == "no luck"
    assert set(heard) == set(there.cases)
    assert there.solution(there.cases[2])(x=0.25)["u"] == pytest.approx(0.5**0.5)


def test_a_cluster_skips_what_is_done(make, scheduler, tmp_path):
    path = make(1.0, 2.0)
    load_study(path).run(scheduler=scheduler)
    result = CliRunner().invoke(
        app, ["study", str(make(1.0, 2.0, 3.0)), "--scheduler", scheduler, "--json"]
    )
    assert result.exit_code == 1, result.output  # k = 2 has failed
    assert (tmp_path / "log").read_text().split() == ["1.0", "3.0"]


def test_a_broken_case_is_told_and_the_others_are_kept(make, scheduler):
    study = load_study(make(4.0, 1.0))
    message = r"lost 1 cases, first .*'k': 4.0.*ZeroDivisionError: a bug.*finished cases are kept"
    with pytest.raises(MethodError, match=message):
        study.run(scheduler=scheduler)
    assert list(study.table()["status"]) == ["done"]


def test_ctrl_c_reaches_the_processes_and_nothing_is_done_twice(make, tmp_path):
    command = [sys.executable, "-m", "pinnkit.cli", "study", str(make(1.0, 5.0, 3.0))]
    command += ["--workers", "2"]
    log = tmp_path / "stderr"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}  # for `sine`
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stderr=stderr, env=environment) as running,
    ):
        until = time.monotonic() + 60
        study = load_study(tmp_path / "s.py")
        first, last = study.cases[0], study.cases[2]
        while not ((tmp_path / "waiting").exists() and study.record(first) and study.record(last)):
            assert time.monotonic() < until and running.poll() is None, log.read_text()
            time.sleep(0.1)
        os.kill(running.pid, signal.SIGINT)
        assert running.wait(20) == 130
    assert list(study.table()["status"]) == ["done", "interrupted", "done"]
    again = load_study(make(1.0, 3.0, 6.0))
    assert list(again.run()["status"]) == ["done"] * 3
    assert sorted((tmp_path / "log").read_text().split()) == ["1.0", "3.0", "6.0"]


def test_a_process_that_dies_takes_only_its_own_case(make):
    study = load_study(make(7.0, 1.0, 3.0))
    with pytest.raises(MethodError, match=r"lost 1 cases, first .*'k': 7.0.*BrokenProcessPool"):
        study.run(workers=2)
    assert list(study.table()["status"]) == ["done"] * 2


def test_a_scheduler_that_does_not_answer(make, monkeypatch):
    monkeypatch.setattr(pools, "CONNECT_SECONDS", 0.5)
    study = load_study(make(1.0))
    with pytest.raises(OptionError, match=r"--scheduler tcp://127.0.0.1:9: no Dask .* Start one"):
        study.run(scheduler="tcp://127.0.0.1:9")
    assert study.table().empty


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2", "--scheduler", "tcp://a:1"], "--workers and --scheduler exclude"),
        (["--workers", "0"], "--workers 0: give at least 1"),
        (["--scheduler", "somewhere"], "--scheduler somewhere: not an address. Write for"),
        (["--scheduler", "tcp://host:99999"], "not an address"),
        (["--scheduler", "tcp://host"], "not an address"),
    ],
)
def test_bad_options_are_refused(make, options, message):
    result = CliRunner().invoke(app, ["study", str(make(1.0)), *options])
    assert result.exit_code == 2 and message in result.stderr and result.stdout == ""


def test_a_missing_package_is_named(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(OptionError, match=r"'distributed' is missing.*pinnkit\[cluster\]"):
        load_study(make(1.0)).run(scheduler="tcp://127.0.0.1:8786")
