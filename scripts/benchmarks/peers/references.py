"""True values of the four problems on common grids, as files that need no pinnkit to be read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import pinnkit as pk
from pinnkit.files import atomic

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "scripts/references")]

import cole_hopf  # noqa: E402
from common import PROBLEMS, RUNS, Reference  # noqa: E402
from posed import posed  # noqa: E402

TIMES, PLACES, SIDE = 101, 401, 201


def grid(*axes: np.ndarray) -> np.ndarray:
    """All points of a tensor grid (n, 2), the last axis fastest."""
    return np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)


def burgers() -> Reference:
    t, x, nu = np.linspace(0, 1, TIMES), np.linspace(-1, 1, PLACES), 0.01 / np.pi
    u = cole_hopf.cole_hopf(t, x, nu)
    finer = cole_hopf.cole_hopf(t, x, nu, per_width=16)
    return Reference(grid(t, x), u.ravel(), cole_hopf.error_estimate(u, finer))


def allen_cahn() -> Reference:
    """The method of lines with settled resolution, and its own error estimate."""
    points = grid(np.linspace(0, 1, TIMES), np.linspace(-1, 1, PLACES))
    solution = pk.solve(posed("allen_cahn"), pk.Lines(), quiet=True)
    estimate = (solution.error_estimate or {})["u"]
    assert estimate is not None
    return Reference(points, values(solution, points), estimate)


def closed_form(name: str) -> Reference:
    problem = posed(name)
    (low, high), *_ = problem.domain.bounds.values()
    side = np.linspace(low, high, SIDE)
    points = grid(side, side)
    return Reference(points, values(pk.solve(problem, pk.Exact(), quiet=True), points), 0.0)


def values(solution: pk.Solution, points: np.ndarray) -> np.ndarray:
    """u at points (n, 2) in the order of the domain's axes."""
    axes = solution.problem.domain.axes
    return np.asarray(solution(**dict(zip(axes, points.T, strict=True)))["u"])


def make(name: str) -> Reference:
    if name == "burgers":
        return burgers()
    return allen_cahn() if name == "allen_cahn" else closed_form(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--out", type=Path, default=RUNS / "references")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROBLEMS:
        made = make(name)
        with atomic(folder / f"{name}.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays(made))
        print(f"{name}: {len(made.values)} points, floor {made.floor:.1e}")


def arrays(made: Reference) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in made._asdict().items()}


if __name__ == "__main__":
    main()
