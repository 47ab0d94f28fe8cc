"""How K experts of n coefficients each hang together: on their own, or joined by seams.

A seam joins two experts by rows B (m, n), B (w_low - w_high): both combine the same functions, of
which B holds the values and slopes where they meet. `Apart` knows of none, `Joined` of any, and
`InLine` of one between each expert and the next, which takes K factorisations of the size of two
experts instead of one of the size of all.

All three minimise, in a step of Levenberg and Marquardt's method, over d

    sum_k |R_k d_k + c_k|^2 + |seams of (w + d)|^2 + damping |D d|^2

where `reduced` (K, m, n + 1) holds the triangles [R_k, c_k] of the experts' own rows and D the
norms of all columns. They also invert the matrix of Newton's method. A group is what has one sum
of squares: an expert on its own, or all that are joined.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import block_diag, lu_factor, lu_solve, solve_triangular

Pairs = tuple[tuple[int, int], ...]


class Inverse(eqx.Module):
    """force (K, n) -> M^-1 force, M symmetric, with the squares of `scale` (K, n) on its diagonal.

    With M balanced by its scale, rounding does not depend on the sizes of functions.
    """

    scale: Array

    def __call__(self, force: Array) -> Array:
        product, solve = self._balanced()
        solved = jax.lax.custom_linear_solve(
            product, force / self.scale, lambda _, side: solve(side), symmetric=True
        )
        return solved / self.scale

    @abc.abstractmethod
    def _balanced(self) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
        """Products (K, n) with the balanced matrix and with its inverse."""


class Dense(Inverse):
    """M as matrices (G, K n / G, K n / G) of the groups, balanced, and their `factors`."""

    matrix: Array
    factors: tuple[Array, Array]

    def _balanced(self) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
        groups = self.matrix.shape[:2]

        def product(x: Array) -> Array:
            return jnp.einsum("gij,gj->gi", self.matrix, x.reshape(groups)).reshape(x.shape)

        def solve(x: Array) -> Array:
            return lu_solve(self.factors, x.reshape(*groups, 1)).reshape(x.shape)

        return product, solve

    @classmethod
    def of(cls, matrix: Array, shape: tuple[int, ...]) -> Dense:
        """Of matrices (G, n', n') for coefficients of this shape (K, n)."""
        scale = _root(jnp.einsum("gii->gi", matrix))
        matrix = matrix / scale[:, :, None] / scale[:, None, :]
        return cls(scale.reshape(shape), matrix, lu_factor(matrix))


class Tridiagonal(Inverse):
    """M of blocks (K, n, n), with `beside` (K - 1, n, n) between each expert and the next.

    Eliminated expert by expert: `factors` of P_1 = M_1 and P_k+1 = M_k+1 - E_k^T P_k^-1 E_k.
    """

    blocks: Array
    beside: Array
    factors: tuple[Array, Array]

    @classmethod
    def of(cls, blocks: Array, beside: Array) -> Tridiagonal:
        scale = _root(jnp.einsum("kii->ki", blocks))
        blocks = blocks / scale[:, :, None] / scale[:, None, :]
        beside = beside / scale[:-1, :, None] / scale[1:, None, :]

        def down(pivot: Array, given: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
            own, beside = given
            factors = lu_factor(pivot)
            return own - beside.T @ lu_solve(factors, beside), factors

        last, before = jax.lax.scan(down, blocks[0], (blocks[1:], beside))
        factors = jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), before, lu_factor(last))
        return cls(scale, blocks, beside, factors)

    def _balanced(self) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
        def product(x: Array) -> Array:
            found = jnp.einsum("kij,kj->ki", self.blocks, x)
            found = found.at[:-1].add(jnp.einsum("kij,kj->ki", self.beside, x[1:]))
            return found.at[1:].add(jnp.einsum("kij,ki->kj", self.beside, x[:-1]))

        def down(side: Array, given: tuple[Array, ...]) -> tuple[Array, Array]:
            lu, pivots, beside, own = given
            return own - beside.T @ lu_solve((lu, pivots), side), side

        def up(after: Array, given: tuple[Array, ...]) -> tuple[Array, Array]:
            lu, pivots, beside, side = given
            found = lu_solve((lu, pivots), side - beside @ after)
            return found, found

        def solve(x: Array) -> Array:
            lu, pivots = self.factors
            end, sides = jax.lax.scan(down, x[0], (lu[:-1], pivots[:-1], self.beside, x[1:]))
            end = lu_solve((lu[-1], pivots[-1]), end)
            given = lu[:-1], pivots[:-1], self.beside, sides
            _, before = jax.lax.scan(up, end, given, reverse=True)
            return jnp.concatenate([before, end[None]])

        return product, solve


class Joint(eqx.Module):
    """What all three know; `joined` tells whether there is one group or as many as experts."""

    joined: ClassVar[bool]

    @abc.abstractmethod
    def residual(self, w: Array) -> Array:
        """(K, n) -> jumps (M,)."""

    @abc.abstractmethod
    def force(self, w: Array) -> Array:
        """Half the gradient (K, n) of the sum of squares of the jumps."""

    @abc.abstractmethod
    def squares(self, w: Array) -> Array:
        """Sums of squares (K, n) of the columns."""

    @abc.abstractmethod
    def grouped(self, each: Array) -> Array:
        """Sums (G,) over the groups of what the experts have (K,)."""

    @abc.abstractmethod
    def compressed(self) -> Joint:
        """Fewer rows with the same sums of squares."""

    @abc.abstractmethod
    def step(self, reduced: Array, w: Array, damping: Array) -> tuple[Array, Array]:
        """The step d (K, n), and by how much (G,) it lowers what is not damping."""

    @abc.abstractmethod
    def inverse(self, blocks: Array) -> Inverse:
        """Of diag(blocks) + S^T S, blocks (K, n, n)."""


class Apart(Joint):
    """Experts on their own: no rows, and as many groups as experts."""

    joined: ClassVar[bool] = False

    def residual(self, w: Array) -> Array:
        return jnp.zeros(0, w.dtype)

    def force(self, w: Array) -> Array:
        return jnp.zeros_like(w)

    def squares(self, w: Array) -> Array:
        return jnp.zeros_like(w)

    def grouped(self, each: Array) -> Array:
        return each

    def compressed(self) -> Apart:
        return self

    def step(self, reduced: Array, w: Array, damping: Array) -> tuple[Array, Array]:
        return damped(reduced, damping)

    def inverse(self, blocks: Array) -> Inverse:
        return Dense.of(blocks, blocks.shape[:2])


class Joined(Joint):
    """Experts joined in any way: sets of seams, `blocks` (S, m, n) each, between `pairs` of
    experts (low, high)."""

    joined: ClassVar[bool] = True

    blocks: tuple[Array, ...]
    pairs: tuple[Pairs, ...] = eqx.field(static=True)

    def residual(self, w: Array) -> Array:
        return jnp.concatenate([jumps.ravel() for _, _, _, jumps in self._jumps(w)])

    def force(self, w: Array) -> Array:
        found = jnp.zeros_like(w)
        for block, low, high, jumps in self._jumps(w):
            pull = jnp.einsum("smj,sm->sj", block, jumps)
            found = found.at[low].add(pull).at[high].add(-pull)
        return found

    def squares(self, w: Array) -> Array:
        found = jnp.zeros_like(w)
        for block, low, high, _ in self._jumps(w):
            own = jnp.sum(block**2, axis=1)
            found = found.at[low].add(own).at[high].add(own)
        return found

    def grouped(self, each: Array) -> Array:
        return jnp.sum(each)[None]

    def compressed(self) -> Joined:
        return type(self)(tuple(jnp.linalg.qr(b, mode="r") for b in self.blocks), self.pairs)

    def step(self, reduced: Array, w: Array, damping: Array) -> tuple[Array, Array]:
        matrix, count = self._matrix(w), w.shape[1]
        right = jnp.concatenate([reduced[..., count].ravel(), self.residual(w)])
        whole = jnp.concatenate([block_diag(*reduced[..., :count]), matrix])
        triangle = jnp.linalg.qr(jnp.concatenate([whole, right[:, None]], axis=1), mode="r")
        change, promised = damped(triangle[None], damping)
        return change.reshape(w.shape), promised

    def inverse(self, blocks: Array) -> Inverse:
        matrix = self._matrix(blocks[..., 0])
        return Dense.of((block_diag(*blocks) + matrix.T @ matrix)[None], blocks.shape[:2])

    def _jumps(self, w: Array) -> list[tuple[Array, Array, Array, Array]]:
        """Blocks, the numbers of both experts, and the jumps (S, m), of every set."""
        found = []
        for block, pairs in zip(self.blocks, self.pairs, strict=True):
            low, high = jnp.asarray(pairs).T
            found.append((block, low, high, jnp.einsum("smj,sj->sm", block, w[low] - w[high])))
        return found

    def _matrix(self, w: Array) -> Array:
        """S (M, K n)."""
        parts = []
        for block, low, high, _ in self._jumps(w):
            count, rows, _ = block.shape
            every = jnp.arange(count)
            whole = jnp.zeros((count, rows, *w.shape), w.dtype)
            whole = whole.at[every, :, low].set(block).at[every, :, high].set(-block)
            parts.append(whole.reshape(count * rows, -1))
        return jnp.concatenate(parts)


class InLine(Joined):
    """Experts joined each to the next, in this order: one set of K - 1 seams.

    Along the line all rows that know of an expert are reduced together: its own, those of the seam
    behind it, and what the seam before it left. What they come to beyond its own n rows knows of
    the next expert only. Work and memory grow as K.
    """

    def step(self, reduced: Array, w: Array, damping: Array) -> tuple[Array, Array]:
        (block,), count = self.blocks, w.shape[1]
        matrix, right = reduced[..., :count], reduced[..., count]
        norms = jnp.sqrt(jnp.sum(matrix**2, axis=1) + self.squares(w))
        norms = jnp.where(norms > 0, norms, 1.0)
        matrix = matrix / norms[:, None]
        jump = jnp.einsum("smj,sj->sm", block, w[:-1] - w[1:])
        low, high = block / norms[:-1, None], -block / norms[1:, None]
        more = jnp.sqrt(damping[0]) * jnp.eye(count, count + 1, dtype=w.dtype)
        own = jnp.concatenate(
            [
                jnp.concatenate([matrix, right[..., None]], axis=2),
                jnp.broadcast_to(more, (len(w), *more.shape)),
            ],
            axis=1,
        )
        solution = _along(own, jnp.concatenate([low, high, jump[..., None]], axis=2), count)
        left = jnp.einsum("kij,kj->ki", matrix, solution) + right
        still = jump + sum(
            jnp.einsum("smj,sj->sm", b, d) for b, d in ((low, solution[:-1]), (high, solution[1:]))
        )
        before, after = (jnp.sum(a**2) + jnp.sum(b**2) for a, b in ((right, jump), (left, still)))
        return solution / norms, (before - after)[None]

    def inverse(self, blocks: Array) -> Inverse:
        gram = jnp.einsum("smi,smj->sij", self.blocks[0], self.blocks[0])
        return Tridiagonal.of(blocks.at[:-1].add(gram).at[1:].add(gram), -gram)


def _along(own: Array, seams: Array, count: int) -> Array:
    """The least-squares solution (K, n) of own rows (K, m, n + 1), [matrix, right], and of seams
    (K - 1, m', 2 n + 1)."""

    def down(left: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        own, seam = given
        own = jnp.concatenate([left, own])
        zero = jnp.zeros((len(own), count), own.dtype)
        own = jnp.concatenate([own[:, :count], zero, own[:, count:]], axis=1)
        found = jnp.linalg.qr(jnp.concatenate([own, seam]), mode="r")
        return found[count : 2 * count, count:], found[:count]

    def up(after: Array, row: Array) -> tuple[Array, Array]:
        right = row[:, 2 * count] + row[:, count : 2 * count] @ after
        found = solve_triangular(row[:, :count], -right, lower=False)
        return found, found

    begin = jnp.zeros((count, count + 1), own.dtype)
    left, found = jax.lax.scan(down, begin, (own[:-1], seams))
    last = jnp.linalg.qr(jnp.concatenate([left, own[-1]]), mode="r")[:count]
    end = solve_triangular(last[:, :count], -last[:, count], lower=False)
    _, before = jax.lax.scan(up, end, found, reverse=True)
    return jnp.concatenate([before, end[None]])


def damped(triangle: Array, damping: Array) -> tuple[Array, Array]:
    """Steps (G, n) that minimise |R d + c|^2 + damping |D d|^2, D the column norms of R, and how
    much each lowers |R d + c|^2; triangle (G, m, n + 1)."""
    matrix, right = triangle[..., :-1], triangle[..., -1]
    norms = jnp.linalg.norm(matrix, axis=1)
    norms = jnp.where(norms > 0, norms, 1.0)
    scaled = matrix / norms[:, None, :]
    count = scaled.shape[-1]
    more = jnp.sqrt(damping)[:, None, None] * jnp.eye(count, dtype=matrix.dtype)[None]
    rows = jnp.concatenate(
        [
            jnp.concatenate([scaled, right[..., None]], axis=2),
            jnp.concatenate([more, jnp.zeros((len(more), count, 1), matrix.dtype)], axis=2),
        ],
        axis=1,
    )
    reduced = jnp.linalg.qr(rows, mode="r")
    solution = solve_triangular(
        reduced[:, :count, :count], -reduced[:, :count, count:], lower=False
    )[..., 0]
    left = jnp.einsum("gij,gj->gi", scaled, solution) + right
    return solution / norms, jnp.sum(right**2, axis=1) - jnp.sum(left**2, axis=1)


def _root(diagonal: Array) -> Array:
    return jnp.sqrt(jnp.maximum(jnp.abs(diagonal), jnp.finfo(diagonal.dtype).tiny))
