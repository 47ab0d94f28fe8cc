"""The ansatz: network, gate and lift. What it enforces holds for all weights."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from pinnkit.ansatz.embedding import Embedding, Ends
from pinnkit.compile.emit import Emitted
from pinnkit.nn.head import head


class AxisGate(eqx.Module):
    """s^low (1-s)^high along one axis, scaled to O(1), where s runs from 0 to 1.

    At an end where the features are flat the factor is flat too, so that the product keeps a
    vanishing normal derivative there.
    """

    start: float = eqx.field(static=True)
    end: float = eqx.field(static=True)
    low: int = eqx.field(static=True)
    high: int = eqx.field(static=True)
    ends: str = eqx.field(static=True, default=Ends.FREE)

    def __call__(self, x: jax.Array) -> jax.Array:
        s = (x - self.start) / (self.end - self.start)
        from_low = 1 - (1 - s) ** 2 if self.ends == Ends.FLAT_HIGH else s
        from_high = 1 - s**2 if self.ends == Ends.FLAT_LOW else 1 - s
        both = self.low and self.high
        return (4.0 if both else 1.0) * from_low**self.low * from_high**self.high


class Constraint(eqx.Module):
    """u(z) = lift(z) + scale * prod_axis gate_axis(z_axis) * N(z) for one field."""

    gates: tuple[AxisGate | None, ...]
    lift: Emitted = eqx.field(static=True)
    scale: float = eqx.field(static=True, default=1.0)

    def __call__(self, z: jax.Array, named: dict[str, Any], params: dict, value: jax.Array):
        for i, gate in enumerate(self.gates):
            if gate is not None:
                value = gate(z[i]) * value
        return self.lift({}, named, params) + self.scale * value


class Ansatz(eqx.Module):
    """Network with exact conditions: point (d,) -> fields (c,).

    `parameters` are the values at which the data of the conditions are evaluated.
    """

    network: eqx.Module
    embedding: Embedding
    constraints: tuple[Constraint, ...]
    axes: tuple[str, ...] = eqx.field(static=True)
    parameters: tuple[tuple[str, float], ...] = eqx.field(static=True)

    def __call__(self, z: jax.Array) -> jax.Array:
        raw = self.network(self.embedding(z))  # type: ignore[operator]
        named = {axis: z[i] for i, axis in enumerate(self.axes)}
        return jnp.stack(
            [c(z, named, dict(self.parameters), raw[i]) for i, c in enumerate(self.constraints)]
        )

    @property
    def head(self) -> tuple[jax.Array, ...]:
        """The last layer of the network: gates and lifts keep the fields affine in it."""
        return head(self.network)
