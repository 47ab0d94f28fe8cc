"""PINN as a method: accuracy on known solutions, exact conditions, account, messages."""

from pathlib import Path

import jax
import numpy as np
import pytest
from sympy import Eq, pi, sin

from pinnkit.ansatz import build_ansatz, enforce
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.geometry import Box
from pinnkit.methods.base import Run
from pinnkit.methods.pinn import PINN
from pinnkit.methods.pinn_defaults import default_network, default_sampling, recommended_stages
from pinnkit.nn import MLP, Factorized, Fourier, PirateNet, Separable
from pinnkit.objective import Causal
from pinnkit.objective.sampling import R3, RAD, Grid
from pinnkit.objective.weighting import NTK, Attention, Fixed
from pinnkit.spec.condition import Dirichlet, Equation, Initial, Robin
from pinnkit.spec.load import load
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, eigenvalue, field, parameter
from pinnkit.training import SSBFGS, FactoredSSBFGS, LastLayer

pytestmark = pytest.mark.usefixtures("x64")
t, x = coordinates("t x")
u = field("u", t, x)
nu = parameter("nu", 0.1)


def diffusion():
    return compile_problem(
        Problem(
            name="diffusion",
            domain=Box(t=(0, 1), x=(0, 1), time="t"),
            conditions=[
                Equation(Eq(u.diff(t), nu * u.diff(x, 2)), name="diffusion"),
                Initial(u, sin(pi * x)),
                Dirichlet(u, 0, on=("x-", "x+")),
            ],
        )
    )


def small(steps=120, **options):
    return PINN(MLP(10, 2), (SSBFGS(steps=steps, resample_every=60),), points=300, **options)


@pytest.fixture(scope="module")
def solved():
    from pinnkit import precision

    reports = []
    with precision.scope("float64"):
        run = Run(jax.random.key(1), report=reports.append)
        return small().run(diffusion(), run), reports


def test_error_against_the_exact_solution(solved):
    solution, _ = solved
    ts, xs = np.linspace(0, 1, 21)[:, None], np.linspace(0, 1, 41)[None, :]
    exact = np.exp(-0.1 * np.pi**2 * ts) * np.sin(np.pi * xs)
    error = np.linalg.norm(solution(t=ts, x=xs)["u"] - exact) / np.linalg.norm(exact)
    assert error < 1e-4


def test_conditions_are_exact(solved):
    solution, _ = solved
    s = np.linspace(0, 1, 50)
    np.testing.assert_allclose(solution(t=0, x=s)["u"], np.sin(np.pi * s), atol=1e-14)
    np.testing.assert_allclose(solution(t=s, x=0)["u"], 0, atol=1e-14)
    np.testing.assert_allclose(solution(t=s, x=1)["u"], 0, atol=1e-14)
    assert "exact" in solution.stats["conditions"]


def test_account_of_the_run(solved):
    solution, reports = solved
    assert solution.status.ok and "all steps done" in solution.status.reason
    assert {"step", "wall_s", "loss", "validation", "diffusion"} <= set(solution.history)
    assert len({len(column) for column in solution.history.values()}) == 1
    assert solution.error_estimate is None
    assert 0 < solution.stats["held-out rms diffusion"] < 1e-2
    assert solution.stats["parameters"] == 3 * 10 + 11 * 10 + 11
    assert reports[-1].stage == "SSBFGS" and reports[-1].of == 120


@pytest.mark.accuracy
def test_resumed_run_equals_an_uninterrupted_one(solved, tmp_path):
    whole, _ = solved
    looks = iter(range(100))
    path = tmp_path / "run.h5"
    run = Run(jax.random.key(1), checkpoint=path, interrupted=lambda: next(looks) > 3)
    part = small().run(diffusion(), run)
    assert part.status.interrupted and part.history["step"][-1] < 120
    again = small().run(diffusion(), Run(jax.random.key(1), checkpoint=path))
    s = np.linspace(0, 1, 9)
    np.testing.assert_array_equal(again(t=s, x=s)["u"], whole(t=s, x=s)["u"])


@pytest.mark.accuracy
def test_causal_weights_train_too():
    method = small(steps=50, causality=Causal(epsilons=(1e-3, 1.0), slabs=8, stop=False))
    reports = []
    solution = method.run(diffusion(), Run(jax.random.key(0), report=reports.append))
    history = solution.history
    assert history["diffusion"][-1] < 0.5 * history["diffusion"][0]
    # one check, at the start, when the first rung is done
    assert set(history["epsilon"]) == {1.0} and np.all(np.diff(history["causal weight"]) == 0)
    assert reports[-1].losses["causal weight"] == history["causal weight"][-1] < 1
    assert solution.stats["causality"].startswith("min w = 0.99")
    assert solution.stats["causality"].endswith("at epsilon = 1: certified")


def test_causality_is_refused_where_it_means_nothing():
    v = field("v", x)
    conditions = [Equation(v.diff(x, 2) + 1), Dirichlet(v, 0)]
    system = compile_problem(Problem("string", Box(x=(0, 1)), conditions))
    with pytest.raises(MethodError, match="causality=.*'string': no equation has a time"):
        PINN(causality=Causal()).run(system, Run(jax.random.key(0)))
    with pytest.raises(OptionError, match=r"causality=1.0.*Give Causal\(epsilons="):
        PINN(causality=1.0)


@pytest.mark.accuracy
def test_soft_conditions_are_learnt():
    v = field("v", x)
    problem = Problem(
        name="robin",
        domain=Box(x=(0, 1)),
        conditions=[Equation(v.diff(x, 2), name="line"), Dirichlet(v, 1, on="x-"),
                    Robin(v, 1, 1, 3, on="x+", name="robin")],
    )  # fmt: skip
    solution = small(steps=160).run(compile_problem(problem), Run(jax.random.key(0)))
    s = np.linspace(0, 1, 9)
    assert "soft   robin" in solution.stats["conditions"]
    np.testing.assert_allclose(solution(x=s)["v"], 1 + s, atol=1e-4)


def test_networks_without_curvature_are_refused():
    """The second derivative of a network of relu units is zero almost everywhere."""
    v = field("v", x)
    conditions = [Equation(v.diff(x, 2) + 1), Dirichlet(v, 0)]
    system = compile_problem(Problem("string", Box(x=(0, 1)), conditions))
    method = PINN(network=MLP(8, 2, activation="relu"), stages=(SSBFGS(steps=2),))
    with pytest.raises(MethodError, match=r"piecewise linear.*order 2.*tanh"):
        method.run(system, Run(jax.random.key(0)))


def test_defaults_follow_the_problem():
    """Sums of products for linear problems on boxes of two or three axes."""
    folder = Path(__file__).resolve().parents[2] / "problems"
    kinds = {"helmholtz2d": Separable, "helmholtz3d": Separable, "heat1d": Separable}
    kinds |= {"burgers": MLP, "poisson5d": MLP, "poisson_disks": MLP, "legendre": MLP}
    for name, kind in kinds.items():
        assert isinstance(default_network(compile_problem(load(folder / f"{name}.py"))), kind)


def test_sampling_follows_the_network_and_the_problem():
    """Grids for sums of products on boxes, else by the residual, less so above second order."""
    folder = Path(__file__).resolve().parents[2] / "problems"
    system = {n: compile_problem(load(folder / f"{n}.py")) for n in ("heat1d", "kdv", "l_shape")}
    product = Separable(2, MLP(4, 1))
    assert default_sampling(system["heat1d"], product) == Grid()
    assert default_sampling(system["heat1d"], MLP(4, 1)) == RAD()
    assert default_sampling(system["kdv"], MLP(4, 1)) == RAD(share=0.2)
    assert default_sampling(system["l_shape"], product) == RAD()


def test_options_reach_the_objective():
    system = diffusion()
    method = PINN(weighting=Attention(groups=NTK()))
    made = method.objective(system, enforce(system), jax.random.key(0), 100, R3())
    assert made.sampling == R3() and made.weighting == Attention(groups=NTK())
    plain = PINN().objective(system, enforce(system), jax.random.key(0), 100, RAD())
    assert plain.weighting == Fixed(10.0)


PRODUCT = PINN(Separable(4, MLP(8, 1)), (FactoredSSBFGS(steps=120, resample_every=40),), points=512)


@pytest.mark.accuracy
def test_a_sum_of_products_resumed_on_grids_equals_an_uninterrupted_one(tmp_path):
    whole = PRODUCT.run(diffusion(), Run(jax.random.key(1)))
    assert "from factors on 2 grids of 16 x 16" in whole.stats["derivatives"]
    looks, path = iter(range(100)), tmp_path / "run.h5"
    run = Run(jax.random.key(1), checkpoint=path, interrupted=lambda: next(looks) > 3)
    part = PRODUCT.run(diffusion(), run)
    assert part.status.interrupted and part.history["step"][-1] < 120
    again = PRODUCT.run(diffusion(), Run(jax.random.key(1), checkpoint=path))
    s = np.linspace(0, 1, 9)
    np.testing.assert_array_equal(again(t=s, x=s)["u"], whole(t=s, x=s)["u"])
    ts, xs = s[:, None], s[None, :]
    exact = np.exp(-0.1 * np.pi**2 * ts) * np.sin(np.pi * xs)
    np.testing.assert_allclose(whole(t=ts, x=xs)["u"], exact, atol=1e-3)


def test_grids_are_refused_where_they_do_not_apply():
    folder = Path(__file__).resolve().parents[2] / "problems"
    run, product = Run(jax.random.key(0)), Separable(2, MLP(4, 1))
    with pytest.raises(MethodError, match=r"'diffusion': a MLPNetwork is no sum.*Separable"):
        PINN(MLP(4, 1), sampling=Grid()).run(diffusion(), run)
    disks = compile_problem(load(folder / "l_shape.py"))
    with pytest.raises(MethodError, match="its domain is no box"):
        PINN(product, sampling=Grid()).run(disks, run)
    with pytest.raises(MethodError, match=r"PINN\(windows=2\) cannot draw from a Grid"):
        PINN(product, sampling=Grid(), windows=2).run(diffusion(), run)


def test_only_networks_that_begin_linear_start_by_least_squares():
    enforcement = enforce(diffusion())

    def kinds(network):
        ansatz = build_ansatz(enforcement, network, key=jax.random.key(0))
        return tuple(type(stage) for stage in recommended_stages(ansatz, None))

    assert kinds(MLP(30, 3)) == (SSBFGS,)
    assert kinds(MLP(8, 2)) == (FactoredSSBFGS,)
    assert kinds(Separable(2, MLP(4, 1))) == (FactoredSSBFGS,)
    pirate = PirateNet(6, 1)
    for network in (pirate, Fourier(pirate, 4), Factorized(pirate)):
        assert kinds(network) == (LastLayer, FactoredSSBFGS)


def test_refuses_eigenvalue_problems():
    v, E = field("v", x), eigenvalue("E")
    system = compile_problem(
        Problem(
            name="well",
            domain=Box(x=(0, 1)),
            conditions=[
                Equation(Eq(-v.diff(x, 2), E * v), name="schroedinger"),
                Dirichlet(v, 0),
            ],
        )
    )
    assert "eigenvalue" in PINN().supports(system)
    assert PINN().supports(diffusion()) is None
