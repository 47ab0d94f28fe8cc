"""Problem files: ordinary Python files that define `problem`."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from pinnkit.errors import PinnkitError, SpecError
from pinnkit.geometry.library import meshes_near
from pinnkit.spec.problem import Problem


def load(path: str | Path, **parameters: Any) -> Problem:
    """The problem of a file, which runs as Python code: load only files that you trust.

    The file defines `problem`, a `Problem` or a function of keyword parameters that returns one.
    Keywords override parameters; a function first receives those that it names. A mesh that it
    reads by name may lie beside the file.

    Raises `SpecError` if the file is missing, fails, or defines no problem.
    """
    path = Path(path)
    module = execute(path, "Problem")
    problem, doc = getattr(module, "problem", None), (module.__doc__ or "").strip()
    if callable(problem):
        names = problem.__code__.co_varnames[: problem.__code__.co_argcount]
        own = {k: parameters.pop(k) for k in names if k in parameters}
        try:
            with meshes_near(path.parent):
                problem = problem(**own)
        except PinnkitError:
            raise
        except Exception as error:
            raise _broken("Problem", path, error) from error
    if not isinstance(problem, Problem):
        raise SpecError(
            f"Problem file '{path}' defines no `problem`. "
            "End it with `problem = Problem(name=..., domain=..., conditions=[...])`."
        )
    if not problem.doc and doc:
        problem = dataclasses.replace(problem, doc=doc)
    return problem.replace(parameters=parameters) if parameters else problem


def execute(path: Path, kind: str) -> ModuleType:
    """Run a Python file; `kind` is what messages call it, such as "Problem".

    Errors that pinnkit raises on purpose pass through. Raises `SpecError` if the file is missing,
    or raises anything else: with the line at fault.
    """
    if not path.is_file():
        raise SpecError(f"{kind} file '{path}' does not exist. Check the path.")
    name = f"_pinnkit_{kind.lower()}_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise SpecError(f"{kind} file '{path}' is not a Python file. Give a file ending in .py.")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        with meshes_near(path.parent):
            specification.loader.exec_module(module)
    except PinnkitError:
        raise
    except Exception as error:  # the user's own code may raise anything
        raise _broken(kind, path, error) from error
    finally:
        sys.modules.pop(name, None)
    return module


def _broken(kind: str, path: Path, error: Exception) -> SpecError:
    line = _line(path, error)
    what = error.msg if isinstance(error, SyntaxError) else error
    return SpecError(
        f"{kind} file '{path}' does not run ({type(error).__name__}: {what}){line}. Mend the file."
    )


def _line(path: Path, error: Exception) -> str:
    """The last line of the file that took part in the error, with its number."""
    own = path.absolute()
    frames = traceback.extract_tb(error.__traceback__)
    places = [(f.lineno, f.line) for f in frames if Path(f.filename) == own]
    if isinstance(error, SyntaxError) and Path(error.filename or "") == own:
        places = [(error.lineno, error.text)]
    if not places:
        return ""
    number, text = places[-1]
    return f", line {number}: {(text or '').strip()}"
