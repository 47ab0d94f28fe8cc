"""Values of a solution's derivatives at points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.compile import DerivativePlan, Term
from pinnkit.derivatives.autodiff import term_values
from pinnkit.solution import Evaluator, evaluate

Reader = Callable[[np.ndarray], dict[Term, np.ndarray]]


def reader(solution: Any, plan: DerivativePlan) -> Reader:
    """Points (N, d) -> the plan's terms, each (N,); compiled once, in chunks of one shape.

    Derivatives are those of the evaluator: of the interpolant, for a solution on a grid.
    """
    if not plan.max_order or hasattr(solution.evaluator, "derivative"):
        return _by_fields(solution, plan)
    taken = _Terms(solution.evaluator, tuple(solution.fields), plan)
    return lambda points: dict(zip(plan.terms, evaluate(taken, points).T, strict=True))


def _by_fields(solution: Any, plan: DerivativePlan) -> Reader:
    """All fields at once; derivatives on a grid have the grid of the values."""
    evaluator, column = solution.evaluator, {name: i for i, name in enumerate(solution.fields)}
    orders = dict.fromkeys(term.orders for term in plan.terms)
    parts = {o: evaluator.derivative(o) if any(o) else evaluator for o in orders}

    def read(points: np.ndarray) -> dict[Term, np.ndarray]:
        values = {o: evaluate(part, points) for o, part in parts.items()}
        return {term: values[term.orders][:, column[term.field]] for term in plan.terms}

    return read


class _Terms(Evaluator):
    """The terms of a plan, (N, d) -> (N, terms), by differentiation of an evaluator."""

    evaluator: Evaluator
    fields: tuple[str, ...] = eqx.field(static=True)
    plan: DerivativePlan = eqx.field(static=True)

    def __call__(self, points: jax.Array) -> jax.Array:
        def at(point: jax.Array) -> jax.Array:
            return self.evaluator(point[None])[0]

        def terms(point: jax.Array) -> jax.Array:
            values = term_values(at, self.fields, self.plan, point)
            return jnp.stack([values[term] for term in self.plan.terms])

        return jax.vmap(terms)(points)
