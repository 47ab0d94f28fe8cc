"""The command line: JSON as agreed, exit status, and complaints in one line."""

import dataclasses
import json
import re
import subprocess
import sys
import time

import h5py
import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from pinnkit import PINN, SSBFGS, load, precision
from pinnkit.cli import account, app
from pinnkit.cli.options import parse_budget
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Run
from pinnkit.methods.exact import Exact
from pinnkit.methods.lines import Lines
from pinnkit.nn import MLP
from pinnkit.reference import read, write_grid
from pinnkit.solution import Solution, Status

PROBLEM = '''"""Heat equation with a known solution."""
from sympy import Eq, exp, pi, sin

from pinnkit import Box, Dirichlet, Equation, Initial, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
k = parameter("k", 0.1)
problem = Problem(
    name="heat",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), k * u.diff(x, 2)), name="heat"),
        Initial(u, sin(pi * x)),
        Dirichlet(u, 0, on=("x-", "x+")),
    ],
    exact={u: exp(-k * pi**2 * t) * sin(pi * x)},
)
'''

WELL = """
from sympy import Eq

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, eigenvalue, field

x = coordinates("x")
u, E = field("u", x), eigenvalue("E")
problem = Problem(
    name="well",
    domain=Box(x=(0, 1)),
    conditions=[Equation(Eq(-u.diff(x, 2), E * u)), Dirichlet(u, 0, on=("x-", "x+"))],
)
"""


@pytest.fixture
def heat(tmp_path):
    path = tmp_path / "heat.py"
    path.write_text(PROBLEM)
    return str(path)


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


def refused(*arguments, code=2):
    """The complaint: one line on stderr, nothing on stdout."""
    result = run(*arguments, code=code)
    assert result.stdout == "" and result.stderr.startswith("pinnkit: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def exact(t, x, k=0.1):
    return np.exp(-k * np.pi**2 * t) * np.sin(np.pi * x)


def test_solve_prints_the_agreed_json(heat, tmp_path):
    out = tmp_path / "runs" / "heat.h5"
    result = run("solve", heat, "--method", "exact", "--set", "k=0.2", "--out", out, "--json")
    facts = json.loads(result.stdout)
    assert {"status", "reason", "wall_s", "method", "residuals", "out"} <= set(facts)
    assert facts["status"] == "ok" and facts["method"] == "Exact" and facts["out"] == str(out)
    assert len(facts["residuals"]) == 3 and max(facts["residuals"].values()) < 1e-14
    solution = Solution.load(out)
    assert solution(t=0.5, x=0.3)["u"] == pytest.approx(exact(0.5, 0.3, 0.2), rel=1e-14)
    assert result.stderr == ""


def test_solve_exports_by_suffix(heat, tmp_path):
    run("solve", heat, "--method", "exact", "--out", tmp_path / "a.vtu", "--quiet")
    reference = read(tmp_path / "a.vtu", axes=("x",), fields=("u",))
    assert np.allclose(reference.fields["u"], exact(1.0, reference.coordinates["x"]))


def test_solve_draws(heat, tmp_path):
    run("solve", heat, "--method", "exact", "--plot", tmp_path / "a.png", "--quiet")
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert "unknown kind '.gif'" in refused("solve", heat, "--plot", tmp_path / "a.gif")


def test_compare_with_a_file_of_others(heat, tmp_path):
    run("solve", heat, "--method", "exact", "--out", tmp_path / "a.h5", "--quiet")
    t, x = np.linspace(0, 1, 5), np.linspace(0, 1, 9)
    values = 1.01 * exact(t[:, None], x[None, :])
    write_grid(tmp_path / "r.npz", {"t": t, "x": x}, {"usol": values})
    files = (tmp_path / "a.h5", tmp_path / "r.npz")
    plot = tmp_path / "c.png"
    result = run("compare", *files, "--map", "usol=u", "--json", "--plot", plot)
    facts = json.loads(result.stdout)
    assert facts["fields"]["u"]["rel_l2"] == pytest.approx(1 - 1 / 1.01)
    assert facts["fields"]["u"]["n_points"] == 45 and facts["reference_floor"] is None
    assert plot.stat().st_size > 1000
    table = run("compare", *files, "--map", "usol=u", "--time", 0.5).stdout
    assert "9 points" in table and "reference floor" in table
    assert "--map usol=u" in refused("compare", *files)
    np.savez(tmp_path / "s.npz", x=t, u=t[:, None] * t)
    assert "(--time …)" in refused("compare", files[0], tmp_path / "s.npz")
    assert "holds no time 0.6" in refused("compare", *files, "--map", "usol=u", "--time", 0.6)


def test_two_runs_are_compared(heat, tmp_path):
    paths = [tmp_path / f"{i}.h5" for i in (1, 2)]
    for path, k in zip(paths, (0.1, 0.2), strict=True):
        run("solve", heat, "--method", "exact", "--set", f"k={k}", "--out", path, "--quiet")
    facts = json.loads(run("compare", *paths, "--json").stdout)
    assert 0.1 < facts["fields"]["u"]["rel_l2"] < 1 and facts["reference_floor"] == 0


def test_reference_carries_its_error_estimate(heat, tmp_path):
    out = tmp_path / "ref.h5"
    result = run("reference", heat, "--out", out, "--resolution", 21, "--json")
    facts = json.loads(result.stdout)
    reference = read(out, axes=("t", "x"), fields=("u",))
    t, x = reference.coordinates["t"], reference.coordinates["x"]
    truth = exact(t[:, None], x[None, :])
    error = np.linalg.norm(reference.fields["u"] - truth) / np.linalg.norm(truth)
    assert facts["method"] == "Lines" and error < 1e-6
    assert reference.floor["u"] == pytest.approx(facts["error_estimate"]["u"])


def test_show(heat):
    text = run("show", heat, "--set", "k=3").stdout
    for part in ("Heat equation with a known solution", "∂", "k = 3", "x-, x+", "solved by"):
        assert part in text
    facts = json.loads(run("show", heat, "--json").stdout)
    assert facts["parameters"] == {"k": 0.1} and len(facts["conditions"]) == 3
    assert facts["method"] != "none" and facts["traits"].startswith("linear")


def test_an_interrupted_run_is_kept(heat, tmp_path, monkeypatch):
    original = Exact.run

    def interrupted(self, system, run):
        run.checkpoint.touch()
        status = Status(True, "interrupted after 3 steps", interrupted=True)
        return dataclasses.replace(original(self, system, run), status=status)

    monkeypatch.setattr(Exact, "run", interrupted)
    out = tmp_path / "a.h5"
    result = run("solve", heat, "--method", "exact", "--out", out, "--json", code=130)
    assert json.loads(result.stdout)["status"] == "interrupted"
    assert Solution.load(out).status.interrupted
    checkpoint = tmp_path / "a.checkpoint.h5"
    assert checkpoint.exists()
    assert f"same command with --resume continues; its state is in {checkpoint}" in result.stderr
    monkeypatch.setattr(Exact, "run", original)
    run("solve", heat, "--method", "exact", "--out", out, "--resume", "--quiet")
    assert not checkpoint.exists()
    assert "nothing to resume" in refused("solve", heat, "--out", out, "--resume")
    assert "--out is not given" in refused("solve", heat, "--resume")


def test_an_interrupted_reference_has_status_130(heat, tmp_path, monkeypatch):
    """Whatever the resolution reached, and without the time that measuring takes."""
    original = Lines.run

    def interrupted(self, system, run):
        return original(self, system, dataclasses.replace(run, interrupted=lambda: True))

    monkeypatch.setattr(Lines, "run", interrupted)
    result = run("reference", heat, "--out", tmp_path / "r.h5", "--json", code=130)
    facts = json.loads(result.stdout)
    assert facts["status"] == "interrupted" and facts["residuals"] == {}


def test_ctrl_c_before_a_first_result(heat, monkeypatch):
    def stop(self, system, run):
        raise KeyboardInterrupt

    monkeypatch.setattr(Exact, "run", stop)
    assert "interrupted" in refused("solve", heat, "--method", "exact", "--quiet", code=130)


def test_resume_tells_where(heat, tmp_path, monkeypatch):
    """A network interrupted at its second look goes on from the step where it stopped."""
    problem, out = load(heat), tmp_path / "a.h5"
    method = PINN(network=MLP(6, 1), stages=(SSBFGS(steps=40),), points=200)
    monkeypatch.setattr(sys.modules["pinnkit.cli.commands"], "method_of", lambda *_: method)
    looks = iter(range(100))
    stop = Run(jax.random.key(0), interrupted=lambda: next(looks) > 1)
    with precision.scope("float64"):
        stop = dataclasses.replace(stop, checkpoint=tmp_path / "a.checkpoint.h5")
        stopped = method.run(compile_problem(problem), stop)
    assert stopped.status.interrupted
    told = run("solve", heat, "--method", "pinn", "--out", out, "--resume").stderr
    step = int(re.search(r"pinnkit: resuming at step (\d+) of stage 1, after \d+ s", told)[1])
    assert 0 < step == stopped.history["step"][-1] < 40


def test_resuming_another_run_is_refused_before_it_is_announced(heat, tmp_path, monkeypatch):
    out, method = tmp_path / "a.h5", PINN(network=MLP(6, 1), stages=(SSBFGS(steps=2),), points=100)
    monkeypatch.setattr(sys.modules["pinnkit.cli.commands"], "method_of", lambda *_: method)
    command = ("solve", heat, "--method", "pinn", "--out", out, "--budget", "90s")
    assert run(*command, "-q", code=1).stdout.startswith("heat by PINN")
    told = refused(*command, "--resume", "--set", "k=0.3")
    assert "another run (different: problem or parameters)" in told and "resuming at" not in told


def test_progress_of_a_resumed_run_counts_from_its_start(heat, tmp_path):
    method, path, heard = (
        PINN(network=MLP(6, 1), stages=(SSBFGS(steps=50),), points=100),
        tmp_path / "c.h5",
        [],
    )
    looks = iter(range(100))
    stop = Run(jax.random.key(0), interrupted=lambda: next(looks) > 0, checkpoint=path)
    go_on = dataclasses.replace(stop, interrupted=lambda: False, report=heard.append)
    system = compile_problem(load(heat))
    with precision.scope("float64"):
        method.run(system, stop)
        with h5py.File(path, "r+") as file:
            stored = json.loads(file.attrs["facts"])
            file.attrs["facts"] = json.dumps(stored | {"elapsed": 1e6})
        solution = method.run(system, go_on)
    assert heard and max(p.elapsed for p in heard) < 1e3 < 1e6 < solution.stats["wall_s"]


def test_ctrl_c_without_a_checkpoint(heat, tmp_path, monkeypatch):
    original = Exact.run

    def interrupted(self, system, run):
        status = Status(True, "interrupted", interrupted=True)
        return dataclasses.replace(original(self, system, run), status=status)

    monkeypatch.setattr(Exact, "run", interrupted)
    options = ("solve", heat, "--method", "exact", "--quiet")
    assert "nothing was kept; with --out FILE" in run(*options, code=130).stderr
    told = run(*options, "--out", tmp_path / "a.h5", code=130).stderr
    assert "Exact keeps no state to resume from" in told


def test_quiet_keeps_a_short_account(heat, tmp_path):
    out = tmp_path / "a.h5"
    result = run("solve", heat, "--method", "exact", "--out", out, "-q")
    assert result.stdout.startswith("heat by Exact: ") and result.stderr == ""
    assert "u: estimated relative L2 error" in result.stdout
    assert f"written to {out}" in result.stdout and "residual" not in result.stdout


def test_version_and_help(monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert re.fullmatch(r"pinnkit \d+\.\d+\.\d+\n", run("--version").stdout)
    text = {name: run(name, "--help").stdout for name in ("solve", "compare", "reference", "study")}
    for name, part in [
        ("solve", "* FILE <path>"),
        ("solve", "experts (class LeastSquares)"),
        ("solve", "may be given several times"),
        ("solve", "needs the same --out"),
        ("solve", "--plot"),
        ("compare", "* RUN <path>"),
        ("compare", "usol=u if the file calls the field u 'usol'"),
        ("compare", "'usol[x,t]=u'"),
        ("reference", "classes Lines, Steady, Eigen and Exact"),
        ("study", "runs/NAME"),
        ("study", "--retry-failed"),
    ]:
        words = " ".join(text[name].replace("│", " ").split())
        assert part.strip() in words, (part, words)
        assert words.replace("--help <bool>", "").count("<bool>") == 0


def test_slow_measuring_is_told(heat, monkeypatch):
    monkeypatch.setattr(account, "PATIENCE", 0.0)
    original = account._residuals
    monkeypatch.setattr(account, "_residuals", lambda s: time.sleep(0.2) or original(s))
    result = run("solve", heat, "--method", "exact")
    assert "pinnkit: measuring how well the equations are satisfied\n" in result.stderr
    assert "residual heat: rms" in result.stdout


def test_eigenvalues_are_told(tmp_path):
    (tmp_path / "well.py").write_text(WELL)
    facts = json.loads(run("solve", tmp_path / "well.py", "--json").stdout)
    assert facts["method"] == "Eigen"
    levels = [facts["eigenvalues"][f"E[{n}]"] for n in range(3)]
    assert np.allclose(levels, [np.pi**2 * n**2 for n in (1, 2, 3)], rtol=1e-6)
    assert "E[0] = 9.8696" in run("solve", tmp_path / "well.py").stdout


def test_a_failed_solver_has_status_1(heat, tmp_path, monkeypatch):
    original = Exact.run

    def fail(self, system, run):
        return dataclasses.replace(original(self, system, run), status=Status(False, "diverged"))

    monkeypatch.setattr(Exact, "run", fail)
    result = run("solve", heat, "--method", "exact", "--json", code=1)
    assert json.loads(result.stdout)["status"] == "failed" and "diverged" in result.stderr

    def break_off(self, system, run):
        raise MethodError("The matrix is singular. Add a condition.")

    monkeypatch.setattr(Exact, "run", break_off)
    assert "singular" in refused("solve", heat, "--method", "exact", "--quiet", code=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "0s"], "--budget 0s: not a positive time"),
        (["--budget=-3s"], "--budget -3s: not a positive time"),
        (["--budget", "soon"], "--budget soon: not a positive time"),
        (["--method", "magic"], "--method magic is unknown. Choose one of pinn, experts"),
        (["--method", "eigen"], "--method eigen does not suit 'heat'"),
        (["--precision", "float16"], "--precision float16 is unknown"),
        (["--seed=-1"], "--seed -1 is out of range"),
        (["--set", "k"], "--set k: expected two sides"),
        (["--set", "k=fast"], "--set k=fast: not a number"),
        (["--set", "q=1"], "has no parameter 'q'"),
        (["--out", "/proc/none/a.h5"], "Cannot write '/proc/none/a.h5'"),
        (["--out", "a.doc"], "unknown kind '.doc'. Choose one of .h5"),
    ],
)
def test_bad_options_are_refused_before_solving(heat, options, message, monkeypatch):
    monkeypatch.setattr(
        sys.modules["pinnkit.solve"], "solve", lambda *a, **k: pytest.fail("solved")
    )
    assert message in refused("solve", heat, *options)


def test_bad_files(tmp_path, heat):
    assert "does not exist" in refused("show", tmp_path / "none.py")
    (tmp_path / "broken.py").write_text("problem = 1 / 0\n")
    told = refused("show", tmp_path / "broken.py")
    assert "does not run (ZeroDivisionError: division by zero), line 1: problem = 1 / 0." in told
    (tmp_path / "empty.py").write_text("")
    assert "defines no `problem`" in refused("solve", tmp_path / "empty.py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["u"] = np.zeros(3)
    assert "not a run file" in refused("compare", tmp_path / "other.h5", tmp_path / "other.h5")
    assert "unknown kind '.gif'" in refused("compare", "a.h5", "b.h5", "--plot", "c.gif")


def test_study(heat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.py").write_text(
        "from pinnkit import load\n"
        "from pinnkit.methods.exact import Exact\n"
        "from pinnkit.study import Study, sweep\n"
        f"study = Study('s', sweep(load({heat!r}), Exact(), k=[0.1, 0.2]))\n"
    )
    facts = json.loads(run("study", tmp_path / "study.py", "--json").stdout)
    assert [case["k"] for case in facts["cases"]] == [0.1, 0.2]
    assert {"method", "precision", "reason"} & set(facts["cases"][0])
    lines = run("study", tmp_path / "study.py").stdout.splitlines()
    assert lines[0].split() == ["k", "status", "wall_s", "estimate_u"] and len(lines) == 4
    assert lines[1].split()[:2] == ["0.1", "done"] and max(map(len, lines[:3])) < 60
    assert "table are in runs/s." in lines[3] and "--retry-failed" in lines[3]
    (tmp_path / "broken.py").write_text("import sympy\n\nstudy = Study('s')\n")
    told = refused("study", tmp_path / "broken.py")
    assert "Study file" in told and "line 3: study = Study('s')" in told
    assert "does not exist" in refused("study", tmp_path / "none.py")


@pytest.mark.parametrize(
    ("text", "seconds"), [("120s", 120), ("2m", 120), ("1.5h", 5400), ("90", 90), (".5 s", 0.5)]
)
def test_budgets(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1e3s", "nan", "0"])
def test_malformed_budgets(text):
    with pytest.raises(OptionError, match="Write for example 120s"):
        parse_budget(text)


def test_the_module_runs_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "pinnkit.cli", "solve", str(tmp_path / "none.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr


def test_what_is_asked_about_time_is_told_beside_the_table(heat, tmp_path):
    """exp(-k pi^2 t) against twice the rate: keys of their own, the documented ones as they are."""
    paths = [tmp_path / f"{i}.h5" for i in (1, 2)]
    for path, k in zip(paths, (0.1, 0.2), strict=True):
        run("solve", heat, "--method", "exact", "--set", f"k={k}", "--out", path, "--quiet")
    curve = tmp_path / "e.png"
    plain = json.loads(run("compare", *paths, "--json").stdout)
    asked = ("--over-time", curve, "--lyapunov", 2, "--threshold", 0.3, "--json")
    facts = json.loads(run("compare", *paths, *asked).stdout)
    assert {k: facts[k] for k in plain} == plain and curve.stat().st_size > 1000
    errors = np.array(facts["over_time"]["u"])
    times = np.array(facts["over_time"]["time"])
    np.testing.assert_allclose(errors, np.exp(0.1 * np.pi**2 * times) - 1, atol=1e-12)
    valid = facts["valid_time"]["u"]
    assert valid["passed"] and valid["lyapunov_times"] == pytest.approx(2 * valid["time"])
    told = run("compare", *paths, "--lyapunov", 2).stdout
    assert re.search(r"u: normalised error below 0.4 for 0\.\d+, 0\.\d+ Lyapunov times", told)
    told = run("compare", paths[0], paths[0], "--threshold", 0.1).stdout
    assert "below 0.1 for 1, the whole time that was compared" in told


def test_films_and_spectra_of_a_run(heat, tmp_path):
    run_file, film = tmp_path / "a.h5", tmp_path / "a.gif"
    run("solve", heat, "--method", "exact", "--out", run_file, "--quiet")
    assert json.loads(run("animate", run_file, "--out", film, "--frames", 2, "--json").stdout) == {
        "out": str(film)
    }
    assert film.read_bytes().startswith(b"GIF89a")
    told = run("animate", run_file, "--out", film, "--frames", 2, "--quiet")
    assert told.stdout == f"written to {film}\n" and told.stderr == ""
    assert "unknown kind '.png'" in refused("animate", run_file, "--out", tmp_path / "a.png")
    out = tmp_path / "s.png"
    assert "'heat' has x without that" in refused("spectrum", run_file, "--out", out)
    path = tmp_path / "wave.py"
    periodic = PROBLEM.replace('Dirichlet(u, 0, on=("x-", "x+"))', 'Periodic("x")')
    path.write_text(periodic.replace("Dirichlet", "Periodic").replace("pi * x", "2 * pi * x"))
    run("solve", path, "--method", "exact", "--out", run_file, "--quiet")
    facts = json.loads(run("spectrum", run_file, run_file, "--out", out, "--json").stdout)
    assert facts["k"][1] == pytest.approx(2 * np.pi) and out.stat().st_size > 1000
    assert facts["power"]["0"][1] == pytest.approx(0.5) and len(facts["power"]) == 3
