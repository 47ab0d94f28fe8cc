"""Coefficients by a solve inside a network: dense least squares, experts apart, derivatives."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnkit as pk
from pinnkit.derivatives import FourierAxis, UniformAxis
from pinnkit.errors import OptionError
from pinnkit.methods.constraint import (
    ConstraintLayer,
    HardConstraint,
    OwnLevenberg,
)
from pinnkit.methods.constraint.parts import Parts
from pinnkit.methods.constraint.rows import seams

pytestmark = pytest.mark.usefixtures("x64")
N, BASIS = 12, 5
GRID = (UniformAxis("t", 0.0, 1.0, N, 6), UniformAxis("x", 0.0, 1.0, N, 4))
OFFSET = jnp.zeros((1, N, N))


def problem(cubic=0.0):
    """u_t = 0.05 u_xx - cubic u^3 from a random initial state, zero at the walls."""
    t, x = pk.coordinates("t x")
    u, a = pk.field("u", t, x), pk.input_function("a", x)
    heat = pk.Equation(u.diff(t) - 0.05 * u.diff(x, 2) + cubic * u**3)
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    return pk.Problem("heat", box, (heat, pk.Initial(u, a), pk.Dirichlet(u, 0)))


def layer(cubic=0.0, **options):
    options = {"basis": BASIS, "solver": OwnLevenberg(60, 1e-15), **options}
    return ConstraintLayer.of(problem(cubic), GRID, HardConstraint(**options))


def basis(weights):
    t, x = np.meshgrid(*(axis.nodes for axis in GRID), indexing="ij")
    return jnp.tanh(jnp.einsum("jk,ktx->jtx", weights, np.stack([t, x, 1 + 0 * x])))[:, None]


def random(seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(2 * rng.normal(size=(BASIS, 3))), jnp.asarray(rng.normal(size=N))


def dense(found, function, functions, offset=OFFSET):
    """All rows and columns of a linear problem as one matrix, and its right side."""
    rows = found.rows(function, offset, functions)
    start = found.start(offset, functions)
    value, slopes = rows.jacobian(start)
    matrix, side = jax.scipy.linalg.block_diag(*slopes), -value.ravel()
    jumps = jax.jacobian(rows.joint.residual)(start).reshape(-1, start.size)
    matrix = jnp.concatenate([matrix, jumps])
    side = jnp.concatenate([side, jnp.zeros(len(jumps))])
    count = start.size
    shrink = jnp.sqrt(found.options.shrink) * jnp.eye(count)
    return jnp.concatenate([matrix, shrink]), jnp.concatenate([side, jnp.zeros(count)])


OPTIONS = [
    {},
    {"experts": (2, 3)},
    {"experts": (2, 2), "seam": 0.5, "shared": False},
    {"experts": (1, 3), "seam": 0.5},
    {"experts": (2, 3), "overlap": 0.25},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_linear_problem_has_the_dense_least_squares_solution(options):
    found, (weights, function) = layer(**options), random()
    functions = basis(weights)
    w = eqx.filter_jit(found.coefficients)(function, OFFSET, functions)
    matrix, side = eqx.filter_jit(dense)(found, function, functions)
    expected = np.linalg.lstsq(matrix, side, rcond=None)[0]
    assert np.allclose(w.ravel(), expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


def test_problems_of_one_axis_have_the_dense_solution_too():
    """-u_xx - 400 u = f, whose faces are points, by three experts and their seams."""
    x = pk.coordinates("x")
    u, f = pk.field("u", x), pk.input_function("f", x)
    waves = pk.Equation(-u.diff(x, 2) - 400 * u - f)
    line = pk.Problem("waves", pk.Box(x=(0, 1)), (waves, pk.Dirichlet(u, 0)))
    options = HardConstraint(basis=4, experts=(3,), seam=0.5, solver=OwnLevenberg(60, 1e-15))
    found = ConstraintLayer.of(line, (UniformAxis("x", 0.0, 1.0, 24, 4),), options)
    rng = np.random.default_rng(0)
    nodes = np.linspace(0, 1, 24)
    functions = jnp.asarray(
        np.sin(rng.uniform(1, 30, (4, 1, 1)) * nodes + rng.normal(size=(4, 1, 1)))
    )
    function, offset = jnp.asarray(rng.normal(size=24)), jnp.zeros((1, 24))
    w = eqx.filter_jit(found.coefficients)(function, offset, functions)
    matrix, side = eqx.filter_jit(dense)(found, function, functions, offset)
    expected = np.linalg.lstsq(matrix, side, rcond=None)[0]
    assert np.allclose(w.ravel(), expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("cubic", "options"),
    [
        (0.0, {}),
        (0.0, {"experts": (2, 3)}),
        (2.0, {}),
        (2.0, {"experts": (1, 2)}),
        (2.0, {"experts": (3, 1), "overlap": 0.25}),
        (2.0, {"experts": (3, 1), "seam": 1.0}),
        (2.0, {"experts": (2, 2), "seam": 1.0, "shared": False}),
    ],
)
def test_derivatives_are_those_of_central_differences(cubic, options):
    found, (weights, function) = layer(cubic, **options), random(1)
    other = jnp.asarray(np.random.default_rng(2).normal(size=(1, N, N)))

    def value(weights, function):
        return jnp.sum(other * found(function, OFFSET, basis(weights)))

    both = jax.jit(jax.value_and_grad(value, argnums=(0, 1)))
    _, slopes = both(weights, function)
    for i, like in enumerate((weights, function)):
        direction = np.random.default_rng(3).normal(size=like.shape)
        step = 1e-5
        ends = []
        for sign in (1, -1):
            moved = [weights, function]
            moved[i] = moved[i] + sign * step * direction
            ends.append(both(*moved)[0])
        assert float(jnp.sum(slopes[i] * direction)) == pytest.approx(
            float((ends[0] - ends[1]) / (2 * step)), rel=1e-5
        )


def test_gauss_and_newtons_matrix_is_exact_for_linear_problems_only():
    weights, function = random(1)

    def slopes(cubic, full):
        found = layer(cubic, full=full)
        value = lambda w: jnp.sum(found(function, OFFSET, basis(w))[0, 3])  # noqa: E731
        return jax.jit(jax.grad(value))(weights)

    assert jnp.allclose(slopes(0.0, True), slopes(0.0, False), rtol=1e-6)
    full, rough = slopes(2.0, True), slopes(2.0, False)
    apart = jnp.linalg.norm(full - rough) / jnp.linalg.norm(full)
    assert 1e-4 < apart < 1


def test_experts_are_solved_on_their_own():
    """Those of the lower half in space do not see what happens in the upper one, nor do
    derivatives; all together they are what each is alone."""
    found, (weights, function) = layer(2.0, experts=(1, 2), shared=False), random()
    functions = basis(weights)
    solve = eqx.filter_jit(found.coefficients)
    w = solve(function, OFFSET, functions)
    far = N // 2 + 4
    again = solve(function, OFFSET, functions.at[..., far:].mul(0.5))
    assert jnp.allclose(again[0], w[0], rtol=1e-12, atol=1e-12 * float(jnp.abs(w[0]).max()))
    assert not jnp.allclose(again[1], w[1], rtol=1e-3)
    slope = jax.jit(jax.grad(lambda b: found.coefficients(function, OFFSET, b)[0, 0, 0]))
    assert not jnp.any(slope(functions)[..., far:])


@pytest.mark.parametrize("cubic", [0.0, 2.0])
def test_solutions_within_the_span_satisfy_every_row(cubic):
    """For inputs never seen, too: u = exp(-k t) sin(pi x) is the first function of the basis."""
    found, (weights, _) = layer(cubic, shrink=0.0), random()
    t, x = np.meshgrid(*(axis.nodes for axis in GRID), indexing="ij")
    wave = np.exp(-0.05 * np.pi**2 * t) * np.sin(np.pi * x)
    functions = basis(weights).at[0, 0].set(wave)

    @jax.jit
    def solved(start):
        fit = found.fit(start, OFFSET, functions)
        return fit, found.rows(start, OFFSET, functions).residual(fit.w)

    for size in (0.3, -1.7):
        fit, residual = solved(size * wave[0])
        if cubic:
            assert 1e-3 < jnp.linalg.norm(residual) < 1
        else:
            assert jnp.linalg.norm(residual) < 1e-3 * abs(size)
            assert np.isclose(fit.w[0, 0], size, rtol=1e-2)


def test_two_fields_are_found_together_from_the_state_of_one():
    """Decaying vortices, w = 8 pi^2 psi = a exp(-8 pi^2 t / Re), from the vorticity at first."""
    file = Path(__file__).resolve().parents[2] / "problems/decaying_vorticity_family.py"
    grid = (UniformAxis("t", 0, 5, 8, 6), FourierAxis("x", 0, 1, 8), FourierAxis("y", 0, 1, 8))
    options = HardConstraint(basis=3, shrink=0.0, solver=OwnLevenberg(60, 1e-15))
    found = ConstraintLayer.of(pk.load(file), grid, options)
    t, x, y = np.meshgrid(*(axis.nodes for axis in grid), indexing="ij")
    vortices = np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y)
    decay = np.exp(-8 * np.pi**2 * 1e-4 * t)
    others = [t / 5 * np.sin(2 * np.pi * (k * x + y)) for k in (1, 2)]
    functions = jnp.asarray(np.stack([vortices * decay, *others]))[:, None].repeat(2, axis=1)
    start, offset = jnp.asarray(3 * vortices[0]), jnp.zeros((2, 8, 8, 8))
    w = eqx.filter_jit(found.coefficients)(start, offset, functions)[0]
    expected = {"psi": 3 / (8 * np.pi**2), "w": 3.0}
    for field, row in zip(found.equations.system.fields, w, strict=True):
        assert np.isclose(row[0], expected[field], rtol=1e-6)
        assert np.allclose(row[1:], 0, atol=1e-6)


def test_nothing_leads_to_values_that_are_not_finite():
    found, (weights, _) = layer(2.0), random()
    for functions in (1e200 * basis(weights), 0 * basis(weights)):
        fit = eqx.filter_jit(found.fit)(1e3 * jnp.ones(N), OFFSET, functions)
        assert jnp.all(jnp.isfinite(fit.w))


def test_experts_that_touch_no_face_know_of_it_by_seams_alone():
    weights, function = random()
    sizes = []
    for seam in (0.0, 1.0):
        found = layer(experts=(2, 1), seam=seam, shared=False)
        sizes.append(eqx.filter_jit(found.coefficients)(function, OFFSET, basis(weights))[1])
    assert float(jnp.abs(sizes[0]).max()) < 1e-12 < 1e-3 < float(jnp.abs(sizes[1]).max())


def test_jumps_between_parts_fall_with_the_weight_of_seams():
    weights, function = random()
    functions, jumps = basis(weights), []
    joint = jax.jit(lambda f: seams(GRID, (2, 2), f, 1.0))(functions)
    for seam in (0.0, 10.0):
        found = layer(experts=(2, 2), seam=seam)
        w = eqx.filter_jit(found.coefficients)(function, OFFSET, functions)
        jumps.append(float(jax.jit(found.jump)(w, functions)))
        assert np.isclose(jumps[-1], np.linalg.norm(joint.residual(w[:, 0])))
    assert jumps[1] < jumps[0] / 10
    assert layer().jump(w[:1], functions) == 0


def test_jumps_are_those_of_values_and_slopes():
    """Two experts with one function each, t and 3 t: the values jump by 2 t, the slopes by 2."""
    t = jnp.asarray(np.broadcast_to(GRID[0].nodes[:, None], (N, N)))[None, None]
    found = layer(basis=1, experts=(2, 1))
    last = GRID[0].nodes[N // 2 - 1]
    squares = (2 * last) ** 2 + (2 * 0.5) ** 2  # slopes times the length of a part
    jump = jax.jit(found.jump)(jnp.asarray([[[1.0]], [[3.0]]]), t)
    assert np.isclose(jump, np.sqrt(squares))


@pytest.mark.parametrize("experts", [(1, 1), (2, 2)])
def test_residuals_are_orthogonal_to_the_functions_for_any_input(experts):
    """What functions can do about the equations, initial and boundary values has been done."""
    found = layer(cubic=2.0, experts=experts)

    @eqx.filter_jit
    def forces(function, functions):
        w = found.coefficients(function, OFFSET, functions)
        rows = found.rows(function, OFFSET, functions)
        value, slopes = rows.jacobian(w.reshape(len(w), -1))
        force = jnp.einsum("kmn,km->kn", slopes, value) + found.options.shrink * w.reshape(
            len(w), -1
        )
        return force, jnp.linalg.norm(slopes, axis=(1, 2)) * jnp.linalg.norm(value, axis=1)

    for seed in range(3):
        weights, function = random(seed)
        force, size = forces(3 * function, basis(weights))
        assert np.all(np.linalg.norm(force, axis=1) < 1e-10 * size)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("counts", [(2, 3), (1, 4), (3, 1)])
def test_merging_parts_gives_the_field_back(counts, overlap):
    values, parts = np.random.default_rng(0).normal(size=(2, N, N)), Parts(counts, overlap)
    apart = parts.split(values)
    assert np.allclose(parts.merge(jnp.asarray(apart), (N, N)), values, rtol=1e-14)
    assert np.allclose(parts.spread(jnp.asarray(apart), (N, N)), 0)
    size = parts.nodes(N, counts[1]).shape[1]
    assert np.array_equal(apart[0, 1][:size], values[1, 0, :size])
    last = parts.nodes(N, counts[0])[-1]
    assert np.array_equal(apart[-1, 0].reshape(-1, size), values[0, last, N - size :])


def test_shares_of_parts_that_overlap_rise_from_nothing():
    """Four parts of 16 nodes, each 4 longer: a quarter of the way in a share of sin^2."""
    shares = Parts((4,), 0.25).shares(64, 4)
    assert np.allclose(shares.sum(axis=(0, 1)), 1)
    one, two = (s.sum(axis=0) for s in shares[1:3])
    common = np.flatnonzero((one > 0) & (two > 0))
    assert common.tolist() == list(range(28, 36))
    rise = np.sin(0.5 * np.pi * (np.arange(8) + 0.5) / 8) ** 2
    assert np.allclose(two[common], rise)
    assert np.allclose(one[common], 1 - rise)


def test_experts_that_overlap_agree_where_the_solution_is_among_their_functions():
    """exp(-0.05 pi^2 t) sin(pi x) up to the differences' own error, else they differ there."""
    t, x = np.meshgrid(*(axis.nodes for axis in GRID), indexing="ij")
    solution = np.exp(-0.05 * np.pi**2 * t) * np.sin(np.pi * x)
    weights, _ = random()
    other = basis(weights)
    known = jnp.concatenate([other[:-1], jnp.asarray(solution)[None, None]])
    found = layer(experts=(3, 2), overlap=0.25)
    function = jnp.asarray(solution[0])
    jumps = []
    for functions in (known, other):
        w = eqx.filter_jit(found.coefficients)(function, OFFSET, functions)
        jumps.append(float(found.jump(w, functions)))
    assert jumps[0] < 1e-3 < 1e-2 < jumps[1]


def test_errors():
    with pytest.raises(OptionError, match="Give one divisor for each axis"):
        layer(experts=(5, 1))
    with pytest.raises(OptionError, match="in this order"):
        ConstraintLayer.of(problem(), GRID[::-1], HardConstraint())
    with pytest.raises(OptionError, match="at least 1"):
        HardConstraint(basis=0)
    with pytest.raises(OptionError, match="not be negative"):
        HardConstraint(seam=-1.0)
    with pytest.raises(OptionError, match="share of a part"):
        HardConstraint(overlap=0.6)
    with pytest.raises(OptionError, match="have no seams"):
        HardConstraint(experts=(2, 1), seam=1.0, overlap=0.25)
