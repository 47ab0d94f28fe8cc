"""Values of a solution on a uniform grid of its domain: what plots and exports start from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pinnkit.errors import OptionError
from pinnkit.reference import Reference

DEFAULT = {1: 1001, 2: 201, 3: 61, 4: 25}
TOLERANCE = 1e-6
"""Relative slack within which points on a boundary count as inside."""


def sample(
    solution: Any,
    resolution: int | Mapping[str, int] | None = None,
    at: Mapping[str, float | np.ndarray] | None = None,
) -> Reference:
    """`solution` on a tensor grid over the bounding box; NaN outside the domain.

    - `resolution`: points per axis, one number or by name; by default 1001, 201, 61, 25 for one,
      two, three, four axes.
    - `at`: coordinates to use instead, for example `{"t": 0.5}`.

    Raises `OptionError` for a resolution below 2 or unknown axes.
    """
    domain = solution.problem.domain
    axes, given = tuple(domain.axes), dict(at or {})
    counts = _counts(axes, resolution, len(axes) - len(given))
    unknown = sorted({*given, *counts} - set(axes))
    if unknown:
        raise OptionError(
            f"'{', '.join(unknown)}' is not a coordinate of '{solution.problem.name}'. "
            f"Choose from {', '.join(axes)}."
        )
    coordinates = {
        a: np.atleast_1d(np.asarray(given[a], dtype=float))
        if a in given
        else np.linspace(*domain.bounds[a], num=counts[a])
        for a in axes
    }
    mesh = np.meshgrid(*coordinates.values(), indexing="ij")
    flat = {a: m.ravel() for a, m in zip(axes, mesh, strict=True)}
    values = evaluate_inside(solution, flat)
    fields = {name: array.reshape(mesh[0].shape) for name, array in values.items()}
    return Reference(
        solution_name(solution),
        axes,
        coordinates,
        fields,
        "grid",
        domain.time,
        solution_floor(solution),
        getattr(solution, "eigenvalues", {}),
    )


def instants(solution: Any, times: Sequence[float] | None, count: int) -> np.ndarray:
    """`times`, by default `count` from the first to the last.

    Raises `OptionError` for a steady problem, none at all, and times outside the domain.
    """
    domain, name = solution.problem.domain, solution.problem.name
    if domain.time is None:
        raise OptionError(f"'{name}' is steady: nothing changes over time. Plot it instead.")
    low, high = domain.bounds[domain.time]
    found = np.linspace(low, high, count) if times is None else np.array(times, float, ndmin=1)
    if not len(found) or np.any((found < low) | (found > high)):
        given = "none" if not len(found) else f"{found.min():g} to {found.max():g}"
        raise OptionError(
            f"times={given}: '{name}' is solved for {low:g} <= {domain.time} <= {high:g}. "
            "Choose times inside."
        )
    return found


def _counts(
    axes: tuple[str, ...], resolution: int | Mapping[str, int] | None, free: int
) -> dict[str, int]:
    default = DEFAULT[min(max(free, 1), 4)]
    if isinstance(resolution, Mapping):
        counts = {**dict.fromkeys(axes, default), **resolution}
    else:
        counts = dict.fromkeys(axes, default if resolution is None else resolution)
    small = {a: n for a, n in counts.items() if n < 2}
    if small:
        raise OptionError(f"resolution={small} is too coarse. Give at least 2 points per axis.")
    return counts


def inside(solution: Any, coordinates: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether each point (N,) lies in the closed domain, up to `TOLERANCE`."""
    domain = solution.problem.domain
    points = np.stack([coordinates[a] for a in domain.axes], axis=1)
    return np.asarray(domain.contains(points, TOLERANCE))


def evaluate_at(solution: Any, coordinates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values at points (N,) that are known to lie in the domain."""
    points = np.stack([coordinates[a] for a in solution.problem.domain.axes], axis=1)
    values = solution.at_points(points)
    return {name: values[:, i] for i, name in enumerate(field_names(solution))}


def evaluate_inside(solution: Any, coordinates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values at points (N,); NaN outside the domain, where a solution means nothing."""
    mask = inside(solution, coordinates)
    result = {name: np.full(len(mask), np.nan) for name in field_names(solution)}
    if mask.any():
        places = {axis: values[mask] for axis, values in coordinates.items()}
        for name, array in evaluate_at(solution, places).items():
            result[name][mask] = array
    return result


def field_names(solution: Any) -> tuple[str, ...]:
    """Names of the solution's components."""
    return tuple(getattr(solution, "fields", None) or solution.problem.field_names)


def solution_name(solution: Any) -> str:
    """`Lines of burgers`."""
    return f"{getattr(solution, 'method', type(solution).__name__)} of {solution.problem.name}"


def solution_floor(solution: Any) -> dict[str, float | None]:
    """The solution's own error estimate, in the shape of a reference's floor."""
    return dict(getattr(solution, "error_estimate", None) or {})
