"""Learning rates that depend on the step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import optax

from pinnkit.errors import OptionError


class Schedule(ABC):
    """A frozen description of a rate by step, through optax."""

    @abstractmethod
    def rate(self) -> optax.Schedule:
        """step -> rate."""


@dataclass(frozen=True)
class Cosine(Schedule):
    """From `peak` to `peak` * `last` over `steps` steps, on half a cosine.

    Raises `OptionError` for numbers that are not positive.
    """

    peak: float
    steps: int
    last: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, "peak", "steps")

    def rate(self) -> optax.Schedule:
        return optax.cosine_decay_schedule(self.peak, self.steps, self.last)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from `peak` / `start` to `peak` in the first part `rise` of the steps, then down to
    `peak` / (`start` * `end`), both on half a cosine (Smith & Topin, arXiv:1708.07120).

    Raises `OptionError` for numbers that are not positive, or a rise not between 0 and 1.
    """

    peak: float
    steps: int
    rise: float = 0.2
    start: float = 10.0
    end: float = 1e3

    def __post_init__(self) -> None:
        _positive(self, "peak", "steps", "start", "end")
        if not 0 < self.rise < 1:
            raise OptionError(f"OneCycle(rise={self.rise!r}) must lie between 0 and 1. Give 0.2.")

    def rate(self) -> optax.Schedule:
        return optax.cosine_onecycle_schedule(
            self.steps, self.peak, self.rise, self.start, self.start * self.end
        )


def _positive(schedule: Schedule, *names: str) -> None:
    for name in names:
        value = getattr(schedule, name)
        if not value > 0:
            raise OptionError(
                f"{type(schedule).__name__}({name}={value!r}) must be positive. "
                "Give a number above zero."
            )
