"""Layouts that follow the solution: boxes are halved where it is not resolved, slabs shortened.

What decides are the tails of Chebyshev coefficients (of the experts' own, or of what they hold, see
`Gauge`): the largest |c| among the top quarter of an axis' degrees, over the largest |c| of the
field. A tail on a space axis halves the expert along
it, one on the time axis shortens the slab. The boxes of a new slab are those that its first
profile asks for, so that they also grow again where the solution becomes smooth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pinnkit.experts.bases import Tensor
from pinnkit.experts.collocation import gauss_tensor
from pinnkit.experts.cut import meeting
from pinnkit.experts.gauge import Gauge
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
SHORTER, STRETCH = 0.8, 1.2
"""A slab that failed is shortened at least so much; the last one may be so much longer."""
NEARLY = 1e-2
SETTLING, MOST_LEFT = 20, 1000
"""After so many slabs, no more than so many of the present length may be left."""
MOST_TAKEN = 6
"""Slabs at the first instant that may be taken unresolved."""


class Why:
    """Why a march ends early."""

    SHORT = "slabs of time would have to be too short: not smooth in time"
    UNSETTLED = "the layout does not settle"
    INTERRUPTED = "interrupted, or out of time"


@dataclass(frozen=True)
class Step:
    """A slab, the length to try next, what went wrong or "", sizes of the fields seen, its tail."""

    slab: Slab
    length: float
    why: str
    seen: np.ndarray
    tail: float


@dataclass(frozen=True)
class Adaptive:
    """A march (or one steady solve) whose layout is found on the way.

    `gauge` tells how well experts resolve; `root` is the coarsest layout, over all axes; `means`
    is what may be spent.
    """

    machine: Machine
    gauge: Gauge
    root: Boxes
    tolerance: float
    means: Means
    interrupted: Callable[[], bool]
    report: Callable[[int, float, float], None]

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
        """Slabs to the end of time, or as many as there are means for.

        Initial and boundary values whose derivatives do not fit together leave a singular corner at
        the first instant, which no slab resolves relative to the small values that it holds. Then
        tails are taken relative to the largest values that were seen in longer slabs, and a first
        slab of the shortest length is taken as it is; the later ones are asked for half the tail
        of the one before, until that is the tolerance.
        """
        low, high = float(self.root.lower[0, self.time]), float(self.root.upper[0, self.time])
        length = (high - low) * (1.0 if self.machine.system.traits.linear else FIRST_SLAB)
        slabs: list[Slab] = []
        now, sizes, asked = low, np.zeros(len(self.machine.system.fields)), 0.0
        taken, rough = 0, 0
        while now < high:
            before = slabs[-1] if slabs else None
            asked = max(0.5 * asked, self.tolerance)
            step = replace(self, tolerance=asked)._step(now, length, high, before, sizes)
            if step.why is Why.SHORT and not slabs and not sizes.any():
                length, sizes = 0.1 * (high - low), step.seen
                continue
            slab, length = step.slab, step.length
            slabs.append(slab)
            if step.why is Why.SHORT and taken < MOST_TAKEN and len(slabs) == taken + 1:
                asked, taken = step.tail, taken + 1
            elif step.why:
                return March(tuple(slabs), step.why)
            rough = len(slabs) if asked > self.tolerance else rough
            now = float(slab.boxes.upper[:, self.time].max())
            self.report(len(slabs), now, slab.held)
            if len(slabs) >= SETTLING and high - now > MOST_LEFT * length:
                return March(tuple(slabs), Why.SHORT)
        return March(tuple(slabs), "", rough)

    def _step(
        self, start: float, length: float, high: float, before: Slab | None, sizes: np.ndarray
    ) -> "Step":
        """The longest acceptable slab from `start`; `sizes` are least sizes of the fields."""
        boxes = self._fitting(start, before, sizes)
        shortest = SHORTEST * (high - float(self.root.lower[0, self.time]))
        slab, why, seen, tail = None, Why.UNSETTLED, sizes, np.inf
        for _ in range(MOST_TRIES):
            end = high if start + STRETCH * length >= high else start + length
            slab = self.solve(self._during(boxes, start, end), before)
            if self.interrupted():
                return Step(slab, length, Why.INTERRUPTED, seen, tail)
            if slab.newton.converged:
                seen = np.maximum(seen, field_sizes(self.gauge.coefficients(slab.coefficients)))
                tails = expert_tails(self.gauge, slab.coefficients, sizes)
                late, tail = float(tails[:, self.time].max()), float(tails.max())
                length = (end - start) * self._factor(late)
                if late > self.tolerance:  # or the same slab, rounded up to the end, comes again
                    length = min(length, SHORTER * (end - start))
                boxes, refined, why = self.refined(boxes, tails)
                if why or (not refined and late <= self.tolerance):
                    return Step(slab, length, why, seen, tail)
                if refined and sizes.any():  # space first, as time is not to be resolved
                    length = max(length, shortest)
            else:
                length, why = 0.4 * (end - start), slab.newton.reason
            if length < shortest:
                return Step(slab, length, why or Why.SHORT, seen, tail)
        assert slab is not None
        return Step(slab, length, why or Why.UNSETTLED, seen, tail)

    def _factor(self, tail: float) -> float:
        """By what to change a slab's length: the tail falls like a power near the degree."""
        degree = self.gauge.polynomials.degrees[self.time]
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

    def _fitting(self, start: float, before: Slab | None, sizes: np.ndarray) -> Boxes:
        """The coarsest boxes in which the profile at `start` is resolved."""
        polynomials = self.gauge.polynomials
        degrees = tuple(1 if i == self.time else p for i, p in enumerate(polynomials.degrees))
        xi, table, inverse = _interpolation(polynomials, degrees)
        boxes = self._during(self.root, start, self.root.upper[0, self.time])
        known = None if before is None else before.mixture
        extent = boxes.upper.max(axis=0) - boxes.lower.min(axis=0)
        done: list[np.ndarray] = []
        scale = sizes
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


def expert_tails(
    judge: Gauge, coefficients: np.ndarray, sizes: np.ndarray | float = 0.0
) -> np.ndarray:
    """Tails (K, axes) of coefficients (K, fields, n), relative to the largest of each field.

    `sizes` (fields,) are sizes below which the fields' own ones do not count.
    """
    found = judge.coefficients(coefficients)
    return _tails(judge.polynomials, found, np.maximum(field_sizes(found), sizes))


def field_sizes(coefficients: np.ndarray) -> np.ndarray:
    """The largest |c| by field."""
    return np.abs(coefficients).max(axis=(0, 2))


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
