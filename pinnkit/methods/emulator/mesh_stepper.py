"""Learned steps in time on scattered points, with the Laplacian of the mesh as a part of the rates.

    du/dt = F(u) = s N(u / d) + nu d L(u / d),

with message passing N, the typical rate s and deviation d of each field, and the Laplacian L of the
mesh with its learned correction, stepped by Heun's method. Values that boundary conditions fix are
written over after each stage.

Source: Zeng et al., "PhyMPGN: physics-encoded message passing graph network for spatiotemporal PDE
systems", ICLR 2025, arXiv:2410.01337, sections 3.1 and 3.2.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.data import Trajectories
from pinnkit.nn.graph import CorrectedLaplacian, Edges, MessagePassingNetwork

STILL = 1e-9
"""Values that vary less, in units of the deviation of their field, are fixed."""


class MeshNetworks(eqx.Module):
    """All that is learned; without `laplacian` messages do everything."""

    messages: MessagePassingNetwork
    laplacian: CorrectedLaplacian | None


class MeshStepper(eqx.Module):
    """One step of the equations above.

    `deviation`, `change` and `diffusion` (c,): d, s and nu; `held` (N, c) where values are fixed,
    at `fixed` (N, c).
    """

    networks: MeshNetworks
    edges: Edges
    deviation: Array
    change: Array
    diffusion: Array
    held: Array
    fixed: Array
    step: float = eqx.field(static=True)

    @classmethod
    def of(
        cls, networks: MeshNetworks, data: Trajectories, diffusion: tuple[float, ...]
    ) -> MeshStepper:
        """With scales, step and fixed values of these trajectories."""
        over = (0, 1, 2)
        deviation = data.values.std(axis=over)
        deviation = np.where(deviation > 0, deviation, 1.0)
        change = np.sqrt(np.mean(np.diff(data.values, axis=1) ** 2, axis=over)) / data.step
        held = np.ptp(data.values, axis=(0, 1)) <= STILL * deviation
        return cls(
            networks,
            Edges.of(data.graph),
            jnp.asarray(deviation, jnp.float32),
            jnp.asarray(change, jnp.float32),
            jnp.asarray(diffusion, jnp.float32),
            jnp.asarray(held, jnp.float32),
            jnp.asarray(data.values[0, 0], jnp.float32),
            data.step,
        )

    def rate(self, u: Array) -> Array:
        """du/dt: (N, c) -> (N, c)."""
        scaled = u / self.deviation[None]
        rate = self.change[None] * self.networks.messages(self.edges, scaled)
        if self.networks.laplacian is None:
            return rate
        spread = self.networks.laplacian(self.edges, scaled)
        return rate + (self.diffusion * self.deviation)[None] * spread

    def advance(self, u: Array) -> Array:
        """The state (N, c) one step later."""
        first = self.rate(u)
        second = self.rate(self._kept(u + self.step * first))
        return self._kept(u + self.step * (first + second) / 2)

    def roll(self, start: Array, count: int) -> Array:
        """States (count + 1, N, c) from the first."""
        body = lambda u, _: (self.advance(u), u)  # noqa: E731
        last, states = jax.lax.scan(body, start, None, length=count)
        return jnp.concatenate([states, last[None]])

    def _kept(self, u: Array) -> Array:
        return jnp.where(self.held > 0, self.fixed, u)
