"""Terms and derivative plans: what a residual needs to know of the fields at a point."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator

from pinnkit.spec.symbols import _Named


@dataclasses.dataclass(frozen=True, order=True)
class Term:
    """The partial derivative of a field; `orders` follows the axes of the system.

    `Term("u", (1, 0), ("t", "x"))` is u_t. The axes belong to the identity: SymPy caches by
    equality, and the same orders mean another derivative in another problem.
    """

    field: str
    orders: tuple[int, ...]
    axes: tuple[str, ...]

    @property
    def order(self) -> int:
        """Total order of differentiation."""
        return sum(self.orders)

    def along(self, axis: str) -> int:
        """Order of differentiation along one axis."""
        return self.orders[self.axes.index(axis)]

    def __str__(self) -> str:
        suffix = "".join(axis * n for axis, n in zip(self.axes, self.orders, strict=True))
        return f"{self.field}_{suffix}" if suffix else self.field

    __repr__ = __str__


class TermSymbol(_Named):
    """The plain symbol that stands for a term in a compiled expression."""

    term: Term

    def __new__(cls, term: Term):
        symbol = super().__new__(cls, str(term))
        symbol.term = term
        return symbol

    def _hashable_content(self):
        return (*super()._hashable_content(), self.term)

    def __getnewargs_ex__(self):
        return ((self.term,), {})


@dataclasses.dataclass(frozen=True)
class Node:
    """A multi-index of the plan's prefix tree, reached from its parent by one derivative."""

    orders: tuple[int, ...]
    axis: int | None
    children: tuple[Node, ...]

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


@dataclasses.dataclass(frozen=True)
class DerivativePlan:
    """All derivatives that a set of residuals needs, each to be taken once.

    `tree` shares prefixes: u_xx is the x-derivative of u_x. Every multi-index is reached by
    differentiating along the last axis in which it is non-zero, so u_txx grows from u_tx.
    """

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, terms: Iterable[Term]) -> DerivativePlan:
        return cls(tuple(sorted(set(terms))))

    def __or__(self, other: DerivativePlan) -> DerivativePlan:
        return DerivativePlan.of((*self.terms, *other.terms))

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(sorted({term.field for term in self.terms}))

    @property
    def max_order(self) -> int:
        return max((term.order for term in self.terms), default=0)

    @functools.cached_property
    def tree(self) -> Node:
        """Root of the prefix tree over all fields' multi-indices."""
        if not self.terms:
            raise ValueError("an empty derivative plan has no tree")
        wanted = {term.orders for term in self.terms}
        parents: dict[tuple[int, ...], tuple[tuple[int, ...], int]] = {}
        for orders in wanted:
            while any(orders):
                axis = max(i for i, n in enumerate(orders) if n)
                parent = tuple(n - (i == axis) for i, n in enumerate(orders))
                parents[orders] = (parent, axis)
                orders = parent

        def node(orders: tuple[int, ...], axis: int | None) -> Node:
            children = sorted(
                (child, along) for child, (parent, along) in parents.items() if parent == orders
            )
            return Node(orders, axis, tuple(node(c, a) for c, a in children))

        return node((0,) * len(self.terms[0].orders), None)
