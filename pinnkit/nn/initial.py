"""Initial weights, and checks of sizes, shared by the architectures."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError

T = TypeVar("T")


def built(architecture: Any, *sizes: Any, key: Array, **options: Any) -> Any:
    """architecture.build(...) in one compiled call, which costs less than many small ones."""
    return eqx.filter_jit(architecture.build)(*sizes, key=key, **options)


def single(network: Any) -> Any:
    """The same with all numbers in single precision."""
    cast = lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a  # noqa: E731
    return jax.tree.map(cast, network)


def normals(keys: Array, shapes: Sequence[tuple[int, ...]]) -> tuple[Array, ...]:
    """Independent N(0, 1) arrays of these shapes, one per key.

    All are drawn at once, as programs that draw are slow to compile. The arrays have the default
    float type of the surrounding precision scope.
    """
    sizes = [math.prod(shape) for shape in shapes]
    draw = lambda key: jax.random.normal(key, (max(sizes),), jnp.result_type(float))  # noqa: E731
    found = zip(jax.lax.map(draw, keys), sizes, shapes, strict=True)
    return tuple(row[:size].reshape(shape) for row, size, shape in found)


def alike(build: Callable[[Array], T], keys: Array) -> tuple[T, ...]:
    """build(key) for each key, of equal structure: one program draws them all, see `normals`."""
    found = jax.lax.map(build, jnp.asarray(keys))
    return tuple(jax.tree.map(lambda a, i=i: a[i], found) for i in range(len(keys)))


def dense(
    key: Array, sizes: Sequence[int], frequency: float = 0.0
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Weights (n_in, n_out) and biases (n_out,) of layers between consecutive `sizes`.

    Weights N(0, 2/(n_in + n_out)), Glorot & Bengio (2010), eq. 16, and biases of zero. With a
    `frequency` the first layer has weights N(0, frequency^2 / n_in) and biases as large, uniform.
    For inputs that span [-1, 1] its units begin with about `frequency` radians across half the
    domain, and bend at places all over it. Glorot's weights without biases begin nearly linear.
    """
    kind, pairs = jnp.result_type(float), tuple(pairwise(sizes))
    keys = jax.random.split(key, len(pairs))
    spread = [(2.0 / (n_in + n_out)) ** 0.5 for n_in, n_out in pairs]
    biases = [jnp.zeros(n_out, kind) for _, n_out in pairs]
    if frequency:
        spread[0] = frequency / sizes[0] ** 0.5
        first, second = jax.random.split(jax.random.fold_in(key, 0))
        keys = jnp.concatenate([first[None], keys[1:]])
        biases[0] = jax.random.uniform(second, biases[0].shape, kind, -spread[0], spread[0])
    drawn = zip(normals(keys, pairs), spread, strict=True)
    return tuple(weight * size for weight, size in drawn), tuple(biases)


def around(architecture: Any, circles: tuple[bool, ...]) -> Any:
    """The architecture, told which axes are periodic if it has a method of that name."""
    told = getattr(architecture, "around", None)
    return architecture if told is None else told(circles)


def require_sizes(architecture: Any, *names: str) -> None:
    """Raise `OptionError` unless these attributes are whole numbers of at least 1."""
    for name in names:
        value = getattr(architecture, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise OptionError(
                f"{type(architecture).__name__}({name}={value!r}) is not a size. "
                "Give a whole number of at least 1."
            )


def require_positive(architecture: Any, *names: str) -> None:
    """Raise `OptionError` unless these attributes are positive numbers."""
    for name in names:
        value = getattr(architecture, name)
        if not value > 0:
            raise OptionError(
                f"{type(architecture).__name__}({name}={value!r}) must be positive. "
                "Give a number above zero."
            )
