"""Drawing one field on one pair of axes, whatever its layout."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.tri import Triangulation

from pinnkit.reference import Reference
from pinnkit.report.style import label

Contains = Callable[..., np.ndarray]


@dataclass(frozen=True)
class View:
    """What can be drawn: `values` reduced to at most two varying coordinates.

    `axes` holds one name (a curve) or two (horizontal, vertical); `fixed` the coordinates that
    were held constant, for the title. `inside` tells which places, given by name, lie in the
    domain, so that no triangle spans a hole between scattered points.
    """

    values: Reference
    axes: tuple[str, ...]
    fixed: dict[str, float]
    inside: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None = None

    def title(self) -> str:
        """`t = 0.5, z = 0`, or nothing."""
        return ", ".join(f"{label(axis)} = {value:.4g}" for axis, value in self.fixed.items())


def varying(values: Reference) -> tuple[str, ...]:
    """Axes along which the places differ, in the order of the problem."""
    return tuple(a for a in values.axes if len(np.unique(values.coordinates[a])) > 1)


def views(values: Reference, times: Sequence[float] | None = None) -> list[View]:
    """Reduce to what paper can show: a curve, a map, or one map for each of `times`.

    Time is horizontal if there is one space coordinate. In three space dimensions the stored plane
    nearest to the middle of the last coordinate is taken.
    """
    axes = varying(values)
    time = values.time_axis if values.time_axis in axes else None
    space = tuple(a for a in axes if a != time)
    fixed = {a: float(values.coordinates[a][0]) for a in values.axes if a not in axes}
    if len(space) > 2:
        stored = np.unique(values.coordinates[space[-1]])
        middle = float(stored[len(stored) // 2])
        return views(values.select(None, **{space[-1]: (middle, middle)}), times)
    if time is None and len(space) == 2 and _collinear(values, space):
        return [View(values, space[:1], fixed)]
    if time is None or len(space) < 2:
        order = (time, *space) if time else space
        return [View(values, order or values.axes[:1], fixed)]
    result = []
    for moment in nearest(values.times(), times):
        part = values.at_time(moment)
        result.append(View(part, space, {**fixed, time: moment}))
    return result


def _collinear(values: Reference, axes: tuple[str, ...]) -> bool:
    """A profile along a slanted line: two coordinates vary, but no triangle fits between."""
    if values.layout == "grid":
        return False
    points = np.stack([values.coordinates[a] for a in axes], axis=1)
    sizes = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(sizes[1] <= 1e-9 * sizes[0])


def nearest(stored: np.ndarray, wanted: Sequence[float] | None) -> list[float]:
    """The stored times nearest to those wanted; by default first, middle and last."""
    if wanted is None:
        wanted = [stored[0], stored[len(stored) // 2], stored[-1]]
    found = [float(stored[np.argmin(np.abs(stored - w))]) for w in wanted]
    return list(dict.fromkeys(found))


def draw(axes: Axes, view: View, name: str, **options: Any) -> Any:
    """Draw the field on `axes`; returns what a colour bar needs, None for a curve."""
    if len(view.axes) == 1:
        return _curve(axes, view, name, **options)
    if view.values.layout == "grid":
        return _grid(axes, view, name, **options)
    return _scattered(axes, view, name, **options)


def _curve(axes: Axes, view: View, name: str, **options: Any) -> None:
    coordinates, fields = view.values.points()
    order = np.argsort(coordinates[view.axes[0]])
    few = len(order) < 40
    style = {"marker": "o", "markersize": 3} if few else {}
    kept = {k: v for k, v in options.items() if k in ("color", "linestyle", "label")}
    axes.plot(coordinates[view.axes[0]][order], fields[name][order], **style, **kept)
    axes.set_xlabel(label(view.axes[0]))


def _grid(axes: Axes, view: View, name: str, **options: Any) -> Any:
    values = view.values
    first, second = view.axes
    kept = [a for a in values.axes if a in view.axes]
    field = np.reshape(values.fields[name], [len(values.coordinates[a]) for a in kept])
    field = field.T if kept == [first, second] else field
    masked = np.ma.masked_invalid(field)
    image = axes.pcolormesh(
        values.coordinates[first],
        values.coordinates[second],
        masked,
        shading="gouraud" if not np.ma.is_masked(masked) else "nearest",
        rasterized=True,
        **options,
    )
    _frame(axes, view)
    return image


def _scattered(axes: Axes, view: View, name: str, **options: Any) -> Any:
    coordinates, fields = view.values.points()
    known = np.isfinite(fields[name])
    x, y = (coordinates[a][known] for a in view.axes)
    mesh = triangulate(x, y, _contains(view))
    image = axes.tripcolor(mesh, fields[name][known], shading="gouraud", rasterized=True, **options)
    _frame(axes, view)
    return image


def triangulate(x: np.ndarray, y: np.ndarray, contains: Contains | None = None) -> Triangulation:
    """Delaunay triangles of scattered points, without those whose centre `contains` refuses."""
    mesh = Triangulation(x, y)
    if contains is not None:
        centres = (c[mesh.triangles].mean(axis=1) for c in (x, y))
        mesh.set_mask(~contains(*centres))
    return mesh


def _contains(view: View) -> Contains | None:
    inside = view.inside
    if inside is None:
        return None

    def contains(*places: np.ndarray) -> np.ndarray:
        moved = dict(zip(view.axes, places, strict=True))
        still = {axis: np.full(len(places[0]), value) for axis, value in view.fixed.items()}
        return inside({**moved, **still})

    return contains


def _frame(axes: Axes, view: View) -> None:
    axes.set_xlabel(label(view.axes[0]))
    axes.set_ylabel(label(view.axes[1]))
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    if view.values.time_axis not in view.axes:
        axes.set_aspect("equal")


def limits(*arrays: np.ndarray) -> dict[str, float]:
    """Common colour limits of several arrays."""
    low = min(float(np.nanmin(a)) for a in arrays)
    high = max(float(np.nanmax(a)) for a in arrays)
    return {"vmin": low, "vmax": high if high > low else low + 1.0}


def symmetric(array: np.ndarray) -> dict[str, float]:
    """Colour limits with zero in the middle."""
    size = float(np.nanmax(np.abs(array))) or 1e-300
    return {"vmin": -size, "vmax": size}
