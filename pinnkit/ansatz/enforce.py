"""Which conditions become part of the ansatz, and which stay residuals, with the reason."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import jax
import numpy as np
import sympy as sp

from pinnkit import precision
from pinnkit.ansatz.constrained import Ansatz, AxisGate, Constraint
from pinnkit.ansatz.embedding import AxisFeatures, Embedding, Ends
from pinnkit.ansatz.functionals import Functional, functional, is_face_condition
from pinnkit.ansatz.lift import lift
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import Residual, System
from pinnkit.nn.initial import around, built
from pinnkit.spec.symbols import Coordinate, function_name

EXACT = 1e-9
"""Relative mismatch up to which a lift counts as satisfying a condition."""

OUTSIZED = 3.0
"""Growth of the lift by a derivative's data beyond which these stay soft: the network would have
to take away most of a lift that is far larger than the solution."""

MOST_LIFTED = 8
"""Faces with data from which a lift is made: its length is that of the data times up to 3^axes."""


class Architecture(Protocol):
    """What an ansatz needs of a network description.

    `groups` tells how many of the inputs belong to each axis, in order.
    """

    def build(
        self, in_size: int, out_size: int, *, key: jax.Array, groups: tuple[int, ...] = ()
    ) -> Any: ...


@dataclasses.dataclass(frozen=True)
class Enforcement:
    """The account of conditions.

    - `hard`: functionals that the ansatz satisfies for all weights; `periodic`: axes.
    - `soft`: residuals that remain, each with the regions on which it does.
    - `reasons`: name of a soft condition -> why it is soft.
    """

    system: System
    hard: tuple[Functional, ...]
    periodic: tuple[str, ...]
    soft: tuple[Residual, ...]
    reasons: dict[str, str]

    def describe(self) -> str:
        """One line per condition: exact or weighted, and why."""
        lines = [f"exact  periodic {axis}" for axis in self.periodic]
        faces: dict[str, list[str]] = defaultdict(list)
        for f in self.hard:
            faces[f.residual.name].append(f.region)
        lines += [f"exact  {name} on {', '.join(on)}" for name, on in faces.items()]
        for residual in self.soft:
            reason = self.reasons.get(residual.name, "")
            where = ", ".join(residual.regions)
            lines.append(f"soft   {residual.name} on {where}" + (f" ({reason})" if reason else ""))
        return "\n".join(lines)


def enforce(system: System) -> Enforcement:
    """Sort the conditions of a system into exact ones and soft ones."""
    found: list[Functional] = []
    reasons: dict[str, str] = {}
    for residual in system.conditions:
        if not is_face_condition(residual):
            continue
        for region in _faces(system, residual):
            result = functional(system, residual, region)
            if isinstance(result, Functional):
                result = _jump(system, result) or result
            if isinstance(result, str):
                reasons[residual.name] = result
            else:
                found.append(result)
    hard = _reachable(system, _liftable(found, reasons), reasons)
    hard = _consistent(system, hard, reasons)
    hard = _moderate(system, hard, reasons)
    return Enforcement(
        system, tuple(hard), system.traits.periodic, tuple(_soft(system, hard)), reasons
    )


def build_ansatz(
    enforcement: Enforcement,
    architecture: Architecture,
    *,
    harmonics: int = 1,
    unseen: tuple[str, ...] = (),
    key: jax.Array,
) -> Ansatz:
    """Network, embedding, gates and lifts for an enforcement; the network sees O(1) inputs.

    It does not see the axes `unseen`, on which the lifts may still depend.
    """
    system = enforcement.system
    ends = {a: Ends.UNSEEN if a in unseen else _ends(enforcement, a) for a in system.axes}
    features = tuple(
        AxisFeatures(*system.domain.bounds[axis], ends[axis], harmonics) for axis in system.axes
    )
    embedding = Embedding(features)
    groups = tuple(axis.size for axis in features if axis.size)
    circles = tuple(axis.ends == Ends.PERIODIC for axis in features if axis.size)
    architecture = around(architecture, circles)
    network = built(architecture, embedding.size, len(system.fields), key=key, groups=groups)
    scales = {function_name(u): float(s) for u, s in system.problem.scales.items()}
    constraints = tuple(
        _constraint(enforcement, field, scales.get(field, 1.0)) for field in system.fields
    )
    parameters = tuple(system.parameters.items())
    return Ansatz(network, embedding, constraints, system.axes, parameters)


def _faces(system: System, residual: Residual) -> list[str]:
    return [part.name for name in residual.regions for part in system.domain.region(name).parts]


def _jump(system: System, f: Functional) -> str | None:
    """Why the lift of a functional would have a kink where a periodic axis closes, else None.

    The kink would stay for all time, whatever the network: equations of order m smooth the first
    m - 1 derivatives.
    """
    for axis in set(system.traits.periodic) - {f.axis}:
        ends = system.domain.bounds[axis]
        for order in range(system.traits.order.get((f.field, axis), 1)):
            slope = sp.diff(f.value, Coordinate(axis), order)
            low, high = (_values(system, slope, f, {axis: np.full(64, end)}) for end in ends)
            if not np.abs(high - low).max() <= EXACT * max(1.0, np.abs(low).max()):
                return f"its derivative of order {order} jumps where {axis} closes"
    return None


def _liftable(found: Sequence[Functional], reasons: dict[str, str]) -> list[Functional]:
    """Without the functionals of fields that have data on so many faces that a lift is too long."""
    given: dict[str, list[Functional]] = defaultdict(list)
    for f in found:
        if f.value != 0:
            given[f.field].append(f)
    kept = list(found)
    for own in given.values():
        if len(own) > MOST_LIFTED:
            kept = [f for f in kept if f not in own]
            reasons |= {f.residual.name: "a lift from so many faces is too long" for f in own}
    return kept


def _values(
    system: System, expression: sp.Expr, f: Functional, places: dict[str, np.ndarray]
) -> np.ndarray:
    """An expression at random places of the functional's face, with some coordinates given."""
    return _sampled(system, expression, f.field, {**places, f.axis: np.full(64, f.place)}, 64)


def _sampled(
    system: System, expression: sp.Expr, field: str, places: dict[str, np.ndarray], count: int
) -> np.ndarray:
    """An expression at random places of the domain, with some coordinates given, (count,)."""
    rng = np.random.default_rng(0)
    points = {axis: rng.uniform(*ends, count) for axis, ends in system.domain.bounds.items()}
    with precision.scope("float64"):
        found = Emitted(expression, f"lift of '{field}'")(
            {}, {**points, **places}, system.parameters
        )
    return np.broadcast_to(np.asarray(found), (count,))


def _reachable(
    system: System, found: Sequence[Functional], reasons: dict[str, str]
) -> list[Functional]:
    """Keep, per field and end, orders 0..k-1 (gate) or a lone first derivative (flat features)."""
    groups: dict[tuple[str, str, int], list[Functional]] = defaultdict(list)
    for f in found:
        groups[f.field, f.axis, f.side].append(f)
    kept: list[Functional] = []
    for (_, axis, side), group in groups.items():
        orders = sorted(f.order for f in group)
        if orders == [1] and axis != system.time:
            everywhere = all(
                [f.order for f in groups.get((name, axis, side), [])] == [1]
                for name in system.fields
            )
            if not everywhere:
                reasons[group[0].residual.name] = "other fields are not flat on that face"
                continue
            kept += group
            continue
        for f in group:
            if all(k in orders for k in range(f.order)):
                kept.append(f)
            else:
                reasons[f.residual.name] = "lower derivatives are free on that face"
    return kept


def _consistent(
    system: System, hard: list[Functional], reasons: dict[str, str]
) -> list[Functional]:
    """Drop functionals until every lift satisfies all that remain."""
    hard = sorted(hard, key=lambda f: (f.residual.priority, f.axis == system.time))
    while True:
        failing = [f for field in system.fields for f in _violated(system, hard, field)]
        if not failing:
            return hard
        worst = min(failing, key=lambda f: f.residual.priority)
        reasons[worst.residual.name] = "it disagrees with another condition where they meet"
        hard = _reachable(system, [f for f in hard if f is not worst], reasons)


def _moderate(system: System, hard: list[Functional], reasons: dict[str, str]) -> list[Functional]:
    """Without data of derivatives that make a lift far larger than the values beside them do."""
    scales = {function_name(u): float(s) for u, s in system.problem.scales.items()}
    for field in system.fields:
        own = [f for f in hard if f.field == field]
        valued = {(f.axis, f.side) for f in own if f.order == 0 and f.axis != system.time}
        steep = [f for f in own if f.order and f.value != 0 and (f.axis, f.side) in valued]
        rest = [f for f in own if f not in steep]
        if not steep:
            continue
        allowed = OUTSIZED * max(_largest(system, rest), scales.get(field, 1.0))
        if not _largest(system, own) <= allowed:
            words = "its lift would be far larger than the values"
            reasons |= {f.residual.name: words for f in steep}
            hard = _reachable(system, [f for f in hard if f not in steep], reasons)
    return hard


def _largest(system: System, own: Sequence[Functional]) -> float:
    """Largest magnitude of the lift of these functionals at random places."""
    expression = lift(own, system.domain.bounds)
    return float(np.abs(_sampled(system, expression, own[0].field, {}, 512)).max())


def _violated(system: System, hard: Sequence[Functional], field: str) -> list[Functional]:
    own = [f for f in hard if f.field == field]
    if not own:
        return []
    expression = lift(own, system.domain.bounds)
    violated = []
    for f in own:
        mismatch = sp.diff(expression, Coordinate(f.axis), f.order) - f.value
        error = np.abs(_values(system, mismatch, f, {}))
        size = np.abs(_values(system, f.value, f, {}))
        if not error.max() <= EXACT * max(1.0, size.max()):
            violated.append(f)
    return violated


def _soft(system: System, hard: Iterable[Functional]) -> Iterable[Residual]:
    done = {(id(f.residual), f.region) for f in hard}
    for residual in system.conditions:
        if not is_face_condition(residual):
            yield residual
            continue
        left = [r for r in _faces(system, residual) if (id(residual), r) not in done]
        if left:
            yield dataclasses.replace(residual, regions=tuple(left))


def _ends(enforcement: Enforcement, axis: str) -> str:
    if axis in enforcement.periodic:
        return Ends.PERIODIC
    on_axis = [f for f in enforcement.hard if f.axis == axis and axis != enforcement.system.time]
    flat = {
        side
        for side in (0, 1)
        if [f.order for f in on_axis if f.side == side]
        and all(f.order == 1 for f in on_axis if f.side == side)
    }
    return {
        (): Ends.FREE,
        (0,): Ends.FLAT_LOW,
        (1,): Ends.FLAT_HIGH,
        (0, 1): Ends.FLAT_BOTH,
    }[tuple(sorted(flat))]


def _constraint(enforcement: Enforcement, field: str, scale: float) -> Constraint:
    system = enforcement.system
    own = [f for f in enforcement.hard if f.field == field]
    gates: list[AxisGate | None] = []
    for axis in system.axes:
        ends = _ends(enforcement, axis)
        powers = [_power(own, axis, side) for side in (0, 1)]
        gates.append(AxisGate(*system.domain.bounds[axis], *powers, ends) if any(powers) else None)
    expression = lift(own, system.domain.bounds) if own else sp.S.Zero
    return Constraint(tuple(gates), Emitted(expression, f"lift of '{field}'"), scale)


def _power(own: Sequence[Functional], axis: str, side: int) -> int:
    """Order of the gate's zero at an end: the number of derivatives that are prescribed there."""
    orders = {f.order for f in own if f.axis == axis and f.side == side}
    return len(orders) if 0 in orders else 0
