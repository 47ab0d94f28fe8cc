"""Residual rows of fields that are linear in coefficients of their own on every part of a grid.

    u_c(z) = offset_c(z) + sum_j w[k, c, j] basis_c,j(z),        z in part k.

Derivatives of the basis are those of whole fields on the grid, taken once; residuals and their
slopes are contractions of these tables with the coefficients.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit import devices
from pinnkit.compile.system import Residual
from pinnkit.compile.terms import Term
from pinnkit.derivatives import GridProvider
from pinnkit.methods.constraint.joining import Apart, InLine, Joined, Joint
from pinnkit.methods.constraint.parts import Parts
from pinnkit.methods.faces import face_normals, faces, with_normals
from pinnkit.methods.grid_residuals import Grid, GridResiduals
from pinnkit.spec.condition import Kind


class Group(eqx.Module):
    """Rows of one residual, m of them in each of some parts.

    `tables` (P, 1 + N, m) per term: of the offset and of the basis; `known` (P, m) per term of an
    input function; `places` (P, m) by coordinate; `weights` (P, m) of the rows, which are divided
    by `scale`; `which` the numbers of the P parts, None where all have rows, of which those count
    whose part is `own` (P,).
    """

    tables: tuple[Array, ...]
    known: tuple[Array, ...]
    places: dict[str, Any]
    weights: Array
    residual: Residual = eqx.field(static=True)
    parameters: Any = eqx.field(static=True)
    fields: tuple[int, ...] = eqx.field(static=True)
    which: tuple[int, ...] | None = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    own: Array | None = None

    def filled(self, count: int) -> Group:
        """The same with rows in all of `count` parts, zero where there were none."""
        if self.which is None or self.which == tuple(range(count)):
            return dataclasses.replace(self, which=None)
        known = {part: place for place, part in enumerate(self.which)}
        index = jnp.asarray([known.get(part, 0) for part in range(count)])
        own = jnp.asarray([part in known for part in range(count)])
        rows = {"tables": self.tables, "known": self.known, "places": self.places}
        rows = jax.tree.map(lambda a: a[index], rows | {"weights": self.weights})
        return dataclasses.replace(self, **rows, which=None, own=own)

    def _fn(self, values: tuple[Array, ...]) -> Array:
        named: dict[Term, Array] = dict(zip(self.residual.plan.terms, values, strict=True))
        named |= dict(zip(self.residual.input_plan.terms, self.known, strict=True))
        found = self.residual.fn(named, self.places, self.parameters)
        return self.weights * found / self.scale

    def _values(self, w: Array) -> tuple[Array, ...]:
        own = w if self.which is None else w[jnp.asarray(self.which)]
        return tuple(
            table[:, 0] + jnp.einsum("pj,pjm->pm", own[:, c], table[:, 1:])
            for c, table in zip(self.fields, self.tables, strict=True)
        )

    def residuals(self, w: Array) -> Array:
        """(K, c, N) -> (P, m)."""
        return self._fn(self._values(w))

    def linearised(self, w: Array) -> tuple[Array, Array]:
        """(K, c, N) -> (P, m) and slopes (P, m, c N)."""
        values = self._values(w)
        if not values:
            found = self._fn(values)
            return found, jnp.zeros((*found.shape, w[0].size), found.dtype)
        found, push = jax.linearize(lambda *v: self._fn(v), *values)
        slopes = jnp.zeros((*found.shape, *w.shape[1:]), found.dtype)
        for i, (c, table) in enumerate(zip(self.fields, self.tables, strict=True)):
            tangents = [
                jnp.ones_like(v) if i == k else jnp.zeros_like(v) for k, v in enumerate(values)
            ]
            slopes = slopes.at[:, :, c].add(
                jnp.einsum("pm,pjm->pmj", push(*tangents), table[:, 1:])
            )
        return found, slopes.reshape(*found.shape, -1)


class GridRows(eqx.Module):
    """All rows of all parts, as `solve.fit` takes them; coefficients are (K, c N).

    `apart`: whether the parts are shared out among devices (`each`, `alike`).
    """

    groups: tuple[Group, ...]
    joint: Joint
    shape: tuple[int, int, int] = eqx.field(static=True)
    apart: bool = eqx.field(static=True, default=False)

    def each(self, function: Callable[..., Any], *more: Array) -> Any:
        """function(rows, *more) for a function that treats each part by itself, seams left out.

        `more` and the results have one row (K, ...) for every part.
        """
        alone = dataclasses.replace(self, joint=Apart())
        if not self.apart or devices.count() == 1:
            return function(alone, *more)
        groups = tuple(group.filled(self.shape[0]) for group in self.groups)
        rows = dataclasses.replace(alone, groups=groups), *more
        return devices.each(lambda _, given: function(*given), None, rows)

    def one_by_one(self, function: Callable[..., Any], *more: Array) -> Any:
        """function(rows, *more) for every part as the only one (1, ...), without seams."""
        changed = {"groups": tuple(group.filled(len(more[0])) for group in self.groups)}
        changed |= {"joint": Apart(), "apart": False, "shape": (1, *self.shape[1:])}
        alone = dataclasses.replace(self, **changed)
        one = lambda given: function(*jax.tree.map(lambda a: a[None], given))  # noqa: E731
        return jax.vmap(one)((alone, *more))

    def alike(self, function: Callable[..., Any], *given: Any) -> Any:
        """function(*given) for what joins the parts: every device does all of it."""
        return devices.alike(function, *given) if self.apart else function(*given)

    def residual(self, w: Array) -> Array:
        """(K, M): zero where a part has no rows of a residual."""
        w = w.reshape(-1, *self.shape[1:])
        return jnp.concatenate([self._spread(g, g.residuals(w)) for g in self.groups], axis=1)

    def jacobian(self, w: Array) -> tuple[Array, Array]:
        """Residuals (K, M) and slopes (K, M, c N)."""
        w = w.reshape(-1, *self.shape[1:])
        found = [(g, *g.linearised(w)) for g in self.groups]
        return tuple(  # type: ignore[return-value]
            jnp.concatenate([self._spread(g, pair[i]) for g, *pair in found], axis=1)
            for i in (0, 1)
        )

    def _spread(self, group: Group, rows: Array) -> Array:
        if group.own is not None:
            return jnp.where(group.own.reshape(-1, *(1,) * (rows.ndim - 1)), rows, 0.0)
        if group.which is None or group.which == tuple(range(self.shape[0])):
            return rows
        whole = jnp.zeros((self.shape[0], *rows.shape[1:]), rows.dtype)
        return whole.at[jnp.asarray(group.which)].set(rows)


def assemble(
    equations: GridResiduals,
    parts: Parts,
    function: Array,
    offset: Array,
    basis: Array,
    shared: bool,
    seam: float,
    sizes: Array,
    apart: bool = False,
) -> GridRows:
    """Rows of fields offset (c, *grid) + basis (N, c, *grid) on K parts of a grid.

    function (*sensors).
    Rows count by the root mean square over their places in a part, those of the seams by `seam`
    times it, in units of the `sizes` (c,) of the fields.
    """
    system, provider = equations.system, GridProvider(equations.grid)
    count = basis.shape[0]
    stacked = jnp.concatenate([offset[None], basis])
    named = {name: stacked[:, i] for i, name in enumerate(system.fields)}
    tables = provider.terms(named, system.plan)
    known: dict[Term, Array] = {}
    inputs = {name: equations.everywhere(function) for name in system.inputs}
    for residual in system.residuals:
        known |= provider.terms(inputs, residual.input_plan)
    z = provider.coordinates()
    groups = []
    for residual, scale in zip(system.residuals, equations.scales, strict=True):
        where: list[tuple[str | None, int]] = [(None, 0)]
        if residual.kind is not Kind.EQUATION:
            where = [(axis, end) for _, axis, end in faces(system, residual)]
        for face in where:
            groups.append(
                _group(equations, residual, scale, parts, tables, known, z, shared, *face)
            )
    counts = parts.counts
    shape = (math.prod(counts), len(system.fields), count)
    joint: Joint = Apart()
    if seam and math.prod(counts) > 1:
        units = sizes.reshape(1, -1, *(1,) * len(counts))
        joint = seams(equations.grid, counts, basis / units, seam)
    return GridRows(tuple(groups), joint, shape, apart)


def _group(
    equations: GridResiduals,
    residual: Residual,
    scale: float,
    parts: Parts,
    tables: dict[Term, Array],
    known: dict[Term, Array],
    z: dict[str, np.ndarray],
    shared: bool,
    axis: str | None,
    end: int,
) -> Group:
    system = equations.system
    i, counts = None if axis is None else system.axes.index(axis), parts.counts
    cut = lambda a: a if i is None else a.take(-end, axis=a.ndim - len(counts) + i)  # noqa: E731
    every = shared and i is not None
    own = tuple(1 if every else p for j, p in enumerate(counts) if j != i)
    apart = lambda a: Parts(own, parts.overlap).split(cut(a))  # noqa: E731
    places: dict[str, Any] = {name: apart(x) for name, x in z.items()}
    if axis is not None and axis != system.time:
        places = with_normals(places, face_normals(system, axis, end))
    which = []
    for place in itertools.product(*map(range, own)):
        full = list(place)
        if i is not None:
            full.insert(i, counts[i] - 1 if end else 0)
        which.append(int(np.ravel_multi_index(full, counts)))
    if every:
        which = list(range(math.prod(counts)))
    among = lambda a: jnp.broadcast_to(a, (len(which), *a.shape[1:]))  # noqa: E731
    counted = equations.counted if i is None else np.ones(tuple(a.n for a in equations.grid))
    return Group(
        tuple(among(apart(tables[t])) for t in residual.plan.terms),
        tuple(among(apart(known[t])) for t in residual.input_plan.terms),
        {name: among(x) for name, x in places.items()},
        among(apart(counted)),
        residual,
        system.parameters,
        tuple(system.fields.index(t.field) for t in residual.plan.terms),
        tuple(which),
        scale * math.sqrt(next(iter(places.values())).shape[1]),
    )


def seams(grid: Grid, parts: tuple[int, ...], basis: Array, weight: float) -> Joined:
    """Rows whose squares sum to weight^2 times the mean square of the jumps between parts.

    Jumps of values, and of slopes along the normal times the length of a part, at the last nodes
    of the lower part, to which both parts' fields are continued. basis (N, c, *grid).
    """
    blocks, pairs, total = [], [], 0
    for i, (axis, p) in enumerate(zip(grid, parts, strict=True)):
        if p == 1:
            continue
        slope = axis.derivative(basis, i + 2, 1) * (axis.length / p)
        others = tuple(q for j, q in enumerate(parts) if j != i)
        found, between = [], []
        for s in range(p - 1):
            node = (s + 1) * axis.n // p - 1
            along = [Parts(others).split(a.take(node, axis=i + 2)) for a in (basis, slope)]
            found.append(_jumps(jnp.concatenate(along, axis=-1)))
            for place in itertools.product(*map(range, others)):
                ends = [(*place[:i], q, *place[i:]) for q in (s, s + 1)]
                low, high = (int(np.ravel_multi_index(end, parts)) for end in ends)
                between.append((low, high))
        blocks.append(jnp.concatenate(found))
        pairs.append(tuple(between))
        total += len(between) * blocks[-1].shape[1]
    scaled = tuple(block * (weight / math.sqrt(total / 2)) for block in blocks)
    return (InLine if len(blocks) == 1 else Joined)(scaled, tuple(pairs))


def _jumps(values: Array) -> Array:
    """(S, N, c, m) -> (S, c m, c N): every field's jumps, from its own coefficients."""
    sets, count, fields, nodes = values.shape
    own = jnp.einsum("sjcm,cd->scmdj", values, jnp.eye(fields, dtype=values.dtype))
    return own.reshape(sets, fields * nodes, fields * count)
