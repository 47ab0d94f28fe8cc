"""Runs pinnkit and its peers in turn on one core; appends to docs/results/peers.json.

Each run is a process of its own in its package's environment (environments.sh makes them).
Packages take turns within a key, so that a busy spell of the machine falls on all of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import tally
from common import PROBLEMS, ROOT, RUNS
from tally import Row

HERE = Path(__file__).resolve().parent
PACKAGES = ("pinnkit", "deepxde", "jinns")
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
GRACE = 120
"""Seconds beyond the budget for imports, a long compilation and the errors."""


def interpreter(package: str, environments: Path) -> str:
    """Python of the package's environment; pinnkit is that of this process."""
    if package == "pinnkit":
        return sys.executable
    path = environments / package / "bin/python"
    if not path.exists():
        sys.exit(f"{path} is missing. Make the environments with `make peers`.")
    return str(path)


def one(package: str, problem: str, key: int, o: argparse.Namespace) -> Row:
    """The row of one run; with `failed` in words instead of an error where there is none."""
    script = HERE / f"{package}_error.py"
    command = [interpreter(package, o.environments), str(script), "--problem", problem]
    command += ["--seconds", f"{o.seconds:g}", "--key", str(key)]
    command += ["--settings", o.settings] if o.settings else []
    row: Row = {"package": package, "problem": problem, "key": key, "budget": o.seconds}
    row["choice"] = o.settings or "best"
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=o.seconds + GRACE,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return row | {"failed": f"no result {GRACE} s after the budget"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return row | {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}
    return row | json.loads(lines[-1])


def processor() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def place(cores: int | None) -> Row:
    """Where and when."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": day, "processor": f"{processor()}, one of {cores} cores"}


def summary(rows: list[Row]) -> str:
    """Medians and ratios by problem."""
    found = tally.medians(rows)
    lines = []
    for problem in PROBLEMS:
        ours = found.get((problem, "pinnkit"))
        cells = [problem, "–" if ours is None else f"{ours:.1e}"]
        for package in PACKAGES[1:]:
            theirs = found.get((problem, package))
            cells += ["–" if theirs is None else f"{theirs:.1e}", tally.ratio(theirs, ours)]
        lines.append(cells)
    head = ["problem", PACKAGES[0]]
    for package in PACKAGES[1:]:
        head += [package, "times"]
    return tally.table(head, lines)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--keys", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=60, help="budget of each run")
    parser.add_argument("--core", type=int, default=0, help="the core that runs are bound to")
    parser.add_argument("--settings", help="settings to try, of one peer")
    parser.add_argument("--environments", type=Path, default=RUNS)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/peers.json")
    return parser.parse_args()


def main() -> None:
    o = options()
    cores = os.cpu_count()
    os.sched_setaffinity(0, {o.core})  # the runs inherit it
    for key in o.keys:
        for problem in o.problems:
            for package in o.packages:
                row = one(package, problem, key, o) | place(cores)
                tally.write(o.out, tally.merged(tally.read(o.out), row))
                outcome = row.get("failed") or f"error {row['error']:.1e}, {row['steps']} steps"
                print(f"{problem} {package} key {key}: {outcome}", file=sys.stderr, flush=True)
    rows = [row for row in tally.read(o.out) if row["budget"] == o.seconds]
    print(summary(rows))


if __name__ == "__main__":
    main()
