"""Continuation from rest: data are turned up step by step where Newton's method fails from zero."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pinnkit.experts.newton import Newton

FIRST = 0.25
SMALLEST = 0.02
GROWTH = 1.7
QUICK = 5
MOST_STEPS = 14


def under_load(
    iterate: Callable[[np.ndarray, float], Newton], rest: np.ndarray, failed: Newton
) -> Newton:
    """Solve F(u) = (1 - s) F(0) for s from 0 to 1; `failed` comes back where that fails too.

    For a flow this is continuation in the Reynolds number. Steps grow while Newton's method is
    quick and shrink where it fails; each starts on the line through the last two solutions.
    """
    loads, states = [0.0], [rest]
    step, iterations = FIRST, failed.iterations
    for _ in range(MOST_STEPS):
        load = min(loads[-1] + step, 1.0)
        found = iterate(_predicted(loads, states, load), load)
        iterations += found.iterations
        if not found.converged:
            step *= 0.4
            if step < SMALLEST:
                break
            continue
        if load == 1.0:
            return replace(found, iterations=iterations)
        loads.append(load)
        states.append(found.coefficients)
        step *= GROWTH if found.iterations <= QUICK else 1.0
    return replace(failed, iterations=iterations)


def _predicted(loads: list[float], states: list[np.ndarray], load: float) -> np.ndarray:
    if len(loads) < 2:
        return states[-1]
    slope = (states[-1] - states[-2]) / (loads[-1] - loads[-2])
    return states[-1] + (load - loads[-1]) * slope
