"""Residuals of a space-time polynomial between its collocation points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.polynomial import chebyshev

from pinnkit.compile import Residual, System, Term
from pinnkit.experts.assembly import SIDE_WEIGHT, Lineariser, field_magnitudes
from pinnkit.experts.periodic.modes import Modes
from pinnkit.spec.condition import Kind

MOST_POINTS = 4096


class HeldOut:
    """Held-out residual of a slab, relative to the size of the fields.

    Equations at Gauss points in time and at Fourier points half-way between the collocation
    points (at most `MOST_POINTS`, spread evenly at random), and, in the first slab, initial
    conditions. Rows are scaled as in `assembly.held_out`: by 1 / sum_T |d fn/dT| U / h^T, with
    U the field's magnitude and h the half widths of the slab.
    """

    def __init__(self, system: System, linearisers: Mapping[str, Lineariser]) -> None:
        self.system, self.linearisers = system, linearisers
        self.magnitudes = dict(zip(system.fields, field_magnitudes(system), strict=True))
        self.initial = [r for r in system.residuals if r.kind is Kind.INITIAL]

    def __call__(
        self, modes: Modes, coefficients: np.ndarray, start: float, length: float, first: bool
    ) -> float:
        """`coefficients` (p + 1, s, ...modes) of T_k in time; infinite if not finite."""
        times = np.polynomial.legendre.leggauss(len(coefficients))[0]
        inside = _Sample(modes, coefficients, start, length, times)
        fields = np.stack(
            [inside(_plain(self.system, f)) / self.magnitudes[f] for f in self.system.fields]
        )
        size = float(np.sqrt(np.mean(fields**2)))
        rows = [self._scaled(r, inside) for r in self.system.equations]
        if first:
            begin = _Sample(modes, coefficients, start, length, np.array([-1.0]))
            rows += [SIDE_WEIGHT * self._scaled(r, begin) for r in self.initial]
        norm = float(np.sqrt(np.mean(np.concatenate(rows) ** 2)))
        return norm / (size if size > 1e-100 else 1.0) if np.isfinite(norm) else np.inf

    def _scaled(self, residual: Residual, sample: _Sample) -> np.ndarray:
        values = {term: sample(term) for term in residual.plan.terms}
        call = self.linearisers[residual.name]
        value, slopes = call(values, sample.coordinates, self.system.parameters)
        total = 0.0
        for term, slope in slopes.items():
            kappa = np.prod(sample.half ** -np.asarray(term.orders, dtype=float))
            total += np.sqrt(np.mean(slope**2)) * kappa * self.magnitudes[term.field]
        return value / (total if total > 0.0 else 1.0)


class _Sample:
    """Term values at chosen points of a slab."""

    def __init__(
        self,
        modes: Modes,
        coefficients: np.ndarray,
        start: float,
        length: float,
        times: np.ndarray,
    ) -> None:
        self.modes, self.coefficients, self.length, self.times = modes, coefficients, length, times
        system, shape = modes.system, (len(times), *modes.points)
        shift = [
            np.exp(1j * np.pi * k / n) for k, n in zip(modes.wavenumbers, modes.points, strict=True)
        ]
        self.shift = np.ones(())
        for factor in shift:
            self.shift = self.shift[..., None] * factor
        count = int(np.prod(shape))
        self.chosen = np.arange(count)
        if count > MOST_POINTS:
            self.chosen = np.sort(np.random.default_rng(0).choice(count, MOST_POINTS, False))
        spacing = np.asarray(modes.lengths) / np.asarray(modes.points)
        z = {
            axis: np.broadcast_to((modes.grid[axis] + 0.5 * dx)[None], shape)
            for axis, dx in zip(modes.axes, spacing, strict=True)
        }
        instants = start + 0.5 * length * (times + 1.0)
        column = instants.reshape((-1,) + (1,) * len(modes.points))
        z[str(system.time)] = np.broadcast_to(column, shape)
        self.coordinates = {a: z[a].ravel()[self.chosen] for a in system.axes}
        widths = dict(zip(modes.axes, modes.lengths, strict=True)) | {str(system.time): length}
        self.half = 0.5 * np.array([widths[a] for a in system.axes])

    def __call__(self, term: Term) -> np.ndarray:
        modes = self.modes
        order = term.along(str(modes.system.time))
        row = modes.index[term.field, 0]
        table = _time_table(self.times, len(self.coefficients), order) * (2 / self.length) ** order
        symbol = modes.symbol(tuple(term.along(a) for a in modes.axes)) * self.shift
        states = np.tensordot(table, self.coefficients[:, row], 1) * symbol[None]
        return _to_grid(states, modes).ravel()[self.chosen]


def _time_table(times: np.ndarray, count: int, order: int) -> np.ndarray:
    """d^order T_k at the times, (m, count)."""
    columns = [chebyshev.chebval(times, chebyshev.chebder(row, order)) for row in np.eye(count)]
    return np.stack(columns, axis=1)


def _to_grid(states: np.ndarray, modes: Modes) -> np.ndarray:
    """The same as `Modes.values`, in NumPy: (m, ...modes) to (m, ...grid)."""
    full = np.zeros((len(states), *modes.points[:-1], modes.points[-1] // 2 + 1), complex)
    index: Sequence[np.ndarray] = [
        k % n for k, n in zip(modes.wavenumbers, modes.points, strict=True)
    ]
    full[np.ix_(np.arange(len(states)), *index)] = states
    axes = tuple(range(1, states.ndim))
    return np.fft.irfftn(full, modes.points, axes=axes, norm="forward")


def _plain(system: System, field: str) -> Term:
    return Term(field, (0,) * len(system.axes), system.axes)
