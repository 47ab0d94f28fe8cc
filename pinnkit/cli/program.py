"""The program: options that commands share, exit status, and complaints in one line.

Exit status: 0 success, 1 the solver failed, 2 bad input, 130 interrupted (work is kept).
"""

import functools
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pinnkit.cli.account import as_options, note
from pinnkit.errors import LostProcess, MethodError, PinnkitError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")

app = typer.Typer(
    name="pinnkit",
    help="Declare a PDE once in SymPy; solve it with networks, experts or classical methods.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="Problem file that defines `problem`.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Parameter, such as nu=0.005; may be given several times."),
]
FLAG: dict[str, Any] = {"metavar": ""}
"""Options that take no value; Typer would show `<bool>`."""

Json = Annotated[
    bool, typer.Option("--json", **FLAG, help="Print one JSON object and nothing else.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", **FLAG, help="No progress; a short account.")]
Plot = Annotated[Path | None, typer.Option(help="Figure: .png .pdf .svg.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="Name in REFERENCE = name in the problem: usol=u if the file calls the field u "
        "'usol'. Also U_x=u for a part of a vector, 'usol\\[x,t]=u' to state the order of an "
        "array's dimensions, 0.5=x for a coordinate that the file leaves out. May be given "
        "several times.",
    ),
]
Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run file written by `pinnkit solve --out`.")
]


def main() -> None:
    """Run the command line; this is the entry point `pinnkit`."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pinnkit {importlib.metadata.version('pinnkit')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            **FLAG,
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Options before any command; `--version` ends the program by itself."""


def tidy(command: Callable[..., None]) -> Callable[..., None]:
    """One clear line instead of a traceback, and the agreed exit status."""

    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except (MethodError, LostProcess) as error:
            _complain(error, FAILED)
        except PinnkitError as error:
            _complain(error, BAD_INPUT)
        except KeyboardInterrupt:
            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None

    return wrapped


def _complain(error: Exception, status: int) -> None:
    """The message as one line; what it lists, indented, goes below."""
    text = as_options(str(error))
    lines = text.splitlines() if "\n  " in text else [text]
    note("\n".join("  " * line.startswith("  ") + " ".join(line.split()) for line in lines))
    raise typer.Exit(status) from None
