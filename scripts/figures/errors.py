"""Error against time of the measured rows in docs/results: experts, networks, classical solvers.

python scripts/figures/errors.py --out docs/images/errors.png
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from pinnkit.report.style import LINES, figure, save, style

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/benchmarks"))
import table  # noqa: E402

SECTIONS = (
    "Linear problems",
    "Nonlinear problems",
    "Flows",
    "Networks: error within a budget",
)
KINDS = {
    "experts": ("LeastSquares", "o", LINES[0]),
    "PINN": ("PINN", "s", LINES[1]),
    "classical": ("Lines Steady", "^", LINES[2]),
}


def points(results: Path, methods: str) -> dict[str, tuple[float, float]]:
    """Seconds and the worst field's error by problem, of rows that did not fail."""
    found: dict[str, tuple[float, float]] = {}
    for (title, problem, method, _), cells in table.read(results).items():
        errors = [float(e) for e in re.findall(r"\d\.\de[-+]\d\d", cells[2].split(";")[0])]
        wanted = any(method.startswith(name) for name in methods.split())
        if title in SECTIONS and wanted and errors and "failed" not in cells[2]:
            found[f"{problem} {method}"] = (float(cells[3]), max(errors))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw error against time.")
    parser.add_argument("--results", type=Path, default=ROOT / "docs/results/README.md")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/errors.png")
    options = parser.parse_args()
    with style():
        drawn = figure(5.6, 3.4)
        axes = drawn.subplots(1, 1)
        for label, (methods, marker, colour) in KINDS.items():
            values = points(options.results, methods).values()
            x, y = zip(*values, strict=True)
            axes.loglog(x, y, marker, ms=5, color=colour, mec="w", mew=0.5, label=label)
        axes.set(xlabel="seconds, with compilation", ylabel="relative error")
        axes.legend(loc="upper left")
        save(drawn, options.out)


if __name__ == "__main__":
    main()
