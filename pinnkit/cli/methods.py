"""Methods by name on the command line, with their options."""

from __future__ import annotations

import ast
import dataclasses
import importlib
from typing import TYPE_CHECKING, Any

from pinnkit.cli.options import pair
from pinnkit.errors import OptionError

if TYPE_CHECKING:
    from pinnkit.data import Dataset
    from pinnkit.methods.base import Method
    from pinnkit.spec.problem import Problem

METHODS = {
    "pinn": ("pinn", "PINN"),
    "experts": ("least_squares", "LeastSquares"),
    "evolving": ("evolving", "Evolving"),
    "lagrangian": ("lagrangian", "Lagrangian"),
    "operator": ("neural_operator", "Operator"),
    "emulator": ("emulator", "Emulator"),
    "noda": ("emulator", "NODA"),
    "eigen": ("eigen", "Eigen"),
    "lines": ("lines", "Lines"),
    "steady": ("steady", "Steady"),
    "exact": ("exact", "Exact"),
}
ARCHITECTURES = {
    "deeponet": "DeepONet",
    "fno": "FNO",
    "mgno": "MgNO",
    "uno": "UNO",
    "transformer": "Transformer",
}
"""Names that stand for `Operator` with this architecture."""

NAMES = (*METHODS, *ARCHITECTURES)
CHOICES = ", ".join(
    [f"{name} (class {cls})" for name, (_, cls) in METHODS.items()]
    + [f"{name} (Operator with {cls})" for name, cls in ARCHITECTURES.items()]
)


def method_of(
    name: str, problem: Problem, texts: list[str] | None = None, data: Dataset | None = None
) -> Method:
    """The method called `name`, with options such as `["windows=20"]`.

    An option belongs to the method or, if that has none of its name, to the architecture. Raises
    OptionError for unknown names and for a method that does not suit the problem.
    """
    if name not in NAMES:
        raise OptionError(f"--method {name} is unknown. Choose one of {', '.join(NAMES)}.")
    given = dict(_option(text) for text in texts or [])
    if data is not None:
        given["data"] = data
    module, cls = METHODS["operator" if name in ARCHITECTURES else name]
    method = getattr(importlib.import_module(f"pinnkit.methods.{module}"), cls)
    own = {k: v for k, v in given.items() if k in _fields(method)}
    rest = {k: v for k, v in given.items() if k not in own}
    if name in ARCHITECTURES:
        network = getattr(importlib.import_module("pinnkit.nn"), ARCHITECTURES[name])
        _refuse_unknown(name, rest, (*_fields(method), *_fields(network)))
        made = _made(method, {**own, "architecture": _made(network, rest)})
    else:
        _refuse_unknown(name, rest, _fields(method))
        made = _made(method, own)
    from pinnkit.compile import compile_problem

    reason = made.supports(compile_problem(problem))
    if reason is not None:
        raise OptionError(
            f"--method {name} does not suit '{problem.name}': {reason}. "
            "Choose another method, or none for the default."
        )
    return made


def _fields(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _made(cls: Any, options: dict[str, Any]) -> Any:
    try:
        return cls(**options)
    except (TypeError, AttributeError) as error:
        told = ", ".join(f"{k}={v!r}" for k, v in options.items() if k != "data")
        raise OptionError(f"--with: {cls.__name__}({told}) is not possible ({error}).") from error


def _option(text: str) -> tuple[str, Any]:
    name, value = pair(text, "--with")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _refuse_unknown(name: str, rest: dict[str, Any], known: tuple[str, ...]) -> None:
    rest = {k: v for k, v in rest.items() if k not in known}
    if "data" in rest:
        raise OptionError(f"--data: --method {name} learns nothing from data. Leave it out.")
    if rest:
        raise OptionError(
            f"--with {', '.join(rest)}: --method {name} has no such option. "
            f"Choose from {', '.join(known)}."
        )
