"""Integrals over space as functions of time: mass, energy, enstrophy, and how they drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import sympy as sp

from pinnkit import precision
from pinnkit.compile import DerivativePlan, System, Term, compile_problem
from pinnkit.compile.compiler import lower
from pinnkit.compile.emit import Emitted
from pinnkit.compile.terms import TermSymbol
from pinnkit.errors import OptionError
from pinnkit.geometry import Region
from pinnkit.report.sample import instants
from pinnkit.report.style import figure, label, save, style
from pinnkit.report.terms import reader
from pinnkit.spec.symbols import Coordinate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = {1: 512, 2: 4096}
"""About so many places of quadrature by the number of space axes; 30 000 for three and more."""

PROBE = 4
"""Nodes per direction of the rule that tells how many places a region makes of them."""


def integrals(
    solution: Any,
    expressions: Mapping[str, sp.Expr],
    times: Sequence[float] | None = None,
    *,
    nodes: int | None = None,
) -> pd.DataFrame:
    """Integrals over space of `expressions` at `times`: rows by time, columns by name.

    An expression holds the problem's own fields, their derivatives, coordinates and parameters:
    `{"energy": (u**2 + v**2) / 2, "enstrophy": (v.diff(x) - u.diff(y))**2 / 2}`. Derivatives are
    those of the solution itself, as in `residual_rms`.

    - `times`: by default 51 from the first to the last.
    - `nodes`: of the Gauss rule per direction (of each triangle, on a mesh); by default about
      512, 4096 or 30 000 places for one, two or three space axes.

    Where there is no space axis, the values themselves. Not finite where the solution is not.

    Raises `OptionError` for a steady problem, an operator, times outside the domain, and
    expressions of anything that the problem does not have.
    """
    return _totals(solution, expressions, times, nodes)[0]


def means(
    solution: Any,
    expressions: Mapping[str, sp.Expr],
    times: Sequence[float] | None = None,
    *,
    nodes: int | None = None,
) -> pd.DataFrame:
    """Means over space: `integrals` divided by the measure of the domain in space."""
    table, measure = _totals(solution, expressions, times, nodes)
    return table / measure


def drift(table: pd.DataFrame) -> pd.DataFrame:
    """Values minus those of the first time: zero for what the equations conserve."""
    return table - table.iloc[0]


def plot_integrals(table: pd.DataFrame, path: str | Path | None = None) -> Figure:
    """Curves over time, one panel per column, each on a scale of its own."""
    with style():
        drawn = figure(5.0, 1.7 * len(table.columns) + 0.4)
        panels = np.ravel(drawn.subplots(len(table.columns), 1, sharex=True, squeeze=False))
        for axes, name in zip(panels, table, strict=True):
            axes.plot(table.index, table[name])
            axes.set_ylabel(str(name))
            axes.margins(x=0)
        panels[-1].set_xlabel(label(str(table.index.name)))
        return save(drawn, path)


def _totals(
    solution: Any,
    expressions: Mapping[str, sp.Expr],
    times: Sequence[float] | None,
    nodes: int | None,
) -> tuple[pd.DataFrame, float]:
    """The integrals, and the integral of one."""
    moments = instants(solution, times, 51)
    system = compile_problem(solution.problem)
    if system.inputs:
        raise OptionError(
            f"'{solution.problem.name}' is a family, whose integrals depend on its inputs. "
            "Solve one member of it."
        )
    lowered = {name: _lowered(solution, system, name, e) for name, e in expressions.items()}
    densities = {name: Emitted(e, f"'{name}'") for name, e in lowered.items()}
    symbols = {s for e in lowered.values() for s in e.atoms(TermSymbol)}
    domain = system.domain
    points, weights = _rule(domain.region("initial"), len(domain.space_axes), nodes)
    column = system.axes.index(str(domain.time))
    with precision.scope(solution.precision):
        read = reader(solution, DerivativePlan.of(s.term for s in symbols))
        rows = []
        for moment in moments:
            places = points.copy()
            places[:, column] = moment
            rows.append(_integrated(densities, read(places), places, weights, system))
    index = pd.Index(moments, name=domain.time)
    return pd.DataFrame(rows, index=index, columns=list(expressions)), float(weights.sum())


def _integrated(
    densities: Mapping[str, Emitted],
    terms: Mapping[Term, np.ndarray],
    places: np.ndarray,
    weights: np.ndarray,
    system: System,
) -> list[float]:
    z = system.coordinates(places)
    values = (np.asarray(density(terms, z, system.parameters)) for density in densities.values())
    return [float(weights @ value) for value in values]


def _lowered(solution: Any, system: System, name: str, expression: sp.Expr) -> sp.Expr:
    """The expression over term symbols; `OptionError` for what the problem does not have."""
    result = lower(sp.sympify(expression), system.axes, f"'{name}'")
    known = {*map(Coordinate, system.axes), *solution.problem.declared_parameters}
    unknown = [
        str(s)
        for s in sorted(result.free_symbols, key=str)
        if (s.term.field not in solution.fields if isinstance(s, TermSymbol) else s not in known)
    ]
    if unknown:
        have = [
            *solution.fields,
            *system.axes,
            *(p.name for p in solution.problem.declared_parameters),
        ]
        raise OptionError(
            f"'{name}' holds {', '.join(unknown)}, which '{solution.problem.name}' does not have. "
            f"Write it with {', '.join(have)} of that problem, and derivatives of its fields."
        )
    return result


def _rule(region: Region, axes: int, nodes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, d) and weights (N,) of a Gauss rule over space at one time."""
    if nodes is None and axes:
        fewest = len(region.quadrature(PROBE)[1])
        nodes = max(3, round(PROBE * (POINTS.get(axes, 30_000) / fewest) ** (1 / axes)))
    return region.quadrature(nodes or 1)
