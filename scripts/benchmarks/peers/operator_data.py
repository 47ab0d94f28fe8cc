"""What the runs that time training steps of operators share: tasks, made-up data, options.

W5a: antiderivatives of 150 Gaussian functions at 100 points, a DeepONet of 40 modes, full batch.
W5b, W5c: 16 pairs of noise on 1024 points and on 64 x 64, FNOs of width 32 and four layers with 9
and 7 x 7 wavenumbers (neuraloperator counts 16 and 12 x 12). Needs NumPy only, as every package
runs in an environment of its own.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

FUNCTIONS, POINTS, LENGTH = 150, 100, 0.2
BATCH, WIDTH, LAYERS = 16, 32, 4
GRIDS = {"W5b": (1024,), "W5c": (64, 64)}
WAVENUMBERS = {"W5b": 9, "W5c": 7}
STEPS = {"W5a": 400, "W5b": 20, "W5c": 4}
RATE = 1e-3


class Options(NamedTuple):
    """`steps` are those between two looks at the clock."""

    work: str
    steps: int
    reps: int
    seed: int


def options(description: str, works: tuple[str, ...] = ("W5a", "W5b", "W5c")) -> Options:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", default=works[-1], choices=works)
    parser.add_argument("--steps", type=int, default=0, help="steps per timed repeat")
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    return Options(given.work, given.steps or STEPS[given.work], given.reps, given.seed)


def antiderivatives(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Functions (150, 100), points (100, 1) and antiderivatives (150, 100), by trapezia."""
    x = np.linspace(0, 1, POINTS)
    covariance = np.exp(-((x[:, None] - x) ** 2) / (2 * LENGTH**2)) + 1e-8 * np.eye(POINTS)
    normal = np.random.default_rng(seed).standard_normal((FUNCTIONS, POINTS))
    u = normal @ np.linalg.cholesky(covariance).T
    steps = (u[:, 1:] + u[:, :-1]) * (x[1] - x[0]) / 2
    s = np.concatenate([np.zeros((FUNCTIONS, 1)), np.cumsum(steps, axis=1)], axis=1)
    return u.astype(np.float32), x[:, None].astype(np.float32), s.astype(np.float32)


def noise(work: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and outputs (16, 1, *grid)."""
    random = np.random.default_rng(seed)
    shape = (BATCH, 1, *GRIDS[work])
    first, second = (random.standard_normal(shape).astype(np.float32) for _ in range(2))
    return first, second
