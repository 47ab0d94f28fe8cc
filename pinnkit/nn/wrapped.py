"""Architectures made of another one: Fourier features before it, factorised weights in it."""

from dataclasses import dataclass
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.nn.head import begins_linear, head
from pinnkit.nn.initial import normals, require_positive, require_sizes
from pinnkit.nn.mlp import MLP


class Inner(Protocol):
    """What can be wrapped: every architecture."""

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> Any: ...


class FourierNetwork(eqx.Module):
    """N(cos B z, sin B z) with a matrix B (d, features) that is not trained."""

    matrix: Array
    network: eqx.Module

    def __call__(self, z: Array) -> Array:
        """(d,) -> (c,)."""
        phase = z @ jax.lax.stop_gradient(self.matrix)
        return self.network(jnp.concatenate([jnp.cos(phase), jnp.sin(phase)]))  # type: ignore[operator]

    @property
    def head(self) -> tuple[Array, ...]:
        """That of the network inside."""
        return head(self.network)

    @property
    def begins_linear(self) -> bool:
        """As the network inside does."""
        return begins_linear(self.network)


@dataclass(frozen=True)
class Fourier:
    """Random Fourier features: 2 `features` inputs of `network`, B ~ N(0, scale^2).

    Tancik et al. (NeurIPS 2020), eq. 5 without 2 pi, as the coordinates here span [-1, 1]. A large
    `scale` begins with steep functions: right where the solution is, noise elsewhere.

    Raises `OptionError` for numbers that are not positive.
    """

    network: Inner = MLP()
    features: int = 32
    scale: float = 1.0

    def __post_init__(self) -> None:
        require_sizes(self, "features")
        require_positive(self, "scale")

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> FourierNetwork:
        """Network (in_size,) -> (out_size,)."""
        first, second = jax.random.split(key)
        shape = (in_size, self.features)
        matrix = self.scale * jax.random.normal(first, shape, jnp.result_type(float))
        return FourierNetwork(matrix, self.network.build(2 * self.features, out_size, key=second))


class FactorizedNetwork(eqx.Module):
    """`skeleton` with each matrix W = V diag(exp s): `directions` V and `scales` s are trained."""

    skeleton: eqx.Module
    directions: tuple[Array, ...]
    scales: tuple[Array, ...]

    def __call__(self, z: Array) -> Array:
        """(d,) -> (c,)."""
        return self.plain()(z)  # type: ignore[operator]

    def plain(self) -> eqx.Module:
        """The same network with its matrices multiplied out."""
        pairs = zip(self.directions, self.scales, strict=True)
        return self._with([v * jnp.exp(s)[None, :] for v, s in pairs])

    @property
    def head(self) -> tuple[Array, ...]:
        """That of the network inside, its matrix by the directions V."""
        return head(self._with(list(self.directions)))

    @property
    def begins_linear(self) -> bool:
        """As the network inside does."""
        return begins_linear(self.skeleton)

    def _with(self, matrices: list[Array]) -> eqx.Module:
        return eqx.combine(self.skeleton, _placed(self.skeleton, matrices))


@dataclass(frozen=True)
class Factorized:
    """Random weight factorisation of all matrices of `network`, W = V diag(exp s).

    s ~ N(mean, spread^2) per output unit, V such that W begins as the network's own draw (Wang,
    Wang, Seidman & Perdikaris, 2022, arXiv:2210.01274, eqs. 3.1 and 3.4): every unit gets a
    learning rate of its own.

    Raises `OptionError` for a spread that is not positive, and for a `Mixture`.
    """

    network: Inner = MLP()
    mean: float = 0.5
    spread: float = 0.1

    def __post_init__(self) -> None:
        require_positive(self, "spread")
        if hasattr(self.network, "around"):
            raise OptionError(
                "Factorized() takes the matrices of one network, not of a mixture. Give the "
                "mixture a factorised network: Mixture(Factorized(MLP(16, 2)), windows)."
            )

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> FactorizedNetwork:
        """Network (in_size,) -> (out_size,) with the same values as `network` at first."""
        first, second = jax.random.split(key)
        whole = self.network.build(in_size, out_size, key=first, groups=groups)
        matrices, skeleton = eqx.partition(whole, _is_matrix)
        found = jax.tree.leaves(matrices)
        keys = jax.random.split(second, len(found))
        drawn = normals(keys, [w.shape[1:] for w in found])
        scales = tuple(self.mean + self.spread * a for a in drawn)
        directions = tuple(w * jnp.exp(-s)[None, :] for w, s in zip(found, scales, strict=True))
        return FactorizedNetwork(skeleton, directions, scales)


def _is_matrix(leaf: Any) -> bool:
    return eqx.is_inexact_array(leaf) and leaf.ndim == 2


def _placed(skeleton: Any, matrices: list[Array]) -> Any:
    """A tree like `skeleton` with `matrices` in its empty places, None elsewhere."""
    hole = lambda leaf: leaf is None  # noqa: E731
    leaves, structure = jax.tree.flatten(skeleton, is_leaf=hole)
    filling = iter(matrices)
    return jax.tree.unflatten(
        structure, [next(filling) if leaf is None else None for leaf in leaves]
    )
