"""What the runs of all packages share: options, clock, snapshots, error, one line of JSON.

Needs NumPy only, as every package runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
RUNS = ROOT / "runs/peers"
PROBLEMS = ("burgers", "allen_cahn", "poisson", "helmholtz")
MOMENTS = 12


class Options(NamedTuple):
    """What a run is asked for; `settings` names one of the package's settings of the problem."""

    problem: str
    seconds: float
    key: int
    settings: str | None
    references: Path


class Reference(NamedTuple):
    """True values (n,) at points (n, 2), in the order (t, x) or (x, y), and their own error."""

    points: np.ndarray
    values: np.ndarray
    floor: float


def options(description: str) -> Options:
    """From the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--problem", choices=PROBLEMS, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="wall-clock budget")
    parser.add_argument("--key", type=int, default=0, help="seed of everything random")
    parser.add_argument("--settings", help="another than the settings that did best")
    parser.add_argument("--references", type=Path, default=RUNS / "references")
    return Options(**vars(parser.parse_args()))


def reference(o: Options) -> Reference:
    """The file that references.py wrote."""
    path = o.references / f"{o.problem}.npz"
    if not path.is_file():
        sys.exit(f"{path} is missing. Write it with scripts/benchmarks/peers/references.py.")
    with np.load(path) as file:
        return Reference(file["points"], file["values"], float(file["floor"]))


def relative_l2(values: np.ndarray, true: np.ndarray) -> float:
    """||values - true|| / ||true||."""
    return float(np.linalg.norm(np.ravel(values) - true) / np.linalg.norm(true))


def moments(seconds: float, count: int = MOMENTS) -> np.ndarray:
    """Moments from a twentieth of the budget to all of it, evenly on a logarithmic axis."""
    return np.geomspace(seconds / 20, seconds, count)


class Watch:
    """The budget of a run, and the weights at about twelve moments of it.

    The clock starts when the watch is made, after the imports: the network, the points and
    compilation count. `look` costs microseconds; errors are evaluated after the run.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.wall, self.cpu = time.monotonic(), time.process_time()
        self.moments = list(moments(seconds)[:-1])
        self.kept: list[tuple[float, Any]] = []

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.wall

    @property
    def spent(self) -> bool:
        return self.elapsed >= self.seconds

    def look(self, weights: Callable[[], Any]) -> bool:
        """Keep a copy of the weights if a moment has passed; whether the budget is spent."""
        now = self.elapsed
        if self.moments and now >= self.moments[0]:
            self.moments = [m for m in self.moments if m > now]
            self.kept.append((now, weights()))
        return self.spent

    def stop(self) -> tuple[float, float]:
        """Wall-clock and processor seconds since the start."""
        return self.elapsed, time.process_time() - self.cpu


def report(
    o: Options,
    watch: Watch,
    spent: tuple[float, float],
    evaluate: Callable[[Any, np.ndarray], np.ndarray],
    last: Any,
    **facts: Any,
) -> None:
    """Print the line of one run; `evaluate(weights, points)` gives the values (n,)."""
    known = reference(o)
    curve = [
        [round(at, 2), relative_l2(evaluate(weights, known.points), known.values)]
        for at, weights in watch.kept
    ]
    error = relative_l2(evaluate(last, known.points), known.values)
    line = {"problem": o.problem, "key": o.key, "budget": o.seconds}
    line |= {"seconds": round(spent[0], 2), "cpu_seconds": round(spent[1], 2), "error": error}
    line |= facts | {"floor": known.floor, "curve": [*curve, [round(spent[0], 2), error]]}
    print(json.dumps(line), flush=True)
