"""What several devices compute together and one computes alone, for `test_devices.py`.

python shared_work.py DEVICES OUT CASE...
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from sympy import pi, sin

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.data import Dataset
from pinnkit.derivatives import UniformAxis
from pinnkit.methods.constraint import ConstraintLayer, HardConstraint
from pinnkit.objective import Causal, TimeSlabs, Trial, residual_objective
from pinnkit.objective.sampling import RAD
from pinnkit.objective.weighting import Attention
from pinnkit.precision import scope
from pinnkit.training import SSBFGS, Adam, LevenbergMarquardt, fit

AXES = (UniformAxis("t", 0.0, 1.0, 12, 6), UniformAxis("x", 0.0, 1.0, 12, 4))


def family(cubic=1.0):
    """u_t = 0.05 u_xx - cubic u^3 from any initial state, zero at the walls."""
    t, x = pk.coordinates("t x")
    u, a = pk.field("u", t, x), pk.input_function("a", x)
    heat = pk.Equation(u.diff(t) - 0.05 * u.diff(x, 2) + cubic * u**3, name="heat")
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    return pk.Problem("heat", box, (heat, pk.Initial(u, a), pk.Dirichlet(u, 0)))


def trained(stages, points, **options):
    """History and parameters of a network whose conditions are all soft."""
    problem = family().member(a=sin(pi * pk.coordinates("t x")[1]))
    system = compile_problem(problem)
    objective = residual_objective(system, system.conditions, points=points, seed=3, **options)
    network = pk.nn.MLP(8, 2).build(2, 1, key=jax.random.key(1))
    found = fit(objective, Trial(network, {}), stages, key=jax.random.key(2), record_every=5)
    history = {k: v for k, v in found.history.items() if k != "wall_s"}
    return history | {"parameters": ravel_pytree(found.params)[0]}


def first_order():
    """Ninety points in chunks, drawn by the residual, causal weights and attention, 15 steps."""
    slabs = TimeSlabs(0.0, 1.0, Causal(epsilons=(1.0,), stop=False))
    options = {"sampling": RAD(share=0.5), "weighting": Attention(), "max_memory": 3e4}
    return trained((Adam(15, 1e-3, resample_every=5),), 90, slabs=slabs, **options)


def curvature():
    """Few steps, as these amplify rounding."""
    return trained((LevenbergMarquardt(3), SSBFGS(steps=3)), 96)


def operator():
    """A network trained on data and equations together."""
    rng, count = np.random.default_rng(0), 30
    t, x = (axis.nodes for axis in AXES)
    size = rng.normal(size=count)
    inputs = size[:, None] * np.sin(np.pi * x)
    outputs = inputs[:, None, None, :] * np.exp(-0.5 * t)[:, None]
    data = Dataset("waves", "a", ("u",), AXES[1:], AXES, inputs, outputs, np.zeros(count), {})
    method = pk.Operator(
        pk.nn.FNO(4, 2, 1),
        data=data,
        physics=pk.Physics(),
        batch=8,
        stages=(Adam(10, 1e-3),),
    )
    solution = pk.solve(family(), method, quiet=True)
    return {k: v for k, v in solution.history.items() if k != "wall_s"}


def layer(experts, **options):
    """Fields of experts, and their derivatives; `shrink` keeps these from amplifying rounding."""
    given = HardConstraint(basis=5, experts=experts, shrink=1e-2, **options)
    made = ConstraintLayer.of(family(), AXES, given).shared_out()
    rng = np.random.default_rng(1)
    t, x = np.meshgrid(*(axis.nodes for axis in AXES), indexing="ij")
    weights = rng.normal(size=(5, 3))
    basis = jnp.tanh(jnp.einsum("jk,ktx->jtx", weights, np.stack([t, x, 1 + 0 * x])))[:, None]
    function, offset = jnp.asarray(rng.normal(size=12)), jnp.zeros((1, 12, 12))
    other = jnp.asarray(rng.normal(size=(1, 12, 12)))

    def value(function, basis):
        found = made(function, offset, basis)
        return jnp.sum(other * found), found

    slopes, fields = jax.jit(jax.grad(value, argnums=(0, 1), has_aux=True))(function, basis)
    return {"fields": fields, "in function": slopes[0], "in basis": slopes[1]}


CASES = {
    "first order": first_order,
    "curvature": curvature,
    "operator": operator,
    "experts": lambda: layer((2, 3)),
    "experts that touch faces": lambda: layer((4, 2), shared=False),
    "joined experts": lambda: layer((2, 3), seam=0.5),
}

if __name__ == "__main__":
    assert jax.device_count() == int(sys.argv[1])
    with scope("float64"):
        found = {
            f"{case}: {name}": np.asarray(value)
            for case in sys.argv[3:]
            for name, value in CASES[case]().items()
        }
    np.savez(sys.argv[2], **found)
