"""SOAP: Adam in the eigenbasis of Shampoo's factors."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from pinnkit.training.first_order import FirstOrder
from pinnkit.training.stage import whole


class Side(eqx.Module):
    """Mean of G G^T (n, n) for one side of a matrix, and its eigenvectors in columns (n, n)."""

    mean: Array
    basis: Array


class Factors(eqx.Module):
    """Moments of one array; `first` in its own axes, `second` in the eigenbasis.

    A side is None where no basis is kept: for vectors, and for sides that are too long.
    """

    first: Array
    second: Array
    left: Side | None
    right: Side | None


@dataclass(frozen=True)
class SOAP(FirstOrder):
    """SOAP (Vyas et al., arXiv:2409.11321, algorithm 3; for PDEs Wang et al., arXiv:2502.00604).

    For each weight matrix with gradient G, L <- b2 L + (1 - b2) G G^T and R likewise from G^T G;
    Q_L, Q_R are their eigenvectors, turned every `basis_every` steps by one power iteration and a
    QR factorisation. Adam runs on Q_L^T G Q_R, and its update is turned back. Vectors, and sides
    longer than `largest`, keep their own axes. Rate and rejected updates as in `FirstOrder`.
    """

    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    basis_every: int = 2
    largest: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self, basis_every=self.basis_every)

    def transform(self, rate: optax.Schedule) -> optax.GradientTransformation:
        def init(params: Any) -> Any:
            leaves = jax.tree.leaves(params)
            return jnp.zeros((), jnp.int32), [self._start(leaf) for leaf in leaves]

        def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
            del params
            count, factors = state
            leaves, structure = jax.tree.flatten(updates)
            pairs = [self._one(g, f, count) for g, f in zip(leaves, factors, strict=True)]
            speed = -jnp.asarray(rate(count))
            moves = [speed * step for step, _ in pairs]
            return jax.tree.unflatten(structure, moves), (count + 1, [f for _, f in pairs])

        return optax.GradientTransformation(init, update)

    def _start(self, leaf: Array) -> Factors:
        def side(axis: int) -> Side | None:
            if leaf.ndim != 2 or leaf.shape[axis] > self.largest:
                return None
            size = leaf.shape[axis]
            return Side(jnp.zeros((size, size), leaf.dtype), jnp.eye(size, dtype=leaf.dtype))

        return Factors(jnp.zeros_like(leaf), jnp.zeros_like(leaf), side(0), side(1))

    def _one(self, gradient: Array, old: Factors, count: Array) -> tuple[Array, Factors]:
        """Update direction of one array and its new moments."""
        left, second = self._turned(old.left, gradient, old.second, count)
        right, second = self._turned(old.right, gradient.T, second.T, count)
        second = second.T
        first = self.b1 * old.first + (1 - self.b1) * gradient
        turned = _rotate(gradient, left, right)
        second = self.b2 * second + (1 - self.b2) * turned**2
        mean = _rotate(first, left, right) / (1 - self.b1 ** (count + 1))
        size = jnp.sqrt(second / (1 - self.b2 ** (count + 1)))
        step = _back(mean / (size + self.epsilon), left, right)
        return step, Factors(first, second, left, right)

    def _turned(
        self, side: Side | None, gradient: Array, second: Array, count: Array
    ) -> tuple[Side | None, Array]:
        """The side with G G^T taken in and its basis turned where the step asks for it.

        `second` (n, ...) follows the order of the basis, which is that of falling eigenvalues:
        orthogonal iteration would else turn the basis from one order into the other.
        """
        if side is None:
            return None, second
        mean = self.b2 * side.mean + (1 - self.b2) * gradient @ gradient.T

        def turn() -> tuple[Array, Array]:
            image = mean @ side.basis
            order = jnp.argsort(-jnp.sum(side.basis * image, axis=0))
            return jnp.linalg.qr(image[:, order])[0], second[order]

        basis, second = jax.lax.cond(
            count == 0,
            lambda: (jnp.linalg.eigh(mean)[1][:, ::-1], second),
            lambda: jax.lax.cond(count % self.basis_every == 0, turn, lambda: (side.basis, second)),
        )
        return Side(mean, basis), second


def _rotate(matrix: Array, left: Side | None, right: Side | None) -> Array:
    """Q_L^T M Q_R."""
    matrix = matrix if left is None else left.basis.T @ matrix
    return matrix if right is None else matrix @ right.basis


def _back(matrix: Array, left: Side | None, right: Side | None) -> Array:
    """Q_L M Q_R^T."""
    matrix = matrix if left is None else left.basis @ matrix
    return matrix if right is None else matrix @ right.basis.T
