"""Magnitudes of residuals, so that a sum of mean squares compares like with like."""

import numpy as np

from pinnkit.compile.system import Residual, System
from pinnkit.spec.symbols import function_name


def term_sizes(system: System) -> dict[str, dict[tuple[int, ...], float]]:
    """Typical size of every term: field scale / prod over axes of (half length)^order."""
    scales = {function_name(u): float(s) for u, s in system.problem.scales.items()}
    half = [0.5 * (high - low) for low, high in (system.domain.bounds[a] for a in system.axes)]
    sizes: dict[str, dict[tuple[int, ...], float]] = {}
    for term in system.plan.terms:
        size = scales.get(term.field, 1.0)
        for length, order in zip(half, term.orders, strict=True):
            size /= length**order
        sizes.setdefault(term.field, {})[term.orders] = size
    return sizes


def residual_scale(
    system: System,
    residual: Residual,
    points: np.ndarray,
    normals: np.ndarray | None = None,
    seed: int = 0,
) -> float:
    """Root mean square of the residual when all its terms are random numbers of typical size.

    Dividing by it makes residuals dimensionless: it follows the units of fields, coordinates and
    coefficients. `points` (N, d) and `normals` (N, space axes) are points of its regions.
    """
    sizes, rng = term_sizes(system), np.random.default_rng(seed)
    values = {
        term: sizes[term.field][term.orders] * rng.standard_normal(len(points))
        for term in residual.plan.terms
    }
    z = {axis: points[:, i] for i, axis in enumerate(system.axes)}
    if normals is not None:
        z |= {f"n_{axis}": normals[:, i] for i, axis in enumerate(system.domain.space_axes)}
    unknown = {name: 1.0 for name in system.eigenvalues}
    found = np.asarray(residual.fn(values, z, {**system.parameters, **unknown}))
    scale = float(np.sqrt(np.mean(np.broadcast_to(found, (len(points),)) ** 2)))
    return scale if np.isfinite(scale) and scale > 0 else 1.0
