"""Our method for the coefficients of a layer against those of jaxopt and optimistix."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnkit as pk
from pinnkit.derivatives import UniformAxis
from pinnkit.errors import OptionError
from pinnkit.methods.constraint import (
    ConstraintLayer,
    HardConstraint,
    JaxoptLevenberg,
    OptimistixLevenberg,
    OwnLevenberg,
)
from pinnkit.methods.constraint.joining import Apart, InLine, Joined, Joint
from pinnkit.methods.constraint.solve import attached

pytestmark = pytest.mark.usefixtures("x64")
OWN = OwnLevenberg(100, 1e-15)
OTHERS = [OptimistixLevenberg(200, 1e-12), JaxoptLevenberg(100, 1e-15)]
SOLVERS = [OWN, *OTHERS]


class Sines(eqx.Module):
    """r_k(w) = A_k w + sin(A_k w) / 2 - y_k for experts k, and seams that join them."""

    matrices: jax.Array
    sides: jax.Array
    joint: Joint = Apart()

    @classmethod
    def random(cls, seams, experts=3, count=4):
        rng = np.random.default_rng(0)
        matrices = rng.normal(size=(experts, 9, count)) * 10.0 ** np.arange(count)
        sides = rng.normal(size=(experts, 9))
        blocks = tuple(jnp.asarray(rng.normal(size=(s, m, count))) for s, m in ((2, 5), (1, 3)))
        joint = Joined(blocks, (((0, 1), (1, 2)), ((0, 2),))) if seams else Apart()
        return cls(jnp.asarray(matrices), jnp.asarray(sides), joint)

    def residual(self, w):
        found = jnp.einsum("kmn,kn->km", self.matrices, w)
        return found + jnp.sin(found) / 2 - self.sides

    def jacobian(self, w):
        found = jnp.einsum("kmn,kn->km", self.matrices, w)
        return self.residual(w), self.matrices * (1 + jnp.cos(found) / 2)[..., None]

    def each(self, function, *more):
        return function(dataclasses.replace(self, joint=Apart()), *more)

    def one_by_one(self, function, *more):
        one = lambda given: function(*jax.tree.map(lambda a: a[None], given))  # noqa: E731
        return jax.vmap(one)((self, *more))

    def alike(self, function, *given):
        return function(*given)


class Exponentials(Sines):
    """r_k(w) = exp(w) - y_k: from far below, Newton's first step overflows."""

    def residual(self, w):
        return jnp.exp(w) - self.sides

    def jacobian(self, w):
        return self.residual(w), jnp.exp(w)[..., None]


@pytest.mark.parametrize("seams", [False, True])
def test_all_solvers_find_the_same_coefficients_and_derivatives(seams):
    rows, start, found = Sines.random(seams), jnp.zeros((3, 4)), []
    for solver in SOLVERS:

        def solved(sides, solver=solver):
            own = eqx.tree_at(lambda r: r.sides, rows, sides)
            fit = solver.fit(jax.lax.stop_gradient(own), start, 1e-8)
            exact = attached(lambda: own, fit.w, start, 1e-8, True)
            return jnp.sum(jnp.sin(exact)), (fit, exact)

        slopes, (fit, exact) = jax.jit(jax.grad(solved, has_aux=True))(rows.sides)
        assert jnp.all(fit.settled)
        assert np.allclose(fit.w, exact, rtol=1e-6, atol=1e-8)
        found.append((exact, slopes))
    for other in found[1:]:
        for one, two in zip(other, found[0], strict=True):
            assert np.allclose(one, two, rtol=0, atol=1e-8 * float(jnp.abs(two).max()))


@pytest.mark.parametrize("solver", SOLVERS)
def test_residuals_that_overflow_far_away_do_no_harm(solver):
    rows = Exponentials(jnp.zeros((3, 1, 1)), jnp.asarray([[0.5], [2.0], [7.0]]))
    fit = eqx.filter_jit(solver.fit)(rows, jnp.full((3, 1), -10.0), 0.0)
    assert np.allclose(jnp.exp(fit.w), rows.sides, rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_cannot_be_solved_comes_back_as_it_was(solver):
    rows = Exponentials(jnp.zeros((2, 1, 1)), jnp.asarray([[jnp.nan], [2.0]]))
    fit = eqx.filter_jit(solver.fit)(rows, jnp.zeros((2, 1)), 0.0)
    assert fit.w[0] == 0
    assert np.isclose(fit.w[1, 0], np.log(2.0), rtol=1e-6)


def test_layers_have_the_same_fields_and_derivatives_with_another_solver():
    t, x = pk.coordinates("t x")
    u, a = pk.field("u", t, x), pk.input_function("a", x)
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    cubic = pk.Equation(u.diff(t) - 0.05 * u.diff(x, 2) + 2 * u**3)
    problem = pk.Problem("cubic", box, (cubic, pk.Initial(u, a), pk.Neumann(u, 0)))
    grid = (UniformAxis("t", 0.0, 1.0, 8, 4), UniformAxis("x", 0.0, 1.0, 8, 4))
    rng = np.random.default_rng(0)
    function, offset = jnp.asarray(rng.normal(size=8)), jnp.zeros((1, 8, 8))
    basis, other = (jnp.asarray(rng.normal(size=(3, 1, 8, 8))) for _ in range(2))

    def slopes(solver):
        options = HardConstraint(basis=3, experts=(2, 1), solver=solver)
        layer = ConstraintLayer.of(problem, grid, options)
        value = lambda b: jnp.sum(other[0] * layer(function, offset, b))  # noqa: E731
        return jax.jit(jax.value_and_grad(value))(basis)

    for one, two in zip(slopes(OTHERS[0]), slopes(OWN), strict=True):
        assert np.allclose(one, two, rtol=1e-8, atol=1e-8 * float(jnp.abs(two).max()))


def line(experts, rows=7, count=3):
    """Seams of experts in a line, once as such and once as any others."""
    rng = np.random.default_rng(0)
    blocks = jnp.asarray(rng.normal(size=(experts - 1, rows, count)))
    pairs = tuple((k, k + 1) for k in range(experts - 1))
    return InLine((blocks,), (pairs,)), Joined((blocks,), (pairs,))


@pytest.mark.parametrize(("experts", "rows"), [(2, 7), (5, 7), (4, 2)])
def test_experts_in_a_line_are_joined_block_by_block(experts, rows):
    """Steps, and solutions of symmetric systems, are those of all experts in one matrix."""
    count, rng = 3, np.random.default_rng(1)
    reduced = jnp.asarray(np.triu(rng.normal(size=(experts, count + 1, count + 1))))
    w, force = (jnp.asarray(rng.normal(size=(experts, count))) for _ in range(2))
    roots = rng.normal(size=(experts, count, count)) * 10.0 ** np.arange(count)
    blocks = jnp.asarray(np.einsum("kmi,kmj->kij", roots, roots))
    both = line(experts, rows)
    for damping in (1e-3, 1e3):
        given = reduced, w, jnp.full(1, damping)
        steps = [jax.jit(lambda j, given: j.step(*given))(j, given) for j in both]
        for one, two in zip(*steps, strict=True):
            assert np.allclose(one, two, rtol=1e-10, atol=1e-10)
    found = [jax.jit(lambda b, f, j=j: j.inverse(b)(f))(blocks, force) for j in both]
    slopes = jax.jit(jax.jacobian(lambda w: both[1].residual(w)))(w).reshape(-1, w.size)
    matrix = jax.scipy.linalg.block_diag(*blocks) + slopes.T @ slopes
    expected = np.linalg.solve(matrix, force.ravel())
    for one in found:
        assert np.allclose(one.ravel(), expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())
    pulled = [jax.jit(jax.grad(lambda f, j=j: jnp.sum(j.inverse(blocks)(f)[0])))(w) for j in both]
    expected = np.linalg.solve(matrix, np.eye(w.size)[:count].sum(0))
    for one in pulled:
        assert np.allclose(one.ravel(), expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("rows", [2, 7])
def test_compressed_seams_have_the_same_sums_of_squares(rows):
    w = jnp.asarray(np.random.default_rng(2).normal(size=(4, 3)))
    slopes = jax.jacobian(line(4, rows)[0].residual)(w).reshape(-1, w.size)
    for joint in line(4, rows):
        less = jax.jit(lambda j: j.compressed())(joint)
        assert less.residual(w).size == 3 * min(rows, 3)
        total = np.sum((slopes @ w.ravel()) ** 2)
        assert np.isclose(jnp.sum(less.residual(w) ** 2), total, rtol=1e-12)
        assert np.allclose(less.force(w).ravel(), slopes.T @ slopes @ w.ravel(), rtol=1e-11)
        assert np.allclose(less.squares(w).ravel(), np.sum(slopes**2, axis=0), rtol=1e-12)


def test_options_out_of_range_are_refused():
    with pytest.raises(OptionError, match="at least 1"):
        OptimistixLevenberg(steps=0)
    with pytest.raises(OptionError, match="not negative"):
        OwnLevenberg(tolerance=-1.0)
