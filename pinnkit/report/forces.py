"""Forces of a flow on a body."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import precision
from pinnkit.errors import OptionError
from pinnkit.solution import Solution

NODES = 64


def force(
    solution: Solution,
    on: str,
    viscosity: float,
    velocity: tuple[str, ...] = ("u", "v"),
    pressure: str = "p",
) -> np.ndarray:
    """Force (space axes,) of a steady incompressible flow of density one on the wall `on`.

    F = integral over the wall of (-p + viscosity (grad U + grad U^T)) m, with m the unit normal
    from the body into the fluid. With U the mean velocity and D the diameter, the coefficients of
    drag and lift are 2 F / (U^2 D).

    Raises:
        OptionError: where the solution lacks one of the fields, or has a time axis.
    """
    domain, names = solution.problem.domain, solution.problem.field_names
    missing = [name for name in (*velocity, pressure) if name not in names]
    if missing or domain.time is not None or len(velocity) != len(domain.axes):
        raise OptionError(
            f"force needs a steady flow with the fields {(*velocity, pressure)} on "
            f"{len(velocity)} axes; the solution has {', '.join(names)} on "
            f"{', '.join(domain.axes)}. Name the fields with velocity= and pressure=."
        )
    region = domain.region(on)
    points, weights = region.quadrature(NODES)
    into = -region.normals(points)
    with precision.scope("float64"):
        values, slopes = _values_and_slopes(solution.evaluator, points)
    moving = [names.index(name) for name in velocity]
    gradient = slopes[:, moving, :]
    stress = viscosity * (gradient + np.swapaxes(gradient, 1, 2))
    push = np.einsum("nij,nj->ni", stress, into)
    push -= values[:, names.index(pressure), None] * into
    return weights @ push


def _values_and_slopes(evaluator, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (N, fields) and their slopes (N, fields, axes)."""

    def at(point: jax.Array) -> jax.Array:
        return evaluator(point[None, :])[0]

    places = jnp.asarray(points)
    values, slopes = jax.vmap(at)(places), jax.vmap(jax.jacfwd(at))(places)
    return np.asarray(values), np.asarray(slopes)
