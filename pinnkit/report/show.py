"""A problem as people read it: its equations, what they are, and what would be done."""

from typing import Any

import sympy as sp

from pinnkit import precision
from pinnkit.ansatz import enforce
from pinnkit.compile import System, compile_problem
from pinnkit.errors import MethodError
from pinnkit.methods.choose import choose
from pinnkit.spec.condition import Condition, Kind, describe
from pinnkit.spec.problem import Problem


def show(problem: Problem) -> str:
    """Equations as two-dimensional mathematics, domain, traits, default method, enforcement."""
    facts = facts_of(problem)
    lines = [f"{problem.name}: {facts['traits']}", f"domain  {facts['domain']}"]
    if facts["parameters"]:
        listed = ", ".join(f"{k} = {v:.6g}" for k, v in facts["parameters"].items())
        lines.append(f"with    {listed}")
    for condition in problem.conditions:
        lines += ["", _heading(condition), _indent(rendered(condition))]
    lines += ["", f"solved by {facts['method']}: {facts['why']}"]
    if facts["enforcement"]:
        lines += ["conditions of a network:", _indent("\n".join(facts["enforcement"]))]
    if problem.doc:
        lines = [problem.doc, "", *lines]
    return "\n".join(lines)


def facts_of(problem: Problem) -> dict[str, Any]:
    """The same as plain data."""
    system = compile_problem(problem)
    method, why = _choice(system)
    return {
        "name": problem.name,
        "fields": list(problem.field_names),
        "coordinates": list(problem.domain.axes),
        "time": problem.domain.time,
        "domain": repr(problem.domain),
        "parameters": problem.parameter_values,
        "conditions": [
            {"name": c.name, "kind": str(c.kind.value), "equation": describe(c), "on": list(c.on)}
            for c in problem.conditions
        ],
        "traits": system.traits.describe(),
        "method": method,
        "why": why,
        "enforcement": _enforcement(system),
        "latex": problem.latex(),
        "digest": system.digest,
    }


def rendered(condition: Condition) -> str:
    """The condition in Unicode mathematics over several lines."""
    if condition.kind in (Kind.PERIODIC, Kind.OBSERVED):
        return describe(condition)
    target = condition.target
    if condition.kind is Kind.INTEGRAL:
        target = sp.Function("∫")(target)
    equation = sp.Eq(target, condition.value, evaluate=False)
    return sp.pretty(equation, use_unicode=True, wrap_line=False)


def _heading(condition: Condition) -> str:
    where = f" on {', '.join(condition.on)}" if condition.on else ""
    return f"{condition.name}{where}"


def _choice(system: System) -> tuple[str, str]:
    try:
        with precision.scope("float64"):
            method, why = choose(system)
    except MethodError as error:
        return "none", str(error)
    return method.name, why


def _enforcement(system: System) -> list[str]:
    if system.inputs or system.eigenvalues:
        return []
    with precision.scope("float64"):
        return enforce(system).describe().splitlines()


def _indent(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
