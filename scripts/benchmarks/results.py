"""The timed tables of docs/results: error, time and reference of every problem and method.

    python scripts/benchmarks/results.py --out docs/results [--only burgers]

Each row is one call of `solve` with key 0 in float64. "floor" is the reference's own error
(0 for closed forms). Times are wall-clock seconds of `solve`, compilation included.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.errors import PinnkitError
from pinnkit.methods.base import Method
from pinnkit.methods.choose import choose

FOLDER = Path(__file__).resolve().parents[2]
BURGERS_EDGES = (-1, -0.4, -0.15, -0.06, -0.025, -0.01, 0, 0.01, 0.025, 0.06, 0.15, 0.4, 1)
BURGERS_SLABS = (0, 0.2, 0.3, 0.36, 0.42, 0.5, 0.65, 0.8, 1)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: a problem, a method (None: the default) and what to compare with."""

    problem: str
    method: Method | None
    reference: Callable[[pk.Problem], pk.Solution | Path]
    seconds: float | None = None
    parameters: tuple[tuple[str, float], ...] = ()


def exact(problem: pk.Problem) -> pk.Solution:
    return pk.solve(problem, pk.Exact(), quiet=True)


def lines(problem: pk.Problem) -> pk.Solution:
    return pk.solve(problem, pk.Lines(), quiet=True)


def steady(problem: pk.Problem) -> pk.Solution:
    return pk.solve(problem, pk.Steady(), quiet=True)


def cole_hopf(problem: pk.Problem) -> Path:
    path = Path(tempfile.gettempdir()) / "pinnkit_cole_hopf.h5"
    script = FOLDER / "scripts/references/cole_hopf.py"
    subprocess.run([sys.executable, script, "--out", path], check=True, stdout=subprocess.DEVNULL)
    return path


GRADED = pk.LeastSquares(layout=pk.Graded(x=BURGERS_EDGES), slabs=BURGERS_SLABS)
ROWS = (
    Row("heat1d", None, exact),
    Row("heat1d", pk.PINN(), exact, 60),
    Row("heat1d", pk.Lines(), exact),
    Row("heat2d", None, exact),
    Row("wave1d", None, exact),
    Row("wave1d", pk.Lines(), exact),
    Row("advection", None, exact),
    Row("poisson2d", None, exact),
    Row("poisson2d", pk.LeastSquares(layout=pk.Blocks(x=2, y=2)), exact),
    Row("poisson2d", pk.PINN(), exact, 60),
    Row("poisson2d", pk.Steady(), exact),
    Row("poisson3d", None, exact),
    Row("helmholtz2d", None, exact),
    Row("helmholtz2d", None, exact, None, (("a1", 6), ("a2", 6))),
    Row("poisson_nonlinear", pk.LeastSquares(), exact),
    Row("poisson_nonlinear", pk.Steady(), exact),
    Row("burgers", None, cole_hopf, 120),
    Row("burgers", GRADED, cole_hopf),
    Row("burgers", pk.Lines(), cole_hopf),
    Row("kovasznay", None, exact, 60),
    Row("kovasznay", pk.Steady(), exact),
    Row("cavity", None, steady, 120),
    Row("allen_cahn", None, lines, 100),
)


def run(row: Row) -> str:
    """One line of markdown."""
    problem = pk.load(FOLDER / "problems" / f"{row.problem}.py", **dict(row.parameters))
    method = row.method or choose(compile_problem(problem))[0]
    name = method.name if row.method else f"{method.name} (default)"
    if getattr(method, "layout", None) is not None:
        name += f" {type(method.layout).__name__}"
    label = row.problem + "".join(f" {k}={v:g}" for k, v in row.parameters)
    started = time.perf_counter()
    try:
        solution = pk.solve(problem, method, seconds=row.seconds, quiet=True)
        seconds = time.perf_counter() - started
        comparison = solution.compare(row.reference(problem))
    except PinnkitError as error:
        return f"| {label} | {name} | failed: {error} | | | |"
    cells = []
    for field, norms in comparison.to_json()["fields"].items():
        cells.append(f"{field} {norms['rel_l2']:.1e}")
    floor = comparison.to_json()["reference_floor"]
    reference = row.reference.__name__.replace("_", "-")
    floor_text = "unknown" if floor is None else f"{floor:.0e}"
    return f"| {label} | {name} | {', '.join(cells)} | {seconds:.1f} | {reference} | {floor_text} |"


def header() -> str:
    machine = f"{os.cpu_count()} CPU cores ({platform.machine()}), {jax.devices()[0].platform}"
    return (
        "# Measured results\n\n"
        f"`make results`, {datetime.date.today()}, key 0, float64, {machine}, "
        f"JAX {jax.__version__}.\nRelative L2 error per field against the reference; wall-clock "
        "seconds of `solve` with compilation. The floor is the reference's own error.\n\n"
        "| problem | method | relative L2 | seconds | reference | floor |\n"
        "|---|---|---|---|---|---|\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER / "docs/results")
    parser.add_argument("--only", default="", help="only problems whose name contains this")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / ("README.md" if not options.only else f"{options.only}.md")
    text = header()
    for row in ROWS:
        if options.only in row.problem:
            text += run(row) + "\n"
            path.write_text(text)
            print(text.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
