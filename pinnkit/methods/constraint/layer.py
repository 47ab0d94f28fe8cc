"""The layer itself: a basis and an offset in, fields that satisfy the equations out."""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.compile import compile_problem
from pinnkit.errors import OptionError
from pinnkit.methods.constraint.options import HardConstraint
from pinnkit.methods.constraint.parts import Parts
from pinnkit.methods.constraint.rows import GridRows, assemble, seams
from pinnkit.methods.constraint.solve import Fit, attached
from pinnkit.methods.families import input_axes
from pinnkit.methods.grid_residuals import Grid, GridResiduals
from pinnkit.spec.condition import Kind
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import function_name


class ConstraintLayer(eqx.Module):
    """u = offset + sum_j w_j basis_j with w = argmin |residuals(u)|^2 on every part of the grid.

    Differentiable in the basis, the offset and the input function by the implicit function theorem.
    `sizes` (c,) of the fields, by which jumps are measured; `apart`: whether experts are shared out
    among devices (`shared_out`).
    """

    equations: GridResiduals
    options: HardConstraint = eqx.field(static=True)
    sizes: tuple[float, ...] = eqx.field(static=True)
    apart: bool = eqx.field(static=True, default=False)

    @classmethod
    def of(cls, problem: Problem, grid: Grid, options: HardConstraint) -> ConstraintLayer:
        """The layer of a problem on a grid of all its axes, which are also those of its function.

        Raises OptionError if the parts do not divide the grid, axes are missing, or the problem
        has an integral condition.
        """
        system = compile_problem(problem)
        if tuple(axis.name for axis in grid) != system.axes:
            raise OptionError(
                f"'{problem.name}' has the axes {', '.join(system.axes)}, the grid "
                f"{', '.join(axis.name for axis in grid)}. Give one axis for each, in this order."
            )
        known = input_axes(system) if system.inputs else ()
        sensors = tuple(axis for axis in grid if axis.name in known)
        scales = {function_name(u): float(s) for u, s in problem.scales.items()}
        sizes = tuple(scales.get(name, 1.0) for name in system.fields)
        return cls(GridResiduals.of(system, grid, sensors), options, sizes)

    def __check_init__(self) -> None:
        grid = self.equations.grid
        for residual in self.equations.system.conditions:
            if residual.kind is Kind.INTEGRAL:
                raise OptionError(
                    f"A constraint layer takes no integral condition such as '{residual.name}'. "
                    "Leave it out: coefficients that it alone would fix stay small."
                )
        wrong = len(self.parts) != len(grid) or any(
            a.n % p for a, p in zip(grid, self.parts, strict=False)
        )
        if wrong:
            raise OptionError(
                f"HardConstraint(experts={self.options.experts}) does not divide a grid of "
                f"{' x '.join(str(a.n) for a in grid)} nodes along "
                f"{', '.join(a.name for a in grid)}. Give one divisor for each axis."
            )

    @property
    def parts(self) -> tuple[int, ...]:
        """Number of parts along each axis."""
        return self.options.experts or (1,) * len(self.equations.grid)

    @property
    def cut(self) -> Parts:
        """The nodes of the parts."""
        return Parts(self.parts, self.options.overlap)

    def on(self, grid: Grid, sensors: Grid) -> ConstraintLayer:
        """The same layer on another grid. Raises OptionError if the parts do not divide it."""
        equations = dataclasses.replace(self.equations, grid=grid, sensors=sensors)
        return dataclasses.replace(self, equations=equations)

    def shared_out(self) -> ConstraintLayer:
        """The same layer with experts shared out among all devices, which then must all call it.

        Nothing passes between devices while experts without seams are solved. With seams each
        device reduces its experts to triangles, and all of them solve the same joint system.
        """
        return dataclasses.replace(self, apart=True)

    def rows(self, function: Array, offset: Array, basis: Array) -> GridRows:
        """The rows of all experts; see `assemble`."""
        sizes = jnp.asarray(self.sizes, basis.dtype)
        given = self.equations, self.cut, function, offset, basis
        return assemble(*given, self.options.shared, self.options.seam, sizes, self.apart)

    def start(self, offset: Array, basis: Array) -> Array:
        """Coefficients of zero, (K, c N)."""
        return jnp.zeros((math.prod(self.parts), offset.shape[0] * basis.shape[0]), basis.dtype)

    def fit(self, function: Array, offset: Array, basis: Array) -> Fit:
        """The coefficients, without derivatives."""
        function, offset, basis = jax.lax.stop_gradient((function, offset, basis))
        start, rows = self.start(offset, basis), self.rows(function, offset, basis)
        if rows.joint.joined:
            return self._fit(rows, start)

        def alone(rows: GridRows, start: Array) -> Fit:
            found = self._fit(rows, start)
            return found._replace(steps=jnp.full(len(start), found.steps))

        found = rows.each(alone, start)
        return found._replace(steps=jnp.max(found.steps))

    def _fit(self, rows: GridRows, start: Array) -> Fit:
        return self.options.solver.fit(rows, start, self.options.shrink)

    def coefficients(self, function: Array, offset: Array, basis: Array) -> Array:
        """(K, c, N), differentiable."""
        found, rows = self.fit(function, offset, basis).w, self.rows(function, offset, basis)

        def exact(rows: GridRows, w: Array, start: Array) -> Array:
            return attached(lambda: rows, w, start, self.options.shrink, self.options.full)

        start = self.start(offset, basis)
        w = exact(rows, found, start) if rows.joint.joined else rows.each(exact, found, start)
        return w.reshape(len(w), offset.shape[0], basis.shape[0])

    def jump(self, w: Array, basis: Array) -> Array:
        """Root mean square, over the nodes of all seams, of the jumps between experts.

        Of values, in units of the fields' sizes, and of slopes times the length of a part; of parts
        that overlap, that of the distances of values from their mean there. Zero for one expert.
        w (K, c, N) and basis (N, c, *grid).
        """
        if math.prod(self.parts) == 1:
            return jnp.zeros((), basis.dtype)
        sizes = jnp.asarray(self.sizes, basis.dtype).reshape(1, -1, *(1,) * len(self.parts))
        if self.options.overlap:
            return self._distance(w, basis / sizes)
        joint = seams(self.equations.grid, self.parts, basis / sizes, 1.0)
        return jnp.linalg.norm(joint.residual(w.reshape(len(w), -1)))

    def _distance(self, w: Array, basis: Array) -> Array:
        cut, grid = self.cut, basis.shape[2:]
        apart = cut.split(basis)
        found = cut.spread(jnp.einsum("kcj,kjcm->kcm", w, apart), grid)
        numbers = jnp.arange(len(w), dtype=basis.dtype)[:, None]
        several = cut.spread(jnp.broadcast_to(numbers, (len(w), apart.shape[-1])), grid) > 0
        return jnp.sqrt(jnp.sum(found * several[None]) / (len(found) * jnp.sum(several)))

    def __call__(self, function: Array, offset: Array, basis: Array) -> Array:
        """(*sensors), (c, *grid) and (N, c, *grid) -> (c, *grid)."""
        w = self.coefficients(function, offset, basis)
        return combined(w, offset, basis, self.cut)


def combined(w: Array, offset: Array, basis: Array, cut: Parts) -> Array:
    """offset + sum_j w[k, c, j] basis_c,j on every part k."""
    pieces = jnp.einsum("kcj,kjcm->kcm", w, cut.split(basis))
    return offset + cut.merge(pieces, offset.shape[1:])
