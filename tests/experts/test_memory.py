"""Memory that is predicted against memory that is taken."""

import tracemalloc
from dataclasses import replace

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
    solve,
)
from pinnkit.compile import compile_problem
from pinnkit.derivatives.basis import linearise
from pinnkit.errors import MethodError
from pinnkit.experts import means
from pinnkit.experts.bases import tensor_basis
from pinnkit.experts.slab import Machine
from pinnkit.experts.solvers import one_blas_thread

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
        (poisson(50, 1), Blocks(x=50), 10),
        (poisson(200, 1), Blocks(x=200), 8),
        (poisson(8, 8), Blocks(x=8, y=8), 10),
        (plate(6, 6), Blocks(x=6, y=6), 12),
    ],
)
def test_memory_is_predicted_within_twenty_percent(problem, layout, degree):
    system = compile_problem(problem)
    linearisers = {r.name: linearise(r) for r in system.residuals}
    basis = tensor_basis((degree, degree), ("chebyshev",) * 2, full=True)
    boxes = layout.boxes(system.axes, system.domain.bounds)
    machine = Machine(system, basis, linearisers)
    assert machine.size(boxes).bytes == pytest.approx(peak(machine, boxes), rel=0.2)


def test_what_does_not_fit_is_refused_before_it_is_tried(monkeypatch):
    monkeypatch.setattr(means.os, "sysconf", lambda name: 1000)
    with pytest.raises(MethodError, match=r"64 experts with .* need about .* GB .* has 0.0 GB"):
        solve(poisson(2, 2), LeastSquares(layout=Blocks(x=8, y=8)), quiet=True)
