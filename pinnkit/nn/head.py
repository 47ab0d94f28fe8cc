"""The last layer of a network, by which it may be fitted by least squares."""

from typing import Any

from jax import Array


def head(network: Any) -> tuple[Array, ...]:
    """The arrays of `network` that it names as its head; none if it names no head.

    The value of the network is affine in these together while all others are fixed, and they are
    arrays of the network itself (the same objects), trained like all others.
    """
    return tuple(getattr(network, "head", ()))


def begins_linear(network: Any) -> bool:
    """Whether `network` begins as a linear combination of fixed features, deep only in training."""
    return bool(getattr(network, "begins_linear", False))
