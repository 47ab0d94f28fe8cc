"""docs/results/README.md as data: read, merged, written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pinnkit.files import atomic

COLUMNS = ("problem", "method", "error", "seconds", "reference", "floor", "date")
Cells = tuple[str, ...]
Key = tuple[str, str, str, str]
"""Title of the section, problem, method, reference."""


def key(title: str, cells: Cells) -> Key:
    return title, cells[0], cells[1], cells[4]


def line(cells: Iterable[str]) -> str:
    """One line of markdown."""
    return "| " + " | ".join(" ".join(c.split()).replace("|", "/") for c in cells) + " |"


def read(path: Path) -> dict[Key, Cells]:
    """The measured rows of a file that `write` made; none if there is no file."""
    found: dict[Key, Cells] = {}
    title = ""
    for text in path.read_text().splitlines() if path.is_file() else ():
        if text.startswith("## "):
            title = text[3:]
        cells = tuple(cell.strip() for cell in text.strip("|").split("|"))
        measured = text.startswith("| ") and len(cells) == len(COLUMNS) and cells != COLUMNS
        if measured:
            found[key(title, cells)] = cells
    return found


def write(
    path: Path,
    head: str,
    sections: Iterable[tuple[str, str, Iterable[Key], Iterable[str]]],
    measured: Mapping[Key, Cells],
) -> None:
    """Sections are given by title, text, the keys of their rows in order, and notes."""
    parts = [head]
    for title, text, keys, notes in sections:
        rows = [line(measured[k]) for k in keys if k in measured]
        table = "\n".join([line(COLUMNS), "|" + "---|" * len(COLUMNS), *rows])
        parts.append("\n\n".join([f"## {title}", text, *([table] if rows else []), *notes]))
    with atomic(path) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n")
