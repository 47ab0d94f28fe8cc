"""Operators between functions at scattered points: scales, walls, other points, files."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import pinnkit as pk
from pinnkit.data import findings
from pinnkit.derivatives import UniformAxis
from pinnkit.errors import OptionError
from pinnkit.methods.neural_operator.point_field import CloudMap
from pinnkit.nn.initial import single

SMALL = pk.nn.LatentGrid(pk.nn.FNO(6, 3, 1, lift=0, projection=0), 8, 2.0, 4, pk.nn.MLP(8, 1))
x, y = pk.coordinates("x y")
u = pk.field("u", x, y)
a = pk.input_function("a", x, y, law=pk.GaussianField(1, tau=3, alpha=2, boundary="neumann"))
POISSON = pk.Problem(
    name="poisson_family",
    domain=pk.Box(x=(0, 1), y=(0, 1)),
    conditions=[pk.Equation(sp.Eq(-pk.laplacian(u), a), name="poisson"), pk.Dirichlet(u, 2)],
)


def waves(points, samples, seed=0):
    """Sources sum_k c_k sin(pi k x) sin(pi l y), and the solutions that are 2 at the sides."""
    k = np.arange(1, 4)
    c = np.random.default_rng(seed).normal(size=(samples, 3, 3))
    sx, sy = (np.sin(np.pi * np.outer(k, points[:, i])) for i in (0, 1))
    size = np.pi**2 * (k[:, None] ** 2 + k[None] ** 2)
    f, v = (np.einsum("skl,kn,ln->sn", part, sx, sy) for part in (c, c / size))
    return f, 2 + v[:, None]


def square(inner, seed=0, side=9):
    """Random points of the square, and nodes along its sides."""
    s = np.linspace(0, 1, side)
    frame = np.stack(np.meshgrid(s, s, indexing="ij"), axis=-1).reshape(-1, 2)
    frame = frame[((frame == 0) | (frame == 1)).any(axis=1)]
    points = np.random.default_rng(seed).uniform(0.02, 0.98, size=(inner, 2))
    return np.concatenate([frame, points])


def samples(points, count=24, seed=0):
    inputs, outputs = waves(points, count, seed)
    return pk.Scattered("a", ("u",), points, inputs, outputs)


@pytest.fixture(scope="module")
def solved():
    data = samples(square(60))
    method = pk.PointOperator(data, SMALL, steps=4, batch=5)
    return data, pk.solve(POISSON, method, key=0, quiet=True)


def test_walls_are_exact_and_the_error_is_that_of_the_test_set(solved):
    data, solution = solved
    field = solution.evaluator
    f, truth = waves(data.points, 5, seed=3)
    found = field.predict(f, data.points)
    assert np.all(found[:, 0, data.graph.boundary] == 2)
    weights = data.graph.areas
    expected = np.sqrt(((found - truth) ** 2 @ weights) / (truth**2 @ weights))
    other = dataclasses.replace(data, inputs=f, outputs=truth)
    assert np.allclose(field.errors(other), expected, rtol=1e-4)
    last = data.arrays(slice(len(data) - 3, None))
    of_the_last = field.errors(dataclasses.replace(data, inputs=last[0], outputs=last[1]))
    assert np.isclose(of_the_last.mean(), solution.error_estimate["u"], rtol=1e-5)


def test_solution_is_linear_between_the_points(solved):
    data, solution = solved
    f = waves(data.points, 1, seed=4)[0][0]
    (nodes,) = solution.evaluator.predict(f[None], data.points)[0]
    at = data.points
    assert np.allclose(solution(a=f, x=at[:, 0], y=at[:, 1])["u"], nodes, atol=1e-6)
    corners = data.graph.triangles[7]
    x, y = at[corners].mean(axis=0)
    assert np.isclose(solution(a=f, x=x, y=y)["u"], nodes[corners].mean(), atol=1e-6)
    called = solution(a=lambda x, y: x - y, x=at[:, 0], y=at[:, 1])["u"]
    given = solution(a=at[:, 0] - at[:, 1], x=at[:, 0], y=at[:, 1])["u"]
    assert np.array_equal(called, given)


def test_units_do_not_matter(key):
    """The same samples in other units of length, source and field: the same network's outputs."""
    data = samples(square(60))
    far = pk.Scattered(
        "a", ("u",), 3 + 100 * data.points, 7 + 5 * data.inputs, 40 * data.outputs - 3
    )
    outputs = []
    for cloud, function in ((data, data.inputs[0]), (far, far.inputs[0])):
        network = single(
            eqx.filter_jit(lambda k, c=cloud: SMALL.on_points(1, 1, c.graph, key=k))(key)
        )
        run = eqx.filter_jit(CloudMap.of(network, cloud))
        outputs.append(np.asarray(run(jnp.asarray(function))))
    assert np.allclose(outputs[1], 40 * outputs[0] - 3, rtol=1e-4)


def test_runs_are_saved_and_repeated(solved, tmp_path):
    data, solution = solved
    again = pk.Solution.load(solution.save(tmp_path / "run.h5"))
    f, _ = waves(data.points, 2, seed=5)
    expected = solution.evaluator.predict(f, data.points)
    assert np.array_equal(again.evaluator.predict(f, data.points), expected)


def test_nodes_of_a_grid_are_taken_as_they_are():
    axes = UniformAxis("x", 0.0, 2.0, 9), UniformAxis("y", 0.0, 1.0, 7)
    grid = np.stack(np.meshgrid(*(a.nodes for a in axes), indexing="ij"), axis=-1)
    value = grid[..., 0] + 10 * grid[..., 1]
    whole = pk.Dataset(
        "p", "a", ("u",), axes, axes, value[None], 2 * value[None, None], np.zeros(1)
    )
    part = pk.Scattered.of(whole, 30)
    assert len(np.unique(part.points, axis=0)) == 30
    assert np.allclose(part.inputs[0], part.points @ [1, 10])
    assert np.allclose(part.outputs[0, 0], 2 * part.points @ [1, 10])
    assert np.isclose(part.graph.areas.sum(), 2)  # the corners are there
    with pytest.raises(OptionError, match="between 4 and 63"):
        pk.Scattered.of(whole, 64)


def test_refusals(solved):
    data, solution = solved
    bad = data.outputs.copy()
    bad[3, 0, 5] = np.nan
    with pytest.raises(OptionError, match="fields u is not finite at 1 places"):
        dataclasses.replace(data, outputs=bad)
    with pytest.raises(OptionError, match="samples first and points last"):
        dataclasses.replace(data, inputs=data.inputs.T)
    with pytest.raises(OptionError, match="does not work on scattered points"):
        pk.PointOperator(data, pk.nn.FNO())
    with pytest.raises(OptionError, match="Give at least 10"):
        pk.PointOperator(next(data.split(9)))
    with pytest.raises(OptionError, match="must hold finite values at the 92 points"):
        solution(a=np.ones(7), x=0.5, y=0.5)
    wrong = pk.PointOperator(dataclasses.replace(data, function="f"))
    with pytest.raises(pk.errors.MethodError, match="maps a to u, the data f to u"):
        pk.solve(POISSON, wrong, quiet=True)
    twice = dataclasses.replace(data, inputs=np.roll(data.inputs, 1, 0) * 0 + data.inputs[:1])
    assert any("occur more than once" in line for line in findings(twice))
