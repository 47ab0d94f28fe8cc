"""Families of bases: how a basis is sized, and which one to try next."""

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import numpy as np

from pinnkit.errors import OptionError
from pinnkit.experts.bases import Basis, RandomSine, RandomTanh, Tensor, tensor_basis

TAIL_RATIO = 0.03
PER_POLYNOMIAL = 2.4
"""Random features for every polynomial that they are to stand for."""


@dataclass(frozen=True)
class Tried:
    """A basis that was used: its coefficients (K, fields, n) and held-out residual."""

    basis: Basis
    coefficients: np.ndarray
    held: float


def bare(tried: Sequence[Tried]) -> list[Tried]:
    """What was tried, without the functions that were added to a `base`."""
    found = []
    for t in tried:
        base = getattr(t.basis, "base", None)
        found.append(Tried(base, t.coefficients[..., : base.size], t.held) if base else t)
    return found


@dataclass(frozen=True)
class Shape:
    """What a family must know of an expert: dimension, exactly periodic axes (indices), seed."""

    dim: int
    periodic: tuple[int, ...] = ()
    seed: int = 0


class Family(eqx.Module):
    """A one-parameter family of bases of growing size."""

    @abc.abstractmethod
    def sized(self, size: int, shape: Shape) -> Basis:
        """A basis of about `size` features."""

    @abc.abstractmethod
    def resolving(self, degree: int, shape: Shape) -> Basis:
        """A basis with about the resolution of polynomials up to `degree`."""

    @abc.abstractmethod
    def following(self, tried: Sequence[Tried], shape: Shape) -> Basis | None:
        """The basis to try after those in `tried`; None when the ladder ends."""


class Chebyshev(Family):
    """Tensor Chebyshev polynomials; Fourier on axes where an expert spans a whole period.

    The ladder enlarges the degree of those axes whose coefficients have not decayed. `degree`
    (a number, or one per axis) fixes the basis, as the full tensor product.
    """

    degree: int | tuple[int, ...] | None = None

    def sized(self, size: int, shape: Shape) -> Basis:
        low = 2
        while self._ball(self._start(low + 1, shape), shape).size <= size:
            low += 1
        return self._ball(self._start(low, shape), shape)

    def resolving(self, degree: int, shape: Shape) -> Basis:
        return tensor_basis((degree,) * shape.dim, _kinds(shape))

    def following(self, tried: Sequence[Tried], shape: Shape) -> Basis | None:
        if self.degree is not None:
            return self._fixed(len(tried), shape)
        if not tried:
            start = {1: 16, 2: 12, 3: 7}.get(shape.dim, 4)
            return self._ball(self._start(start, shape), shape)
        last = tried[-1].basis
        assert isinstance(last, Tensor)
        tails = np.asarray(last.tails(tried[-1].coefficients))
        short = tails >= TAIL_RATIO * tails.max()
        grown = [
            int(np.ceil(1.3 * p)) + 1 if g else p + 1
            for p, g in zip(last.degrees, short, strict=True)
        ]
        return self._ball(tuple(grown), shape)

    def _fixed(self, step: int, shape: Shape) -> Basis | None:
        given = self.degree or 0
        degree = given if isinstance(given, tuple) else (given,) * shape.dim
        if len(degree) != shape.dim:
            raise OptionError(
                f"Chebyshev(degree={self.degree}) has {len(degree)} degrees for {shape.dim} axes. "
                "Give one number, or one per axis."
            )
        coarse = tuple(max(int(p) - max(int(p) // 5, 2), 1) for p in degree)
        ladder = (coarse, tuple(int(p) for p in degree))
        kinds = _kinds(shape)
        return tensor_basis(ladder[step], kinds, full=True) if step < len(ladder) else None

    def _start(self, degree: int, shape: Shape) -> tuple[int, ...]:
        """Equal resolution per axis: a wave takes two functions, a polynomial degree one."""
        return tuple(
            max(degree // 2, 1) if i in shape.periodic else degree for i in range(shape.dim)
        )

    def _ball(self, degrees: tuple[int, ...], shape: Shape) -> Tensor:
        return tensor_basis(degrees, _kinds(shape))


def _kinds(shape: Shape) -> tuple[str, ...]:
    return tuple("fourier" if i in shape.periodic else "chebyshev" for i in range(shape.dim))


class Sine(Family):
    """Random features sin(w . xi + b), |w_i| <= `scale` per axis (local coordinates).

    With `features` and `scale` both given the basis is fixed. Otherwise the ladder tries, for
    growing n, a small and a large scale: the large one is near the most that n features resolve,
    n = 2.5 (2R/pi)^2 + 150 in two dimensions (fitted to measurements).
    """

    features: int | None = None
    scale: float | tuple[float, ...] | None = None

    def sized(self, size: int, shape: Shape) -> Basis:
        return self._draw(size, self._scales(self._pair(size, shape.dim)[0], shape), shape)

    def resolving(self, degree: int, shape: Shape) -> Basis:
        """|w_i| <= degree/2 and 2.4 features per polynomial of a total degree higher by two.

        Such features reproduce the polynomials to about 1e-2 and those of low degree to 1e-9:
        measured in two dimensions for degrees 8 to 13. Two degrees are for rounding, which random
        features amplify: with fewer, coefficients of high degree do not fall to the tolerance.
        """
        degree += 2
        size = round(PER_POLYNOMIAL * math.comb(degree + shape.dim, shape.dim))
        return self._draw(size, self._scales(0.5 * degree, shape), shape)

    def following(self, tried: Sequence[Tried], shape: Shape) -> Basis | None:
        step = len(tried)
        if self.features is not None:
            if step > 1:
                return None
            size = self.features if step else max(int(0.7 * self.features), 2)
            scales = self._scales(self._pair(size, shape.dim)[0], shape)
            # The coarse rung resolves less, or the difference would hide a scale too small.
            shrunk = tuple((1.0 if step else 0.85) * scale for scale in scales)
            return self._draw(size, shrunk, shape)
        start = {1: 24, 2: 150, 3: 400}.get(shape.dim, 600)
        wide = self.scale is None and bool(step % 2)
        size = int(start * 1.7 ** (step // 2 if self.scale is None else step))
        # Independent draws, so that the difference of two rungs measures their errors.
        other = replace(shape, seed=shape.seed + step)
        return self._draw(size, self._scales(self._pair(size, shape.dim)[wide], shape), other)

    def _pair(self, size: int, dim: int) -> tuple[float, float]:
        if dim == 1:
            return max(2.0, size / 12.0), max(3.0, size / 3.0)
        if dim == 2:
            most = 0.5 * np.pi * np.sqrt(max(size - 150.0, 25.0) / 2.5)
            return 2.0 + 0.2 * most, max(0.85 * most, 5.0)
        return 2.0 + 0.1 * size ** (1 / 3), 2.5 + 0.3 * size ** (1 / 3)

    def _scales(self, default: float, shape: Shape) -> tuple[float, ...]:
        if self.scale is None:
            return (default,) * shape.dim
        if isinstance(self.scale, tuple):
            if len(self.scale) != shape.dim:
                raise OptionError(
                    f"scale={self.scale} has {len(self.scale)} entries for {shape.dim} axes. "
                    "Give one number, or one per axis."
                )
            return tuple(map(float, self.scale))
        return (float(self.scale),) * shape.dim

    def _draw(self, size: int, scales: tuple[float, ...], shape: Shape) -> Basis:
        return RandomSine.draw(size, scales, shape.seed, shape.periodic)


class Tanh(Family):
    """Random features tanh(w . xi + b), |w_i| <= `scale`; small scales (0.5 to 2) work best."""

    features: int | None = None
    scale: float = 1.0

    def sized(self, size: int, shape: Shape) -> Basis:
        return RandomTanh.draw(size, (float(self.scale),) * shape.dim, shape.seed)

    def resolving(self, degree: int, shape: Shape) -> Basis:
        return self.sized(round(PER_POLYNOMIAL * math.comb(degree + shape.dim, shape.dim)), shape)

    def following(self, tried: Sequence[Tried], shape: Shape) -> Basis | None:
        step = len(tried)
        if self.features is not None:
            sizes = (max(int(0.7 * self.features), 2), self.features)
            return self.sized(sizes[step], shape) if step < len(sizes) else None
        start = {1: 30, 2: 150, 3: 400}.get(shape.dim, 600)
        return self.sized(int(start * 1.6**step), shape)


class Fixed(Family):
    """One given basis, and nothing else; the error estimate then has no second resolution."""

    basis: Basis

    def sized(self, size: int, shape: Shape) -> Basis:
        return self.basis

    def resolving(self, degree: int, shape: Shape) -> Basis:
        return self.basis

    def following(self, tried: Sequence[Tried], shape: Shape) -> Basis | None:
        return None if tried else self.basis
