"""Emulators on scattered points: the step, its training, and what is done between points."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.data import Trajectories
from pinnkit.errors import MethodError, OptionError
from pinnkit.geometry.graph import PointGraph
from pinnkit.methods.emulator import MeshEmulator
from pinnkit.methods.emulator.mesh_objective import SegmentErrors
from pinnkit.methods.emulator.mesh_stepper import MeshNetworks, MeshStepper
from pinnkit.methods.recorded import recorded
from pinnkit.methods.triangles import Triangles
from pinnkit.nn.graph import CorrectedLaplacian, MessagePassing
from pinnkit.nn.initial import built
from pinnkit.solution import Solution

ROOT = Path(__file__).resolve().parents[2]
SMALL = MessagePassing(6, 1)


def cloud(count, seed=0):
    return np.random.default_rng(seed).uniform(size=(count, 2))


def decaying(count=40, samples=3, instants=9, **geometry):
    """Waves that decay at their own rates, at random points."""
    points, times = cloud(count), np.linspace(0, 0.4, instants)
    phases = np.random.default_rng(1).uniform(0, 6, size=(samples, 1, 1))
    u = np.exp(-times)[None, :, None] * np.sin(2 * np.pi * points[:, 0] + phases)
    return Trajectories(("u", "v"), points, times, np.stack([u, 1 + u / 2], -1), **geometry)


def stepper(data, diffusion=(0.02, 0.01), key=None, width=6):
    keys = jax.random.split(jax.random.key(0) if key is None else key)
    small = MessagePassing(width, 1)
    messages, correction = (built(small, 2, 2, key=k) for k in keys)
    networks = MeshNetworks(messages, CorrectedLaplacian(correction))
    return MeshStepper.of(networks, data, diffusion)


@pytest.mark.parametrize("periods", [None, (1.0, 1.0)])
def test_new_step_is_diffusion_by_heuns_method(periods):
    data = decaying(periods=periods)
    u, h = data.values[1, 0], data.step
    laplacian = data.graph.laplacian()
    expected = np.empty_like(u)
    for c, nu in enumerate((0.02, 0.01)):
        once = h * nu * (laplacian @ u[:, c])
        expected[:, c] = u[:, c] + once + h * nu * (laplacian @ once) / 2
    found = eqx.filter_jit(MeshStepper.advance)(stepper(data), jnp.asarray(u, jnp.float32))
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_values_that_never_change_are_kept():
    data = decaying()
    edge = data.graph.boundary
    values = data.values.copy()
    values[:, :, edge, 0] = 0.25
    data = Trajectories(data.fields, data.points, data.times, values)
    start = jnp.asarray(data.values[1, 0], jnp.float32)
    states = np.asarray(eqx.filter_jit(MeshStepper.roll)(stepper(data), start, 5))
    assert states.shape == (6, 40, 2)
    assert np.all(states[1:, edge, 0] == 0.25)
    assert np.all(np.abs(states[-1] - states[0])[:, 1] > 0)


def test_gradients_stop_behind_the_first_prediction(key):
    """The loss is that of the first step, and of the others from a state that counts as given."""
    data = decaying()
    known = stepper(data)
    states = jnp.asarray(data.values, jnp.float32)
    objective = SegmentErrors(known, states, states, data.fields, 1, 3, 0.0)
    batch = objective.sample(key, known.networks, jnp.zeros((), int))
    assert batch.shape == (1, 3, 40, 2)

    def by_hand(networks):
        own = eqx.tree_at(lambda s: s.networks, known, networks)
        total = 0.0
        for truth in batch:
            first = own.advance(truth[0])
            last = own.advance(jax.lax.stop_gradient(first))
            squares = (first - truth[1]) ** 2 + (last - truth[2]) ** 2
            total = total + jnp.sum(jnp.mean(squares, axis=0) / own.deviation**2) / len(batch)
        return total

    loss = lambda p: objective.loss(p, batch)[0]  # noqa: E731
    value, slopes = eqx.filter_jit(eqx.filter_value_and_grad(loss))(known.networks)
    expected, others = eqx.filter_jit(eqx.filter_value_and_grad(by_hand))(known.networks)
    assert jnp.isclose(value, expected, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(slopes), jax.tree.leaves(others), strict=True):
        assert jnp.allclose(a, b, rtol=1e-3, atol=1e-5 * float(expected))


def test_recorded_trajectories_solve_the_equations():
    """Cole and Hopf: velocities -2 nu grad(phi) / phi solve Burgers where phi solves diffusion."""
    system = compile_problem(pk.load(ROOT / "problems/burgers_plane.py", end=0.5))
    x, y, t = sp.symbols("x y t")
    nu = system.parameters["nu"]
    phi = 4 + sp.cos(2 * sp.pi * x) * sp.sin(2 * sp.pi * y) * sp.exp(-8 * sp.pi**2 * nu * t)
    flow = [sp.lambdify((x, y, t), -2 * nu * phi.diff(s) / phi) for s in (x, y)]
    s = np.arange(48) / 48
    grid = np.meshgrid(s, s, indexing="ij")
    points = cloud(30) * 3 - 1
    starts = np.stack([f(*grid, 0.0) for f in flow])[None]
    data = recorded(system, starts, points, frames=4, steps=16)
    assert data.values.shape == (1, 5, 30, 2) and data.periods == (1.0, 1.0)
    for time, found in zip(data.times, data.values[0], strict=True):
        expected = np.stack([f(*points.T, time) for f in flow], axis=1)
        assert np.abs(found - expected).max() < 1e-6 * np.abs(starts).max()


@pytest.mark.parametrize("periods", [None, (1.0, 1.0)])
def test_linear_functions_between_points_are_exact(periods):
    points = cloud(50)
    graph = PointGraph.delaunay(points, periods)
    probe = 0.4 + 0.2 * cloud(20, 3)
    corners, shares = Triangles.of(graph).find(jnp.asarray(probe))
    places = points[np.asarray(corners)]
    if periods is not None:
        places = places - np.rint(places - probe[:, None])
    shares = np.asarray(shares)
    assert np.allclose(np.sum(shares[..., None] * places, axis=1), probe, atol=1e-5)
    assert shares.min() > -1e-5


@pytest.mark.accuracy
def test_solution_is_the_rolled_state_at_the_points(tmp_path):
    problem = pk.load(ROOT / "problems/burgers_plane.py", end=0.4)
    data = decaying(periods=(1.0, 1.0))
    method = MeshEmulator(data, SMALL, SMALL, steps=2, batch=1, segment=3)
    solution = pk.solve(problem, method, key=1, quiet=True)
    field = solution.evaluator
    states = np.asarray(field.states())
    assert states.shape == (9, 40, 2)
    u = solution(t=np.full(40, data.times[3]), x=data.points[:, 0], y=data.points[:, 1])["u"]
    assert np.allclose(u, states[3, :, 0], atol=1e-5)
    # the initial state is the problem's own
    x, y = data.points.T
    expected = np.cos(2 * np.pi * (x - y)) / 2 + np.sin(2 * np.pi * (x + 2 * y)) / 4
    expected += np.cos(2 * np.pi * 3 * x + 2) / 4
    assert np.allclose(states[0, :, 1], expected, atol=1e-5)
    again = Solution.load(solution.save(tmp_path / "run.h5"))
    assert np.array_equal(again(t=0.15, x=0.3, y=0.4)["v"], solution(t=0.15, x=0.3, y=0.4)["v"])
    assert solution.stats["points"] == 40 and solution.error_estimate is not None


def test_refusals():
    data = decaying()
    steady = pk.load(ROOT / "problems/poisson2d.py")
    with pytest.raises(MethodError, match="no time derivative"):
        pk.solve(steady, MeshEmulator(data), quiet=True)
    with pytest.raises(MethodError, match="its fields are w, psi|no time derivative"):
        pk.solve(pk.load(ROOT / "problems/ns_torus.py"), MeshEmulator(data), quiet=True)
    with pytest.raises(OptionError, match="at least 2"):
        MeshEmulator(data, segment=1)
    with pytest.raises(OptionError, match="equal distances"):
        Trajectories(("u",), cloud(4), np.array([0, 1, 3.0]), np.zeros((1, 3, 4, 1)))
    with pytest.raises(OptionError, match="should have shape"):
        Trajectories(("u",), cloud(4), np.array([0, 1.0]), np.zeros((1, 3, 4, 1)))
