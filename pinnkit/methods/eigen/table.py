"""Symbolic coefficients of an eigenvalue problem as numbers at points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from pinnkit.compile import System
from pinnkit.compile.emit import Emitted
from pinnkit.compile.terms import Term
from pinnkit.errors import MethodError

CHUNK = 4096
PROBES = 64
"""Points at which signs and symmetries are checked."""


def refuse(system: System, why: str) -> MethodError:
    """The error of a problem that is no eigenvalue problem of a known kind."""
    return MethodError(f"Eigen cannot solve '{system.problem.name}': {why}")


class Table:
    """Expressions of coordinates, normals and the field, evaluated at points in one compilation."""

    def __init__(self, system: System, expressions: Sequence[Any], what: str):
        axes, parameters = system.axes, system.parameters
        names = (*axes, *(f"n_{a}" for a in axes))
        clean = [sp.sympify(e).replace(sp.DiracDelta, lambda *_: sp.S.Zero) for e in expressions]
        emitted = [Emitted(e, what) for e in clean]  # type: ignore[arg-type]
        value = Term(system.fields[0], (0,) * len(axes), axes)
        self.axes = axes

        @jax.jit
        def compiled(columns: jax.Array) -> jax.Array:
            z = dict(zip(names, columns[:-1], strict=True))
            return jnp.stack([e({value: columns[-1]}, z, parameters) for e in emitted])

        self.compiled = compiled

    def __call__(
        self, points: np.ndarray, normals: np.ndarray | None = None, u: np.ndarray | None = None
    ) -> np.ndarray:
        """(expressions, Q) at points (Q, d), with normals (Q, d) and field values (Q,)."""
        count = len(points)
        columns = np.ones((2 * len(self.axes) + 1, -(-count // CHUNK) * CHUNK))
        columns[: len(self.axes), :count] = points.T
        columns[: len(self.axes), count:] = points[:1].T
        columns[len(self.axes) : -1, :count] = 0.0 if normals is None else normals.T
        columns[-1, :count] = 0.0 if u is None else u
        parts = [
            np.asarray(self.compiled(columns[:, i : i + CHUNK]), float)
            for i in range(0, columns.shape[1], CHUNK)
        ]
        return np.concatenate(parts, axis=1)[:, :count]
