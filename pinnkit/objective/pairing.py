"""Which field an equation is associated with, and the sign in which it damps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy

from pinnkit.compile.system import Residual, System
from pinnkit.errors import MethodError
from pinnkit.objective.pseudo_time import Group, PseudoTime, Stepping
from pinnkit.objective.slopes import PLACES, slopes
from pinnkit.spec.symbols import function_name

SHORT, FAST = 30.0, 1e3
"""Waves in space and growth in time, per half length, at which the highest derivatives rule."""
UNCLEAR = 0.1


def stepping(system: System, names: Sequence[Sequence[str]], rule: PseudoTime) -> Stepping:
    """Pseudo-time with its fields, scales and signs for groups of equations by `names`.

    Raises `MethodError` as `pairs` does.
    """
    paired = pairs(system, rule.fields)
    sign, column = signs(system, paired), {name: i for i, name in enumerate(system.fields)}
    scales = {function_name(u): float(s) for u, s in system.problem.scales.items()}
    groups = [
        Group(
            tuple(column[paired[name]] for name in own),
            tuple(scales.get(paired[name], 1.0) for name in own),
            tuple(sign[name] for name in own),
        )
        for own in names
    ]
    return Stepping(rule, tuple(groups))


def pairs(system: System, given: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """The field of every equation, by names, each once.

    As many highest time derivatives as possible go with the equations that hold them, then as high
    derivatives as possible; what is left goes with what is left. `given` pairs come first.

    Raises `MethodError` for names that do not exist, and where the numbers of equations and fields
    that are left differ.
    """
    known = dict(given)
    equations = [r for r in system.equations if r.name not in known]
    fields = [name for name in system.fields if name not in known.values()]
    _require_names(system, known)
    if len(equations) != len(fields):
        raise MethodError(
            f"'{system.problem.name}' has {len(equations)} equations for {len(fields)} fields "
            f"({', '.join(fields) or 'none'}), so pseudo-time needs to be told which go together. "
            "Give PseudoTime(fields=((equation, field), ...)) with their names."
        )
    worth = np.zeros((len(equations), len(fields)))
    for i, residual in enumerate(equations):
        worth[i] = [_worth(system, residual, name) for name in fields]
    rows, columns = scipy.optimize.linear_sum_assignment(worth, maximize=True)
    found = {equations[i].name: fields[j] for i, j in zip(rows, columns, strict=True)}
    return {r.name: (known | found)[r.name] for r in system.equations}


def _require_names(system: System, known: Mapping[str, str]) -> None:
    names = [r.name for r in system.equations]
    for equation, field in known.items():
        if equation not in names or field not in system.fields:
            raise MethodError(
                f"PseudoTime(fields=(('{equation}', '{field}'), ...)) names what is not in "
                f"'{system.problem.name}'. Its equations are {', '.join(names)}, its fields "
                f"{', '.join(system.fields)}."
            )


def _worth(system: System, residual: Residual, field: str) -> float:
    """How much an equation has to do with a field; one derivative outweighs all lower ones."""
    own = [term for term in residual.plan.terms if term.field == field]
    if not own:
        return 0.0
    top = system.traits.time_order[field] if system.time is not None else 0
    evolves = top > 0 and any(term.along(str(system.time)) == top for term in own)
    return 100.0 ** (max(term.order for term in own) + 5 * evolves)


def signs(system: System, paired: Mapping[str, str], seed: int = 0) -> dict[str, float]:
    """The sign of every equation in which its field's response to a short source is positive.

    The equations linearised about random numbers are matrices S(k) for waves exp(s t + i k x); the
    real part of (S^-1) for a field and its equation is its response, averaged over waves. It makes
    no difference how the equation is written, and for constraints the others are eliminated: a
    divergence is the equation of the pressure, for example. Where no sign prevails it is +1.
    """
    found = [slopes(system, residual, seed) for residual in system.equations]
    waves, column = _waves(system, seed), {name: i for i, name in enumerate(system.fields)}
    symbol = np.zeros((PLACES, len(found), len(column)), complex)
    for row, each in enumerate(found):
        for term, slope in each.items():
            wave = np.prod(waves ** np.array(term.orders), axis=1)
            symbol[:, row, column[term.field]] += slope * wave
        symbol[:, row] /= max(np.abs(symbol[:, row]).max(), 1e-300)
    symbol /= np.maximum(np.abs(symbol).max((0, 1)), 1e-300)
    response = np.linalg.pinv(symbol)
    phase = (response.real / np.maximum(np.abs(response), 1e-300)).mean(0)
    return {
        r.name: -1.0 if phase[column[paired[r.name]], i] < -UNCLEAR else 1.0
        for i, r in enumerate(system.equations)
    }


def _waves(system: System, seed: int) -> np.ndarray:
    """Factors (n, axes) that a derivative along each axis stands for."""
    rng = np.random.default_rng(seed + 1)
    columns = []
    for axis in system.axes:
        low, high = system.domain.bounds[axis]
        size = rng.standard_normal(PLACES) * 2 / (high - low)
        columns.append(FAST * np.abs(size) if axis == system.time else SHORT * 1j * size)
    return np.stack(columns, axis=1).astype(complex)
