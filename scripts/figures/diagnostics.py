"""How long solutions of a chaotic problem are valid, by the tolerance of the experts.

python scripts/figures/diagnostics.py --out docs/images/diagnostics.png

The reference are experts at the default tolerance, which end about four digits better.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pinnkit as pk
from pinnkit.report import plot_over_time, valid_time

ROOT = Path(__file__).resolve().parents[2]
LYAPUNOV = 0.048
END = 450


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw error over time and valid times.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/diagnostics.png")
    options = parser.parse_args()
    problem = pk.load(ROOT / "problems/ks_l22.py", end=END)
    reference = pk.solve(problem, pk.LeastSquares())
    print(reference)
    found = {}
    for tolerance in (1e-3, 1e-5):
        solution = pk.solve(problem, pk.LeastSquares(tolerance=tolerance))
        compared = solution.compare(reference, resolution={"t": 1201, "x": 64})
        found[f"tolerance {tolerance:g}"] = compared
        print(solution, valid_time(compared, lyapunov=LYAPUNOV), sep="\n")
    plot_over_time(found, options.out, threshold=0.4, lyapunov=LYAPUNOV)


if __name__ == "__main__":
    main()
