"""Norms of errors on grids, which training minimises and comparisons report."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives import Axis


class Loss(ABC):
    """A frozen description of a relative error of each field of one sample."""

    @abstractmethod
    def __call__(self, found: Array, truth: Array, grid: tuple[Axis, ...]) -> Array:
        """(c, *grid) twice -> (c,); the first frames of `grid` in time may be missing."""


@dataclasses.dataclass(frozen=True)
class RelativeL2(Loss):
    """||found - truth|| / ||truth|| over the nodes; absolute where the truth vanishes."""

    def __call__(self, found: Array, truth: Array, grid: tuple[Axis, ...]) -> Array:
        del grid
        return _relative(_energy(found - truth), _energy(truth))


@dataclasses.dataclass(frozen=True)
class RelativeH1(Loss):
    """The same with the norm (||u||^2 + sum_i (l_i / 2 pi)^2 ||du/dx_i||^2)^(1/2) over `axes`.

    l_i is the length of axis i, so that the longest wave counts as in L2 and the k-th k times;
    derivatives are differences between neighbouring nodes. `axes`: names, or None for all.
    The Sobolev loss of Li et al. (NeurIPS 2022) and of MgNO, without their cut-off.
    """

    axes: tuple[str, ...] | None = None

    def __call__(self, found: Array, truth: Array, grid: tuple[Axis, ...]) -> Array:
        return _relative(self._energy(found - truth, grid), self._energy(truth, grid))

    def _energy(self, u: Array, grid: tuple[Axis, ...]) -> Array:
        whole = _energy(u)
        for i, axis in enumerate(grid, 1):
            if self.axes is not None and axis.name not in self.axes:
                continue
            if u.shape[i] < 2:
                continue
            steps = jnp.diff(u, axis=i) * ((axis.n - 1) / (2 * jnp.pi))
            whole = whole + _energy(steps) * (u.shape[i] / (u.shape[i] - 1))
        return whole


def _energy(u: Array) -> Array:
    return jnp.sum(u**2, axis=tuple(range(1, u.ndim)))


def _relative(error: Array, size: Array) -> Array:
    # the smallest float keeps the gradient finite where the error is exactly zero
    tiny = jnp.finfo(error.dtype).tiny
    return jnp.sqrt((error + tiny) / jnp.where(size > 0, size, 1.0))
