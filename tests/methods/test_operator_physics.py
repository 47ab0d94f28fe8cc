"""Operators and the equations: residuals on grids, training without data, one declaration."""

import subprocess
import sys

import numpy as np
import pytest
from sympy import Eq, pi, sin, symbols

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.derivatives import FourierAxis, UniformAxis
from pinnkit.errors import OptionError, SpecError
from pinnkit.methods.constraint import ConstraintLayer
from pinnkit.methods.grid_residuals import GridResiduals
from pinnkit.methods.neural_operator.physics import declared

pytestmark = pytest.mark.usefixtures("x64")
t, x = pk.coordinates("t x")


def heat(nu=0.02):
    u = pk.field("u", t, x)
    a = pk.input_function("a", x, law=pk.GaussianField(10, 5, 2, zero_mean=True, modes=4))
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    equation = pk.Equation(Eq(u.diff(t), nu * u.diff(x, 2)), name="heat")
    return pk.Problem("heat", box, (equation, pk.Initial(u, a, name="start"), pk.Periodic(x)))


def test_residuals_vanish_for_the_solution_and_measure_what_is_wrong():
    """u = exp(-nu k^2 t) sin k x: with 2 nu the residual is nu k^2 u, over the scale."""
    grid = (UniformAxis("t", 0.0, 1.0, 33, 6), FourierAxis("x", 0.0, 1.0, 32))
    k, nu = 4 * np.pi, 0.02
    times, places = np.meshgrid(*(axis.nodes for axis in grid), indexing="ij")
    u = np.exp(-nu * k**2 * times) * np.sin(k * places)
    right = GridResiduals.of(compile_problem(heat(nu)), grid, grid[1:])
    found = right(u[0], u[None])
    assert set(found) == {"heat", "start"}
    assert max(np.abs(r).max() for r in found.values()) < 1e-4
    wrong = GridResiduals.of(compile_problem(heat(2 * nu)), grid, grid[1:])
    residual = np.asarray(wrong(u[0], u[None])["heat"]).reshape(u.shape) * wrong.scales[0]
    assert np.allclose(residual, nu * k**2 * u, atol=1e-3)
    assert np.abs(right(u[0] + 0.1, u[None])["start"] * right.scales[1]).max() == pytest.approx(0.1)


def test_integrals_over_space_are_residuals_at_every_instant():
    """Of u^2 = (1 + t)^2 x over [0, 2]: 2 (1 + t)^2, whose lack of c t counts over the length."""
    u, c = pk.field("u", t, x), 3.0
    a = pk.input_function("a", x, law=pk.GaussianField())
    conditions = (
        pk.Equation(Eq(u.diff(t), u.diff(x, 2) + a)),
        pk.Initial(u, 0),
        pk.Dirichlet(u, 0),
        pk.Integral(u**2, c * t, name="energy"),
    )
    system = compile_problem(pk.Problem("p", pk.Box(t=(0, 1), x=(0, 2), time="t"), conditions))
    grid = (UniformAxis("t", 0.0, 1.0, 9, 6), UniformAxis("x", 0.0, 2.0, 17))
    times, places = np.meshgrid(*(axis.nodes for axis in grid), indexing="ij")
    residuals = GridResiduals.of(system, grid, grid[1:])
    found = residuals(places[0], ((1 + times) * np.sqrt(places))[None])["energy"]
    scale = residuals.scales[residuals.names.index("energy")]
    expected = (2 * (1 + times[:, 0]) ** 2 - c * times[:, 0]) / 2
    np.testing.assert_allclose(np.asarray(found) * scale, expected, rtol=1e-12)
    with pytest.raises(OptionError, match="'energy'"):
        ConstraintLayer.of(system.problem, grid, pk.HardConstraint())


def test_what_is_known_before_any_solution():
    u = pk.field("u", t, x)
    a = pk.input_function("a", x, law=pk.GaussianField())
    conditions = (
        pk.Equation(Eq(u.diff(t), u.diff(x, 2) + a)),
        pk.Initial(u, 1 + x),
        pk.Dirichlet(u, 1, on="x-"),
        pk.Neumann(u, 1, on="x+"),
    )
    system = compile_problem(pk.Problem("p", pk.Box(t=(0, 2), x=(0, 1), time="t"), conditions))
    grid = (UniformAxis("t", 0.0, 2.0, 5), UniformAxis("x", 0.0, 1.0, 9))
    facts = declared(system, np.ones((3, 9)), grid, grid[1:])
    assert facts.ends == ((True, False), (True, False))
    assert np.allclose(facts.mean[0, 0], 1 + grid[1].nodes)
    assert np.allclose(facts.mean[0, :, 0], 1.0)
    assert facts.starts == (False,)
    assert declared(compile_problem(heat()), np.ones((3, 9)), grid, grid[1:]).starts == (True,)


@pytest.mark.accuracy
def test_one_declaration_serves_network_generator_and_operator():
    """A PINN, the classical generator and an operator that has seen no solution agree."""
    problem = heat()
    physics = pk.Physics(data=0)
    operator = pk.Operator(
        pk.nn.FNO(16, 5, 3),
        samples=200,
        resolution=16,
        frames=16,
        steps=1200,
        learning_rate=5e-3,
        physics=physics,
    )
    learned = pk.solve(problem, operator, quiet=True)
    data = pk.dataset(problem, 50, resolution=16, frames=16, key=9)
    assert learned.compare(data).table.loc["u", "rel_l2"] < 0.02
    size = 0.2  # one standard deviation of this wave under the law
    member = problem.member(a=size * sin(2 * pi * x))
    pinn = pk.PINN(network=pk.nn.MLP(12, 2), stages=(pk.SSBFGS(steps=300),), points=500)
    network = pk.solve(member, pinn, quiet=True)
    places = {"t": np.linspace(0, 1, 5)[:, None], "x": np.linspace(0, 1, 9)[None]}
    exact = size * np.exp(-0.02 * 4 * np.pi**2 * places["t"]) * np.sin(2 * np.pi * places["x"])
    assert np.abs(network(**places)["u"] - exact).max() < 2e-4
    ours = learned(a=lambda x: size * np.sin(2 * np.pi * x), **places)["u"]
    assert np.linalg.norm(ours - exact) < 0.03 * np.linalg.norm(exact)


def test_members_of_a_family():
    member = heat().member(a=sin(2 * pi * x))
    assert not member.inputs
    classical = pk.solve(member, pk.Lines(), quiet=True)
    value = classical(t=1.0, x=0.25)["u"]
    assert value == pytest.approx(np.exp(-0.02 * 4 * np.pi**2), rel=1e-6)
    with pytest.raises(SpecError, match="Give an expression for each"):
        heat().member(b=x)
    with pytest.raises(SpecError, match="depends on t"):
        heat().member(a=t * x)
    with pytest.raises(SpecError):
        heat().member(a=symbols("x"))


@pytest.mark.accuracy
def test_fine_tuning_by_the_equations_improves_one_instance():
    problem = heat()
    method = pk.Operator(
        pk.nn.FNO(8, 5, 2), samples=40, resolution=16, frames=16, steps=300, learning_rate=5e-3
    )
    learned = pk.solve(problem, method, quiet=True)
    start = np.sin(4 * np.pi * np.arange(16) / 16)
    tuned = pk.fine_tune(learned, {"a": start}, steps=600, learning_rate=3e-3)
    places = {"t": np.linspace(0, 1, 17)[:, None], "x": (np.arange(16) / 16)[None]}
    exact = np.exp(-0.02 * 16 * np.pi**2 * places["t"]) * start
    before = np.linalg.norm(learned(a=start, **places)["u"] - exact)
    after = np.linalg.norm(tuned(**places)["u"] - exact)
    assert after < before / 3
    with pytest.raises(OptionError, match="trains an operator further"):
        pk.fine_tune(
            pk.solve(problem.member(a=sin(2 * pi * x)), pk.Lines(), quiet=True), {"a": start}
        )


EXPORTED = """
import pathlib, sys
import jax.export, numpy as np
call = jax.export.deserialize(bytearray(pathlib.Path(sys.argv[1]).read_bytes())).call
given = np.load(sys.argv[2])
assert not any(name.startswith("pinnkit") for name in sys.modules)
np.save(sys.argv[3], np.asarray(call(given)))
"""


def test_the_function_runs_without_this_package(tmp_path):
    problem = heat()
    method = pk.Operator(pk.nn.FNO(4, 3, 1), samples=20, resolution=8, frames=8, steps=1)
    learned = pk.solve(problem, method, quiet=True)
    path = learned.export(tmp_path / "heat.stablehlo")
    given = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    np.save(tmp_path / "given.npy", given)
    script = tmp_path / "run.py"
    script.write_text(EXPORTED)
    files = [path, tmp_path / "given.npy", tmp_path / "found.npy"]
    subprocess.run([sys.executable, script, *files], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "found.npy")
    grid = {"t": np.linspace(0, 1, 9)[:, None], "x": (np.arange(8) / 8)[None]}
    for function, fields in zip(given, found, strict=True):
        assert np.allclose(learned(a=function, **grid)["u"], fields[0], atol=1e-5)
    with pytest.raises(OptionError, match="only operators"):
        pk.solve(problem.member(a=sin(2 * pi * x)), pk.Lines(), quiet=True).export(path)


SHARED = """
import sys
import numpy as np
import pinnkit as pk
from test_operator_physics import heat
import jax
assert jax.device_count() == int(sys.argv[1])
method = pk.Operator(pk.nn.FNO(4, 3, 1), samples=32, resolution=8, frames=8, steps=20, batch=16)
solution = pk.solve(heat(), method, quiet=True)
np.save(sys.argv[2], solution.history["loss"])
"""


@pytest.mark.accuracy
def test_four_devices_train_as_one(tmp_path):
    """Batches shared out among emulated devices: the same losses to rounding."""
    import os

    script = tmp_path / "run.py"
    script.write_text(SHARED)
    losses = []
    for count in (1, 4):
        flags = f"--xla_force_host_platform_device_count={count}"
        paths = os.pathsep.join([os.path.dirname(__file__), *sys.path])
        environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": paths}
        out = tmp_path / f"{count}.npy"
        subprocess.run([sys.executable, script, str(count), out], check=True, env=environment)
        losses.append(np.load(out))
    assert np.allclose(*losses, rtol=1e-4)
