"""One slab of time (a steady problem is one slab) on one set of boxes, by Newton's method."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pinnkit.compile import System
from pinnkit.experts.assembly import Collocation, Linear, Lineariser
from pinnkit.experts.bases import Basis
from pinnkit.experts.collocate import collocate, held_out
from pinnkit.experts.layout import Boxes
from pinnkit.experts.loading import under_load
from pinnkit.experts.means import Size, require_memory
from pinnkit.experts.memory import predicted_bytes
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.newton import Newton, newton
from pinnkit.experts.solvers import ridge_solve, solve_blocks
from pinnkit.spec.condition import Kind

FIT_RIDGE = 1e-10
KEPT = 4


@dataclass(frozen=True)
class Slab:
    """One solved slab.

    `held` is the residual at points between the collocation points, relative to the `size` (root
    mean square) of the fields; `imbalance` the largest residual of an equation there, relative to
    its own terms, with that equation's name; `rank` the numerical rank, -1 where not revealed.
    """

    mixture: Mixture
    newton: Newton
    held: float
    size: float
    imbalance: tuple[float, str]
    rank: int
    solver: str

    @property
    def boxes(self) -> Boxes:
        return Boxes(np.asarray(self.mixture.lower), np.asarray(self.mixture.upper))

    @property
    def coefficients(self) -> np.ndarray:
        """(experts, fields, n)."""
        return np.asarray(self.mixture.coefficients)


@dataclass(frozen=True)
class Machine:
    """Solves slabs of a system with one basis; boxes that differ in time only share tables."""

    system: System
    basis: Basis
    linearisers: Mapping[str, Lineariser]
    _tables: dict[bytes, tuple[Collocation, Collocation]] = field(default_factory=dict)

    def size(self, boxes: Boxes) -> Size:
        """What one linear solve on `boxes` is predicted to cost."""
        system, axes = self.system, len(self.system.domain.space_axes)
        unknowns = len(system.fields) * self.basis.size
        needed = predicted_bytes(system, self.basis, boxes)
        return Size(boxes.count, unknowns, max(axes, 1), needed)

    def solve(self, boxes: Boxes, before: Slab | None, guess: Mixture | None = None) -> Slab:
        """Solve one slab on `boxes`, from the end profile of the one `before`.

        Newton's method starts at `guess`, where it is given; else at the first profile, constant
        in time, or at zero if the problem is steady. Raises `MethodError` if the solve is predicted
        to need more memory than the computer has.
        """
        require_memory(self.size(boxes))
        rows, check = (c.moved(boxes) for c in self._collocations(boxes))
        known = None if before is None else before.mixture
        shape = (boxes.count, len(self.system.fields), self.basis.size)
        last: list = []

        def solve(linear: Linear) -> np.ndarray:
            solved = solve_blocks(linear.rows_by_expert(), [rows.width] * boxes.count)
            last[:] = [solved]
            return np.stack(solved.coefficients).reshape(shape)

        linear = self.system.traits.linear

        def iterate(start: np.ndarray, load: float = 1.0) -> Newton:
            return newton(lambda c: rows.linear(c, known, load), solve, rows.values, start, linear)

        start = np.zeros(shape) if linear else self._start(rows, known, guess)
        found = iterate(start)
        if not found.converged and self.system.time is None and guess is None:
            found = under_load(iterate, np.zeros(shape), found)
        size = float(np.sqrt(np.mean(rows.values(found.coefficients) ** 2)))
        held = check.linear(found.coefficients, known).norm / (size if size > 1e-100 else 1.0)
        held = held if found.converged else max(held, 1.0)
        mixture = Mixture(
            self.basis, boxes.lower, boxes.upper, found.coefficients, self.system.fields
        )
        imbalance = check.imbalance(found.coefficients)
        return Slab(mixture, found, held, size, imbalance, last[0].rank, last[0].solver)

    def _collocations(self, boxes: Boxes) -> tuple[Collocation, Collocation]:
        """Points to solve at and points to judge at, kept for the latest few sets of boxes."""
        axes = [i for i, axis in enumerate(self.system.axes) if axis != self.system.time]
        key = boxes.lower[:, axes].tobytes() + boxes.upper[:, axes].tobytes()
        if key not in self._tables:
            while len(self._tables) >= KEPT:
                del self._tables[next(iter(self._tables))]
            self._tables[key] = (
                collocate(self.system, self.basis, boxes, self.linearisers),
                held_out(self.system, self.basis, boxes, self.linearisers),
            )
        return self._tables[key]

    def _start(
        self, rows: Collocation, before: Mixture | None, guess: Mixture | None
    ) -> np.ndarray:
        """Coefficients fitted to the guess, or to the profile with which the slab begins."""
        system, points = self.system, rows.sites[0].points
        if guess is not None:
            wanted = guess.on_host(points.physical)
        else:
            wanted = self.profile(points.physical, rows.boxes, before)
        result = np.zeros((rows.boxes.count, len(system.fields), self.basis.size))
        if not wanted.any():
            return result
        zero = (0,) * rows.boxes.dim
        shared: dict[int, list] = {}
        for piece in rows.plain:
            shared.setdefault(id(piece.tables), []).append(piece)
        for members in shared.values():
            sides = np.concatenate([wanted[piece.where] for piece in members], axis=1)
            fitted = ridge_solve(members[0].tables[zero], sides, FIT_RIDGE)
            for i, piece in enumerate(members):
                columns = slice(i * len(system.fields), (i + 1) * len(system.fields))
                result[piece.expert] = fitted[:, columns].T
        return result

    def profile(self, points: np.ndarray, boxes: Boxes, before: Mixture | None) -> np.ndarray:
        """Values (P, fields) where the slab `boxes` begins, at the space of `points` (P, d)."""
        system = self.system
        values = np.zeros((len(points), len(system.fields)))
        if system.time is None:
            return values
        axis = system.axes.index(system.time)
        start = points.copy()
        start[:, axis] = boxes.lower[:, axis].min()
        if before is not None:
            return before.on_host(start)
        z = {a: start[:, i] for i, a in enumerate(system.axes)}
        for r in system.residuals:
            if r.kind is Kind.INITIAL and r.target and r.data and r.target.order == 0:
                values[:, system.fields.index(r.target.field)] = r.data(z, system.parameters)
        return values
