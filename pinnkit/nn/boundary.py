"""What networks on grids know of boundary conditions: one word per axis, and where the nodes lie.

Grids are uniform. Periodic and open axes leave out the upper end, all others have nodes at both
ends.
"""

from __future__ import annotations

import numpy as np

from pinnkit.errors import OptionError

BOUNDARIES = ("periodic", "dirichlet", "neumann", "free", "open")
"""Wrapped; zero values; zero normal derivative; nothing known; nothing known, no upper end."""
WITHOUT_END = ("periodic", "open")
"""Axes whose upper end is no node."""


def require_boundary(name: str, boundary: tuple[str, ...], ndim: int) -> None:
    """Raise `OptionError` in the name of an architecture unless there is a known word per axis."""
    wrong = [word for word in boundary if word not in BOUNDARIES]
    if wrong:
        raise OptionError(
            f"{name}: unknown boundary {wrong[0]!r}; choose one of {', '.join(BOUNDARIES)}."
        )
    if len(boundary) != ndim:
        raise OptionError(
            f"{name}: boundary {boundary} does not fit a grid of {ndim} axes; give one word each."
        )


def require_grid(name: str, grid_shape: tuple[int, ...]) -> None:
    """Raise `OptionError` unless the grid has one to three axes."""
    if not 1 <= len(grid_shape) <= 3:
        raise OptionError(
            f"{name}: a grid of {len(grid_shape)} axes; give a grid of one to three axes."
        )


def positions(n: int, boundary: str) -> np.ndarray:
    """Places s of the n nodes of an axis, scaled to [0, 1]."""
    return np.linspace(0.0, 1.0, n, endpoint=boundary not in WITHOUT_END)


def quadrature(n: int, boundary: str) -> np.ndarray:
    """Weights of the trapezoidal rule for integrals over s from 0 to 1, at `positions`.

    Of the rectangular rule along open axes.
    """
    if boundary in WITHOUT_END:
        return np.full(n, 1.0 / n)
    weights = np.full(n, 1.0 / (n - 1))
    weights[[0, -1]] /= 2
    return weights


def features(shape: tuple[int, ...], boundary: tuple[str, ...], anchored: bool) -> np.ndarray:
    """Positions as functions on a grid, (k, *shape): s along every axis that is not periodic.

    Where `anchored`, cos 2 pi s and sin 2 pi s along periodic axes too; without them a network
    commutes with shifts along these.
    """
    found = [np.zeros((0, *shape))]
    for axis, (n, word) in enumerate(zip(shape, boundary, strict=True)):
        s = positions(n, word)
        rows = [s] if word != "periodic" else [np.cos(2 * np.pi * s), np.sin(2 * np.pi * s)]
        if word == "periodic" and not anchored:
            continue
        place = [1] * len(shape)
        place[axis] = n
        found += [np.broadcast_to(row.reshape(1, *place), (1, *shape)) for row in rows]
    return np.concatenate(found)


def count_features(boundary: tuple[str, ...], anchored: bool) -> int:
    """Number of functions that `features` gives."""
    return sum(2 * anchored if word == "periodic" else 1 for word in boundary)
