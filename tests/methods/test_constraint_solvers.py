"""Our method for the coefficients of a layer against those of jaxopt and optimistix."""

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
from pinnkit.methods.constraint.joining import in_line, joined, squared, squared_in_line
from pinnkit.methods.constraint.solve import attached, damped

pytestmark = pytest.mark.usefixtures("x64")
OWN = OwnLevenberg(100, 1e-15)
OTHERS = [OptimistixLevenberg(200, 1e-12), JaxoptLevenberg(100, 1e-15)]
SOLVERS = [OWN, *OTHERS]


class Sines(eqx.Module):
    """r_k(w) = A_k w + sin(A_k w) / 2 - y_k for experts k, and seams that join them."""

    matrices: jax.Array
    sides: jax.Array
    seam: tuple[jax.Array, jax.Array] | None = None
    in_line = False

    @classmethod
    def random(cls, seams, experts=3, count=4):
        rng = np.random.default_rng(0)
        matrices = rng.normal(size=(experts, 9, count)) * 10.0 ** np.arange(count)
        sides = rng.normal(size=(experts, 9))
        seam = rng.normal(size=(5, experts * count)), rng.normal(size=5)
        joined = jax.tree.map(jnp.asarray, seam) if seams else None
        return cls(jnp.asarray(matrices), jnp.asarray(sides), joined)

    def residual(self, w):
        found = jnp.einsum("kmn,kn->km", self.matrices, w)
        return found + jnp.sin(found) / 2 - self.sides

    def jacobian(self, w):
        found = jnp.einsum("kmn,kn->km", self.matrices, w)
        return self.residual(w), self.matrices * (1 + jnp.cos(found) / 2)[..., None]

    def seams(self):
        return self.seam

    def each(self, function, *more):
        return function(eqx.tree_at(lambda r: r.seam, self, None), *more)

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


@pytest.mark.parametrize("experts", [2, 5])
def test_experts_in_a_line_are_joined_block_by_block(experts):
    """Normal equations, and with them steps, are those of one factorisation of all rows."""
    count, rows, rng = 3, 7, np.random.default_rng(0)
    matrix = np.zeros((experts - 1, rows, experts, count))
    for s in range(experts - 1):
        matrix[s, :, s : s + 2] = rng.normal(size=(rows, 2, count))
    seams = matrix.reshape(-1, experts * count), rng.normal(size=(experts - 1) * rows)
    reduced = np.triu(rng.normal(size=(experts, count + 1, count + 1)))
    given = jax.tree.map(jnp.asarray, (reduced, seams, rng.normal(size=(experts, count))))
    one, two = jax.jit(joined)(*given)[0], jax.jit(in_line)(*given)[0]
    assert np.allclose(one.T @ one[:, :-1], two.T @ two[:, :-1], rtol=1e-10, atol=1e-10)
    assert not np.any(np.tril(two[:, :-1], -1))
    steps = [damped(triangle[None], jnp.full(1, 1e-3)) for triangle in (one, two)]
    for a, b in zip(*steps, strict=True):
        assert np.allclose(a, b, rtol=1e-10, atol=1e-10)
    blocks = jnp.asarray(rng.normal(size=(experts, count, count)))
    for whole in (jax.jit(squared)(blocks, given[1]), jax.jit(squared_in_line)(blocks, given[1])):
        expected = jax.scipy.linalg.block_diag(*blocks) + seams[0].T @ seams[0]
        assert np.allclose(whole[0], expected, rtol=1e-13, atol=1e-13)


def test_options_out_of_range_are_refused():
    with pytest.raises(OptionError, match="at least 1"):
        OptimistixLevenberg(steps=0)
    with pytest.raises(OptionError, match="not negative"):
        OwnLevenberg(tolerance=-1.0)
