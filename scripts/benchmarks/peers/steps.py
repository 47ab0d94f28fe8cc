"""What the runs that time training steps share: options, W2, laps of the clock, a line of JSON.

W2 is Allen-Cahn, u_t - 1e-4 u_xx + 5 u^3 - 5 u = 0 on t in [0, 1], x in [-1, 1] with
u(0, x) = x^2 cos(pi x): a tanh network without periodic inputs, soft conditions, fixed points.
Needs NumPy only, as every package runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

DIFFUSION = 1e-4
REACTION = 5.0
STARTS = 512
Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Weight (m_in, m_out) and bias (m_out,) of every layer; tanh between them."""


class Options(NamedTuple):
    """Flags as run_pinnkit.py has them; `steps` are those between two looks at the clock."""

    work: str
    net: str
    n: int
    dtype: str
    steps: int
    reps: int
    lr: float
    seed: int
    method: str

    @property
    def sizes(self) -> tuple[int, int]:
        """Hidden layers and their width."""
        depth, width = self.net.split("x")
        return int(depth), int(width)


def options(description: str, methods: Sequence[str] = ("",)) -> Options:
    """From the command line; the first of the methods unless one is named."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", default="W2", choices=("W2",))
    parser.add_argument("--net", default="4x128", help="hidden layers x width")
    parser.add_argument("--n", type=int, default=8192, help="points for the equation")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--steps", type=int, default=4, help="steps per timed repeat")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", default=methods[0], choices=methods)
    return Options(**vars(parser.parse_args()))


class Points(NamedTuple):
    """Places (n, 2) of the equation and (512, 2) of the initial condition, in the order (t, x)."""

    interior: np.ndarray
    start: np.ndarray


def points(n: int, seed: int) -> Points:
    """Independent uniform places; even ones with both ends at t = 0."""
    x, t = np.random.default_rng(seed).random((2, n))
    return Points(np.c_[t, 2 * x - 1], np.c_[np.zeros(STARTS), np.linspace(-1, 1, STARTS)])


def initial(x: np.ndarray) -> np.ndarray:
    return x**2 * np.cos(np.pi * x)


def derivatives(layers: Layers, where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, u_t and u_xx (n,) of a network at places (n, 2), carried through its layers in float64."""
    steady = np.zeros_like(where)
    y, y_t, y_x, y_xx = where, steady + (1, 0), steady + (0, 1), steady
    for place, (weight, bias) in enumerate(layers):
        if place:
            y = np.tanh(y)
            slope = 1 - y**2
            y_xx = slope * (y_xx - 2 * y * y_x**2)
            y_t, y_x = slope * y_t, slope * y_x
        y, y_t, y_x, y_xx = y @ weight + bias, y_t @ weight, y_x @ weight, y_xx @ weight
    return y[:, 0], y_t[:, 0], y_xx[:, 0]


def loss(layers: Layers, at: Points) -> float:
    """mean (u_t - 1e-4 u_xx + 5 u^3 - 5 u)^2 + mean (u(0, x) - x^2 cos(pi x))^2."""
    exact = [(weight.astype(float), bias.astype(float)) for weight, bias in layers]
    u, u_t, u_xx = derivatives(exact, at.interior)
    residual = u_t - DIFFUSION * u_xx + REACTION * (u**3 - u)
    misfit = derivatives(exact, at.start)[0] - initial(at.start[:, 1])
    return float(np.mean(residual**2) + np.mean(misfit**2))


class Laps:
    """Wall-clock and processor seconds at every look, from the making of this object on."""

    def __init__(self) -> None:
        self.begin = time.perf_counter(), time.process_time()
        self.seen: list[tuple[float, float]] = []

    def look(self) -> None:
        wall, own = time.perf_counter(), time.process_time()
        self.seen.append((wall - self.begin[0], own - self.begin[1]))


def rates(seen: Sequence[tuple[float, float]], steps: int, before: int = 1) -> dict[str, Any]:
    """Medians over the laps of `steps` steps each; so many come `before` the first look.

    What those took beyond later ones is the compilation, with all other preparations.
    """
    spans = np.diff(np.array(seen), axis=0)
    wall, own = steps / np.median(spans, axis=0)
    return {
        "steps_per_s": round(float(wall), 3),
        "steps_per_cpu_s": round(float(own), 3),
        "runs": [round(steps / float(span), 2) for span in spans[:, 0]],
        "compile_s": round(max(seen[0][0] - before / float(wall), 0.0), 3),
    }


def report(
    o: Options,
    laps: Laps,
    layers: Layers,
    at: Points,
    losses: Sequence[float],
    before: int = 1,
    **facts: Any,
) -> None:
    """Print the line of one run; so many steps came `before` the first look at the clock.

    `losses` are the package's own, step by step. The first is that of the weights `layers`,
    evaluated here once more: `loss_error` is the relative difference.
    """
    memory = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    known = loss(layers, at)
    line: dict[str, Any] = {"work": o.work, "net": o.net, "n": o.n, "dtype": o.dtype}
    line |= {"method": o.method or None, "chunk": None} | rates(laps.seen, o.steps, before) | facts
    line |= {"loss_end": float(losses[-1]), "loss_error": abs(float(losses[0]) / known - 1)}
    print(json.dumps(line | {"peak_rss_mb": memory}), flush=True)
