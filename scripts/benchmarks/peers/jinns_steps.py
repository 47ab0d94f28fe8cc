"""Rate of training steps of jinns on W2: one line of JSON, as run_pinnkit.py prints it."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import numpy as np
import optax
import steps
from jinns_error import AllenCahn, Settings, initial, network
from steps import Laps, Options, Points


class Reverse(jinns.loss.PDENonStatio):
    """Allen-Cahn by nested reverse mode, as jinns writes its own Burgers equation."""

    def equation(self, t_x: Any, u: Any, params: Any) -> Any:
        slope = jax.grad(lambda z: u(z, params)[0])
        v, v_xx = u(t_x, params), jax.grad(lambda z: slope(z)[1])(t_x)[1]
        return slope(t_x)[0] - steps.DIFFUSION * v_xx + steps.REACTION * (v**3 - v)


EQUATIONS = {"grad": Reverse, "jvp": AllenCahn}


def data(at: Points, key: jax.Array) -> Any:
    """jinns' generator of full batches, with the points in the place of those that it draws."""
    made = jinns.data.CubicMeshPDENonStatio(
        key=key,
        n=len(at.interior),
        nb=None,
        ni=len(at.start),
        dim=1,
        min_pts=(-1.0,),
        max_pts=(1.0,),
        tmin=0.0,
        tmax=1.0,
    )
    places = jnp.asarray(at.interior, float), jnp.asarray(at.start[:, 1:], float)
    return eqx.tree_at(lambda d: (d.domain, d.initial), made, places)


def layers(params: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Equinox keeps weights as (m_out, m_in)."""
    leaves = [np.array(leaf) for leaf in jax.tree.leaves(params.nn_params)]
    return [(w.T, b) for w, b in zip(leaves[::2], leaves[1::2], strict=True)]


def compiled(loss: Any, optimizer: Any, count: int) -> Any:
    """jinns.solve for so many steps in one program, as solve compiles anew at every call."""

    @jax.jit
    def train(params: Any, state: Any, data: Any) -> tuple[Any, Any, Any, Any]:
        found = jinns.solve(
            n_iter=count,
            init_params=params,
            data=data,
            loss=loss,
            optimizer=optimizer,
            opt_state=state,
            print_loss_every=10**9,
            verbose=False,
            ahead_of_time=False,
        )
        return found[0], found[5], found[3], found[1]

    return train


def run(o: Options) -> None:
    jax.config.update("jax_enable_x64", o.dtype == "float64")
    depth, width = o.sizes
    key, at, laps = jax.random.PRNGKey(o.seed), steps.points(o.n, o.seed), Laps()
    soft = Settings(width, depth, o.n, o.steps, hard=False)
    u, params = network("allen_cahn", soft, key)
    loss = jinns.loss.LossPDENonStatio(
        u=u,
        dynamic_loss=EQUATIONS[o.method](Tmax=1.0),
        params=params,
        initial_condition_fun=lambda x: initial("allen_cahn", x),
        loss_weights=jinns.loss.LossWeightsPDENonStatio(dyn_loss=1.0, initial_condition=1.0),
    )
    train = compiled(loss, optax.adam(o.lr), o.steps)
    carry, losses = (params, optax.adam(o.lr).init(params), data(at, key)), []
    for _ in range(o.reps + 1):
        *carry, found = jax.block_until_ready(train(*carry))
        laps.look()
        losses += [np.asarray(found)]
    facts = {
        "peer": "jinns",
        "version": importlib.metadata.version("jinns"),
        "jax": jax.__version__,
    }
    steps.report(o, laps, layers(params), at, np.concatenate(losses), o.steps, **facts)


if __name__ == "__main__":
    run(steps.options((__doc__ or "").strip(), tuple(EQUATIONS)))
