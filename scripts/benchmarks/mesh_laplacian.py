"""What the Laplacian of the mesh is worth: emulators of Burgers in the plane with and without it.

    python scripts/benchmarks/mesh_laplacian.py [laplacian] [emulators]

Data: initial fields of Zeng et al. (ICLR 2025, arXiv:2410.01337), scenario A, with random waves of
numbers -6 to 6 in both directions, divided by their maximum; solved by ETDRK4 on 128 x 128 Fourier
modes, interpolated to 503 scattered nodes of the periodic square; 200 steps of 0.002. Ten
trajectories to learn from, one beside them to choose the best parameters on, ten for the test. Both
emulators have the same messages, seeds, batches and number of iterations. Errors are those of
roll-outs from the first state over all 200 steps: the median over the test trajectories of relative
L2 errors and of mean squares, and then the median over seeds.

The second table: relative error of the Laplacian itself on random functions, from the mesh alone
and with the correction trained on others of their kind.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.data import Trajectories
from pinnkit.geometry.graph import PointGraph
from pinnkit.methods.emulator import MeshEmulator
from pinnkit.methods.recorded import recorded
from pinnkit.nn.graph import CorrectedLaplacian, Edges, MessagePassing
from pinnkit.nn.initial import built

ROOT = Path(__file__).resolve().parents[2]
NODES, GRID, STEPS, END = 503, 128, 200, 0.4
LAPLACIAN_FUNCTIONS, LAPLACIAN_BATCH = 500, 8


def scattered(count: int, seed: int = 0) -> np.ndarray:
    """Points of the periodic unit square, each of many the farthest from those before it."""
    tried = np.random.default_rng(seed).uniform(size=(20 * count, 2))
    chosen, distance = [0], np.full(len(tried), np.inf)
    while len(chosen) < count:
        gap = np.abs(tried - tried[chosen[-1]])
        distance = np.minimum(distance, np.sum(np.minimum(gap, 1 - gap) ** 2, axis=1))
        chosen.append(int(np.argmax(distance)))
    return tried[chosen]


def waves(count: int, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers (2 most + 1,) and coefficients (count, 2, n, n) of random real functions."""
    k = np.arange(-most, most + 1)
    random = np.random.default_rng(seed)
    parts = random.normal(size=(2, count, 2, len(k), len(k)))
    return k, parts[0] - 1j * parts[1]


def initial_states(count: int, seed: int, grid: int = GRID, most: int = 6) -> np.ndarray:
    """(count, 2, grid, grid) fields whose largest value is one."""
    k, coefficients = waves(count, most, seed)
    basis = np.exp(2j * np.pi * np.outer(k, np.arange(grid) / grid))
    fields = np.einsum("scij,ix,jy->scxy", coefficients, basis, basis, optimize=True).real
    return fields / np.abs(fields).max(axis=(2, 3), keepdims=True)


def trajectories(
    count: int, nodes: int = NODES, grid: int = GRID, steps: int = STEPS, end: float = END
) -> tuple[pk.Problem, Trajectories]:
    """The problem and trajectories of it."""
    problem = pk.load(ROOT / "problems/burgers_plane.py", end=end)
    system = compile_problem(problem)
    return problem, recorded(system, initial_states(count, 1, grid), scattered(nodes), steps, 1)


def rolled(
    problem: pk.Problem, train: Trajectories, test: Trajectories, key: int, **options
) -> tuple[float, float]:
    """Median relative L2 error and mean square of roll-outs from the test states."""
    solution = pk.solve(problem, MeshEmulator(train, **options), key=key, quiet=True)
    stepper = solution.evaluator.stepper  # type: ignore[attr-defined]
    roll = eqx.filter_jit(type(stepper).roll)
    pairs = []
    for truth in test.values:
        found = np.asarray(roll(stepper, jnp.asarray(truth[0], jnp.float32), len(truth) - 1))
        gap = np.nan_to_num((found - truth)[1:] ** 2, nan=np.inf)
        size = np.sum(truth[1:] ** 2, axis=(1, 2))
        pairs.append((np.mean(np.sqrt(np.sum(gap, axis=(1, 2)) / size)), np.mean(gap)))
    relative, square = np.median(pairs, axis=0)
    return float(relative), float(square)


def laplacian_errors(
    iterations: int, key: int = 0, nodes: int = NODES, most: int = 6
) -> tuple[float, float]:
    """Relative L2 errors on 500 held-out random functions: of the mesh, and corrected."""
    points = scattered(nodes)
    graph = PointGraph.delaunay(points, (1.0, 1.0))
    edges = Edges.of(graph)

    def functions(count: int, seed: int) -> tuple[jax.Array, jax.Array]:
        k, c = waves(count, most, seed)
        x, y = (np.exp(2j * np.pi * np.outer(k, points[:, i])) for i in (0, 1))
        size = -((2 * np.pi) ** 2) * (k[:, None] ** 2 + k[None] ** 2)
        found = [np.einsum("scij,in,jn->snc", d, x, y, optimize=True).real for d in (c, c * size)]
        scale = np.abs(found[0]).max(axis=(1, 2), keepdims=True)
        u, v = (jnp.asarray(f / scale, jnp.float32) for f in found)
        return u, v

    network = CorrectedLaplacian(built(MessagePassing(24, 3), 2, 2, key=jax.random.key(key)))
    train, test = functions(2000, 1), functions(LAPLACIAN_FUNCTIONS, 2)
    size = float(jnp.sqrt(jnp.mean(train[1] ** 2)))

    def loss(network, u, truth):
        gaps = jax.vmap(lambda u: network(edges, u))(u) - truth
        return jnp.mean(gaps**2) / size**2

    optimiser = optax.adam(optax.cosine_onecycle_schedule(iterations, 5e-3, 0.2, 10, 1e3))

    @eqx.filter_jit
    def step(network, state, rows):
        slopes = eqx.filter_grad(loss)(network, train[0][rows], train[1][rows])
        updates, state = optimiser.update(slopes, state)
        return eqx.apply_updates(network, updates), state

    @eqx.filter_jit
    def error(network):
        found = jax.lax.map(lambda u: network(edges, u), test[0])
        return jnp.sqrt(jnp.sum((found - test[1]) ** 2) / jnp.sum(test[1] ** 2))

    before, state = float(error(network)), optimiser.init(eqx.filter(network, eqx.is_array))
    random = np.random.default_rng(key)
    for _ in range(iterations):
        rows = jnp.asarray(random.integers(0, len(train[0]), LAPLACIAN_BATCH))
        network, state = step(network, state, rows)
    return before, float(error(network))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("parts", nargs="*", default=["laplacian", "emulators"])
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    begun = time.perf_counter()
    told = lambda *words: print(f"{time.perf_counter() - begun:6.0f} s ", *words, flush=True)  # noqa: E731
    if "laplacian" in given.parts:
        plain, learned = laplacian_errors(600)
        told(f"Laplacian: relative error {plain:.3f} of the mesh, {learned:.3f} corrected")
    if "emulators" not in given.parts:
        return
    problem, data = trajectories(21)
    train, test = data.split(11, 10)
    told(f"data: {data!r}")
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for seed in range(given.seeds):
        for laplacian, pairs in found.items():
            options = {"laplacian": laplacian, "steps": given.iterations}
            pairs.append(rolled(problem, train, test, seed, **options))
            told(f"laplacian={laplacian!s:5} seed {seed}: {in_words(pairs[-1])}")
    for laplacian, pairs in found.items():
        told(f"laplacian={laplacian!s:5} medians: {in_words(np.median(pairs, axis=0))}")


def in_words(pair: np.ndarray | tuple[float, float]) -> str:
    return f"relative L2 {pair[0]:.3f}, mean square {pair[1]:.2e}"


if __name__ == "__main__":
    main()
