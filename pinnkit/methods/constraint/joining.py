"""Triangles of experts and the rows of their seams, reduced to one triangle.

Of K experts with n coefficients each `reduced` (K, m, n + 1) holds [R_k, Q_k^T r_k]; seams are a
matrix S (Ms, K n) and a side s (Ms,), whose rows S w - s join the experts. The results
[R, Q^T r] (1, m', K n + 1) are such that

    |R d + Q^T r|^2 = sum_k |R_k d_k + Q_k^T r_k|^2 + |S (w + d) - s|^2 + constant.

`squared` and `squared_in_line` do the same for matrices of second derivatives.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

Seams = tuple[Array, Array]


def joined(reduced: Array, seams: Seams, w: Array) -> Array:
    """One factorisation of all rows, O((K n)^3), for experts joined in any way."""
    (matrix, side), count = seams, w.shape[1]
    blocks = jax.scipy.linalg.block_diag(*reduced[..., :count])
    right = jnp.concatenate([reduced[..., count].ravel(), matrix @ w.ravel() - side])
    whole = jnp.concatenate([blocks, matrix])
    return jnp.linalg.qr(jnp.concatenate([whole, right[:, None]], axis=1), mode="r")[None]


def in_line(reduced: Array, seams: Seams, w: Array) -> Array:
    """The same in K factorisations of the size of two experts, O(K n^3), for experts in a line.

    Each is joined to the next alone, by equally many rows. Along the line all rows that know of an
    expert are reduced together: its own, those of the seam behind it, and what the seam before it
    left. What they come to beyond its own n rows knows of the next expert only.
    """
    (matrix, side), (experts, count) = seams, w.shape
    right = (matrix @ w.ravel() - side).reshape(experts - 1, -1, 1)
    seam = jnp.concatenate([_pairs(matrix, experts), right], axis=2)

    def step(left: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        own, seam = given
        own = jnp.concatenate([left, own])
        zero = jnp.zeros((len(own), count), w.dtype)
        own = jnp.concatenate([own[:, :count], zero, own[:, count:]], axis=1)
        found = jnp.linalg.qr(jnp.concatenate([own, seam]), mode="r")
        return found[count : 2 * count, count:], found[:count]

    begin = jnp.zeros((count, count + 1), w.dtype)
    left, found = jax.lax.scan(step, begin, (reduced[:-1], seam))
    last = jnp.linalg.qr(jnp.concatenate([left, reduced[-1]]), mode="r")[None, :count]
    return _banded(jnp.concatenate([found[..., :count], last[..., :count]]), found, last)


def squared(blocks: Array, seams: Seams) -> Array:
    """diag(blocks) + S^T S (1, K n, K n) for blocks (K, n, n)."""
    return (jax.scipy.linalg.block_diag(*blocks) + seams[0].T @ seams[0])[None]


def squared_in_line(blocks: Array, seams: Seams) -> Array:
    """The same for experts in a line, from what each seam knows of its two experts."""
    experts, count, _ = blocks.shape
    pairs = _pairs(seams[0], experts)
    gram = jnp.einsum("pmi,pmj->pij", pairs, pairs).reshape(-1, 2, count, 2, count)
    every, low = jnp.arange(experts), jnp.arange(experts - 1)
    whole = jnp.zeros((experts, count, experts, count), blocks.dtype)
    whole = whole.at[every, :, every].set(blocks)
    for i in (0, 1):
        for j in (0, 1):
            whole = whole.at[low + i, :, low + j].add(gram[:, i, :, j])
    return whole.reshape(1, experts * count, -1)


def _pairs(matrix: Array, experts: int) -> Array:
    """Rows (K - 1, m, 2 n) of each seam of a line, for its two experts."""
    pairs = jnp.arange(experts - 1)
    blocks = matrix.reshape(experts - 1, -1, experts, matrix.shape[1] // experts)
    return jnp.concatenate([blocks[pairs, :, pairs], blocks[pairs, :, pairs + 1]], axis=2)


def _banded(diagonal: Array, found: Array, last: Array) -> Array:
    """Blocks (K, n, n) and their neighbours, with the right sides, as one matrix."""
    experts, count, _ = diagonal.shape
    every = jnp.arange(experts)
    whole = jnp.zeros((experts, count, experts, count), diagonal.dtype)
    whole = whole.at[every, :, every].set(diagonal)
    whole = whole.at[every[:-1], :, every[1:]].set(found[..., count : 2 * count])
    whole = whole.reshape(experts * count, -1)
    sides = jnp.concatenate([found[..., -1], last[..., -1]]).reshape(-1, 1)
    return jnp.concatenate([whole, sides], axis=1)[None]
