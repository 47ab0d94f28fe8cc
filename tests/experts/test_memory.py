"""Memory that is predicted against memory that is taken."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import sympy as sp

from pinnkit import (
    Blocks,
    Box,
    Dirichlet,
    Equation,
    LeastSquares,
    Neumann,
    Problem,
    Single,
    coordinates,
    field,
    laplacian,
    load,
    solve,
)
from pinnkit.compile import compile_problem
from pinnkit.derivatives.basis import linearise
from pinnkit.errors import MethodError
from pinnkit.experts import means
from pinnkit.experts.bases import tensor_basis
from pinnkit.experts.slab import Machine
from pinnkit.experts.solvers import one_blas_thread

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
x, y = coordinates("x y")
u = field("u", x, y)
EXACT = sp.sin(sp.pi * x / 2) * sp.sin(sp.pi * y)


def poisson(width: int, height: int) -> Problem:
    source = EXACT.diff(x, 2) + EXACT.diff(y, 2)
    return Problem(
        "plate",
        Box(x=(0, width), y=(0, height)),
        [Equation(laplacian(u) - source), Dirichlet(u, EXACT)],
    )


def plate(width: int, height: int) -> Problem:
    return Problem(
        "bending",
        Box(x=(0, width), y=(0, height)),
        [Equation(laplacian(laplacian(u)) - 1), Dirichlet(u, 0), Neumann(u, 0)],
    )


def flow() -> Problem:
    return load(PROBLEMS / "kovasznay.py")


def brick() -> Problem:
    return load(PROBLEMS / "poisson3d.py")


def peak(machine: Machine, boxes) -> float:
    with one_blas_thread():
        machine.solve(boxes, None)  # what is kept for ever is there already
        fresh = replace(machine, _tables={})
        tracemalloc.start()
        fresh.solve(boxes, None)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return taken


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("problem", "layout", "degree"),
    [
        (poisson(1, 1), Single(), 24),
        (poisson(3, 1), Blocks(x=3), 10),
        (poisson(6, 1), Blocks(x=6), 10),
        (poisson(12, 1), Blocks(x=12), 10),
        (poisson(50, 1), Blocks(x=50), 10),
        (poisson(200, 1), Blocks(x=200), 8),
        (poisson(8, 8), Blocks(x=8, y=8), 10),
        (poisson(3, 3), Blocks(x=3, y=3), 10),
        (plate(6, 6), Blocks(x=6, y=6), 12),
        (flow, Blocks(x=4, y=4), 8),
        (brick, Blocks(x=3, y=3, z=3), 4),
    ],
)
def test_memory_is_predicted_within_twenty_percent(problem, layout, degree):
    machine, boxes = prepared(problem() if callable(problem) else problem, layout, degree)
    assert machine.size(boxes).bytes == pytest.approx(peak(machine, boxes), rel=0.2)


@pytest.mark.usefixtures("x64")
def test_equal_experts_share_their_tables_though_thirds_round_differently():
    machine, boxes = prepared(brick(), Blocks(x=3, y=3, z=3), 3)
    rows, _ = machine._collocations(boxes)
    assert len({id(piece.tables) for piece in rows.sites[0].pieces}) == 1
    assert len({id(table) for join in rows.joins for f in join.faces for table in f.tables}) == 12


def prepared(problem, layout, degree):
    system = compile_problem(problem)
    dim = len(system.axes)
    basis = tensor_basis((degree,) * dim, ("chebyshev",) * dim, full=True)
    linearisers = {r.name: linearise(r) for r in system.residuals}
    boxes = layout.boxes(system.axes, system.domain.bounds)
    return Machine(system, basis, linearisers), boxes


def test_what_does_not_fit_is_refused_before_it_is_tried(monkeypatch):
    monkeypatch.setattr(means.os, "sysconf", lambda name: 1000)
    with pytest.raises(MethodError, match=r"64 experts with .* need about .* GB .* has 0.0 GB"):
        solve(poisson(2, 2), LeastSquares(layout=Blocks(x=8, y=8)), quiet=True)
