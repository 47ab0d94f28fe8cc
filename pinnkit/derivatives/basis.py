"""Term values and rows of a residual for fields that are linear in coefficients.

A field is u = sum_j c_j phi_j(xi) with xi the local coordinates of the point's expert. Every
derivative of phi is tabulated once; contraction with coefficients gives term values, contraction
with the linearised residual d fn / d value_T gives rows. One compiled residual serves any basis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from pinnkit.compile import Residual, Term

Orders = tuple[int, ...]
SMALLEST_BATCH = 256


class Features(Protocol):
    """What a basis offers here: `features(xi (N, d), orders) -> (N, n)`."""

    def features(self, xi: Any, orders: Orders) -> Any: ...


def tabulate(basis: Features, xi: Any, terms: Iterable[Term]) -> dict[Orders, Any]:
    """d^a phi / d xi^a, (N, n), for every multi-index among `terms`, each computed once."""
    return {orders: basis.features(xi, orders) for orders in {term.orders for term in terms}}


def chart_factor(half: np.ndarray, orders: Orders) -> np.ndarray:
    """prod_i half_i^(-a_i) over the last axis: physical derivative = factor * local derivative."""
    return np.prod(half ** -np.asarray(orders, dtype=float), axis=-1)


def term_values(
    tables: Mapping[Orders, np.ndarray],
    half: np.ndarray,
    coefficients: np.ndarray,
    fields: Sequence[str],
    terms: Iterable[Term],
) -> dict[Term, np.ndarray]:
    """Values (N,) of the terms at points of one expert.

    `half` (d,): the expert's half widths; `coefficients` (fields, n).
    """
    place = {name: i for i, name in enumerate(fields)}
    return {
        term: tables[term.orders]
        @ (coefficients[place[term.field]] * chart_factor(half, term.orders))
        for term in terms
    }


def rows(
    tables: Mapping[Orders, np.ndarray],
    half: np.ndarray,
    weights: Mapping[Term, np.ndarray],
    fields: Sequence[str],
) -> np.ndarray:
    """sum_T weights[T] T[phi] at points of one expert, (N, fields * n), columns grouped by field.

    `half` (d,): the expert's half widths. `weights[T]` (N,) is d fn / d value_T at each point,
    scaled as the caller likes.
    """
    sample = next(iter(tables.values()))
    result = np.zeros((sample.shape[0], len(fields), sample.shape[1]))
    for term, weight in weights.items():
        factor = weight * chart_factor(half, term.orders)
        result[:, fields.index(term.field)] += factor[:, None] * tables[term.orders]
    return result.reshape(sample.shape[0], -1)


Linearised = tuple[np.ndarray, dict["Term", np.ndarray]]


def linearise(residual: Residual) -> Callable[[Mapping, Mapping, Mapping], Linearised]:
    """Compile (values, z, params) -> (fn (N,), {T: d fn / d value_T (N,)}).

    `fn` is elementwise, so one tangent of ones per term gives its diagonal Jacobian. Points are
    padded to the next power of two, so that few sizes are compiled.
    """
    terms = residual.plan.terms

    @jax.jit
    def compiled(stack: Any, z: Any, params: Any) -> Any:
        def fn(stacked: Any) -> Any:
            values = {term: stacked[i] for i, term in enumerate(terms)}
            return jnp.broadcast_to(residual.fn(values, z, params), shape)

        shape = next(iter(z.values())).shape
        value, push = jax.linearize(fn, stack)
        tangents = jnp.broadcast_to(
            jnp.eye(len(terms))[:, :, None], (len(terms), len(terms), *shape)
        )
        return value, jax.vmap(push)(tangents)

    def call(values: Mapping, z: Mapping, params: Mapping) -> Linearised:
        count = next(iter(z.values())).shape[0]
        padded = max(SMALLEST_BATCH, 1 << (count - 1).bit_length())

        def pad(array: np.ndarray) -> np.ndarray:
            return np.concatenate([array, np.full(padded - count, array[-1])])

        stack = np.stack([pad(values[term]) for term in terms])
        value, slopes = compiled(stack, {k: pad(v) for k, v in z.items()}, dict(params))
        slopes = np.asarray(slopes)[:, :count]
        return np.asarray(value)[:count], dict(zip(terms, slopes, strict=True))

    return call
