"""Norms of a difference, as the literature on PINNs reports them: unweighted over the points."""

import math

import numpy as np


def rms(values: np.ndarray) -> float:
    """Root mean square, sqrt(mean(v^2)), in the units of the field."""
    return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else math.nan


def maximum(values: np.ndarray) -> float:
    """max |v|, in the units of the field."""
    return float(np.max(np.abs(values))) if np.size(values) else math.nan


def relative_l2(ours: np.ndarray, theirs: np.ndarray) -> float:
    """||ours - theirs||_2 / ||theirs||_2; NaN where the reference vanishes."""
    return _ratio(rms(np.subtract(ours, theirs)), rms(theirs))


def relative_linf(ours: np.ndarray, theirs: np.ndarray) -> float:
    """max |ours - theirs| / max |theirs|; NaN where the reference vanishes."""
    return _ratio(maximum(np.subtract(ours, theirs)), maximum(theirs))


def _ratio(error: float, size: float) -> float:
    return error / size if size > 0 else math.nan
