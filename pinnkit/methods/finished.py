"""What is known of the finished windows of a march."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Window:
    """A finished window; `part` (P,) are its weights, `history` that of its fit.

    `ended`: why its training ended, in words; `causality`: what its causal weights
    certify; `defects`: what its residuals add by its end, by field (`budget.defects`).
    """

    start: float
    length: float
    part: np.ndarray
    history: dict[str, np.ndarray]
    held_out: dict[str, float]
    score: float
    ended: str = ""
    causality: str = ""
    defects: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def end(self) -> float:
        """Last time."""
        return self.start + self.length

    @property
    def steps(self) -> int:
        """Steps of its training."""
        return int(self.history["step"][-1]) if len(self.history["step"]) else 0

    def notes(self) -> dict[str, Any]:
        """Everything but the weights, JSON-able."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain |= {"history": {name: list(map(float, c)) for name, c in self.history.items()}}
        return {name: value for name, value in plain.items() if name != "part"}

    @classmethod
    def of(cls, notes: dict[str, Any], part: np.ndarray) -> Window:
        """The window with these notes and weights."""
        history = {name: np.array(column) for name, column in notes["history"].items()}
        return cls(**{**notes, "part": part, "history": history})

    def account(self, time: str) -> str:
        """Its place in time, steps, held-out residual, certificate and why it ended, in words."""
        worst = max(self.held_out.values(), default=0.0)
        parts = [f"{self.steps} steps", f"held-out residual {worst:.1e}"]
        parts += [f"{name} defect {value:.1e}" for name, value in self.defects.items()]
        parts += [words for words in (self.ended, self.causality) if words]
        return f"{time} = {self.start:.4g} to {self.end:.4g}: {', '.join(parts)}"


def histories(windows: Sequence[Window]) -> dict[str, np.ndarray]:
    """Histories of all windows in turn; "step" and "wall_s" go on, "window" counts from 1."""
    names = list(dict.fromkeys(name for w in windows for name in w.history))
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("window", *names)}
    steps = seconds = 0.0
    for number, window in enumerate(windows, start=1):
        size = len(window.history["step"])
        found["window"].append(np.full(size, number))
        for name in names:
            column = window.history.get(name, np.full(size, np.nan))
            offset = {"step": steps, "wall_s": seconds}.get(name, 0)
            found[name].append(column + offset if offset else column)
        steps += window.history["step"][-1] if size else 0
        seconds += window.history["wall_s"][-1] if size else 0
    return {name: np.concatenate(columns) for name, columns in found.items() if columns}


def total(windows: Sequence[Window]) -> dict[str, float]:
    """The sum of the windows' defects, by field."""
    names = list(windows[0].defects) if windows else []
    return {name: sum(window.defects[name] for window in windows) for name in names}


def error_budget(windows: Sequence[Window], time: str) -> str:
    """A table of the windows' defects and their running sums, in units of the fields' scales."""
    names = list(windows[0].defects) if windows else []
    rows = [[time, *(word for name in names for word in (name, "sum"))]]
    for count, window in enumerate(windows, start=1):
        row, sums = [f"{window.start:.4g} to {window.end:.4g}"], total(windows[:count])
        for name in names:
            row += [f"{window.defects[name]:.1e}", f"{sums[name]:.1e}"]
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    )


def certified(windows: Sequence[Window], count: int) -> str:
    """How many of `count` windows have a certificate of causality."""
    found = sum(window.causality.endswith(": certified") for window in windows)
    return f"certified in {found} of {count} windows"
