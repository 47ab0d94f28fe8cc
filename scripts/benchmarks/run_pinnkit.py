"""Rate of training steps of a physics-informed network: one JSON line per run.

    python scripts/benchmarks/run_pinnkit.py --work W1 --net 4x64 --n 2540

W1 Burgers, W2 Allen-Cahn, W3 Kuramoto-Sivashinsky, W4 the lid-driven cavity at Re 100. A tanh
network, soft conditions, fixed points, Adam on the full batch: the equations come from their
SymPy declaration through the compiler, the objective and the training loop, as in `solve`. The
figure to compare on a shared machine is `steps_per_cpu_s`. `--method jvp` takes the derivatives by
nested forward mode instead of channels, all else equal.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jax.flatten_util import ravel_pytree

import pinnkit as pk
from pinnkit import precision
from pinnkit.compile import compile_problem
from pinnkit.compile.system import Residual, System
from pinnkit.compile.terms import DerivativePlan, Term
from pinnkit.derivatives.autodiff import term_values
from pinnkit.derivatives.channels import Table
from pinnkit.nn import MLP, ModifiedMLP, PirateNet
from pinnkit.nn.initial import built
from pinnkit.objective import ResidualObjective, Trial
from pinnkit.objective.blocks import Block, Field, Places
from pinnkit.objective.sampling import Even
from pinnkit.objective.weighting import Fixed
from pinnkit.spec.condition import Kind
from pinnkit.training import LBFGS, Adam, fit
from pinnkit.training.dispatch import initial
from pinnkit.training.program import Program

t, x, y = pk.coordinates("t x y")
Points = dict[str, np.ndarray]
"""Condition's name -> points (N, d); one entry "interior" for all equations."""


@dataclasses.dataclass(frozen=True)
class Work:
    """A problem, its points, and the number of channels that count as useful work."""

    problem: pk.Problem
    points: Callable[[int, np.random.Generator], Points]
    channels: int


def burgers() -> Work:
    u, nu = pk.field("u", t, x), pk.parameter("nu", 0.01 / np.pi)
    start = pk.Initial(u, -sp.sin(sp.pi * x), name="start")
    ends = pk.Dirichlet(u, 0, on=("x-", "x+"), name="ends")
    equation = pk.Equation(sp.Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)), name="burgers")
    box = pk.Box(t=(0, 1), x=(-1, 1), time="t")

    def points(n: int, rng: np.random.Generator) -> Points:
        sides = np.where(np.arange(80) % 2, 1.0, -1.0)
        return {
            "interior": np.c_[rng.random(n), 2 * rng.random(n) - 1],
            "ends": np.c_[rng.random(80), sides],
            "start": np.c_[np.zeros(160), 2 * rng.random(160) - 1],
        }

    return Work(pk.Problem(name="W1", domain=box, conditions=[equation, start, ends]), points, 4)


def allen_cahn() -> Work:
    u = pk.field("u", t, x)
    reaction = 5 * u**3 - 5 * u
    equation = sp.Eq(u.diff(t) - sp.Float(1e-4) * u.diff(x, 2) + reaction, 0)
    start = pk.Initial(u, x**2 * sp.cos(sp.pi * x), name="start")
    conditions = [pk.Equation(equation, name="allen-cahn"), start, pk.Periodic(x)]
    box = pk.Box(t=(0, 1), x=(-1, 1), time="t")

    def points(n: int, rng: np.random.Generator) -> Points:
        return {
            "interior": np.c_[rng.random(n), 2 * rng.random(n) - 1],
            "start": np.c_[np.zeros(512), np.linspace(-1, 1, 512)],
        }

    return Work(pk.Problem(name="W2", domain=box, conditions=conditions), points, 4)


def kuramoto_sivashinsky() -> Work:
    u = pk.field("u", t, x)
    equation = sp.Eq(u.diff(t) + u * u.diff(x) + u.diff(x, 2) + u.diff(x, 4), 0)
    start = pk.Initial(u, sp.cos(sp.pi * x), name="start")
    conditions = [pk.Equation(equation, name="kuramoto-sivashinsky"), start, pk.Periodic(x)]
    box = pk.Box(t=(0, 1), x=(-1, 1), time="t")

    def points(n: int, rng: np.random.Generator) -> Points:
        return {"interior": np.c_[rng.random(n), 2 * rng.random(n) - 1]}

    return Work(pk.Problem(name="W3", domain=box, conditions=conditions), points, 6)


def cavity() -> Work:
    u, v, p = (pk.field(name, x, y) for name in "uvp")

    def momentum(w: Any, slope: Any) -> sp.Eq:
        return sp.Eq(u * w.diff(x) + v * w.diff(y) + slope, (w.diff(x, 2) + w.diff(y, 2)) / 100)

    conditions = [
        pk.Equation(momentum(u, p.diff(x)), name="momentum x"),
        pk.Equation(momentum(v, p.diff(y)), name="momentum y"),
        pk.Equation(u.diff(x) + v.diff(y), name="continuity"),
        pk.Dirichlet(u, 1, on="y+", name="lid", priority=1),
        pk.Dirichlet(u, 0, on=("x-", "x+", "y-"), name="walls"),
        pk.Dirichlet(v, 0, on=("x-", "x+", "y-", "y+"), name="no flow through"),
        pk.Integral(p, 0, name="level"),
    ]

    def points(n: int, rng: np.random.Generator) -> Points:
        s, zero, one = rng.random((4, 100)), np.zeros(100), np.ones(100)
        lid = np.c_[s[0], one]
        walls = np.concatenate([np.c_[s[1], zero], np.c_[zero, s[2]], np.c_[one, s[3]]])
        around = np.concatenate([lid, walls])
        return {
            "interior": rng.random((n, 2)),
            "lid": lid,
            "walls": walls,
            "no flow through": around,
        }

    problem = pk.Problem(name="W4", domain=pk.Box(x=(0, 1), y=(0, 1)), conditions=conditions)
    return Work(problem, points, 5)


WORKS = {"W1": burgers, "W2": allen_cahn, "W3": kuramoto_sivashinsky, "W4": cavity}


NETWORKS = {"MLP": MLP, "ModifiedMLP": ModifiedMLP, "PirateNet": PirateNet}


class Nested(Block):
    """A block whose derivatives come from nested `jvp`, point by point."""

    def table(self, u: Field, params: dict[str, Any], places: Places) -> Table:
        fields, axes = self.system.fields, self.system.axes
        wanted = self.scheme.needed
        plan = DerivativePlan.of(Term(f, orders, axes) for f in fields for orders in wanted)
        found = jax.vmap(lambda point: term_values(u, fields, plan, point))(places.points)
        table: Table = {
            orders: jnp.stack([found[Term(f, orders, axes)] for f in fields], axis=-1)
            for orders in wanted
        }
        operators = enumerate(self.scheme.numbers(params))
        return table | {i: sum(c * table[a] for a, c in parts.items()) for i, parts in operators}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", default="W1", choices=sorted(WORKS))
    parser.add_argument("--net", default="4x64", help="hidden layers (or blocks) x width")
    parser.add_argument("--network", default="MLP", choices=sorted(NETWORKS))
    parser.add_argument("--n", type=int, default=2540, help="points for the equations")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--steps", type=int, default=200, help="steps per timed repeat")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--train", type=int, default=0, help="W1: Adam steps before the error")
    parser.add_argument("--lbfgs", type=int, default=0, help="then so many L-BFGS steps")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", default="", choices=("", "channels", "jvp"))
    parser.add_argument("--chunk", type=int, default=0, choices=(0,), help="chosen automatically")
    return parser.parse_args()


def objective(system: System, points: Points, kind: type[Block] = Block) -> ResidualObjective:
    """The loss at fixed points, every residual in its own units."""

    def block(residuals: tuple[Residual, ...], where: np.ndarray) -> Block:
        places = Places(jnp.asarray(where, jnp.result_type(float)))
        return kind(places, residuals, (1.0,) * len(residuals), system, len(where))

    found = {r.name: r for r in system.conditions if r.kind is not Kind.INTEGRAL}
    return ResidualObjective(
        equations=(block(system.equations, points["interior"]),),
        conditions=tuple(block((found[n],), p) for n, p in points.items() if n != "interior"),
        integrals=(),
        parameters=tuple(system.parameters.items()),
        slabs=None,
        time=None,
        sampling=Even(),
        weighting=Fixed(conditions=1.0),
    )


def rates(run: Callable[[int], None], steps: int, reps: int) -> dict[str, Any]:
    """Median rates of `run(steps)` against the wall and against the time of this process."""
    spans = []
    for _ in range(reps):
        before = time.perf_counter(), time.process_time()
        run(steps)
        spans.append((time.perf_counter() - before[0], time.process_time() - before[1]))
    wall, own = steps / np.median(np.array(spans), axis=0)
    each = [round(steps / span, 2) for span, _ in spans]
    return {"steps_per_s": round(wall, 3), "steps_per_cpu_s": round(own, 3), "runs": each}


def timed(loss: ResidualObjective, trial: Trial, o: argparse.Namespace) -> dict[str, Any]:
    """Compile the loop and time it."""
    x0, program = ravel_pytree(trial)[0], Program(loss, trial)
    stage = Adam(steps=2**30, learning_rate=o.lr, decay=1.0, resample_every=None)
    key, begin = jax.random.key(o.seed), time.perf_counter()
    carry = initial(loss, stage, program.unpack, x0, key)
    state = [program.advance(loss, stage, carry, key, jnp.asarray(0, jnp.int32))]
    jax.block_until_ready(state[0])
    compile_s = time.perf_counter() - begin

    def run(steps: int) -> None:
        limit = jnp.asarray(int(state[0].step) + steps, jnp.int32)
        state[0] = program.advance(loss, stage, state[0], key, limit)
        jax.block_until_ready(state[0])

    run(o.steps)
    found = rates(run, o.steps, o.reps)
    return found | {"loss_end": float(state[0].state.loss), "compile_s": round(compile_s, 2)}


def trained(loss: ResidualObjective, trial: Trial, o: argparse.Namespace) -> dict[str, Any]:
    """W1: relative L2 error against the Cole-Hopf solution after Adam, then after L-BFGS."""
    ts, xs = np.linspace(0, 1, 101), np.linspace(-1, 1, 256)
    grid = np.stack(np.meshgrid(ts, xs, indexing="ij"), axis=-1).reshape(-1, 2)
    truth = burgers_solution(grid[:, 0], grid[:, 1])
    adam = Adam(steps=o.train, learning_rate=o.lr, decay=1.0, resample_every=None)
    stages = [("", adam)]
    if o.lbfgs:
        stages.append(("_lbfgs", LBFGS(steps=o.lbfgs, history=100, resample_every=None)))
    found: dict[str, Any] = {}
    for suffix, stage in stages:
        result = fit(loss, trial, (stage,), key=jax.random.key(o.seed), record_every=500)
        trial = result.params
        values = jax.vmap(trial.function)(jnp.asarray(grid, jnp.result_type(float)))[:, 0]
        error = np.linalg.norm(np.asarray(values) - truth) / np.linalg.norm(truth)
        found[f"train{suffix}_s"] = round(result.stats["wall_s"], 1)
        found[f"loss{suffix}"], found[f"rel_l2{suffix}"] = result.score, float(error)
    return found


def burgers_solution(times: np.ndarray, places: np.ndarray, nodes: int = 100) -> np.ndarray:
    """u(t, x) (N,) of W1 by the Cole-Hopf formula with Gauss-Hermite quadrature.

    u = -sum w sin(pi z) f(z) / sum w f(z), z = x - sqrt(4 nu t) q, f = exp(-cos(pi z)/(2 pi nu)).
    """
    nu = 0.01 / np.pi
    q, w = np.polynomial.hermite.hermgauss(nodes)
    z = places[:, None] - np.sqrt(4 * nu * times)[:, None] * q
    exponent = -np.cos(np.pi * z) / (2 * np.pi * nu)
    weight = w * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(np.sin(np.pi * z) * weight).sum(axis=1) / weight.sum(axis=1)


def measured(o: argparse.Namespace) -> dict[str, Any]:
    """All figures of one run."""
    work = WORKS[o.work]()
    system = compile_problem(work.problem)
    depth, width = (int(part) for part in o.net.split("x"))
    sizes = len(system.axes), len(system.fields)
    network = built(NETWORKS[o.network](width, depth), *sizes, key=jax.random.key(o.seed))
    trial = Trial(network, {})
    places = work.points(o.n, np.random.default_rng(o.seed))
    loss = objective(system, places, Nested if o.method == "jvp" else Block)
    found = timed(loss, trial, o)
    useful = 6 * o.n * work.channels * (depth - 1) * width**2
    found["gflops"] = round(useful * found["steps_per_cpu_s"] / 1e9, 2)
    found["derivatives"] = "nested jvp" if o.method == "jvp" else loss.derivatives(trial)
    if o.train and o.work == "W1":
        found |= trained(loss, trial, o)
    return found


def main() -> None:
    begin, o = time.perf_counter(), options()
    net = o.net if o.network == "MLP" else f"{o.net} {o.network}"
    line: dict[str, Any] = {"peer": "pinnkit", "work": o.work, "net": net, "n": o.n}
    line |= {"dtype": o.dtype, "method": o.method or "channels", "chunk": None}
    with precision.scope(o.dtype):
        line |= measured(o)
    line["jax"] = jax.__version__
    line["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    line["wall_s"] = round(time.perf_counter() - begin, 1)
    line.setdefault("rel_l2", None)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
