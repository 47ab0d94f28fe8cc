"""Trajectories at scattered points, from initial states on a grid, by ETDRK4 in Fourier modes."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit import precision
from pinnkit.compile import System
from pinnkit.data import Trajectories
from pinnkit.derivatives import FourierAxis
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods import etdrk
from pinnkit.methods.evolution import space_axes
from pinnkit.methods.faces import face_rows
from pinnkit.methods.modal import unsuited
from pinnkit.methods.schemes import FourierScheme


def recorded(
    system: System, starts: np.ndarray, points: np.ndarray, frames: int, steps: int = 2
) -> Trajectories:
    """Fields at `points` (N, 2) at `frames` + 1 instants of the system's time.

    `starts` (S, c, n, m): initial states on a uniform grid of the periodic box, the ends of the
    periods once; the same grid carries the solution. `steps`: in time, per frame. The fields are
    interpolated by their Fourier modes, so that the points add no error.

    Raises MethodError for systems that Fourier modes do not fit, or a solution that is not finite;
    OptionError for states of another shape.
    """
    space = space_axes(system)
    reason = unsuited(system, face_rows(system))
    if reason is not None or set(space) - set(system.traits.periodic) or len(space) != 2:
        raise MethodError(
            f"'{system.problem.name}' has {reason or 'walls, or another number of axes than two'}: "
            "trajectories are recorded on periodic rectangles. Bring Trajectories of your own."
        )
    if starts.ndim != 4 or starts.shape[1] != len(system.fields):
        raise OptionError(
            f"Initial states of shape {starts.shape}: give samples, {len(system.fields)} fields, "
            f"and a grid over {', '.join(space)}."
        )
    with precision.scope("float64"):
        times, values = _marched(system, starts, points, frames, steps)
    if not np.isfinite(values).all():
        raise MethodError(
            f"A trajectory of '{system.problem.name}' is not finite: its steps are too long. Give "
            f"more than steps={steps}."
        )
    bounds = [system.domain.bounds[name] for name in space]
    periods = (bounds[0][1] - bounds[0][0], bounds[1][1] - bounds[1][0])
    return Trajectories(system.fields, np.asarray(points), times, values, periods=periods)


def _marched(
    system: System, starts: np.ndarray, points: np.ndarray, frames: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    names, bounds = space_axes(system), system.domain.bounds
    axes = [
        FourierAxis(name, *bounds[name], n) for name, n in zip(names, starts.shape[2:], strict=True)
    ]

    def start(z: Mapping[str, Array], component: tuple[str, int], state: Array) -> Array:
        del z
        return state[system.fields.index(component[0])]

    shape = {axis.name: axis.n for axis in axes}
    scheme = FourierScheme(system, {}, shape, axes, start)
    rows = [jnp.asarray(a.interpolation_matrix(points[:, i])) for i, a in enumerate(axes)]
    begin, end = bounds[system.time or ""]
    h = (end - begin) / (frames * steps)
    weights = scheme.coefficients(h)

    def seen(v: Array, t: Array) -> Array:
        values = scheme.fields(v, t, jnp.zeros(()))
        return jnp.einsum("nk,ckl,nl->nc", rows[0], values, rows[1], optimize="optimal")

    size, count = jnp.asarray(h), jnp.asarray(steps)

    @jax.jit
    def march(state: Array) -> Array:
        v = scheme.initial(state)
        rest = lambda v, t: scheme.nonlinear(v, t, jnp.zeros(()))  # noqa: E731

        def frame(v: Array, k: Array) -> tuple[Array, Array]:
            t = begin + k * steps * h
            return etdrk.advance(weights, rest, v, t, size, count), seen(v, t)

        last, found = jax.lax.scan(frame, v, jnp.arange(frames))
        return jnp.concatenate([found, seen(last, jnp.asarray(end))[None]])

    return np.linspace(begin, end, frames + 1), np.stack([np.asarray(march(s)) for s in starts])
