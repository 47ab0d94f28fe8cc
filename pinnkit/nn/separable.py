"""Sums of products of functions of one axis each."""

from dataclasses import dataclass
from itertools import accumulate

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.nn.initial import require_sizes
from pinnkit.nn.mlp import MLP
from pinnkit.nn.wrapped import Inner


class SeparableNetwork(eqx.Module):
    """u_c(z) = sum_r prod_i f_i^(c, r)(z_i), one network f_i per axis.

    `ends` are the running numbers of inputs per axis. (d,) -> (c,).
    """

    factors: tuple[eqx.Module, ...]
    ends: tuple[int, ...] = eqx.field(static=True)
    rank: int = eqx.field(static=True)

    def __call__(self, z: Array) -> Array:
        found = None
        for i in range(len(self.factors)):
            value = self.factor(i, z[self.start(i) : self.ends[i]])
            found = value if found is None else found * value
        assert found is not None
        return jnp.sum(found, axis=-1)

    def start(self, axis: int) -> int:
        """First input of that axis."""
        return self.ends[axis - 1] if axis else 0

    def factor(self, axis: int, z: Array) -> Array:
        """Values (c, rank) of the factors of one axis at its own inputs."""
        return self.factors[axis](z).reshape(-1, self.rank)  # type: ignore[operator]


@dataclass(frozen=True)
class Separable:
    """Separable network: a `network` per axis with `rank` outputs for every field.

    Cho et al., Separable PINN (NeurIPS 2023), eq. 4. On a tensor grid of N points per axis d N
    evaluations of the factors give all N^d values and derivatives.

    Raises `OptionError` for a rank below 1.
    """

    rank: int = 32
    network: Inner = MLP(32, 3)

    def __post_init__(self) -> None:
        require_sizes(self, "rank")

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> SeparableNetwork:
        """Network (in_size,) -> (out_size,); `groups`: inputs per axis, one each by default."""
        groups = groups or (1,) * in_size
        keys = jax.random.split(key, len(groups))
        factors = tuple(
            self.network.build(n, out_size * self.rank, key=k)
            for n, k in zip(groups, keys, strict=True)
        )
        return SeparableNetwork(factors, tuple(accumulate(groups)), self.rank)
