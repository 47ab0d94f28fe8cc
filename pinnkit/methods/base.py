"""The one signature of all methods, and what a run is given."""

from __future__ import annotations

import abc
import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import equinox as eqx
import jax

from pinnkit.compile.system import System
from pinnkit.errors import OptionError

if TYPE_CHECKING:
    from pinnkit.solution import Solution


@dataclasses.dataclass(frozen=True)
class Progress:
    """A report from a running method.

    `losses` are root mean square residuals by name; `of` is the planned number of steps. `elapsed`
    counts from the start of this run, as its budget does, also where the run continues another.
    """

    stage: str
    step: int
    of: int | None = None
    losses: Mapping[str, float] = dataclasses.field(default_factory=dict)
    elapsed: float = 0.0
    error_estimate: float | None = None


def _silent(progress: Progress) -> None:
    """Discard a report."""


def _never() -> bool:
    return False


@dataclasses.dataclass(frozen=True)
class Run:
    """What a method is given besides the system.

    - `key`: the one source of randomness.
    - `seconds`: budget of wall-clock time, checked between dispatches; None for no limit.
    - `report`: called with `Progress` now and then; `interrupted`: true after Ctrl-C.
    - `checkpoint`: file from which an unfinished run resumes, and to which it saves its state.

    Raises `OptionError` for a budget that is not positive.
    """

    key: jax.Array
    seconds: float | None = None
    precision: str = "float64"
    report: Callable[[Progress], None] = _silent
    interrupted: Callable[[], bool] = _never
    checkpoint: Path | None = None
    started: float = dataclasses.field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.seconds is not None and not (self.seconds > 0 and math.isfinite(self.seconds)):
            raise OptionError(
                f"The time budget is {self.seconds} s. Give a positive number of seconds, "
                "or none for no limit."
            )

    @property
    def elapsed(self) -> float:
        """Seconds since the run was made."""
        return time.monotonic() - self.started

    @property
    def remaining(self) -> float:
        """Seconds of the budget that are left; infinite without a budget."""
        return math.inf if self.seconds is None else self.seconds - self.elapsed


class Method(eqx.Module):
    """A way to solve a system. Concrete methods are frozen and compare by their options."""

    @property
    def name(self) -> str:
        """The method's name in reports and on the command line."""
        return type(self).__name__

    @abc.abstractmethod
    def supports(self, system: System) -> str | None:
        """None if the method applies, else the reason why not, in words."""

    @abc.abstractmethod
    def run(self, system: System, run: Run) -> Solution:
        """Solve the system."""
