"""Boundary conditions and normalisation of an eigenvalue problem, found symbolically."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from pinnkit.compile import Residual, System
from pinnkit.compile.terms import TermSymbol
from pinnkit.errors import MethodError
from pinnkit.experts.ritz.form import Coefficients, Stiffness
from pinnkit.geometry import Box
from pinnkit.methods.eigen.table import PROBES, Table, refuse
from pinnkit.spec.condition import Kind


@dataclass(frozen=True)
class Normalisation:
    """int q(x) u^2 = size."""

    weight: Callable[[np.ndarray], np.ndarray]
    size: float


def _parts(system: System) -> tuple[str, ...]:
    """The parts of the boundary that take one condition each."""
    if not isinstance(system.domain, Box):
        return ("boundary",)
    open_axes = (a for a in system.axes if a not in system.traits.periodic)
    return tuple(f"{axis}{sign}" for axis in open_axes for sign in "-+")


def boundary(
    system: System, coefficients: Coefficients
) -> tuple[frozenset[str], dict[str, Stiffness]]:
    """Essential parts of the boundary, and s of the natural ones."""
    fixed, stiffness = set(), {}
    names = {r.name: r for r in system.conditions if r.kind is Kind.BOUNDARY}
    found: dict[str, _Side] = {}
    for part in _parts(system):
        whole = part == "boundary"
        own = [r for r in names.values() if whole or {part, "boundary"} & set(r.regions)]
        if len(own) != 1:
            listed = " and ".join(f"'{r.name}'" for r in own) or "none"
            raise refuse(
                system,
                f"'{part}' has {len(own)} conditions ({listed}), which leaves the problem "
                "undetermined or contradictory. Give exactly one on each part of the boundary.",
            )
        if own[0].name not in found:
            found[own[0].name] = _Side(system, coefficients, own[0])
        side = found[own[0].name]
        if side.essential(part):
            fixed.add(part)
        elif side.elastic:
            stiffness[part] = side
    return frozenset(fixed), stiffness


class _Side:
    """alpha u + sum_i beta_i u_i = 0 on a part of the boundary."""

    def __init__(self, system: System, coefficients: Coefficients, residual: Residual):
        self.system, self.coefficients, self.name = system, coefficients, residual.name
        symbols = {s.term.orders: s for s in residual.expression.atoms(TermSymbol)}
        energy = system.problem.eigenvalues[0]
        bad = any(sum(o) > 1 for o in symbols) or not residual.linear
        if bad or residual.expression.has(energy):
            raise self._inhomogeneous()
        dim = len(system.axes)
        units = [tuple(int(i == j) for j in range(dim)) for i in range(dim)]
        wanted = [(0,) * dim, *units]
        slopes = [
            residual.expression.diff(symbols[o]) if o in symbols else sp.S.Zero for o in wanted
        ]
        constant = residual.expression.xreplace(dict.fromkeys(symbols.values(), sp.S.Zero))
        self.elastic = slopes[0] != 0
        self.table = Table(system, [*slopes, constant], f"Eigen: condition '{residual.name}'")

    def _inhomogeneous(self) -> MethodError:
        field = self.system.fields[0]
        return MethodError(
            f"Eigen: condition '{self.name}' must be homogeneous, linear and of order 0 or 1, "
            f"without the eigenvalue, such as Dirichlet({field}, 0), Neumann or Robin with value "
            "0. Change it."
        )

    def essential(self, part: str) -> bool:
        """Whether the condition reads u = 0; checks it on the part."""
        region = self.system.domain.region(part)
        points = region.sample(PROBES, 0)
        found = self.table(points, region.normals(points))
        if not np.isfinite(found).all() or np.abs(found[-1]).max() > 0.0:
            raise self._inhomogeneous()
        slope = np.abs(found[1:-1]).max(axis=0)
        if slope.max() == 0.0 and np.abs(found[0]).min() > 0.0:
            return True
        if slope.min() == 0.0:
            raise MethodError(
                f"Eigen: condition '{self.name}' changes its kind, or vanishes, on '{part}'. "
                "Split the region, or keep the factor of the derivative away from zero."
            )
        self(points, region.normals(points))
        return False

    def __call__(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """s with n . P grad u = -s u, (Q,)."""
        found = self.table(points, normals)
        p, _, _ = self.coefficients(points)
        flux = np.einsum("qij,qj->qi", p, normals)
        slopes = found[1:-1].T
        size = np.einsum("qi,qi->q", slopes, slopes)
        along = np.einsum("qi,qi->q", flux, slopes) / size
        if not np.abs(flux - along[:, None] * slopes).max() <= 1e-10 * max(np.abs(p).max(), 1e-300):
            raise MethodError(
                f"Eigen: condition '{self.name}' sets a derivative in another direction than the "
                "flux n . P grad u, so the operator is not self-adjoint. Set the flux."
            )
        return along * found[0]


def normalised(system: System) -> Normalisation | None:
    """int q u^2 = size, from the one integral condition."""
    integrals = [r for r in system.conditions if r.kind is Kind.INTEGRAL]
    if not integrals:
        return None
    wanted = (
        f"its normalisation must be one condition like Integral({system.fields[0]}**2, 1) over "
        "the interior, with a positive value. Change it."
    )
    residual = integrals[0]
    symbols = list(residual.expression.atoms(TermSymbol))
    if len(integrals) > 1 or residual.regions != ("interior",) or len(symbols) != 1:
        raise refuse(system, wanted)
    symbol = symbols[0]
    weight = residual.expression.diff(symbol, 2) / 2
    rest: Any = sp.expand(residual.expression - weight * symbol**2)
    values = {p: system.parameters[p.name] for p in system.problem.declared_parameters}
    size: Any = -rest.xreplace({p: sp.Float(v) for p, v in values.items()})
    if symbol.term.order or weight.has(symbol) or not size.is_number or not size > 0:
        raise refuse(system, wanted)
    table = Table(system, [weight], "Eigen: the normalisation")
    return Normalisation(lambda points: table(points)[0], float(size))
