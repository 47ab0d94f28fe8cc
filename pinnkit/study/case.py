"""A case: one problem, one method, one seed; its digest is its identity."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from pinnkit.compile import compile_problem
from pinnkit.errors import OptionError
from pinnkit.methods.base import Method
from pinnkit.solve import check_method
from pinnkit.spec.problem import Problem


def identity(value: Any) -> Any:
    """All that a method is made of as plain data: every field, defaults too, arrays by content."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: identity(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return type(value).__qualname__, fields
    if isinstance(value, Mapping):
        return {
            str(k): identity(v) for k, v in sorted(value.items(), key=lambda item: str(item[0]))
        }
    if isinstance(value, tuple | list):
        return [identity(v) for v in value]
    if isinstance(value, np.ndarray | jax.Array):
        array = np.ascontiguousarray(value)
        return str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return value


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """What `solve` is given. `labels` are the columns by which people tell cases apart.

    `method` None means the default for the problem.

    Raises `OptionError` if `method` is no method.
    """

    problem: Problem
    method: Method | None = None
    key: int = 0
    seconds: float | None = None
    precision: str = "float64"
    labels: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_method(self.method)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides the result; labels do not."""
        parts = [
            compile_problem(self.problem).digest,
            repr(identity(self.method)),
            repr(self.key),
            repr(self.seconds),
            self.precision,
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def columns(self) -> dict[str, Any]:
        """What identifies the case in a table."""
        return {
            "problem": self.problem.name,
            "method": "default" if self.method is None else self.method.name,
            "key": self.key,
            **self.problem.parameter_values,
            **self.labels,
        }


def sweep(
    problem: Problem,
    method: Method | Sequence[Method | None] | None = None,
    *,
    keys: Iterable[int] = (0,),
    seconds: float | None = None,
    precision: str = "float64",
    **parameters: Iterable[float],
) -> tuple[Case, ...]:
    """All combinations of parameter values, methods and seeds as cases.

    `sweep(problem, PINN(), nu=[0.1, 0.01], keys=range(3))` makes six.

    Raises `OptionError` for an empty list and `SpecError` for an unknown parameter.
    """
    lists = {name: tuple(values) for name, values in parameters.items()}
    seeds = tuple(keys)
    methods = tuple(method) if isinstance(method, (list, tuple)) else (method,)
    for name, values in {**lists, "keys": seeds, "method": methods}.items():
        if not values:
            raise OptionError(f"sweep: '{name}' is an empty list. Give at least one value.")
    return tuple(
        Case(
            problem.replace(parameters=dict(zip(lists, values, strict=True))),
            chosen,  # type: ignore[arg-type]
            seed,
            seconds,
            precision,
        )
        for values in itertools.product(*lists.values())
        for chosen in methods
        for seed in seeds
    )
