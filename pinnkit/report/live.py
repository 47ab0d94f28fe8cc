"""What a running method reports, on a terminal or in a log."""

import time
from typing import TYPE_CHECKING, Any

from pinnkit.methods.base import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

QUIET_SECONDS = 10.0
"""Where nothing can be redrawn (a log file), seconds between lines."""


class LiveReport:
    """A context manager to be given as `report`: losses, error estimate, and time that is left.

    On a terminal one table is redrawn; elsewhere a line is written every ten seconds.
    """

    def __init__(self, console: "Console", budget: float | None):
        self.console, self.budget = console, budget
        self._last = time.monotonic()
        self._live: Any = None

    def __enter__(self) -> "LiveReport":
        if self.console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        if self._live is not None:
            self._live.update(table(progress, self.budget))
        elif time.monotonic() - self._last >= QUIET_SECONDS:
            self._last = time.monotonic()
            text = line(progress, self.budget)
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def line(progress: Progress, budget: float | None) -> str:
    """`ssbfgs 120/4000, 12 s of 60 s, momentum 1.2e-03, error 3.0e-04`."""
    parts = [_step(progress), _time(progress, budget)]
    parts += [f"{name} {value:.1e}" for name, value in progress.losses.items()]
    if progress.error_estimate is not None:
        parts.append(f"error {progress.error_estimate:.1e}")
    return ", ".join(parts)


def table(progress: Progress, budget: float | None) -> "Table":
    """The same with one row per residual."""
    from rich.table import Table
    from rich.text import Text

    named = bool(progress.losses) or progress.error_estimate is not None
    drawn = Table(title=Text(_step(progress)), title_justify="left", show_header=named)
    drawn.add_column("residual")
    drawn.add_column("rms", justify="right")
    for name, value in progress.losses.items():
        drawn.add_row(Text(name), f"{value:.2e}")
    if progress.error_estimate is not None:
        drawn.add_row(Text("estimated error"), f"{progress.error_estimate:.1e}", style="bold")
    drawn.caption = _time(progress, budget)
    return drawn


def _step(progress: Progress) -> str:
    """`ssbfgs 120/4000`; where the end is unknown `…, t = 0.5, slab 5` or `refinement, step 3`."""
    if progress.of:
        return f"{progress.stage} {progress.step}/{progress.of}"
    counted = "slab" if ", t = " in progress.stage else "step"
    return f"{progress.stage}, {counted} {progress.step}"


def _time(progress: Progress, budget: float | None) -> str:
    if budget is None:
        return f"{progress.elapsed:.0f} s"
    left = max(budget - progress.elapsed, 0.0)
    return f"{progress.elapsed:.0f} s of {budget:g} s, {left:.0f} s left"
