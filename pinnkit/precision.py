"""Floating-point precision as an argument, never as a global switch."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from pinnkit.errors import OptionError

PRECISIONS = ("float32", "float64")


@contextmanager
def scope(precision: str) -> Iterator[None]:
    """Run the body in "float32" or "float64"; the setting outside is restored afterwards."""
    if precision not in PRECISIONS:
        raise OptionError(
            f"precision={precision!r} is unknown. Choose one of {', '.join(PRECISIONS)}."
        )
    with jax.enable_x64(precision == "float64"):
        yield
