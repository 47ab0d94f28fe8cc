"""Laws of random input functions: plain numbers, hashable, sampled elsewhere.

A law names a distribution over functions on a box. It does not depend on any grid, so that one
seed gives one function whatever the resolution at which it is looked at.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from pinnkit.errors import SpecError

BOUNDARIES = ("periodic", "neumann", "dirichlet")


def _finite(law: Any, *names: str) -> None:
    for name in names:
        value = getattr(law, name)
        if not (isinstance(value, int | float) and math.isfinite(value)):
            raise SpecError(
                f"{type(law).__name__}: {name} = {value!r} is not a finite number; give one."
            )
        object.__setattr__(law, name, float(value))


def _is_law(law: Any) -> bool:
    return isinstance(law, LAWS)


@dataclasses.dataclass(frozen=True)
class GaussianField:
    r"""Gaussian random field: mean + N(0, scale^2 (-Laplacian + tau^2)^{-alpha}).

    The Laplacian acts on the whole box, lengths in the user's units, with the given boundary
    condition: "periodic", "neumann" or "dirichlet" (then the field minus its mean vanishes there).
    With orthonormal eigenfunctions phi_k and eigenvalues lambda_k of -Laplacian,

        g = mean + scale sum_k (lambda_k + tau^2)^{-alpha/2} xi_k phi_k,     xi_k ~ N(0, 1),

    over wavenumbers up to `modes` per axis. `zero_mean` leaves out the constant function.
    alpha > d/2 gives square-integrable fields whatever `modes`.

    Examples: FNO's Burgers states are GaussianField(25, 5, 2), its Darcy fields
    Threshold(GaussianField(3, 3, 2, boundary="neumann", zero_mean=True)).

    Raises SpecError for values out of range.
    """

    scale: float = 1.0
    tau: float = 5.0
    alpha: float = 2.0
    mean: float = 0.0
    boundary: str = "periodic"
    zero_mean: bool = False
    modes: int = 32

    def __post_init__(self) -> None:
        _finite(self, "scale", "tau", "alpha", "mean")
        if self.scale <= 0 or self.tau < 0 or self.alpha <= 0:
            raise SpecError(
                f"GaussianField: scale = {self.scale:g} and alpha = {self.alpha:g} must be "
                f"positive and tau = {self.tau:g} not negative; change them."
            )
        if self.boundary not in BOUNDARIES:
            raise SpecError(
                f"GaussianField: unknown boundary {self.boundary!r}; "
                f"choose one of {', '.join(BOUNDARIES)}."
            )
        if not isinstance(self.modes, int) or self.modes < 1:
            raise SpecError(f"GaussianField: modes = {self.modes!r}; give a positive integer.")
        if self.tau == 0 and self.boundary != "dirichlet" and not self.zero_mean:
            raise SpecError(
                "GaussianField: tau = 0 leaves the constant function without a finite variance; "
                "set zero_mean=True or tau > 0."
            )


@dataclasses.dataclass(frozen=True)
class SquaredExponential:
    r"""Gaussian process of covariance scale^2 exp(-|x - x'|^2 / (2 length^2)) around `mean`.

    Stationary on a box of any number of axes, without conditions at its ends; `length` is in the
    user's units and the same along all axes. The fields are analytic, so that they are sampled by
    a short Karhunen-Loeve sum.

    The default is the law of the sources in Lu, Jin, Pang, Zhang and Karniadakis, "Learning
    nonlinear operators via DeepONet" (Nat. Mach. Intell. 3, 2021).

    Raises SpecError for values out of range.
    """

    length: float = 0.2
    scale: float = 1.0
    mean: float = 0.0

    def __post_init__(self) -> None:
        _finite(self, "length", "scale", "mean")
        if self.length <= 0 or self.scale <= 0:
            raise SpecError(
                f"SquaredExponential: length = {self.length:g} and scale = {self.scale:g} must be "
                "positive; change them."
            )


@dataclasses.dataclass(frozen=True)
class Above:
    """The field of `law` shifted by a constant, so that its smallest value is `low`.

    For positive coefficients that are as smooth as the field. The smallest value is that on a
    fixed grid of the box, 513, 65 or 17 nodes along each of one, two or three axes.

    Raises SpecError if `law` is not a law.
    """

    law: Any
    low: float = 1.0

    def __post_init__(self) -> None:
        _finite(self, "low")
        _require_law(self)


@dataclasses.dataclass(frozen=True)
class Threshold:
    """Piecewise constant: `high` where the field of `law` is at least `level`, else `low`.

    Raises SpecError if `law` is not a law.
    """

    law: Any
    low: float = 3.0
    high: float = 12.0
    level: float = 0.0

    def __post_init__(self) -> None:
        _finite(self, "low", "high", "level")
        _require_law(self)


@dataclasses.dataclass(frozen=True)
class Exponential:
    """exp of the field of `law`: log-normal coefficients. SpecError if `law` is not a law."""

    law: Any

    def __post_init__(self) -> None:
        _require_law(self)


@dataclasses.dataclass(frozen=True)
class UniformConstant:
    """A constant function whose value is uniform in [low, high]. SpecError unless low < high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _finite(self, "low", "high")
        if not self.low < self.high:
            raise SpecError(
                f"UniformConstant: low = {self.low:g} is not below high = {self.high:g}; "
                "exchange or change them."
            )


def _require_law(outer: Any) -> None:
    if not _is_law(outer.law):
        raise SpecError(
            f"{type(outer).__name__}: {outer.law!r} is not a law of random functions; "
            "give for example GaussianField()."
        )


LAWS = (GaussianField, SquaredExponential, Above, Threshold, Exponential, UniformConstant)
