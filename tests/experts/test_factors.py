"""The kept factorisation against dense pseudo-inverses, and against its own transpose."""

import numpy as np
import pytest

from pinnkit.experts.factors import Chain, Dense, factorise
from pinnkit.experts.rows import Rows, assembled
from pinnkit.experts.solvers import solve_blocks


def system(count, size, integrals=0, seed=0):
    """Random rows along a strip: each expert's own, shared ones, and rows over all experts."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        rows += [Rows((k,), (rng.normal(size=(m, size)),), rng.normal(size=m)) for m in (size, 7)]
    for k in range(count - 1):
        pair = tuple(rng.normal(size=(6, size)) for _ in range(2))
        rows.append(Rows((k, k + 1), pair, rng.normal(size=6)))
    if integrals:
        many = tuple(rng.normal(size=(integrals, size)) for _ in range(count))
        rows.append(Rows(tuple(range(count)), many, rng.normal(size=integrals)))
    return rows, [size] * count


@pytest.mark.parametrize(
    ("count", "size", "kind"), [(1, 20, Dense), (3, 15, Dense), (6, 80, Chain)]
)
def test_both_directions_are_the_pseudo_inverse(count, size, kind):
    rows, sizes = system(count, size)
    factors = factorise(rows, sizes)
    assert isinstance(factors.core, kind)
    matrix, _ = assembled(rows, sizes, range(count))
    wanted = np.linalg.pinv(matrix)
    scale = np.abs(wanted).max()
    assert np.abs(factors.solve(np.eye(len(matrix))) - wanted).max() <= 1e-11 * scale
    back = factors.transposed(np.eye(matrix.shape[1]))
    assert np.abs(back - wanted.T).max() <= 1e-11 * scale


@pytest.mark.parametrize(("count", "size"), [(3, 20), (6, 80)])
def test_integrals_are_solved_as_the_solver_does(count, size):
    rows, sizes = system(count, size, integrals=2)
    factors = factorise(rows, sizes)
    sides = np.concatenate([r.rhs for r in rows])[:, None]
    found = np.concatenate(solve_blocks(rows, sizes).coefficients)
    assert np.allclose(factors.solve(sides)[:, 0], found, rtol=0, atol=1e-9)
    other = np.random.default_rng(1).normal(size=(sum(sizes), 1))
    left = float((other.T @ factors.solve(sides))[0, 0])
    assert left == pytest.approx(float((factors.transposed(other).T @ sides)[0, 0]), rel=1e-10)


def test_columns_that_nothing_determines_stay_zero():
    rows = [Rows((0,), (np.array([[1.0, 0.0], [2.0, 0.0], [0.5, 0.0]]),), np.zeros(3))]
    factors = factorise(rows, [2])
    found = factors.solve(np.array([[1.0], [2.0], [0.5]]))
    assert found[:, 0] == pytest.approx([1.0, 0.0])
