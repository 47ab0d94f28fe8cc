"""Evolving: a network in space whose weights are carried through time."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.ansatz.enforce import Architecture
from pinnkit.compile.system import System
from pinnkit.errors import OptionError
from pinnkit.methods.base import Method, Run
from pinnkit.methods.evolution import not_first_order, untimely
from pinnkit.methods.evolving.field import EvolvingField, weights_of
from pinnkit.methods.evolving.march import March
from pinnkit.methods.evolving.space import frozen, space_of
from pinnkit.methods.evolving.stepping import ImplicitRungeKutta, Stepping
from pinnkit.nn import MLP
from pinnkit.solution import Solution, Status


class Evolving(Method):
    """u(t, x) = lift(t, x) + gate(x) N(x; w(t)): a network in space whose weights evolve.

    The initial values are fitted by least squares; then every step in time is a small least-squares
    problem for the weights (implicit neural spatial representations, Chen et al.,
    arXiv:2210.00124), or the weights follow the projection of the rates onto what they can do
    (neural Galerkin, Bruna et al., arXiv:2203.01360). Nothing is trained over the whole of time, so
    that cost and memory grow with the steps alone. Conditions are exact where an ansatz in space
    can satisfy them at all times, else rows of the least-squares problem.

    - `network`: any architecture; it sees space only.
    - `stepping`: `ImplicitRungeKutta(dt)` (third order), `ImplicitMidpoint(dt)`,
      `ImplicitEuler(dt)` or `Projected(dt)`.
    - `points`: places of each step; None takes two residuals per weight.
    - `tolerance`: root mean square of a step's residual, relative to the size of the fields, above
      which the run ends.
    - `harmonics`: cosine-sine pairs of a periodic axis.

    Raises `OptionError` for options out of range.
    """

    network: Architecture = eqx.field(static=True, default=MLP(20, 2))
    stepping: Stepping = ImplicitRungeKutta()
    points: int | None = eqx.field(static=True, default=None)
    tolerance: float = eqx.field(static=True, default=1e-3)
    harmonics: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        if self.points is not None and self.points < 2:
            raise OptionError(f"Evolving(points={self.points}) is too few. Give some hundreds.")
        if not 0 < self.tolerance < 1:
            raise OptionError(
                f"Evolving(tolerance={self.tolerance}) is out of range. Give one in (0, 1)."
            )

    def supports(self, system: System) -> str | None:
        if system.inputs:
            return "it has input functions; an operator method takes these"
        if system.traits.eigen:
            return "it asks for eigenvalues; an eigenvalue method takes these"
        if system.traits.steady or system.time is None:
            return "it has no time evolution"
        if len(system.axes) == 1:
            return "it has no axis in space (try Lines)"
        return not_first_order(system) or untimely(system) or self._unkept(system)

    def _unkept(self, system: System) -> str | None:
        return self.stepping.refusal(tuple(r.name for r in frozen(system).soft))

    def run(self, system: System, run: Run) -> Solution:
        enforcement = frozen(system)
        space = space_of(
            system,
            enforcement,
            self.network,
            harmonics=self.harmonics,
            points=self.points,
            key=jax.random.fold_in(run.key, 2**31 - 1),
        )
        march = March(space, self.stepping, self.tolerance, run, self._fingerprint(system, run))
        weights = weights_of(space.template)
        reason, sound = march.go(weights)
        stored = jnp.asarray(np.stack(march.stored[: max(march.sound, 1)]))
        times = jnp.asarray(march.times[: len(stored)], stored.dtype)
        residuals = march.history()["residual"]
        stats = {
            "wall_s": run.elapsed,
            "parameters": weights.size,
            "points": space.count,
            "steps": len(march.rows) - 1,
            "initial residual": float(residuals[0]),
            "sum of the steps' residuals": float(residuals[1:].sum()),
            "conditions": enforcement.describe(),
        }
        return Solution(
            system.problem,
            EvolvingField(space.template, stored, times, space.time),
            self.name,
            Status(sound, reason, interrupted=reason.startswith("interrupted")),
            history=march.history(),
            stats=stats,
            precision=run.precision,
        )

    def _fingerprint(self, system: System, run: Run) -> str:
        options = f"{self.network!r} {self.points} {self.tolerance} {self.harmonics}"
        seed = np.asarray(jax.random.key_data(run.key)).tolist()
        return f"{system.digest} {options} | {self.stepping!r} | {seed} | {run.precision}"
