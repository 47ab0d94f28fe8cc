"""Error estimates from marches of which only one reached the end of time."""

import jax
import numpy as np
import pytest
import sympy as sp

from pinnkit import Box, Dirichlet, Equation, Initial, Problem, Single, coordinates, field
from pinnkit.compile import compile_problem
from pinnkit.derivatives.basis import linearise
from pinnkit.experts.bases import tensor_basis
from pinnkit.experts.march import March, Marcher
from pinnkit.experts.slab import Machine
from pinnkit.methods.base import Run
from pinnkit.methods.rungs import Boxed, Outcome

pytestmark = pytest.mark.usefixtures("x64")
t, x = coordinates("t x")
u = field("u", t, x)


def marched(system, degree, edges, stopped=""):
    linearisers = {r.name: linearise(r) for r in system.residuals}
    basis = tensor_basis((degree, degree), ("chebyshev",) * 2)
    machine = Machine(system, basis, linearisers)
    marcher = Marcher(machine, Single(), lambda: False, lambda *_: None)
    return Boxed(March(marcher.given(edges).slabs, stopped), basis, 0.0)


def test_a_coarse_march_is_judged_by_a_finer_one_that_ended_early():
    """The estimate is the true error over the time that both have; the status follows it."""
    system = compile_problem(
        Problem(
            "heat",
            Box(t=(0, 1), x=(0, 1), time="t"),
            [
                Equation(u.diff(t) - sp.Rational(1, 20) * u.diff(x, 2)),
                Initial(u, sp.sin(2 * sp.pi * x)),
                Dirichlet(u, 0),
            ],
        )
    )
    coarse = marched(system, 5, (0.0, 1.0))
    fine = marched(system, 14, (0.0, 0.25, 0.5, 0.75), stopped="would have to be too short")
    linearisers = {r.name: linearise(r) for r in system.residuals}
    run = Run(jax.random.key(0))
    solution = Outcome(system, [coarse, fine], 1e-9, run, linearisers).solution("LeastSquares")
    points = system.domain.region("interior").sample(4000, 5)
    points = points[points[:, 0] <= 0.5]
    true = np.exp(-0.2 * np.pi**2 * points[:, 0]) * np.sin(2 * np.pi * points[:, 1])
    found = coarse.mixture(system).on_host(points)[:, 0]
    error = np.linalg.norm(found - true) / np.linalg.norm(true)
    assert error > 1e-3
    assert solution.error_estimate["u"] >= 0.9 * error
    alone = Outcome(system, [coarse], 1e-9, run, linearisers).solution("LeastSquares")
    assert alone.error_estimate is None
