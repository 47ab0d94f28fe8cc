"""Networks in space whose weights evolve: orders in time, conditions, resume, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import Eq, cos, exp, pi, sin

import pinnkit as pk
from pinnkit import precision
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError, RunFileError
from pinnkit.methods.base import Run
from pinnkit.methods.evolving.field import EvolvingField, weights_of
from pinnkit.methods.evolving.space import frozen, space_of

t, x, y = pk.coordinates("t x y")
u, v = pk.field("u", t, x), pk.field("v", t, x)
TINY = pk.nn.MLP(6, 1)
MARCH = pk.Evolving(TINY, pk.ImplicitMidpoint(1 / 8))


def turning():
    """Two fields that are carried along while they turn into each other; periodic."""
    return pk.Problem(
        name="turning",
        domain=pk.Box(t=(0, 1), x=(0, 2 * pi), time="t"),
        conditions=[
            pk.Equation(Eq(u.diff(t), v - u.diff(x))),
            pk.Equation(Eq(v.diff(t), -u - v.diff(x))),
            pk.Initial(u, sin(x)),
            pk.Initial(v, 0),
            pk.Periodic(x),
        ],
        exact={u: cos(t) * sin(x - t), v: -sin(t) * sin(x - t)},
    )


SINE = sin(pi * x)


def heat(*conditions, initial=SINE):
    return pk.Problem(
        name="heat",
        domain=pk.Box(t=(0, 0.5), x=(0, 1), time="t"),
        conditions=[
            pk.Equation(Eq(u.diff(t), u.diff(x, 2) / 4)),
            pk.Initial(u, initial),
            *conditions,
        ],
    )


@pytest.fixture(scope="module")
def system():
    """One system, so that runs share what is compiled."""
    return compile_problem(turning())


def run(system, method, **options):
    with precision.scope("float64"):
        return method.run(system, Run(jax.random.key(0), **options))


def error(solution, times):
    """Largest error over both fields at the given times."""
    ts, xs = np.meshgrid(times, np.linspace(0, 2 * np.pi, 40), indexing="ij")
    found = solution(t=ts, x=xs)
    exact = {"u": np.cos(ts) * np.sin(xs - ts), "v": -np.sin(ts) * np.sin(xs - ts)}
    return max(np.abs(found[name] - exact[name]).max() for name in exact)


@pytest.mark.accuracy
def test_midpoint_is_of_second_order_at_and_between_the_steps(system):
    errors = []
    for steps in (8, 16):
        solution = run(system, pk.Evolving(TINY, pk.ImplicitMidpoint(1 / steps)))
        assert solution.status.ok and len(solution.history["step"]) == steps + 1
        errors.append((error(solution, [1.0]), error(solution, np.linspace(0, 1, 33))))
    assert np.log2(np.divide(*errors)) == pytest.approx(2, abs=0.1)


def test_run_file_gives_the_same_field(system, tmp_path):
    solution = run(system, MARCH)
    loaded = pk.Solution.load(solution.save(tmp_path / "run.h5"))
    at = {"t": np.linspace(0, 1, 50), "x": np.linspace(0, 6, 50)}
    assert np.array_equal(solution(**at)["v"], loaded(**at)["v"])


def test_interrupted_run_keeps_its_steps_and_resumes_exactly(system, tmp_path):
    steps, path = [], tmp_path / "state.h5"
    options = {"report": lambda p: steps.append(p.step), "checkpoint": path}
    partial = run(system, MARCH, interrupted=lambda: bool(steps) and steps[-1] == 3, **options)
    assert partial.status.interrupted and not partial.status.ok
    assert partial.status.reason == "interrupted; of use up to t = 0.375"
    assert np.isfinite(partial(t=0.375, x=1.0)["u"]) and np.isnan(partial(t=0.4, x=1.0)["u"])

    whole, resumed = run(system, MARCH), run(system, MARCH, checkpoint=path)
    assert np.array_equal(whole.evaluator.weights, resumed.evaluator.weights)
    assert np.array_equal(whole.history["residual"], resumed.history["residual"])
    with pytest.raises(RunFileError, match="training stages"):
        run(system, pk.Evolving(TINY, pk.ImplicitEuler()), checkpoint=path)


def test_unresolved_initial_values_end_the_run(system):
    solution = run(system, pk.Evolving(pk.nn.MLP(1, 1), tolerance=1e-9))
    assert not solution.status.ok and solution.stats["initial residual"] > 1e-9
    assert "the initial values left a residual" in solution.status.reason
    assert "of use up to t = 0" in solution.status.reason


def test_budget_is_kept(system):
    solution = run(system, pk.Evolving(TINY, pk.ImplicitMidpoint(1 / 8)), seconds=1e-3)
    assert "time budget" in solution.status.reason and np.isfinite(solution(t=0, x=1.0)["u"])


def test_moving_boundary_values_are_exact_for_all_weights(x64):
    system = compile_problem(
        heat(
            pk.Dirichlet(u, sin(t), on="x-"),
            pk.Neumann(u, exp(t), on="x+"),
            initial=x**2 / 2,
        )
    )
    account = frozen(system)
    assert [r.name for r in account.soft] == []
    space = space_of(system, account, TINY, harmonics=1, points=50, key=jax.random.key(1))
    for time in (0.0, 0.3):
        f = space.template
        assert float(f(jnp.array([time, 0.0]))[0]) == pytest.approx(np.sin(time), abs=1e-14)
        end, along = jnp.array([time, 1.0]), jnp.array([0.0, 1.0])
        assert float(jax.jvp(f, (end,), (along,))[1][0]) == pytest.approx(np.exp(time), rel=1e-13)


def test_fields_between_times_are_cubic(system, x64):
    account = frozen(system)
    ansatz = space_of(system, account, TINY, harmonics=1, points=50, key=jax.random.key(1)).template
    times = jnp.array([0.0, 0.1, 0.3, 0.35, 0.6])
    weights, shift = weights_of(ansatz), np.zeros(weights_of(ansatz).size)
    shift[-1] = 1.0  # the bias of the last field
    path = jnp.stack([weights + s**3 * shift for s in times])
    points = jnp.array([[s, 2.0] for s in np.linspace(0, 0.6, 13)])
    found = EvolvingField(ansatz, path, times, 0)(points)[:, 1]
    expected = ansatz(points[0])[1] + points[:, 0] ** 3
    assert np.allclose(found, expected, rtol=0, atol=1e-14)
    assert np.isnan(EvolvingField(ansatz, path, times, 0)(jnp.array([[0.61, 2.0]]))).all()


@pytest.mark.parametrize(
    ("problem", "method", "reason"),
    [
        (
            pk.Problem(
                "wave",
                pk.Box(t=(0, 1), x=(0, 1), time="t"),
                [
                    pk.Equation(Eq(u.diff(t, 2), u.diff(x, 2))),
                    pk.Initial(u, sin(pi * x)),
                    pk.Initial(u.diff(t), 0),
                    pk.Dirichlet(u, 0),
                ],
            ),
            pk.Evolving(),
            "second or higher time derivative",
        ),
        (
            heat(pk.Robin(u, 1, 1, 0, on="x-"), pk.Dirichlet(u, 0, on="x+"), initial=0),
            pk.Evolving(stepping=pk.Projected()),
            "Projected keeps only conditions",
        ),
        (
            heat(pk.Dirichlet(u, 0), pk.Observed(u, at={"t": [0.1], "x": [0.5]}, values=[0.3])),
            pk.Evolving(),
            "no condition on the boundary at each time",
        ),
    ],
)
def test_refusals(problem, method, reason):
    with pytest.raises(MethodError, match=reason):
        pk.solve(problem, method, quiet=True)


def test_steady_problems_are_refused():
    w = pk.field("w", x)
    problem = pk.Problem(
        "steady", pk.Box(x=(0, 1)), [pk.Equation(Eq(w.diff(x, 2), 1)), pk.Dirichlet(w, 0)]
    )
    with pytest.raises(MethodError, match="no time evolution"):
        pk.solve(problem, pk.Evolving(), quiet=True)


def test_options_out_of_range():
    with pytest.raises(OptionError, match="no step in time"):
        pk.ImplicitEuler(-1.0)
    with pytest.raises(OptionError, match="no step in time"):
        pk.Projected(dt=0.0)
    with pytest.raises(OptionError, match="out of range"):
        pk.Projected(ridge=2.0)
    with pytest.raises(OptionError, match="out of range"):
        pk.Evolving(tolerance=0.0)
    with pytest.raises(OptionError, match="too few"):
        pk.Evolving(points=1)
