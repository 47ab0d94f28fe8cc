"""What a command tells about a solution."""

from __future__ import annotations

import contextlib
import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pinnkit.methods.base import Progress
    from pinnkit.solution import Solution

PATIENCE = 1.0
"""Seconds of silence after which a command says what it is doing."""


def tell(solution: Solution, out: Path | None, as_json: bool, quiet: bool) -> None:
    """The account of a solve on standard output; a short one if `quiet`."""
    if as_json:
        facts = _facts(solution, _residuals(solution), out)
        typer.echo(json.dumps(facts, allow_nan=False))
        return
    typer.echo(str(solution))
    for name, value in solution.eigenvalues.items():
        typer.echo(f"  {name} = {value:.12g}")
    if not quiet:
        with _told_if_slow("measuring how well the equations are satisfied"):
            residuals = _residuals(solution)
        for name, value in residuals.items():
            typer.echo(f"  residual {name}: rms {value:.1e}")
    if out is not None:
        typer.echo(f"  written to {out}")


def _facts(solution: Solution, residuals: dict[str, float], out: Path | None) -> dict[str, Any]:
    status = "ok" if solution.status.ok else "failed"
    levels = solution.eigenvalues
    return {
        "status": "interrupted" if solution.status.interrupted else status,
        "reason": solution.status.reason,
        "wall_s": float(solution.stats["wall_s"]),
        "method": solution.method,
        "residuals": residuals,
        "error_estimate": _plain(solution.error_estimate),
        "out": None if out is None else str(out),
        **({"eigenvalues": levels} if levels else {}),
    }


def _plain(estimate: Any) -> dict[str, float] | None:
    known = {k: float(v) for k, v in (estimate or {}).items() if math.isfinite(v)}
    return known or None


def _residuals(solution: Solution) -> dict[str, float]:
    """Those that the method measured itself, else measured now.

    None for a useless solution, and none after Ctrl-C, as measuring takes time.
    """
    prefix = "held-out rms "
    own = {k.removeprefix(prefix): v for k, v in solution.stats.items() if k.startswith(prefix)}
    if own:
        return _plain(own) or {}
    if not solution.status.ok or solution.status.interrupted:
        return {}
    from pinnkit.report.residuals import residual_rms

    return residual_rms(solution)


def tell_how_to_go_on(solution: Solution, out: Path | None, checkpoint: Path | None) -> None:
    """After an interrupt, or a run with a budget: what was kept, and how to use it."""
    if checkpoint is not None and checkpoint.exists():
        tell_checkpoint(checkpoint)
    elif solution.status.interrupted and out is None:
        note("nothing was kept; with --out FILE the result is, and --resume can continue training")
    elif solution.status.interrupted:
        note(f"{solution.method} keeps no state to resume from; the same command starts afresh")


@contextlib.contextmanager
def checkpoint_told(checkpoint: Path | None) -> Iterator[None]:
    """Name the checkpoint also where Ctrl-C leaves no solution."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is not None and checkpoint.exists():
            tell_checkpoint(checkpoint)
        raise


def tell_checkpoint(checkpoint: Path) -> None:
    note(f"the same command with --resume continues; its state is in {checkpoint}")


@contextlib.contextmanager
def _told_if_slow(text: str) -> Iterator[None]:
    """A note if the body takes longer than `PATIENCE` seconds."""
    timer = threading.Timer(PATIENCE, note, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def note(text: str) -> None:
    """A line on standard error, beside whatever a program reads."""
    typer.echo(f"pinnkit: {text}", err=True)


def as_options(message: str) -> str:
    """Arguments of Python functions that a message recommends, as options of the command line."""

    def option(found: re.Match[str]) -> str:
        pair = "=".join(found.groups())
        return f'--map "{pair}"' if "[" in pair else f"--map {pair}"

    return re.sub(r"rename=\{'([^']*)': '([^']*)'\}", option, message).replace(
        "(time=…)", "(--time …)"
    )


def opened(opening: str, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`report` after a note: at the first progress the method has accepted its checkpoint."""
    pending = [opening] if opening else []

    def tell(progress: Progress) -> None:
        while pending:
            note(pending.pop())
        report(progress)

    return tell
