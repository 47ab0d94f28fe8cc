"""Where rows are written: points inside experts, on faces of the domain and between experts."""

from collections.abc import Sequence

import numpy as np

from pinnkit.experts import cut
from pinnkit.experts.layout import Boxes, Interface
from pinnkit.experts.points import EDGE_RATIO as EDGE_RATIO
from pinnkit.experts.points import Pairs as Pairs
from pinnkit.experts.points import Points as Points
from pinnkit.experts.points import gauss_tensor as gauss_tensor
from pinnkit.experts.points import merged as merged
from pinnkit.geometry import Box, Domain
from pinnkit.geometry.domain import Region


def volume_points(domain: Domain, boxes: Boxes, nodes: Sequence[int]) -> Points:
    """Gauss points of every expert that lie in the domain, about as many where it is cut."""
    found = cut.footprint(domain)
    if found is not None:
        return cut.volume_points(found, boxes, nodes)
    xi, weights = gauss_tensor(nodes)
    owner = np.repeat(np.arange(boxes.count), len(xi))
    local = np.tile(xi, (boxes.count, 1))
    volume = np.prod(boxes.half, axis=1)
    return Points(
        owner,
        local,
        boxes.physical(owner, local),
        np.tile(weights, boxes.count) * volume[owner],
    )


def region_points(
    domain: Domain, region: Region, boxes: Boxes, nodes: Sequence[int], axes: tuple[str, ...]
) -> Points:
    """Points on a region of the domain, within the experts' part of time."""
    if region.name == "interior":
        return volume_points(domain, boxes, nodes)
    found = cut.footprint(domain)
    if found is not None and all(found.bounds(part) for part in region.parts):
        return merged([cut.region_points(found, part, boxes, nodes) for part in region.parts])
    parts = [
        _face_points(part, boxes, nodes, axes)
        if isinstance(domain, Box)
        else _scattered_points(part, boxes, nodes, axes)
        for part in region.parts
    ]
    return merged(parts)


def _normals(region: Region, physical: np.ndarray, axes: tuple[str, ...]) -> np.ndarray | None:
    at_end_of_time = region.time is not None and region.time in region.fixed
    return None if at_end_of_time else region.normals(physical)


def _face_points(
    region: Region, boxes: Boxes, nodes: Sequence[int], axes: tuple[str, ...]
) -> Points:
    """Gauss points on the experts' faces that lie on a face of the domain."""
    ((name, value),) = region.fixed.items()
    axis = axes.index(name)
    if name == region.time and region.name == "initial":
        value = float(boxes.lower[:, axis].min())
    others = [i for i in range(boxes.dim) if i != axis]
    xi, weights = gauss_tensor([int(np.ceil(EDGE_RATIO * nodes[i])) for i in others])
    owners, locals_, scaled = [], [], []
    for box, side in boxes.faces(axis, value):
        local = np.full((len(xi), boxes.dim), side)
        local[:, others] = xi
        owners.append(np.full(len(xi), box))
        locals_.append(local)
        scaled.append(weights * np.prod(boxes.half[box, others]))
    owner, local = np.concatenate(owners), np.concatenate(locals_)
    physical = boxes.physical(owner, local)
    physical[:, axis] = value
    return Points(owner, local, physical, np.concatenate(scaled), _normals(region, physical, axes))


def _scattered_points(
    region: Region, boxes: Boxes, nodes: Sequence[int], axes: tuple[str, ...]
) -> Points:
    """Evenly spread points of a curved region, as many per expert as its own face would have."""
    dim = max(region.dim, 0)
    per_expert = (
        int(np.prod(sorted(int(np.ceil(EDGE_RATIO * q)) for q in nodes)[-dim:])) if dim else 1
    )
    count = 1 << int(np.ceil(np.log2(max(2 * per_expert * boxes.count, 8))))
    physical = region.sample(count, 0)
    normals = _normals(region, physical, axes)
    if region.time is not None:
        axis = axes.index(region.time)
        physical[:, axis] = _into_slab(physical[:, axis], region, boxes, axis)
    owner = boxes.owners(physical)
    points = Points(
        owner,
        boxes.local(owner, physical),
        physical,
        np.full(count, region.measure / count),
        normals,
    )
    return points.selected(np.argsort(owner, kind="stable"))


def _into_slab(times: np.ndarray, region: Region, boxes: Boxes, axis: int) -> np.ndarray:
    start, end = float(boxes.lower[:, axis].min()), float(boxes.upper[:, axis].max())
    if region.name == "initial":
        return np.full_like(times, start)
    low, high = times.min(), times.max()
    return start + (end - start) * (times - low) / (high - low) if high > low else times


def shared_points(
    domain: Domain, boxes: Boxes, interfaces: Sequence[Interface], nodes: Sequence[int]
) -> Pairs:
    """Gauss points on the faces that two experts share, kept where they lie in the domain."""
    found, plane = [], cut.footprint(domain)
    for face in interfaces:
        physical = None if plane is None else cut.face_points(plane, boxes, face, nodes)
        if physical is not None:
            found.append(_pair(boxes, face, physical, physical, 1.0))
            continue
        others = [i for i in range(boxes.dim) if i != face.axis]
        xi, _ = gauss_tensor([int(np.ceil(EDGE_RATIO * nodes[i])) for i in others])
        low, high = np.asarray(face.lower), np.asarray(face.upper)
        physical = np.tile(low, (len(xi), 1))
        physical[:, others] = 0.5 * ((high - low) * 1.0)[others] * (xi + 1.0) + low[others]
        if not isinstance(domain, Box):
            physical = physical[domain.contains(physical)]
        found.append(_pair(boxes, face, physical, physical, 1.0))
    return _joined(found, boxes.dim)


def wrapped_points(boxes: Boxes, axis: int, nodes: Sequence[int]) -> Pairs:
    """Points on the upper end of a periodic axis, paired with the same points at its lower end."""
    top, bottom = float(boxes.upper[:, axis].max()), float(boxes.lower[:, axis].min())
    others = [i for i in range(boxes.dim) if i != axis]
    xi, _ = gauss_tensor([int(np.ceil(EDGE_RATIO * nodes[i])) for i in others])
    found = []
    for left, _ in (f for f in boxes.faces(axis, top) if f[1] == 1.0):
        local = np.full((len(xi), boxes.dim), 1.0)
        local[:, others] = xi
        physical = boxes.physical(np.full(len(xi), left), local)
        mirrored = physical.copy()
        mirrored[:, axis] = bottom
        starts = [k for k, side in boxes.faces(axis, bottom) if side == -1.0]
        inside = [
            k
            for k in starts
            if (np.abs(boxes.local(np.full(len(xi), k), mirrored)) <= 1 + 1e-9).all()
        ]
        face = Interface(left, inside[0], axis, (), ())
        found.append(_pair(boxes, face, physical, mirrored, 1.0))
    return _joined(found, boxes.dim)


def _pair(boxes: Boxes, face: Interface, left: np.ndarray, right: np.ndarray, side: float) -> Pairs:
    count = len(left)
    owner_left, owner_right = np.full(count, face.left), np.full(count, face.right)
    local_left, local_right = boxes.local(owner_left, left), boxes.local(owner_right, right)
    local_left[:, face.axis], local_right[:, face.axis] = side, -side
    return Pairs(owner_left, owner_right, np.full(count, face.axis), local_left, local_right)


def _joined(parts: Sequence[Pairs], dim: int) -> Pairs:
    if not parts:
        none, empty = np.zeros(0, dtype=int), np.zeros((0, dim))
        return Pairs(none, none, none, empty, empty)
    return Pairs(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("left", "right", "axis", "local_left", "local_right")
        )
    )
