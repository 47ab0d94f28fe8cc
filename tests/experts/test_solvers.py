"""Block least squares against dense LAPACK, JAX against SciPy, and the chain of experts."""

import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.errors import MethodError
from pinnkit.experts import iterative, solvers
from pinnkit.experts.chain import chain_levels
from pinnkit.experts.iterative import solve_iteratively
from pinnkit.experts.rows import Rows, localised
from pinnkit.experts.solvers import dense_matrix, ridge_solve, solve_blocks

pytestmark = pytest.mark.usefixtures("x64")


def strip(count: int, size: int, ring: bool = False, seed: int = 0) -> list[Rows]:
    """Random rows of `count` experts in a row, each joined to the next."""
    rng = np.random.default_rng(seed)
    rows = [
        Rows((k,), (rng.normal(size=(3 * size, size)),), rng.normal(size=3 * size))
        for k in range(count)
    ]
    ends = [(k, k + 1) for k in range(count - 1)] + ([(count - 1, 0)] if ring else [])
    for pair in ends:
        blocks = tuple(rng.normal(size=(4, size)) for _ in pair)
        rows.append(Rows(pair, blocks, rng.normal(size=4)))
    return rows


def dense(rows, sizes):
    matrix, rhs = dense_matrix(rows, sizes)
    return np.linalg.lstsq(matrix, rhs, rcond=None)[0]


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4, 12])
def test_all_paths_agree_with_dense_least_squares(count, ring):
    sizes = [7] * count
    rows = strip(count, 7, ring and count > 2)
    solved = solve_blocks(rows, sizes)
    np.testing.assert_allclose(
        np.concatenate(solved.coefficients), dense(rows, sizes), rtol=1e-9, atol=1e-11
    )
    assert solved.solver == ("block-banded QR" if count > 5 else "rank-revealing QR")


def test_experts_may_differ_in_size():
    rng = np.random.default_rng(1)
    sizes = [3, 6, 4]
    rows = [Rows((k,), (rng.normal(size=(9, n)),), rng.normal(size=9)) for k, n in enumerate(sizes)]
    rows.append(Rows((0, 1, 2), tuple(rng.normal(size=(2, n)) for n in sizes), rng.normal(size=2)))
    found = np.concatenate(solve_blocks(rows, sizes).coefficients)
    np.testing.assert_allclose(found, dense(rows, sizes), atol=1e-12)


@pytest.mark.parametrize("count", [9, 16])
def test_rows_over_all_experts_keep_the_chain(count):
    rng, sizes = np.random.default_rng(3), [10] * count
    rows = strip(count, 10)
    for _ in range(2):
        blocks = tuple(rng.normal(size=(1, 10)) for _ in sizes)
        rows.append(Rows(tuple(range(count)), blocks, rng.normal(size=1)))
    local, widths = localised(rows, sizes, chain_levels([r.experts for r in rows[:-2]], count))
    assert widths == [12] * count and max(len(r.experts) for r in local) == 2
    exact = [Rows(r.experts, tuple(1e6 * b for b in r.blocks), 1e6 * r.rhs) for r in rows[-2:]]
    solved = solve_blocks(rows[:-2] + exact, sizes)
    assert solved.solver == "block-banded QR"
    found = np.concatenate(solved.coefficients)
    wanted = dense(rows[:-2] + exact, sizes)
    np.testing.assert_allclose(found, wanted, atol=1e-7)


def test_columns_of_very_different_sizes_lose_no_accuracy():
    rows = strip(1, 8)
    scale = 10.0 ** np.linspace(-9, 9, 8)
    scaled = [Rows(r.experts, (r.blocks[0] * scale[None, :],), r.rhs) for r in rows]
    found = solve_blocks(scaled, [8]).coefficients[0] * scale
    np.testing.assert_allclose(found, solve_blocks(rows, [8]).coefficients[0], rtol=1e-11)


def test_rank_deficiency_is_revealed_and_gives_the_smallest_solution():
    rng = np.random.default_rng(2)
    half = rng.normal(size=(20, 4))
    solved = solve_blocks([Rows((0,), (np.hstack([half, half]),), half @ np.ones(4))], [8])
    assert solved.rank == 4
    np.testing.assert_allclose(solved.coefficients[0], 0.5, atol=1e-12)


def test_the_ridge_does_not_square_the_condition():
    rng = np.random.default_rng(3)
    u, v = np.linalg.qr(rng.normal(size=(30, 6)))[0], np.linalg.qr(rng.normal(size=(6, 6)))[0]
    matrix = u @ np.diag(10.0 ** -np.arange(0.0, 12.0, 2.0)) @ v.T
    found = ridge_solve(matrix, matrix @ np.ones(6))
    np.testing.assert_allclose(found, 1.0, atol=1e-4)
    normal = np.linalg.lstsq(matrix.T @ matrix, matrix.T @ (matrix @ np.ones(6)), rcond=None)[0]
    assert np.abs(normal - 1.0).max() > 1e-2


def test_jax_and_scipy_agree():
    rng = np.random.default_rng(4)
    matrix, rhs = rng.normal(size=(3, 25, 6)), rng.normal(size=25)
    host = solvers.triangle(matrix)
    device = solvers.triangle(jnp.asarray(matrix))
    np.testing.assert_allclose(np.abs(host), np.abs(device), atol=1e-12)
    np.testing.assert_allclose(
        ridge_solve(matrix[0], rhs),
        ridge_solve(jnp.asarray(matrix[0]), jnp.asarray(rhs)),
        atol=1e-12,
    )


def test_levels_turn_rings_into_chains_of_pairs_and_grids_into_diagonals():
    ring = [(k, (k + 1) % 8) for k in range(8)]
    assert sorted(map(len, chain_levels(ring, 8))) == [1, 1, 2, 2, 2]
    grid = [(3 * i + j, 3 * i + j + 1) for i in range(3) for j in range(2)]
    grid += [(3 * i + j, 3 * i + j + 3) for i in range(2) for j in range(3)]
    levels = chain_levels(grid, 9)
    place = {e: i for i, level in enumerate(levels) for e in level}
    assert len(levels) == 5
    assert all(abs(place[a] - place[b]) <= 1 for a, b in grid)


def test_experts_without_any_joint_are_solved_too():
    rows = [r for r in strip(3, 5) if len(r.experts) == 1]
    found = np.concatenate(solve_blocks(rows, [5] * 3).coefficients)
    np.testing.assert_allclose(found, dense(rows, [5] * 3), atol=1e-12)


def test_rows_that_are_not_finite_are_refused():
    with pytest.raises(MethodError, match="not finite.*Split the layout"):
        solve_blocks([Rows((0,), (np.full((3, 2), np.nan),), np.zeros(3))], [2])


@pytest.mark.parametrize("count", [60])
def test_a_long_chain_costs_and_errs_like_its_links(count):
    rows = strip(count, 10, seed=5)
    matrix, rhs = dense_matrix(rows, [10] * count)
    found = np.concatenate(solve_blocks(rows, [10] * count).coefficients)
    gradient = matrix.T @ (matrix @ found - rhs)
    assert np.abs(gradient).max() < 1e-10


@pytest.mark.parametrize("ring", [False, True])
def test_iterations_agree_with_the_factorisation(ring):
    sizes = [7] * 30
    rows = strip(30, 7, ring, seed=6)
    found = solve_iteratively(rows, sizes, solvers.pool())
    assert found is not None
    np.testing.assert_allclose(np.concatenate(found), dense(rows, sizes), rtol=1e-9, atol=1e-11)


def test_iterations_that_do_not_converge_leave_it_to_the_factorisation(monkeypatch):
    monkeypatch.setattr(solvers, "ITERATE_ABOVE", 0.0)
    monkeypatch.setattr(solvers, "CONDENSE_ABOVE", 0.0)
    monkeypatch.setattr(solvers, "REVEALING_LIMIT", 0)
    rows, sizes = strip(12, 9, seed=7), [9] * 12
    iterated = solve_blocks(rows, sizes)
    assert iterated.solver == "condensed LSMR"
    monkeypatch.setattr(iterative, "MOST", 1)
    factorised = solve_blocks(rows, sizes)
    assert factorised.solver == "condensed block-banded QR"
    for one, other in zip(iterated.coefficients, factorised.coefficients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
