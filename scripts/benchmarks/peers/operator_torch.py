"""Rate of training steps of DeepXDE's DeepONet (W5a) and neuraloperator's FNO (W5b, W5c)."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import os
import resource

os.environ.setdefault("DDE_BACKEND", "pytorch")

import operator_data as data  # noqa: E402
import steps  # noqa: E402
import torch  # noqa: E402


def deeponet(o: data.Options):
    """A function that trains by so many steps, the package's name, and the parameters."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import deepxde as dde
    u, x, s = data.antiderivatives(o.seed)
    with contextlib.redirect_stdout(io.StringIO()):
        pairs = dde.data.TripleCartesianProd((u, x), s, (u[:10], x), s[:10])
        sizes = ([data.POINTS, 40, 40], [1, 40, 40])
        network = dde.nn.DeepONetCartesianProd(*sizes, "relu", "Glorot normal")
        model = dde.Model(pairs, network)
        model.compile("adam", lr=data.RATE)

    def train(count: int) -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            history, _ = model.train(iterations=count, display_every=10**9)
        return float(history.loss_train[-1][0])

    return train, "deepxde", sum(p.numel() for p in network.parameters())


def fno(o: data.Options):
    """The same for neuraloperator, with its defaults beside width, layers and wavenumbers."""
    from neuralop.models import FNO

    inputs, outputs = map(torch.tensor, data.noise(o.work, o.seed))
    dim = inputs.ndim - 2
    network = FNO(
        n_modes={1: (16,), 2: (12, 12)}[dim],
        in_channels=1,
        out_channels=1,
        hidden_channels=data.WIDTH,
        n_layers=data.LAYERS,
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=data.RATE)

    def train(count: int) -> float:
        loss = torch.zeros(())
        for _ in range(count):
            optimiser.zero_grad(set_to_none=True)
            loss = torch.nn.functional.mse_loss(network(inputs), outputs)
            loss.backward()
            optimiser.step()
        return float(loss.detach())

    return train, "neuraloperator", sum(p.numel() for p in network.parameters())


def main() -> None:
    o = data.options(__doc__ or "")
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    train, package, parameters = (deeponet if o.work == "W5a" else fno)(o)
    laps = steps.Laps()
    loss = 0.0
    for _ in range(o.reps + 1):
        loss = train(o.steps)
        laps.look()
    memory = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    line = {"peer": package, "version": importlib.metadata.version(package), "work": o.work}
    line |= steps.rates(laps.seen, o.steps, o.steps)
    line |= {"parameters": parameters, "loss_end": loss, "peak_rss_mb": memory}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
