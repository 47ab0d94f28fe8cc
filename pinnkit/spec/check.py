"""Mathematical validation of a declaration, run whenever a `Problem` is built.

Each function checks one thing and raises `SpecError` with the culprit and the mend.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import sympy as sp
from sympy.core.function import AppliedUndef

from pinnkit.errors import SpecError
from pinnkit.spec.condition import Condition, Kind, fields_in
from pinnkit.spec.orders import expand_derivatives, highest_orders, occurrences
from pinnkit.spec.symbols import (
    Coordinate,
    Eigenvalue,
    NormalComponent,
    Parameter,
    function_name,
    is_unknown,
)

if TYPE_CHECKING:
    from pinnkit.spec.problem import Problem

CORNER_TOLERANCE = 1e-6
"""Relative mismatch of two conditions at a common corner above which they contradict."""


def check(problem: Problem) -> None:
    """Raise `SpecError` if the declaration is incomplete, ambiguous or contradictory."""
    _has_equations(problem)
    _regions_exist(problem)
    _symbols_are_declared(problem)
    _names_are_unique(problem)
    _functions_fit_the_domain(problem)
    _parameters_have_values(problem)
    _exact_is_complete(problem)
    _periodicity_is_consistent(problem)
    _initial_conditions_match_the_order(problem)
    _boundary_conditions_match_the_order(problem)
    _conditions_agree_where_they_meet(problem)


def _label(condition: Condition) -> str:
    return f"Condition '{condition.name}'"


def _has_equations(problem: Problem) -> None:
    if not any(c.kind is Kind.EQUATION for c in problem.conditions):
        raise SpecError(f"Problem '{problem.name}' has no equation. Add Equation(Eq(left, right)).")
    if not problem.fields:
        raise SpecError(
            f"Problem '{problem.name}' has no unknown. Declare one with field('u', ...) and use it."
        )
    names = Counter(c.name for c in problem.conditions)
    repeated = [name for name, n in names.items() if n > 1]
    if repeated:
        raise SpecError(
            f"Two conditions of problem '{problem.name}' are named '{repeated[0]}'. Rename one."
        )


def _regions_exist(problem: Problem) -> None:
    known = problem.domain.regions
    for condition in problem.conditions:
        for name in condition.on:
            if name not in known:
                raise SpecError(
                    f"{_label(condition)}: region '{name}' does not exist on {problem.domain}. "
                    f"Regions: {', '.join(known)}."
                )
        if condition.data is not None:
            missing = set(problem.domain.axes) ^ set(condition.data.at)
            if missing:
                raise SpecError(
                    f"{_label(condition)}: coordinates {', '.join(condition.data.at)} do not match "
                    f"the axes {', '.join(problem.domain.axes)}. Give one array per axis."
                )


def _symbols_are_declared(problem: Problem) -> None:
    axes = set(problem.domain.axes)
    for condition in problem.conditions:
        for side in (condition.target, condition.value):
            expand_derivatives(side, _label(condition))
            for symbol in side.free_symbols:
                if not isinstance(symbol, (Coordinate, Parameter, NormalComponent, Eigenvalue)):
                    raise SpecError(
                        f"{_label(condition)}: the symbol '{symbol}' was not declared by pinnkit. "
                        "Make it with coordinates(...), parameter(...) or eigenvalue(...); "
                        "a SymPy symbol of equal name is another symbol."
                    )
                if isinstance(symbol, Coordinate) and symbol.name not in axes:
                    raise SpecError(
                        f"{_label(condition)}: the coordinate '{symbol}' is no axis of "
                        f"{problem.domain}. Axes: {', '.join(problem.domain.axes)}."
                    )


def _names_are_unique(problem: Problem) -> None:
    kinds: dict[str, set[sp.Basic]] = {}
    for condition in problem.conditions:
        for side in (condition.target, condition.value):
            for symbol in side.free_symbols:
                kinds.setdefault(str(symbol), set()).add(symbol)
            for function in side.atoms(AppliedUndef):
                kinds.setdefault(function_name(function), set()).add(function)
    for name, symbols in kinds.items():
        if len(symbols) > 1:
            listed = " and ".join(sorted(f"{type(s).__name__} {s!r}" for s in symbols))
            raise SpecError(
                f"Problem '{problem.name}': '{name}' stands for different things ({listed}). "
                "Declare it once and use that object everywhere."
            )


def _functions_fit_the_domain(problem: Problem) -> None:
    axes = set(problem.domain.axes)
    for function in (*problem.fields, *problem.inputs):
        own = {a.name for a in function.args}  # type: ignore[attr-defined]
        if not own <= axes or (is_unknown(function) and own != axes):
            raise SpecError(
                f"'{function}' does not fit {problem.domain}, whose axes are "
                f"{', '.join(problem.domain.axes)}. Declare field('{function_name(function)}', "
                f"{', '.join(problem.domain.axes)})."
            )
        if len(own) != len(function.args):
            raise SpecError(f"'{function}' repeats a coordinate. Name each once.")


def _parameters_have_values(problem: Problem) -> None:
    declared = {p.name for p in problem.declared_parameters}
    for name in problem.parameters:
        if name not in declared:
            raise SpecError(
                f"Problem '{problem.name}' has no parameter '{name}'. "
                f"Its parameters: {', '.join(sorted(declared)) or 'none'}."
            )
    for name, value in problem.parameter_values.items():
        if value is None:
            raise SpecError(
                f"Parameter '{name}' has no value. Give a default, parameter('{name}', 1.0), "
                f"or problem.replace(parameters={{'{name}': 1.0}})."
            )
        if not math.isfinite(value):
            raise SpecError(f"Parameter '{name}' is {value}. Give a finite number.")


def _exact_is_complete(problem: Problem) -> None:
    if problem.exact is None:
        return
    given = set(problem.exact)
    if given != set(problem.fields):
        raise SpecError(
            f"Problem '{problem.name}': exact covers {', '.join(map(str, given)) or 'nothing'}, "
            f"the fields are {', '.join(map(str, problem.fields))}. Give one expression per field."
        )


def _periodicity_is_consistent(problem: Problem) -> None:
    periodic = [c.axis for c in problem.conditions if c.kind is Kind.PERIODIC]
    for axis, n in Counter(periodic).items():
        if n > 1:
            raise SpecError(f"Periodic('{axis}') is given {n} times. Give it once.")
    for condition in problem.conditions:
        if condition.kind is Kind.BOUNDARY:
            for region in condition.on:
                if region[:-1] in periodic and region[-1:] in "+-":
                    raise SpecError(
                        f"{_label(condition)} is on '{region}', but {region[:-1]} is periodic. "
                        "Remove one of the two."
                    )


def equations(problem: Problem) -> list[sp.Expr]:
    """The expanded residuals of the equations."""
    return [
        expand_derivatives(c.residual, _label(c))
        for c in problem.conditions
        if c.kind is Kind.EQUATION
    ]


def _initial_conditions_match_the_order(problem: Problem) -> None:
    time = problem.domain.time
    initial = [c for c in problem.conditions if c.kind is Kind.INITIAL]
    if time is None:
        if initial:
            raise SpecError(
                f"{_label(initial[0])} needs a time axis. Name it in the domain, "
                'for example Box(t=(0, 1), x=(0, 1), time="t").'
            )
        return
    if any(c.kind is Kind.PERIODIC and c.axis == time for c in problem.conditions):
        return
    highest = highest_orders(equations(problem))
    given: dict[str, list[int]] = {name: [] for name in problem.field_names}
    for condition in initial:
        function, orders = occurrences(condition.target)[0]
        if set(orders) - {time}:
            raise SpecError(
                f"{_label(condition)} sets {condition.target}; an initial condition sets u or its "
                f"derivatives in {time}."
            )
        given[function_name(function)].append(orders.get(time, 0))
    for name, orders in given.items():
        _initial_orders(name, orders, highest.get((name, time), 0), time, _observed(problem))


def _initial_orders(name: str, given: list[int], order: int, time: str, observed: bool) -> None:
    repeated = [k for k, n in Counter(given).items() if n > 1]
    if repeated:
        raise SpecError(f"'{name}' has two initial conditions of order {repeated[0]}. Remove one.")
    surplus = [k for k in given if k >= order]
    if surplus:
        raise SpecError(
            f"'{name}' is of order {order} in {time}, so it takes {order} initial conditions; "
            f"one of order {surplus[0]} is too many. Remove it."
        )
    missing = sorted(set(range(order)) - set(given))
    if missing and not observed:
        target = name if missing[0] == 0 else f"{name}.diff({time}, {missing[0]})"
        raise SpecError(
            f"'{name}' is of order {order} in {time} and needs {order} initial conditions, "
            f"found {len(given)}. Add Initial({target}, ...)."
        )


def _observed(problem: Problem) -> bool:
    return any(c.kind is Kind.OBSERVED for c in problem.conditions)


def _boundary_conditions_match_the_order(problem: Problem) -> None:
    if _observed(problem):
        return
    highest = highest_orders(equations(problem))
    periodic = {c.axis for c in problem.conditions if c.kind is Kind.PERIODIC}
    boundary = [c for c in problem.conditions if c.kind is Kind.BOUNDARY]
    _no_condition_is_repeated(boundary)
    faces = [(axis, f"{axis}{side}") for axis in problem.domain.space_axes for side in "-+"]
    regions = problem.domain.regions
    on_box = all(face in regions and axis in regions[face].fixed for axis, face in faces)
    for name in problem.field_names:
        own = [c for c in boundary if name in fields_in(c)]
        if not on_box:
            if max((n for (f, _), n in highest.items() if f == name), default=0) >= 2:
                _mesh_boundary_is_covered(problem, name, own)
            continue
        for axis in problem.domain.space_axes:
            order = highest.get((name, axis), 0)
            if axis not in periodic and order:
                _face_conditions(problem, name, axis, order, own)


def _face_conditions(
    problem: Problem, name: str, axis: str, order: int, own: list[Condition]
) -> None:
    count = {side: _count_on(own, f"{axis}{side}") for side in "-+"}
    total = count["-"] + count["+"]
    single = len(problem.fields) == 1
    if single and total > order:
        raise SpecError(
            f"'{name}' is of order {order} in {axis}, so it takes {order} conditions at the ends "
            f"of {axis}, found {total}. Remove {total - order}."
        )
    initial_value = len(problem.domain.axes) == 1
    if order % 2 or initial_value:
        if single and total < order:
            raise SpecError(
                f"'{name}' is of order {order} in {axis} and needs {order} conditions at the ends "
                f"of {axis}, found {total}. Add {order - total}, for example "
                f'Dirichlet({name}, ..., on="{axis}-"), or Periodic("{axis}").'
            )
        return
    for side, found in count.items():
        if found < order // 2:
            raise SpecError(
                f"'{name}' is of order {order} in {axis} and needs {order // 2} condition(s) on "
                f"'{axis}{side}', found {found}. Add Dirichlet, Neumann or Robin on "
                f"'{axis}{side}', or Periodic(\"{axis}\")."
            )


def _count_on(conditions: list[Condition], face: str) -> int:
    return sum(("boundary" in c.on) or (face in c.on) for c in conditions)


def _no_condition_is_repeated(boundary: list[Condition]) -> None:
    for first, second in itertools.combinations(boundary, 2):
        shared = set(first.on) & set(second.on)
        if "boundary" in (*first.on, *second.on):
            shared |= set(first.on) | set(second.on)
        if shared and first.target == second.target:
            raise SpecError(
                f"{_label(first)} and {_label(second)} both set {first.target} on "
                f"'{sorted(shared)[0]}'. Remove one."
            )


def _mesh_boundary_is_covered(problem: Problem, name: str, own: list[Condition]) -> None:
    regions = problem.domain.regions
    boundary = regions["boundary"]
    if any("boundary" in c.on for c in own):
        return
    covered = {region for c in own for region in c.on}
    measure = sum(regions[region].measure for region in covered)
    if measure < boundary.measure * (1 - 1e-6):
        others = [r for r, v in regions.items() if v.dim == boundary.dim and r not in covered]
        raise SpecError(
            f"'{name}' has no condition on part of the boundary of {problem.domain} "
            f"(regions without one: {', '.join(others)}). Add one on each."
        )


def _conditions_agree_where_they_meet(problem: Problem) -> None:
    """Compare values of the same field where two faces (or the initial state) meet."""
    values = [
        (c, region)
        for c in problem.conditions
        if c.kind in (Kind.BOUNDARY, Kind.INITIAL) and is_unknown(c.target)
        for region in _faces(problem, c)
    ]
    for (first, r1), (second, r2) in itertools.combinations(values, 2):
        if first.target != second.target or first.priority != second.priority:
            continue
        fixed1, fixed2 = problem.domain.regions[r1].fixed, problem.domain.regions[r2].fixed
        if not fixed1 or not fixed2 or set(fixed1) & set(fixed2):
            continue
        for point in _meeting_points(problem, {**fixed1, **fixed2}):
            a, b = _value(problem, first, point), _value(problem, second, point)
            if a is None or b is None:
                break
            if abs(a - b) > CORNER_TOLERANCE * max(1.0, abs(a), abs(b)):
                at = ", ".join(f"{k}={v:.4g}" for k, v in point.items())
                raise SpecError(
                    f"{_label(first)} and {_label(second)} disagree where they meet: "
                    f"at {at} the values are {a:.6g} and {b:.6g} (mismatch {abs(a - b):.3g}). "
                    "Change one, or give the one that matters priority=1; the other then yields."
                )


def _faces(problem: Problem, condition: Condition) -> Iterator[str]:
    for region in condition.on:
        parts = getattr(problem.domain.regions[region], "parts", ())
        yield from (part.name for part in parts) if parts else (region,)


def _meeting_points(problem: Problem, fixed: dict[str, float]) -> Iterator[dict[str, float]]:
    free = [axis for axis in problem.domain.axes if axis not in fixed]
    fractions = (0.0, 0.31, 0.5, 0.83, 1.0)
    for combination in itertools.product(fractions, repeat=len(free)):
        point = dict(fixed)
        for axis, fraction in zip(free, combination, strict=True):
            low, high = problem.domain.bounds[axis]
            point[axis] = low + fraction * (high - low)
        yield point


def _value(problem: Problem, condition: Condition, point: dict[str, float]) -> float | None:
    """The condition's value at a point; None if it depends on an input function.

    Raises `SpecError` if it is complex there.
    """
    if condition.value.has(*problem.inputs):
        return None
    parameters = problem.parameter_values
    table = {
        s: parameters[s.name] if isinstance(s, Parameter) else point[s.name]
        for s in condition.value.free_symbols
        if isinstance(s, (Parameter, Coordinate))
    }
    value = sp.N(condition.value.xreplace({k: sp.Float(v) for k, v in table.items()}))
    if not value.is_number or not value.is_finite:
        return None
    real, imaginary = value.as_real_imag()
    if abs(imaginary) > CORNER_TOLERANCE * max(1.0, abs(real)):
        at = ", ".join(f"{k}={v:.4g}" for k, v in point.items())
        raise SpecError(
            f"{_label(condition)}: {condition.value} is no real number at {at}. "
            "Give data that are real on the whole region."
        )
    return float(real)
