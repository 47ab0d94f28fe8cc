"""What a PINN takes where an option is left open, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from pinnkit.ansatz import Ansatz
from pinnkit.ansatz.enforce import Architecture
from pinnkit.ansatz.factors import obstacle_to_factors
from pinnkit.compile.system import System
from pinnkit.errors import MethodError
from pinnkit.geometry import Box
from pinnkit.nn import MLP, Separable, begins_linear
from pinnkit.nn.mixture import MixtureNetwork
from pinnkit.nn.separable import SeparableNetwork
from pinnkit.objective.sampling import RAD, Grid, Sampling
from pinnkit.training import (
    SSBFGS,
    FactoredSSBFGS,
    LastLayer,
    Stage,
    VariableProjection,
    default_stages,
)
from pinnkit.training.plan import DENSE, ENDLESS

STEPS = 4000
SMALL = 500
"""Weights up to which any network is trained by `FactoredSSBFGS`."""
HEADS, PROJECTED = 700, 200
"""Weights in last layers up to which these are solved for in every step, and steps that suffice."""
ROWS, FEWEST, MOST = 2.5, 1000, 8192
"""Residuals per weight: with fewer, the fit between two draws is far better than the solution
(Burgers stalls at 4e-5 with 2500 residuals for 941 weights, and does not with 5000)."""


def default_network(system: System) -> Architecture:
    """A sum of products for linear problems on a box of two or three axes, else a plain network.

    Solutions of linear equations whose coefficients and data are products, or short sums of them,
    are of low rank as a rule, which a sum of products then finds in fewer steps. With more axes its
    factors have too many weights together.
    """
    box = isinstance(system.domain, Box) and 2 <= len(system.axes) <= 3
    if box and system.traits.linear:
        return Separable(16, MLP(16, 2))
    return MLP(30, 3)


def residual_adaptive(system: System) -> Sampling:
    """By the residual, less so above second order, where residuals between points are rough."""
    order = max(r.plan.max_order for r in system.equations)
    return RAD(share=1.0 if order <= 2 else 0.2)


def default_sampling(system: System, architecture: Architecture) -> Sampling:
    """Tensor grids for sums of products on boxes, else by the residual."""
    if isinstance(system.domain, Box) and isinstance(architecture, Separable):
        return Grid()
    return residual_adaptive(system)


def require_factors(ansatz: Ansatz, sampling: Sampling, system: System) -> None:
    """`MethodError` for grids where the ansatz is not evaluated by factors."""
    reason = obstacle_to_factors(ansatz)
    if isinstance(sampling, Grid) and not isinstance(system.domain, Box):
        reason = "its domain is no box"
    if isinstance(sampling, Grid) and reason is not None:
        raise MethodError(
            f"PINN(sampling=Grid()) cannot solve '{system.problem.name}': {reason}. Grids are for "
            "network=Separable() on boxes; use another sampling elsewhere."
        )


def recommended_stages(
    ansatz: Ansatz, seconds: float | None, linear: bool = False
) -> tuple[Stage, ...]:
    """What `default_stages` recommends, after one step of `LastLayer` for networks that begin as a
    linear combination of features. For others that start is no gain on the whole (docs/pinn.md).
    Mixtures for `linear` problems are solved for their last layers throughout, up to `HEADS`.
    Sums of products, and small networks in short windows, reach losses at which the matrix of
    `SSBFGS` breaks down; theirs is a product, which in small networks costs next to nothing.
    """
    size = weights(ansatz)
    mixture = isinstance(ansatz.network, MixtureNetwork)
    if mixture and linear and 0 < weights(ansatz.head) <= HEADS:
        return (VariableProjection(SSBFGS(steps=PROJECTED if seconds is None else ENDLESS)),)
    start = (LastLayer(),) if begins_linear(ansatz.network) else ()
    separable = isinstance(ansatz.network, SeparableNetwork)
    if size <= (DENSE if separable else SMALL):
        return (*start, FactoredSSBFGS(steps=STEPS if seconds is None else ENDLESS))
    return (*start, *default_stages(size, seconds, steps=STEPS))


def require_affine(stages: tuple[Stage, ...], system: System) -> None:
    """`MethodError` for variable projection where residuals are not affine in the fields."""
    for stage in stages:
        if isinstance(stage, VariableProjection) and not system.traits.linear:
            raise MethodError(
                f"{stage.name} cannot train '{system.problem.name}', which is not linear: its "
                f"last layer is no least-squares solution. Use {stage.stage.name} alone, or "
                "LevenbergMarquardt."
            )


def require_curvature(ansatz: Ansatz, system: System) -> None:
    """`MethodError` for piecewise linear networks where second derivatives are needed."""
    order = max(r.plan.max_order for r in system.equations)
    size = ansatz.embedding.size

    @eqx.filter_jit
    def second(network: Any, z: jax.Array) -> jax.Array:
        slope = lambda p: jax.jvp(network, (p,), (jnp.ones_like(p),))[1]  # noqa: E731
        return jax.jvp(slope, (z,), (jnp.ones_like(z),))[1]

    places = [jnp.full(size, place) for place in (-0.9, -0.5, -0.1, 0.3, 0.7)]
    if order >= 2 and not any(jnp.any(second(ansatz.network, z)) for z in places):
        raise MethodError(
            f"The network is piecewise linear (relu?), so that its second derivatives vanish, but "
            f"the equations are of order {order}. Choose a smooth activation, such as tanh."
        )


def weights(tree: Any) -> int:
    """Trained numbers in a network or ansatz."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def default_points(parameters: int, equations: int) -> int:
    """Places for ROWS residuals per weight, in whole hundreds within FEWEST and MOST."""
    wanted = math.ceil(ROWS * parameters / equations / 100) * 100
    return min(max(wanted, FEWEST), MOST)
