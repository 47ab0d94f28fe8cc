"""Rates of training steps of pinnkit and others, from lines of JSON as run_pinnkit.py prints them.

    python scripts/benchmarks/peers/rates.py --from out.jsonl

Each line needs "peer", "work", "net", "n", "dtype" and "steps_per_cpu_s"; lines of the same work,
network, points, precision and package are runs of one row. Writes docs/results/rates.json and
prints one table a work. Steps per CPU-second is the figure to compare, of runs made side by side:
the lines replace all rows of their tasks, and rows of other tasks stay.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tally
from common import ROOT
from tally import Row

BASE = "deepxde-pytorch"
WORKS = {
    "W1": "Burgers",
    "W2": "Allen–Cahn",
    "W3": "Kuramoto–Sivashinsky",
    "W4": "lid-driven cavity, Re 100",
}
TASK = ("work", "net", "n", "dtype")
NAMES = {"bare": "hand-written JAX", "deepxde-pytorch": "DeepXDE (PyTorch)"}
NAMES |= {"deepxde-jax": "DeepXDE (JAX)", "pina": "PINA"}
METHODS = {"prop": "channels by hand", "jvp": "nested forward mode", "grad": "nested reverse mode"}
METHODS |= {"jet": "jax.experimental.jet", "channels": ""}


def parse(text: str) -> list[Row]:
    """Lines that are runs of one of the works; all others are passed over."""
    found = []
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        try:
            made = json.loads(line)
        except json.JSONDecodeError:
            continue
        if made.get("work") in WORKS and made.get("steps_per_cpu_s"):
            found.append(made)
    return found


def who(line: Row) -> str:
    """Package, and the method where it has several."""
    method = line.get("method") or ""
    words = [METHODS.get(method, method)]
    words += [f"{line['chunk']} points at a time"] if line.get("chunk") else []
    inside = ", ".join(word for word in words if word)
    name = NAMES.get(line["peer"], line["peer"])
    return f"{name}: {inside}" if inside else name


def gather(lines: Iterable[Row]) -> list[Row]:
    """One row for all runs of one package on one task, by task, fastest first."""
    named = [line | {"who": who(line)} for line in lines]
    rows = []
    for group, runs in tally.groups(named, (*TASK, "who")).items():
        row: Row = dict(zip((*TASK, "who"), group, strict=True))
        row |= {"peer": runs[0]["peer"], "version": version(runs[0]), "count": len(runs)}
        for figure in ("steps_per_cpu_s", "steps_per_s", "compile_s", "peak_rss_mb"):
            values = [run[figure] for run in runs if run.get(figure) is not None]
            row[figure] = statistics.median(values) if values else None
        rows.append(row)
    return ordered(rows)


def task(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in TASK)


def ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (*map(str, task(r)), -r["steps_per_cpu_s"]))


def replaced(rows: Iterable[Row], new: list[Row]) -> list[Row]:
    """The new rows and the earlier ones of other tasks: only those side by side compare."""
    tasks = {task(row) for row in new}
    return ordered([*(row for row in rows if task(row) not in tasks), *new])


def version(line: Row) -> str:
    parts = [line.get("version"), line.get("backend_version")]
    parts += [f"JAX {line['jax']}" if line.get("jax") else None]
    return ", ".join(part for part in parts if part)


def tables(rows: Iterable[Row]) -> str:
    """Markdown, one table a task; the last column is the rate over that of DeepXDE."""
    parts = []
    for (work, net, n, dtype), members in tally.groups(rows, TASK).items():
        base = next((r["steps_per_cpu_s"] for r in members if r["peer"] == BASE), None)
        title = f"**{WORKS[work]}**, {net} network, {n} points, {dtype}"
        title += f", {members[0]['date']}" if "date" in members[0] else ""
        head = ["package", "steps per CPU-second", "runs", "first compilation, s", "memory, MB"]
        cells = [line(row, base) for row in members]
        parts.append(f"{title}\n\n{tally.table([*head, f'times {NAMES[BASE]}'], cells)}")
    return "\n\n".join(parts)


def line(row: Row, base: float | None) -> list[Any]:
    rate = row["steps_per_cpu_s"]
    compile_s = "–" if row["compile_s"] is None else f"{row['compile_s']:.1f}"
    times = "–" if base is None else f"{rate / base:.2f}"
    memory = "–" if row["peak_rss_mb"] is None else f"{row['peak_rss_mb']:.0f}"
    return [row["who"], f"{rate:.3g}", row["count"], compile_s, memory, times]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--from", dest="source", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/rates.json")
    o = parser.parse_args()
    today = {"date": datetime.date.today().isoformat()}
    made = gather(parse("\n".join(path.read_text() for path in o.source)))
    rows = replaced(tally.read(o.out), [row | today for row in made])
    tally.write(o.out, rows)
    print(tables(rows))


if __name__ == "__main__":
    main()
