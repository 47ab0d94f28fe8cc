"""The problem: a frozen declaration of what must hold where."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from pinnkit.errors import SpecError
from pinnkit.geometry import Domain
from pinnkit.spec.condition import Condition, Kind, describe
from pinnkit.spec.symbols import (
    Coordinate,
    Eigenvalue,
    Parameter,
    function_name,
    is_input,
    is_unknown,
)


def _atoms(conditions: Sequence[Condition], test) -> tuple[sp.Expr, ...]:
    """Matching subexpressions in order of first appearance, equations first."""
    ordered = sorted(conditions, key=lambda c: c.kind is not Kind.EQUATION)
    found: dict[sp.Expr, None] = {}
    for condition in ordered:
        for side in (condition.target, condition.value):
            found.update(dict.fromkeys(a for a in sp.preorder_traversal(side) if test(a)))
    return tuple(found)


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A PDE (or ODE, or system) with its domain and conditions.

    Arguments:

    - `name`: a short identifier; `domain`: where; `conditions`: what must hold.
    - `parameters`: values by name that override the defaults of `parameter(name, default)`.
    - `exact`: a known solution `{u: expression}`, for tests and the method `Exact`.
    - `scales`: typical magnitudes `{u: number}` of the fields, in the user's units.

    Raises `SpecError` (see `check`) as soon as the declaration is contradictory or incomplete.
    """

    name: str
    domain: Domain
    conditions: tuple[Condition, ...]
    parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    exact: Mapping[sp.Expr, sp.Expr] | None = None
    scales: Mapping[sp.Expr, float] = dataclasses.field(default_factory=dict)
    doc: str = ""

    def __post_init__(self) -> None:
        from pinnkit.spec.check import check

        conditions = (
            (self.conditions,) if isinstance(self.conditions, Condition) else self.conditions
        )
        object.__setattr__(self, "conditions", _with_names(tuple(conditions)))
        object.__setattr__(self, "parameters", dict(self.parameters))
        if self.exact is not None:
            exact = {u: sp.sympify(value) for u, value in self.exact.items()}
            object.__setattr__(self, "exact", exact)
        check(self)

    @functools.cached_property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Coordinate symbols in the order of the domain's axes."""
        return tuple(Coordinate(axis) for axis in self.domain.axes)

    @functools.cached_property
    def fields(self) -> tuple[sp.Expr, ...]:
        """The unknown fields, in order of first appearance in the equations."""
        return _atoms(self.conditions, is_unknown)

    @functools.cached_property
    def inputs(self) -> tuple[sp.Expr, ...]:
        """The input functions; a problem that has some is a family."""
        return _atoms(self.conditions, is_input)

    @functools.cached_property
    def eigenvalues(self) -> tuple[Eigenvalue, ...]:
        """The unknown numbers of an eigenvalue problem."""
        return _atoms(self.conditions, lambda a: isinstance(a, Eigenvalue))  # type: ignore[return-value]

    @functools.cached_property
    def declared_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that occur in conditions, domain data or the exact solution."""
        found = dict.fromkeys(_atoms(self.conditions, lambda a: isinstance(a, Parameter)))
        for value in (self.exact or {}).values():
            found.update(dict.fromkeys(sorted(value.atoms(Parameter), key=str)))
        return tuple(found)  # type: ignore[arg-type]

    @property
    def parameter_values(self) -> dict[str, float]:
        """Every parameter with its value: the override if there is one, else the default."""
        defaults = {p.name: p.default for p in self.declared_parameters}
        return {name: self.parameters.get(name, default) for name, default in defaults.items()}  # type: ignore[misc]

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(function_name(u) for u in self.fields)

    def field(self, name: str) -> sp.Expr:
        """The unknown field of that name; `SpecError` lists the names there are."""
        for u in self.fields:
            if function_name(u) == name:
                return u
        raise SpecError(
            f"Problem '{self.name}' has no field '{name}'. Its fields: "
            f"{', '.join(self.field_names)}."
        )

    def replace(self, **changes: Any) -> Problem:
        """A copy with changes; `parameters` are merged into the present ones.

        Raises `SpecError` for a parameter that the problem does not have.
        """
        if "parameters" in changes:
            known = {p.name for p in self.declared_parameters}
            for name, value in changes["parameters"].items():
                if name not in known:
                    raise SpecError(
                        f"Problem '{self.name}' has no parameter '{name}'. "
                        f"Its parameters: {', '.join(sorted(known)) or 'none'}."
                    )
                if not math.isfinite(float(value)):
                    raise SpecError(f"Parameter '{name}' is {value}. Give a finite number.")
            merged = {k: float(v) for k, v in changes["parameters"].items()}
            changes = {**changes, "parameters": {**self.parameters, **merged}}
        return dataclasses.replace(self, **changes)

    def member(self, **functions: Any) -> Problem:
        """The problem with its input functions replaced by expressions of their coordinates.

        `family.member(a=sin(2 * pi * x))` is an ordinary problem, which any method solves. Raises
        `SpecError` for names that are no input functions, and for expressions that depend on
        other coordinates.
        """
        known = {function_name(a): a for a in self.inputs}
        if set(functions) != set(known):
            raise SpecError(
                f"Problem '{self.name}' has the input functions {', '.join(known) or 'none'}; "
                f"given were {', '.join(functions) or 'none'}. Give an expression for each."
            )
        values = {known[name]: sp.sympify(value) for name, value in functions.items()}
        for function, value in values.items():
            strange = value.atoms(Coordinate) - set(function.args)
            if strange:
                raise SpecError(
                    f"Input function {function} cannot be {value}, which depends on "
                    f"{', '.join(map(str, strange))}. Use {', '.join(map(str, function.args))}."
                )
        pairs = list(values.items())
        conditions = tuple(
            dataclasses.replace(
                c, target=c.target.subs(pairs).doit(), value=c.value.subs(pairs).doit()
            )
            for c in self.conditions
        )
        return self.replace(conditions=conditions)

    def summary(self) -> str:
        """The declaration as text: domain, parameters, and one line per condition."""
        lines = [f"{self.name}: {', '.join(str(u) for u in self.fields)}", f"  on {self.domain}"]
        values = self.parameter_values
        if values:
            lines.append("  with " + ", ".join(f"{k} = {v:.6g}" for k, v in values.items()))
        lines += [f"  {c.name}: {describe(c)}" for c in self.conditions]
        return "\n".join(lines)

    def latex(self) -> str:
        r"""The conditions as a LaTeX `aligned` environment."""
        rows = []
        for condition in self.conditions:
            if condition.kind is Kind.PERIODIC:
                rows.append(rf"&\text{{periodic in }} {condition.axis}")
                continue
            target = sp.latex(condition.target)
            if condition.kind is Kind.INTEGRAL:
                target = rf"\int {target}"
            value = r"\text{data}" if condition.data is not None else sp.latex(condition.value)
            where = ", ".join(condition.on).replace("_", r"\_")
            rows.append(rf"{target} &= {value} && \text{{on {where}}}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$${self.latex()}$$"

    def __str__(self) -> str:
        return self.summary()


def _with_names(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Give every condition a unique name; names that users chose stay as they are."""
    taken = {c.name for c in conditions if c.name}
    named = []
    for condition in conditions:
        if not condition.name:
            name = _default_name(condition)
            counter = 2
            while name in taken:
                name = f"{_default_name(condition)} {counter}"
                counter += 1
            taken.add(name)
            condition = dataclasses.replace(condition, name=name)
        named.append(condition)
    return tuple(named)


def _default_name(condition: Condition) -> str:
    if condition.kind is Kind.EQUATION:
        return "equation"
    if condition.kind is Kind.PERIODIC:
        return f"periodic {condition.axis}"
    functions = [a for a in sp.preorder_traversal(condition.target) if is_unknown(a)]
    subject = function_name(functions[0]) if functions else "condition"
    if condition.target.has(sp.Derivative):
        orders = [d for d in condition.target.atoms(sp.Derivative)]
        subject += "'" * max(int(sum(n for _, n in d.variable_count)) for d in orders)
    where = {Kind.INITIAL: "initial", Kind.INTEGRAL: "integral", Kind.OBSERVED: "observed"}
    return f"{subject} {where.get(condition.kind) or ' '.join(condition.on)}"
