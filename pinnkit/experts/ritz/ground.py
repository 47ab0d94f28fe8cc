"""Ground states of nonlinear eigenvalue problems L u + g(x, u) u = E w u, int w u^2 = S.

They minimise J(u) = 1/2 a(u, u) + int F(x, u), F_u = g u, on the sphere int w u^2 = S; E is the
multiplier. A gradient flow in the metric of the linearised operator, whose every step decreases J,
leads from the linear ground state near the minimum (Henning and Peterseim, Sobolev gradient flow
for the Gross-Pitaevskii eigenvalue problem, SIAM J. Numer. Anal. 58 (2020) 1744-1772). Newton's
method on (c, E) ends there with quadratic convergence.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from pinnkit.errors import MethodError
from pinnkit.experts.ritz.form import (
    REFINE,
    SETTLED,
    Form,
    Matrices,
    assemble,
    finest,
    lowest,
    signs,
)
from pinnkit.experts.ritz.spaces import TrialSpace, require_room
from pinnkit.experts.ritz.tables import gauss

FLOW_STEPS = 60
NEAR = 1e-2
NEWTON_STEPS = 30
ROUNDING = 1e-13
SOLVED = 1e-9

Guess = Callable[[np.ndarray], np.ndarray]
Response = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Nonlinear:
    """The nonlinear part: `response(points (Q, d), u (Q,)) -> (g, d(g u)/du)`, each (Q,)."""

    response: Response
    size: float

    def energy(self, points: np.ndarray, u: np.ndarray) -> np.ndarray:
        """F(x, u) = u^2 int_0^1 s g(x, s u) ds, exact for polynomials up to degree 14."""
        nodes, weights = gauss(8)
        found = np.zeros_like(u)
        for s, weight in zip(0.5 * (nodes + 1.0), 0.5 * weights, strict=True):
            found += weight * s * self.response(points, s * u)[0]
        return found * u**2


@dataclass(frozen=True)
class Ground:
    """E, the mode's coefficients (N,) and the energy 2 J, with dE_total/dS = E.

    `residual` is that of the equation in the dual of the trial space, relative to E; `quadrature`
    the change of E on a finer quadrature.
    """

    value: float
    vector: np.ndarray
    energy: float
    residual: float
    quadrature: float
    steps: int
    scale: float


def ground_state(
    form: Form, nonlinear: Nonlinear, space: TrialSpace, guess: Guess | None, scale: float = 1.0
) -> Ground:
    """The state of lowest energy; `guess` is a state nearby, points (Q, d) -> (Q,), if any.

    Quadrature is refined until the level stays. Raises `MethodError` if neither the flow nor
    Newton's method settles.
    """
    require_room(space, 1)
    while True:
        state = _State(assemble(form, space, scale), nonlinear)
        if guess is None:
            start = state.flow(state.linear())
        else:
            start = state.projected(guess(state.table.points))
        c, value, residual, steps = state.newton(start)
        c = c * float(signs(state.table, c[:, None])[0, 0])
        change = abs(_State(assemble(form, space, REFINE * scale), nonlinear).quotient(c) - value)
        settled = change <= SETTLED * max(abs(value), 1e-3)
        if settled or finest(space, len(state.table.points), scale):
            return Ground(value, c, state.energy(c) * 2.0, residual, change, steps, scale)
        scale *= REFINE


class _State:
    """One trial space with its integrals."""

    def __init__(self, matrices: Matrices, nonlinear: Nonlinear):
        self.stiffness, self.mass, self.table = matrices.stiffness, matrices.mass, matrices.table
        self.nonlinear = nonlinear

    def values(self, c: np.ndarray) -> np.ndarray:
        return self.table.values(c[:, None])[:, 0]

    def normalised(self, c: np.ndarray) -> np.ndarray:
        return c * np.sqrt(self.nonlinear.size / float(c @ self.mass @ c))

    def linear(self) -> np.ndarray:
        """The ground state without the nonlinear part."""
        return self.normalised(lowest(self.stiffness, self.mass, 1)[1][:, 0])

    def projected(self, values: np.ndarray) -> np.ndarray:
        """The L2 projection of values on the table, (Q,)."""
        gram = self.table.gram(np.ones(len(values)))
        return self.normalised(scipy.linalg.solve(gram, self.table.moments(values), assume_a="sym"))

    def energy(self, c: np.ndarray) -> float:
        density = self.nonlinear.energy(self.table.points, self.values(c))
        return 0.5 * float(c @ self.stiffness @ c) + float(self.table.weights @ density)

    def quotient(self, c: np.ndarray) -> float:
        """E of the equation tested with u itself."""
        u = self.values(c)
        g, _ = self.nonlinear.response(self.table.points, u)
        total = float(c @ self.stiffness @ c + self.table.weights @ (g * u**2))
        return total / float(c @ self.mass @ c)

    def _force(self, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(g, d(g u)/du) on the table and the weak form of L u + g u, (N,)."""
        u = self.values(c)
        g, slope = self.nonlinear.response(self.table.points, u)
        return g, slope, self.stiffness @ c + self.table.moments(g * u)

    def residual(self, c: np.ndarray, value: float) -> float:
        """Norm of L u + g u - E w u, in the dual of the metric stiffness + E mass, over that of u.

        The diagonal of the metric stands for it.
        """
        _, _, force = self._force(c)
        metric = np.diag(self.stiffness) + (abs(value) + 1e-300) * np.diag(self.mass)
        metric = np.maximum(metric, 1e-3 * np.abs(metric).max())
        return float(np.linalg.norm((force - value * (self.mass @ c)) / np.sqrt(metric))) / float(
            np.linalg.norm(np.sqrt(metric) * c)
        )

    def flow(self, c: np.ndarray) -> np.ndarray:
        """Steps of the gradient flow until the residual is small."""
        for _ in range(FLOW_STEPS):
            if self.residual(c, self.quotient(c)) < NEAR:
                break
            c = self._decreased(c, self._target(c))
        return c

    def _target(self, c: np.ndarray) -> np.ndarray:
        """Inverse iteration with the operator L + g(x, u), made positive by a shift."""
        g, _, _ = self._force(c)
        operator = self.stiffness + self.table.gram(g)
        shift = 0.0
        for _ in range(60):
            try:
                factor = scipy.linalg.cho_factor(operator + shift * self.mass)
                return self.normalised(scipy.linalg.cho_solve(factor, self.mass @ c))
            except np.linalg.LinAlgError:
                shift = 2.0 * shift + max(1.0, abs(self.quotient(c)))
        raise MethodError(
            "Eigen: the nonlinear operator has no lower bound on the trial space. Check the sign "
            "of the nonlinear term."
        )

    def _decreased(self, c: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The point of lowest energy among a few between `c` and `target` on the sphere."""
        best, lowest_energy = c, self.energy(c)
        for step in (1.6, 1.0, 0.6, 0.3, 0.1, 0.03, 0.01):
            tried = self.normalised((1.0 - step) * c + step * target)
            energy = self.energy(tried)
            if energy < lowest_energy:
                best, lowest_energy = tried, energy
            elif best is not c:
                break
        return best

    def newton(self, c: np.ndarray) -> tuple[np.ndarray, float, float, int]:
        """(c, E, residual, steps) of K c + N(c) = E M c, c M c = S."""
        value, best, stalled = self.quotient(c), np.inf, 0
        for step in range(NEWTON_STEPS):
            _, slope, force = self._force(c)
            jacobian = self.stiffness + self.table.gram(slope) - value * self.mass
            border = self.mass @ c
            system = np.block([[jacobian, -border[:, None]], [-border[None, :], np.zeros((1, 1))]])
            right = np.append(value * border - force, 0.5 * (c @ border - self.nonlinear.size))
            change = scipy.linalg.solve(system, right, assume_a="sym")
            c = self.normalised(c + change[:-1])
            moved = float(np.linalg.norm(change[:-1]) / np.linalg.norm(c))
            stalled = stalled + 1 if moved >= 0.5 * best else 0
            best, value = min(best, moved), self.quotient(c)
            residual = self.residual(c, value)
            # A state that can slide (a soliton) leaves steps, but no residual.
            if moved < ROUNDING or residual < ROUNDING or (stalled >= 2 and residual < SOLVED):
                return c, value, residual, step + 1
            if not np.isfinite(moved):
                break
        raise MethodError(
            f"Eigen: Newton's method on the nonlinear level did not settle in {NEWTON_STEPS} "
            f"steps (last relative step {best:.1e}). Weaken the nonlinear term and raise it in "
            "stages, or check its sign."
        )
