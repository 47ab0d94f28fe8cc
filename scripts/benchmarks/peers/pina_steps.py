"""Rate of training steps of PINA on W2: one line of JSON, as run_pinnkit.py prints it."""

from __future__ import annotations

import importlib.metadata
import logging
import warnings
from typing import Any

import lightning
import numpy as np
import steps
import torch
from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation import Equation
from pina.model import FeedForward
from pina.operator import fast_grad
from pina.optim import TorchOptimizer
from pina.problem import SpatialProblem, TimeDependentProblem
from pina.solver import PhysicsInformedSingleModelSolver
from steps import Laps, Options, Points

AXES = ["t", "x"]


def allen_cahn(where: Any, u: Any) -> Any:
    """The residual by PINA's unchecked gradient, taken of u once and of u_x once."""
    first = fast_grad(u, where, ["u"], AXES)
    second = fast_grad(first.extract(["dudx"]), where, ["dudx"], ["x"])
    reaction = steps.REACTION * (u**3 - u)
    return first.extract(["dudt"]) - steps.DIFFUSION * second + reaction


def start(where: Any, u: Any) -> Any:
    x = where.extract(["x"])
    return u - x**2 * torch.cos(torch.pi * x)


def posed(at: Points) -> Any:
    """The problem at the given points."""

    def labelled(where: np.ndarray) -> LabelTensor:
        return LabelTensor(torch.tensor(where, dtype=torch.get_default_dtype()), AXES)

    class Posed(SpatialProblem, TimeDependentProblem):
        output_variables = ["u"]
        spatial_domain = CartesianDomain({"x": [-1, 1]})
        temporal_domain = CartesianDomain({"t": [0, 1]})
        conditions = {
            "interior": Condition(input=labelled(at.interior), equation=Equation(allen_cahn)),
            "start": Condition(input=labelled(at.start), equation=Equation(start)),
        }

    return Posed()


def layers(network: FeedForward, names: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """PyTorch keeps weights as (m_out, m_in); the first one's columns are in PINA's order."""
    linear = [part for part in network.model if isinstance(part, torch.nn.Linear)]
    found = [(part.weight.detach().numpy().T, part.bias.detach().numpy()) for part in linear]
    order = [names.index(axis) for axis in AXES]
    return [(w[order] if i == 0 else w.copy(), b.copy()) for i, (w, b) in enumerate(found)]


class Look(lightning.pytorch.Callback):
    """The time after steps 1, 1 + K, 1 + 2K, ..., and the loss of every step."""

    def __init__(self, laps: Laps, every: int) -> None:
        self.laps, self.every, self.losses = laps, every, []

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if len(self.losses) % self.every == 0:
            self.laps.look()
        self.losses.append(float(outputs["loss"]))


def run(o: Options) -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.set_default_dtype(getattr(torch, o.dtype))
    torch.manual_seed(o.seed)
    at, laps = steps.points(o.n, o.seed), Laps()
    problem, (depth, width) = posed(at), o.sizes
    network = FeedForward(2, 1, layers=[width] * depth, func=torch.nn.Tanh)
    first, look = layers(network, problem.input_variables), Look(laps, o.steps)
    trainer = Trainer(
        PhysicsInformedSingleModelSolver(
            problem, network, TorchOptimizer(torch.optim.Adam, lr=o.lr)
        ),
        max_epochs=o.steps * o.reps + 1,  # the batch is full, so that an epoch is a step
        accelerator="cpu",
        callbacks=[look],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.train()
    versions = {"version": importlib.metadata.version("pina-mathlab")}
    versions |= {"backend_version": torch.__version__}
    steps.report(o, laps, first, at, look.losses, peer="pina", **versions)


if __name__ == "__main__":
    run(steps.options((__doc__ or "").strip()))
