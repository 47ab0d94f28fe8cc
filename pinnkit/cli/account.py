"""What a command tells about a solution."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pinnkit.solution import Solution


def tell(solution: Solution, out: Path | None, as_json: bool, quiet: bool) -> None:
    """The account of a solve on standard output; a short one if `quiet`."""
    if as_json:
        facts = _facts(solution, _residuals(solution), out)
        typer.echo(json.dumps(facts, allow_nan=False))
        return
    typer.echo(str(solution))
    for name, value in solution.eigenvalues.items():
        typer.echo(f"  {name} = {value:.12g}")
    for name, value in ({} if quiet else _residuals(solution)).items():
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
    """Those that the method measured itself, else measured now; none for a useless solution."""
    prefix = "held-out rms "
    own = {k.removeprefix(prefix): v for k, v in solution.stats.items() if k.startswith(prefix)}
    if own:
        return _plain(own) or {}
    if not solution.status.ok:
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


def tell_checkpoint(checkpoint: Path) -> None:
    note(f"the same command with --resume continues; its state is in {checkpoint}")


def note(text: str) -> None:
    """A line on standard error, beside whatever a program reads."""
    typer.echo(f"pinnkit: {text}", err=True)
