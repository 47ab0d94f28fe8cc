"""One of several processes that train a network, for `test_hosts.py`.

python two_hosts.py CHECKPOINT STEPS [ADDRESS PROCESSES PROCESS]
"""

import functools
import sys
from pathlib import Path

import typer
from sympy import Eq, pi, sin


def heat():
    import pinnkit as pk

    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    diffusion = pk.Equation(Eq(u.diff(t), 0.1 * u.diff(x, 2)), name="heat")
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    return pk.Problem("heat", box, (diffusion, pk.Initial(u, sin(pi * x)), pk.Dirichlet(u, 0)))


def train(checkpoint, steps):
    """Save twice a second, and tell how far it came."""
    import jax

    import pinnkit as pk
    from pinnkit import devices
    from pinnkit.training import Adam, loop

    loop.SAVE_SECONDS = 0.5
    method = pk.PINN(network=pk.nn.MLP(6, 1), stages=(Adam(steps),), points=50, windows=1)
    found = pk.solve(heat(), method, checkpoint=checkpoint, quiet=True)
    if devices.leads():
        print(f"devices {jax.device_count()}, {found.status.reason}")
        print(f"steps {int(found.history['step'][-1])}, first {int(found.history['step'][0])}")


if __name__ == "__main__":
    from pinnkit.cli.program import tidy
    from pinnkit.cli.supervise import supervise
    from pinnkit.hosts import Place

    path, steps, *place = sys.argv[1:]
    task = functools.partial(train, Path(path), int(steps))
    try:
        if place:
            here = Place(place[0], int(place[1]), int(place[2]), heartbeat=5.0)
            tidy(lambda: supervise(task, here, Path(path)))()
        else:
            tidy(task)()
    except typer.Exit as end:
        sys.exit(end.exit_code)
