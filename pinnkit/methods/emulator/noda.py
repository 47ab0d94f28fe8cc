"""Emulators that learn to follow measurements."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.compile import System
from pinnkit.derivatives import FourierAxis
from pinnkit.errors import OptionError
from pinnkit.methods.base import Method, Run
from pinnkit.methods.emulator.correction import Correction, assimilate
from pinnkit.methods.emulator.field import EmulatorField
from pinnkit.methods.emulator.measures import relative_errors
from pinnkit.methods.emulator.method import Emulator, Training
from pinnkit.methods.emulator.objective import Shelf, Windows
from pinnkit.methods.emulator.observations import Observations
from pinnkit.methods.emulator.phases import Phase, fit_phases
from pinnkit.methods.emulator.stepper import Propagator
from pinnkit.methods.neural_operator.losses import Loss
from pinnkit.nn.fno import FNO
from pinnkit.nn.initial import built, single
from pinnkit.solution import Solution
from pinnkit.training import Adam, FitResult, Objective, OneCycle

ASTRAY = 1.0
"""Largest error of the first states in training, in units of the fields' deviation."""
HELD_WINDOWS = 32


class NODA(Method):
    """An emulator with a correction: forecasts that follow sparse measurements with noise.

    After each step the forecast z^f becomes z^f + K (y - z^f), with a learned gain K between 0 and
    1 and a learned guess of the difference where nothing was measured; see `Correction`. The
    emulator is trained first and stays as it is; then the correction is, through `unroll` steps
    with measurements, from initial states that are wrong by up to the size of the fields.

    - `emulator`: the forecast, with its data.
    - `correction`: architecture of the networks of gain and guess.
    - `observations`: measurements that are drawn in training and for the test.
    - `unroll`, `steps`, `batch`, `learning_rate`: of the phases of the second training.

    The solution is the emulator's: `solution(a=..., t=..., x=...)` forecasts alone, and
    `solution.evaluator.assimilate(starts, measured, masks)` follows measurements. `stats` hold the
    median error over test trajectories at the last instant, with and without them.

    Learned gains: Singh et al., ICLR 2024, arXiv:2402.15656.
    Raises OptionError for options out of range.
    """

    emulator: Emulator = eqx.field(default=Emulator(), static=True)
    correction: Any = eqx.field(default=FNO(layers=3), static=True)
    observations: Observations = eqx.field(default=Observations(), static=True)
    unroll: tuple[int, ...] = eqx.field(default=(5, 20), static=True)
    steps: tuple[int, ...] = eqx.field(default=(1000, 300), static=True)
    batch: int = eqx.field(default=16, static=True)
    learning_rate: float = eqx.field(default=1e-3, static=True)

    def __check_init__(self) -> None:
        if len(self.unroll) != len(self.steps) or min(*self.unroll, *self.steps, 1) < 1:
            raise OptionError(
                f"NODA(unroll={self.unroll}, steps={self.steps}): give as many positive numbers of "
                "steps as phases, such as unroll=(5, 20), steps=(1000, 300)."
            )
        if self.emulator.span > 1:
            raise OptionError(
                "NODA corrects every state, but NeuralStagger(time=...) makes several at once. "
                "Give time=1."
            )

    def supports(self, system: System) -> str | None:
        return self.emulator.supports(system)

    def run(self, system: System, run: Run) -> Solution:
        first, build_key, train_key, test_key = jax.random.split(run.key, 4)
        own = dataclasses.replace(run, key=first, checkpoint=_beside(run, "emulator"))
        if run.seconds is not None:
            own = dataclasses.replace(own, seconds=run.seconds / 2)
        learned = self.emulator.learn(system, own)
        field = learned.field
        result = fit_phases(
            self._phases(single(field.propagator), learned),
            self._untrained(field, build_key),
            key=train_key,
            run=run,
            fingerprint=f"{system.digest} {self._options()!r}",
        )
        field = dataclasses.replace(field, correction=result.params)
        learned = dataclasses.replace(learned, field=field, result=_after(learned.result, result))
        solution = self.emulator.solution(system, run, learned)
        with_, without = twin_errors(field, learned.test, self.observations, test_key)
        stats = {
            **solution.stats,
            "assimilated error": float(np.median(with_[:, -1])),
            "unassimilated error": float(np.median(without[:, -1])),
        }
        return dataclasses.replace(solution, method=self.name, stats=stats)

    def _untrained(self, field: EmulatorField, key: Array) -> Correction:
        count = len(field.carried)
        shape = tuple(axis.n for axis in field.space)
        words = tuple("periodic" if isinstance(a, FourierAxis) else "free" for a in field.space)
        network = built(self.correction, 2 * count + 1, 2 * count, shape, words, key=key)
        return Correction(single(network))

    def _options(self) -> dict[str, Any]:
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return options | {"emulator": self.emulator.options}

    def _phases(self, propagator: Propagator, learned: Training) -> list[Phase]:
        names = tuple(f"{i}" for i in learned.field.carried)
        found = []
        for unroll, steps in zip(self.unroll, self.steps, strict=True):
            objective = AssimilationErrors(
                propagator,
                learned.train,
                learned.held,
                self.observations,
                names,
                self.batch,
                unroll,
                self.emulator.loss,
            )
            rate = OneCycle(self.learning_rate, steps)
            found.append(Phase(objective, (Adam(steps, rate, clip=1.0),), unroll))
        return found


class Twin(eqx.Module):
    """Truth (B, T + 1, c, *space), a wrong first state, measurements and where they are."""

    truth: Array
    start: Array
    measured: Array
    masks: Array


class AssimilationErrors(Objective):
    """Mean relative error of corrected states over `unroll` steps with measurements.

    First states are off by a random smooth share, up to `ASTRAY`, of another state's difference
    from the truth.
    """

    propagator: Propagator
    train: Shelf
    held: Shelf
    observations: Observations = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    unroll: int = eqx.field(static=True)
    norm: Loss = eqx.field(static=True)

    def sample(self, key: Array, params: Any, step: Array, previous: Any | None = None) -> Twin:
        del params, step, previous
        return self._draw(self.train, key, self.batch)

    def validation(self, key: Array, params: Any) -> Twin:
        del params
        return self._draw(self.held, key, HELD_WINDOWS)

    def _draw(self, shelf: Shelf, key: Array, count: int) -> Twin:
        keys = jax.random.split(key, 4)
        found: Windows = shelf.stretches(keys[0], count, 1, self.unroll)
        others = shelf.stretches(keys[1], count, 1, 0).states[:, 0]
        shape = (count, *(1,) * (others.ndim - 1))
        share = jax.random.uniform(keys[2], shape, jnp.float32, maxval=ASTRAY)
        start = found.states[:, 0] + share**2 * (others - found.states[:, 0])
        scales = self.propagator.scales
        one = lambda k, truth: observed(k, truth, self.observations, scales.deviation)  # noqa: E731
        measured, masks = jax.vmap(one)(jax.random.split(keys[3], count), found.states[:, 1:])
        return Twin(found.states, start, measured, masks)

    def loss(self, params: Any, batch: Twin) -> tuple[Array, dict[str, Array]]:
        def one(twin: Twin) -> Array:
            found = assimilate(self.propagator, params, twin.start, twin.measured, twin.masks)
            norm = lambda a, b: self.norm(a, b, self.propagator.scales.space)  # noqa: E731
            return jnp.mean(jax.vmap(norm)(found, twin.truth[1:]), axis=0)

        errors = jax.vmap(one)(batch)
        squares = jnp.mean(errors**2, axis=0)
        return jnp.mean(errors), {n: squares[i] for i, n in enumerate(self.names)}


def observed(
    key: Array, truth: Array, observations: Observations, deviation: Array
) -> tuple[Array, Array]:
    """Measurements of states (T, c, *space) and their masks (T, *space)."""
    mask_key, noise_key = jax.random.split(key)
    masks = observations.masks(mask_key, len(truth), truth.shape[2:])
    return observations.measured(noise_key, truth, deviation), masks.astype(truth.dtype)


def twin_errors(
    field: EmulatorField, shelf: Shelf, observations: Observations, key: Array
) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors (S, T + 1) of trajectories with measurements and without any.

    Both begin from the true first state.
    """
    truth = np.asarray(shelf.states)
    deviation = jnp.asarray(field.propagator.scales.deviation, truth.dtype)
    one = lambda k, u: observed(k, u[1:], observations, deviation)  # noqa: E731
    keys = jax.random.split(key, len(truth))
    measured, masks = (np.asarray(a) for a in jax.jit(jax.vmap(one))(keys, jnp.asarray(truth)))
    found = [field.assimilate(truth[:, 0], measured, m) for m in (masks, np.zeros_like(masks))]
    return tuple(relative_errors(f, truth) for f in found)  # type: ignore[return-value]


def _beside(run: Run, word: str):
    path = run.checkpoint
    return None if path is None else path.with_suffix(f".{word}{path.suffix}")


def _after(first: FitResult, second: FitResult) -> FitResult:
    """The second result, its times counted from the beginning of the first."""
    stats = {name: first.stats[name] + second.stats[name] for name in second.stats}
    return dataclasses.replace(second, stats=stats)
