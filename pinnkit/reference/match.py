"""From the names and shapes of a file to the axes and fields of a problem."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pinnkit.errors import OptionError, ReferenceFileError
from pinnkit.reference.model import Reference
from pinnkit.reference.raw import Raw, renaming, suggestion

_ORDERED = re.compile(r"^(?P<name>.+?)\[(?P<axes>[^\[\]]+)\]$")
_TIME_NAMES = ("t", "time", "tt")


@dataclass(frozen=True)
class Names:
    """What the caller asked for: problem names, and where in the file they come from.

    `source[p]` is the file's name for the problem's `p`; `order[p]` the axes of a field's array if
    given as `usol[x,t]`; `constant[p]` the number that stands for a coordinate.
    """

    axes: tuple[str, ...]
    fields: tuple[str, ...]
    time_axis: str | None
    source: Mapping[str, str]
    order: Mapping[str, tuple[str, ...]]
    constant: Mapping[str, float]
    eigenvalues: tuple[str, ...] = ()


def parse_names(
    axes: tuple[str, ...],
    fields: tuple[str, ...],
    rename: Mapping[str, str],
    time_axis: str | None,
    eigenvalues: tuple[str, ...] = (),
) -> Names:
    """Read a `rename` mapping; `OptionError` for a target that the problem does not have."""
    source, order, constant = {}, {}, {}
    for left, name in rename.items():
        if name not in (*axes, *fields, *eigenvalues):
            raise OptionError(
                f"{renaming(left, name)}: the problem has no '{name}'. Map the file's names to "
                f"coordinates {', '.join(axes)} or fields {', '.join(fields)}."
            )
        match = _ORDERED.match(left)
        if match:
            order[name] = tuple(part.strip() for part in match["axes"].split(","))
            _check_order(left, order[name], axes)
        number = _number(left)
        if number is not None and name in axes:
            constant[name] = number
        else:
            source[name] = match["name"] if match else left
    return Names(axes, fields, time_axis, source, order, constant, eigenvalues)


def _check_order(left: str, order: tuple[str, ...], axes: tuple[str, ...]) -> None:
    if not set(order) <= set(axes) or len(set(order)) != len(order):
        raise OptionError(
            f"{renaming(left, '…')}: the brackets name the coordinates along the array's "
            f"dimensions, each once. Choose from {', '.join(axes)}."
        )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def match(path: Path, parts: list[Raw], names: Names, time: float | None) -> Reference:
    """The part of the file that holds most of the fields, as a `Reference`.

    Raises `ReferenceFileError` if variables are lacking, contradictory or not finite.
    """
    _check_sources(path, parts, names)
    raw = max(parts, key=lambda part: len(_find_fields(part, names)))
    fields = _find_fields(raw, names)
    if not fields:
        raise _lacks_fields(path, parts, names)
    coordinates = _find_axes(path, raw, names, time)
    _check_numbers(path, {**coordinates, **fields})
    floor = {f: raw.floor.get(names.source.get(f, f)) for f in fields}
    reference = _arrange(path, raw, names, coordinates, fields, floor)
    reference = replace(reference, eigenvalues=_eigenvalues(path, raw, names))
    if time is not None and names.time_axis is not None:
        return reference.at_time(time)
    return reference


def _lacks_fields(path: Path, parts: list[Raw], names: Names) -> ReferenceFileError:
    present = tuple(dict.fromkeys(n for part in parts for n in part.names()))
    values = [n for n in present if n not in ("x", "y", "z") and ":" not in n]  # "gmsh:physical"
    if not values and all(part.table for part in parts):
        return ReferenceFileError(
            f"Reference file '{path}' is a mesh without values: it holds {', '.join(present)} and "
            f"none of the fields. Give a file with values of {', '.join(names.fields)}."
        )
    return ReferenceFileError(
        f"Reference file '{path}' has none of the fields {', '.join(names.fields)}. It holds "
        f"{', '.join(present)}. Say which one is meant, for example "
        f"{suggestion(names.fields, present)}."
    )


def _eigenvalues(path: Path, raw: Raw, names: Names) -> dict[str, float]:
    levels = {}
    for name in names.eigenvalues:
        array = raw.find(names.source.get(name, name))
        if array is not None and not raw.table:
            values = np.ravel(array)
            _check_numbers(path, {name: values})
            levels.update({f"{name}[{i}]": float(v) for i, v in enumerate(values)})
    return levels


def _check_sources(path: Path, parts: list[Raw], names: Names) -> None:
    for name, source in names.source.items():
        if all(part.find(source) is None for part in parts):
            present = tuple(dict.fromkeys(n for part in parts for n in part.names()))
            raise ReferenceFileError(
                f"Reference file '{path}' lacks '{source}' (wanted for '{name}'). It holds "
                f"{', '.join(present)}. Correct the map, for example "
                f"{suggestion([name], present)}."
            )


def _find_fields(raw: Raw, names: Names) -> dict[str, np.ndarray]:
    found = {name: raw.find(names.source.get(name, name)) for name in names.fields}
    return {name: array for name, array in found.items() if array is not None}


def _find_axes(path: Path, raw: Raw, names: Names, time: float | None) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for axis in names.axes:
        array = _find_axis(raw, names, axis)
        if array is None and axis == names.time_axis and time is not None:
            array = np.array([float(time)])
        if array is None:
            raise _lacks_axis(path, raw, names, axis)
        found[axis] = array
    return found


def _find_axis(raw: Raw, names: Names, axis: str) -> np.ndarray | None:
    if axis in names.constant:
        return np.array([names.constant[axis]])
    if axis in names.source:
        return raw.find(names.source[axis])
    array = raw.find(axis)
    if array is not None:
        return array
    other = _TIME_NAMES if axis == names.time_axis else ()
    close = [n for n in raw.names() if n.lower() in (axis.lower(), *other)]
    taken = set(names.source.values())
    close = [n for n in close if n not in taken and n not in names.fields]
    return raw.find(close[0]) if len(close) == 1 else None


def _lacks_axis(path: Path, raw: Raw, names: Names, axis: str) -> ReferenceFileError:
    steady = axis == names.time_axis
    mend = (
        "Say which time it stands for (time=…)"
        if steady
        else f"Map a variable to it ({suggestion([axis], raw.names())}), or a constant "
        f"({renaming('0.5', axis)})"
    )
    return ReferenceFileError(
        f"Reference file '{path}' lacks the coordinate '{axis}'. It holds {raw.describe()}. {mend}."
    )


def _check_numbers(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if np.iscomplexobj(array):
            raise ReferenceFileError(
                f"Reference file '{path}': '{name}' is complex. Map its parts, for example "
                f"{renaming(f'{name}_re', name)}."
            )
        bad = int(np.size(array) - np.count_nonzero(np.isfinite(array)))
        if bad:
            raise ReferenceFileError(
                f"Reference file '{path}': '{name}' has {bad} of {array.size} values that are not "
                "finite. Leave those points out of the file, or repair them."
            )


def _arrange(
    path: Path,
    raw: Raw,
    names: Names,
    coordinates: dict[str, np.ndarray],
    fields: dict[str, np.ndarray],
    floor: dict[str, float | None],
) -> Reference:
    build = _points if _is_table(raw, names, coordinates, fields) else _grid
    layout, axes, values = build(path, raw, names, coordinates, fields)
    return Reference(str(path), names.axes, axes, values, layout, names.time_axis, floor)


def _is_table(raw: Raw, names: Names, coordinates: dict, fields: dict) -> bool:
    """A list of places: so declared, or each coordinate has the very shape of the fields."""
    if raw.table:
        return True
    shapes = {np.squeeze(a).shape for a in fields.values()}
    full = [np.squeeze(a).shape for a in coordinates.values() if np.size(a) > 1]
    several = len(full) > 1 or any(len(shape) > 1 for shape in full)
    return several and len(shapes) == 1 and set(full) == shapes and not names.order


Arranged = tuple[str, dict[str, np.ndarray], dict[str, np.ndarray]]


def _points(path: Path, raw: Raw, names: Names, coordinates: dict, fields: dict) -> Arranged:
    columns = {name: np.ravel(a).astype(float) for name, a in {**coordinates, **fields}.items()}
    sizes = {name: len(a) for name, a in columns.items()}
    count = max(sizes[name] for name in fields)
    constant = {a for a in coordinates if sizes[a] == 1}
    if any(sizes[name] != count for name in columns if name not in constant):
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ReferenceFileError(
            f"Reference file '{path}': lengths contradict each other ({listed}). "
            "Coordinates and fields need one value per point."
        )
    _check_thickness(path, raw, names, count)
    axes = {
        a: np.broadcast_to(columns[a], (count,)) if a in constant else columns[a]
        for a in coordinates
    }
    return grid_from_points(names.axes, axes, {f: columns[f] for f in fields})


def _check_thickness(path: Path, raw: Raw, names: Names, count: int) -> None:
    """A plane problem may be compared with a mesh one cell thick, not with a solid one."""
    used = set(names.source.values())
    for axis in ("x", "y", "z"):
        array = raw.find(axis) if raw.table else None
        if axis in names.axes or axis in used or array is None or len(array) != count:
            continue
        if axis == "z" and len(np.unique(np.round(array, 12))) > 2:
            raise ReferenceFileError(
                f"Reference file '{path}' varies along '{axis}', which the problem does not have. "
                "Cut a slice out of it first."
            )


def grid_from_points(
    axes: tuple[str, ...], coordinates: dict[str, np.ndarray], fields: dict[str, np.ndarray]
) -> Arranged:
    """Points that fill a tensor grid, in any order, become that grid.

    Coordinates that differ by less than 1e-9 of the extent count as equal: exporters round.
    """
    unique, places = {}, {}
    for a in axes:
        unique[a], places[a] = _levels(coordinates[a])
    shape = tuple(len(unique[a]) for a in axes)
    count = len(coordinates[axes[0]])
    if np.prod(shape, dtype=float) != count:
        return "points", coordinates, fields
    flat = np.ravel_multi_index(tuple(places[a] for a in axes), shape)
    if len(np.unique(flat)) != count:
        return "points", coordinates, fields
    order = np.argsort(flat)
    return "grid", unique, {name: a[order].reshape(shape) for name, a in fields.items()}


def _levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values in rising order, and for each entry the index of its value."""
    distinct, inverse = np.unique(values, return_inverse=True)
    opens = np.diff(distinct, prepend=-np.inf) > 1e-9 * np.ptp(distinct)
    return distinct[opens], (np.cumsum(opens) - 1)[inverse]


def _grid(path: Path, raw: Raw, names: Names, coordinates: dict, fields: dict) -> Arranged:
    axes = {a: _axis(path, a, array) for a, array in coordinates.items()}
    arranged = {}
    for name, array in fields.items():
        order = _order(path, raw, names, axes, name, array)
        kept = [a for a in names.axes if a in order]
        moved = np.transpose(np.squeeze(array), [order.index(a) for a in kept])
        arranged[name] = moved.reshape([len(axes[a]) for a in names.axes]).astype(float)
    return "grid", *_rising(names.axes, axes, arranged)


def _axis(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    values = np.ravel(array).astype(float)
    if max(array.shape, default=1) != array.size or len(np.unique(values)) != array.size:
        raise ReferenceFileError(
            f"Reference file '{path}': coordinate '{name}' of shape {array.shape} is neither a "
            "list of distinct values nor shaped like the fields. Store it as a 1-D axis."
        )
    return values


def _order(
    path: Path, raw: Raw, names: Names, axes: dict, field: str, array: np.ndarray
) -> tuple[str, ...]:
    """Axes along the dimensions of the squeezed `array`, those of length one left out."""
    lengths = {a: len(values) for a, values in axes.items() if len(values) > 1}
    shape = np.squeeze(array).shape
    fitting = [p for p in itertools.permutations(lengths) if _shape(p, lengths) == shape]
    stated = _stated_order(raw, names, field, lengths)
    if stated is not None and (fitting or field in names.order):
        fitting = [p for p in fitting if p == stated]
    if len(fitting) == 1:
        return fitting[0]
    sizes = ", ".join(f"{a} ({len(values)})" for a, values in axes.items())
    source = names.source.get(field, field)
    if not fitting:
        raise ReferenceFileError(
            f"Reference file '{path}': '{source}' of shape {array.shape} contradicts the lengths "
            f"of the coordinates {sizes}. Map the coordinates that belong to it."
        )
    stated = renaming(f"{source}[{','.join(axes)}]", field)
    raise ReferenceFileError(
        f"Reference file '{path}': coordinates of equal length {sizes} leave the order of the "
        f"dimensions of '{source}' open. State it, for example "
        f"{stated}."
    )


def _shape(order: tuple[str, ...], lengths: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(lengths[a] for a in order)


def _stated_order(
    raw: Raw, names: Names, field: str, lengths: Mapping[str, int]
) -> tuple[str, ...] | None:
    if field in names.order:
        return tuple(a for a in names.order[field] if a in lengths)
    dims = raw.dimension_names(names.source.get(field, field))
    if not dims:
        return None
    own = {names.source.get(a, a).lower(): a for a in lengths}
    time = names.time_axis
    if time is not None and time in lengths and time not in names.source:
        own.update({t: time for t in _TIME_NAMES if t not in own})
    order = tuple(own[d.lower()] for d in dims if d.lower() in own)
    return order if set(order) == set(lengths) else None


def _rising(axes: tuple[str, ...], coordinates: dict, fields: dict) -> tuple[dict, dict]:
    """Axes in rising order, the fields with them."""
    order = [np.argsort(coordinates[a]) for a in axes]
    rising = {a: coordinates[a][o] for a, o in zip(axes, order, strict=True)}
    return rising, {name: array[np.ix_(*order)] for name, array in fields.items()}
