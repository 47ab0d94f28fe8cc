"""Layers that satisfy the equations: without data on four problems; what experts and solvers cost.

    python scripts/benchmarks/hard_constraints.py sorption [--kinds soft,hard,experts] [--key 0]
    python scripts/benchmarks/hard_constraints.py heat|waves|vorticity [--kinds ...] [--key 0]
    python scripts/benchmarks/hard_constraints.py floor
    python scripts/benchmarks/hard_constraints.py solvers
    python scripts/benchmarks/hard_constraints.py parts [--plot parts.png]
    python scripts/benchmarks/hard_constraints.py seams

`sorption`: `problems/diffusion_sorption_family.py` on 64 instants and 65 points, one network, three
ways: its output is the field ("soft"), a basis for one solve ("hard"), or one for four experts, a
part of the time each, with seams ("experts") or on parts that overlap ("overlapping"). Trained on
the residuals alone; errors are relative L2 errors against the classical solver, from initial values
that training never saw.

`floor`: errors, to the same classical solver, of the values at all nodes that minimise the same
residuals: no network on this grid comes closer but by chance.

`heat`, `waves`, `vorticity`: the same for `nonlinear_heat_family`, `helmholtz_sources_family` and
`decaying_vorticity_family` (`CASES`).

`solvers`: the same coefficients by each solver of the layer, for diffusion and sorption and for
linear diffusion, with and without experts: processor's seconds of the solve and of a training step.

`parts`: processor's seconds of a training step and of inference of a sample, for 1 to 16 experts of
the same grid that share 32 coefficients between them. `seams`: jumps between experts with and
without interface rows, and what these cost, in one trained network. Seconds are the processor's.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import pinnkit as pk
from pinnkit import precision
from pinnkit.compile import compile_problem
from pinnkit.derivatives import UniformAxis
from pinnkit.methods.constraint import ConstraintLayer
from pinnkit.methods.grid_residuals import GridResiduals
from pinnkit.nn.initial import built

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
FUNCTIONS, EXPERTS, COEFFICIENTS = 16, 4, 32
KINDS: dict[str, Any] = {
    "soft": pk.SoftConstraint(),
    "hard": pk.HardConstraint(basis=FUNCTIONS),
    "experts": pk.HardConstraint(basis=FUNCTIONS, experts=(EXPERTS, 1), seam=30.0, shared=False),
    "overlapping": pk.HardConstraint(basis=FUNCTIONS, experts=(EXPERTS, 1), overlap=0.25),
}


SOLVERS: tuple[Any, ...] = (pk.OwnLevenberg(), pk.OptimistixLevenberg(), pk.JaxoptLevenberg())


@dataclasses.dataclass(frozen=True)
class Case:
    """A family, a network for it with three constraints, and how it is trained."""

    family: str
    network: Any
    kinds: dict[str, Any]
    steps: int
    options: dict[str, Any]

    def operator(self, kind: str, steps: int | None = None) -> pk.Operator:
        """Trained on the residuals alone."""
        return pk.Operator(
            self.network,
            constraint=self.kinds[kind],
            physics=pk.Physics(data=0),
            steps=steps or self.steps,
            **self.options,
        )


CASES = {
    "heat": Case(
        "nonlinear_heat_family",
        pk.nn.FNO(16, (8, 16), 3, lift=16, projection=32),
        KINDS,
        300,
        {"samples": 100, "resolution": 64, "frames": 31, "batch": 2, "learning_rate": 6e-3},
    ),
    "waves": Case(
        "helmholtz_sources_family",
        pk.nn.FNO(24, 24, 3, lift=24, projection=32),
        KINDS | {"experts": pk.HardConstraint(basis=8, experts=(3,), seam=1.0)},
        2000,
        {"samples": 200, "resolution": 128, "batch": 4, "learning_rate": 3e-3},
    ),
    "vorticity": Case(
        "decaying_vorticity_family",
        pk.nn.FNO(12, (4, 8, 8), 3, lift=12, projection=24),
        {
            "soft": pk.SoftConstraint(),
            "hard": pk.HardConstraint(basis=16),
            "experts": pk.HardConstraint(basis=16, experts=(1, 2, 2), seam=1.0),
        },
        400,
        {"samples": 50, "resolution": 32, "frames": 9, "batch": 1, "learning_rate": 4e-3},
    ),
}


def network() -> pk.nn.FNO:
    """That of all kinds."""
    return pk.nn.FNO(16, (12, 16), 3, lift=16, projection=32)


def operator(constraint: Any, steps: int) -> pk.Operator:
    """Trained on the residuals alone."""
    return pk.Operator(
        network(),
        constraint=constraint,
        physics=pk.Physics(data=0),
        samples=100,
        resolution=64,
        frames=63,
        steps=steps,
        batch=2,
        learning_rate=6e-3,
    )


def sorption(given: argparse.Namespace) -> None:
    for kind in given.kinds.split(","):
        trained(
            given, "diffusion_sorption_family", kind, operator(KINDS[kind], given.steps or 1000)
        )


def case(given: argparse.Namespace) -> None:
    found = CASES[given.case]
    for kind in given.kinds.split(","):
        trained(given, found.family, kind, found.operator(kind, given.steps))


def trained(given: argparse.Namespace, family: str, kind: str, method: pk.Operator) -> None:
    """Train, and print what came of it."""
    begun = time.process_time()
    problem = pk.load(PROBLEMS / f"{family}.py")
    solution = pk.solve(problem, method, key=given.key, quiet=True)
    errors = (solution.error_estimate or {}).items()
    stats = solution.stats
    print(
        f"{kind}, key {given.key}: {', '.join(f'{name} {error:.2%}' for name, error in errors)} "
        f"after {method.steps} steps, "
        f"{time.process_time() - begun:.0f} s, jump {stats.get('seam jump', 0):.1e}, "
        f"{stats['parameters']} parameters; {solution.status}",
        flush=True,
    )
    if given.out:
        solution.save(given.out / f"{given.case}_{kind}_{given.key}.h5")


def seconds(function: Any, *arguments: Any, repeats: int = 5) -> float:
    """Processor's seconds of one call, the least of several."""
    jax.block_until_ready(function(*arguments))
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        jax.block_until_ready(function(*arguments))
        found.append(time.process_time() - begun)
    return min(found)


def solvers(given: argparse.Namespace) -> None:
    """Seconds a sample of each solver, and how far its fields are from those of an exact solve."""
    heat = pk.load(PROBLEMS / "nonlinear_heat_family.py")
    linear = heat.replace(parameters={**heat.parameters, "beta": 0.0})
    sorbing = pk.load(PROBLEMS / "diffusion_sorption_family.py")
    functions = jnp.asarray(np.random.default_rng(0).uniform(0, 0.2, (4, 1))) * jnp.ones((1, 65))
    for problem in (sorbing, linear):
        for label in ("hard", "experts"):
            options = dataclasses.replace(KINDS[label], solver=pk.OwnLevenberg(100, 1e-15))
            truth = None
            for solver in (options.solver, *SOLVERS):
                layer, made = layered(problem, dataclasses.replace(options, solver=solver))
                known = jax.lax.map(lambda f, net=made: (f, *spread(net, f)), functions)
                forward = eqx.filter_jit(lambda k, own=layer: jax.lax.map(lambda a: own(*a), k))
                found = forward(known)
                if truth is None:
                    truth = found
                    continue
                gap = float(jnp.linalg.norm(found - truth) / jnp.linalg.norm(truth))
                each = seconds(forward, known) / len(functions), cost(layer, made, functions)[0]
                print(
                    f"{problem.name}, {label}, {type(solver).__name__}: "
                    f"solve {each[0]:.4f} s, step {each[1]:.4f} s a sample, off by {gap:.1e}",
                    flush=True,
                )


def layers(counts: tuple[int, ...]) -> list[tuple[int, ConstraintLayer, Any]]:
    """For each number of experts the layer, and a network of as many functions as an expert has."""
    problem = pk.load(PROBLEMS / "diffusion_sorption_family.py")
    found = []
    for count in counts:
        options = pk.HardConstraint(basis=COEFFICIENTS // count, experts=(count, 1))
        found.append((count, *layered(problem, options)))
    return found


def layered(problem: pk.Problem, options: pk.HardConstraint) -> tuple[ConstraintLayer, Any]:
    """A layer on 64 instants and 65 points, and a network of its functions."""
    grid = (UniformAxis("t", *problem.domain.bounds["t"], 64, 6), UniformAxis("x", 0.0, 1.0, 65))
    shape, kinds = (64, 65), ("free", "free")
    made = built(network(), 1, options.basis, shape, kinds, key=jax.random.key(0))
    return ConstraintLayer.of(problem, grid, options), made


def spread(made: Any, function: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Offset (1, 64, 65) and basis (N, 1, 64, 65) for one input function."""
    whole = jnp.broadcast_to(function[None], (64, 65))
    return jnp.ones((1, 64, 65)), made(whole[None])[:, None]


def solved(layer: ConstraintLayer, made: Any, function: jax.Array) -> jax.Array:
    """Fields (c, *grid) of one input function."""
    return layer(function, *spread(made, function))


def cost(layer: ConstraintLayer, made: Any, functions: jax.Array) -> tuple[float, float]:
    """Seconds for each sample of a training step and of inference."""

    def inference(made: Any) -> jax.Array:
        return jax.lax.map(lambda f: solved(layer, made, f), functions)

    def loss(made: Any) -> jax.Array:
        fields = jax.vmap(lambda f: solved(layer, made, f))(functions)
        found = jax.vmap(layer.equations)(functions, fields)
        return sum((jnp.mean(r**2) for r in found.values()), jnp.zeros(()))

    step = eqx.filter_jit(eqx.filter_grad(loss))
    one, two = (seconds(f, made) / len(functions) for f in (step, eqx.filter_jit(inference)))
    return one, two


def parts(given: argparse.Namespace) -> None:
    functions = jnp.asarray(np.random.default_rng(0).uniform(0, 0.2, (4, 1))) * jnp.ones((1, 65))
    rows = []
    for count, layer, made in layers((1, 2, 4, 8, 16)):
        rows.append((count, *cost(layer, made, functions)))
        words = "{} experts: step {:.4f} s, inference {:.4f} s a sample".format(*rows[-1])
        print(words, flush=True)
    if given.plot:
        drawn(np.array(rows), given.plot)


def drawn(rows: np.ndarray, path: Path) -> None:
    """Seconds of a sample over the number of experts."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for column, label in ((1, "training step"), (2, "inference")):
        axes.loglog(rows[:, 0], rows[:, column], "o-", base=2, label=label)
    axes.set_yscale("log", base=10)
    axes.set_xlabel(f"experts, {COEFFICIENTS} coefficients between them")
    axes.set_ylabel("seconds of a core for each sample")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def seams(given: argparse.Namespace) -> None:
    solution = pk.Solution.load(given.solution)
    field: Any = solution.evaluator
    functions = jnp.asarray(np.linspace(0.01, 0.19, 8))[:, None] * jnp.ones((1, 65))
    plain = dataclasses.replace(field.layer.options, seam=0.0)
    for label, options in (("without", plain), ("with", field.layer.options)):
        layer = dataclasses.replace(field.layer, options=options)
        own = dataclasses.replace(field, layer=layer)
        jumps = eqx.filter_jit(lambda f, own=own: jax.lax.map(own.jump, f))
        fields = eqx.filter_jit(lambda f, own=own: jax.lax.map(own.on_grid, f))
        print(
            f"{label} seams: jump {float(jnp.mean(jumps(functions))):.2e}, "
            f"{seconds(fields, functions) / len(functions):.4f} s a sample",
            flush=True,
        )


def floor(given: argparse.Namespace) -> None:
    """Errors of the grid itself: residuals minimised over the values at all nodes."""
    problem = pk.load(PROBLEMS / "diffusion_sorption_family.py")
    data = pk.dataset(problem, 10, resolution=64, frames=63, key=given.key)
    equations = GridResiduals.of(compile_problem(problem), data.grid, data.sensors)
    inputs, outputs = (jnp.asarray(a) for a in data.arrays())
    free = np.zeros(outputs.shape[2:], bool)
    free[1:, 1:] = True  # the first instant and the inlet are known

    def residual(values: jax.Array, function: jax.Array, field: jax.Array) -> jax.Array:
        found = equations(function, field.at[0, free].set(values))
        return jnp.concatenate([r / np.sqrt(r.size) for r in found.values()])

    slopes = jax.jit(jax.jacfwd(residual))
    residual = jax.jit(residual)
    errors = []
    for function, field in zip(inputs, outputs, strict=True):
        values = field[0, free]
        for _ in range(given.steps or 6):
            values = _gauss_newton(residual, slopes, values, function, field)
        wrong = np.asarray(values - field[0, free])
        errors.append(float(np.linalg.norm(wrong) / np.linalg.norm(field[0, 1:])))
        print(f"u = {float(function[0]):.3f} at first: {errors[-1]:.2%}", flush=True)
    print(f"mean {np.mean(errors):.2%}, median {np.median(errors):.2%}")


def _gauss_newton(residual: Any, slopes: Any, values: jax.Array, *given: jax.Array) -> jax.Array:
    """One step, halved until the sum of squares falls."""
    now, matrix = np.asarray(residual(values, *given)), np.asarray(slopes(values, *given))
    normal = matrix.T @ matrix + 1e-14 * np.eye(values.size)
    step = np.linalg.solve(normal, matrix.T @ now)
    for halvings in range(10):
        trial = values - step / 2**halvings
        if np.sum(np.asarray(residual(trial, *given)) ** 2) < np.sum(now**2):
            return trial
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("case", choices=("sorption", *CASES, "floor", "solvers", "parts", "seams"))
    parser.add_argument("--kinds", default="soft,hard,experts")
    parser.add_argument("--steps", type=int, help="of training; each case has its own")
    parser.add_argument("--key", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--solution", type=Path, help="a saved run with experts, for `seams`")
    given = parser.parse_args()
    with precision.scope("float64"):
        others = {"sorption": sorption, "floor": floor, "solvers": solvers}
        others |= {"parts": parts, "seams": seams}
        others.get(given.case, case)(given)


if __name__ == "__main__":
    main()
