"""Multi-indices, set partitions and Leibniz sums: what each derivative channel is made of."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Orders: TypeAlias = tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Collapsed:
    """The operator P = sum_a c_a d^a with constant c_a, carried as one channel.

    `coefficients` maps multi-indices of order one or more to numbers or traced scalars. Two
    operators are equal only if they are the same object, as traced scalars cannot be compared.
    """

    coefficients: Mapping[Orders, Any]


Key: TypeAlias = Orders | Collapsed
Composition: TypeAlias = tuple[Any, tuple[Key, ...]]
Product: TypeAlias = tuple[Any, Key, Key]


@dataclasses.dataclass(frozen=True, eq=False)
class Channels:
    """A closed set of channels and the sums that push them through one operation.

    - `keys`: the value's multi-index first, then rising orders, then collapsed operators.
    - `compositions[k]`: (c, blocks) with (f o z)_k = sum c f^(len(blocks))(z_0) prod z_block
      (Faa di Bruno's formula over set partitions).
    - `products[k]`: (c, b, g) with (p q)_k = sum c p_b q_g (Leibniz' formula).
    """

    keys: tuple[Key, ...]
    compositions: Mapping[Key, tuple[Composition, ...]]
    products: Mapping[Key, tuple[Product, ...]]

    @classmethod
    def of(
        cls, dimension: int, orders: Iterable[Orders], operators: Iterable[Collapsed] = ()
    ) -> Channels:
        """The least closed set that holds the multi-indices and operators asked for."""
        zero, operators = (0,) * dimension, tuple(operators)
        needed = set(closure(orders)) | {zero}
        for operator in operators:
            needed |= feeding(operator.coefficients)
        plain = sorted(needed, key=lambda a: (sum(a), a))
        compositions: dict[Key, tuple[Composition, ...]] = {a: partitions(a) for a in plain}
        products: dict[Key, tuple[Product, ...]] = {a: splits(a) for a in plain}
        for operator in operators:
            compositions[operator] = _composition(operator)
            products[operator] = _product(operator, zero)
        return cls((*plain, *operators), compositions, products)

    @property
    def value(self) -> Key:
        """Key of the undifferentiated function."""
        return self.keys[0]


def below(orders: Orders) -> list[Orders]:
    """All multi-indices b <= a, in lexicographic order."""
    return list(itertools.product(*(range(n + 1) for n in orders)))


def closure(orders: Iterable[Orders]) -> set[Orders]:
    """All multi-indices at or below those given."""
    return {b for a in orders for b in below(a)}


def feeding(coefficients: Iterable[Orders]) -> set[Orders]:
    """Multi-indices that a collapsed operator needs beside itself: all strictly below its own."""
    return {b for a in coefficients for b in below(a) if b != a}


@functools.lru_cache(maxsize=1024)
def partitions(orders: Orders) -> tuple[Composition, ...]:
    """Faa di Bruno's terms of d^a f(z): (count, blocks), fewest blocks first.

    Built by one derivative after another: each term gains a block e_i, or one of its blocks b
    becomes b + e_i. Equal terms are merged, as in 4 z_x z_xxx + 3 z_xx^2 for f'' of d_xxxx.
    """
    terms: dict[tuple[Orders, ...], int] = {(): 1}
    for axis, repeated in enumerate(orders):
        unit = tuple(int(i == axis) for i in range(len(orders)))
        for _ in range(repeated):
            terms = _differentiated(terms, unit)
    return tuple((count, blocks) for blocks, count in sorted(terms.items(), key=_size))


def _size(term: tuple[tuple[Orders, ...], int]) -> tuple[int, tuple[Orders, ...]]:
    return len(term[0]), term[0]


def _differentiated(
    terms: Mapping[tuple[Orders, ...], int], unit: Orders
) -> dict[tuple[Orders, ...], int]:
    found: dict[tuple[Orders, ...], int] = {}
    for blocks, count in terms.items():
        grown: list[tuple[Orders, ...]] = [(*blocks, unit)]
        for i, block in enumerate(blocks):
            raised = tuple(map(int.__add__, block, unit))
            grown.append((*blocks[:i], raised, *blocks[i + 1 :]))
        for new in grown:
            key = tuple(sorted(new))
            found[key] = found.get(key, 0) + count
    return found


@functools.lru_cache(maxsize=1024)
def splits(orders: Orders) -> tuple[Product, ...]:
    """Leibniz' terms (C(a, b), b, a - b) for all b <= a."""
    return tuple(
        (
            math.prod(math.comb(n, k) for n, k in zip(orders, lower, strict=True)),
            lower,
            tuple(n - k for n, k in zip(orders, lower, strict=True)),
        )
        for lower in below(orders)
    )


def _composition(operator: Collapsed) -> tuple[Composition, ...]:
    """f'(z_0) z_P + sum_a c_a (terms of d^a f with two blocks or more)."""
    inner = [
        (c * count, blocks)
        for orders, c in operator.coefficients.items()
        for count, blocks in partitions(orders)
        if len(blocks) > 1
    ]
    return (1, (operator,)), *sorted(inner, key=lambda term: len(term[1]))


def _product(operator: Collapsed, zero: Orders) -> tuple[Product, ...]:
    """p_0 q_P + p_P q_0 + sum_a c_a (terms of Leibniz' sum with both factors differentiated)."""
    inner = [
        (c * count, b, g)
        for orders, c in operator.coefficients.items()
        for count, b, g in splits(orders)
        if b != zero and g != zero
    ]
    return (1, zero, operator), (1, operator, zero), *inner
