"""Pseudo-time stepping: every step of training is one of relaxation towards the solution.

The residual r of an equation is replaced by r + w (u - u_k), with u_k an earlier iterate of the
field u that the equation is associated with: an implicit step, of length 1 / w, of du/dtau = -r.
Fields and residuals are dimensionless here, divided by their scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError

Probe = tuple[Array, Array]
"""Residuals (N, k) of a group of equations at its places, and all fields (N, c) there."""


@dataclass(frozen=True)
class PseudoTime:
    """Residuals r_i + w_i (u_i - u_i'), with u_i' the field at earlier weights of the network.

    Neither u' nor w has a gradient. In first-order stages u' belongs to the step before, at the
    present places; stages with a line search set it to the present u whenever they fix their
    weights (`resample_every`, `refreeze_every`), and hold it in between. The term vanishes where
    training has come to rest, so that the solution stays what it is. Mean squares that are
    reported, sampling, weightings and causal weights take r alone.

    - w_i = |r_i - r_i'| / |u_i - u_i'|, root mean squares over the batch, dimensionless and between
      `smallest` and `largest`, as a moving average to which the old one contributes `keep`. Before
      it is measured it is one, or the bound next to one.
    - `share`: what is left of w as the sum of the equations' mean squares falls by the powers of
      ten from 10^-`decades`[0] to 10^-`decades`[1]; in between half a cosine of its logarithm.
    - `fields`: pairs (equation, field) by name that decide which u_i goes with an equation. All
      others are found: the field whose highest time derivative the equation holds, else that with
      the highest derivatives in it, else that which is left, as a pressure is for the divergence.
      The sign of w_i is that in which the equation damps short waves of u_i, however it is written.
    - `every`: steps between two measurements of w in first-order stages.

    As in the jaxpi2 library (docs, "pseudo-time stepping"); a step of first order costs one
    more evaluation of the fields, a measurement two of the residuals.

    Raises `OptionError` for numbers out of range.
    """

    keep: float = 0.9
    smallest: float = 1e-2
    largest: float = 100.0
    share: float = 0.1
    decades: tuple[float, float] = (2.0, 6.0)
    fields: tuple[tuple[str, str], ...] = ()
    every: int = 10

    def __post_init__(self) -> None:
        self._require(0 <= self.keep < 1, "0 <= keep < 1")
        bounds = 0 < self.smallest <= self.largest < math.inf
        self._require(bounds, "0 < smallest <= largest, both finite")
        self._require(0 <= self.share <= 1, "a share between 0 and 1")
        rising = len(self.decades) == 2 and self.decades[0] < self.decades[1]
        self._require(rising, "two rising decades, such as (2.0, 6.0)")
        self._require(isinstance(self.every, int) and self.every >= 1, "every=1 or more, whole")

    def _require(self, sound: bool, wanted: str) -> None:
        if not sound:
            raise OptionError(f"{self!r} makes no sense. Give {wanted}.")

    def ratio(self, residuals: Array, fields: Array) -> Array:
        """|dr| / |du| (k,) of changes (N, k), within the bounds; NaN where nothing changed."""
        found = _size(residuals) / _size(fields)
        return jnp.clip(found, self.smallest, self.largest)

    def factor(self, square: Array) -> Array:
        """What is left of w where the mean squares of the equations sum to `square`."""
        first, last = self.decades
        way = jnp.clip((-jnp.log10(square) - first) / (last - first), 0, 1)
        return self.share + (1 - self.share) * (1 + jnp.cos(jnp.pi * way)) / 2


@dataclass(frozen=True)
class Group:
    """Fields that go with the equations of a group: columns, scales, and signs of w."""

    columns: tuple[int, ...]
    scales: tuple[float, ...]
    signs: tuple[float, ...]

    def of(self, fields: Array) -> Array:
        """Dimensionless associated fields (N, k) of all fields (N, c)."""
        return fields[:, jnp.array(self.columns)] / jnp.array(self.scales)[None, :]


class Steps(eqx.Module):
    """State of `PseudoTime`, part of the batch.

    `weights`: the trained arrays at the step before; `anchors`: u' (N, k) of each group of
    equations; `rates`: moving averages (E,) after `updates` (E,) measurements; `factor`: what is
    left of them; `taken`: steps so far.
    """

    weights: Any
    anchors: tuple[Array, ...]
    rates: Array
    updates: Array
    factor: Array
    taken: Array


class Pull(eqx.Module):
    """w (u - u') of a group of equations at places (N,): `anchors` u' and `rates` w are (N, k)."""

    anchors: Array
    rates: Array
    group: Group = eqx.field(static=True)

    def __call__(self, residuals: dict[str, Array], fields: Array) -> dict[str, Array]:
        """The residuals (N,) by name with their terms added; `fields` (N, all)."""
        added = self.rates * (self.group.of(fields) - self.anchors)
        return {name: r + added[:, i] for i, (name, r) in enumerate(residuals.items())}


class Stepping(eqx.Module):
    """`PseudoTime` for the groups of equations of one objective."""

    rule: PseudoTime = eqx.field(static=True)
    groups: tuple[Group, ...] = eqx.field(static=True)

    def begin(self, params: Any, counts: tuple[int, ...]) -> Steps:
        """The state before the first step, for so many places of each group."""
        widths = [len(group.columns) for group in self.groups]
        total = sum(widths)
        return Steps(
            weights=jax.tree.map(jnp.zeros_like, eqx.filter(params, eqx.is_inexact_array)),
            anchors=tuple(jnp.zeros(shape) for shape in zip(counts, widths, strict=True)),
            rates=jnp.zeros(total),
            updates=jnp.zeros(total, jnp.int32),
            factor=jnp.ones(()),
            taken=jnp.zeros((), jnp.int32),
        )

    def pull(self, index: int, state: Steps) -> Pull:
        """What is added to the residuals of a group."""
        start = sum(len(group.columns) for group in self.groups[:index])
        group, anchors = self.groups[index], state.anchors[index]
        first = min(max(1.0, self.rule.smallest), self.rule.largest)
        rates = state.factor * jnp.where(state.updates > 0, state.rates, first)
        own = rates[start : start + len(group.columns)]
        each = jnp.broadcast_to(own * jnp.array(group.signs), anchors.shape)
        return jax.lax.stop_gradient(Pull(anchors, each, group))

    def held(self, state: Steps, params: Any, probes: Callable[[Any], tuple[Probe, ...]]) -> Steps:
        """The state with u' = u at `params`, and w measured on the way from the last u'."""
        now = probes(params)
        new = self._measured(state, now, probes(_earlier(state, params)))
        return self._moved(new, params, tuple(fields for _, fields in now))

    def followed(
        self,
        state: Steps,
        params: Any,
        probes: Callable[[Any], tuple[Probe, ...]],
        fields: Callable[[Any], tuple[Array, ...]],
        step: Array,
    ) -> Steps:
        """The state with u' = u at the parameters of the step before, and w measured if due."""
        before = _earlier(state, params)
        measured = lambda: self._measured(state, probes(params), probes(before))  # noqa: E731
        new = jax.lax.cond(step % self.rule.every == 0, measured, lambda: state)
        return self._moved(new, params, fields(before))

    def _measured(self, state: Steps, now: tuple[Probe, ...], before: tuple[Probe, ...]) -> Steps:
        both = zip(self.groups, now, before, strict=True)
        changes = [(a - c, g.of(b) - g.of(d)) for g, (a, b), (c, d) in both]
        found = jnp.concatenate([self.rule.ratio(*change) for change in changes])
        usable = jnp.isfinite(found) & jnp.concatenate([*map(_moves, self.groups, now, before)])
        keep = jnp.where(state.updates == 0, 0.0, self.rule.keep)
        mixed = keep * state.rates + (1 - keep) * jnp.where(usable, found, 0.0)
        square = sum(jnp.sum(jnp.mean(r**2, axis=0)) for r, _ in now)
        factor = self.rule.factor(jnp.asarray(square))
        return Steps(
            state.weights,
            state.anchors,
            jnp.where(usable, mixed, state.rates),
            state.updates + usable,
            jnp.where(jnp.isfinite(factor), factor, state.factor),
            state.taken,
        )

    def _moved(self, state: Steps, params: Any, fields: tuple[Array, ...]) -> Steps:
        """One step on, with these fields for u'."""
        arrays = eqx.filter(params, eqx.is_inexact_array)
        anchors = tuple(g.of(each) for g, each in zip(self.groups, fields, strict=True))
        new = Steps(arrays, anchors, state.rates, state.updates, state.factor, state.taken + 1)
        return jax.lax.stop_gradient(new)


def _size(values: Array) -> Array:
    """Root mean square (k,) over the places of values (N, k)."""
    return jnp.sqrt(jnp.mean(values**2, axis=0))


def _moves(group: Group, now: Probe, before: Probe) -> Array:
    """Whether fields changed by more than rounding, (k,)."""
    new, old = group.of(now[1]), group.of(before[1])
    return _size(new - old) > 10 * jnp.finfo(new.dtype).eps * _size(new)


def _earlier(state: Steps, params: Any) -> Any:
    """The parameters of the step before; at the first step the present ones."""
    arrays, static = eqx.partition(params, eqx.is_inexact_array)
    choose = lambda old, new: jnp.where(state.taken > 0, old, new)  # noqa: E731
    return eqx.combine(jax.tree.map(choose, state.weights, arrays), static)
