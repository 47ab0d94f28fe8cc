"""The timed tables of docs/results: error, time and reference of every problem and method.

    python scripts/benchmarks/results.py --out docs/results [--only NAME ...]
                                         [--reference-data FOLDER]

Each row (`rows.py`) is one call of `solve` in float64, with key 0 unless it says otherwise, and is
written as soon as it is measured; rows that are not measured again stay as they are. Times are
wall-clock seconds of `solve`, compilation included.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import time
from pathlib import Path

import jax
import table
from measures import ROOT
from rows import SECTIONS, Row, Section

import pinnkit as pk
from pinnkit.errors import PinnkitError


def load(row: Row) -> pk.Problem:
    return pk.load(ROOT / "problems" / f"{row.problem}.py", **dict(row.parameters))


def run(row: Row, problem: pk.Problem, data: Path | None) -> table.Cells:
    """The cells of a row."""
    started = time.perf_counter()
    switched = ""
    try:
        solution = pk.solve(problem, row.method, key=row.key, seconds=row.seconds, quiet=True)
    except PinnkitError as refusal:
        error, floor, verdict = "", None, f"refused: {refusal}"
        seconds = time.perf_counter() - started
    else:
        seconds = time.perf_counter() - started
        verdict = "" if solution.status.ok else f"failed: {solution.status.reason}"
        error, floor = compare(row, solution, data)
        if not row.manner(problem).startswith(solution.method):
            switched = f"what is named did not succeed, this is {solution.method}"
    return (
        row.subject,
        row.manner(problem),
        "; ".join(part for part in (error, verdict, switched) if part),
        f"{seconds:.1f}",
        row.measure.name,
        "unknown" if floor is None else f"{floor:.0e}" if floor else "0",
        str(datetime.date.today()),
    )


def compare(row: Row, solution: pk.Solution, data: Path | None) -> tuple[str, float | None]:
    """Error in words and floor; a solution that is not finite anywhere has neither."""
    try:
        return row.measure(solution, data)
    except PinnkitError as refusal:
        return f"not comparable: {refusal}", None


def head() -> str:
    machine = f"{os.cpu_count()} CPU cores ({platform.machine()}), {jax.devices()[0].platform}"
    return (
        "# Measured results\n\n"
        f"Written by `make results` (`scripts/benchmarks/results.py`): float64, key 0 unless a row "
        f"says otherwise, {machine}, JAX {jax.__version__}. One run each. Seconds are wall-clock "
        "time of `solve` with compilation on a machine that other work may have shared, so upper "
        "bounds. The key enters where something is drawn at random: networks, random features, "
        "operators. `LeastSquares` and `Eigen` with their default bases of polynomials and Fourier "
        "modes draw nothing, so that every key gives the same figures. PINN rows end at their "
        "budget or after 4000 iterations, whichever comes first. "
        "The floor is the reference's own error; a row ends with `failed` where the solution's own "
        "status says so."
    )


def key(section: Section, row: Row) -> table.Key:
    return section.title, row.subject, row.manner(load(row)), row.measure.name


def missing_note(section: Section, data: Path | None, measured: dict) -> list[str]:
    """What the section lacks, in words."""
    absent = [r for r in section.rows if r.measure.needs(data) and key(section, r) not in measured]
    files = sorted({f"`{row.measure.needs(data)}`" for row in absent})
    if not files:
        return []
    return [f"Skipped {len(absent)} rows, for want of the files {', '.join(files)}."]


def write(path: Path, new: dict[table.Key, table.Cells], data: Path | None) -> None:
    """Merge `new` into the file as it stands now."""
    measured = table.read(path) | new
    sections = [
        (s.title, s.text, [key(s, row) for row in s.rows], missing_note(s, data, measured))
        for s in SECTIONS
    ]
    table.write(path, head(), sections, measured)


def selected(names: list[str]) -> list[tuple[Section, Row, str]]:
    """The rows whose label contains one of the names, all without names; and their labels."""
    rows = [(section, row) for section in SECTIONS for row in section.rows]
    labelled = [
        (section, row, f"{section.title}: {row.subject}, {row.manner(load(row))}")
        for section, row in rows
    ]
    return [
        (section, row, label)
        for section, row, label in labelled
        if not names or any(name.lower() in label.lower() for name in names)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the timed tables.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results", help="folder")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="only rows whose 'section: problem, method' contains this; may be repeated",
    )
    parser.add_argument(
        "--reference-data", type=Path, metavar="FOLDER", help="folder of the files of others"
    )
    options = parser.parse_args()
    path, data = options.out / "README.md", options.reference_data
    found = selected(options.only)
    if not found:
        parser.error(f"no row contains {' or '.join(map(repr, options.only))}")
    for section, row, label in found:
        missing = row.measure.needs(data)
        if missing:
            print(f"skipped {label}: no '{missing}' in --reference-data", file=sys.stderr)
            continue
        cells = run(row, load(row), data)
        print(f"{section.title}: {table.line(cells)}", flush=True)
        write(path, {key(section, row): cells}, data)
    write(path, {}, data)


if __name__ == "__main__":
    main()
