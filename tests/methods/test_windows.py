"""Windows in time: seams, tables of earlier parts, marching, halving, resume."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import Eq, cos, exp, pi, sin

import pinnkit as pk
from pinnkit.ansatz import enforce
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError
from pinnkit.methods import windows as module
from pinnkit.methods.base import Run
from pinnkit.methods.windows import March, Recipe, Window
from pinnkit.nn import MLP
from pinnkit.objective import Trial
from pinnkit.objective.blocks import Places
from pinnkit.objective.sampling import RAD, Even

pytestmark = pytest.mark.usefixtures("x64")
t, x = pk.coordinates("t x")
u, p = pk.field("u", t, x), pk.field("p", t, x)
c = pk.parameter("c", 1.5)
SMALL = MLP(6, 2)
BOX = pk.Box(t=(0.5, 2), x=(-1, 1), time="t")

HEAT = pk.Problem(
    "heat",
    BOX,
    [
        pk.Equation(Eq(u.diff(t), c * u.diff(x, 2) + t * sin(x)), name="heat"),
        pk.Initial(u, cos(x)),
        pk.Dirichlet(u, cos(1) * exp(-(t - 0.5)), on=("x-", "x+")),
    ],
)
WAVE = pk.Problem(
    "wave",
    BOX,
    [
        pk.Equation(Eq(u.diff(t, 2), c * u.diff(x, 2) - u**3), name="wave"),
        pk.Initial(u, sin(pi * x)),
        pk.Initial(u.diff(t), 1 - x**2),
        pk.Dirichlet(u, 0, on=("x-", "x+")),
    ],
)
MIXED = pk.Problem(
    "mixed",
    BOX,
    [
        pk.Equation(Eq(u.diff(t) + p.diff(x), u.diff(x, 2)), name="u"),
        pk.Equation(Eq(p.diff(x, 2), u * p.diff(x)), name="p"),
        pk.Initial(u, sin(pi * x)),
        pk.Dirichlet(u, 0, on=("x-", "x+")),
        pk.Dirichlet(p, 0, on="x-"),
        pk.Robin(p, 1, c, t, on="x+"),
        pk.Integral(u - p**2, 0.3, name="total"),
    ],
)
KINK = pk.Problem(
    "kink",
    BOX,
    [
        pk.Equation(Eq(u.diff(t), u.diff(x, 2) - u**3), name="kink"),
        pk.Initial(u, x**2),
        pk.Periodic("x"),
    ],
)
PROBLEMS = {problem.name: problem for problem in (HEAT, WAVE, MIXED, KINK)}


SOME = [
    pytest.param(name, marks=pytest.mark.accuracy if name in ("heat", "wave") else ())
    for name in PROBLEMS
]


def marched(problem, lengths, key=0, run=None, **options):
    """A march whose windows are finished with random weights."""
    system = compile_problem(problem)
    pinn = pk.PINN(network=SMALL, points=200, **options)
    keys = jax.random.split(jax.random.key(key), 3)
    recipe = Recipe(
        SMALL,
        1,
        lambda system, account, size: pinn.objective(system, account, keys[1], size, RAD()),
        lambda ansatz, seconds: (pk.SSBFGS(steps=1),),
        "",
        0.1,
    )
    run = run or Run(jax.random.key(key))
    march = March(recipe, system, enforce(system), run, keys)
    start, rng = system.domain.bounds["t"][0], np.random.default_rng(key)
    for index, length in enumerate(lengths):
        first = index == 0 and not march.exact_start
        size = sum(a.size for a in jax.tree.leaves(march._part(first)) if hasattr(a, "size"))
        part = rng.normal(size=size) * 0.4
        history = {"step": np.array([1.0]), "wall_s": np.array([0.1])}
        march.done.append(Window(start, length, part, history, {}, 0.0))
        start += length
    march.length = lengths[-1]
    return march


@pytest.mark.parametrize("name", PROBLEMS)
def test_seams_and_exact_conditions_hold_for_random_weights(name):
    march = marched(PROBLEMS[name], (0.5, 0.25, 0.75))
    f, rng = eqx.filter_jit(march.function()), np.random.default_rng(1)
    evolved = [n > 0 for n in march.orders]
    sides = (-1e-13, 1e-13) if max(march.orders) else (0,)
    slope = jax.jit(lambda z: jax.jvp(f, (z,), (jnp.array([1.0, 0.0]),))[1])
    for seam, y in itertools.product((1.0, 1.25), rng.uniform(-1, 1, 5)):
        places = [jnp.array([seam + d, y]) for d in sides]
        before, after = (f(z) for z in places)
        assert np.abs(before - after)[np.array(evolved)].max() < 1e-11
        if max(march.orders) > 1:
            slopes = [slope(z) for z in places]
            np.testing.assert_allclose(*slopes, atol=1e-10)
    if march.exact_start:
        places = jnp.stack([jnp.full(9, 0.5), jnp.linspace(-1, 1, 9)], axis=1)
        start = {"heat": np.cos, "wave": lambda s: np.sin(np.pi * s)}.get(name)
        if start is not None:
            got = jax.vmap(f)(places)[:, 0]
            np.testing.assert_allclose(got, start(np.linspace(-1, 1, 9)), atol=1e-13)
    if name != "kink":
        ends = jnp.stack([jnp.linspace(0.5, 2, 16), jnp.full(16, -1.0)], axis=1)
        want = np.cos(1) * np.exp(-(ends[:, 0] - 0.5)) if name == "heat" else 0 * ends[:, 0]
        np.testing.assert_allclose(jax.vmap(f)(ends)[:, 0], want, atol=1e-12)


@pytest.mark.parametrize("name", SOME)
def test_tables_of_earlier_parts_give_the_residuals_of_the_whole_function(name):
    """The third window's blocks, against channels of the stitched function at the same places."""
    done, length = (0.5, 0.25), 0.75
    march = marched(PROBLEMS[name], done)
    march.length = length
    objective = march._objective(False)
    whole = marched(PROBLEMS[name], (*done, length))
    part = whole._trained(2)
    f = whole.function()
    known = march.system.parameters
    evaluate = eqx.filter_jit(lambda block, u, places: block.values(u, known, places))
    for block in module.blocks(objective):
        some = block.pool.take(jnp.arange(0, len(block.pool.points), 97))
        got = evaluate(block, part, some)
        plain = dataclasses.replace(block, frame=None)
        want = evaluate(plain, f, Places(some.points, some.normals))
        for residual, values in got.items():
            np.testing.assert_allclose(values, want[residual], rtol=1e-9, atol=1e-9)


def test_integrals_are_those_of_the_whole_function_at_times_of_the_window():
    done, length = (0.5, 0.25), 0.75
    march = marched(MIXED, done)
    march.length = length
    (part,) = march._objective(False).integrals
    whole = marched(MIXED, (*done, length))
    (got,) = part.values(whole._trained(2), march.system.parameters).values()
    nodes, weights = np.polynomial.legendre.leggauss(16)
    times = 1.25 + length * (nodes + 1) / 2
    places = jnp.stack([a.ravel() for a in np.meshgrid(times, nodes, indexing="ij")], axis=1)
    fields = np.asarray(jax.jit(jax.vmap(whole.function()))(places)).reshape(16, 16, 2)
    by_name = dict(zip(march.system.fields, np.moveaxis(fields, -1, 0), strict=True))
    totals = (by_name["u"] - by_name["p"] ** 2) @ weights
    np.testing.assert_allclose(got, (totals - 0.3) / 2 / part.nodes.scales[0], atol=1e-11)


def test_slabs_are_those_of_the_window():
    """Weights of the second window, against NumPy by the times of its own places."""
    rule = pk.Causal(epsilons=(0.7,), slabs=5, initial=True)
    march = marched(HEAT, (0.5,), causality=rule)
    march.length = 0.25
    objective = dataclasses.replace(march._objective(False), sampling=Even())
    trial = Trial(march._part(False), {})
    batch = objective.sample(march.build, trial, jnp.zeros((), int))
    quick = {"xla_backend_optimization_level": 0}
    batch = jax.jit(lambda: objective.freeze(trial, batch), compiler_options=quick)()
    (block,), places = objective.equations, batch.places[0]
    square = np.asarray(block.values(trial.function, march.system.parameters, places)["heat"]) ** 2
    time = np.asarray(places.points)[:, 0]
    assert time.min() >= 1 and time.max() <= 1.25 and np.ptp(time) > 0.2
    slab = np.minimum(((time - 1.0) / 0.25 * 5).astype(int), 4)
    means = [square[slab == i].mean() for i in range(5)]
    expected = np.exp(-0.7 * np.concatenate([[0], np.cumsum(means)[:-1]]))
    np.testing.assert_allclose(batch.causal.weights, expected, rtol=1e-10)
    assert batch.causal.rung == 0 and expected[-1] < 0.99


TRAVELLING = pk.Problem(
    "travelling",
    pk.Box(t=(0, 1), x=(0, 2 * pi), time="t"),
    [
        pk.Equation(Eq(u.diff(t) + 4 * u.diff(x), 0), name="transport"),
        pk.Initial(u, sin(x)),
        pk.Periodic("x"),
    ],
    exact={u: sin(x - 4 * t)},
)


def small(**options):
    return pk.PINN(network=MLP(10, 2), points=400, **options)


def error(solution):
    return solution.compare(pk.solve(TRAVELLING, pk.Exact())).table.loc["u", "rel_l2"]


@pytest.mark.accuracy
def test_a_march_resumed_in_its_second_window_is_the_same(tmp_path):
    method = small(windows=2, stages=(pk.SSBFGS(steps=100, resample_every=50),))
    path = tmp_path / "march.checkpoint.h5"
    whole = pk.solve(TRAVELLING, method)
    assert whole.status.ok and error(whole) < 8e-3
    assert list(np.unique(whole.history["window"])) == [1, 2]
    assert np.all(np.diff(whole.history["step"]) > 0)
    assert whole.stats["windows"].splitlines()[1].startswith("t = 0.5 to 1: 100 steps")

    def stop(progress):
        if "window 2" in progress.stage and progress.step >= 50:
            raise KeyboardInterrupt

    part = pk.solve(TRAVELLING, method, checkpoint=path, report=stop)
    assert part.status.interrupted
    resumed = pk.solve(TRAVELLING, method, checkpoint=path)
    resumed.save(tmp_path / "march.h5")
    again = pk.Solution.load(tmp_path / "march.h5")
    places = dict(t=np.linspace(0, 1, 9), x=np.linspace(0, 6, 9))
    for other in (resumed, again):
        assert np.array_equal(whole(**places)["u"], other(**places)["u"])
    assert np.array_equal(whole.history["loss"], resumed.history["loss"])


@pytest.mark.accuracy
def test_every_window_climbs_the_ladder_anew_and_a_march_resumes_on_its_rung(tmp_path):
    rule = pk.Causal(epsilons=(1e-3, 0.1, 10.0), slabs=8, every=5, stop=False)
    stages = (pk.Adam(steps=40), pk.SSBFGS(steps=60, resample_every=20, refreeze_every=10))
    method, path = small(windows=2, stages=stages, causality=rule), tmp_path / "run.h5"
    whole = pk.solve(TRAVELLING, method)
    epsilon, window = whole.history["epsilon"], whole.history["window"]
    for number in (1, 2):
        own = epsilon[window == number]
        assert own[0] < own[-1] and np.all(np.diff(own) >= 0)
    lines = whole.stats["windows"].splitlines()
    assert all("min w = 0." in line and "at epsilon = " in line for line in lines)
    certified = sum(line.endswith(": certified") for line in lines)
    assert whole.stats["causality"] == f"certified in {certified} of 2 windows"

    def stop(progress):
        if "window 2" in progress.stage and progress.step >= 25:
            raise KeyboardInterrupt

    assert pk.solve(TRAVELLING, method, checkpoint=path, report=stop).status.interrupted
    resumed = pk.solve(TRAVELLING, method, checkpoint=path)
    for name in ("loss", "causal weight", "epsilon"):
        assert np.array_equal(whole.history[name], resumed.history[name])
    assert resumed.stats["windows"] == whole.stats["windows"]


@pytest.mark.accuracy
def test_a_march_that_closes_early_in_pseudo_time_resumes_exactly(tmp_path):
    """Interrupted at the record that closes its second window, before that was noticed."""
    q = pk.field("q", t)
    conditions = [pk.Equation(Eq(q.diff(t), q - q**3), name="rise"), pk.Initial(q, 0.1)]
    problem = pk.Problem("rise", pk.Box(t=(0, 3), time="t"), conditions)
    method = pk.PINN(
        network=MLP(6, 1),
        points=64,
        windows=3,
        stages=(pk.SSBFGS(steps=400, resample_every=20, refreeze_every=10),),
        pseudo_time=pk.PseudoTime(largest=1.0),
        tolerance=1e-3,
    )
    whole, path = pk.solve(problem, method), tmp_path / "march.h5"
    lines = whole.stats["windows"].splitlines()
    assert len(lines) == 3 and all("the tolerance 0.001 was reached" in line for line in lines)
    number, step = whole.history["window"], whole.history["step"]
    last = step[number == 2][-1] - step[number == 1][-1]
    assert last < 400 and "0 to 1" in str(whole)

    def stop(progress):
        if "window 2" in progress.stage and progress.losses and progress.step >= last:
            raise KeyboardInterrupt

    part = pk.solve(problem, method, checkpoint=path, report=stop)
    assert part.status.interrupted
    resumed = pk.solve(problem, method, checkpoint=path)
    for name in ("loss", "validation", "step"):
        assert np.array_equal(whole.history[name], resumed.history[name])
    for name in ("windows", "error budget"):
        assert resumed.stats[name] == whole.stats[name]


@pytest.mark.accuracy
def test_what_is_not_resolved_is_halved(monkeypatch):
    monkeypatch.setattr(module, "PROBE", 25)
    monkeypatch.setattr(module, "LARGE", 0.1)
    solution = pk.solve(TRAVELLING, small(stages=(pk.SSBFGS(steps=100),)))
    assert len(solution.stats["windows"].splitlines()) >= 2 and error(solution) < 2e-2


@pytest.mark.accuracy
def test_what_does_not_come_to_its_tolerance_is_halved(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 150)
    solution = pk.solve(TRAVELLING, small(stages=(pk.SSBFGS(steps=300),), tolerance=3e-3))
    assert len(solution.stats["windows"].splitlines()) >= 2 and error(solution) < 2e-2
    assert "the tolerance 0.003 was reached" in solution.stats["windows"]


@pytest.mark.parametrize("defect, sound", [(0.03, True), (0.04, False)])
def test_residuals_that_are_small_in_every_window_must_be_small_together(defect, sound):
    march = marched(HEAT, (0.5, 0.5, 0.5))
    known = {"held_out": {"heat": 0.01}, "defects": {"u": defect}}
    march.done = [dataclasses.replace(window, **known) for window in march.done]
    status = pk.PINN(windows=3)._marched(march).status
    assert status.ok is sound
    assert sound or "adds up to 1.2e-01 of the fields' scale" in status.reason


def test_refusals_say_why():
    steady = pk.Problem(
        "steady", pk.Box(x=(0, 1)), [pk.Equation(u.func(x).diff(x, 2)), pk.Dirichlet(u.func(x))]
    )
    with pytest.raises(MethodError, match=r"windows=3.*'steady': no equation has a time"):
        pk.solve(steady, pk.PINN(windows=3))
    seen = pk.Observed(u, at={"t": [0.1], "x": [0.2]}, values=[0.0], name="probe")
    observed = dataclasses.replace(TRAVELLING, conditions=(*TRAVELLING.conditions, seen))
    with pytest.raises(MethodError, match="'probe' may span several windows"):
        pk.solve(observed, pk.PINN(windows=2))
    growing = pk.Integral(u, t, name="growing")
    integral = dataclasses.replace(TRAVELLING, conditions=(*TRAVELLING.conditions, growing))
    with pytest.raises(MethodError, match="'growing' has a value that changes with time"):
        pk.solve(integral, pk.PINN(windows=2))
