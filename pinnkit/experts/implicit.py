"""Implicit differentiation of least-squares experts on a layout that is kept.

The coefficients c_k of slab k satisfy F_k(c_k, c_(k-1); p) = 0 in the least-squares sense, with
rows F in the scaling of `assembly`. Where the residual is at the level of truncation,

    dc_k = -A_k^+ (dF_k/dp dp + dF_k/dc_(k-1) dc_(k-1)),    A_k = dF_k/dc_k,

slab after slab; the adjoint runs the transposed operators backwards. dF/dp is taken by JAX from
the compiled residuals, so no difference quotient occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pinnkit.compile import System
from pinnkit.derivatives.basis import linearise
from pinnkit.errors import MethodError
from pinnkit.experts.assembly import Collocation, Linear, Lineariser
from pinnkit.experts.bases import Basis
from pinnkit.experts.collocate import collocate, held_out
from pinnkit.experts.forcing import Forcing, LinearSlab, parameter_forcing
from pinnkit.experts.layout import Boxes
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.newton import newton
from pinnkit.experts.periodic import TensorMixture
from pinnkit.experts.solvers import solve_blocks

LARGEST = 4000
"""Most unknowns of a slab of Fourier modes that is treated as one dense expert."""

Coefficients = tuple[np.ndarray, ...]
"""(K, fields, n) of every slab; tangents have a further axis, (K, fields, n, r)."""


@dataclass(frozen=True)
class State:
    """Coefficients of all slabs, and whether Newton's method converged on each."""

    coefficients: Coefficients
    converged: bool


@dataclass(frozen=True)
class Discretisation:
    """A system on slabs of fixed boxes with one basis; the values of its parameters may change.

    Tables of the basis are shared by slabs whose boxes differ in time only.
    """

    system: System
    basis: Basis
    linearisers: Mapping[str, Lineariser]
    slabs: tuple[Collocation, ...]

    @classmethod
    def of(cls, system: System, mixture: Mixture) -> Discretisation:
        """The layout of a solution: experts that begin at one time are a slab."""
        linearisers = {r.name: linearise(r) for r in system.residuals}
        space = [i for i, axis in enumerate(system.axes) if axis != system.time]
        tables: dict[bytes, Collocation] = {}
        slabs: list[Collocation] = []
        for boxes in slab_boxes(system, mixture):
            key = boxes.lower[:, space].tobytes() + boxes.upper[:, space].tobytes()
            if key not in tables:
                tables[key] = collocate(system, mixture.basis, boxes, linearisers)
            slabs.append(tables[key].moved(boxes))
        return cls(system, mixture.basis, linearisers, tuple(slabs))

    def at(self, parameters: Mapping[str, float]) -> Discretisation:
        """The same points and tables for other values of the system's parameters."""
        known = {k: v for k, v in parameters.items() if k in self.system.parameters}
        system = replace(self.system, problem=self.system.problem.replace(parameters=known))
        return replace(self, system=system, slabs=tuple(_at(c, system) for c in self.slabs))

    def solve(self, start: Coefficients) -> State:
        """Solve slab after slab, Newton's method beginning at `start`."""
        found: list[np.ndarray] = []
        settled, before, linear = True, None, self.system.traits.linear
        for rows, guess in zip(self.slabs, start, strict=True):
            result = newton(
                lambda c, rows=rows, before=before: rows.linear(c, before),
                lambda given, rows=rows: _solved(rows, given),
                rows.values,
                np.zeros_like(guess) if linear else guess,
                linear,
            )
            settled = settled and result.converged
            found.append(result.coefficients)
            before = self._profile(rows, result.coefficients)
        return State(tuple(found), settled)

    def mixture(self, coefficients: Coefficients) -> Mixture:
        """All slabs as one function of points."""
        lower = np.concatenate([c.boxes.lower for c in self.slabs])
        upper = np.concatenate([c.boxes.upper for c in self.slabs])
        return Mixture(self.basis, lower, upper, np.concatenate(coefficients), self.system.fields)

    def split(self, coefficients: np.ndarray) -> Coefficients:
        """Coefficients (all experts, ...) by slab."""
        counts = np.cumsum([c.boxes.count for c in self.slabs])[:-1]
        return tuple(np.split(np.asarray(coefficients), counts))

    def tangents(self, at: Coefficients, names: Sequence[str]) -> Coefficients:
        """dc/dp for every parameter of `names`: (K, fields, n, r) of every slab."""
        return self.pushed(at, lambda rows, own: parameter_forcing(rows, own, tuple(names)))

    def pushed(
        self, at: Coefficients, given: Callable[[Collocation, np.ndarray], Forcing]
    ) -> Coefficients:
        """The change of the coefficients under a forcing, from slab to slab."""
        found: list[np.ndarray] = []
        for k in range(len(self.slabs)):
            slab = self._linear(at, k)
            forcing = slab.forcing(given(slab.rows, slab.coefficients))
            if found:
                forcing = forcing + slab.carried(found[-1])
            change = -slab.factors.solve(forcing)
            found.append(change.reshape(*at[k].shape, forcing.shape[1]))
        return tuple(found)

    def pulled(
        self, at: Coefficients, cotangents: Coefficients, names: Sequence[str]
    ) -> np.ndarray:
        """sum_k <cotangents_k, dc_k/dp> for every parameter, (r,): one sweep backwards."""
        total = np.zeros(len(names))
        waiting = list(cotangents)
        for k in reversed(range(len(self.slabs))):
            slab = self._linear(at, k)
            adjoint = -slab.factors.transposed(waiting[k].reshape(-1, 1))[:, 0]
            total += adjoint @ slab.forcing(
                parameter_forcing(slab.rows, slab.coefficients, tuple(names))
            )
            if k:
                waiting[k - 1] = waiting[k - 1] + slab.returned(adjoint)
        return total

    def held(self, at: Coefficients) -> float:
        """The worst residual between the collocation points, relative to the fields."""
        worst, before = 0.0, None
        for rows, own in zip(self.slabs, at, strict=True):
            check = held_out(self.system, self.basis, rows.boxes, self.linearisers)
            size = float(np.sqrt(np.mean(rows.values(own) ** 2)))
            worst = max(worst, check.linear(own, before).norm / max(size, 1e-100))
            before = self._profile(rows, own)
        return worst

    def _linear(self, at: Coefficients, k: int) -> LinearSlab:
        before = self._profile(self.slabs[k - 1], at[k - 1]) if k else None
        return LinearSlab.of(self.slabs[k], at[k], before)

    def _profile(self, rows: Collocation, coefficients: np.ndarray) -> Mixture:
        boxes = rows.boxes
        return Mixture(self.basis, boxes.lower, boxes.upper, coefficients, self.system.fields)


def as_mixture(system: System, mixture: Mixture | TensorMixture) -> Mixture:
    """A mixture over boxes in order of time; Fourier modes become one dense expert per slab.

    Raises `MethodError` where these would be too many unknowns for one factorisation.
    """
    if isinstance(mixture, Mixture):
        if system.time is None:
            return mixture
        lower, upper = np.asarray(mixture.lower), np.asarray(mixture.upper)
        order = np.argsort(lower[:, system.axes.index(system.time)], kind="stable")
        coefficients = np.asarray(mixture.coefficients)[order]
        return Mixture(mixture.basis, lower[order], upper[order], coefficients, mixture.names)
    basis, edges = mixture.basis, np.asarray(mixture.edges)
    if basis.size * len(mixture.names) > LARGEST:
        raise MethodError(
            f"Sensitivities: a slab of {basis.size * len(mixture.names)} Fourier modes is too "
            f"large for one factorisation (most: {LARGEST}). Solve with experts in blocks, "
            "LeastSquares(layout=Blocks(...), slabs=...), or ask for a larger tolerance."
        )
    lower = np.tile(np.asarray(mixture.lower, dtype=float), (len(edges) - 1, 1))
    upper = np.tile(np.asarray(mixture.upper, dtype=float), (len(edges) - 1, 1))
    lower[:, mixture.along], upper[:, mixture.along] = edges[:-1], edges[1:]
    return Mixture(basis, lower, upper, np.asarray(mixture.coefficients), mixture.names)


def slab_boxes(system: System, mixture: Mixture) -> list[Boxes]:
    """The boxes of every slab, in order of time."""
    lower, upper = np.asarray(mixture.lower), np.asarray(mixture.upper)
    if system.time is None:
        return [Boxes(lower, upper)]
    starts = lower[:, system.axes.index(system.time)]
    cuts = np.nonzero(np.diff(starts))[0] + 1
    return [Boxes(*pair) for pair in zip(np.split(lower, cuts), np.split(upper, cuts), strict=True)]


def _at(rows: Collocation, system: System) -> Collocation:
    totals = tuple(replace(t, system=system) for t in rows.totals)
    return replace(rows, system=system, totals=totals)


def _solved(rows: Collocation, linear: Linear) -> np.ndarray:
    found = solve_blocks(linear.rows_by_expert(), [rows.width] * rows.boxes.count).coefficients
    return np.stack(found).reshape(rows.boxes.count, len(rows.system.fields), rows.basis.size)
