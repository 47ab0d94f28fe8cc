"""Periodic evolution beside constraints, in Fourier modes.

Fields e that evolve and static fields s, which have no time derivatives, fulfil mode by mode

    e' = L e + C s + N(e, s),    A e + B s + r(e) = 0.

Elliptic constraints have an invertible B, such as the Laplacian of a streamfunction: the static
fields s = -B^-1 (A e + r) are put into the rates, their linear part into the linear one. Where
B = 0 the static fields are multipliers that keep A e = 0, such as a pressure that keeps a velocity
free of divergence: s = -(A C)^-1 A (L e + N(e)), and e' = P (L e + N) with the projection
P = 1 - C (A C)^-1 A. The mean of a static field that enters by its derivatives only is that of an
integral condition, or zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.compile import Constrained, Residual, System, Term
from pinnkit.errors import MethodError
from pinnkit.methods.evolution import (
    initial_conditions,
    initial_values,
    space_axes,
    times_order,
)
from pinnkit.methods.faces import NOTHING, Known
from pinnkit.methods.modal import Modal, uncoupled
from pinnkit.spec.condition import Kind

TOLERANCE = 1e-8
PROBE = 12


def refusal(system: System, bound: Constrained) -> str | None:
    """Why the constraints cannot be solved for the static fields mode by mode, or None."""
    names = ", ".join(bound.static)
    space = space_axes(system)
    if not space or set(space) - set(system.traits.periodic):
        return (
            f"{names} has no time derivative, an algebraic constraint, which is solved where all "
            "axes of space are periodic"
        )
    reason = _nonlinear(bound) or _stiff(system, bound) or _integrals(system, bound)
    if reason is not None:
        return reason
    try:
        ConstrainedModal(system, dict.fromkeys(space, PROBE))
    except MethodError as error:
        return str(error)
    return None


def is_elliptic(bound: Constrained) -> bool:
    """Whether static fields occur in the constraints; if not, they are multipliers."""
    return any(t.field in bound.static for c in bound.constraints for t in c.linear)


def _nonlinear(bound: Constrained) -> str | None:
    for constraint in bound.constraints:
        for term in constraint.remainder_plan.terms:
            if term.field in bound.static:
                return f"{term} enters a constraint nonlinearly or with a coefficient that varies"
    if is_elliptic(bound):
        return None
    if not all(c.homogeneous for c in bound.constraints):
        return "its constraints are not linear and homogeneous with constant coefficients"
    held = {t for r in bound.rates for t in r.remainder_plan.terms if t.field in bound.static}
    if held:
        return f"{', '.join(map(str, sorted(held)))} is a multiplier that enters nonlinearly"
    if any(rate.order > 1 for rate in bound.rates):
        return "its constraints hold for rates of second order in time"
    return None


def _stiff(system: System, bound: Constrained) -> str | None:
    """A static field is as smooth as the highest of its derivatives in the constraints is rough."""
    gained = {
        field: max(t.order for c in bound.constraints for t in c.linear if t.field == field)
        for field in bound.static
        if is_elliptic(bound)
    }
    for rate in bound.rates:
        for term in rate.remainder_plan.terms:
            order = term.order - times_order(system, term) - gained.get(term.field, 0)
            if order > 1:
                return f"{term}, a stiff part, varies or enters nonlinearly"
    return None


def _integrals(system: System, bound: Constrained) -> str | None:
    for residual in system.residuals:
        if residual.kind is Kind.INTEGRAL and not _fixes_mean(residual, bound):
            return (
                f"'{residual.name}' is an integral condition that does more than to fix the mean "
                f"of {', '.join(bound.static)}"
            )
    return None


def _fixes_mean(residual: Residual, bound: Constrained) -> bool:
    target = residual.target
    if target is None or residual.data is None or residual.regions != ("interior",):
        return False
    return target.field in bound.static and target.order == 0


class ConstrainedModal(Modal):
    """The evolving fields of a system in Fourier modes, with what its constraints say of the rest.

    Raises `MethodError` where the constraints leave modes of the static fields open, but for the
    means of such as enter by derivatives only.
    """

    def __init__(self, system: System, points: Mapping[str, int]):
        super().__init__(system, {}, points)
        assert system.constrained is not None
        self.bound = bound = system.constrained
        self.static = tuple((field, 0) for field in bound.static)
        self.elliptic = is_elliptic(bound)
        rows = [c.linear for c in bound.constraints]
        own, push = (
            self.matrix(self.linear_rows(), columns) for columns in (self.components, self.static)
        )
        self.read = self.matrix(rows, self.components)
        pivot = self.matrix(rows, self.static) if self.elliptic else self.read @ push
        self.inverse, self.open = self._inverse(pivot)
        self.push, self.own = push, own
        if self.elliptic:
            self.closed = -self.inverse @ self.read
            self.total = own + push @ self.closed
        else:
            self.project = np.eye(len(self.components)) - push @ self.inverse @ self.read
            self.total = self.project @ own
        self.means = self._means()

    def _inverse(self, pivot: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """Inverses by mode, (…modes, m, m), and the static fields whose means are open."""
        left, size, right = np.linalg.svd(pivot)
        good = size > np.finfo(float).eps * size.max()
        zero = (0,) * len(self.shape)
        lost = ~good.all(axis=-1) & (self.mask > 0)
        lost[zero] = False
        names = self.bound.static
        if lost.any():
            raise MethodError(
                f"its constraints do not determine {', '.join(names)} on {int(lost.sum())} Fourier "
                "modes beside the mean"
            )
        free = tuple(f for j, f in enumerate(names) if not pivot[zero][:, j].any())
        if int(good[zero].sum()) != len(names) - len(free):
            raise MethodError(f"its constraints couple the means of {', '.join(names)}")
        weights = np.where(good, 1 / np.where(good, size, 1), 0) * self.mask[..., None]
        adjoint = np.conj(np.swapaxes(left, -1, -2))
        return np.conj(np.swapaxes(right, -1, -2)) @ (weights[..., None] * adjoint), free

    def _means(self) -> dict[str, Residual]:
        """The integral condition of each field whose mean is open, if it has one."""
        fixing = [r for r in self.system.residuals if r.kind is Kind.INTEGRAL and r.target]
        found = {r.target.field: r for r in fixing if r.target}
        for field in sorted(set(found) - set(self.open)):
            raise MethodError(
                f"the equations determine the mean of {field}, which '{found[field].name}' fixes"
            )
        for field in set(self.open) - set(found):
            if any(t.field == field and not t.order for e in self._equations() for t in e):
                raise MethodError(
                    f"its equations hold {field} itself, but leave the mean of {field} open; add "
                    f"Integral({field}, 0)"
                )
        return found

    def _equations(self) -> list[tuple[Term, ...]]:
        return [rate.plan.terms for rate in self.bound.rates]

    def rates(self) -> tuple[np.ndarray, bool]:
        return uncoupled(self.total)

    def nonlinear(self, modes: Array, t: Array, known: Known = NOTHING) -> Array:
        if not self.elliptic:
            return _times(self.project, self.rest(modes, self.components, t, known))
        given = self._given(modes, t)
        static = _times(self.closed, modes) + given
        every = jnp.concatenate([modes, static])
        rest = self.rest(every, (*self.components, *self.static), t, known)
        return rest + _times(self.push, given)

    def _given(self, modes: Array, t: Array) -> Array:
        """Modes of the static fields that the remainders and the integrals give."""
        return self._mean_modes(t) - _times(self.inverse, self._remainders(modes, t))

    def _remainders(self, modes: Array, t: Array) -> Array:
        """Modes of r(e), (m, …modes)."""
        values = self.term_values(modes, self.components, self.bound.constraints)
        found = [self.remainder(c, values, t) for c in self.bound.constraints if not c.homogeneous]
        if not found:
            return jnp.zeros((len(self.static), *self.mask.shape), modes.dtype)
        changed = iter(self.transform(jnp.stack(found)))
        zero = jnp.zeros(self.mask.shape, modes.dtype)
        return jnp.stack([zero if c.homogeneous else next(changed) for c in self.bound.constraints])

    def _mean_modes(self, t: Array) -> Array:
        found = jnp.zeros((len(self.static), *self.mask.shape), complex)
        zero = (0,) * len(self.shape)
        cells = math.prod(axis.n / axis.length for axis in self.grid)
        z = {axis.name: jnp.asarray(axis.lo) for axis in self.grid} | {self.system.time or "": t}
        for field, residual in self.means.items():
            assert residual.data is not None
            value = residual.data(z, self.system.parameters)
            found = found.at[(self.bound.static.index(field), *zero)].set(cells * value)
        return found

    def static_modes(self, modes: Array, t: Array, known: Known = NOTHING) -> Array:
        """Modes of the static fields, (m, …modes)."""
        if self.elliptic:
            return _times(self.closed, modes) + self._given(modes, t)
        rate = _times(self.own, modes) + self.rest(modes, self.components, t, known)
        return self._mean_modes(t) - _times(self.inverse, _times(self.read, rate))

    def field_modes(self, modes: Array, t: Array, known: Known = NOTHING) -> Array:
        found = dict(zip(self.bound.static, self.static_modes(modes, t, known), strict=True))
        found |= {f: modes[i] for i, (f, j) in enumerate(self.components) if j == 0}
        return jnp.stack([found[field] for field in self.system.fields])

    def check(self, modes: Array, t: float) -> None:
        """Raises `MethodError` for a state that the constraints forbid."""
        broken, size = map(float, jax.jit(self._broken)(modes, t))
        if broken > TOLERANCE * size:
            raise MethodError(
                f"Lines: at {self.system.time} = {t:g} the constraints of "
                f"'{self.system.problem.name}' leave {broken / size:.1e} of their terms, in the "
                f"mean or in the divergence. No periodic {', '.join(self.bound.static)} can "
                "balance it; mend the initial values or the equations."
            )
        lo = self.system.domain.bounds[self.system.time or ""][0]
        if t == lo:
            self._compare_initial(modes, t)

    def _compare_initial(self, modes: Array, t: float) -> None:
        z = {**self.z, self.system.time or "": jnp.full(self.shape, t)}
        fields = self._fields(modes, t)
        for field in self.bound.static:
            if (field, 0) not in initial_conditions(self.system):
                continue
            wanted = np.asarray(initial_values(self.system, field, 0, z))
            found = np.asarray(fields[self.system.fields.index(field)])
            if np.abs(found - wanted).max() > 1e-4 * np.abs(wanted).max():
                raise MethodError(
                    f"Lines: the initial values of '{field}' in '{self.system.problem.name}' are "
                    "not those that the constraints give it. Leave them out, or mend them."
                )

    def _broken(self, modes: Array, t: Array) -> tuple[Array, Array]:
        """What of the constraints no static field can balance, and the size of their terms."""
        held = _times(self.read, modes) + self._remainders(modes, t)
        if not self.elliptic:
            size = _times(np.abs(self.read), jnp.abs(modes))
            return jnp.linalg.norm(held.ravel()), jnp.linalg.norm(size.ravel())
        zero = (slice(None), *(0,) * len(self.shape))
        if not self.open:
            return jnp.zeros(()), jnp.ones(())
        kept = self.inverse[zero[1:]]
        part = held[zero] - jnp.asarray(np.linalg.pinv(kept) @ kept) @ held[zero]
        return jnp.linalg.norm(part), jnp.linalg.norm(held.ravel())


def _times(matrix: np.ndarray, modes: Array) -> Array:
    """Products (…modes, i, j) (j, …modes) -> (i, …modes)."""
    return jnp.einsum("...ij,j...->i...", jnp.asarray(matrix), modes, precision="highest")
