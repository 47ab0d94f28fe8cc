"""Members of an evolution family that begin with jumps, by implicit steps of variable length."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.methods.families import Inputs
from pinnkit.methods.marching import Clock, Level
from pinnkit.methods.schemes import GridScheme, Scheme

MOST_STEPS = 4096


class StiffMarch:
    """Solutions of members at any level, by diffrax' Kvaerno5 for one member after another.

    The tolerance of a step, relative to the largest value, is 1e-2 / steps^3: twice as many `steps`
    make errors eight times smaller.
    """

    def __init__(self, inputs: Inputs, scheme: Callable[[float], Scheme], clock: Clock) -> None:
        self.inputs, self.scheme, self.clock = inputs, scheme, clock

    def run(
        self,
        level: Level,
        samples: Sequence[int],
        seed: int,
        begun: tuple[Level, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solutions (S, c, *grid), NaN where the integration failed, and the initial states."""
        del begun
        scheme = self.scheme(level.stride)
        functions = jnp.asarray(self.inputs.draw(scheme.nodes, samples, seed))
        march = self._march(level.stride)
        found = [march(function, 1e-2 / level.steps**3) for function in functions]
        solved, states = zip(*found, strict=True)
        return np.stack(solved), np.stack(states)

    @functools.cache  # noqa: B019  (the object lives as long as one data set)
    def _march(self, stride: float):
        # takes a second to import, which only this needs
        import diffrax

        scheme = self.scheme(stride)
        assert isinstance(scheme, GridScheme)
        times = jnp.linspace(self.clock.lo, self.clock.hi, self.clock.frames + 1)

        def one(function, tolerance):
            state = scheme.initial(function)
            size = jnp.maximum(jnp.abs(scheme.fields(state, times[0], function)).max(), 1e-300)
            controller = diffrax.ClipStepSizeController(
                diffrax.PIDController(tolerance, tolerance * size), step_ts=times
            )
            found = diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, v, args: scheme.rate(v, jnp.asarray(t), function)),
                diffrax.Kvaerno5(),
                times[0],
                times[-1],
                None,
                state,
                saveat=diffrax.SaveAt(ts=times),
                stepsize_controller=controller,
                adjoint=diffrax.ForwardMode(),  # a plain loop, which compiles sooner
                max_steps=MOST_STEPS,
                throw=False,
            )
            states = found.ys
            assert states is not None
            whole = jax.vmap(lambda v, t: scheme.fields(v, t, function))(states, times)
            failed = found.result != diffrax.RESULTS.successful
            return jnp.where(failed, jnp.nan, jnp.moveaxis(whole, 0, self.clock.where + 1)), state

        return jax.jit(one)
