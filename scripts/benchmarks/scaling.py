"""How work, memory and exchange grow with experts, points and devices (docs/scaling.md).

    python scripts/benchmarks/scaling.py
    python scripts/benchmarks/scaling.py experts
    XLA_FLAGS=--xla_force_host_platform_device_count=4 python scripts/benchmarks/scaling.py exchange

`experts`: time of one step of Levenberg and Marquardt's method and bytes of the compiled program,
for 1 to 16 experts on one core and for 8 to 64 functions in four of them, beside what the model
says. `exchange`: what the compiled programs pass between four emulated devices. These share the
cores of one machine, so that their times mean nothing; the programs are those of four real ones.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sympy import pi, sin

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.derivatives import UniformAxis
from pinnkit.methods.constraint import ConstraintLayer, HardConstraint, OwnLevenberg
from pinnkit.objective import Trial, residual_objective
from pinnkit.precision import scope

FRAMES, NODES = 16, 32
"""Nodes of a part in time and in space."""
DEVICES = 4
WIDTHS = {"f64": 8, "f32": 4, "s64": 8, "s32": 4, "pred": 1}
KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


def family() -> pk.Problem:
    """u_t = 0.05 u_xx - u^3 from any initial state, zero at the walls."""
    t, x = pk.coordinates("t x")
    u, a = pk.field("u", t, x), pk.input_function("a", x)
    heat = pk.Equation(u.diff(t) - 0.05 * u.diff(x, 2) + u**3, name="heat")
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    return pk.Problem("heat", box, (heat, pk.Initial(u, a), pk.Dirichlet(u, 0)))


def layer(
    experts: int, basis: int, shared: bool = True, seam: float = 0.0
) -> tuple[ConstraintLayer, tuple[Any, ...]]:
    """A layer with so many parts in time, and (function, offset, basis) for it."""
    axes = (UniformAxis("t", 0.0, 1.0, FRAMES * experts, 6), UniformAxis("x", 0.0, 1.0, NODES, 4))
    solver = OwnLevenberg(steps=5, tolerance=0.0)
    options = HardConstraint(basis, (experts, 1), shared, seam, shrink=1e-4, solver=solver)
    rng = np.random.default_rng(0)
    t, x = np.meshgrid(*(axis.nodes for axis in axes), indexing="ij")
    waves = np.einsum("jk,ktx->jtx", 3 * rng.normal(size=(basis, 3)), np.stack([t, x, 1 + 0 * x]))
    given = np.sin(np.pi * axes[1].nodes), np.zeros((1, *t.shape)), np.tanh(waves)[:, None]
    return ConstraintLayer.of(family(), axes, options), tuple(map(jnp.asarray, given))


def measured(call: Callable[[], Any], repeats: int = 7) -> float:
    """Least CPU seconds of a call."""
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        jax.block_until_ready(call())
        found.append(time.process_time() - begin)
    return min(found)


def model(rows: int, columns: int) -> dict[str, float]:
    """Doubles and operations of one expert in one step.

    Householder's QR of [J r; shrink] of rows + columns by columns + 1, and of the 2 N by N + 1 of
    the damped triangle: 2 m n^2 - 2/3 n^3 operations each.
    """
    m, n = rows + columns, columns
    qr = lambda m, n: 2 * m * n**2 - 2 / 3 * n**3  # noqa: E731
    return {"bytes": 8.0 * m * (n + 1), "operations": qr(m, n) + qr(2 * n, n)}


def experts() -> None:
    """Tables of one core."""
    cases = [(k, 16, shared, 0.0) for shared in (True, False) for k in (1, 2, 4, 8, 16)]
    cases += [(4, n, False, 0.0) for n in (8, 32, 64)] + [(k, 16, False, 1.0) for k in (4, 8, 16)]
    print("| experts | functions | kind | rows | ms a step | and expert | GFLOP/s | ", end="")
    print("[J r], KB | temporaries, KB |\n|---|---|---|---|---|---|---|---|---|")
    for count, basis, shared, seam in cases:
        made, given = layer(count, basis, shared, seam)
        compiled = jax.jit(made.fit).lower(*given).compile()
        steps = int(compiled(*given).steps)
        rows = made.rows(*given).jacobian(made.start(*given[1:]))[0].shape[1]
        seconds = measured(lambda c=compiled, g=given: c(*g)) / steps
        said = model(rows, basis)
        rate = f"{count * said['operations'] / seconds / 1e9:.1f}" if not seam else "-"
        kind = "joined" if seam else ("all faces" if shared else "own faces")
        memory: Any = compiled.memory_analysis()
        sizes = f"{count * said['bytes'] / 1e3:.0f} | {memory.temp_size_in_bytes / 1e3:.0f}"
        times = f"{1e3 * seconds:.2f} | {1e3 * seconds / count:.3f}"
        print(f"| {count} | {basis} | {kind} | {rows} | {times} | {rate} | {sizes} |", flush=True)


def exchanged(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Number and bytes of the collectives of a compiled program, by kind: once, and in loops."""
    bodies: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        head = re.match(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$", line)
        name = head[1] if head else name
        bodies.setdefault(name, []).append(line)
    called = r"(?:body|condition|calls|to_apply|branch_computations)=\{?%?([\w.\-]+)"
    calls = {n: re.findall(called, "\n".join(lines)) for n, lines in bodies.items()}
    looped = set(re.findall(r"(?:body|condition)=%?([\w.\-]+)", text))
    while more := {c for n in looped for c in calls.get(n, ())} - looped:
        looped |= more
    once: dict[str, Any] = {}
    often: dict[str, Any] = {}
    for n, lines in bodies.items():
        for kind, size in filter(None, map(collective, lines)):
            found = often if n in looped else once
            number, total = found.get(kind, (0, 0))
            found[kind] = number + 1, total + size
    return once, often


def collective(line: str) -> tuple[str, int] | None:
    """Kind and bytes of the results, if the line of a program is a collective."""
    match = re.search(rf"= (.*?) ({'|'.join(KINDS)})(?:-start)?\(", line)
    if match is None:
        return None
    shapes = re.findall(r"(\w+)\[([\d,]*)\]", match[1])
    sizes = [
        WIDTHS[kind] * np.prod([int(n) for n in s.split(",") if n] or [1]) for kind, s in shapes
    ]
    return match[2], int(sum(sizes))


def told(name: str, function: Callable[..., Any], given: tuple[Any, ...], expected: str) -> None:
    """A row of the table of exchange."""
    compiled = jax.jit(function).lower(*given).compile()
    memory: Any = compiled.memory_analysis()
    words = [
        ", ".join(f"{n} {kind} of {b} B" for kind, (n, b) in found.items()) or "nothing"
        for found in exchanged(compiled.as_text() or "")
    ]
    temporary = memory.temp_size_in_bytes / 1e3
    print(f"| {name} | {expected} | {words[0]} | {words[1]} | {temporary:.0f} |", flush=True)


def network(points: int, width: int) -> tuple[Callable[..., Any], tuple[Any, ...], int]:
    """Gradient of a network's loss, its arguments, and the number P of parameters."""
    system = compile_problem(family().member(a=sin(pi * pk.coordinates("t x")[1])))
    objective = residual_objective(system, system.conditions, points=points)
    made = pk.nn.MLP(width, 2).build(2, 1, key=jax.random.key(0))
    trial = Trial(made, {})
    batch = objective.validation(jax.random.key(1), trial)
    arrays, static = jax.tree.flatten(trial)
    trained = [i for i, a in enumerate(arrays) if isinstance(a, jax.Array)]

    def loss(weights: list[Any]) -> Any:
        whole = list(arrays)
        for i, w in zip(trained, weights, strict=True):
            whole[i] = w
        return objective.loss(jax.tree.unflatten(static, whole), batch)[0]

    weights = [arrays[i] for i in trained]
    return jax.value_and_grad(loss), (weights,), sum(w.size for w in weights)


def exchange() -> None:
    """Table of four emulated devices."""
    if jax.device_count() != DEVICES:
        raise SystemExit(f"{jax.device_count()} devices instead of {DEVICES}; set XLA_FLAGS")
    print("| program | by the model | found, once | found, in every step | temporaries, KB |")
    print("|---|---|---|---|---|")
    for width in (16, 32):
        gradient, given, count = network(400, width)
        told(
            f"loss and gradient, P = {count}, three groups of points",
            gradient,
            given,
            f"3 x 8 P = {24 * count} B, and a few sums",
        )
    n = 16
    for count, seam in ((16, 0.0), (32, 0.0), (16, 1.0), (32, 1.0)):
        made, given = layer(count, n, False, seam)
        joined = "joined by seams" if seam else "on their own"
        triangles = 8 * count * ((n + 1) ** 2 + 2 * n + 1)
        said = f"in every step 8 K ((n + 1)^2 + 2 n + 1) = {triangles} B" if seam else "nothing"
        told(f"fit of {count} experts {joined}", made.shared_out().fit, given, said)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["experts", "exchange"])
    parts = parser.parse_args().parts
    if parts != ["exchange"] and "exchange" in parts:
        flags = (
            f"--xla_force_host_platform_device_count={DEVICES} {os.environ.get('XLA_FLAGS', '')}"
        )
        environment = {**os.environ, "XLA_FLAGS": flags}
        subprocess.run([sys.executable, __file__, "exchange"], check=True, env=environment)
        parts.remove("exchange")
    with scope("float64"):
        for part in parts:
            {"experts": experts, "exchange": exchange}[part]()


if __name__ == "__main__":
    main()
