"""Collocation of a steady system on a tensor grid: rows, Jacobians, Newton iterations."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy

from pinnkit.compile import Residual, System, Term
from pinnkit.derivatives import Axis, ChebyshevAxis, FourierAxis, GridProvider
from pinnkit.errors import MethodError
from pinnkit.methods.faces import Compiled, face_normals, faces, with_normals
from pinnkit.spec.condition import Kind

NEWTON_STEPS = 30
SMALLEST_DAMPING, SMALLEST_STRIDE = 1e-3, 0.02
SMALL_STEP, FINAL_STEP = 1e-3, 1e-9
"""Relative steps below which a residual that stagnates is at its minimum; below which all is."""


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """A residual at some nodes, or its integral: `weights` (k, nodes) contracts the nodes."""

    residual: Residual
    nodes: np.ndarray
    z: Mapping[str, np.ndarray]
    weights: np.ndarray | None = None
    shift: float = 0.0


class Collocation:
    """Unknowns are nodal values that no Dirichlet condition fixes; `known` is (c, nodes)."""

    def __init__(
        self, system: System, points: Mapping[str, int], compiled: Mapping[Residual, Compiled]
    ):
        self.system, self.compiled = system, compiled
        self.grid = tuple(self._axis(name, points[name]) for name in system.axes)
        provider = GridProvider(self.grid)
        self.shape = provider.shape
        self.z = {a: x.ravel() for a, x in provider.coordinates().items()}
        self.quadrature = provider.weights().ravel()
        self.size = self.quadrature.size
        self.operators: dict[tuple[int, ...], Any] = {}
        self.picked: dict[tuple[int, tuple[int, ...]], Any] = {}
        self.known = np.zeros((len(system.fields), self.size), bool)
        self.pinned: list[tuple[Residual, int, np.ndarray, dict[str, np.ndarray]]] = []
        self._pin()
        self.free = ~self.known
        self.count = int(self.free.sum())
        self.rows = self._rows(everywhere=False)
        if self.equations_count < self.count:
            self.rows = self._rows(everywhere=True)
        if self.equations_count < self.count:
            raise MethodError(
                f"'{system.problem.name}' gives {self.equations_count} rows for {self.count} "
                "unknowns. It lacks boundary conditions; add them."
            )

    def _axis(self, name: str, n: int) -> Axis:
        lo, hi = self.system.domain.bounds[name]
        kind = FourierAxis if name in self.system.traits.periodic else ChebyshevAxis
        return kind(name, lo, hi, n)

    @property
    def equations_count(self) -> int:
        return sum(len(r.nodes) if r.weights is None else len(r.weights) for r in self.rows)

    def _face(self, axis: str, end: int) -> np.ndarray:
        """Flat indices of the nodes on a face."""
        index = np.arange(self.size).reshape(self.shape)
        return np.take(index, -end, axis=self.system.axes.index(axis)).ravel()

    def _at(self, nodes: np.ndarray, axis: str = "", end: int = 0) -> dict[str, np.ndarray]:
        z = {a: x[nodes] for a, x in self.z.items()}
        return with_normals(z, face_normals(self.system, axis, end)) if axis else z

    def _pin(self) -> None:
        """Nodes of Dirichlet values; of two that meet, higher priority or else the earlier wins."""
        conditions = [r for r in self.system.residuals if self._is_dirichlet(r)]
        for residual in sorted(conditions, key=lambda r: -r.priority):
            assert residual.target is not None
            c = self.system.fields.index(residual.target.field)
            for _, axis, end in faces(self.system, residual):
                nodes = self._face(axis, end)
                nodes = nodes[~self.known[c, nodes]]
                self.pinned.append((residual, c, nodes, self._at(nodes, axis, end)))
                self.known[c, nodes] = True

    def pin(self, fields: np.ndarray) -> np.ndarray:
        """Fields (c, nodes) with the Dirichlet values inserted."""
        result = fields.copy()
        for residual, c, nodes, z in self.pinned:
            if nodes.size:
                result[c, nodes] = self.compiled[residual].data(z)
        return result

    @staticmethod
    def _is_dirichlet(residual: Residual) -> bool:
        target = residual.target
        return residual.kind is Kind.BOUNDARY and target is not None and target.order == 0

    def _rows(self, everywhere: bool) -> list[Rows]:
        inner = np.zeros(self.shape, bool)
        walls = [isinstance(axis, ChebyshevAxis) and not everywhere for axis in self.grid]
        inner[tuple(slice(1, -1) if wall else slice(None) for wall in walls)] = True
        interior, found = np.flatnonzero(inner), []
        for residual in self.system.residuals:
            if self._is_dirichlet(residual):
                continue
            if residual.kind is Kind.INTEGRAL:
                found.append(self._integral(residual))
                continue
            if "interior" in residual.regions:
                found.append(Rows(residual, interior, self._at(interior)))
            for _, axis, end in faces(self.system, residual):
                nodes = self._face(axis, end)
                nodes = nodes[~self._decided(residual, nodes, axis, end)]
                found.append(Rows(residual, nodes, self._at(nodes, axis, end)))
        return found

    def _decided(self, residual: Residual, nodes: np.ndarray, axis: str, end: int) -> np.ndarray:
        """Nodes of a face (corners) where another face already fixes all fields of the row."""
        decided = np.ones(len(nodes), bool)
        for field in residual.plan.fields:
            c = self.system.fields.index(field)
            decided &= self.known[c, nodes] & ~self.known[c, nodes].all()
        return decided

    def _integral(self, residual: Residual) -> Rows:
        condition = next(c for c in self.system.problem.conditions if c.name == residual.name)
        values: Any = {
            p: self.system.parameters[p.name] for p in self.system.problem.declared_parameters
        }
        wanted = float(condition.value.evalf(subs=values))  # type: ignore[arg-type]
        if residual.regions == ("interior",):
            nodes = np.arange(self.size)
            z, weights = self._at(nodes), self.quadrature
        else:
            parts = [(axis, end) for _, axis, end in faces(self.system, residual)]
            if len(parts) != 1:
                raise MethodError(f"Integral '{residual.name}' must be over one face; split it.")
            ((axis, end),) = parts
            nodes = self._face(axis, end)
            weights = self.quadrature[nodes] / self.grid[self.system.axes.index(axis)].weights[-end]
            z = self._at(nodes, axis, end)
        # `fn` is integrand minus value at each point.
        shift = wanted * (weights.sum() - 1)
        return Rows(residual, nodes, z, weights[None, :], shift)

    def operator(self, orders: tuple[int, ...]) -> Any:
        """The derivative as a sparse matrix on the flattened grid."""
        if orders not in self.operators:
            matrix: Any = scipy.sparse.identity(1, format="csr")
            for axis, order in zip(self.grid, orders, strict=True):
                alone = axis.matrix(order) if order else np.eye(axis.n)
                factor = scipy.sparse.csr_matrix(alone)
                matrix = scipy.sparse.kron(matrix, factor, format="csr")
            self.operators[orders] = matrix
        return self.operators[orders]

    def _pick(self, rows: Rows, orders: tuple[int, ...]) -> Any:
        key = (id(rows), orders)
        if key not in self.picked:
            self.picked[key] = self.operator(orders)[rows.nodes]
        return self.picked[key]

    def evaluate(self, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residual (m,) and dense Jacobian (m, unknowns) at nodal values (c, nodes)."""
        residuals, blocks = [], []
        for rows in self.rows:
            value, slope = self._slopes(rows, fields)
            found = [self._block(rows, slope, c) for c in range(len(self.system.fields))]
            block = np.concatenate([b for b in found if b.size or b.shape[1] == 0], axis=1)
            if rows.weights is not None:
                value, block = rows.weights @ value + rows.shift, rows.weights @ block
            residuals.append(value)
            blocks.append(block)
        largest = max(
            np.abs(b).max()
            for b, r in zip(blocks, self.rows, strict=True)
            if r.residual.kind is Kind.EQUATION
        )
        for i, rows in enumerate(self.rows):
            # Conditions weigh as much as the stiffest equation row in the least squares.
            if rows.residual.kind is not Kind.EQUATION and blocks[i].size:
                factor = largest / max(np.abs(blocks[i]).max(), 1e-300)
                residuals[i], blocks[i] = residuals[i] * factor, blocks[i] * factor
        return np.concatenate(residuals), np.concatenate(blocks)

    def _slopes(self, rows: Rows, fields: np.ndarray) -> tuple[np.ndarray, dict[Term, np.ndarray]]:
        values = {
            t: self._pick(rows, t.orders) @ fields[self.system.fields.index(t.field)]
            for t in rows.residual.plan.terms
        }
        return self.compiled[rows.residual].slopes(values, rows.z)

    def _block(self, rows: Rows, slope: Mapping[Term, np.ndarray], c: int) -> np.ndarray:
        free = np.flatnonzero(self.free[c])
        matrix: Any = scipy.sparse.csr_matrix((len(rows.nodes), self.size))
        for term, coefficient in slope.items():
            if term.field == self.system.fields[c] and np.any(coefficient):
                matrix = matrix + scipy.sparse.diags(coefficient) @ self._pick(rows, term.orders)
        return matrix.tocsc()[:, free].toarray()

    def correct(self, fields: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Fields with the unknowns moved by `step`."""
        moved = fields.copy()
        moved[self.free] += step
        return moved

    def solve(self, start: np.ndarray) -> tuple[np.ndarray, int, bool]:
        """Newton iterations from `start` (c, nodes): fields, iterations, whether they converged."""
        start = self.pin(start)
        if self.system.traits.linear:
            residual, jacobian = self.evaluate(start)
            factor = Factor(jacobian)
            start = self.correct(start, factor.solve(residual))
            start = self.correct(start, factor.solve(self.evaluate(start)[0]))
            return start, 1, bool(np.isfinite(start).all())
        fields, steps, good = newton(self.evaluate, self.correct, start)
        if good:
            return fields, steps, True
        return self._continued()

    def _continued(self) -> tuple[np.ndarray, int, bool]:
        """Newton with the nonlinear part switched on gradually, from the linearised problem."""
        zero = self.pin(np.zeros(self.known.shape))
        r0, j0 = self.evaluate(zero)

        def partly(s: float, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            r, j = self.evaluate(u)
            linear = r0 + j0 @ (u - zero)[self.free]
            return linear + s * (r - linear), j0 + s * (j - j0)

        fields, total, reached, stride = zero, 0, 0.0, 0.25
        while reached < 1:
            s = min(1.0, reached + stride)
            found, steps, good = newton(functools.partial(partly, s), self.correct, fields)
            total += steps
            if good:
                fields, reached, stride = found, s, 2 * stride
            elif stride < SMALLEST_STRIDE:
                return fields, total, False
            else:
                stride /= 2
        return fields, total, True


def newton(evaluate, correct, fields: np.ndarray) -> tuple[np.ndarray, int, bool]:
    """Damped Gauss–Newton: steps are halved until the residual no longer grows.

    A factorisation is kept while steps shrink tenfold. Coarse grids leave a residual in the
    least squares; where small steps cannot lower it any more, its minimum is reached.
    """
    residual, jacobian = evaluate(fields)
    norm, factor, before = np.linalg.norm(residual), Factor(jacobian), np.inf
    for count in range(1, NEWTON_STEPS + 1):
        step = factor.solve(residual)
        size = np.linalg.norm(step) / max(1e-12, np.linalg.norm(fields))
        if not np.isfinite(size):
            return fields, count, False
        damping, previous = 1.0, norm
        while True:
            trial = correct(fields, damping * step)
            residual, jacobian = evaluate(trial)
            norm = np.linalg.norm(residual)
            if norm <= previous or size < SMALL_STEP and np.isfinite(norm):
                break
            damping /= 2
            if damping < SMALLEST_DAMPING:
                return fields, count, False
        fields = trial
        if size < FINAL_STEP or size < SMALL_STEP and size > 0.5 * before:
            return fields, count, True
        if size > 0.1 * before or damping < 1 or before == np.inf and size > SMALL_STEP:
            factor = Factor(jacobian)
        before = size
    return fields, NEWTON_STEPS, False


class Factor:
    """LU (square) or QR (more rows than columns) of a matrix with columns scaled to unit norm."""

    def __init__(self, matrix: np.ndarray):
        scale = np.linalg.norm(matrix, axis=0)
        self.scale = np.where(scale == 0, 1.0, scale)
        scaled = np.asfortranarray(matrix / self.scale)
        self.rows, self.columns = matrix.shape
        if self.rows == self.columns:
            self.lu, self.order, _ = _lapack("getrf")(scaled, overwrite_a=True)
            diagonal = np.abs(np.diagonal(self.lu))
        else:
            work = int(_lapack("geqrf_lwork")(self.rows, self.columns)[0].real)
            self.qr, self.tau, _, _ = _lapack("geqrf")(scaled, lwork=work, overwrite_a=True)
            diagonal = np.abs(np.diagonal(self.qr))
        self.singular = not diagonal.min() > 1e-14 * diagonal.max()

    def solve(self, residual: np.ndarray) -> np.ndarray:
        """The step that minimises |matrix step + residual|; NaN without full rank."""
        if self.singular:
            return np.full(self.columns, np.nan)
        if self.rows == self.columns:
            step, _ = _lapack("getrs")(self.lu, self.order, -residual)
            return step / self.scale
        rotated, _, _ = _lapack("ormqr")("L", "T", self.qr, self.tau, -residual[:, None], lwork=64)
        triangle = self.qr[: self.columns]
        step, _ = _lapack("trtrs")(triangle, rotated[: self.columns])
        return step[:, 0] / self.scale


def _lapack(name: str) -> Any:
    """A LAPACK routine for float64 matrices."""
    return scipy.linalg.get_lapack_funcs(name, dtype=np.float64)
