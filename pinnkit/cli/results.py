"""Commands that begin with a run file: compare, animate, spectrum."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pinnkit.cli.options import check_output, pair
from pinnkit.cli.program import FIGURE_SUFFIXES, Json, Map, Plot, Quiet, Run, app, tidy
from pinnkit.errors import OptionError

if TYPE_CHECKING:
    from pinnkit.report.compare import Comparison
    from pinnkit.report.held_out import HeldOut
    from pinnkit.solution import Solution

REFERENCE = "Run file, data file or OpenFOAM case."
Beside = Annotated[Path | None, typer.Argument(metavar="REFERENCE", help=REFERENCE)]
Field = Annotated[
    list[str] | None, typer.Option("--field", help="Field, may be given several times; else all.")
]


@app.command()
@tidy
def compare(
    run: Run,
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help=REFERENCE)],
    map_: Map = None,
    time: Annotated[float | None, typer.Option(help="Compare at this stored time only.")] = None,
    plot: Plot = None,
    over_time: Annotated[
        Path | None, typer.Option(help="Figure of the error over time: .png .pdf .svg.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Tell until when the normalised error is below; 0.4 is usual."),
    ] = None,
    lyapunov: Annotated[
        float | None, typer.Option(help="Largest Lyapunov exponent: count in Lyapunov times.")
    ] = None,
    every: Annotated[
        int, typer.Option(help="Of samples for an operator, keep every n-th node in space.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Compare RUN with what others computed, at their own points.

    An operator is compared with all samples of a REFERENCE in which --map names its input function,
    or which `pinnkit dataset` has written.
    """
    for figure in filter(None, (plot, over_time)):
        check_output(figure, FIGURE_SUFFIXES)
    result = _load(run).compare(reference, rename=_renamed(map_), time=time, every=every)
    if lyapunov is not None and threshold is None:
        from pinnkit.report.over_time import THRESHOLD as threshold  # noqa: N811
    further, told = _over_time(result, over_time is not None, threshold, lyapunov)
    if plot is not None:
        result.plot(plot)
    if over_time is not None:
        result.plot_over_time(over_time, threshold=threshold, lyapunov=lyapunov)
    typer.echo(json.dumps({**result.to_json(), **further}) if as_json else f"{result}{told}")


@app.command()
@tidy
def animate(
    run: Run,
    out: Annotated[Path, typer.Option(help="Film to write: .gif, or .mp4 with ffmpeg.")],
    reference: Beside = None,
    map_: Map = None,
    field: Field = None,
    frames: Annotated[int, typer.Option(help="Number of frames, at most.")] = 101,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 20,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a film of RUN; with REFERENCE of ours, theirs and the difference.

    Beside a REFERENCE the frames are its stored times.
    """
    from pinnkit.report.animate import SUFFIXES, check_writer

    check_output(out, SUFFIXES)
    check_writer(out)
    solution = _load(run)
    options: dict[str, Any] = {"fields": field, "frames": frames, "fps": fps}
    film = solution
    if reference is not None:
        compared = solution.compare(reference, rename=_renamed(map_))
        if not hasattr(compared, "animate"):
            raise OptionError(f"'{reference}' holds many samples, a film shows one. Leave it out.")
        film = cast("Comparison", compared)
    if as_json or quiet:
        film.animate(out, **options)
    else:
        from rich.console import Console

        from pinnkit.report.live import LiveReport

        with LiveReport(Console(stderr=True), None) as report:
            film.animate(out, report=report, **options)
    typer.echo(json.dumps({"out": str(out)}) if as_json else f"written to {out}")


@app.command()
@tidy
def spectrum(
    run: Run,
    out: Annotated[Path, typer.Option(help="Figure to write: .png .pdf .svg.")],
    reference: Beside = None,
    map_: Map = None,
    field: Field = None,
    time: Annotated[
        list[float] | None,
        typer.Option(help="Time, may be given several times; else first, middle and last."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw power spectra of RUN along its periodic axes, those of REFERENCE dashed.

    Several fields are added, as for a velocity.
    """
    from pinnkit.report.spectra import plot_spectrum
    from pinnkit.report.spectra import spectrum as powers

    check_output(out, FIGURE_SUFFIXES)
    solution = _load(run)
    plot_spectrum(
        solution, out, reference=reference, fields=field, times=time, rename=_renamed(map_)
    )
    if not as_json:
        typer.echo(f"written to {out}")
        return
    found = powers(solution, field, time)
    power = {f"{float(t):.12g}": found[t].tolist() for t in found}
    typer.echo(json.dumps({"out": str(out), "k": found.index.tolist(), "power": power}))


def _load(run: Path) -> "Solution":
    from pinnkit.runfile import load

    return load(run)


def _renamed(map_: list[str] | None) -> dict[str, str]:
    return dict(pair(text, "--map") for text in map_ or [])


def _over_time(
    result: "Comparison | HeldOut", curve: bool, threshold: float | None, lyapunov: float | None
) -> tuple[dict[str, Any], str]:
    """What was asked about time besides the table: keys of the JSON object, and lines of text."""
    from pinnkit.report.over_time import to_json

    facts: dict[str, Any] = {"over_time": to_json(result.by_time)} if curve else {}
    if threshold is None:
        return facts, ""
    lines, valid = [], result.valid_time(threshold, lyapunov)
    for name, time, lyapunov_times, passed in valid.itertuples():
        known = None if lyapunov is None else float(lyapunov_times)
        facts.setdefault("valid_time", {})[name] = {
            "time": float(time),
            "lyapunov_times": known,
            "passed": bool(passed),
        }
        counted = "" if known is None else f", {known:.3g} Lyapunov times"
        longer = "" if passed else ", the whole time that was compared"
        lines.append(
            f"{name}: normalised error below {threshold:g} for {time:.6g}{counted}{longer}"
        )
    return facts, "".join(f"\n{line}" for line in lines)
