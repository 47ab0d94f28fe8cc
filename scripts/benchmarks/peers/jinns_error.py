"""One run of jinns in float64: Adam, then its SSBroyden or its natural gradient to the end."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from common import Options, Watch, options, report

warnings.filterwarnings("ignore")
import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jinns  # noqa: E402
import optax  # noqa: E402
from jax.experimental import io_callback  # noqa: E402
from jinns.optimizers import scale_by_SSBroyden_family  # noqa: E402
from jinns.solver import GetJinnsVariableName  # noqa: E402
from jinns.validation import AbstractValidationModule  # noqa: E402

MANY = 10**6
"""More steps than any budget allows."""


class Settings(NamedTuple):
    """Hard: conditions hold by a transformation of the output; features: periodic inputs.

    Scale: a factor of the inputs; terms: jinns' SPINN_MLP, a sum of so many products of functions
    of one axis, on a grid of `points` in all (0: PINN_MLP).
    """

    width: int
    depth: int
    points: int
    adam: int
    method: str = "SSBroyden"
    rate: float = 1e-3
    hard: bool = True
    features: bool = False
    weight: float = 1.0
    ridge: float = 1e-5
    scale: float = 1.0
    terms: int = 0
    activation: str = "tanh"

    def words(self) -> str:
        conditions = "hard conditions" if self.hard else f"soft conditions, weight {self.weight:g}"
        inputs = ", periodic inputs" if self.features else ""
        inputs += f", inputs times {self.scale:g}" if self.scale != 1 else ""
        products = f"SPINN_MLP of {self.terms} products, factors of " if self.terms else ""
        places = "points of a Sobol grid" if self.terms else "Sobol points"
        adam = f"Adam {self.adam} steps at {self.rate:g}, " if self.adam else ""
        last = f"natural gradient, ridge {self.ridge:g}" if self.method == "NGD" else self.method
        return (
            f"{products}{self.depth} layers of {self.width}, {self.activation}{inputs}, "
            f"{conditions}, {self.points} {places}, {adam}{last}"
        )


SETTINGS: dict[str, dict[str, Settings]] = {
    "burgers": {
        "Adam": Settings(20, 3, 2048, 500),
        "no Adam": Settings(20, 3, 2048, 0),
        "SSBFGS": Settings(20, 3, 2048, 0, "SSBFGS"),
        "NGD": Settings(20, 3, 2048, 200, "NGD"),
        "NGD, less ridge": Settings(20, 3, 2048, 200, "NGD", ridge=1e-7),
        "features": Settings(20, 3, 2048, 0, features=True),
    },
    "allen_cahn": {
        "soft, 30 x 3": Settings(30, 3, 4096, 500, hard=False, features=True, weight=10),
        "soft": Settings(20, 3, 4096, 0, hard=False, features=True, weight=10),
        "hard": Settings(20, 3, 4096, 500, features=True),
        "hard, no Adam": Settings(20, 3, 4096, 0, features=True),
        "NGD": Settings(20, 3, 2048, 200, "NGD", features=True),
    },
    "poisson": {
        "no Adam": Settings(32, 2, 1024, 0),
        "NGD": Settings(20, 2, 1024, 100, "NGD"),
        "SPINN": Settings(20, 2, 1024, 100, terms=8),
        "SPINN, no Adam": Settings(20, 2, 1024, 0, terms=8),
    },
    "helmholtz": {
        "features": Settings(30, 3, 4096, 500, features=True),
        "NGD": Settings(20, 3, 2048, 500, "NGD", features=True),
        "SPINN": Settings(20, 2, 4096, 500, scale=6, terms=8),
        "SPINN 16": Settings(20, 2, 4096, 500, scale=3, terms=16),
        "SPINN sin": Settings(20, 2, 4096, 300, scale=6, terms=8, activation="sin"),
        "SPINN sin, no Adam": Settings(20, 2, 4096, 0, scale=6, terms=8, activation="sin"),
    },
}
BEST = {
    "burgers": "no Adam",
    "allen_cahn": "NGD",
    "poisson": "SPINN",
    "helmholtz": "SPINN sin",
}


def along(axis: int, u: Any, z: jax.Array, params: Any) -> tuple[Any, Any, Any]:
    """u (1,) and its first two derivatives along one axis at a point, by nested forward mode."""
    direction = jnp.zeros(2).at[axis].set(1.0)

    def first(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(lambda z: u(z, params), (z,), (direction,))

    (value, slope), (_, second) = jax.jvp(first, (z,), (direction,))
    return value, slope, second


class Burgers(jinns.loss.PDENonStatio):
    def equation(self, t_x: Any, u: Any, params: Any) -> Any:
        v, v_x, v_xx = along(1, u, t_x, params)
        return along(0, u, t_x, params)[1] + v * v_x - 0.01 / np.pi * v_xx


class AllenCahn(jinns.loss.PDENonStatio):
    def equation(self, t_x: Any, u: Any, params: Any) -> Any:
        v, _, v_xx = along(1, u, t_x, params)
        return along(0, u, t_x, params)[1] - 1e-4 * v_xx - 5 * (v - v**3)


def laplacian(u: Any, z: jax.Array, params: Any) -> tuple[Any, Any]:
    """u and its Laplacian, at one point or on the grid of a SPINN, whose z is (n, 2)."""
    if isinstance(u, jinns.nn.SPINN):
        return u(z, params), jinns.loss.laplacian_fwd(z, u, params)
    v, _, v_xx = along(0, u, z, params)
    return v, v_xx + along(1, u, z, params)[2]


def product(z: jax.Array, factor: Callable[[Any], Any]) -> jax.Array:
    """factor(x) factor(y) at one point, or on the grid of a SPINN with a last axis of one."""
    f = factor(z)
    return jnp.prod(f) if f.ndim == 1 else (f[:, :1] * f[:, 1])[..., None]


class Poisson(jinns.loss.PDEStatio):
    def equation(self, x: Any, u: Any, params: Any) -> Any:
        source = 2 * np.pi**2 * product(x, lambda z: jnp.sin(np.pi * z))
        return -laplacian(u, x, params)[1] - source


class Helmholtz(jinns.loss.PDEStatio):
    def equation(self, x: Any, u: Any, params: Any) -> Any:
        v, both = laplacian(u, x, params)
        return both + v - (1 - 72 * np.pi**2) * product(x, lambda z: jnp.sin(6 * np.pi * z))


EQUATIONS = {
    "burgers": Burgers,
    "allen_cahn": AllenCahn,
    "poisson": Poisson,
    "helmholtz": Helmholtz,
}


def evolution(problem: str) -> bool:
    return problem in ("burgers", "allen_cahn")


def initial(problem: str, x: jax.Array) -> jax.Array:
    return -jnp.sin(np.pi * x) if problem == "burgers" else x**2 * jnp.cos(np.pi * x)


def transform(problem: str) -> Callable[[Any, Any, Any], Any]:
    """The output that satisfies all conditions."""

    def over_time(z: Any, u: Any, params: Any) -> Any:
        t, x = z[0], z[1]
        wall = 1 - x**2 if problem == "burgers" else 1.0
        return initial(problem, x) + t * wall * u

    def box(z: Any, u: Any, params: Any) -> Any:
        low = 0 if problem == "poisson" else -1
        return product(z, lambda z: (z - low) * (1 - z)) * u

    return over_time if evolution(problem) else box


def inputs(problem: str, chosen: Settings) -> Callable[[Any, Any], Any] | None:
    """Sine and cosine of pi times the places, and time; or stretched."""

    def made(z: Any, params: Any) -> Any:
        times, places = (z[:1], z[1:]) if evolution(problem) else (z[:0], z)
        return jnp.concatenate([times, jnp.sin(np.pi * places), jnp.cos(np.pi * places)])

    if chosen.features:
        return made
    return (lambda z, params: chosen.scale * z) if chosen.scale != 1 else None


def walled(problem: str, scale: float) -> Any:
    """The class of SPINNs that vanish on the walls and whose inputs are stretched."""

    class Walled(jinns.nn.SPINN_MLP):
        def __call__(self, t_x: Any, params: Any) -> Any:
            return transform(problem)(t_x, super().__call__(scale * t_x, params), params)

    return Walled


def spinn(problem: str, chosen: Settings, key: jax.Array) -> tuple[Any, Any]:
    sizes = [1, *[chosen.width] * chosen.depth]
    layers: list[tuple[Any, ...]] = []
    for size_in, size_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [(eqx.nn.Linear, size_in, size_out), (getattr(jnp, chosen.activation),)]
    layers += [(eqx.nn.Linear, sizes[-1], chosen.terms)]
    u, weights = walled(problem, chosen.scale).create(
        key=key, d=2, r=chosen.terms, eqx_list=tuple(layers), eq_type="PDEStatio"
    )
    return u, jinns.parameters.Params(nn_params=weights, eq_params={})


def network(problem: str, chosen: Settings, key: jax.Array) -> tuple[Any, Any]:
    sizes = [(3 if evolution(problem) else 4) if chosen.features else 2]
    sizes += [chosen.width] * chosen.depth
    layers: list[tuple[Any, ...]] = []
    for size_in, size_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [(eqx.nn.Linear, size_in, size_out), (getattr(jnp, chosen.activation),)]
    u, weights = jinns.nn.PINN_MLP.create(
        key=key,
        eqx_list=(*layers, (eqx.nn.Linear, sizes[-1], 1)),
        eq_type="PDENonStatio" if evolution(problem) else "PDEStatio",
        input_transform=inputs(problem, chosen),
        output_transform=transform(problem) if chosen.hard else None,
    )
    return u, jinns.parameters.Params(nn_params=weights, eq_params={})


def task(problem: str, chosen: Settings, key: jax.Array) -> tuple[Any, Any, Any]:
    """Points, loss and first parameters."""
    of_points, of_weights = jax.random.split(key)
    u, params = (spinn if chosen.terms else network)(problem, chosen, of_weights)
    low = 0.0 if problem == "poisson" else -1.0
    count = round(chosen.points**0.5) if chosen.terms else chosen.points
    grid: dict[str, Any] = {"key": of_points, "n": count, "method": "sobol"}
    if not evolution(problem):
        data = jinns.data.CubicMeshPDEStatio(dim=2, min_pts=(low, low), max_pts=(1.0, 1.0), **grid)
        loss = jinns.loss.LossPDEStatio(
            u=u,
            dynamic_loss=EQUATIONS[problem](),
            params=params,
            loss_weights=jinns.loss.LossWeightsPDEStatio(dyn_loss=1.0),
        )
        return data, loss, params
    data = jinns.data.CubicMeshPDENonStatio(
        dim=1, min_pts=(low,), max_pts=(1.0,), tmin=0.0, tmax=1.0, ni=256, **grid
    )
    terms = {} if chosen.hard else {"initial_condition": chosen.weight}
    start = None if chosen.hard else lambda x: jnp.atleast_1d(initial(problem, x[0]))
    loss = jinns.loss.LossPDENonStatio(
        u=u,
        dynamic_loss=EQUATIONS[problem](Tmax=1.0),
        params=params,
        initial_condition_fun=start,
        loss_weights=jinns.loss.LossWeightsPDENonStatio(dyn_loss=1.0, **terms),
    )
    return data, loss, params


class Look(AbstractValidationModule):
    """Stands for a validation: tells the time, keeps the weights, asks to stop."""

    watch: Watch = eqx.field(static=True, kw_only=True)
    call_every: int = eqx.field(static=True, kw_only=True)

    def __call__(self, params: Any) -> tuple[Any, Any, Any, Any]:
        stop = io_callback(self.seen, jax.ShapeDtypeStruct((), bool), jax.tree.leaves(params))
        return self, stop, jnp.zeros(()), False

    def seen(self, leaves: list[Any]) -> np.ndarray:
        return np.asarray(self.watch.look(lambda: [np.array(leaf) for leaf in leaves]))


# jinns takes these apart and calls them anew, so that they may use globals only.
def callback_value(params: Any, loss: Any, batch: Any) -> Any:
    return loss(params, batch)[0]


def callback_gradient(params: Any, loss: Any, batch: Any) -> Any:
    return loss.ponderate_and_sum_gradient(loss.values_and_grads(params, batch)[1])


QUASI_NEWTON: dict[str, Any] = {
    "value": GetJinnsVariableName("train_loss_value"),
    "grad_pt": GetJinnsVariableName("grads"),
    "loss": GetJinnsVariableName("loss"),
    "batch": GetJinnsVariableName("batch"),
    "value_fn": callback_value,
    "grad_fn": callback_gradient,
}


def optimizer(chosen: Settings) -> Any:
    if chosen.method == "NGD":
        search = optax.scale_by_backtracking_linesearch(max_backtracking_steps=15)
        return jinns.optimizers.vanilla_ngd(gram_reg=chosen.ridge, linesearch=search)
    return scale_by_SSBroyden_family(method=chosen.method)


def train(chosen: Settings, data: Any, loss: Any, params: Any, watch: Watch) -> tuple[Any, int]:
    """Both algorithms in turn, the second anew where it breaks off. Weights and steps taken."""
    taken = 0

    def solve(params: Any, steps: int, algorithm: Any, every: int, extra: Any) -> Any:
        nonlocal taken
        found = jinns.solve(
            n_iter=steps,
            init_params=params,
            data=data,
            loss=loss,
            optimizer=algorithm,
            validation=Look(watch=watch, call_every=every),
            extra_optax_args_and_kwargs=extra,
            print_loss_every=MANY,
            verbose=False,
        )
        taken += int(np.count_nonzero(np.asarray(found[1])))
        return found[0]

    if chosen.adam:
        schedule = optax.cosine_decay_schedule(chosen.rate, chosen.adam, 0.1)
        params = solve(params, chosen.adam, optax.adam(schedule), 20, None)
    while not watch.spent:
        extra = None if chosen.method == "NGD" else QUASI_NEWTON
        params = solve(params, MANY, optimizer(chosen), 5, extra)
    return params, taken


def run(o: Options) -> None:
    chosen = SETTINGS[o.problem][o.settings or BEST[o.problem]]
    jax.config.update("jax_enable_x64", True)
    with contextlib.redirect_stdout(io.StringIO()):
        watch = Watch(o.seconds)
        data, loss, params = task(o.problem, chosen, jax.random.PRNGKey(o.key))
        found, steps = train(chosen, data, loss, params, watch)
        spent = watch.stop()
    structure = jax.tree.structure(found)

    def evaluate(leaves: Any, points: np.ndarray) -> np.ndarray:
        weights = jax.tree.unflatten(structure, leaves)
        if chosen.terms:  # the points are a grid with equal axes, the last one fastest
            side = jnp.asarray(np.unique(points[:, 0]))
            return np.ravel(loss.u(jnp.stack([side, side], axis=1), weights))
        return np.asarray(jax.vmap(lambda z: loss.u(z, weights)[0])(jnp.asarray(points)))

    report(
        o,
        watch,
        spent,
        evaluate,
        jax.tree.leaves(found),
        package="jinns",
        version=f"{importlib.metadata.version('jinns')}, JAX {jax.__version__}",
        settings=chosen.words(),
        steps=steps,
    )


if __name__ == "__main__":
    run(options((__doc__ or "").strip()))
