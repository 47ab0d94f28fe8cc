"""Text columns: CSV, whitespace columns, and the exports of COMSOL.

The names come from the first line, or from the last comment line (`%` or `#`) before the numbers.
COMSOL's `u (m/s) @ t=0.5` is `u`; columns that differ only in `t=` become one column over time.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pinnkit.errors import ReferenceFileError
from pinnkit.reference.hdf5 import parse_floor
from pinnkit.reference.raw import Raw, Wanted, unreadable

_COMMENT = ("%", "#")
_AT = re.compile(r"\s*@\s*")
_UNIT = re.compile(r"\s*\([^()]*\)\s*$")
_COUNT = re.compile(r"^[%#]\s*(?:Nodes|rows)\s*:\s*(\d+)\s*$", re.MULTILINE)
_FLOOR = re.compile(r"^#\s*error_estimate\s*:\s*(\{.*\})\s*$", re.MULTILINE)


def read_columns(path: Path, wanted: Wanted) -> list[Raw]:
    """One table of N rows; every column is an array (N,)."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise unreadable(path, "text columns", error) from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith(_COMMENT)
    ]
    body = [line for _, line in numbered]
    if not body:
        raise unreadable(path, "text columns", "no rows")
    separator = next((s for s in (",", ";", "\t") if s in body[-1]), None)
    head = _split(body[0], separator)
    named = not all(_is_number(token) for token in head)
    rows = _numbers(path, numbered[1:] if named else numbered, separator)
    _check_count(path, text, len(rows))
    first = lines.index(body[0])
    names = head if named else _comment_names(lines[:first], rows.shape[1])
    if len(names) != rows.shape[1]:
        raise ReferenceFileError(
            f"Reference file '{path}' names {len(names)} columns but its rows have "
            f"{rows.shape[1]}. Make the header and the rows agree."
        )
    return [_table(names, rows, parse_floor(_first(_FLOOR, text)))]


def _numbers(path: Path, numbered: list[tuple[int, str]], separator: str | None) -> np.ndarray:
    if not numbered:
        raise unreadable(path, "text columns", "a header but no rows")
    lines = [line for _, line in numbered]
    try:
        return np.loadtxt(lines, delimiter=separator, ndmin=2, comments=list(_COMMENT))
    except ValueError as error:
        why = _fault(numbered, separator) or error
        raise unreadable(path, "text columns", why) from error


def _fault(numbered: list[tuple[int, str]], separator: str | None) -> str | None:
    """What is wrong with the first bad line, by its number in the file."""
    columns = len(_split(numbered[0][1], separator))
    for number, line in numbered:
        tokens = _split(line, separator)
        if len(tokens) != columns:
            return f"line {number} has {len(tokens)} columns, those before it {columns}"
        strange = [token for token in tokens if not _is_number(token)]
        if strange:
            return f"line {number}: '{strange[0]}' is not a number"
    return None


def _check_count(path: Path, text: str, rows: int) -> None:
    stated = _first(_COUNT, text)
    if stated is not None and int(stated) != rows:
        raise unreadable(path, "text columns", f"its header states {stated} rows, it has {rows}")


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match.group(1) if match else None


def _split(line: str, separator: str | None) -> list[str]:
    parts = line.split(separator) if separator else line.split()
    return [part.strip().strip('"') for part in parts]


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _comment_names(comments: list[str], n_columns: int) -> list[str]:
    """Names from the last comment that splits into `n_columns`, else `column_1`, `column_2` …"""
    for line in reversed(comments):
        content = line.lstrip("%# ").strip()
        for pattern in (r"\s*[,;\t]\s*", r"\s{2,}", r"\s+", r"\s{2,}|(?<=\S)\s(?=\S+\s*@)"):
            names = [name for name in re.split(pattern, content) if name]
            if len(names) == n_columns:
                return names
    return [f"column_{i + 1}" for i in range(n_columns)]


@dataclass(frozen=True)
class _Column:
    title: str
    name: str
    time: float | None


def _parse(title: str) -> _Column:
    base, *at = _AT.split(title, maxsplit=1)
    match = re.search(r"(?:^|[,\s])t\s*=\s*([-+.\deE]+)", at[0]) if at else None
    return _Column(title, _UNIT.sub("", base).strip(), float(match.group(1)) if match else None)


def _table(titles: list[str], rows: np.ndarray, floor: dict[str, float]) -> Raw:
    columns = [_parse(title) for title in titles]
    times = sorted({c.time for c in columns if c.time is not None})
    if times:
        return Raw(_unroll(columns, times, rows), table=True, floor=floor)
    plain = [c.name for c in columns]
    names = [c.name if plain.count(c.name) == 1 else c.title for c in columns]
    return Raw(dict(zip(names, rows.T, strict=True)), table=True, floor=floor)


def _unroll(columns: list[_Column], times: list[float], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Columns `u @ t=…` stacked over time; the others repeated for each time."""
    count = len(rows)
    table = {"time": np.repeat(np.asarray(times), count)}
    for index, column in enumerate(columns):
        if column.time is None:
            table[column.name] = np.tile(rows[:, index], len(times))
            continue
        values = table.setdefault(column.name, np.full(count * len(times), np.nan))
        start = times.index(column.time) * count
        values[start : start + count] = rows[:, index]
    return table
