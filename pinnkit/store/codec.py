"""Frozen objects as plain data, and back: dataclasses, Equinox modules, arrays, expressions.

A tree of JSON values describes the object; arrays are kept beside it and referred to by number.
Only classes on the given list are built, and none of their code runs but `Problem`'s own check.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from pinnkit.compile import System, compile_problem
from pinnkit.compile.emit import Emitted
from pinnkit.errors import RunFileError
from pinnkit.spec.condition import Kind
from pinnkit.spec.problem import Problem
from pinnkit.store.expressions import from_tree, to_tree

ENUMS: Mapping[str, type[enum.Enum]] = {"Kind": Kind}


class Encoder:
    """Collects arrays while it turns an object into a JSON tree."""

    def __init__(self, classes: Iterable[type]):
        self.names = {cls: cls.__name__ for cls in classes}
        self.arrays: list[np.ndarray] = []

    def __call__(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, str)) and not isinstance(value, enum.Enum):
            return value
        if isinstance(value, enum.Enum):
            if type(value).__name__ in ENUMS:
                return {"enum": [type(value).__name__, value.name]}
            return value.value
        if isinstance(value, (jax.Array, np.ndarray)):
            return self._array(value)
        if isinstance(value, (int, np.integer)):
            return int(value)
        if isinstance(value, (float, np.floating)):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        if isinstance(value, Emitted):
            return {"emitted": to_tree(value.expression, self)}
        if isinstance(value, System):
            return {"system": self(value.problem)}
        if isinstance(value, sp.Basic):
            return {"expression": to_tree(value, self)}
        if isinstance(value, (tuple, list)):
            return {type(value).__name__: [self(item) for item in value]}
        if isinstance(value, Mapping):
            return {"dict": [[self(k), self(v)] for k, v in value.items()]}
        if type(value) in self.names:
            fields = dataclasses.fields(value)
            return {
                "class": self.names[type(value)],
                "fields": {f.name: self(getattr(value, f.name)) for f in fields},
            }
        raise RunFileError(
            f"An object of type {type(value).__name__} cannot be saved. Pass its class to save "
            "and load if it is a network of your own; its fields must be arrays or plain data."
        )

    def _array(self, value: jax.Array | np.ndarray) -> dict[str, Any]:
        self.arrays.append(np.asarray(value))
        return {"array": len(self.arrays) - 1, "jax": isinstance(value, jax.Array)}


class Decoder:
    """Rebuilds an object from its JSON tree and arrays.

    Raises `RunFileError` for classes that are not on the list and for unexpected fields.
    """

    def __init__(self, classes: Iterable[type], arrays: list[np.ndarray]):
        self.classes = {cls.__name__: cls for cls in classes}
        self.arrays = arrays

    def __call__(self, tree: Any) -> Any:
        try:
            return self._decode(tree)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise RunFileError(
                f"The file holds malformed content ({type(error).__name__}: {error}). "
                "It is damaged, or not a run file of pinnkit."
            ) from error

    def _decode(self, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        if "class" in tree:
            return self._object(tree)
        ((kind, content), *more) = tree.items()
        if kind == "array":
            array = self.arrays[content]
            return jnp.asarray(array) if dict(more).get("jax") else array
        if kind == "float":
            return float(content)
        if kind == "enum":
            return ENUMS[content[0]][content[1]]
        if kind == "emitted":
            expression = from_tree(content, self)
            return Emitted(expression, "run file")  # type: ignore[arg-type]
        if kind == "system":
            return compile_problem(self(content))
        if kind == "expression":
            return from_tree(content, self)
        if kind == "tuple":
            return tuple(self(item) for item in content)
        if kind == "list":
            return [self(item) for item in content]
        if kind == "dict":
            return {self(k): self(v) for k, v in content}
        raise RunFileError(f"The file holds content of the unknown kind {kind!r}.")

    def _object(self, tree: Mapping[str, Any]) -> Any:
        name = tree["class"]
        if name not in self.classes:
            raise RunFileError(
                f"The file holds an object of class '{name}', which is not one of pinnkit's. "
                f"If it is a network of your own, pass the class: Solution.load(path, {name})."
            )
        cls = self.classes[name]
        names = {f.name for f in dataclasses.fields(cls)}
        if set(tree["fields"]) != names:
            raise RunFileError(
                f"The file's '{name}' has fields {', '.join(sorted(tree['fields']))}, this "
                f"version expects {', '.join(sorted(names))}. Use the version that wrote it."
            )
        values = {k: self(v) for k, v in tree["fields"].items()}
        if cls is Problem:
            return Problem(**values)
        instance = object.__new__(cls)
        for field, value in values.items():
            object.__setattr__(instance, field, value)
        return instance
