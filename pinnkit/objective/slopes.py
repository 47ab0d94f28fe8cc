"""How compiled residuals respond to their terms, at places of their regions."""

from __future__ import annotations

import jax
import numpy as np

from pinnkit.compile.system import Residual, System
from pinnkit.compile.terms import Term
from pinnkit.objective.scaling import term_sizes

PLACES = 64


def slopes(system: System, residual: Residual, seed: int = 0) -> dict[Term, np.ndarray]:
    """d residual / d term (n,) at n places where all terms are random numbers of typical size."""
    part = system.domain.region(residual.regions[0]).parts[0]
    points = part.sample(PLACES, seed)
    sizes, rng = term_sizes(system), np.random.default_rng(seed)
    values = {
        term: sizes[term.field][term.orders] * rng.standard_normal(len(points))
        for term in residual.plan.terms
    }
    z = {axis: points[:, i] for i, axis in enumerate(system.axes)}
    known = {**system.parameters, **dict.fromkeys(system.eigenvalues, 1.0)}
    zero = {term: np.zeros(len(points)) for term in values}

    def slope(term: Term) -> np.ndarray:
        one = {**zero, term: np.ones(len(points))}
        _, found = jax.jvp(lambda v: residual.fn(v, z, known) + 0.0 * v[term], (values,), (one,))
        return np.asarray(found)

    return {term: slope(term) for term in values}
