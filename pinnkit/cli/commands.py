"""Commands that begin with a problem: solve, reference, show, study."""

import functools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pinnkit.cli.account import checkpoint_told, note, opened, tell, tell_how_to_go_on
from pinnkit.cli.methods import CHOICES, method_of
from pinnkit.cli.options import (
    check_output,
    check_precision,
    check_seed,
    checkpoint_path,
    pair,
    parse_budget,
    parse_parameters,
)
from pinnkit.cli.program import (
    FAILED,
    FIGURE_SUFFIXES,
    FLAG,
    INTERRUPTED,
    File,
    Json,
    Map,
    Plot,
    Quiet,
    Set,
    app,
    tidy,
)
from pinnkit.cli.supervise import supervise
from pinnkit.errors import OptionError

if TYPE_CHECKING:
    from pinnkit.data import Dataset
    from pinnkit.methods.base import Method
    from pinnkit.solution import Solution
    from pinnkit.spec.problem import Problem

RUN_SUFFIXES = (".h5", ".hdf5")
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="NAME=VALUE",
        help="Option of the method, such as windows=20; may be given several times.",
    ),
]


@app.command()
@tidy
def solve(
    file: File,
    set_: Set = None,
    method: Annotated[str | None, typer.Option(help=f"One of {CHOICES}.")] = None,
    with_: With = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Samples to learn from: a file of `pinnkit dataset`, .npz .mat .h5 .nc."),
    ] = None,
    map_: Map = None,
    open_: Annotated[
        list[str] | None,
        typer.Option("--open", help="Axis of --data whose upper end is no node, such as x."),
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Wall time: 120s, 2m, 1h.")] = None,
    precision: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run file .h5, or values: .nc .npz .csv, .pvd (all times), .vtu .vtk (last time)."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            **FLAG,
            help="Continue a run that was interrupted or had a budget; needs the same --out.",
        ),
    ] = False,
    plot: Plot = None,
    as_json: Json = False,
    quiet: Quiet = False,
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where process 0 of several listens; auto under SLURM or Open MPI.",
        ),
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Their number, with --process.")] = None,
    process: Annotated[int | None, typer.Option(help="Number of this one, from 0.")] = None,
    heartbeat: Annotated[
        float, typer.Option(help="Seconds of silence after which a process is lost.")
    ] = 60.0,
) -> None:
    """Solve the problem of FILE, by default with a method chosen from its traits."""
    checkpoint = checkpoint_path(out, resume)
    task = functools.partial(
        _solve,
        file,
        set_,
        method,
        with_,
        data,
        map_,
        open_,
        budget,
        precision,
        seed,
        out,
        resume,
        checkpoint,
        plot,
        as_json,
        quiet,
    )
    if coordinator is not None:
        from pinnkit.hosts import Place

        supervise(task, Place(coordinator, processes, process, heartbeat), checkpoint)
    if processes is not None or process is not None:
        raise OptionError("--processes and --process need --coordinator HOST:PORT. Give it.")
    task()


def _solve(
    file: Path,
    set_: list[str] | None,
    method: str | None,
    with_: list[str] | None,
    data: Path | None,
    map_: list[str] | None,
    open_: list[str] | None,
    budget: str | None,
    precision: str,
    seed: int,
    out: Path | None,
    resume: bool,
    checkpoint: Path | None,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from pinnkit import devices
    from pinnkit.training.checkpoint import place as stopped_at

    seconds = None if budget is None else parse_budget(budget)
    check_seed(seed)
    check_precision(precision)
    if out is not None:
        check_output(out, _solution_suffixes())
    if plot is not None:
        check_output(plot, FIGURE_SUFFIXES)
    problem = _load(file, set_)
    if method is None and (with_ or data is not None):
        raise OptionError("--with and --data belong to a method. Name it by --method.")
    samples = None if data is None else _samples(data, problem, map_, open_)
    chosen = None if method is None else method_of(method, problem, with_, samples)
    leads = devices.leads()
    if checkpoint is not None and not resume and leads:
        checkpoint.unlink(missing_ok=True)
    devices.everyones([])  # nobody looks for the checkpoint before
    options: dict[str, Any] = {"key": seed, "seconds": seconds, "precision": precision}
    silent = as_json or quiet or not leads
    opening = ""
    if checkpoint is not None and resume and not silent:
        opening = f"resuming at {stopped_at(checkpoint)}"
    with checkpoint_told(checkpoint if leads else None):
        solution = _run(problem, chosen, silent, opening, checkpoint=checkpoint, **options)
    if leads:
        _keep(solution, out, checkpoint, seconds)
        tell(solution, out, as_json, quiet)
        if plot is not None:
            solution.plot(plot)
        tell_how_to_go_on(solution, out, checkpoint)
    _finish(solution, silent=not leads)


@app.command()
@tidy
def reference(
    file: File,
    out: Annotated[Path, typer.Option(help="File to write: .h5 .nc .npz .csv.")],
    set_: Set = None,
    resolution: Annotated[
        int | None, typer.Option(help="Points per axis; by default 1001, 201 or 61 by dimension.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Solve the problem of FILE by a classical method and write values on a grid.

    The method is the first that applies of the classes Lines, Steady, Eigen and Exact. The file
    carries its own error estimate.
    """
    from pinnkit.reference import WRITABLE

    check_output(out, WRITABLE)
    problem = _load(file, set_)
    solution = _run(problem, _classical(problem), as_json or quiet)
    if solution.status.ok:
        solution.export(out, resolution=resolution)
    tell(solution, out if solution.status.ok else None, as_json, quiet)
    _finish(solution)


@app.command()
@tidy
def dataset(
    file: File,
    out: Annotated[Path, typer.Option(help="File to write: .h5.")],
    samples: Annotated[int, typer.Option("-n", "--samples", help="Number of samples.")],
    set_: Set = None,
    resolution: Annotated[
        int | None,
        typer.Option(help="Intervals per axis in space; by default 128, 32 or 16 by dimension."),
    ] = None,
    frames: Annotated[int, typer.Option(help="Stored intervals in time.")] = 32,
    after: Annotated[
        float | None, typer.Option(help="Time at which these begin; by default the initial one.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw input functions of the family in FILE and solve for each by a classical method.

    The same command goes on after Ctrl-C, and a larger -n extends the file.
    """
    import numpy as np

    from pinnkit.generate import dataset as generate

    check_output(out, RUN_SUFFIXES)
    check_seed(seed)
    problem = _load(file, set_)
    options: dict[str, Any] = {"resolution": resolution, "frames": frames, "after": after}
    options |= {"key": seed, "out": out}
    started = time.monotonic()
    if as_json or quiet:
        found = generate(problem, samples, **options)
    else:
        from rich.console import Console

        from pinnkit.report.live import LiveReport

        with LiveReport(Console(stderr=True), None) as report:
            found = generate(problem, samples, report=report, **options)
    error = float(np.mean(found.errors))
    wall = time.monotonic() - started
    facts = {"out": str(out), "samples": len(found), "error": error, "wall_s": wall}
    words = f"{len(found)} samples in {wall:.1f} s, own error {error:.1e}, written to {out}"
    typer.echo(json.dumps(facts) if as_json else words)


@app.command()
@tidy
def show(file: File, set_: Set = None, as_json: Json = False) -> None:
    """Print the equations of FILE, their traits, and how they would be solved."""
    from pinnkit.report.show import facts_of
    from pinnkit.report.show import show as render

    problem = _load(file, set_)
    typer.echo(json.dumps(facts_of(problem)) if as_json else render(problem))


@app.command()
@tidy
def study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File that defines `study`.")],
    workers: Annotated[int | None, typer.Option(help="Processes; 1 by default.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler instead, such as tcp://host:8786.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", **FLAG, help="Run the cases again that have failed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run what is not done yet of the study in FILE, and print its table.

    Results stand in the study's folder, `runs/NAME` by default: a run file per case, and all
    columns in table.csv and table.parquet. The same command again runs interrupted cases.
    """
    from pinnkit.interrupt import on_interrupt
    from pinnkit.study import check_scheduler, load_study

    if scheduler is not None:
        check_scheduler(scheduler)
    with on_interrupt() as interrupted:  # an exception here could be lost in JAX's callbacks
        loaded = load_study(file)
    if interrupted():
        raise KeyboardInterrupt

    def hear(case: Any, record: Any) -> None:
        labels = ", ".join(f"{k} {v}" for k, v in case.columns.items() if k != "problem")
        typer.echo(f"{record['status']}: {labels}: {record['reason']}", err=True)

    try:
        table = loaded.run(
            workers=workers,
            scheduler=scheduler,
            on_case=(lambda *_: None) if as_json else hear,
            retry_failed=retry_failed,
        )
    except KeyboardInterrupt:
        note(f"the same command carries on; finished cases are in {loaded.path}")
        raise
    if as_json:
        rows = json.loads(table.to_json(orient="records") or "[]")
        typer.echo(json.dumps({"study": loaded.name, "folder": str(loaded.path), "cases": rows}))
    else:
        numbers = "{:.3g}".format
        typer.echo(loaded.overview().to_string(index=False, float_format=numbers, na_rep="-"))
        typer.echo(
            f"Run files and the whole table are in {loaded.path}. The same command runs what was "
            "interrupted, --retry-failed also what failed."
        )
    if "status" in table and "failed" in set(table["status"]):
        raise typer.Exit(FAILED)


def _load(file: Path, texts: list[str] | None) -> "Problem":
    parameters = parse_parameters(texts)
    from pinnkit.spec.load import load

    return load(file, **parameters)


def _samples(
    path: Path, problem: "Problem", map_: list[str] | None, open_: list[str] | None
) -> "Dataset":
    from pinnkit.generate import read_dataset

    rename = dict(pair(text, "--map") for text in map_ or [])
    found = read_dataset(path, problem, rename=rename, streamed=True, open_axes=open_ or ())
    for complaint in found.provenance.get("complaints", ()):
        note(f"{path.name}: {complaint}")
    return found


def _classical(problem: "Problem") -> "Method":
    """The classical method that applies; the closed form only where there is none."""
    reasons = []
    for name in ("lines", "steady", "eigen", "exact"):
        try:
            return method_of(name, problem)
        except OptionError as error:
            reasons.append(str(error).split(": ", 1)[1].rsplit(". Choose", 1)[0])
    raise OptionError(
        f"No classical method suits '{problem.name}' ({'; '.join(reasons)}). "
        "Compare with a file of your own instead."
    )


def _run(
    problem: "Problem", method: "Method | None", silent: bool, opening: str = "", **options: Any
) -> "Solution":
    """Solve; unless `silent` with progress on standard error, `opening` before the first."""
    from pinnkit.solve import solve as solve_problem

    if silent:
        return solve_problem(problem, method, quiet=True, **options)
    from rich.console import Console

    from pinnkit.report.live import LiveReport

    with LiveReport(Console(stderr=True), options.get("seconds")) as report:
        told = opened(opening, report)
        return solve_problem(problem, method, report=told, **options)


def _keep(
    solution: "Solution", out: Path | None, checkpoint: Path | None, seconds: float | None
) -> None:
    """Write the result; a checkpoint that nobody would resume from goes."""
    if out is not None:
        _write(solution, out)
    if checkpoint is not None and seconds is None and not solution.status.interrupted:
        checkpoint.unlink(missing_ok=True)


def _finish(solution: "Solution", silent: bool = False) -> None:
    if solution.status.interrupted:
        raise typer.Exit(INTERRUPTED)
    if not solution.status.ok and silent:
        raise typer.Exit(FAILED)
    if not solution.status.ok:
        note(f"the solver failed: {solution.status.reason}")
        raise typer.Exit(FAILED)


def _solution_suffixes() -> tuple[str, ...]:
    return (*RUN_SUFFIXES, ".vtu", ".vtk", ".pvd", ".nc", ".npz", ".csv")


def _write(solution: "Solution", out: Path) -> None:
    if out.suffix.lower() in RUN_SUFFIXES:
        solution.save(out)
    else:
        solution.export(out)
