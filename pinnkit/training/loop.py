"""The one training loop: stages, budget, interruption, the best parameters, exact resume."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from pinnkit import devices
from pinnkit.errors import OptionError, RunFileError
from pinnkit.training import checkpoint as files
from pinnkit.training.dispatch import active, initial
from pinnkit.training.objective import Objective, Params
from pinnkit.training.program import Program
from pinnkit.training.stage import NONFINITE, WORDS, Stage

Report = Callable[[str, int, int, dict[str, float], float], None]
DISPATCH_SECONDS = 0.5
SAVE_SECONDS = 60.0


@dataclass(frozen=True)
class Look:
    """What a record tells of a fit, to those that may end it.

    `row` is the record, as in `FitResult.history`; `score` is the best so far and `best()` are its
    parameters.
    """

    row: Mapping[str, float]
    score: float
    best: Callable[[], Params]

    @property
    def step(self) -> int:
        """Steps of all stages."""
        return int(self.row["step"])


Verdict = Callable[[Look], str | None]


def undecided(look: Look) -> None:
    """The verdict that lets a fit go on."""
    del look


@dataclass(frozen=True)
class FitResult:
    """Outcome of `fit`.

    `params`: the best by `Objective.score` on the fixed validation batch, finite always.
    `history`: arrays of equal length: "step", "wall_s", "stage", "loss", "validation", one mean
    square per residual, and `Objective.notes`. `status`: why it ended, in words; `finished`:
    whether by itself. `state`: state of the last stage.
    """

    params: Params
    history: dict[str, np.ndarray]
    status: str
    finished: bool
    score: float
    stats: dict[str, float] = field(default_factory=dict)
    state: Any = None


def fit(
    objective: Objective,
    params: Params,
    stages: Sequence[Stage],
    *,
    key: Array,
    seconds: float | None = None,
    report: Report = lambda *_: None,
    interrupted: Callable[[], bool] = lambda: False,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    record_every: int = 25,
    give_up: Verdict = undecided,
    done: Verdict = undecided,
    program: Program | None = None,
    resume: bool = True,
    kept: files.Kept | None = None,
) -> FitResult:
    """Minimise `objective` from `params` by the stages in turn.

    Everything is compiled; the host looks at budget, interruption and validation only between
    dispatches of at most about half a second. Batches depend on `key` and the step alone, so equal
    keys give equal results, and a run continued from `checkpoint` (written at the end, every minute
    and on interruption) equals an uninterrupted one bit for bit. Later calls may extend `steps`.

    `report(stage, step, of, losses, elapsed)` is called at every record (every `record_every`
    steps), and once without losses where a checkpoint is taken up. A `KeyboardInterrupt` ends the
    fit with the best parameters so far.

    `give_up` and `done` are asked at every record, and end the fit where they return a reason: as
    one that failed, or as one that is `finished`. Their answers may depend on the look alone.
    `program` is compiled code to share with other fits (`Program`); with `resume=False` an existing
    checkpoint is written over; `kept` is stored in the checkpoint for whoever calls (`files.kept`).

    Several processes call it alike; process 0 saves, and its clock is that of all.

    Raises `OptionError` for an empty list of stages or a budget that is not positive, and
    `RunFileError` for a checkpoint that is broken, belongs to another run, or is not seen by all
    processes.
    """
    if not stages:
        raise OptionError("fit() got no stages. Give at least one, such as (SSBFGS(),).")
    if seconds is not None and not seconds > 0:
        raise OptionError(f"seconds={seconds!r} is no time budget. Give a positive number or None.")
    if program is None or not program.fits(objective, params):
        program = Program(objective, params)
    run = _Fit(objective, params, tuple(stages), key, fingerprint, record_every, report, program)
    run.give_up, run.done, run.kept = give_up, done, kept
    if checkpoint is not None and resume and _found(Path(checkpoint)):
        run.resume(Path(checkpoint))
    reason, finished = run.train(seconds, interrupted, checkpoint)
    return run.result(reason, finished)


def _found(path: Path) -> bool:
    """Whether there is a checkpoint. Raises `RunFileError` if not all processes say the same."""
    votes = devices.everyones([path.exists()])
    if votes.any() and not votes.all():
        raise RunFileError(
            f"'{path}' is seen by some processes only. Put checkpoints into a folder that all "
            "hosts share, or delete the file to start afresh."
        )
    return bool(votes.all())


def prepare(
    objective: Objective, params: Params, stages: Sequence[Stage], program: Program, key: Array
) -> None:
    """Compile what `fit` runs, so that a budget that begins afterwards is spent on steps alone."""
    run = _Fit(objective, params, tuple(stages), key, "", 1, lambda *_: None, program)
    for stage in stages:
        carry = initial(run.objective, stage, run.unpack, jnp.copy(run.x), key, None)
        program.advance(run.objective, stage, carry, key, jnp.asarray(0, jnp.int32))
    program.validate(run.objective, run.x, run.held, run.best, run.score)


class _Stop(Exception):  # noqa: N818  (not an error)
    """Ends the stages for the reason given in words."""

    def __init__(self, reason: str, finished: bool = False) -> None:
        super().__init__(reason)
        self.finished = finished


class _Fit:
    """Mutable bookkeeping of one call of `fit`."""

    def __init__(
        self,
        objective: Objective,
        params: Params,
        stages: tuple[Stage, ...],
        key: Array,
        fingerprint: str,
        record_every: int,
        report: Report,
        program: Program,
    ) -> None:
        self.objective, self.stages, self.key = devices.everywhere(objective), stages, key
        self.record_every, self.report, self.program = record_every, report, program
        self.give_up: Verdict = undecided
        self.done: Verdict = undecided
        self.kept: files.Kept | None = None
        x = ravel_pytree(eqx.filter(params, eqx.is_inexact_array))[0]
        start = x, jnp.copy(x), jnp.full((), jnp.inf, x.dtype)
        self.x, self.best, self.score = devices.everywhere(start)
        self.unpack = program.unpack
        self.index = 0
        self.carry: Any = None
        self.rows: list[dict[str, float]] = []
        self.before, self.clock, self.saved = 0.0, time.monotonic(), time.monotonic()
        self.compile_s, self.recorded = 0.0, -1
        seed = np.asarray(jax.random.key_data(key)).tolist()
        parts = [stage.identity for stage in stages]
        self.fingerprint = f"{fingerprint} | {parts} | {seed} | {self.x.dtype}"
        hold = jax.random.fold_in(key, 2**31 - 1)
        self.held = program.validation(self.objective, hold, self.x)

    def elapsed(self) -> float:
        """Seconds of training, those of the run continued included."""
        return self.before + time.monotonic() - self.clock

    def train(
        self, seconds: float | None, interrupted: Callable[[], bool], path: Path | None
    ) -> tuple[str, bool]:
        """Run the remaining stages; the reason why it ended and whether by itself."""

        def look(length: int) -> int:
            late = seconds is not None and time.monotonic() - self.clock >= seconds
            due = path is not None and time.monotonic() - self.saved > SAVE_SECONDS
            votes = devices.everyones([interrupted(), late, due, length])
            if votes[:, 0].any():
                raise _Stop("interrupted; the best parameters so far are kept")
            if seconds is not None and votes[0, 1]:
                raise _Stop(self._budget_words(seconds))
            if path is not None and votes[0, 2]:
                self.save(path)
            return int(votes[0, 3])

        end = math.inf if seconds is None else self.clock + seconds
        try:
            for index in range(self.index, len(self.stages)):
                reason = self._stage(index, look, end)
            outcome = reason, True
        except _Stop as stop:
            outcome = str(stop), stop.finished
        except KeyboardInterrupt:
            outcome = "interrupted; the best parameters so far are kept", False
        if path is not None and self.carry is not None and not self.carry.state.x.is_deleted():
            self.save(path)
        return outcome

    def _budget_words(self, seconds: float) -> str:
        words = f"time budget of {seconds:{'.0f' if seconds >= 10 else '.2g'}} s used up"
        return words + (f", after {self.before:.0f} s of earlier training" if self.before else "")

    def _stage(self, index: int, look: Callable[[int], int], end: float) -> str:
        """Run stage `index` to its end (or on from where it was continued).

        Before each dispatch `look` turns the length that suits this process into the common one.
        """
        stage, key = self.stages[index], jax.random.fold_in(self.key, index)
        if self.carry is None or index != self.index:
            self.index, self.recorded = index, -1
            last = None if self.carry is None else self.carry.batch
            self.carry = initial(self.objective, stage, self.unpack, jnp.copy(self.x), key, last)
        advance = partial(self.program.advance, self.objective, stage)
        step, length, begin = int(self.carry.step), 1, time.monotonic()
        self.carry = advance(self.carry, key, jnp.asarray(step, jnp.int32))
        self.compile_s += time.monotonic() - begin
        if step == self.recorded:
            self._judge()  # an interrupted run was not asked
        while step < stage.steps and bool(active(stage, self.carry)):
            length = look(length)
            boundary = min(stage.steps, step + self.record_every - step % self.record_every)
            begin, target = time.monotonic(), min(step + length, boundary)
            self.carry = advance(self.carry, key, jnp.asarray(target, jnp.int32))
            done, step = int(self.carry.step) - step, int(self.carry.step)
            now = time.monotonic()
            room = max(min(DISPATCH_SECONDS, end - now), 0.0)
            length = max(1, int(done * room / max(now - begin, 1e-6)))
            if step % self.record_every == 0 and step != self.recorded:
                self.record()
                self._judge()
        return self._close(stage)

    def _judge(self) -> None:
        """Ask at a record whether to end here."""
        look = Look(self.rows[-1], float(self.score), lambda: self.unpack(self.best))
        for verdict, finished in ((self.give_up, False), (self.done, True)):
            reason = verdict(look)
            if reason is not None:
                raise _Stop(reason, finished)

    def _close(self, stage: Stage) -> str:
        """Hand the parameters on to the next stage: the best ones if these are not finite."""
        state = self.carry.state
        code = int(state.code)
        sound = code != NONFINITE and bool(jnp.all(jnp.isfinite(state.x)))
        self.x = jnp.copy(state.x if sound else self.best)
        return f"{stage.name}: {WORDS[code]}"

    def record(self) -> None:
        """Validate the present parameters, keep them if best, and add a row to the history."""
        state, step = self.carry.state, int(self.carry.step)
        self.best, self.score, value = self.program.validate(
            self.objective, state.x, self.held, self.best, self.score
        )
        squares = {name: float(value) for name, value in state.squares.items()}
        notes = {n: float(v) for n, v in self.objective.notes(self.carry.batch).items()}
        losses = {"loss": float(state.loss), "validation": float(value)} | squares | notes
        offset = sum(stage.steps for stage in self.stages[: self.index])
        place = {"step": offset + step, "wall_s": self.elapsed(), "stage": self.index}
        self.rows.append(place | losses)
        self.recorded = step
        stage = self.stages[self.index]
        self.report(stage.name, step, stage.steps, losses, self.elapsed())

    def save(self, path: Path) -> None:
        """Write everything needed to go on; where there are several processes, one of them does."""
        notes = {
            "index": self.index,
            "step": int(self.carry.step),
            "rows": self.rows,
            "elapsed": self.elapsed(),
            "recorded": self.recorded,
        }
        tree = self.carry, self.best, self.score
        if devices.leads():
            files.save(path, tree, notes, self.fingerprint, self.kept)
        self.saved = time.monotonic()

    def resume(self, path: Path) -> None:
        """Take up the run stored in `path`."""
        notes = files.facts(path, self.fingerprint)
        self.index, self.rows = notes["index"], notes["rows"]
        self.before, self.recorded = notes["elapsed"], notes["recorded"]
        stage, key = self.stages[self.index], jax.random.fold_in(self.key, self.index)
        template = eqx.filter_eval_shape(
            lambda x: initial(self.objective, stage, self.unpack, x, key), self.x
        )
        stored = files.load(path, (template, self.best, self.score))
        self.carry, self.best, self.score = devices.everywhere(stored)
        self.report(stage.name, int(self.carry.step), stage.steps, {}, self.elapsed())

    def result(self, reason: str, finished: bool) -> FitResult:
        """The outcome, after a last look at the present parameters."""
        state = None
        if self.carry is not None:
            state = self.carry.state
            if not state.x.is_deleted() and self.recorded != int(self.carry.step):
                self.record()
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        history = {name: np.array([row.get(name, np.nan) for row in self.rows]) for name in names}
        return FitResult(
            params=self.unpack(devices.here(self.best)),
            history=history,
            status=reason,
            finished=finished,
            score=float(self.score),
            stats={"wall_s": self.elapsed(), "compile_s": self.compile_s},
            state=devices.here(state),
        )
