"""Fields between scattered points: linear on triangles and in time."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from pinnkit.methods.emulator.mesh_stepper import MeshStepper
from pinnkit.methods.triangles import Triangles
from pinnkit.solution import Evaluator


class MeshField(Evaluator):
    """Fields of the roll-out from one initial state `start` (N, c), over `count` steps.

    `time`: column of the time; `begin`: its first value.
    """

    stepper: MeshStepper
    start: Array
    triangles: Triangles
    begin: float = eqx.field(static=True)
    count: int = eqx.field(static=True)
    time: int = eqx.field(static=True)

    def states(self) -> Array:
        """All states (count + 1, N, c)."""
        return self.stepper.roll(self.start.astype(jnp.float32), self.count)

    def __call__(self, points: Array) -> Array:
        states = self.states().astype(points.dtype)
        corners, shares = self.triangles.find(jnp.delete(points, self.time, axis=1))
        late = (points[:, self.time] - self.begin) / self.stepper.step
        before = jnp.clip(jnp.floor(late).astype(int), 0, self.count - 1)
        part = (late - before)[:, None, None]
        values = (1 - part) * states[before[:, None], corners]
        values = values + part * states[before[:, None] + 1, corners]
        return jnp.sum(shares[..., None].astype(values.dtype) * values, axis=1)
