"""The layouts that least-squares experts find, drawn over the solutions.

    python scripts/figures/layouts.py --out docs/images [--runs FOLDER]

Solves Burgers, Kuramoto-Sivashinsky (chaotic), the cavity, two curved domains and multi-scale
Poisson by their defaults; with --runs, solutions are kept there as run files and used again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.patches import Rectangle

import pinnkit as pk
from pinnkit.report.style import DIFFERENCE, FIELD, figure, save, style

ROOT = Path(__file__).resolve().parents[2]
POINTS = 241
FRONT = {"t": (0.1, 0.6), "x": (-0.16, 0.16)}


def solved(name: str, runs: Path | None, **parameters: float) -> pk.Solution:
    """The default solution of a problem file, or the one kept in `runs`."""
    label = name + "".join(f"_{k}{v:g}" for k, v in parameters.items())
    kept = None if runs is None else runs / f"{label}.h5"
    if kept is not None and kept.is_file():
        return pk.Solution.load(kept)
    solution = pk.solve(pk.load(ROOT / "problems" / f"{name}.py", **parameters), quiet=True)
    print(f"{label}: {solution.status}")
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        solution.save(kept)
    return solution


def field(
    axes: Axes,
    solution: pk.Solution,
    across: str,
    up: str,
    colours: str = FIELD,
    window: dict[str, tuple[float, float]] | None = None,
) -> None:
    """The first field on a grid; white outside the domain."""
    bounds = window or solution.problem.domain.bounds
    x, y = (np.linspace(*bounds[name], POINTS) for name in (across, up))
    grid = dict(zip((across, up), np.meshgrid(x, y), strict=True))
    order = [grid[name].ravel() for name in solution.problem.domain.axes]
    inside = solution.problem.domain.contains(np.stack(order, axis=1), 1e-9)
    inside = inside.reshape(POINTS, POINTS)
    values = solution(**grid)[solution.fields[0]]
    values = np.ma.masked_where(~inside, values)
    axes.contourf(x, y, values, levels=40, cmap=colours)
    axes.set(xlabel=f"${across}$", ylabel=f"${up}$", xlim=bounds[across], ylim=bounds[up])


def boxes(axes: Axes, solution: pk.Solution, across: str, up: str) -> int:
    """The boxes of a mixture; returns their number."""
    mixture = solution.evaluator.mixture
    order = [solution.problem.domain.axes.index(name) for name in (across, up)]
    lower, upper = (np.asarray(edge)[:, order] for edge in (mixture.lower, mixture.upper))
    patches = [Rectangle(tuple(a), *(b - a)) for a, b in zip(lower, upper, strict=True)]
    axes.add_collection(PatchCollection(patches, fc="none", ec="k", lw=0.45))
    return len(patches)


def burgers(runs: Path | None, path: Path) -> None:
    """Boxes and slabs in space and time, and the front from nearby."""
    solution = solved("burgers", runs)
    with style():
        drawn = figure(8.0, 2.8)
        whole, near = drawn.subplots(1, 2)
        for axes, window in ((whole, None), (near, FRONT)):
            field(axes, solution, "t", "x", DIFFERENCE, window)
            count = boxes(axes, solution, "t", "x")
        whole.set_title(f"Burgers, $\\nu = 0.01/\\pi$: {count} experts in space and time")
        near.set(title="the front forms")
        save(drawn, path)


def periodic(runs: Path | None, path: Path) -> None:
    """Slabs of Fourier modes in space and Chebyshev polynomials in time."""
    solution = solved("ks_chaotic", runs)
    with style():
        drawn = figure(6.4, 2.1)
        axes = drawn.subplots(1, 1)
        field(axes, solution, "t", "x", DIFFERENCE)
        edges = np.asarray(solution.evaluator.mixture.edges)
        lines = [((t, 0.0), (t, 2 * np.pi)) for t in edges]
        axes.add_collection(LineCollection(lines, colors="k", linewidths=0.45))
        slabs, grid = len(edges) - 1, solution.stats["grid"]
        axes.set_title(f"Kuramoto-Sivashinsky, chaotic: {slabs} slabs on up to {grid} points")
        save(drawn, path)


def marks(axes: Axes, solution: pk.Solution) -> str:
    """Where singular functions sit; returns what they are, in words."""
    basis = solution.evaluator.mixture.basis
    if not hasattr(basis, "places"):
        return ""
    places = np.unique(np.asarray(basis.places), axis=0)
    axes.plot(*places.T, "o", ms=4, mfc="w", mec="k", mew=0.8, clip_on=False)
    return f"\n+ {basis.powers.shape[0]} singular functions"


def plane(runs: Path | None, path: Path) -> None:
    """Steady problems: halved boxes, and one box with singular functions."""
    cases: list[tuple[str, str, dict[str, float]]] = [
        ("poisson_multiscale", "two scales", {}),
        ("cavity_streamfunction", "cavity, Re 400", {"Re": 400}),
        ("four_disks", "four disks", {}),
        ("l_shape", "L-shape", {}),
    ]
    with style():
        drawn = figure(9.6, 2.8)
        for axes, (name, title, parameters) in zip(
            drawn.subplots(1, len(cases)), cases, strict=True
        ):
            solution = solved(name, runs, **parameters)
            field(axes, solution, "x", "y")
            count = boxes(axes, solution, "x", "y")
            singular = marks(axes, solution)
            axes.set_title(f"{title}: {count} expert{'s' * (count > 1)}{singular}", fontsize=7.5)
            axes.locator_params(nbins=4)
            axes.set_aspect("equal")
        save(drawn, path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the layouts of least-squares experts.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images", help="folder")
    parser.add_argument("--runs", type=Path, help="folder of run files to keep and use again")
    options = parser.parse_args()
    burgers(options.runs, options.out / "layout_burgers.png")
    periodic(options.runs, options.out / "layout_periodic.png")
    plane(options.runs, options.out / "layout_plane.png")


if __name__ == "__main__":
    main()
