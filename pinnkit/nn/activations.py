"""Activation functions by name, so that a network is data: names and arrays, no callables."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError

ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "identity": lambda z: z,
}


def activation(name: str) -> Callable[[Array], Array]:
    """The elementwise function called `name`.

    "gelu" is the smooth tanh form. "relu" has no second derivative: not for residuals of order 2.

    Raises `OptionError`, listing the known names, if `name` is not one of them.
    """
    try:
        return ACTIVATIONS[name]
    except (KeyError, TypeError):
        raise OptionError(
            f"activation={name!r} is unknown. Choose one of {', '.join(sorted(ACTIVATIONS))}."
        ) from None
