"""What the residual of an evolution equation adds to the error of a state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pinnkit.compile.system import System
from pinnkit.compile.terms import Term
from pinnkit.objective.scaling import term_sizes
from pinnkit.objective.slopes import slopes


def defects(
    system: System, scales: Mapping[str, float], held_out: Mapping[str, float], length: float
) -> dict[str, float]:
    """What held-out residuals add to each evolved field within a time `length`, dimensionless.

    A solution with residuals r, M d^m u/dt^m = F + r, departs from that with the same state at the
    beginning at the rate |M^-1 r|, so that by the end

        |defect of d^(m-1) u/dt^(m-1)| <= length * rms(M^-1 r),

    as root mean squares over space and as long as the equation does not amplify differences. It is
    given in units of the scale of u over half the whole time to the power m - 1. `scales` are
    those of the residuals, `held_out` their root mean squares in these units. M is evaluated at
    sampled places, and its worst inverse counts; it is infinite where M is singular there.

    Residuals of equations without time derivatives, and of soft conditions, are no part of it.
    """
    tops = _tops(system)
    rows = [r for r in system.equations if set(tops.values()) & set(r.plan.terms)]
    if not rows:
        return {}
    found = [slopes(system, residual) for residual in rows]
    count = len(next(iter(found[0].values())))
    zero = np.zeros(count)
    mass = np.stack([[each.get(top, zero) for top in tops.values()] for each in found])
    inverse = _worst_inverse(np.moveaxis(mass, -1, 0))
    raw = np.array([scales[r.name] * held_out[r.name] for r in rows])
    added = length * np.where(raw == 0, 0.0, inverse) @ raw
    sizes = term_sizes(system)
    units = [sizes[name][top.orders] * _half(system) for name, top in tops.items()]
    return {name: float(a / unit) for name, a, unit in zip(tops, added, units, strict=True)}


def _tops(system: System) -> dict[str, Term]:
    """The highest time derivative of every field that has one, by the field's name."""
    assert system.time is not None
    orders = system.traits.time_order
    found = {}
    for name in (field for field in system.fields if orders[field]):
        along = tuple(orders[name] * (axis == system.time) for axis in system.axes)
        found[name] = Term(name, along, system.axes)
    return found


def _worst_inverse(mass: np.ndarray) -> np.ndarray:
    """Largest |M^-1| (F, E), entry by entry, of matrices M (n, E, F)."""
    rank = min(mass.shape[1:])
    if (np.linalg.matrix_rank(mass) < rank).any():
        return np.full(mass.shape[:0:-1], np.inf)
    return np.abs(np.linalg.pinv(mass)).max(axis=0)


def _half(system: System) -> float:
    low, high = system.domain.bounds[system.time]  # type: ignore[index]
    return 0.5 * (high - low)
