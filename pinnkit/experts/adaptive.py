"""Layouts that follow the solution: boxes are halved where it is not resolved, slabs shortened.

What decides are the tails of Tensor coefficients: the largest |c| among the top quarter of an
axis' degrees, over the largest |c| of the field. A tail on a space axis halves the expert along
it, one on the time axis shortens the slab. The boxes of a new slab are those that its first
profile asks for, so that they also grow again where the solution becomes smooth.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pinnkit.experts.bases import Tensor
from pinnkit.experts.collocation import gauss_tensor
from pinnkit.experts.layout import Boxes
from pinnkit.experts.march import March
from pinnkit.experts.slab import Machine, Slab

FINEST = 2.0**-16
SHORTEST = 2.0**-14
FIRST_SLAB = 0.1
MOST_TRIES = 24
PROFILE_SHARE = 0.3
SLAB_SHARE = 0.3


@dataclass(frozen=True)
class Adaptive:
    """A march (or one steady solve) whose layout is found on the way.

    `root` is the coarsest layout, over all axes. `affordable(experts)` says whether one more slab
    of so many experts is within the means.
    """

    machine: Machine
    root: Boxes
    tolerance: float
    affordable: Callable[[int], bool]
    interrupted: Callable[[], bool]
    report: Callable[[int, float, float], None]

    @property
    def basis(self) -> Tensor:
        basis = self.machine.basis
        assert isinstance(basis, Tensor)
        return basis

    @property
    def time(self) -> int | None:
        system = self.machine.system
        return None if system.time is None else system.axes.index(system.time)

    def march(self) -> March:
        """Slabs to the end of time, or as many as there are means for."""
        if self.time is None:
            slab, why = self._settled(self.root, None)
            return March((slab,), why)
        low, high = self.root.lower[0, self.time], self.root.upper[0, self.time]
        share = 1.0 if self.machine.system.traits.linear else FIRST_SLAB
        slabs: list[Slab] = []
        now, length = float(low), float(high - low) * share
        while now < high:
            before = slabs[-1] if slabs else None
            slab, length, why = self._step(now, length, float(high), before)
            if why:
                return March((*slabs, slab), why)
            slabs.append(slab)
            now = float(slab.boxes.upper[:, self.time].max())
            self.report(len(slabs), now, slab.held)
        return March(tuple(slabs), "")

    def _step(
        self, start: float, length: float, high: float, before: Slab | None
    ) -> tuple[Slab, float, str]:
        """The longest acceptable slab from `start`, the length to try next, and what went wrong."""
        boxes = self._fitting(start, before)
        shortest = SHORTEST * float(
            np.ptp([self.root.lower[:, self.time], self.root.upper[:, self.time]])
        )
        for _ in range(MOST_TRIES):
            end = high if start + 1.2 * length >= high else start + length
            slab = self.machine.solve(self._during(boxes, start, end), before)
            if self.interrupted():
                return slab, length, "interrupted, or out of time"
            if not slab.newton.converged:
                length = 0.4 * (end - start)
                if length < shortest:
                    return slab, length, slab.newton.reason
                continue
            tails = self._tails(slab)
            in_time = float(tails[:, self.time].max())
            length = (end - start) * self._factor(in_time)
            if in_time > self.tolerance and length < shortest:
                return slab, length, "slabs of time would have to be too short"
            boxes, refined, why = self._refined(boxes, tails)
            if not refined and in_time <= self.tolerance:
                return slab, length, why
            if why:
                return slab, length, why
        return slab, length, "the layout does not settle"

    def _factor(self, tail: float) -> float:
        """By what to change a slab's length: the tail falls like a power near the degree."""
        degree = self.basis.degrees[self.time]
        ratio = SLAB_SHARE * self.tolerance / max(tail, 1e-300)
        return float(np.clip(ratio ** (1.0 / (0.8 * degree)), 0.3, 2.0))

    def _tails(self, slab: Slab) -> np.ndarray:
        return expert_tails(self.basis, slab.coefficients)

    def _refined(self, boxes: Boxes, tails: np.ndarray) -> tuple[Boxes, bool, str]:
        """Experts with a tail in space halved; whether there were any; why it cannot be done."""
        extent = self.root.upper.max(axis=0) - self.root.lower.min(axis=0)
        bad = tails > self.tolerance
        if self.time is not None:
            bad[:, self.time] = False
        # Halve along the worst axis, and any other nearly as bad.
        bad &= tails > 1e-2 * tails.max(axis=1, initial=0.0, where=bad)[:, None]
        if not bad.any():
            return boxes, False, ""
        if ((boxes.half * 2.0 < FINEST * extent) & bad).any():
            return boxes, True, "experts would have to be too small: not smooth, or singular"
        finer = halved(boxes, bad)
        if not self.affordable(finer.count):
            return boxes, True, f"{finer.count} experts are more than the means allow"
        return finer, True, ""

    def _settled(self, boxes: Boxes, before: Slab | None) -> tuple[Slab, str]:
        """A steady problem: refine until every tail is small."""
        for _ in range(MOST_TRIES):
            slab = self.machine.solve(boxes, before)
            self.report(boxes.count, 0.0, slab.held)
            if self.interrupted():
                return slab, "interrupted, or out of time"
            boxes, refined, why = self._refined(boxes, self._tails(slab))
            if not refined or why:
                return slab, why
        return slab, "the layout does not settle"

    def _during(self, boxes: Boxes, start: float, end: float) -> Boxes:
        lower, upper = boxes.lower.copy(), boxes.upper.copy()
        lower[:, self.time], upper[:, self.time] = start, end
        return Boxes(lower, upper)

    def _fitting(self, start: float, before: Slab | None) -> Boxes:
        """The coarsest boxes in which the profile at `start` is resolved."""
        degrees = tuple(1 if i == self.time else p for i, p in enumerate(self.basis.degrees))
        xi, table, inverse = _interpolation(self.basis, degrees)
        boxes = self._during(self.root, start, self.root.upper[0, self.time])
        known = None if before is None else before.mixture
        extent = boxes.upper.max(axis=0) - boxes.lower.min(axis=0)
        done: list[np.ndarray] = []
        scale: np.ndarray | None = None
        while boxes.count:
            owner = np.repeat(np.arange(boxes.count), len(xi))
            points = boxes.physical(owner, np.tile(xi, (boxes.count, 1)))
            values = self.machine.profile(points, boxes, known)
            fields = values.reshape(boxes.count, len(xi), -1)
            coefficients = np.einsum("np,kpf->kfn", inverse, fields)
            size = np.abs(coefficients).max(axis=(0, 2))
            scale = size if scale is None else np.maximum(scale, size)
            tails = _tails(table, coefficients, scale)
            bad = tails > PROFILE_SHARE * self.tolerance
            bad[:, self.time] = False
            bad &= boxes.half * 2.0 >= FINEST * extent
            bad &= tails > 1e-2 * tails.max(axis=1)[:, None]
            split = bad.any(axis=1)
            done.append(np.stack([boxes.lower[~split], boxes.upper[~split]]))
            if not split.any() or not self.affordable(sum(d.shape[1] for d in done)):
                done.append(np.stack([boxes.lower[split], boxes.upper[split]]))
                break
            boxes = halved(Boxes(boxes.lower[split], boxes.upper[split]), bad[split])
        lower, upper = np.concatenate(done, axis=1)
        order = np.lexsort(lower.T[::-1])
        return Boxes(lower[order], upper[order])


def _interpolation(
    basis: Tensor, degrees: tuple[int, ...]
) -> tuple[np.ndarray, Tensor, np.ndarray]:
    """Gauss points (Q, d), a basis of space alone, and the matrix from values to coefficients."""
    keep = (np.asarray(basis.index) * np.array([p == 1 for p in degrees])).sum(axis=1) == 0
    space = Tensor(np.asarray(basis.index)[keep], basis.kinds, basis.degrees)
    nodes = tuple(1 if p == 1 else n for p, n in zip(degrees, basis.nodes(), strict=True))
    xi, weights = gauss_tensor(nodes)
    xi[:, [i for i, p in enumerate(degrees) if p == 1]] = -1.0
    root = np.sqrt(weights)
    table = space.features(xi, (0,) * len(degrees))
    inverse = np.linalg.pinv(root[:, None] * table) * root[None, :]
    return xi, space, inverse


def expert_tails(basis: Tensor, coefficients: np.ndarray) -> np.ndarray:
    """Tails (K, axes) of coefficients (K, fields, n), relative to the largest of each field."""
    size = np.abs(coefficients).max(axis=(0, 2))
    return _tails(basis, coefficients, size)


def _tails(basis: Tensor, coefficients: np.ndarray, size: np.ndarray) -> np.ndarray:
    relative = np.abs(coefficients) / np.maximum(size, np.finfo(float).tiny)[None, :, None]
    frequency = basis.frequencies()
    tails = np.zeros((len(coefficients), len(basis.degrees)))
    for axis, degree in enumerate(basis.degrees):
        top = frequency[:, axis] > 0.75 * degree
        tails[:, axis] = relative[:, :, top].max(axis=(1, 2), initial=0.0)
    return tails


def halved(boxes: Boxes, along: np.ndarray) -> Boxes:
    """Boxes halved along the axes where `along` (K, d) holds, in lexicographic order."""
    lower, upper = boxes.lower, boxes.upper
    for axis in range(boxes.dim):
        split = along[:, axis]
        middle = 0.5 * (lower[split, axis] + upper[split, axis])
        low, high = upper[split].copy(), lower[split].copy()
        low[:, axis], high[:, axis] = middle, middle
        kept = ~split
        lower = np.concatenate([lower[kept], lower[split], high])
        upper = np.concatenate([upper[kept], low, upper[split]])
        along = np.concatenate([along[kept], along[split], along[split]])
    order = np.lexsort(lower.T[::-1])
    return Boxes(lower[order], upper[order])
