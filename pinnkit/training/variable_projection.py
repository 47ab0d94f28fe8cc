"""Variable projection: the last layer is solved for in every evaluation, all else is trained."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from pinnkit.errors import MethodError, OptionError
from pinnkit.training.evaluation import Evaluation, Unpack
from pinnkit.training.last_layer import places
from pinnkit.training.ssbfgs import SSBFGS
from pinnkit.training.stage import Stage, StageState, flat


@dataclass(frozen=True)
class Reduced(Evaluation):
    """min_a |r(h, a)|^2 + mu |a|^2 as a function of the hidden numbers h, for r affine in a.

    x (P,) holds a at `places` too, where nothing depends on it. sqrt(mu) is `damping` times the
    root mean square of the columns of dr/da.
    """

    places: np.ndarray
    damping: float

    def loss(self, x: Array, batch: Any) -> tuple[Array, dict[str, Array]]:
        """The minimum, and the mean squares there.

        Its derivative in h is that of |r|^2 with a held fixed, as a is where that in a vanishes.
        """
        head, _, mu = self.solve(jax.lax.stop_gradient(x), batch)
        head, mu = jax.lax.stop_gradient((head, mu))
        loss, squares = super().loss(x.at[self.places].set(head), batch)
        return loss + mu * (head @ head), squares

    def residuals(self, x: Array, batch: Any) -> Array:
        """r at the solution, over sqrt(mu) a: (m + n,)."""
        head, _, mu = self.solve(x, batch)
        found = super().residuals(x.at[self.places].set(head), batch)
        return jnp.concatenate([found, jnp.sqrt(mu) * head])

    def jacobian(self, x: Array, batch: Any) -> tuple[Array, Array]:
        """The residuals and (I - Q Q^T) d/dh, Q spanning d/da: in a Gauss-Newton step of all
        numbers together that of a is eliminated (Kaufman, BIT 15 (1975) 49). Columns of a are 0."""
        head, basis, mu = self.solve(x, batch)
        found, whole = super().jacobian(x.at[self.places].set(head), batch)
        found = jnp.concatenate([found, jnp.sqrt(mu) * head])
        whole = jnp.pad(whole.at[:, self.places].set(0.0), ((0, head.size), (0, 0)))
        return found, whole - basis @ (basis.T @ whole)

    def solved(self, x: Array, batch: Any) -> Array:
        """x with the solution a in its places."""
        return x.at[self.places].set(self.solve(x, batch)[0])

    def solve(self, x: Array, batch: Any) -> tuple[Array, Array, Array]:
        """a (n,), Q (m + n, n) and mu by an orthogonal factorisation of dr/da over sqrt(mu) I."""
        inner = Evaluation(self.objective, lambda a: self.unpack(x.at[self.places].set(a)))
        begin = jnp.zeros(self.places.size, x.dtype)
        residuals, features = inner.jacobian(begin, batch)
        root = self.damping * jnp.sqrt(jnp.sum(features**2) / begin.size)
        tall = jnp.concatenate([features, root * jnp.eye(begin.size, dtype=x.dtype)])
        basis, triangle = jnp.linalg.qr(tall)
        head = -solve_triangular(triangle, residuals @ basis[: residuals.size])
        return head, basis, root**2


@dataclass(frozen=True)
class VariableProjection(Stage):
    """Trains by `stage` all but the last layer, which is the least-squares solution throughout.

    Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413. A linear problem's residuals are affine in
    the last layer, so that the loss is a function of the hidden layers alone: hidden weights of
    least-squares experts, trained through the solve. `damping` keeps the solution bounded where
    features nearly repeat each other; it is relative to their size.

    An evaluation costs 4 m n^2 operations more, for m residuals and n weights in the last layer.
    Raises `OptionError` for a damping that is not positive, and `MethodError` where the network
    names no last layer.
    """

    stage: Stage = SSBFGS()
    damping: float = 1e-10

    def __post_init__(self) -> None:
        if not self.damping > 0:
            raise OptionError(
                f"{self.name}(damping={self.damping!r}) leaves the last layer undetermined where "
                "features repeat each other. Give a small positive number, such as 1e-10."
            )

    @property
    def steps(self) -> int:
        return self.stage.steps

    @property
    def resample_every(self) -> int | None:
        return self.stage.resample_every

    @property
    def refreeze_every(self) -> int | None:
        return self.stage.refreeze_every

    @property
    def identity(self) -> str:
        return f"{self.name}({self.stage.identity}, damping={self.damping!r})"

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        return self.stage.init(x, squares, unpack)

    def renew(self, state: StageState, due: Array) -> StageState:
        return self.stage.renew(state, due)

    def step(
        self, evaluate: Evaluation, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        own = places(evaluate, state.x)
        if not own.size:
            raise MethodError(
                f"{self.name} needs a network that names its last layer (a property `head`). "
                f"Use another network, such as MLP, or {self.stage.name} alone."
            )
        reduced = Reduced(evaluate.objective, evaluate.unpack, own, self.damping)
        found, counts = self.stage.step(reduced, state, batch)
        return found.with_(x=reduced.solved(found.x, batch)), counts
