"""Error over time of experts and of networks on the chaotic Kuramoto–Sivashinsky equation.

    python scripts/figures/chaotic.py --out docs/images/chaotic.png [--runs FOLDER]

The reference is ETDRK4 in NumPy with 512 modes, which shares nothing with the package; its own
error is measured by halving its step. The networks take ten minutes, as do the random sines; with
--runs, solutions are kept there as run files and used again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import pinnkit as pk
from pinnkit.report.style import LINES, figure, save, style

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "scripts/benchmarks"))
from oracles import chaotic_kuramoto_sivashinsky  # noqa: E402
from rows import SINES  # noqa: E402

TIMES = np.linspace(0.02, 1, 50)
PLACES = np.linspace(0, 2 * np.pi, 256, endpoint=False)


def errors(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Relative L2 by time of values (times, x)."""
    return np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1)


WINDOWS = pk.PINN(network=pk.nn.MLP(20, 3), harmonics=5, windows=40)
METHODS = {
    "experts: Fourier and Chebyshev (default)": (None, None),
    "experts: random sines, tolerance 1e-6": (SINES, None),
    "PINN: 40 windows": (WINDOWS, 600),
}


def solved(label: str, runs: Path | None) -> pk.Solution:
    """The solution by the method of that label, or the one kept in `runs`."""
    method, seconds = METHODS[label]
    kept = None if runs is None else runs / f"{label.split(',')[0].replace(': ', '_')}.h5"
    if kept is not None and kept.is_file():
        return pk.Solution.load(kept)
    solution = pk.solve(pk.load(ROOT / "problems/ks_chaotic.py"), method, seconds=seconds)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        solution.save(kept)
    return solution


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw error over time.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/chaotic.png")
    parser.add_argument("--runs", type=Path)
    options = parser.parse_args()
    true = chaotic_kuramoto_sivashinsky(TIMES, PLACES)
    coarse = chaotic_kuramoto_sivashinsky(TIMES, PLACES, steps=10000)
    curves = {"the reference itself": errors(coarse, true) / 15.0}
    for label in METHODS:
        solution = solved(label, options.runs)
        curves[label] = errors(solution(t=TIMES[:, None], x=PLACES[None, :])["u"], true)
        every = ", ".join(f"{e:.1e} at {t:g}" for t, e in zip(TIMES, curves[label], strict=True))
        print(f"{label}: {solution.stats['wall_s']:.0f} s, {every}")
    with style():
        drawn = figure(5.6, 3.2)
        axes = drawn.subplots(1, 1)
        for (label, values), colour in zip(curves.items(), ("0.6", *LINES), strict=False):
            axes.semilogy(TIMES, values, color=colour, label=label)
        axes.set(xlabel="t", ylabel="relative error", ylim=(1e-13, 1))
        axes.legend(loc="lower right")
        save(drawn, options.out)


if __name__ == "__main__":
    main()
