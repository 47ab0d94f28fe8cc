"""Observed data against the fields of a solution: misfits and their derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pinnkit.compile import Residual, System
from pinnkit.derivatives.basis import linearise
from pinnkit.derivatives.parameters import parameter_slopes
from pinnkit.errors import OptionError
from pinnkit.experts.mixture import Mixture
from pinnkit.spec.condition import Kind

Noise = float | Mapping[str, float] | None


@dataclass(frozen=True)
class Series:
    """The data of one condition: (expression - values) / noise at its points."""

    residual: Residual
    linearise: Any
    axes: tuple[str, ...]
    fields: tuple[str, ...]
    noise: float

    @property
    def count(self) -> int:
        return len(self._points)

    @property
    def _points(self) -> np.ndarray:
        assert self.residual.points is not None
        return self.residual.points

    def misfit(self, mixture: Mixture, parameters: Mapping[str, float]) -> np.ndarray:
        """(N,), in units of the noise."""
        value, _ = self.linearise(self._values(mixture), self._z, parameters)
        assert self.residual.observed is not None
        return (value - self.residual.observed) / self.noise

    def slopes(
        self,
        mixture: Mixture,
        tangents: Sequence[Mixture],
        parameters: Mapping[str, float],
        names: tuple[str, ...],
    ) -> np.ndarray:
        """d misfit / dp (N, r), from the fields and from parameters in the expression itself."""
        values = self._values(mixture)
        _, slopes = self.linearise(values, self._z, parameters)
        result = np.zeros((self.count, len(names)))
        if {str(s) for s in self.residual.expression.free_symbols} & set(names):
            result += parameter_slopes(self.residual.fn, names)(values, self._z, parameters)
        for j, tangent in enumerate(tangents):
            for term, change in self._values(tangent).items():
                result[:, j] += slopes[term] * change
        return result / self.noise

    @property
    def _z(self) -> dict[str, np.ndarray]:
        return {axis: self._points[:, i] for i, axis in enumerate(self.axes)}

    def _values(self, mixture: Mixture) -> dict:
        terms = self.residual.plan.terms
        known = {
            orders: mixture.on_host(self._points, orders) for orders in {t.orders for t in terms}
        }
        return {t: known[t.orders][:, self.fields.index(t.field)] for t in terms}


def series(system: System, noise: Noise) -> tuple[Series, ...]:
    """The observed conditions of a system, each with its noise.

    Without `noise`, the unit of every condition is the spread of its own values. Raises
    `OptionError` without observed data, or for a noise that is not positive or of unknown name.
    """
    observed = [r for r in system.residuals if r.kind is Kind.OBSERVED]
    name = system.problem.name
    if not observed:
        raise OptionError(
            f"Problem '{name}' has no observed data to infer parameters from. "
            "Add Observed(u, at={...}, values=...) to its conditions."
        )
    names = [r.name for r in observed]
    if isinstance(noise, Mapping) and set(noise) != set(names):
        raise OptionError(
            f"noise is given for {', '.join(noise) or 'nothing'}, but the observed conditions of "
            f"'{name}' are {', '.join(names)}. Give one number for each."
        )
    found = []
    for residual in observed:
        size = _noise(residual, noise)
        if not (np.isfinite(size) and size > 0):
            raise OptionError(
                f"The noise of '{residual.name}' is {size}. Give a positive standard deviation in "
                "the units of its values, or none to estimate it."
            )
        found.append(Series(residual, linearise(residual), system.axes, system.fields, size))
    return tuple(found)


def _noise(residual: Residual, noise: Noise) -> float:
    if isinstance(noise, Mapping):
        return float(noise[residual.name])
    if noise is not None:
        return float(noise)
    assert residual.observed is not None
    spread = float(np.std(residual.observed))
    return spread if spread > 0 else max(float(np.abs(residual.observed).max()), 1.0)
