"""Term values at points by forward-mode differentiation with shared prefixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from pinnkit.compile.terms import DerivativePlan, Node, Term

Found = dict[tuple[int, ...], jax.Array]
Carrier = Callable[[jax.Array], tuple[jax.Array, Found]]


def term_values(
    f: Callable[[jax.Array], jax.Array],
    fields: Sequence[str],
    plan: DerivativePlan,
    point: jax.Array,
) -> dict[Term, jax.Array]:
    """Values of the plan's terms at one point, each a scalar.

    `f` maps a point (d,) to the fields (c,), in the order of `fields`. Nested `jvp` walks the
    plan's prefix tree: u, u_x, u_xx cost one chain, as every level hands the lower ones on.
    """
    if not plan.terms:
        return {}
    derivatives = _walk(lambda z: (f(z), {}), plan.tree, point)
    index = {name: i for i, name in enumerate(fields)}
    return {term: derivatives[term.orders][index[term.field]] for term in plan.terms}


def _walk(carrier: Carrier, node: Node, z: jax.Array) -> Found:
    """Derivatives of the node and all below it.

    `carrier(z)` is the node's derivative and, as auxiliary output, those met on the way to it.
    """
    if not node.children:
        value, found = carrier(z)
        return {**found, node.orders: value}
    result: Found = {}
    for child in node.children:
        result |= _walk(_differentiated(carrier, node, child), child, z)
    return result


def _differentiated(carrier: Carrier, node: Node, child: Node) -> Carrier:
    def next_carrier(z: jax.Array) -> tuple[jax.Array, Found]:
        direction = jnp.zeros_like(z).at[child.axis].set(1)
        value, tangent, found = jax.jvp(carrier, (z,), (direction,), has_aux=True)
        return tangent, {**found, node.orders: value}

    return next_carrier
