"""Rows of runs: kept in a list of JSON, and their medians."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
SAME = ("package", "problem", "key", "budget", "choice")
"""A row that agrees in these is the same run, made again."""


def read(path: Path) -> list[Row]:
    """The rows of a file; none if there is no file."""
    return json.loads(path.read_text()) if path.is_file() else []


def identity(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in SAME)


def merged(rows: Iterable[Row], new: Row) -> list[Row]:
    """With the new row in the place of an earlier one of the same run, or at the end."""
    found = list(rows)
    for place, row in enumerate(found):
        if identity(row) == identity(new):
            return [*found[:place], new, *found[place + 1 :]]
    return [*found, new]


def write(path: Path, rows: Iterable[Row]) -> None:
    """One row a line; complete or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        lines = ",\n".join(json.dumps(row) for row in rows)
        temporary.write_text(f"[\n{lines}\n]\n" if lines else "[]\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def groups(rows: Iterable[Row], names: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows that agree in the named entries, in the order of their first."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def medians(rows: Iterable[Row]) -> dict[tuple[str, str], float]:
    """Median error by problem and package; a run that failed counts as infinite."""
    found = groups(rows, ("problem", "package"))
    return {group: median_error(members) for group, members in found.items()}


def median_error(rows: Iterable[Row]) -> float:
    errors = [row.get("error") for row in rows]
    finite = [error if error is not None and error == error else float("inf") for error in errors]
    return statistics.median(finite)


def ratio(theirs: float | None, ours: float | None) -> str:
    """How many times larger their error is, in words for a table."""
    if theirs is None or ours is None or not 0 < ours < float("inf"):
        return "–"
    times = theirs / ours
    if times == float("inf"):
        return "failed"
    return f"{times:.2g}" if times < 1000 else f"{times:.0e}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in cells) + " |" for cells in lines)
