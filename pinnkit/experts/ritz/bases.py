"""Bases that Rayleigh-Ritz makes of others: products over axes, and features times a gate."""

import itertools
import math
from typing import Any

import equinox as eqx
import numpy as np

from pinnkit.experts.bases import Basis, Orders, Tensor, namespace, tensor_basis

Monomial = tuple[float, tuple[int, ...]]
"""Coefficient and exponents of one term of a polynomial in the local coordinates."""


class Separable(Basis):
    """All products phi_i(xi_1) phi_j(xi_2) ... of one-dimensional features, last axis fastest."""

    factors: tuple[Basis, ...]

    @property
    def size(self) -> int:
        return math.prod(f.size for f in self.factors)

    def features(self, xi: Any, orders: Orders) -> Any:
        result = None
        for axis, (factor, order) in enumerate(zip(self.factors, orders, strict=True)):
            table = factor.features(xi[:, axis : axis + 1], (order,))
            if result is None:
                result = table
            else:
                result = (result[:, :, None] * table[:, None, :]).reshape(xi.shape[0], -1)
        return result

    def wavenumbers(self) -> tuple[float, ...]:
        return tuple(f.wavenumbers()[0] for f in self.factors)

    def nodes(self) -> tuple[int, ...]:
        return tuple(f.nodes()[0] for f in self.factors)


def product(factors: tuple[Basis, ...]) -> Basis:
    """The product basis; polynomials stay polynomials."""
    if len(factors) == 1:
        return factors[0]
    if all(isinstance(f, Tensor) for f in factors):
        degrees = tuple(f.degrees[0] for f in factors if isinstance(f, Tensor))
        kinds = tuple(f.kinds[0] for f in factors if isinstance(f, Tensor))
        return tensor_basis(degrees, kinds, full=True)
    return Separable(factors)


class Gated(Basis):
    """gate(xi) phi_j(xi): features that vanish where the polynomial `gate` does.

    Derivatives by Leibniz' rule. The gate is the distance factor of a Ritz space, for example
    1 - xi_1^2 - xi_2^2 on the unit disk.
    """

    inner: Basis
    gate: tuple[Monomial, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return self.inner.size

    def features(self, xi: Any, orders: Orders) -> Any:
        result = 0.0
        for taken in itertools.product(*(range(o + 1) for o in orders)):
            gate = self._gate(xi, taken)
            if gate is not None:
                count = math.prod(math.comb(o, t) for o, t in zip(orders, taken, strict=True))
                left = tuple(o - t for o, t in zip(orders, taken, strict=True))
                result = result + count * gate[:, None] * self.inner.features(xi, left)
        return result

    def _gate(self, xi: Any, orders: Orders) -> Any:
        """A derivative of the gate, (N,); None where it is the zero polynomial."""
        found = None
        for coefficient, powers in self.gate:
            if any(p < o for p, o in zip(powers, orders, strict=True)):
                continue
            factor = coefficient * math.prod(
                math.perm(p, o) for p, o in zip(powers, orders, strict=True)
            )
            term = factor * namespace(xi).ones_like(xi[:, 0])
            for axis, (p, o) in enumerate(zip(powers, orders, strict=True)):
                term = term * xi[:, axis] ** (p - o)
            found = term if found is None else found + term
        return found

    def wavenumbers(self) -> tuple[float, ...]:
        return self.inner.wavenumbers()

    def nodes(self) -> tuple[int, ...]:
        degree = max(max(powers) for _, powers in self.gate)
        return tuple(int(np.ceil(q)) + degree for q in self.inner.nodes())
