"""How well a solution, however found, satisfies the equations and conditions that define it."""

from typing import Any

import numpy as np

from pinnkit import precision
from pinnkit.compile import Residual, System, compile_problem
from pinnkit.geometry import outlined
from pinnkit.objective.blocks import Places, block
from pinnkit.report.terms import reader
from pinnkit.spec.condition import Kind

MEASURED = (Kind.EQUATION, Kind.BOUNDARY, Kind.INITIAL)


def residual_rms(solution: Any, points: int = 2000, seed: int = 1) -> dict[str, float]:
    """Root mean square of each residual at quasi-random points, divided by its own scale.

    Derivatives are those of the evaluator: of the interpolant, for a solution on a grid. Empty for
    families and eigenvalue problems, whose equations hold for each member or mode. The boundary of
    a mesh is the curve that its nodes outline.
    """
    system = compile_problem(solution.problem)
    system = system.on(outlined(system.domain))
    if system.inputs or system.eigenvalues:
        return {}
    measured = [r for r in system.residuals if r.kind in MEASURED]
    with precision.scope(solution.precision):
        found = {r.name: _rms(system, r, solution, points, seed) for r in measured}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _rms(system: System, residual: Residual, solution: Any, points: int, seed: int) -> float:
    made = block(system, [residual], points, points, seed)
    places: Places = made.pool
    terms = reader(solution, residual.plan)(np.asarray(places.points))
    z = system.coordinates(places.points)
    if places.normals is not None:
        normals = enumerate(system.domain.space_axes)
        z |= {f"n_{axis}": places.normals[:, i] for i, axis in normals}
    values = np.asarray(residual.fn(terms, z, system.parameters)) / made.scales[0]
    return float(np.sqrt(np.mean(np.square(values))))
