"""What methods for evolution problems ask of a system: components, terms and initial values."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array

from pinnkit.compile import System, Term
from pinnkit.spec.condition import Kind


def space_axes(system: System) -> tuple[str, ...]:
    """Axes without time, in order."""
    return tuple(axis for axis in system.axes if axis != system.time)


def times_order(system: System, term: Term) -> int:
    """Order of a term in time."""
    return term.along(system.time) if system.time else 0


def terms_of(system: System, field: str, j: int = 0) -> Term:
    """The j-th time derivative of a field as a term."""
    orders = tuple(j if axis == system.time else 0 for axis in system.axes)
    return Term(field, orders, system.axes)


def components(system: System) -> tuple[tuple[str, int], ...]:
    """The state: (field, j) for each time derivative below the field's highest."""
    return tuple((rate.field, j) for rate in system.rates for j in range(rate.order))


def initial_conditions(system: System) -> dict[tuple[str, int], int]:
    """Index of the initial condition by component; of several the one of highest priority."""
    found: dict[tuple[str, int], int] = {}
    for i, residual in enumerate(system.residuals):
        target = residual.target
        if residual.kind is not Kind.INITIAL or target is None or residual.data is None:
            continue
        if target.order == times_order(system, target):
            found[target.field, target.order] = i
    return found


def initial_values(system: System, field: str, j: int, z: Mapping[str, Array]) -> Array:
    """The j-th time derivative of the field at the initial time, of the shape of `z`."""
    residual = system.residuals[initial_conditions(system)[field, j]]
    assert residual.data is not None
    start = system.domain.bounds[system.time or ""][0]
    like = next(iter(z.values()))
    at = {**z, system.time or "": jnp.full(jnp.shape(like), start)}
    return residual.data(at, system.parameters)


def initial_beside(
    system: System, field: str, j: int, z: Mapping[str, Array], known: Mapping[str, Array]
) -> Array:
    """`initial_values` where they may hold input functions, whose values at `z` are `known`."""
    residual = system.residuals[initial_conditions(system)[field, j]]
    like = next(iter(z.values()))
    start = system.domain.bounds[system.time or ""][0]
    values = {term: jnp.zeros_like(like) for term in residual.plan.terms}
    values |= {term: known[term.field] for term in residual.input_plan.terms}
    at = {**z, system.time or "": jnp.full(jnp.shape(like), start)}
    return jnp.broadcast_to(-residual.fn(values, at, system.parameters), jnp.shape(like))


def unsolvable(system: System) -> str:
    """Why a system has no rates, in words."""
    static = [f for f, n in system.traits.time_order.items() if n == 0]
    if static:
        return (
            f"{', '.join(static)} has no time derivative, an algebraic constraint such as "
            "incompressibility"
        )
    return "its equations cannot be solved for the highest time derivatives"


def not_first_order(system: System) -> str | None:
    """Why rates of first order do not determine all fields from initial values, else None."""
    if system.evolution is None:
        return unsolvable(system)
    later = [r.field for r in system.evolution if r.order != 1]
    if later:
        return (
            f"{', '.join(later)} has a second or higher time derivative; declare its rate as a "
            "field of its own"
        )
    mixed = [t for r in system.evolution for t in r.plan.terms if times_order(system, t)]
    if mixed:
        return f"the rate depends on {mixed[0]}, which holds a time derivative itself"
    given = initial_conditions(system)
    missing = [f for f in system.fields if (f, 0) not in given]
    if missing:
        return f"it lacks initial values of {', '.join(missing)}"
    return None


def untimely(system: System) -> str | None:
    """Why a condition cannot be kept at each time on its own, None if all can."""
    for residual in system.conditions:
        if residual.kind not in (Kind.BOUNDARY, Kind.INITIAL):
            return f"'{residual.name}' is no condition on the boundary at each time"
        if "final" in residual.regions:
            return f"'{residual.name}' is given at the end of time"
        if residual.kind is Kind.BOUNDARY and any(
            times_order(system, term) for term in residual.plan.terms
        ):
            return f"'{residual.name}' sets a time derivative on the boundary"
    return None


def walls_first(system: System) -> bool:
    """Whether all conditions at walls have a higher priority than all initial ones."""
    ranks: dict[bool, list[int]] = {True: [], False: []}
    given = {condition.name: condition.priority for condition in system.problem.conditions}
    for residual in system.conditions:
        ranks[residual.kind is Kind.INITIAL].append(given[residual.name])
    return bool(ranks[True] and ranks[False]) and min(ranks[False]) > max(ranks[True])
