"""The loop: determinism, exact resume, budget, interruption, best parameters, files."""

import json
import time
from types import SimpleNamespace

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_objectives import Regression

from pinnkit.errors import OptionError, RunFileError
from pinnkit.training import (
    LBFGS,
    SOAP,
    SSBFGS,
    Adam,
    GaussNewtonCG,
    Jaxopt,
    LastLayer,
    LevenbergMarquardt,
    Optax,
    SSBroyden,
    dispatch,
    fit,
)
from pinnkit.training import loop as loop_module
from pinnkit.training.checkpoint import facts
from pinnkit.training.program import Program

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(7)


def start():
    return {"line": jnp.array([0.2, -0.1]), "wave": jnp.array([1.0])}


STAGES = {
    "adam": Adam(steps=60, learning_rate=1e-2, resample_every=1),
    "adam-blocks": Adam(steps=60, learning_rate=1e-2, resample_every=25),
    "ssbfgs": SSBFGS(steps=60, resample_every=20, refreeze_every=15),
    "ssbroyden": SSBroyden(steps=60, resample_every=20, refreeze_every=15),
    "lbfgs": LBFGS(steps=60, resample_every=20),
    "jaxopt": Jaxopt(steps=60, resample_every=20),
    "last-layer": LastLayer(steps=60, resample_every=1),
    "levenberg-marquardt": LevenbergMarquardt(steps=60, resample_every=5),
    "gauss-newton-cg": GaussNewtonCG(steps=60, resample_every=7),
    "soap": SOAP(steps=60, learning_rate=1e-2, resample_every=5),
    "muon": Optax(steps=60, learning_rate=1e-2, algorithm="muon"),
}


def same(a, b) -> bool:
    return all(
        np.array_equal(np.asarray(p), np.asarray(q))
        for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def after(steps: int):
    """Interrupt once that many looks have happened."""
    looks = iter(range(10**6))
    return lambda: next(looks) >= steps


def quiet_history(result):
    return {k: v for k, v in result.history.items() if k != "wall_s"}


@pytest.fixture
def program():
    """Fits of one objective share what is compiled (most of a small fit's time)."""
    return Program(Regression(), start())


@pytest.mark.parametrize("name", STAGES)
def test_runs_repeat_and_resume_exactly(name, tmp_path, program):
    stages = (STAGES[name],)
    options = dict(key=KEY, record_every=10, program=program)
    whole = fit(Regression(), start(), stages, **options)
    path = tmp_path / "run.h5"
    part = fit(Regression(), start(), stages, checkpoint=path, interrupted=after(4), **options)
    assert "interrupted" in part.status and not part.finished
    assert part.history["step"][-1] < 60
    resumed = fit(Regression(), start(), stages, checkpoint=path, **options)
    assert same(whole.params, resumed.params) and same(whole.state, resumed.state)
    assert same(quiet_history(whole), quiet_history(resumed))
    assert whole.status == resumed.status and whole.finished


def test_steps_may_be_extended_over_two_stages(tmp_path, program):
    def run(steps, **options):
        stages = (Adam(steps=20, resample_every=5), SSBFGS(steps=steps, resample_every=20))
        shared = dict(key=KEY, record_every=10, program=program)
        return fit(Regression(), start(), stages, **shared, **options)

    path = tmp_path / "run.h5"
    run(20, checkpoint=path)
    assert same(run(40).params, run(40, checkpoint=path).params)


def test_split_into_dispatches_changes_nothing(monkeypatch, program):
    stages = (STAGES["ssbfgs"],)
    long = fit(Regression(), start(), stages, key=KEY, program=program)
    monkeypatch.setattr(loop_module, "DISPATCH_SECONDS", 0.0)
    short = fit(Regression(), start(), stages, key=KEY, program=program)
    assert same(long.state, short.state) and same(long.params, short.params)


def test_other_key_other_batches():
    stages = (STAGES["adam"],)
    a = fit(Regression(), start(), stages, key=KEY)
    b = fit(Regression(), start(), stages, key=jax.random.key(8))
    assert not same(a.params, b.params)


class Diverging(Regression):
    """Falls to a minimum at 1; not a number beyond 1.5, nor for batches drawn late."""

    def sample(self, key, params, step, previous=None):
        return jnp.where(step > 40, jnp.nan, 0.0)

    def loss(self, params, batch):
        value = jnp.sum((params - 1) ** 2) + batch
        return jnp.where(jnp.max(params) > 1.5, jnp.nan, value), {"value": value}


def test_best_parameters_are_finite_and_best():
    stage = Adam(steps=100, learning_rate=0.2, decay=1.0, b1=0.99)
    found = fit(Diverging(), jnp.zeros(2), (stage,), key=KEY, record_every=1)
    assert "non-finite" in found.status and bool(jnp.all(jnp.isfinite(found.state.x)))
    assert np.isfinite(found.score) and bool(jnp.all(jnp.isfinite(found.params)))
    assert found.score == np.nanmin(found.history["validation"])


def test_keyboard_interrupt_keeps_the_best():
    def report(stage, step, of, losses, elapsed):
        if step >= 30:
            raise KeyboardInterrupt

    stages = (STAGES["adam"],)
    found = fit(Regression(), start(), stages, key=KEY, report=report, record_every=10)
    assert "interrupted; the best parameters so far are kept" in found.status
    assert found.score == found.history["validation"].min()
    assert found.history["step"].tolist() == [10, 20, 30]


def test_time_budget_ends_in_words():
    stage = Adam(steps=10**9)
    found = fit(Regression(), start(), (stage,), key=KEY, seconds=0.3)
    assert "time budget of 0.3 s" in found.status and not found.finished


def test_a_budget_counts_from_the_last_start(tmp_path, monkeypatch):
    """Earlier training is told apart; the first report is that of the state taken up."""
    quick = SimpleNamespace(monotonic=lambda: 100 * time.monotonic())
    monkeypatch.setattr(loop_module, "time", quick)
    path, heard = tmp_path / "run.h5", []
    stages, options = (Adam(steps=10**9),), {"key": KEY, "checkpoint": path, "seconds": 28.4833}
    assert fit(Regression(), start(), stages, **options).status == "time budget of 28 s used up"
    with h5py.File(path, "r+") as file:
        stored = json.loads(file.attrs["facts"])
        file.attrs["facts"] = json.dumps(stored | {"elapsed": 1000.0})
    found = fit(Regression(), start(), stages, report=lambda *a: heard.append(a), **options)
    assert found.status == "time budget of 28 s used up, after 1000 s of earlier training"
    assert heard[0][1] == stored["step"] and heard[0][3] == {}


def test_history_columns_agree_in_length():
    found = fit(Regression(), start(), (STAGES["adam"],), key=KEY, record_every=20)
    assert {len(v) for v in found.history.values()} == {3}
    assert set(found.history) == {"step", "wall_s", "stage", "loss", "validation", "data"}
    assert np.all(np.diff(found.history["wall_s"]) > 0)


def test_adam_first_step_has_the_length_of_the_rate():
    stage = Adam(steps=1, learning_rate=0.05)
    found = fit(Regression(), start(), (stage,), key=KEY)
    moved = np.abs(np.concatenate([np.ravel(v) for v in start().values()]) - found.state.x)
    np.testing.assert_allclose(moved, 0.05, rtol=1e-5)


def test_broken_and_foreign_checkpoints(tmp_path):
    path, stages = tmp_path / "run.h5", (STAGES["adam"],)
    fit(Regression(), start(), stages, key=KEY, checkpoint=path, fingerprint="a")
    with pytest.raises(RunFileError, match="belongs to another run.*delete the file"):
        fit(Regression(), start(), stages, key=KEY, checkpoint=path, fingerprint="b")
    with pytest.raises(RunFileError, match=r"another run \(different: seed\)"):
        fit(Regression(), start(), stages, key=jax.random.key(1), checkpoint=path, fingerprint="a")
    with pytest.raises(RunFileError, match="different: options of the method, training stages"):
        other = (STAGES["lbfgs"],)
        fit(Regression(), start(), other, key=KEY, checkpoint=path, fingerprint="a points=3")
    with pytest.raises(RunFileError, match="problem, method, seed or precision differ"):
        facts(path, "of another form")
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(RunFileError, match="truncated or not HDF5.*Delete it"):
        fit(Regression(), start(), stages, key=KEY, checkpoint=path, fingerprint="a")


def test_other_shapes_are_refused(tmp_path):
    path, stages = tmp_path / "run.h5", (STAGES["adam"],)
    fit(Diverging(), jnp.zeros(2), stages, key=KEY, checkpoint=path)
    with pytest.raises(RunFileError, match="other shapes"):
        fit(Diverging(), jnp.zeros(3), stages, key=KEY, checkpoint=path)


def test_messages():
    with pytest.raises(OptionError, match="no stages"):
        fit(Regression(), start(), (), key=KEY)
    with pytest.raises(OptionError, match=r"seconds=-1 is no time budget"):
        fit(Regression(), start(), (Adam(),), key=KEY, seconds=-1)


def test_carry_holds_arrays_only():
    unpack = lambda x: {"line": x[:2], "wave": x[2:]}  # noqa: E731
    for stage in STAGES.values():
        carry = dispatch.initial(Regression(), stage, unpack, jnp.zeros(3), KEY)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(carry))


class Counting(Regression):
    """Counts, in its batch, how often it was drawn and how often its weights followed."""

    def sample(self, key, params, step, previous=None):
        drawn, followed = (jnp.zeros(()),) * 2 if previous is None else previous
        return drawn + 1, followed

    def follow(self, params, batch, step):
        return batch[0], batch[1] + 1

    def loss(self, params, batch):
        size = super().loss(params, jnp.linspace(0, 1, 8))[0]
        return size, {"drawn": batch[0], "followed": batch[1]}


def test_batches_know_the_one_before_over_stages():
    stages = (Adam(steps=20, resample_every=5), SSBFGS(steps=20, resample_every=10))
    found = fit(Counting(), start(), stages, key=KEY, record_every=10)
    assert found.history["drawn"].tolist() == [2, 4, 5, 6]
    assert found.history["followed"].tolist() == [10, 20, 20, 20]


def test_a_fit_that_is_done_stays_done(tmp_path, program):
    """It ends by itself at a record; resumed there, also before it was asked, it is the same."""
    options = dict(key=KEY, record_every=10, program=program)
    options["done"] = lambda look: "good enough" if look.step >= 30 else None
    stages = (STAGES["adam"],)
    whole = fit(Regression(), start(), stages, **options)
    assert whole.finished and whole.status == "good enough"
    assert whole.history["step"].tolist() == [10, 20, 30]

    def stop(stage, step, of, losses, elapsed):
        if losses and step == 30:
            raise KeyboardInterrupt

    path = tmp_path / "run.h5"
    assert not fit(Regression(), start(), stages, checkpoint=path, report=stop, **options).finished
    for _ in range(2):
        resumed = fit(Regression(), start(), stages, checkpoint=path, **options)
        assert resumed.finished and same(quiet_history(whole), quiet_history(resumed))
        assert same(whole.state, resumed.state)
