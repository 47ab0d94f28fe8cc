"""When training ends by itself, and what is told of the error that windows add up to."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import Eq, cos

import pinnkit as pk
from pinnkit.ansatz import enforce
from pinnkit.compile import compile_problem
from pinnkit.errors import OptionError
from pinnkit.methods.base import Run
from pinnkit.methods.budget import defects
from pinnkit.methods.closing import Closing
from pinnkit.methods.finished import Window, error_budget
from pinnkit.methods.windows import March, Recipe
from pinnkit.objective import Trial
from pinnkit.objective.sampling import Even
from pinnkit.training import Look

pytestmark = pytest.mark.usefixtures("x64")
t = pk.coordinates("t")
u, v = pk.field("u", t), pk.field("v", t)
KEY = jax.random.key(0)
FALL = pk.Problem(
    "fall", pk.Box(t=(0, 1), time="t"), [pk.Equation(Eq(u.diff(t), -u)), pk.Initial(u, 1)]
)


class Decay(eqx.Module):
    """exp(-rate t), the solution for rate = 1."""

    rate: jax.Array

    def __call__(self, z):
        return jnp.exp(-self.rate * z[0])[None]


@pytest.fixture(scope="module")
def judged():
    """Verdicts on a decay at some rate, score and epsilon, for a rule of causal weights."""
    from pinnkit import precision

    system = compile_problem(FALL)

    def made(tolerance, **options):
        rule = pk.Causal(epsilons=(1.0, 10.0), slabs=4, **options)
        method = pk.PINN(points=64, causality=rule)
        with precision.scope("float64"):
            objective = method.objective(system, enforce(system), KEY, 10, Even())
            closing = Closing(objective, KEY, tolerance)

        def verdict(rate=1.0, score=1e-8, epsilon=10.0):
            trial = Trial(Decay(jnp.asarray(rate)), {})
            return closing(Look({"step": 5.0, "epsilon": epsilon}, score, lambda: trial))

        return verdict

    return made


def test_a_certificate_ends_training_on_the_last_rung_alone(judged):
    verdict = judged(None)
    assert verdict() == "the certificate holds"
    assert verdict(epsilon=1.0) is None and verdict(rate=0.5) is None
    assert judged(None, stop=False)() is None


def test_all_that_is_asked_must_hold(judged):
    both = judged(1e-3)
    assert both() == "the tolerance 0.001 was reached and the certificate holds"
    assert both(score=1e-4) is None and both(score=np.nan) is None and both(epsilon=1.0) is None
    assert judged(1e-3, stop=False)(epsilon=1.0) == "the tolerance 0.001 was reached"
    with pytest.raises(OptionError, match=r"tolerance=0.*positive number, such as 1e-4"):
        pk.PINN(tolerance=0)


COUPLED = pk.Problem(
    "coupled",
    pk.Box(t=(0.5, 2), time="t"),
    [
        pk.Equation(Eq(u.diff(t) + v.diff(t), cos(t)), name="sum"),
        pk.Equation(Eq(2 * v.diff(t) - u.diff(t), t), name="difference"),
        pk.Initial(u, 0),
        pk.Initial(v, 1),
    ],
    scales={u: 2, v: 0.5},
)


@pytest.mark.accuracy
def test_the_error_of_a_march_is_within_its_budget_where_nothing_is_amplified():
    """For random weights in three windows, against quadrature in closed form."""
    system, net = compile_problem(COUPLED), pk.nn.MLP(3, 1)
    pinn = pk.PINN(points=100)
    make = lambda s, account, size: pinn.objective(s, account, KEY, size, Even())  # noqa: E731
    recipe = Recipe(net, 1, make, lambda *_: (), "", 0.1)
    march = March(recipe, system, enforce(system), Run(KEY), jax.random.split(KEY, 3))
    march.length, rng = 0.5, np.random.default_rng(3)
    for _ in range(3):
        part = jax.tree.map(
            lambda a: jnp.asarray(rng.normal(size=a.shape)) if eqx.is_inexact_array(a) else a,
            march._part(False),
        )
        found = dict(history={"step": np.array([1.0])}, score=0.0, status="made up")
        objective = march._objective(False)
        march._close(objective, SimpleNamespace(params=Trial(part, {}), **found))
    got = np.asarray(march.function()(jnp.array([2.0])))
    total, turned = np.sin(2) - np.sin(0.5), (2**2 - 0.5**2) / 2
    v_rise = (total + turned) / 3
    error = np.abs(got - [total - v_rise, 1 + v_rise]) / [2, 0.5]
    budget = [sum(w.defects[name] for w in march.done) for name in "uv"]
    assert np.all(error > 0.01 * np.array(budget)) and np.all(error <= budget)
    rows = error_budget(march.done, "t").splitlines()
    assert len(rows) == 4 and rows[-1].split()[-1] == f"{budget[1]:.1e}"


def test_defects_of_second_order_and_of_rates_that_are_not_determined():
    """|r| h in units of the rate, scale / (half the time); infinite where rates are free."""
    box, start = pk.Box(t=(0, 4), time="t"), [pk.Initial(u, 1)]
    spring = pk.Equation(Eq(5 * u.diff(t, 2) + u.diff(t), u), name="spring")
    conditions = [spring, *start, pk.Initial(u.diff(t), 0)]
    system = compile_problem(pk.Problem("spring", box, conditions, scales={u: 3}))
    found = defects(system, {"spring": 7.0}, {"spring": 0.3}, 1.0)
    np.testing.assert_allclose(found["u"], 0.3 * 7 / 5 / (3 / 2), rtol=1e-12)
    rate = u.diff(t) + v.diff(t)
    twice = [pk.Equation(Eq(rate, v), name="a"), pk.Equation(Eq(2 * rate, u), name="b")]
    system = compile_problem(pk.Problem("twice", box, [*twice, *start, pk.Initial(v, 1)]))
    found = defects(system, {"a": 1.0, "b": 1.0}, {"a": 0.1, "b": 0.1}, 1.0)
    assert found == {"u": np.inf, "v": np.inf}


def test_windows_survive_a_checkpoint():
    window = Window(0.5, 1.0, np.arange(3.0), {"step": np.array([25.0])}, {"a": 0.1}, 0.2,
                    "the certificate holds", "min w", {"u": 1e-3})  # fmt: skip
    again = Window.of(window.notes(), window.part)
    assert again.account("t") == window.account("t") and again.notes() == window.notes()
    assert window.account("t") == (
        "t = 0.5 to 1.5: 25 steps, held-out residual 1.0e-01, u defect 1.0e-03, "
        "the certificate holds, min w"
    )
