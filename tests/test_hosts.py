"""Two real processes on this machine: they train as one, and one outlives the other in words."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinnkit.cli import app
from pinnkit.errors import OptionError
from pinnkit.hosts import Place, kept, watched
from pinnkit.training import checkpoint as files

SCRIPT = Path(__file__).parent / "two_hosts.py"
# what these processes do is compile
QUICK, PLAIN = "--xla_cpu_use_fusion_emitters=false", {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def started(log, devices, *arguments):
    """A process that writes everything into a file."""
    flags = f"{QUICK} --xla_force_host_platform_device_count={devices}"
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, **PLAIN, "XLA_FLAGS": flags, "PYTHONPATH": root}
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    with log.open("w") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def steps_in(path):
    return files.facts(path, fingerprint_of(path))["step"]


def fingerprint_of(path):
    import h5py

    with h5py.File(path, "r") as file:
        return str(file.attrs["fingerprint"])


def trained_until(path, steps, processes, limit=100.0):
    """Wait until the checkpoint holds so many steps; a test that waits longer has failed."""
    end = time.monotonic() + limit
    while not (path.exists() and steps_in(path) >= steps):
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.accuracy)])
def test_a_process_outlives_another_in_words_and_one_goes_on_alone(tmp_path, victim):
    path, address = tmp_path / "kept" / "net.checkpoint.h5", f"127.0.0.1:{free_port()}"
    logs = [tmp_path / f"{index}.log" for index in (0, 1)]
    both = [started(log, 2, path, 10**6, address, 2, i) for i, log in enumerate(logs)]
    try:
        trained_until(path, 25, both)
        both[victim].kill()
        begin = time.monotonic()
        assert both[1 - victim].wait(60) == 1, logs[1 - victim].read_text()
        assert time.monotonic() - begin < 30
    finally:
        for process in both:
            process.kill()
            process.wait()
    said = logs[1 - victim].read_text().splitlines()[-1]
    assert f"pinnkit: Process {1 - victim}" in said
    assert f"'{path}'. Resume from it" in said
    done = steps_in(path)
    if victim == 1:
        assert list(path.parent.iterdir()) == [path]
        alone = started(tmp_path / "alone.log", 1, path, done + 50)
        assert alone.wait(100) == 0
        told = (tmp_path / "alone.log").read_text()
        assert "devices 1" in told
        last, first = (int(part.split()[-1]) for part in told.splitlines()[-1].split(","))
        assert first <= done < last == done + 50


def test_places_out_of_range_are_refused():
    for wrong, mend in (
        ({"coordinator": "node1"}, "Write HOST:PORT"),
        ({"coordinator": "node1:1", "processes": 2}, "Give both"),
        ({"coordinator": "node1:1", "processes": 2, "process": 2}, "from 0"),
        ({"heartbeat": 0.0}, "1 or more"),
    ):
        with pytest.raises(OptionError, match=mend):
            Place(**wrong)


def test_the_command_line_refuses_half_of_a_place(tmp_path):
    file = str(SCRIPT.parent.parent / "problems" / "heat1d.py")
    for options, mend in (
        (["--processes", "2"], "need --coordinator"),
        (["--coordinator", "node1"], "Write HOST:PORT"),
        (["--coordinator", "node1:1", "--process", "0"], "Give both"),
    ):
        found = CliRunner().invoke(app, ["solve", file, *options])
        assert found.exit_code == 2 and mend in found.stderr


def test_errors_of_a_single_process_stay_what_they_are():
    with pytest.raises(ValueError, match="gloo"), watched(None):
        raise ValueError("gloo")


def test_what_is_kept_is_said(tmp_path):
    path = tmp_path / "run.checkpoint.h5"
    assert "start again" in kept(None) and "start again" in kept(path)
    path.touch()
    assert str(path) in kept(path) and "any number of processes" in kept(path)


JOINING = """
import jax
from pinnkit.hosts import Place, join, leave
join(Place())
print(jax.process_index(), jax.process_count())
leave()
"""


def joined(**variables):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent), **variables}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", JOINING]
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def test_slurms_variables_are_enough():
    job = str(os.getpid())  # JAX takes the port from the number of the job
    common = {"SLURM_JOB_ID": job, "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    both = [joined(**common, SLURM_PROCID=str(i), SLURM_LOCALID=str(i)) for i in (0, 1)]
    try:
        told = [process.communicate(timeout=100)[0].split() for process in both]
    finally:
        for process in both:
            process.kill()
    assert told == [["0", "2"], ["1", "2"]]


def test_without_a_cluster_the_address_is_asked_for():
    _, errors = joined().communicate(timeout=100)
    assert "OptionError" in errors and "give --coordinator HOST:PORT" in errors
