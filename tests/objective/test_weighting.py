"""Weights of residuals and places: their definitions, what they change and what they do not."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from sympy import Eq, cos, exp, pi, sin

from pinnkit.compile import compile_problem
from pinnkit.errors import OptionError
from pinnkit.geometry import Box
from pinnkit.nn import MLP
from pinnkit.objective import Causal, TimeSlabs, Trial, residual_objective
from pinnkit.objective.sampling import R3, RAD, RARD
from pinnkit.objective.weighting import NTK, Attention, Fixed, GradientNorm
from pinnkit.spec.condition import Equation, Initial, Integral
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, field
from pinnkit.training import SSBFGS, Adam, dispatch, fit
from pinnkit.training import program as program_module

pytestmark = pytest.mark.usefixtures("x64")
t, x = coordinates("t x")
u, v = field("u", t, x), field("v", t, x)
KEY = jax.random.key(0)
QUICK = {"xla_backend_optimization_level": 0}
SLABS = TimeSlabs(0.0, 0.5, Causal((2.0,), 4))
RULES = [
    (Fixed(3.0), None),
    (GradientNorm(), SLABS),
    (NTK(places=7), None),
    (Attention(), None),
    (Attention(groups=NTK()), SLABS),
]
ENDS = [
    pytest.param(*rule, marks=pytest.mark.accuracy if 0 < place < 4 else ())
    for place, rule in enumerate(RULES)
]
"""The plainest and the richest rule in quick runs, all in the others."""


@pytest.fixture(scope="module")
def system():
    return compile_problem(
        Problem(
            name="pair",
            domain=Box(t=(0, 0.5), x=(0, 1), time="t"),
            conditions=[
                Equation(Eq(u.diff(t), v.diff(x) + u**2), name="first"),
                Equation(Eq(v.diff(t), u.diff(x)), name="second"),
                Initial(u, sin(pi * x), name="start"),
                Initial(v, cos(pi * x), name="other"),
                Integral(v, exp(-t), name="content"),
            ],
        )
    )


@pytest.fixture(scope="module")
def single():
    """One equation without slopes in space, which compiles sooner."""
    conditions = [Equation(u.diff(t) + u**2, name="fall"), Initial(u, sin(pi * x), name="at")]
    box = Box(t=(0, 0.5), x=(0, 1), time="t")
    return compile_problem(Problem(name="single", domain=box, conditions=conditions))


@pytest.fixture(scope="module")
def trial():
    return network(0)


def network(seed, fields=2):
    from pinnkit import precision

    with precision.scope("float64"):
        return Trial(MLP(4, 1).build(2, fields, key=jax.random.key(seed)), {})


def loss_of(system, **options):
    return residual_objective(system, system.conditions, points=12, quadrature=4, **options)


def quick(function):
    return jax.jit(function, compiler_options=QUICK)


def batch_of(objective, trial):
    return objective.freeze(trial, objective.sample(KEY, trial, 0))


def residuals(objective, trial, batch):
    """Residuals of each part (N,) by name, from the parts themselves."""
    found = {}
    for part, places in zip(objective.parts, batch.places, strict=True):
        found |= part.values(trial.function, objective.known(trial), places)
    for part in objective.integrals:
        found |= part.values(trial.function, objective.known(trial))
    return found


def jacobians(objective, trial, batch):
    """d residual / d params (N, P), by name."""
    arrays, static = eqx.partition(trial, eqx.is_inexact_array)
    vector, unravel = ravel_pytree(arrays)
    values = lambda p: residuals(objective, eqx.combine(unravel(p), static), batch)  # noqa: E731
    return jax.jit(jax.jacrev(values), compiler_options=QUICK)(vector)


def test_gradient_norms_are_made_equal(system, trial):
    objective = loss_of(system, weighting=GradientNorm(keep=0.0))
    batch = quick(lambda: batch_of(objective, trial))()
    assert objective.names == ("first", "second", "start", "other", "content")
    r = quick(lambda: residuals(objective, trial, batch))()
    J = jacobians(objective, trial, batch)
    norms = [np.linalg.norm(2 * r[n] @ J[n] / len(r[n])) for n in objective.names]
    np.testing.assert_allclose(batch.weights.groups * np.array(norms), np.mean(norms), rtol=1e-10)


def test_kernel_diagonals_are_those_of_the_explicit_kernel(system, trial):
    objective = loss_of(system, weighting=NTK(places=1000))
    batch = quick(lambda: batch_of(objective, trial))()
    J = jacobians(objective, trial, batch)
    means = np.array([np.mean(np.diag(J[n] @ J[n].T)) for n in objective.names])
    np.testing.assert_allclose(batch.weights.groups, means.mean() / means, rtol=1e-10)
    few = dataclasses.replace(objective, weighting=NTK(places=5))
    groups = quick(lambda: batch_of(few, trial))().weights.groups
    some = [np.mean(np.sum(J[n] ** 2, 1)[np.arange(5) * 12 // 5]) for n in ("first", "second")]
    np.testing.assert_allclose(groups[1] / groups[0], some[0] / some[1], rtol=1e-10)


def test_kernel_and_gradients_see_causal_weights(system, trial):
    objective = loss_of(system, weighting=NTK(places=1000), slabs=SLABS)
    batch = quick(lambda: batch_of(objective, trial))()
    J = jacobians(objective, trial, batch)
    share = objective.share(0, batch)[:, 0]
    sums = np.array([share @ np.sum(J[n] ** 2, axis=1) for n in ("first", "second")])
    groups = batch.weights.groups
    np.testing.assert_allclose(groups[0] / groups[1], sums[1] / sums[0], rtol=1e-10)
    assert share.sum() < 1


@pytest.mark.accuracy
def test_attention_is_the_recursion(system):
    decay, rate = 0.8, 0.3
    objective = loss_of(system, weighting=Attention(decay, rate))
    trials = [network(seed) for seed in range(3)]
    batch = objective.sample(KEY, trials[0], 0)
    assert np.all(batch.weights.places[0] == 0)
    expected = np.zeros((12, 2))
    for trial in trials:
        batch = objective.freeze(trial, batch)
        found = residuals(objective, trial, batch)
        for i, name in enumerate(("first", "second")):
            size = np.abs(found[name])
            for p in range(12):
                expected[p, i] = decay * expected[p, i] + rate * size[p] / max(size)
    np.testing.assert_allclose(batch.weights.places[0], expected, rtol=1e-12)
    total = objective.loss(trials[-1], batch)[0]
    means = [np.mean((expected[:, i] * found[n]) ** 2) for i, n in enumerate(("first", "second"))]
    rest = [10 * np.mean(found[name] ** 2) for name in ("start", "other", "content")]
    np.testing.assert_allclose(total, sum(means) + sum(rest), rtol=1e-12)


def test_attention_stays_with_its_place(system, trial):
    objective = loss_of(system, weighting=Attention(), sampling=R3())
    old = quick(lambda: batch_of(objective, trial))()
    new = quick(lambda: objective.sample(jax.random.key(5), trial, 1, old))()
    known = {int(i): w for i, w in zip(old.index[0], old.weights.places[0], strict=True)}
    same = [int(i) in known for i in new.index[0]]
    assert 0 < sum(same) < 12
    for i, w in zip(new.index[0], new.weights.places[0], strict=True):
        np.testing.assert_array_equal(w, known.get(int(i), np.zeros(2)))


@pytest.mark.parametrize("weighting, slabs", ENDS)
def test_rows_loss_score_and_gradient_agree(system, trial, weighting, slabs):
    """loss = sum of squared rows; weights have no gradient and do not change what is reported."""
    objective = loss_of(system, weighting=weighting, slabs=slabs)
    arrays, static = eqx.partition(trial, eqx.is_inexact_array)

    def measured(arrays):
        def at(arrays, batch):
            whole = eqx.combine(arrays, static)
            frozen = objective.freeze(whole, objective.sample(KEY, whole, 0))
            batch = frozen if batch is None else batch
            return objective.loss(whole, batch)[0], (frozen, objective.means(whole, batch))

        through, (batch, means) = jax.grad(at, has_aux=True)(arrays, None)
        gradient, _ = jax.grad(at, has_aux=True)(arrays, batch)
        whole = eqx.combine(arrays, static)
        loss, squares = objective.loss(whole, batch)
        rows = objective.residuals(whole, batch)
        score = objective.score(whole, objective.validation(KEY, whole))
        return through, gradient, loss, rows, squares, means, score, batch.weights

    through, gradient, loss, rows, squares, means, score, weights = quick(measured)(arrays)
    np.testing.assert_allclose(rows @ rows, loss, rtol=1e-12)
    for a, b in zip(jax.tree.leaves(through), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)
    assert squares.keys() == means.keys()
    np.testing.assert_allclose(list(squares.values()), list(means.values()), rtol=1e-12)
    fixed = loss_of(system, weighting=Fixed(weighting.conditions))
    plain = quick(lambda: fixed.loss(trial, fixed.validation(KEY, trial))[0])()
    np.testing.assert_allclose(score, plain, rtol=1e-12)
    if weights.groups is not None:
        assert weights.updates == 1 and np.all(weights.groups > 0)


def test_averages_and_intervals(system, trial):
    """The first measurement enters whole, later ones by their share, every few live steps."""
    objective = loss_of(system, weighting=GradientNorm(keep=0.75, every=3))
    other = network(1)
    follow = quick(lambda *place: objective.follow(*place))
    batch, seen = quick(lambda: objective.sample(KEY, trial, 0))(), []
    alone = follow(other, batch, jnp.asarray(0)).weights.groups
    for step in range(4):
        batch = follow(trial if step < 3 else other, batch, jnp.asarray(step))
        seen.append(batch.weights.groups)
    np.testing.assert_array_equal(seen[0], seen[2])
    np.testing.assert_allclose(seen[3], 0.75 * seen[0] + 0.25 * alone, rtol=1e-12)
    assert batch.weights.updates == 2


def test_a_residual_without_gradient_gets_the_largest_weight():
    rule = GradientNorm(largest=50.0)
    sizes = iter([jnp.array([1.0, 0.0, 3.0]), jnp.array([jnp.nan, 1.0, 1.0])])
    state = rule.start(3, ())
    measure = type("Measure", (), {"gradients": lambda _, weights: next(sizes)})()
    state = rule.measured(state, measure)
    np.testing.assert_allclose(state.groups, [4 / 3, 50, 4 / 9])
    again = rule.measured(state, measure)
    np.testing.assert_array_equal(again.groups, state.groups)
    assert again.updates == 1


def after(looks):
    left = iter(range(10**6))
    return lambda: next(left) >= looks


@pytest.mark.accuracy
@pytest.mark.parametrize(
    "sampling, weighting",
    [(R3(), Attention()), (RARD(share=0.2), NTK(places=4, every=4))],
    ids=["R3-Attention", "RARD-NTK"],
)
def test_fits_resume_exactly_with_one_compilation(
    single, sampling, weighting, monkeypatch, tmp_path
):
    """Interrupted in a first-order stage and then in one with a line search."""
    ladder = Causal((1e-3, 1e-2, 0.1, 1.0, 10.0), slabs=4, most=3, every=2)
    slabs = TimeSlabs(0.0, 0.5, ladder) if isinstance(sampling, R3) else None
    objective = loss_of(single, sampling=sampling, weighting=weighting, slabs=slabs)
    trial = network(0, fields=1)
    stages = (
        Adam(steps=12, resample_every=3),
        SSBFGS(steps=12, resample_every=4, refreeze_every=2),
    )
    traces, carries = [], {}

    def compiled(rest, stage, unpack):
        advance = dispatch.compiled(rest, stage, unpack)

        def kept(arrays, carry, key, limit):
            carries[stage.name] = advance(arrays, carry, key, limit)
            return carries[stage.name]

        return kept

    monkeypatch.setattr(program_module, "compiled", compiled)
    program = program_module.Program(objective, trial)
    renewed = dispatch._renewed
    monkeypatch.setattr(dispatch, "_renewed", lambda *a: (traces.append(a[1].name), renewed(*a))[1])
    run = lambda **options: fit(  # noqa: E731
        objective, trial, stages, key=KEY, record_every=3, program=program, **options
    )
    whole = run()
    batch = carries["SSBFGS"].batch
    assert batch.drawn == 4 + 3
    if batch.weights.updates is not None:
        assert batch.weights.updates == 3 + 6
    if slabs is not None:
        climbed = whole.history["epsilon"]
        assert climbed[0] < climbed[3] <= climbed[4] and batch.causal.rung > 1
        np.testing.assert_allclose(whole.history["causal weight"][-1], batch.causal.weights[-1])
    path = tmp_path / "run.h5"
    for looks in (2, 3):
        part = run(checkpoint=path, interrupted=after(looks))
        assert not part.finished
    resumed = run(checkpoint=path)
    pairs = zip(
        jax.tree.leaves((whole.params, whole.state, batch)),
        jax.tree.leaves((resumed.params, resumed.state, carries["SSBFGS"].batch)),
        strict=True,
    )
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert traces == ["Adam", "SSBFGS"]


@pytest.mark.parametrize(
    "rule, wanted",
    [
        (lambda: Fixed(0.0), r"Fixed\(conditions=0.0\).*a factor above zero"),
        (lambda: GradientNorm(keep=1.0), "0 <= keep < 1"),
        (lambda: NTK(places=0), "whole number of places"),
        (lambda: NTK(every=0), "whole number of steps"),
        (lambda: Attention(rate=0), "a rate above zero"),
        (lambda: Attention(groups=Attention()), r"groups=Fixed\(\), GradientNorm\(\) or NTK\(\)"),
    ],
)
def test_messages(rule, wanted):
    with pytest.raises(OptionError, match=wanted):
        rule()


def test_default_sampling_is_all_residual_based(system):
    assert loss_of(system).sampling == RAD() and loss_of(system).weighting == Fixed()
