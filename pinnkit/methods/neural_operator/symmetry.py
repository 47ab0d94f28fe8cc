"""Symmetries of the declaration: from one solution follow others, for nothing.

A mirror image along an axis in space, the same with a change of all signs, the exchange of two
such axes, and the change of all signs are symmetries if they turn the conditions into each
other, which is decided on the expressions. Training sets are enlarged by them: a
Darcy problem on a square has eight images of each solution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import sympy as sp

from pinnkit.compile import System
from pinnkit.compile.system import Residual
from pinnkit.compile.terms import Term, TermSymbol
from pinnkit.derivatives import FourierAxis, OpenAxis
from pinnkit.methods.grid_residuals import Grid
from pinnkit.methods.neural_operator.physics import known_values
from pinnkit.spec.condition import Kind
from pinnkit.spec.symbols import Coordinate, NormalComponent


@dataclasses.dataclass(frozen=True)
class Mirror:
    """x -> lo + hi - x along one axis; with `odd` all fields and the input change sign too."""

    axis: str
    odd: bool = False


@dataclasses.dataclass(frozen=True)
class Exchange:
    """Two axes of equal bounds change places."""

    first: str
    second: str


@dataclasses.dataclass(frozen=True)
class Opposite:
    """All fields and the input function change their signs."""


Symmetry = Mirror | Exchange | Opposite


def symmetries(system: System, sensors: Grid, signed: bool) -> tuple[Symmetry, ...]:
    """Those of the kinds above that a system has, and that map the nodes onto themselves.

    `signed`: whether input functions of either sign are as likely, without which changes of sign
    lead to functions that never occur. Mirrored open axes have their last node in the place of
    the first but one and no image for the first, which keeps its values: those of the fields must
    be given at both ends, and the input function is wrong there, at the end of the axis alone.
    """
    space = [axis for axis in sensors if axis.name != system.time]
    given = {(f.axis, f.side) for f in known_values(system)}
    candidates: list[Symmetry] = [
        Mirror(axis.name)
        for axis in space
        if not isinstance(axis, OpenAxis) or {(axis.name, 0), (axis.name, 1)} <= given
    ]
    for i, one in enumerate(space):
        for two in space[i + 1 :]:
            if dataclasses.replace(one, name=two.name) == two:
                candidates.append(Exchange(one.name, two.name))
    if signed:
        candidates.append(Opposite())
    found = [c for c in candidates if _holds(system, c)]
    if signed and Opposite() not in found:
        odd = [Mirror(c.axis, odd=True) for c in candidates if isinstance(c, Mirror)]
        found += [m for m in odd if _holds(system, m)]
    return tuple(found)


def _holds(system: System, symmetry: Symmetry) -> bool:
    """Whether every residual is turned into plus or minus one of the same kind."""
    if any(r.kind not in (Kind.EQUATION, Kind.BOUNDARY, Kind.INITIAL) for r in system.residuals):
        return False
    own = [(r.kind, _regions(system, r, None), sp.expand(r.expression)) for r in system.residuals]
    for residual in system.residuals:
        where = _regions(system, residual, symmetry)
        image = sp.expand(residual.expression.xreplace(_images(system, residual, symmetry)))
        if not any(
            kind is residual.kind and on == where and _equal(expression, image)
            for kind, on, expression in own
        ):
            return False
    return True


def _equal(one: sp.Expr, two: sp.Expr) -> bool:
    return any(sp.simplify(one - sign * two) == 0 for sign in (1, -1))


def _images(system: System, residual: Residual, symmetry: Symmetry) -> dict[sp.Basic, sp.Basic]:
    """What becomes of every symbol."""
    axes = system.axes
    found: dict[sp.Basic, sp.Basic] = {}
    for symbol in residual.expression.free_symbols:
        if isinstance(symbol, TermSymbol):
            term = symbol.term
            orders, sign = list(term.orders), 1
            if isinstance(symmetry, Mirror):
                sign = (-1) ** (term.along(symmetry.axis) + symmetry.odd)
            elif isinstance(symmetry, Exchange):
                i, j = axes.index(symmetry.first), axes.index(symmetry.second)
                orders[i], orders[j] = orders[j], orders[i]
            else:
                sign = -1
            found[symbol] = sign * TermSymbol(Term(term.field, tuple(orders), axes))
    if isinstance(symmetry, Mirror):
        low, high = (sp.nsimplify(b) for b in system.domain.bounds[symmetry.axis])
        x = Coordinate(symmetry.axis)
        found[x] = low + high - x
        normal = NormalComponent(f"n_{symmetry.axis}")
        found[normal] = -normal
    elif isinstance(symmetry, Exchange):
        for kind, stem in ((Coordinate, ""), (NormalComponent, "n_")):
            one, two = (kind(stem + axis) for axis in (symmetry.first, symmetry.second))
            found |= {one: two, two: one}
    return found


def _regions(system: System, residual: Residual, symmetry: Symmetry | None) -> frozenset:
    """The faces on which a residual holds, as (axis, value), or their images."""
    found = set()
    for name in residual.regions:
        for part in system.domain.region(name).parts:
            for axis, value in part.fixed.items():
                found.add(_image(system, axis, value, symmetry))
    return frozenset(found)


def _image(system: System, axis: str, value: float, symmetry: Symmetry | None):
    if isinstance(symmetry, Mirror) and axis == symmetry.axis:
        low, high = system.domain.bounds[axis]
        return axis, high if value == low else low
    if isinstance(symmetry, Exchange) and axis in (symmetry.first, symmetry.second):
        return (symmetry.second if axis == symmetry.first else symmetry.first), value
    return axis, value


class Images(eqx.Module):
    """Draws for every sample one of its images under all products of the symmetries."""

    symmetries: tuple[Symmetry, ...] = eqx.field(static=True)
    sensors: Grid = eqx.field(static=True)
    grid: Grid = eqx.field(static=True)

    def __call__(self, key: jax.Array, batch: Any) -> Any:
        """(S, *sensors) and (S, c, *grid) -> the same shapes."""
        inputs, outputs = batch
        for i, symmetry in enumerate(self.symmetries):
            drawn = jax.random.bernoulli(jax.random.fold_in(key, i), shape=(len(inputs),))
            inputs = _where(drawn, _applied(symmetry, self.sensors, 1), inputs)
            outputs = _where(drawn, _applied(symmetry, self.grid, 2), outputs)
        return inputs, outputs


def _where(drawn: jax.Array, change: Callable[[jax.Array], jax.Array], values: jax.Array):
    mask = drawn.reshape(-1, *(1 for _ in values.shape[1:]))
    return jnp.where(mask, change(values), values)


def _applied(symmetry: Symmetry, axes: Grid, skip: int) -> Callable[[jax.Array], jax.Array]:
    """The symmetry on arrays whose dimensions after `skip` are the axes."""
    names = [axis.name for axis in axes]
    if isinstance(symmetry, Opposite):
        return lambda a: -a
    if isinstance(symmetry, Exchange):
        i, j = (skip + names.index(n) for n in (symmetry.first, symmetry.second))
        return lambda a: jnp.swapaxes(a, i, j)
    k = names.index(symmetry.axis)
    sign = -1 if symmetry.odd else 1
    if isinstance(axes[k], FourierAxis | OpenAxis):  # the first node stays where it is
        return lambda a: sign * jnp.roll(jnp.flip(a, skip + k), 1, skip + k)
    return lambda a: sign * jnp.flip(a, skip + k)
