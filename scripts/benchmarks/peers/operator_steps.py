"""Rate of training steps of pinnkit's operators on W5: one line of JSON.

    python scripts/benchmarks/peers/operator_steps.py --work W5c

Through the same objective and loop as `pk.Operator`: batches drawn anew, relative L2 loss, Adam.
"""

from __future__ import annotations

import importlib.metadata
import json
import resource

import jax
import jax.numpy as jnp
import numpy as np
import operator_data as data
import steps

import pinnkit as pk
from pinnkit.derivatives import FourierAxis, UniformAxis
from pinnkit.methods.neural_operator.field import OperatorField
from pinnkit.methods.neural_operator.losses import RelativeL2
from pinnkit.methods.neural_operator.maps import GridMap, PointMap
from pinnkit.methods.neural_operator.objective import OperatorError
from pinnkit.training import Adam, fit


def pairs(work: str, seed: int) -> pk.Dataset:
    """The samples of a task."""
    if work == "W5a":
        u, _, s = data.antiderivatives(seed)
        axes = (UniformAxis("x", 0.0, 1.0, data.POINTS),)
        inputs, outputs = u, s[:, None]
    else:
        inputs, outputs = data.noise(work, seed)
        inputs = inputs[:, 0]
        names = ("x", "y")
        axes = tuple(
            FourierAxis(a, 0.0, 1.0, n) for a, n in zip(names, inputs.shape[1:], strict=False)
        )
    errors = np.zeros(len(inputs))
    return pk.Dataset(work, "a", ("u",), axes, axes, inputs, outputs, errors)


def field_of(work: str, samples: pk.Dataset, key: jax.Array) -> OperatorField:
    shape = tuple(axis.n for axis in samples.sensors)
    if work == "W5a":
        branch = pk.nn.Branch(width=40, depth=1, activation="relu")
        trunk = pk.nn.MLP(40, 1, "relu", frequency=0)
        nodes = tuple(axis.nodes for axis in samples.grid)
        snapshots = np.moveaxis(np.asarray(samples.outputs[:]), 1, -1)
        network = pk.nn.DeepONet(40, branch, trunk, bias=True).build(
            1, shape, nodes, snapshots, key=key
        )
        mapping = PointMap(network)
    else:
        architecture = pk.nn.FNO(data.WIDTH, data.WAVENUMBERS[work], data.LAYERS)
        network = architecture.build(1, 1, shape, ("periodic",) * len(shape), key=key)
        mapping = GridMap(network, 1, (0, 0))
    axes = samples.grid
    zeros = jnp.zeros((1, *shape))
    ends = ((False, False),) * len(axes)
    scale = jnp.ones((1, *(1 for _ in axes)))
    centre = jnp.array([0.0, 1.0])
    return OperatorField(
        mapping, zeros[0], centre, zeros, scale, "a", axes, samples.sensors, ends, (False,)
    )


def main() -> None:
    o = data.options(__doc__ or "")
    samples = pairs(o.work, o.seed)
    key = jax.random.key(o.seed)
    field = field_of(o.work, samples, key)
    objective = OperatorError(field, samples, samples, len(samples), RelativeL2(), key)
    laps = steps.Laps()
    stage = Adam(o.steps * (o.reps + 1), data.RATE)
    result = fit(
        objective,
        field.map,
        (stage,),
        key=key,
        record_every=o.steps,
        report=lambda *_: laps.look(),
    )
    count = sum(a.size for a in jax.tree.leaves(field.map) if hasattr(a, "size"))
    memory = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    line = {"peer": "pinnkit", "version": importlib.metadata.version("pinnkit"), "work": o.work}
    line |= steps.rates(laps.seen, o.steps, o.steps)
    line |= {"parameters": count, "loss_end": float(result.history["loss"][-1])}
    print(json.dumps(line | {"peak_rss_mb": memory}), flush=True)


if __name__ == "__main__":
    main()
