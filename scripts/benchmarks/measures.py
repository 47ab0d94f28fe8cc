"""What a row of the tables measures: a solution's error, against something independent of it.

A measure is called with the solution and the folder of files of others, and returns the errors in
words and the floor, the reference's own error (None: unknown).
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.report.compare import Comparison

ROOT = Path(__file__).resolve().parents[2]


class Measure(Protocol):
    """`name` stands in the table's column "reference"."""

    @property
    def name(self) -> str: ...

    def needs(self, folder: Path | None) -> str | None:
        """The file that is missing, or None."""
        ...

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]: ...


def exact(problem: pk.Problem) -> pk.Solution:
    """The closed form that the problem declares."""
    return pk.solve(problem, pk.Exact(), quiet=True)


def lines(problem: pk.Problem) -> pk.Solution:
    """The method of lines with its own error estimate."""
    return pk.solve(problem, pk.Lines(), quiet=True)


def steady(problem: pk.Problem) -> pk.Solution:
    """Spectral collocation with its own error estimate."""
    return pk.solve(problem, pk.Steady(), quiet=True)


def experts(problem: pk.Problem) -> pk.Solution:
    """Least-squares experts with their own error estimate."""
    return pk.solve(problem, pk.LeastSquares(), quiet=True)


def cole_hopf(problem: pk.Problem) -> Path:
    """scripts/references/cole_hopf.py for the viscosity, and mean flow, of a Burgers problem."""
    given = compile_problem(problem).parameters
    options = ["--nu", repr(float(given["nu"]))]
    options += ["--mean-flow", repr(float(given["c"]))] if "c" in given else []
    path = Path(tempfile.gettempdir()) / f"pinnkit_cole_hopf{''.join(options)}.h5"
    command = [sys.executable, ROOT / "scripts/references/cole_hopf.py", *options, "--out", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


@dataclasses.dataclass(frozen=True)
class Against:
    """Relative L2 against a solution, or a file written by a script, of the same problem."""

    reference: Callable[[pk.Problem], pk.Solution | Path]

    @property
    def name(self) -> str:
        return self.reference.__name__.replace("_", "-")

    def needs(self, folder: Path | None) -> str | None:
        return None

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        comparison = solution.compare(self.reference(solution.problem))
        return errors(comparison), comparison.reference_floor


@dataclasses.dataclass(frozen=True)
class FileOf:
    """Relative L2 against a file that others computed; `floor` is how good that file is."""

    path: str
    author: str
    floor: float
    rename: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        maps = "".join(f" --map {theirs}={ours}" for theirs, ours in self.rename)
        return f"`{self.path}`{f' (`{maps.strip()}`)' if maps else ''}, {self.author}"

    def needs(self, folder: Path | None) -> str | None:
        return None if folder is not None and (folder / self.path).is_file() else self.path

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        assert folder is not None
        comparison = solution.compare(folder / self.path, rename=dict(self.rename))
        return errors(comparison), self.floor


@dataclasses.dataclass(frozen=True)
class Levels:
    """The largest relative error of the first `count` levels."""

    independent: Callable[[int], np.ndarray]
    name: str
    floor: float
    count: int = 4

    def needs(self, folder: Path | None) -> str | None:
        return None

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        found = np.array(list(solution.eigenvalues.values()))[: self.count]
        name = solution.problem.eigenvalues[0].name
        true = self.independent(self.count)
        return f"{name} {np.max(np.abs(found / true - 1)):.1e}", self.floor


@dataclasses.dataclass(frozen=True)
class Number:
    """The relative error of one number, `take(solution)`, whose converged value is `value`."""

    name: str
    value: float
    take: Callable[[pk.Solution], float]
    floor: float

    def needs(self, folder: Path | None) -> str | None:
        return None

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        return f"{abs(self.take(solution) / self.value - 1):.1e}", self.floor


def centre(solution: pk.Solution) -> float:
    """u(0, 0)."""
    return float(solution(x=0.0, y=0.0)["u"])


def largest(solution: pk.Solution) -> float:
    """The maximum of u on the left half of the plane, sought on grids that close in on it."""
    x, y, width = -0.5, 0.0, 0.5
    for _ in range(5):
        xs, ys = (np.linspace(c - width, c + width, 101) for c in (x, y))
        inside = solution(x=xs[:, None], y=ys[None, :])["u"]
        inside = np.where((xs < 0)[:, None] | (ys < 0)[None, :], inside, -np.inf)
        i, j = np.unravel_index(np.argmax(inside), inside.shape)
        x, y, width = float(xs[i]), float(ys[j]), 0.04 * width
    return float(np.max(inside))


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """An operator's own mean relative L2 error over test functions that training never saw."""

    name: str = "classical solver, held-out functions"

    def needs(self, folder: Path | None) -> str | None:
        return None

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        return in_words(solution.error_estimate or {}), None


@dataclasses.dataclass(frozen=True)
class MeanSquare(HeldOut):
    """The same, and the mean square of the error."""

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        told, floor = super().__call__(solution, folder)
        squares = solution.stats["mean square error"]
        return f"{told}; mean square {in_words(squares)}", floor


def errors(comparison: Comparison) -> str:
    """Relative L2 by field."""
    fields = comparison.to_json()["fields"]
    return in_words({name: norms["rel_l2"] for name, norms in fields.items()})


def in_words(by_field: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{name} {'undefined' if error is None else f'{error:.1e}'}"
        for name, error in by_field.items()
    )
