"""Boxes that grow with their distance from re-entrant corners and small holes."""

import numpy as np

from pinnkit.experts.adaptive import halved
from pinnkit.experts.cut import NEAR, footprint, meeting
from pinnkit.experts.layout import Boxes
from pinnkit.geometry import Domain

MOST_HALVINGS = 24


def graded(domain: Domain, boxes: Boxes, levels: int = 6) -> Boxes:
    """Boxes halved towards re-entrant corners, and around holes smaller than themselves.

    A box within half a side of a hole is halved until its sides are not longer than the hole is
    wide, one that touches a re-entrant corner `levels` times. Boxes outside are left out.
    """
    found = footprint(domain)
    boxes = meeting(domain, boxes)
    if found is None:
        return boxes
    axes = list(found.axes)
    places = [(np.array(c.point), 0.0) for c in found.plane.corners if c.reentrant]
    places += [(np.array(h.centre), h.radius) for h in found.plane.holes]
    coarsest = 2.0 * boxes.half[:, axes].max()
    for _ in range(MOST_HALVINGS):
        side = 2.0 * boxes.half[:, axes]
        split = np.zeros((boxes.count, boxes.dim), dtype=bool)
        for place, radius in places:
            finest = 2.0 * radius if radius else coarsest * 0.5**levels
            gap = np.abs(boxes.centre[:, axes] - place) - 0.5 * side
            reach = radius + 0.5 * side if radius else NEAR * coarsest
            near = np.all(gap <= reach, axis=1)
            long = (side > (1.0 + NEAR) * finest) & (side > 0.6 * side.max(axis=1)[:, None])
            split[:, axes] |= near[:, None] & long
        if not split.any():
            break
        boxes = meeting(domain, halved(boxes, split))
    return boxes
