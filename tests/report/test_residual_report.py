"""Residuals of a solution, measured afterwards."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from sympy import sin

from pinnkit import Box, Equation, Exact, Periodic, Problem, coordinates, field, solve
from pinnkit.derivatives import FourierAxis
from pinnkit.methods.gridfield import GridField
from pinnkit.report.residuals import residual_rms

x = coordinates("x")
u = field("u", x)
TRACED = []


class Watched(GridField):
    """Notes how often it is compiled."""

    def __call__(self, points):
        TRACED.append(points.shape)
        return super().__call__(points)

    def derivative(self, orders):
        return Watched(super().derivative(orders).data, self.grid)


@pytest.mark.usefixtures("x64")
def test_a_solution_on_a_grid_is_interpolated_by_one_compiled_function():
    """The values agree with those of the closed form, which nested differentiation gives."""
    problem = Problem(
        "wave",
        Box(x=(0, 2 * np.pi)),
        [Equation(u.diff(x, 2) + u.diff(x) ** 2 + u.diff(x) + 3 * u, name="wave"), Periodic(x)],
        exact={u: sin(x)},
    )
    closed = solve(problem, Exact(), quiet=True)
    axis = FourierAxis("x", 0.0, 2 * np.pi, 32)
    grid = Watched(jnp.sin(axis.nodes)[None], (axis,))
    found = residual_rms(dataclasses.replace(closed, evaluator=grid))
    assert found["wave"] == pytest.approx(residual_rms(closed)["wave"], rel=1e-7)
    assert found["wave"] > 0.1 and len(TRACED) == 1
