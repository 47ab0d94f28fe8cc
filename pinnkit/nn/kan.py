"""Kolmogorov-Arnold networks: trainable functions on the edges, sums in the nodes."""

from dataclasses import dataclass
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.nn.initial import normals, require_sizes


class KANNetwork(eqx.Module):
    """h_j <- sum_i sum_k c_ikj T_k(tanh h_i), Chebyshev polynomials T_k of degree up to K.

    `coefficients[l]` (n_in * (K + 1), n_out). One point in, one point out: (d,) -> (c,).
    """

    coefficients: tuple[Array, ...]
    degree: int = eqx.field(static=True)

    def __call__(self, z: Array) -> Array:
        h = z
        for c in self.coefficients:
            x = jnp.tanh(h)
            polynomials = [jnp.ones_like(x), x]
            for _ in range(self.degree - 1):
                polynomials.append(2.0 * x * polynomials[-1] - polynomials[-2])
            h = jnp.concatenate(polynomials[: self.degree + 1]) @ c
        return h

    @property
    def head(self) -> tuple[Array, ...]:
        """The coefficients of the last layer, in which the network is linear."""
        return self.coefficients[-1:]


@dataclass(frozen=True)
class KAN:
    """`depth` hidden layers of `width` nodes whose edges are Chebyshev series of `degree`.

    Liu et al., KAN (2024, arXiv:2404.19756), eq. 2.5, with polynomials instead of splines (smooth
    to any order) and tanh to keep the nodes in their interval.

    Raises `OptionError` for sizes below 1.
    """

    width: int = 8
    depth: int = 2
    degree: int = 6

    def __post_init__(self) -> None:
        require_sizes(self, "width", "depth", "degree")

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> KANNetwork:
        """Network (in_size,) -> (out_size,): c ~ N(0, 1 / (n_in (K + 1)))."""
        del groups
        sizes = (in_size, *(self.width,) * self.depth, out_size)
        keys = jax.random.split(key, len(sizes) - 1)
        terms = self.degree + 1
        shapes = [(n * terms, m) for n, m in pairwise(sizes)]
        drawn = normals(keys, shapes)
        drawn = tuple(c * n**-0.5 for c, (n, _) in zip(drawn, shapes, strict=True))
        return KANNetwork(drawn, self.degree)
