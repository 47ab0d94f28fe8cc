"""Families whose walls contradict, and outrank, their initial states."""

from pathlib import Path

import jax
import numpy as np
import pytest
import scipy
import sympy as sp

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.derivatives import GradedAxis, UniformAxis
from pinnkit.errors import MethodError
from pinnkit.methods.family_of import family_of
from pinnkit.methods.grid_residuals import GridResiduals

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"


@pytest.mark.usefixtures("x64")
def test_differences_of_a_graded_axis():
    """Exact for parabolas; of second order for smooth functions; lines between nodes."""
    errors = []
    for n in (17, 33, 65):
        axis = GradedAxis("x", -1.0, 3.0, n)
        x = axis.nodes
        assert np.allclose(axis.matrix(1) @ x**2, 2 * x)
        assert np.allclose(axis.matrix(2) @ (x**2 - x), 2)
        assert np.isclose(axis.weights.sum(), 4)
        inner = slice(1, -1)
        errors.append(np.abs(axis.matrix(1) @ np.sin(x) - np.cos(x))[inner].max())
        errors.append(np.abs(axis.interpolation_matrix(x[:-1] + np.diff(x) / 3) @ x**2).max() - 9)
    rates = np.log2(np.array(errors[0:4:2]) / errors[2:6:2])
    assert np.all(rates > 1.8)
    axis = GradedAxis("x", 0.0, 1.0, 9)
    third = axis.nodes[:-1] + np.diff(axis.nodes) / 3
    assert np.allclose(axis.interpolation_matrix(third) @ (3 * axis.nodes - 1), 3 * third - 1)
    fine = axis.resample(axis.nodes**2, 0, axis.doubled().n)
    assert np.allclose(fine[::2], axis.nodes**2)


def by_hand(start, times, n=250, diffusivity=5e-4):
    """The same by SciPy, on cells of a uniform grid: fluxes between their middles."""
    h = 1 / n
    held = (1 - 0.29) / 0.29 * 2880 * 3.5e-4 * 0.874

    def rate(t, u):
        # flux of the outlet: D u_x = -u at the wall, half a cell beyond the last middle
        slopes = np.concatenate([[(u[0] - 1) / (h / 2)], np.diff(u) / h, [0]])
        slopes[-1] = -u[-1] / (diffusivity + h / 2)
        return diffusivity * np.diff(slopes) / h / (1 + held * np.maximum(u, 1e-6) ** -0.126)

    found = scipy.integrate.solve_ivp(
        rate, (0, times[-1]), np.full(n, start), "BDF", times, rtol=1e-5, atol=1e-8
    )
    return (np.arange(n) + 0.5) * h, found.y.T


def test_diffusion_and_sorption_agree_with_cells_by_scipy():
    data = pk.dataset(
        pk.load(PROBLEMS / "diffusion_sorption_family.py"), 2, resolution=64, frames=8
    )
    assert np.all(data.errors < 3e-3)
    inputs, outputs = data.arrays()
    assert np.allclose(np.ptp(inputs, axis=1), 0) and np.ptp(inputs[:, 0]) > 0.01
    times, x = (axis.nodes for axis in data.grid)
    for a, u in zip(inputs[:, 0], outputs[:, 0], strict=True):
        assert np.allclose(u[:, 0], 1) and np.allclose(u[0, 1:-1], a)
        middles, truth = by_hand(a, times)
        # the outlet's layer of thickness D lies within the last interval
        there = np.array([np.interp(x[:-1], middles, row) for row in truth[1:]])
        gap = (u[1:, :-1] - there)[:, 1:]
        assert np.linalg.norm(gap) < 2e-3 * np.linalg.norm(there)


def step(rank, left=1, speed=1):
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    a = pk.input_function("a", x, law=pk.UniformConstant(0, 0.2))
    return pk.Problem(
        name="step",
        domain=pk.Box(time="t", t=(0, 0.1), x=(0, 1)),
        conditions=[
            pk.Equation(sp.Eq(u.diff(t), (speed + (speed - 1) * x) * u.diff(x, 2)), name="heat"),
            pk.Initial(u, a),
            pk.Dirichlet(u, left, on="x-", priority=rank),
            pk.Dirichlet(u, 0, on="x+", priority=rank),
        ],
    )


def test_walls_without_a_rank_are_refused():
    with pytest.raises(MethodError, match="give all walls a priority above"):
        family_of(compile_problem(step(0, left=0, speed=2)), 16, 8)


@pytest.mark.usefixtures("x64")
def test_equations_begin_after_a_jump():
    """Differences across the jump count nowhere; the same fields without ranks count everywhere."""
    grid = (UniformAxis("t", 0.0, 0.1, 9, 6), UniformAxis("x", 0.0, 1.0, 9, 4))
    fields, function = np.random.default_rng(0).normal(size=(1, 9, 9)), np.zeros(9)
    found = []
    for rank in (0, 1):
        equations = GridResiduals.of(compile_problem(step(rank, left=0)), grid, grid[1:])
        rows = jax.jit(equations)(function, fields)["heat"].reshape(9, 9)
        found.append(np.asarray(rows))
    assert np.all(found[1][0] == 0) and np.all(found[0][0] != 0)
    assert np.array_equal(found[1][1:], found[0][1:])


def test_heat_from_a_jump_is_that_of_the_series():
    data = pk.dataset(step(1), 2, resolution=32, frames=4, stride=2, steps=4)
    times, x = (axis.nodes for axis in data.grid)
    k = np.pi * np.arange(1, 400)
    for a, u in zip(data.arrays()[0][:, 0], data.arrays()[1][:, 0], strict=True):
        start = 2 * a * (1 - np.cos(k)) / k - 2 / k
        modes = start * np.exp(-np.outer(times[1:], k**2))
        truth = 1 - x + modes @ np.sin(np.outer(k, x))
        assert np.linalg.norm(u[1:] - truth) < 2e-3 * np.linalg.norm(truth)
    assert data.errors.max() < 2e-3
