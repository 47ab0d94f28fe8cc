"""Operators on scattered points: Darcy flow at random nodes of a grid of 65 x 65.

    python scripts/benchmarks/points.py [latent] [kernel] [transformer] [--keys 3]

600 solutions by the classical method, seen at 1000 nodes chosen at random: 500 to learn from, 50 to
choose the best parameters on, 50 for the test. Errors are relative L2 errors weighted by the areas
around the points, on the test samples: at the points that were learned from, at 1000 others, and at
2000. Seconds are the processor's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import pinnkit as pk

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
NETWORKS = {
    "latent": (pk.nn.LatentGrid(pk.nn.FNO(24, 8, 4), 24), 1000),
    "kernel": (pk.nn.KernelOperator(16, 4, 0.25), 300),
    "transformer": (pk.nn.Transformer(32, 2, 3), 300),
}


def errors(
    problem: pk.Problem, data: pk.Dataset, count: int, key: int, **options
) -> tuple[list[float], dict]:
    """Mean errors on the test samples at known points, at others and at twice as many."""
    method = pk.PointOperator(pk.Scattered.of(data, count, 0), **options)
    begun = time.process_time()
    solution = pk.solve(problem, method, key=key, quiet=True)
    stats = dict(solution.stats) | {"process_s": time.process_time() - begun}
    clouds = [
        pk.Scattered.of(data, n, seed) for n, seed in ((count, 0), (count, 1), (2 * count, 2))
    ]
    held = max(len(data) // 12, 3)
    found = []
    for cloud in clouds:
        *_, test = cloud.split(len(data) - held, held)
        found.append(float(solution.evaluator.errors(test).mean()))  # type: ignore[attr-defined]
    return found, stats


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("networks", nargs="*", default=["latent"])
    parser.add_argument("--keys", type=int, default=3)
    given = parser.parse_args()
    problem = pk.load(PROBLEMS / "darcy_family.py")
    data = pk.dataset(problem, 600, resolution=64)
    for name in given.networks:
        network, steps = NETWORKS[name]
        rows = []
        for key in range(given.keys):
            row, stats = errors(problem, data, 1000, key, network=network, steps=steps)
            rows.append(row)
            words = ", ".join(f"{e:.2%}" for e in row)
            print(
                f"{name} key {key}: {words}; {stats['parameters']} parameters, {steps} steps, "
                f"{stats['process_s']:.0f} s",
                flush=True,
            )
        medians = ", ".join(f"{e:.2%}" for e in np.median(rows, axis=0))
        print(f"{name} medians: {medians}", flush=True)


if __name__ == "__main__":
    main()
