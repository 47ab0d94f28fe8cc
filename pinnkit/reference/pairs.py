"""Other people's pairs of functions: samples of inputs and solutions under a problem's names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pinnkit.compile import System, compile_problem
from pinnkit.data import Dataset, findings
from pinnkit.data.file import is_dataset
from pinnkit.derivatives import Axis, FourierAxis, OpenAxis, UniformAxis
from pinnkit.errors import OptionError, ReferenceFileError
from pinnkit.reference.raw import Raw, Wanted, suggestion
from pinnkit.reference.registry import load
from pinnkit.spec.problem import Problem

SAMPLE = "sample"
ACCURACY = 4
UNEVEN = 1e-3
_ORDERED = re.compile(r"^(?P<name>.+?)\[(?P<axes>[^\[\]]+)\]$")


def read_pairs(
    path: Path,
    problem: Problem,
    rename: Mapping[str, str],
    every: int | Mapping[str, int] = 1,
    streamed: bool = False,
    open_axes: Sequence[str] = (),
) -> Dataset:
    """See `pinnkit.read_dataset`."""
    system = compile_problem(problem)
    if len(system.inputs) != 1:
        raise OptionError(
            f"'{problem.name}' has {len(system.inputs)} input functions, data need one. "
            "Declare it with input_function(...)."
        )
    if is_dataset(path):
        found = Dataset.load(path, streamed)
        _check_names(path, found, system)
    else:
        found = _foreign(path, system, dict(rename), tuple(open_axes))
        found = _thinned(found, system, every)
    complaints = findings(found)
    fatal = [c for c in complaints if "not finite" in c]
    if fatal:
        raise ReferenceFileError(f"Data file '{path}': {'; '.join(fatal)}. Leave them out.")
    return _noted(found, complaints)


def _noted(found: Dataset, complaints: list[str]) -> Dataset:
    return dataclasses.replace(
        found, provenance={**found.provenance, "complaints": list(complaints)}
    )


def _check_names(path: Path, found: Dataset, system: System) -> None:
    if (found.function, found.fields) != (system.inputs[0], system.fields):
        raise ReferenceFileError(
            f"Dataset '{path}' maps {found.function} to {', '.join(found.fields)}, the problem "
            f"{system.inputs[0]} to {', '.join(system.fields)}. Give data of this problem."
        )


def _foreign(
    path: Path, system: System, rename: dict[str, str], open_axes: tuple[str, ...]
) -> Dataset:
    parts = load(path, Wanted())
    source, order = _sources(system, rename)
    raw = max(parts, key=lambda part: sum(part.find(s) is not None for s in source.values()))
    own = _input_axes(system)
    inputs = _array(path, raw, source, system.inputs[0])
    inputs = _ordered(path, inputs, order.get(system.inputs[0]), own, system.inputs[0])
    outputs = []
    for field in system.fields:
        array = _array(path, raw, source, field)
        array = _ordered(path, array, order.get(field), system.axes, field, system.time)
        outputs.append(array)
    whole = np.stack(outputs, axis=1)
    if len(whole) != len(inputs):
        raise ReferenceFileError(
            f"Data file '{path}': {len(inputs)} samples of {system.inputs[0]}, {len(whole)} of "
            f"{', '.join(system.fields)}. Samples are the first dimension of each; "
            "state the order of dimensions if it is another."
        )
    if whole.ndim == len(system.axes) + 1:  # without time: the end, after the initial state
        whole = _with_start(path, system, inputs, whole)
    sizes = dict(zip(system.axes, whole.shape[2:], strict=True))
    grid = tuple(_axis(system, name, n, name in open_axes) for name, n in sizes.items())
    sensors = tuple(
        _axis(system, name, n, name in open_axes)
        for name, n in zip(own, inputs.shape[1:], strict=True)
    )
    _check_coordinates(path, raw, source, {a.name: a for a in grid})
    _check_start(path, system, inputs, whole)
    return Dataset(
        system.problem.name,
        system.inputs[0],
        system.fields,
        sensors,
        grid,
        inputs,
        whole,
        np.full(len(inputs), np.nan),
        {"file": path.name, "digest": system.digest},
    )


def _sources(
    system: System, rename: dict[str, str]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Name in the file by name in the problem, and stated orders of dimensions."""
    names = (*system.inputs, *system.fields)
    source = {name: name for name in names}
    order = {}
    for left, right in rename.items():
        if right not in (*names, *system.axes):
            raise OptionError(
                f"rename={{{left!r}: {right!r}}}: the problem has no '{right}'. "
                f"Choose from {', '.join((*names, *system.axes))}."
            )
        match = _ORDERED.match(left)
        source[right] = match["name"] if match else left
        if match:
            order[right] = tuple(part.strip() for part in match["axes"].split(","))
    return source, order


def _input_axes(system: System) -> tuple[str, ...]:
    return tuple(str(a) for a in system.problem.inputs[0].args)


def _array(path: Path, raw: Raw, source: dict[str, str], name: str) -> np.ndarray:
    array = raw.find(source[name])
    if array is None:
        raise ReferenceFileError(
            f"Data file '{path}' lacks '{source[name]}' (wanted for '{name}'). It holds "
            f"{raw.describe()}. Say which is meant: {suggestion([name], raw.names())}."
        )
    return np.asarray(array, float)


def _ordered(
    path: Path,
    array: np.ndarray,
    stated: tuple[str, ...] | None,
    axes: tuple[str, ...],
    name: str,
    time: str | None = None,
) -> np.ndarray:
    """Samples first, then the axes in order; without the time axis if the array has none."""
    if stated is not None:
        if array.ndim != len(stated) or not set(stated) <= {SAMPLE, *axes} or SAMPLE not in stated:
            raise ReferenceFileError(
                f"Data file '{path}': '{name}' of shape {array.shape} does not have the dimensions "
                f"[{','.join(stated)}]. Name each once, of {', '.join((SAMPLE, *axes))}."
            )
        wanted = [SAMPLE, *(a for a in axes if a in stated)]
        array = array.transpose([stated.index(a) for a in wanted])
        axes = tuple(a for a in axes if a in stated)
    else:
        array = array.reshape(len(array), *(n for n in array.shape[1:] if n > 1))
    without = tuple(a for a in axes if a != time)
    if array.ndim - 1 not in (len(axes), len(without)):
        raise ReferenceFileError(
            f"Data file '{path}': '{name}' has the shape {array.shape}; expected are samples, then "
            f"{', '.join(axes)}. State the order, for example "
            f"rename={{'{name}[{','.join((SAMPLE, *axes))}]': '{name}'}}."
        )
    return array


def _with_start(path: Path, system: System, inputs: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Two instants: the input function, and what the file holds."""
    if ends.shape[1] != 1 or inputs.shape[1:] != ends.shape[2:]:
        raise ReferenceFileError(
            f"Data file '{path}': solutions without the time axis '{system.time}' are those at the "
            "end of one field from initial states on the same grid. Give arrays with time."
        )
    where = system.axes.index(system.time or "") + 2
    return np.stack([inputs[:, None], ends], axis=where)


def _axis(system: System, name: str, n: int, is_open: bool) -> Axis:
    low, high = system.domain.bounds[name]
    if name in system.traits.periodic:
        return FourierAxis(name, low, high, n)
    if is_open:
        return OpenAxis(name, low, high, n, ACCURACY)
    return UniformAxis(name, low, high, n, ACCURACY)


def _check_coordinates(path: Path, raw: Raw, source: dict[str, str], grid: dict[str, Axis]) -> None:
    """Coordinates that the file holds, against the nodes that are assumed."""
    for name, axis in grid.items():
        if name not in source and name in source.values():
            continue  # the file's variable of this name is something else
        array = raw.find(source.get(name, name))
        if array is None or np.squeeze(array).ndim != 1:
            continue
        given = np.squeeze(array).astype(float)
        if len(given) != axis.n:
            raise ReferenceFileError(
                f"Data file '{path}': coordinate '{name}' has {len(given)} values, the arrays have "
                f"{axis.n} along it. State the order of dimensions, or map another variable."
            )
        if np.abs(given - axis.nodes).max() > UNEVEN * axis.length:
            raise ReferenceFileError(
                f"Data file '{path}': coordinate '{name}' runs from {given[0]:g} to "
                f"{given[-1]:g} in {len(given)} values, where uniform nodes from "
                f"{axis.nodes[0]:g} to {axis.nodes[-1]:g} are expected. Change the problem's "
                "domain, or interpolate the data."
            )


def _check_start(path: Path, system: System, inputs: np.ndarray, outputs: np.ndarray) -> None:
    """An initial state that is the last frame, or lies along another axis, shows a wrong order."""
    if system.time is None or inputs.ndim != outputs.ndim - 2:
        return
    where = system.axes.index(system.time) + 1
    field = outputs[:, 0]
    size = max(float(np.abs(inputs).max()), 1e-300)

    def agrees(frame: np.ndarray) -> bool:
        return frame.shape == inputs.shape and float(np.abs(frame - inputs).max()) < 1e-3 * size

    if agrees(field.take(0, where)):
        return
    for other in range(1, field.ndim):
        for end in (0, -1):
            if agrees(field.take(end, other)):
                what = "last" if end else "first"
                raise ReferenceFileError(
                    f"Data file '{path}': the input function is the {what} slice along dimension "
                    f"{other} of '{system.fields[0]}', not the first along {system.time}: the axes "
                    "are in another order than the problem's. State it, for example "
                    f"rename={{'u[sample,{','.join(system.axes[::-1])}]': 'u'}}."
                )


def _thinned(found: Dataset, system: System, every: int | Mapping[str, int]) -> Dataset:
    steps = (
        dict(every)
        if isinstance(every, Mapping)
        else dict.fromkeys((a for a in system.axes if a != system.time), every)
    )
    if all(step == 1 for step in steps.values()):
        return found

    def thin(axes: tuple[Axis, ...]) -> tuple[tuple[slice, ...], tuple[Axis, ...]]:
        places = tuple(slice(None, None, steps.get(a.name, 1)) for a in axes)
        return places, tuple(
            dataclasses.replace(a, n=len(range(a.n)[p])) for a, p in zip(axes, places, strict=True)
        )

    for axis in found.grid:
        step = steps.get(axis.name, 1)
        intervals = axis.n if isinstance(axis, FourierAxis | OpenAxis) else axis.n - 1
        if step < 1 or intervals % step:
            raise OptionError(
                f"every={step} does not divide the {intervals} intervals along {axis.name}. "
                "Give a divisor."
            )
    own, sensors = thin(found.sensors)
    places, grid = thin(found.grid)
    inputs, outputs = found.arrays()
    return dataclasses.replace(
        found,
        sensors=sensors,
        grid=grid,
        inputs=inputs[(slice(None), *own)],
        outputs=outputs[(slice(None), slice(None), *places)],
    )
