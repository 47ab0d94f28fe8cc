"""What operators learn from: statistics, losses, batches, symmetries."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnkit as pk
from pinnkit import devices, precision
from pinnkit.compile import compile_problem
from pinnkit.data import Dataset
from pinnkit.derivatives import FourierAxis, UniformAxis
from pinnkit.methods.base import Run
from pinnkit.methods.grid_residuals import GridResiduals
from pinnkit.methods.neural_operator import objective as rooms
from pinnkit.methods.neural_operator.losses import RelativeH1, RelativeL2
from pinnkit.methods.neural_operator.objective import OperatorError, Shelf, Stream
from pinnkit.methods.neural_operator.statistics import statistics
from pinnkit.methods.neural_operator.symmetry import (
    Exchange,
    Images,
    Mirror,
    Opposite,
    symmetries,
)

pytestmark = pytest.mark.usefixtures("x64")
PROBLEMS = "problems"


def waves(samples=40, n=16, frames=3, drift=0.0, seed=0):
    """Travelling waves with random phases, the first frame the input; u = 0 at no end."""
    random = np.random.default_rng(seed)
    x, t = FourierAxis("x", 0.0, 1.0, n), UniformAxis("t", 0.0, 1.0, frames)
    phase = random.uniform(size=(samples, 1, 1))
    u = np.sin(2 * np.pi * (x.nodes - t.nodes[:, None] + phase)) + drift * np.cos(
        2 * np.pi * x.nodes
    )
    errors = np.zeros(samples)
    return Dataset("waves", "a", ("u",), (x,), (t, x), u[:, 0], u[:, None], errors)


def test_statistics_in_chunks_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr("pinnkit.methods.neural_operator.statistics.CHUNK", 7)
    data = waves(drift=2.0)
    found = statistics(data, "t")
    assert np.allclose(found.centre, [data.inputs.mean(), data.inputs.std()])
    assert np.allclose(found.mean, data.outputs.mean(axis=0))
    away = data.outputs - data.outputs.mean(axis=0)
    assert np.allclose(found.scale[0, :, 0], np.sqrt((away**2).mean(axis=(0, 1, 3))))
    assert found.starts == (True,)
    assert found.ends == ((False, False), (False, False))


def test_a_mean_that_is_noise_is_constant_along_periodic_axes():
    noise, real = statistics(waves(), "t").mean, statistics(waves(drift=2.0), "t").mean
    assert np.ptp(noise, axis=-1).max() < 1e-12
    assert np.ptp(real, axis=-1).max() > 3.0


def test_ends_at_which_nothing_varies_are_found():
    x = UniformAxis("x", 0.0, 1.0, 9)
    t = UniformAxis("t", 0.0, 1.0, 4)
    random = np.random.default_rng(1)
    u = random.standard_normal((30, 1, 4, 9)) * x.nodes + 3.0
    u[:, :, 0] = 5.0
    data = Dataset("p", "a", ("u",), (x,), (t, x), u[:, 0, 1], u, np.zeros(30))
    assert statistics(data, "t").ends == ((True, False), (True, False))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_sobolev_loss_counts_waves_by_their_number(k):
    """For truth sin 2 pi x and error eps sin 2 pi k x: eps ((1 + k^2) / 2)^(1/2)."""
    x = FourierAxis("x", 0.0, 1.0, 512)
    truth = jnp.sin(2 * jnp.pi * x.nodes)[None]
    found = truth + 0.01 * jnp.sin(2 * jnp.pi * k * x.nodes)[None]
    assert np.isclose(RelativeL2()(found, truth, (x,))[0], 0.01)
    assert np.isclose(
        RelativeH1()(found, truth, (x,))[0], 0.01 * ((1 + k**2) / 2) ** 0.5, rtol=2e-3
    )


def trained(data, steps=6, **options):
    method = pk.Operator(pk.nn.FNO(4, 3, 1), data, steps=steps, batch=8, **options)
    t, x = pk.coordinates("t x")
    u, a = pk.field("u", t, x), pk.input_function("a", x)
    transport = pk.Equation(u.diff(t) + u.diff(x), name="transport")
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    problem = pk.Problem("waves", box, (transport, pk.Initial(u, a), pk.Periodic(x)))
    return method.run(compile_problem(problem), Run(jax.random.key(0)))


@pytest.fixture(scope="module")
def learned():
    with precision.scope("float64"):
        return trained(waves(), steps=400, learning_rate=1e-2)


def test_batches_from_a_file_are_those_from_memory(tmp_path):
    data = waves()
    streamed = Dataset.load(data.save(tmp_path / "waves.h5"), streamed=True)
    here, there = rooms.shelved(data, "float32"), rooms.shelved(streamed, "float32", 0)
    assert isinstance(here, Shelf)
    assert isinstance(there, Stream)
    for rows in ([3, 1, 1, 7], [39, 0, 5, 6]):
        pair = [eqx.filter_jit(s.take)(jnp.asarray(rows)) for s in (here, there)]
        assert jax.tree.all(jax.tree.map(np.array_equal, *pair))


def test_every_sample_is_taken_once_in_each_pass():
    inputs = jnp.arange(12.0)[:, None]
    objective = object.__new__(OperatorError)
    for name, value in {
        "shelf": Shelf(inputs, inputs),
        "batch": 4,
        "order": jax.random.key(3),
        "images": None,
    }.items():
        object.__setattr__(objective, name, value)
    drawn = [objective.sample(jax.random.key(0), None, jnp.asarray(i))[0] for i in range(6)]
    first, second = (np.concatenate(drawn[i : i + 3]).ravel() for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(12))
    assert not np.array_equal(first, second)


def test_the_first_frame_is_given_and_not_counted(learned):
    solution = learned
    x = np.arange(16) / 16
    start = np.sin(2 * np.pi * x + 0.4)
    found = solution(a=start, t=0.0, x=x)["u"]
    assert np.allclose(found, start, atol=1e-12)
    between = solution(a=start, t=0.3, x=x)["u"]
    assert np.isnan(between).all()
    held = solution.compare(waves(seed=5))
    assert held.by_time["u"].iloc[0] < 1e-6 < held.table.loc["u", "rel_l2"] < 0.2


def load(name):
    return compile_problem(pk.load(f"{PROBLEMS}/{name}_family.py"))


@pytest.mark.parametrize(
    ("name", "signed", "expected"),
    [
        ("darcy", False, {Mirror("x"), Mirror("y"), Exchange("x", "y")}),
        ("burgers", True, {Mirror("x", odd=True)}),
        ("burgers", False, set()),
        ("kdv", True, set()),
        ("antiderivative", True, {Opposite()}),
        ("diffusion_reaction", True, {Mirror("x")}),
    ],
)
def test_symmetries_are_read_from_the_declaration(name, signed, expected):
    system = load(name)
    kinds = {True: FourierAxis, False: UniformAxis}
    axes = tuple(
        kinds[str(a) in system.traits.periodic](str(a), *system.domain.bounds[str(a)], 12)
        for a in system.problem.inputs[0].args
    )
    assert set(symmetries(system, axes, signed)) == expected


def random_pair(system, family_axes, grid, seed=0):
    random = np.random.default_rng(seed)
    inputs = 2 + random.uniform(size=(1, *(a.n for a in family_axes)))
    return jnp.asarray(inputs), jnp.asarray(random.standard_normal((1, 1, *(a.n for a in grid))))


@pytest.mark.parametrize("name", ["darcy", "burgers"])
def test_images_have_the_residuals_of_their_originals(name):
    """For any functions, solutions or not; a mirror image without change of sign has others."""
    system = load(name)
    periodic = name == "burgers"
    kind = FourierAxis if periodic else UniformAxis
    sensors = tuple(kind(a, 0.0, 1.0, 12) for a in system.axes if a != "t")
    times = (UniformAxis("t", 0.0, 1.0, 12),) if periodic else ()
    grid = (*times, *sensors)
    residuals = GridResiduals.of(system, grid, sensors)
    a, u = random_pair(system, sensors, grid)

    def size(batch):
        return np.array([np.linalg.norm(r) for r in residuals(batch[0][0], batch[1][0]).values()])

    moves = symmetries(system, sensors, signed=periodic)
    for move in moves:
        images = Images((move,), sensors, grid)
        drawn = [images(jax.random.key(i), (a, u)) for i in range(8)]
        assert any(not np.array_equal(b[0], a) for b in drawn)
        for batch in drawn:
            assert np.allclose(size(batch), size((a, u)), rtol=1e-9)
    if periodic:
        wrong = Images((Mirror("x"),), sensors, grid)
        sizes = [size(wrong(jax.random.key(i), (a, u))) for i in range(8)]
        assert not np.allclose(sizes, sizes[0], rtol=1e-3)


def test_operators_are_the_same_on_finer_grids_where_networks_are(learned):
    field = learned.evaluator
    fine = np.sin(2 * np.pi * np.arange(32) / 32)
    finer = field.with_inputs({"a": fine})
    assert [axis.n for axis in finer.sensors] == [32]
    coarse = field.with_inputs({"a": fine[::2]})
    found = [np.asarray(f.on_grid(f.function)) for f in (finer, coarse)]
    assert np.allclose(found[0][..., ::2], found[1], atol=0.02)


def test_batches_are_shared_out_among_devices_only_where_they_divide():
    batch = (jnp.zeros((6, 3)), jnp.zeros((6, 1, 3)))
    assert devices.shared(batch) is batch
    module = eqx.filter_jit(lambda b: devices.shared(b))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, module(batch), batch))


def test_a_dataset_says_what_it_is():
    assert repr(waves()) == "Dataset(waves, 40 samples, a (16,) -> (1, 3, 16))"
    assert dataclasses.replace(waves(), provenance={"seed": 1}).provenance["seed"] == 1
