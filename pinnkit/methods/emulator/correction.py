"""Measurements that correct a forecast.

    z^a = z^f + K d,    d = m (y - z^f) + (1 - m) F,

with the forecast z^f, measured values y where the mask m is one, a learned guess F of the
difference elsewhere, and a learned gain K between 0 and 1. F and K see the forecast, the mask and
the masked difference.

Source: Singh, Borsoi, Erdogmus and Imbiriba, "Learning semilinear neural operators: a unified
recursive framework for prediction and data assimilation", ICLR 2024, arXiv:2402.15656, where
measurements are of the whole state (m = 1, so that F takes no part).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.methods.emulator.stepper import Propagator, Scales


class Correction(eqx.Module):
    """K and F above: a network from 2 c + 1 channels to 2 c."""

    network: Any

    def __call__(self, scales: Scales, forecast: Array, measured: Array, mask: Array) -> Array:
        """(c, *space), (c, *space), (*space) -> the corrected state (c, *space).

        Without measurements (the mask is zero) that is the forecast.
        """
        innovation = mask[None] * (scales.normalised(measured) - scales.normalised(forecast))
        seen = jnp.concatenate([scales.normalised(forecast), innovation, mask[None]])
        raw = self.network(seen.astype(jnp.float32)).astype(forecast.dtype)
        gain, guess = jnp.split(raw, 2)
        difference = innovation + (1 - mask)[None] * guess
        update = scales.unscaled(jax.nn.sigmoid(gain) * difference)
        return jnp.where(jnp.any(mask > 0), forecast + update, forecast)


def assimilate(
    propagator: Propagator, correction: Correction, start: Array, measured: Array, masks: Array
) -> Array:
    """States (T, c, *space) after each of T steps and corrections.

    `start` (c, *space), `measured` (T, c, *space), `masks` (T, *space).
    """

    def body(window: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        states, _ = propagator.advance(window)
        state = correction(propagator.scales, states[0], *given)[None]
        return propagator.moved(window, state), state[0]

    return jax.lax.scan(body, propagator.begin(start), (measured, masks))[1]
