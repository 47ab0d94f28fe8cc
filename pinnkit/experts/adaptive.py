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
from pinnkit.experts.cut import meeting
from pinnkit.experts.layout import Boxes
from pinnkit.experts.march import March
from pinnkit.experts.means import Means
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.slab import Machine, Slab

FINEST = 2.0**-16
SHORTEST = 2.0**-14
FIRST_SLAB = 0.1
MOST_TRIES = 24
PROFILE_SHARE = 0.3
SLAB_SHARE = 0.3
NEARLY = 1e-2


@dataclass(frozen=True)
class Adaptive:
    """A march (or one steady solve) whose layout is found on the way.

    `root` is the coarsest layout, over all axes; `means` is what may be spent.
    """

    machine: Machine
    root: Boxes
    tolerance: float
    means: Means
    interrupted: Callable[[], bool]
    report: Callable[[int, float, float], None]

    @property
    def basis(self) -> Tensor:
        basis = self.machine.basis
        assert isinstance(basis, Tensor)
        return basis

    @property
    def time(self) -> int:
        """Index of the time axis."""
        return self.machine.system.axes.index(str(self.machine.system.time))

    def solve(self, boxes: Boxes, before: Slab | None, guess: Mixture | None = None) -> Slab:
        """One slab, charged to the means."""
        slab = self.machine.solve(boxes, before, guess)
        self.means.charge(self.machine.size(boxes), slab.newton.iterations)
        return slab

    def march(self) -> March:
        """Slabs to the end of time, or as many as there are means for."""
        low, high = float(self.root.lower[0, self.time]), float(self.root.upper[0, self.time])
        length = (high - low) * (1.0 if self.machine.system.traits.linear else FIRST_SLAB)
        slabs: list[Slab] = []
        now = low
        while now < high:
            before = slabs[-1] if slabs else None
            slab, length, why = self._step(now, length, high, before)
            slabs.append(slab)
            if why:
                return March(tuple(slabs), why)
            now = float(slab.boxes.upper[:, self.time].max())
            self.report(len(slabs), now, slab.held)
        return March(tuple(slabs), "")

    def _step(
        self, start: float, length: float, high: float, before: Slab | None
    ) -> tuple[Slab, float, str]:
        """The longest acceptable slab from `start`, the length to try next, and what went wrong."""
        boxes = self._fitting(start, before)
        shortest = SHORTEST * (high - float(self.root.lower[0, self.time]))
        slab, why = None, "the layout does not settle"
        for _ in range(MOST_TRIES):
            end = high if start + 1.2 * length >= high else start + length
            slab = self.solve(self._during(boxes, start, end), before)
            if self.interrupted():
                return slab, length, "interrupted, or out of time"
            if slab.newton.converged:
                tails = expert_tails(self.basis, slab.coefficients)
                late = float(tails[:, self.time].max())
                length = (end - start) * self._factor(late)
                boxes, refined, why = self.refined(boxes, tails)
                if why or (not refined and late <= self.tolerance):
                    return slab, length, why
            else:
                length, why = 0.4 * (end - start), slab.newton.reason
            if length < shortest:
                why = why or "slabs of time would have to be too short: not smooth in time"
                return slab, length, why
        assert slab is not None
        return slab, length, why or "the layout does not settle"

    def _factor(self, tail: float) -> float:
        """By what to change a slab's length: the tail falls like a power near the degree."""
        degree = self.basis.degrees[self.time]
        ratio = SLAB_SHARE * self.tolerance / max(tail, 1e-300)
        return float(np.clip(ratio ** (1.0 / (0.8 * degree)), 0.3, 2.0))

    def refined(self, boxes: Boxes, tails: np.ndarray) -> tuple[Boxes, bool, str]:
        """Experts with a tail in space halved; whether there were any; why it cannot be done."""
        extent = self.root.upper.max(axis=0) - self.root.lower.min(axis=0)
        bad = tails > self.tolerance
        if self.machine.system.time is not None:
            bad[:, self.time] = False
        # Halve along the worst axis, and any other nearly as bad.
        bad &= tails > NEARLY * tails.max(axis=1, initial=0.0, where=bad)[:, None]
        if not bad.any():
            return boxes, False, ""
        if ((boxes.half * 2.0 < FINEST * extent) & bad).any():
            return boxes, True, "experts would have to be too small: not smooth, or singular"
        finer = meeting(self.machine.system.domain, halved(boxes, bad))
        if not self.means.affords(self.machine.size(finer)):
            return boxes, True, f"{finer.count} experts would cost more than the means allow"
        return finer, True, ""

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
        scale = np.zeros(len(self.machine.system.fields))
        while boxes.count:
            owner = np.repeat(np.arange(boxes.count), len(xi))
            points = boxes.physical(owner, np.tile(xi, (boxes.count, 1)))
            values = self.machine.profile(points, boxes, known)
            fields = values.reshape(boxes.count, len(xi), -1)
            coefficients = np.einsum("np,kpf->kfn", inverse, fields)
            scale = np.maximum(scale, np.abs(coefficients).max(axis=(0, 2)))
            tails = _tails(table, coefficients, scale)
            bad = tails > PROFILE_SHARE * self.tolerance
            bad[:, self.time] = False
            bad &= boxes.half * 2.0 >= FINEST * extent
            bad &= tails > NEARLY * tails.max(axis=1)[:, None]
            split = bad.any(axis=1)
            done.append(np.stack([boxes.lower[~split], boxes.upper[~split]]))
            if not split.any():
                break
            coarse = Boxes(boxes.lower[split], boxes.upper[split])
            boxes = meeting(self.machine.system.domain, halved(coarse, bad[split]))
            whole = np.concatenate([*done, np.stack([boxes.lower, boxes.upper])], axis=1)
            if not self.means.affords(self.machine.size(Boxes(*whole))):
                done.append(np.stack([coarse.lower, coarse.upper]))
                break
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
