"""Emulators: exact steps of linear problems, conserved means, roll-outs, measurements, resuming."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import Eq

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.data import Dataset
from pinnkit.derivatives import FourierAxis, UniformAxis
from pinnkit.errors import OptionError
from pinnkit.methods.base import Run
from pinnkit.methods.emulator.correction import Correction
from pinnkit.methods.emulator.objective import Shelf, StepErrors, Windows
from pinnkit.methods.emulator.stepper import Interleaved, Scales, Stepper, roll
from pinnkit.methods.emulator.trajectories import facts, layout, trajectories
from pinnkit.methods.neural_operator.losses import RelativeL2
from pinnkit.nn import FNO, NeuralStagger
from pinnkit.nn.initial import built

N, FRAMES, NU = 16, 8, 0.01
LINEAR = FNO(4, 5, 1, lift=0, projection=0)
rolled = eqx.filter_jit(roll)
advance = eqx.filter_jit(lambda step, states: step.advance(states)[0])


def problem():
    t, x = pk.coordinates("t x")
    u, a = pk.field("u", t, x), pk.input_function("a", x)
    heat = pk.Equation(Eq(u.diff(t), NU * u.diff(x, 2)))
    box = pk.Box(t=(0, 4), x=(0, 1), time="t")
    return pk.Problem("heat", box, (heat, pk.Initial(u, a), pk.Periodic(x)))


def heat(samples=40, seed=0, mean=0.3, frames=FRAMES):
    """Decaying waves k = 1 .. 4 around a mean: (samples, frames + 1, N)."""
    rng = np.random.default_rng(seed)
    x, k = np.arange(N) / N, np.arange(1, 5)
    waves = np.exp(2j * np.pi * np.outer(k, x))
    decay = np.exp(-NU * (2 * np.pi * k) ** 2 * 4 / FRAMES)
    weights = rng.normal(size=(samples, 4)) + 1j * rng.normal(size=(samples, 4))
    times = decay ** np.arange(frames + 1)[:, None]
    return mean + ((weights[:, None] * times) @ waves).real


def dataset(states, end=4.0):
    sensors = (FourierAxis("x", 0.0, 1.0, N),)
    grid = (UniformAxis("t", 0.0, end, states.shape[1], 6), *sensors)
    unknown = np.full(len(states), np.nan)
    return Dataset(
        "heat",
        "a",
        ("u",),
        sensors,
        grid,
        states[:, 0],
        states[:, None],
        unknown,
        {},
        ("periodic",),
    )


def stepper(architecture=FNO(4, 4, 2), data=None, key=0, memory=1):  # noqa: B008
    data = data or dataset(heat())
    plan = layout(data, "t")
    scales = Scales.of(facts(data, plan), plan.space)
    network = built(architecture, memory, 1, (N,), ("periodic",), key=jax.random.key(key))
    return Stepper(scales, network, memory)


def solve(method, **options):
    return method.run(compile_problem(problem()), Run(jax.random.key(0), **options))


@pytest.mark.accuracy
def test_a_linear_network_learns_the_exact_propagator():
    """Mode by mode exp(-nu k^2 dt), also far beyond the training interval."""
    method = pk.Emulator(LINEAR, data=dataset(heat(60)), steps=1500, learning_rate=3e-2)
    solution = pk.solve(problem(), method)
    k = 2 * np.pi * np.arange(1, 4)
    states = np.cos(np.outer(k, np.arange(N) / N)) + 0.3
    grid = (UniformAxis("t", 0.0, 16.0, 4 * FRAMES + 1, 6), FourierAxis("x", 0.0, 1.0, N))
    found = solution.evaluator.predict(states, grid)[:, 0]
    exact = 0.3 + np.exp(-NU * k[:, None] ** 2 * grid[0].nodes)[..., None] * (states - 0.3)[:, None]
    assert np.abs(found[:, 1] - exact[:, 1]).max() < 2e-3
    assert np.abs(found - exact).max() < 1e-2
    assert solution.stats["one-step error"] < 2e-3
    assert solution.stats["valid time"] == 4.0


@pytest.mark.usefixtures("x64")
def test_means_that_the_data_keep_are_kept_exactly_by_any_weights():
    data = dataset(heat(seed=1))
    states = jnp.asarray(heat(3, seed=2))
    for architecture in (FNO(4, 4, 2), NeuralStagger(FNO(4, 3, 2), 2)):
        found, _ = rolled(stepper(architecture, data), states[0, 0][None], 20)
        assert float(jnp.abs(found - found[:1]).max()) > 0.02
        assert np.allclose(found.mean(axis=2), states[0, 0].mean(), atol=1e-13)
    drifting = heat() + 0.1 * np.arange(FRAMES + 1)[:, None]
    found, _ = rolled(stepper(data=dataset(drifting)), states[0, 0][None], 20)
    assert float(jnp.ptp(found.mean(axis=2))) > 1e-3


@pytest.mark.parametrize("memory", [1, 3])
def test_a_roll_out_is_repeated_application(memory):
    step = stepper(memory=memory)
    start = jnp.asarray(heat(1)[0, :1], jnp.float32)
    states = [start] * memory
    for _ in range(5):
        states.append(advance(step, jnp.stack(states[-memory:]))[0])
    found, diagnosed = rolled(step, start, 5)
    assert np.allclose(found, jnp.stack(states[memory - 1 :]), atol=1e-6)
    assert diagnosed.shape == (6, 0, N)


def test_interleaved_sequences_advance_side_by_side():
    data = dataset(heat())
    plan = layout(data, "t")
    scales = Scales.of(facts(data, plan), plan.space)
    build = lambda k: FNO(4, 4, 1).build(1, 1, (N,), ("periodic",), key=k)  # noqa: E731
    first = eqx.filter_jit(eqx.filter_vmap(build))(jax.random.split(jax.random.key(0), 2))
    onward = eqx.filter_jit(eqx.filter_vmap(build))(jax.random.split(jax.random.key(1), 3))
    network = Interleaved(scales, (first, onward), 3, 3)
    start = jnp.asarray(heat(1)[0, :1], jnp.float32)
    found, _ = rolled(network, start, 7)
    assert found.shape == (8, 1, N)
    pick = lambda tree, i: jax.tree.map(lambda a: a[i] if eqx.is_array(a) else a, tree)  # noqa: E731
    for n in (3, 5, 7):
        alone = Stepper(scales, pick(onward, n % 3), 1)
        assert np.allclose(found[n], advance(alone, found[n - 3][None])[0], atol=1e-5)
    alone = Stepper(scales, pick(first, 1), 1)
    assert np.allclose(found[2], advance(alone, found[0][None])[0], atol=1e-5)


@pytest.mark.accuracy
def test_interleaved_sequences_learn_the_exact_propagator_too():
    method = pk.Emulator(
        NeuralStagger(LINEAR, 1, time=2), data=dataset(heat(60)), steps=600, learning_rate=3e-2
    )
    solution = pk.solve(problem(), method)
    test = heat(12, seed=9, frames=2 * FRAMES)
    found = solution.evaluator.predict(test[:, 0], dataset(test, 8.0).grid)[:, 0]
    assert np.abs(found - test).max() < 0.05 * np.abs(test).max()


def objective(step, pushforward, unroll=2, noise=0.0):
    shelf = Shelf.of(*trajectories(dataset(heat()), layout(dataset(heat()), "t")))
    return StepErrors(step, shelf, shelf, ("u",), 4, unroll, pushforward, noise, RelativeL2())


def gradient(wanted, networks, windows):
    return eqx.filter_jit(jax.grad(lambda p: wanted.loss(p, windows)[0]))(networks)


def test_the_gradient_of_pushforward_is_that_of_a_given_state():
    step = stepper()
    truth = jnp.asarray(heat(4)[:, :3, None], jnp.float32)
    none = jnp.zeros((4, 3, 0, N))
    pushed = objective(step, True)
    found = gradient(pushed, step.networks, Windows(truth, none))
    middle = jax.vmap(lambda u: advance(step, u[None]))(truth[:, 0])
    given = Windows(jnp.concatenate([middle, truth[:, 2:]], axis=1), none[:, :2])
    single = objective(step, False, 1)
    expected = gradient(single, step.networks, given)
    through = objective(step, False)
    other = gradient(through, step.networks, Windows(truth, none))
    pairs = zip(*(jax.tree.leaves(tree) for tree in (found, expected, other)), strict=True)
    differ = False
    for a, b, c in pairs:
        assert jnp.allclose(a, b, rtol=1e-4, atol=1e-6)
        differ |= not jnp.allclose(a, c, rtol=1e-2, atol=1e-4)
    assert differ


def test_noise_is_added_to_the_window_alone_in_units_of_the_change():
    step = stepper()
    key = jax.random.key(3)
    clean = objective(step, False).sample(jax.random.split(key)[0], None, 0)
    quiet, loud = (objective(step, False, noise=n) for n in (0.0, 0.5))
    a, b = (o._draw(o.train, jax.random.split(key)[0], 4) for o in (quiet, loud))
    assert jnp.array_equal(a.states, b.states) and clean.states.shape == a.states.shape
    noisy = loud.sample(key, None, 0)
    assert jnp.array_equal(noisy.states[:, 1:], b.states[:, 1:])
    size = jnp.std(noisy.states[:, 0] - b.states[:, 0]) / step.scales.change[0]
    assert 0.3 < float(size) < 0.7


@pytest.mark.accuracy
def test_fields_that_follow_from_the_state_are_diagnosed():
    """v = u^2 / 2, whose first values are unknown beforehand, beside u."""
    states = heat(60)
    data = dataset(states)
    both = np.stack([states, states**2 / 2], axis=1)
    data = dataclasses.replace(data, fields=("u", "v"), outputs=both)
    plan = layout(data, "t")
    assert (plan.carried, plan.diagnosed) == ((0,), (1,))
    t, x = pk.coordinates("t x")
    u, v, a = pk.field("u", t, x), pk.field("v", t, x), pk.input_function("a", x)
    conditions = (
        pk.Equation(Eq(u.diff(t), NU * u.diff(x, 2))),
        pk.Equation(Eq(v, u**2 / 2)),
        pk.Initial(u, a),
        pk.Periodic(x),
    )
    two = pk.Problem("heat", pk.Box(t=(0, 4), x=(0, 1), time="t"), conditions)
    method = pk.Emulator(FNO(12, 7, 2), data=data, steps=600, learning_rate=1e-2)
    solution = pk.solve(two, method)
    table = solution.compare(dataclasses.replace(data, inputs=states[:, 0])).table
    assert table["rel_l2"].max() < 0.15


def test_solutions_are_called_compared_and_kept(tmp_path):
    method = pk.Emulator(LINEAR, data=dataset(heat(60)), steps=600, learning_rate=3e-2)
    solution = pk.solve(problem(), method)
    x = np.arange(N) / N
    start = 0.3 + np.cos(2 * np.pi * x)
    decay = np.exp(-NU * (2 * np.pi) ** 2 * 1.75)
    found = solution(a=start, t=1.75, x=x)["u"]
    assert np.abs(found - 0.3 - decay * np.cos(2 * np.pi * x)).max() < 2e-2
    held_out = solution.compare(dataset(heat(12, seed=9)))
    assert held_out.table.loc["u", "rel_l2"] < 2e-2
    assert held_out.valid_time().loc["u", "valid_time"] == 4.0
    longer = dataset(heat(12, seed=9, frames=2 * FRAMES), 8.0)
    assert solution.compare(longer).by_time["u"].iloc[-1] < 5e-2
    again = pk.Solution.load(solution.save(tmp_path / "run.h5"))
    assert np.array_equal(again(a=start, t=1.75, x=x)["u"], found)


def test_between_few_instants_there_is_no_value():
    data = dataset(heat(40)[:, ::2])
    solution = pk.solve(problem(), pk.Emulator(LINEAR, data=data, steps=5))
    assert np.isfinite(solution(t=2.0, x=0.5)["u"]) and np.isnan(solution(t=1.9, x=0.5)["u"])
    with pytest.raises(OptionError, match="multiples"):
        solution.compare(dataset(heat(12)))


@pytest.mark.accuracy
def test_trajectories_are_generated_where_none_are_given():
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    a = pk.input_function("a", x, law=pk.GaussianField(1, 5, 2, zero_mean=True, modes=4))
    made = problem()
    equation = made.conditions[0]
    made = made.replace(conditions=(equation, pk.Initial(u, a), pk.Periodic(x)))
    method = pk.Emulator(LINEAR, samples=12, resolution=N, frames=6, after=1.0, steps=5)
    solution = pk.solve(made, method)
    assert solution.evaluator.instants.lo == 1.0 and solution.evaluator.instants.n == 7
    start = solution(t=1.0, x=np.arange(N) / N)["u"]
    assert np.allclose(start, solution.evaluator.start, atol=1e-6) and np.ptp(start) > 0
    assert np.isnan(solution(t=0.5, x=0.0)["u"])
    assert solution.stats["conserved means"] == "u"


@pytest.mark.accuracy
def test_trajectories_from_a_later_time():
    data = dataset(heat())
    later = data.after(1.4)
    assert later.grid[0].lo == 1.5 and later.grid[0].n == FRAMES - 2
    assert np.array_equal(later.inputs, data.outputs[:, 0, 3])
    assert np.array_equal(later.outputs, data.outputs[:, :, 3:])
    with pytest.raises(OptionError, match="earlier time"):
        data.after(4.0)


@pytest.mark.accuracy
def test_interrupted_runs_go_on_exactly(tmp_path):
    """Two phases, stopped in each of them."""
    method = pk.Emulator(FNO(4, 4, 1), data=dataset(heat()), steps=100, unroll=(1, 2))
    whole = solve(method)
    path = tmp_path / "checkpoint.h5"
    looks = iter([False] * 2 + [True] * 50)
    first = solve(method, checkpoint=path, interrupted=lambda: next(looks))
    assert first.status.interrupted and path.exists()
    again = solve(method, checkpoint=path)
    leaves = (jax.tree.leaves(s.evaluator.propagator.networks) for s in (whole, again))
    assert all(jnp.array_equal(a, b) for a, b in zip(*leaves, strict=True))
    assert np.array_equal(whole.history["step"], again.history["step"])
    assert np.array_equal(whole.history["loss"], again.history["loss"])


class Constant(eqx.Module):
    """Gain and guess of the same values everywhere."""

    gain: float
    guess: float

    def __call__(self, seen):
        one = jnp.ones((1, *seen.shape[1:]), seen.dtype)
        return jnp.concatenate([self.gain * one, self.guess * one])


@pytest.mark.usefixtures("x64")
@pytest.mark.accuracy
def test_corrections_by_what_was_measured():
    scales = stepper().scales
    truth, forecast = jnp.asarray(heat(2)[:, 0])[:, None]
    mask = jnp.zeros(N).at[::3].set(1.0)
    full = Correction(Constant(1e9, 7.0))
    assert np.allclose(full(scales, forecast, truth, jnp.ones(N)), truth, atol=1e-12)
    assert jnp.array_equal(full(scales, forecast, truth, jnp.zeros(N)), forecast)
    half = Correction(Constant(0.0, 0.0))
    found = half(scales, forecast, truth, mask)
    assert np.allclose(found[0, ::3], (truth + forecast)[0, ::3] / 2, atol=1e-12)
    assert jnp.array_equal(found[0, 1::3], forecast[0, 1::3])


@pytest.mark.accuracy
def test_measurements_correct_a_forecast_from_a_wrong_state(tmp_path):
    """Half of the nodes after each of four steps, from the states of other trajectories."""
    emulator = pk.Emulator(LINEAR, data=dataset(heat(60)), steps=200, learning_rate=3e-2)
    observations = pk.Observations(0.5, snr=30.0)
    method = pk.NODA(emulator, FNO(8, 6, 2), observations, (4,), (150,), learning_rate=5e-3)
    solution = pk.solve(problem(), method)
    truth = heat(12, seed=9)[:, :5, None]
    masks = np.asarray(observations.masks(jax.random.key(0), 4, (N,)))
    given = np.roll(truth[:, 0], 1, axis=0), truth[:, 1:], np.broadcast_to(masks, (12, 4, N))
    found = solution.evaluator.assimilate(*given)
    alone = solution.evaluator.assimilate(*given[:2], np.zeros((12, 4, N)))
    assert np.array_equal(found[:, 0], given[0])
    errors = [np.linalg.norm(a[:, -1] - truth[:, -1]) for a in (found, alone)]
    assert errors[0] < 0.2 * errors[1]
    again = pk.Solution.load(solution.save(tmp_path / "run.h5"))
    assert np.array_equal(again.evaluator.assimilate(*given), found)


def test_masks_and_noise_of_measurements():
    observations = pk.Observations(0.25, snr=20.0, every=2)
    masks = observations.masks(jax.random.key(0), 6, (4, 8))
    assert masks.sum(axis=(1, 2)).tolist() == [0, 8, 0, 8, 0, 8]
    assert not jnp.array_equal(masks[1], masks[3])
    fixed = pk.Observations(0.25, fixed=True)
    one, other = (fixed.masks(jax.random.key(k), 3, (4, 8)) for k in (1, 2))
    assert jnp.array_equal(one, other) and jnp.array_equal(one[0], one[2])
    states = jnp.zeros((200, 1, 16))
    noisy = observations.measured(jax.random.key(0), states, jnp.asarray([3.0]))
    assert abs(float(jnp.std(noisy)) - 0.3) < 0.02


def test_reasons_why_not():
    t, x = pk.coordinates("t x")
    u, a = pk.field("u", t, x), pk.input_function("a", x)

    def reason(*conditions, data=None):
        box = pk.Box(t=(0, 4), x=(0, 1), time="t")
        made = compile_problem(pk.Problem("p", box, conditions))
        return pk.Emulator(data=data).supports(made) or ""

    driven = pk.Equation(Eq(u.diff(t), u.diff(x, 2) + t))
    assert "change with time" in reason(driven, pk.Initial(u, a), pk.Periodic(x))
    plain = pk.Equation(Eq(u.diff(t), u.diff(x, 2)))
    assert "no law" in reason(plain, pk.Initial(u, a), pk.Periodic(x))
    other = dataclasses.replace(dataset(heat()), inputs=heat()[:, 1])
    assert "initial" in reason(plain, pk.Initial(u, a), pk.Periodic(x), data=other)
    with pytest.raises(OptionError, match="at least 10"):
        pk.Emulator(samples=3)
    with pytest.raises(OptionError, match="such as"):
        pk.Emulator(unroll=())
    with pytest.raises(OptionError, match="more frames"):
        pk.solve(problem(), pk.Emulator(LINEAR, data=dataset(heat()), unroll=20, steps=1))
    with pytest.raises(OptionError, match="time=1"):
        pk.NODA(pk.Emulator(NeuralStagger(FNO(), 1, time=2)))
    solution = pk.solve(problem(), pk.Emulator(LINEAR, data=dataset(heat()), steps=1))
    with pytest.raises(OptionError, match="Train it by NODA"):
        solution.evaluator.assimilate(*[np.zeros((1, 1, N))] * 3)
