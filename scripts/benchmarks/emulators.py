"""Emulators: errors of one step, valid times, measurements on few points, staggered networks.

    python scripts/benchmarks/emulators.py ks --data DIR
    python scripts/benchmarks/emulators.py noda --data DIR
    python scripts/benchmarks/emulators.py stagger --data DIR

Trajectories are generated once (`pk.dataset`, keys 0 for training and 1 for the test) and kept in
DIR; everything else belongs to `--key`. Every line of figures is printed as JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from sympy import pi

import pinnkit as pk
from pinnkit import precision
from pinnkit.compile import compile_problem
from pinnkit.methods.emulator.noda import twin_errors
from pinnkit.methods.emulator.objective import Shelf
from pinnkit.methods.emulator.stepper import roll
from pinnkit.methods.emulator.trajectories import layout, trajectories
from pinnkit.methods.evolution_family import EvolutionFamily
from pinnkit.methods.family_of import family_of
from pinnkit.methods.marching import Level
from pinnkit.nn import FNO, DyMixOp, NeuralStagger
from pinnkit.nn.initial import single

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
LYAPUNOV = 0.088
"""Largest exponent of Kuramoto-Sivashinsky on long boxes, for which 1/11 is usual."""
REPEATS, FRAMES = 5, 100
LONGER = 4
"""Steps of four small networks in the time of one step of a plain one, rounded down."""


CHAOS: dict[str, Any] = {"frames": 200, "after": 50, "stride": 2, "steps": 4}
"""Points and steps that statistics of the attractor need; single trajectories agree with no other
choice up to the end."""


def chaos(folder: Path, length: Any, resolution: int, samples: int) -> tuple[Any, ...]:
    """Kuramoto-Sivashinsky on its attractor: problem, training set and test set, dt = 0.5."""
    problem = pk.load(PROBLEMS / "ks_family.py", end=150, length=length)
    sets = []
    for key, count in ((0, samples), (1, 40)):
        out = folder / f"ks_{resolution}_{key}.h5"
        data = pk.dataset(problem, count, resolution=resolution, key=key, out=out, **CHAOS)
        sets.append(data)
    return problem, *sets


def flow(folder: Path, samples: int) -> tuple[Any, ...]:
    """Vorticity of the stirred flow, nu = 1e-3, 64 x 64, up to t = 20 in unit steps.

    Roll-outs begin from what the solver resolves of the initial state.
    """
    problem = pk.load(PROBLEMS / "navier_stokes_family.py")
    sets = [
        pk.dataset(
            problem,
            n,
            resolution=64,
            frames=20,
            stride=1,
            steps=20,
            key=key,
            out=folder / f"ns_64_{key}.h5",
        )
        for key, n in ((0, samples), (1, 16))
    ]
    found = [(data, data.arrays()[1]) for data in sets]
    return problem, *(
        dataclasses.replace(d, inputs=u[:, d.fields.index("w"), 0], outputs=u) for d, u in found
    )


def tell(**figures: Any) -> None:
    """One line of figures."""
    plain = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps(plain), flush=True)


def solved(problem: Any, method: Any, key: int) -> tuple[Any, float]:
    """A solution, and the processor's seconds for it, which other work on the machine does not
    change as much as it does those of the clock."""
    begin = time.process_time()
    solution = pk.solve(problem, method, key=key, quiet=True)
    return solution, time.process_time() - begin


def ks(options: argparse.Namespace) -> None:
    """One-step error and valid time of two architectures after equally many steps."""
    problem, train, test = chaos(options.data, 32 * pi, 128, options.samples or 500)
    for name, architecture in (
        ("FNO", FNO(32, 24, 4)),
        ("DyMixOp", DyMixOp(32, 24, 4, anchored=False)),
    ):
        method = pk.Emulator(architecture, train, steps=options.steps or 2000)
        solution, seconds = solved(problem, method, options.key)
        valid = solution.compare(test).valid_time(lyapunov=LYAPUNOV).loc["u"]
        tell(
            case="ks",
            architecture=name,
            parameters=solution.stats["parameters"],
            steps=method.steps,
            key=options.key,
            one_step=solution.stats["one-step error"],
            valid_time=float(valid["valid_time"]),
            lyapunov_times=float(valid["lyapunov_times"]),
            frame_ms=1e3 * frame_seconds(solution.evaluator),
            cpu_s=seconds,
        )
    classical = classical_seconds(problem, resolution=128, **CHAOS)
    tell(case="ks", architecture="classical solver, float64", frame_ms=1e3 * classical)


def noda(options: argparse.Namespace) -> None:
    """Median errors over 200 steps with 5 % of the nodes measured at 20 dB, and without."""
    cases = {
        64: (22, FNO(24, 16, 3), FNO(24, 16, 3)),
        128: (32 * pi, FNO(32, 24, 4), FNO(32, 24, 3)),
    }
    for resolution in options.nodes:
        length, *networks = cases[resolution]
        problem, train, test = chaos(options.data, length, resolution, options.samples or 500)
        shelf = Shelf.of(*trajectories(test, layout(test, "t")))
        for fixed in options.fixed:
            observations = pk.Observations(0.05, 20.0, fixed=bool(fixed))
            emulator = pk.Emulator(networks[0], train, steps=options.steps or 2000)
            method = pk.NODA(emulator, networks[1], observations, steps=tuple(options.correction))
            solution, seconds = solved(problem, method, options.key)
            found = twin_errors(solution.evaluator, shelf, observations, jax.random.key(1))
            for word, errors in zip(("assimilated", "alone"), found, strict=True):
                medians = np.median(errors, axis=0)
                tell(
                    case="noda",
                    nodes=resolution,
                    fixed=bool(fixed),
                    forecast=word,
                    steps=[emulator.steps, *method.steps],
                    key=options.key,
                    **{f"step_{n}": float(medians[n]) for n in (50, 100, 150, 200)},
                    cpu_s=seconds,
                )


def frame_seconds(field: Any) -> float:
    """The processor's seconds for one frame of a roll-out, in single precision."""
    propagator = single(field.propagator)
    start = jnp.asarray(field.state(field.start), jnp.float32)
    return median(eqx.filter_jit(lambda p, u: roll(p, u, FRAMES)), propagator, start) / FRAMES


def classical_seconds(problem: Any, **options: Any) -> float:
    """The same of the solver that made the data, for one member, without its error estimate."""
    with precision.scope("float64"):
        family = family_of(compile_problem(problem), **options)
        assert isinstance(family, EvolutionFamily)
        level = Level(options["stride"], options["steps"])
        _, states = family.march.run(level, range(1), 0)
        known = level, states
        return median(lambda: family.march.run(level, range(1), 0, known)[0]) / options["frames"]


def part_seconds(field: Any) -> float:
    """The processor's seconds for the network of one sub-grid."""
    network = single(field.propagator.networks)
    shape = [axis.n // s for axis, s in zip(field.space, network.factors, strict=True)]
    forward = eqx.filter_jit(lambda n, u: n(u))
    return median(forward, network.part(0), jnp.ones((1, *shape), jnp.float32))


def median(function: Any, *given: Any) -> float:
    """Median of the processor's seconds for some calls, after a first one."""
    jax.block_until_ready(function(*given))
    found = []
    for _ in range(REPEATS):
        begin = time.process_time()
        jax.block_until_ready(function(*given))
        found.append(time.process_time() - begin)
    return float(np.median(found))


def stagger(options: argparse.Namespace) -> None:
    """Errors and times for a frame of a plain network, and of four small ones after as long."""
    problem, train, test = flow(options.data, options.samples or 120)
    steps = options.steps or 800
    small = FNO(16, 8, 2, lift=16, projection=32, anchored=True)
    for name, architecture, count, rate in (
        ("FNO, width 32", FNO(32, 12, 4, anchored=True), steps, 2e-3),
        ("NeuralStagger, width 16", NeuralStagger(small, 2), LONGER * steps, 3e-3),
    ):
        method = pk.Emulator(architecture, train, steps=count, batch=8, learning_rate=rate)
        solution, seconds = solved(problem, method, options.key)
        table = solution.compare(test).table
        staggered = isinstance(architecture, NeuralStagger)
        tell(
            case="stagger",
            architecture=name,
            parameters=solution.stats["parameters"],
            steps=method.steps,
            key=options.key,
            one_step=solution.stats["one-step error"],
            roll_out=float(table.loc["w", "rel_l2"]),
            frame_ms=1e3 * frame_seconds(solution.evaluator),
            part_ms=1e3 * part_seconds(solution.evaluator) if staggered else None,
            cpu_s=seconds,
        )
    classical = classical_seconds(problem, resolution=64, frames=20, stride=1, steps=20)
    tell(case="stagger", architecture="classical solver, float64", frame_ms=1e3 * classical)


def main() -> None:
    """Run one case, or all."""
    cases = {"ks": ks, "noda": noda, "stagger": stagger}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=(*cases, "all"))
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of trajectories")
    parser.add_argument("--steps", type=int, help="of the emulators' training")
    parser.add_argument("--samples", type=int, help="trajectories to train on")
    parser.add_argument("--nodes", type=int, nargs="+", choices=(64, 128), default=(64, 128))
    parser.add_argument(
        "--fixed", type=int, nargs="+", choices=(0, 1), default=(0, 1), help="sensors that stay"
    )
    parser.add_argument(
        "--correction", type=int, nargs=2, default=(400, 100), help="steps of its two phases"
    )
    parser.add_argument("--key", type=int, default=0)
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    for name, case in cases.items():
        if options.case in (name, "all"):
            case(options)


if __name__ == "__main__":
    main()
