"""Round trips are exact, and hostile or foreign content is refused without being run."""

import json

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Problem,
    coordinates,
    eigenvalue,
    field,
    parameter,
)
from pinnkit.ansatz import build_ansatz, enforce
from pinnkit.compile import compile_problem
from pinnkit.errors import OptionError, RunFileError
from pinnkit.nn import KAN, MLP, Factorized, Fourier, ModifiedMLP, PirateNet, Separable
from pinnkit.solution import Pointwise, Solution, Status
from pinnkit.store.expressions import from_tree, to_tree

pytestmark = pytest.mark.usefixtures("x64")
t, x = coordinates("t x")
u, nu = field("u", t, x), parameter("nu", 0.01 / sp.pi)


def solution(network=MLP()):  # noqa: B008
    problem = Problem(
        "burgers",
        Box(t=(0, 1), x=(-1, 1), time="t"),
        [
            Equation(sp.Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2))),
            Initial(u, -sp.sin(sp.pi * x)),
            Dirichlet(u, 0, on=("x-", "x+")),
        ],
    )
    ansatz = build_ansatz(enforce(compile_problem(problem)), network, key=jax.random.key(1))
    return Solution(
        problem,
        Pointwise(ansatz),
        "PINN",
        Status(True, "done"),
        history={"step": np.arange(4), "loss": np.array([1.0, np.inf, 0.5, np.nan])},
        error_estimate={"u": 1e-3},
    )


@pytest.mark.parametrize(
    "network",
    [
        Factorized(PirateNet(5, 1)),
        Fourier(ModifiedMLP(5, 2), 4),
        Separable(2, MLP(4, 1)),
        KAN(3, 1, 4),
    ],
    ids=lambda a: type(a).__name__,
)
def test_every_network_comes_back_as_it_was(network, tmp_path):
    before = solution(network)
    after = Solution.load(before.save(tmp_path / "run.h5"))
    points = np.random.default_rng(0).random((20, 2))
    assert np.array_equal(before.evaluator(points), after.evaluator(points))


def test_round_trip_is_bit_equal(tmp_path):
    before = solution()
    after = Solution.load(before.save(tmp_path / "run.h5"))
    points = {"t": np.linspace(0, 1, 50), "x": np.linspace(-1, 1, 50)}
    np.testing.assert_array_equal(before(**points)["u"], after(**points)["u"])
    assert compile_problem(after.problem).digest == compile_problem(before.problem).digest
    assert after.status == before.status and after.error_estimate == before.error_estimate
    for name, values in before.history.items():
        np.testing.assert_array_equal(after.history[name], values)


symbols = st.sampled_from([x, t, nu])
numbers = st.one_of(
    st.integers(-9, 9).map(sp.Integer),
    st.floats(-5, 5).map(sp.Float),
    st.fractions(-3, 3).map(lambda f: sp.Rational(f.numerator, f.denominator)),
    st.just(sp.pi),
)


def combine(children):
    return st.one_of(
        st.builds(sp.Add, children, children),
        st.builds(sp.Mul, children, children),
        st.builds(sp.sin, children),
        st.builds(lambda a, b: sp.Piecewise((a, x > 0), (b, True)), children, children),
        st.builds(lambda a: sp.Pow(a, 2), children),
    )


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.one_of(symbols, numbers), combine, max_leaves=8))
def test_expressions_round_trip(expression):
    tree = json.loads(json.dumps(to_tree(expression, lambda law: law)))
    again = from_tree(tree, lambda law: law)
    assert again == expression
    assert str(again) == str(expression)


@pytest.mark.parametrize("symbol", [eigenvalue("E"), parameter("pi", 1.0), coordinates("I")])
def test_a_symbol_may_bear_the_name_of_a_constant(symbol):
    again = from_tree(to_tree(symbol * sp.E, lambda law: law), lambda law: law)
    assert again == symbol * sp.E and symbol in again.free_symbols


@pytest.mark.parametrize(
    "tree",
    [
        ["__import__", [["Integer", "1"]]],
        ["Lambda", [["Integer", "1"]]],
        ["Integer", "__import__('os').system('true')"],
        ["Coordinate", "x; import os"],
        ["Float", "0x1", 0, 53],
        ["Add"],
        "x",
        7,
    ],
)
def test_hostile_expressions_are_refused(tree):
    with pytest.raises(RunFileError):
        from_tree(tree, lambda law: law)


def edit(path, change):
    with h5py.File(path, "r+") as file:
        tree = json.loads(file["tree"][()])
        change(tree, file)
        del file["tree"]
        file["tree"] = json.dumps(tree)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, f: t["status"].update({"class": "Popen"}), "class 'Popen'"),
        (lambda t, f: t["status"]["fields"].update({"extra": 1}), "has fields"),
        (lambda t, f: t.pop("status"), "lacks parts"),
        (lambda t, f: t["status"].clear(), "malformed"),
        (lambda t, f: f.attrs.update({"version": 99}), "version 99"),
        (lambda t, f: f.attrs.update({"format": "x"}), "not a run file"),
        (lambda t, f: f["arrays"].pop("0"), "cannot be read|malformed"),
    ],
)
def test_foreign_files_are_refused(tmp_path, change, message):
    path = solution().save(tmp_path / "run.h5")
    edit(path, change)
    with pytest.raises(RunFileError, match=message):
        Solution.load(path)


def test_truncated_and_missing_files(tmp_path):
    path = solution().save(tmp_path / "run.h5")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RunFileError, match="truncated or not HDF5"):
        Solution.load(path)
    with pytest.raises(RunFileError, match="does not exist"):
        Solution.load(tmp_path / "none.h5")


def test_networks_of_ones_own_are_passed_in(tmp_path):
    import equinox as eqx

    class Mine(eqx.Module):
        slope: jax.Array

        def __call__(self, z):
            return self.slope * z[:1]

    import dataclasses

    path = dataclasses.replace(solution(), evaluator=Pointwise(Mine(jnp.array(2.0)))).save(
        tmp_path / "own.h5"
    )
    with pytest.raises(RunFileError, match="class 'Mine'.*Solution.load"):
        Solution.load(path)
    assert Solution.load(path, Mine)(t=0.75, x=0.0)["u"] == 1.5


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="Cannot write"):
        solution().save(tmp_path / "file" / "run.h5")
    with pytest.raises(OptionError, match=r"save\('.*z.h5'\).*solution.export"):
        solution().save(tmp_path / "z.npz")
    assert not (tmp_path / "z.npz").exists()


def test_coordinates_are_checked():
    run = solution()
    with pytest.raises(OptionError, match=r"different numbers of dimensions.*array\[:, 0\]"):
        run(t=np.zeros(3), x=np.zeros((3, 1)))
    with pytest.raises(OptionError, match="do not fit together"):
        run(t=np.zeros(3), x=np.zeros(4))
    with pytest.raises(OptionError, match="missing: t. unknown: y"):
        run(x=0.0, y=0.0)
    grid = run(t=np.zeros((2, 1)), x=np.zeros((1, 5)))
    assert grid["u"].shape == (2, 5)
    assert run(t=0.0, x=np.zeros(3))["u"].shape == (3,)
