"""Problem files: ordinary Python files that define `problem`."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import Any

from pinnkit.errors import SpecError
from pinnkit.spec.problem import Problem


def load(path: str | Path, **parameters: Any) -> Problem:
    """The problem of a file, which runs as Python code: load only files that you trust.

    The file defines `problem`, a `Problem` or a function of keyword parameters that returns one.
    Keywords override parameters; a function first receives those that it names.

    Raises `SpecError` if the file is missing, fails, or defines no problem.
    """
    path = Path(path)
    if not path.is_file():
        raise SpecError(f"Problem file '{path}' does not exist. Check the path.")
    problem, doc = _execute(path)
    if callable(problem):
        names = problem.__code__.co_varnames[: problem.__code__.co_argcount]
        own = {k: parameters.pop(k) for k in names if k in parameters}
        problem = problem(**own)
    if not isinstance(problem, Problem):
        raise SpecError(
            f"Problem file '{path}' defines no `problem`. "
            "End it with `problem = Problem(name=..., domain=..., conditions=[...])`."
        )
    if not problem.doc and doc:
        problem = dataclasses.replace(problem, doc=doc)
    return problem.replace(parameters=parameters) if parameters else problem


def _execute(path: Path) -> tuple[Any, str]:
    name = f"_pinnkit_problem_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise SpecError(f"Problem file '{path}' is not a Python file. Give a file ending in .py.")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except (SyntaxError, ImportError, NameError, AttributeError) as error:
        raise SpecError(f"Problem file '{path}' does not run: {error}. Mend the file.") from error
    finally:
        sys.modules.pop(name, None)
    return getattr(module, "problem", None), (module.__doc__ or "").strip()
