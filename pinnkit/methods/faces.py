"""Conditions on the faces of a box, read as linear rows along the normal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.compile import Residual, System, Term
from pinnkit.errors import MethodError
from pinnkit.geometry import Box
from pinnkit.geometry.domain import Region
from pinnkit.spec.condition import Kind

SAMPLES = 64
Known = Mapping[str, jax.Array]
"""Values of input functions by name."""
NOTHING: Known = MappingProxyType({})


@dataclasses.dataclass(frozen=True, eq=False)
class FaceRow:
    """sum_k coefficients[k] d^k field / d axis^k = data on one face.

    `end` is 0 at the lower and 1 at the upper bound.
    """

    residual: Residual
    field: str
    axis: str
    end: int
    coefficients: Mapping[int, float]
    normals: Mapping[str, float]
    region: Region
    parameters: Mapping[str, float]

    @property
    def varies(self) -> bool:
        """Whether an input function stands on the right side."""
        return bool(self.residual.input_plan.terms)

    def data(self, z: Mapping[str, jax.Array], known: Known = NOTHING) -> jax.Array:
        """Right side at face coordinates `z` (arrays of one shape), for `known` input functions."""
        shape = jnp.broadcast_shapes(*(jnp.shape(a) for a in z.values()))
        values = {term: jnp.zeros(shape) for term in self.residual.plan.terms}
        for term in self.residual.input_plan.terms:
            values[term] = jnp.broadcast_to(known[term.field], shape)
        return -self.residual.fn(values, with_normals(z, self.normals), self.parameters)


def with_normals(z: Mapping[str, Any], normals: Mapping[str, float]) -> dict[str, Any]:
    """Coordinates with the components of a constant normal beside them."""
    shape = np.shape(next(iter(z.values())))
    return {**z, **{f"n_{axis}": np.full(shape, n) for axis, n in normals.items()}}


def slopes(
    residual: Residual,
    values: Mapping[Term, jax.Array],
    z: Mapping[str, jax.Array],
    params: Mapping[str, float],
) -> tuple[jax.Array, dict[Term, jax.Array]]:
    """The residual and its derivative with respect to each term, pointwise.

    The residual is elementwise, so that one reverse pass over its sum gives all derivatives.
    """
    result, pull = jax.vjp(lambda v: residual.fn(v, z, params), dict(values))
    return result, pull(jnp.ones_like(result))[0]


class Compiled:
    """A residual, its slopes and its known data for NumPy arrays of any length.

    Lengths are padded to powers of two, so that all grids share a few compilations.
    """

    def __init__(self, residual: Residual, params: Mapping[str, float]):
        self.residual = residual
        self._slopes = jax.jit(lambda values, z: slopes(residual, values, z, params))
        data = residual.data
        self._data = jax.jit(lambda z: None if data is None else data(z, params))

    def slopes(
        self, values: Mapping[Term, np.ndarray], z: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[Term, np.ndarray]]:
        """Residual and slopes at points."""
        n = len(next(iter(z.values())))
        value, found = self._slopes(_padded(values, n), _padded(z, n))
        return np.asarray(value)[:n], {t: np.asarray(s)[:n] for t, s in found.items()}

    def data(self, z: Mapping[str, np.ndarray]) -> np.ndarray:
        """Known data of a condition "term = data"."""
        n = len(next(iter(z.values())))
        return np.asarray(self._data(_padded(z, n)))[:n]


def _padded(arrays: Mapping, n: int) -> dict:
    size = max(256, 1 << max(n - 1, 0).bit_length())
    return {k: np.pad(np.asarray(a, float), (0, size - n), mode="edge") for k, a in arrays.items()}


def faces(system: System, residual: Residual) -> list[tuple[Region, str, int]]:
    """Faces of the box where the condition holds: (region, axis, end), without periodic ones."""
    found = []
    for name in residual.regions:
        for part in system.domain.region(name).parts:
            if len(part.fixed) != 1:
                continue
            ((axis, value),) = part.fixed.items()
            if axis not in system.traits.periodic:
                found.append((part, axis, int(value == system.domain.bounds[axis][1])))
    return found


def face_normals(system: System, axis: str, end: int) -> dict[str, float]:
    """Components of the outward unit normal by space axis."""
    space = [a for a in system.axes if a != system.time]
    return {a: float(2 * end - 1) if a == axis else 0.0 for a in space}


def face_rows(system: System) -> tuple[FaceRow, ...]:
    """All boundary conditions of a problem on a box.

    Raises `MethodError` for a condition that couples fields, holds tangential or time
    derivatives, is nonlinear, or whose coefficients vary.
    """
    rows = []
    for residual in system.residuals:
        if residual.kind is Kind.BOUNDARY:
            rows += [_row(system, residual, *face) for face in faces(system, residual)]
    return tuple(rows)


def _row(system: System, residual: Residual, region: Region, axis: str, end: int) -> FaceRow:
    normals = face_normals(system, axis, end)
    points = region.sample(SAMPLES, seed=0)
    z = with_normals({a: jnp.asarray(points[:, i]) for i, a in enumerate(system.axes)}, normals)
    values = {term: jnp.zeros(SAMPLES) for term in residual.plan.terms}
    for term in residual.input_plan.terms:  # coefficients that hold it vary
        values[term] = jnp.linspace(1.0, 2.0, SAMPLES)
    found = jax.jit(lambda v: slopes(residual, v, z, system.parameters)[1])(values)
    own = {t: np.asarray(found[t]) for t in residual.plan.terms}
    active = {t: c for t, c in own.items() if np.any(c != 0)}
    where = f"condition '{residual.name}' on {axis}{'-+'[end]}"
    if not residual.linear:
        raise MethodError(f"{where} is nonlinear")
    if len({t.field for t in active}) != 1:
        raise MethodError(f"{where} couples the fields {', '.join(residual.plan.fields)}")
    for term, coefficient in active.items():
        if term.order != term.along(axis):
            raise MethodError(f"{where} holds {term}, which is no derivative along the normal")
        if np.ptp(coefficient) > 1e-12 * np.abs(coefficient).max():
            raise MethodError(f"{where} has a coefficient of {term} that varies")
    field = next(iter(active)).field
    coefficients = {t.along(axis): float(c[0]) for t, c in active.items()}
    return FaceRow(residual, field, axis, end, coefficients, normals, region, system.parameters)


def not_a_box(system: System) -> str | None:
    """Why grids do not fit the domain, or None for a box."""
    if isinstance(system.domain, Box):
        return None
    return "its domain is no box, and tensor grids cover boxes only (try LeastSquares or PINN)"


def common_refusal(system: System) -> str | None:
    """Reasons that bar every classical grid method."""
    if system.traits.eigen:
        return "it has an unknown eigenvalue (try the eigenvalue method)"
    if system.traits.family:
        return f"it is a family with input functions {', '.join(system.inputs)}; fix them first"
    if any(r.kind is Kind.OBSERVED for r in system.residuals):
        return "it has observed values to fit, which classical methods cannot"
    return not_a_box(system)
