"""One run of DeepXDE: Adam, then L-BFGS until the budget is spent, in float64.

The backend is that of DDE_BACKEND, PyTorch unless given. DeepXDE orders coordinates (x, t).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from common import Options, Watch, options, report

os.environ.setdefault("DDE_BACKEND", "pytorch")
warnings.filterwarnings("ignore")
with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
    import deepxde as dde
    import torch
    import torch._dynamo  # Adam would import it in its first step

BLOCK = 50
"""Iterations of L-BFGS between two looks at the clock."""

FACTOR = 1e6
"""Of the loss in L-BFGS: PyTorch's has absolute tolerances, at which small losses stall."""


class Settings(NamedTuple):
    """Hard: conditions hold by a transformation of the output; features: periodic inputs.

    Scale: a factor of the inputs; terms: sum of so many products of functions of one axis (0: one
    plain network), a network that DeepXDE lacks, written here. Redraw: iterations of L-BFGS
    after which points are drawn anew with a density of |residual| / mean + 1 (Wu, Zhu, Tan,
    Kartha and Lu, Comput. Methods Appl. Mech. Engrg. 403, 2023); 0: never.
    """

    width: int
    depth: int
    points: int
    adam: int
    rate: float = 1e-3
    scale: float = 1.0
    terms: int = 0
    hard: bool = True
    features: bool = False
    activation: str = "tanh"
    weight: float = 1.0
    memory: int = 100
    redraw: int = 0

    def words(self) -> str:
        conditions = "hard conditions" if self.hard else f"soft conditions, weight {self.weight:g}"
        inputs = ", periodic inputs" if self.features else ""
        inputs += f", inputs times {self.scale:g}" if self.scale != 1 else ""
        points = f", points redrawn every {self.redraw} iterations" if self.redraw else ""
        products = f"sum of {self.terms} products, factors of " if self.terms else ""
        return (
            f"{products}{self.depth} layers of {self.width}, {self.activation}{inputs}, "
            f"{conditions}, {self.points} Sobol points, Adam {self.adam} steps at {self.rate:g}, "
            f"L-BFGS with {self.memory} pairs, loss times {FACTOR:g}{points}"
        )


SETTINGS: dict[str, dict[str, Settings]] = {
    "burgers": {
        "hard": Settings(20, 3, 2500, 200),
        "soft": Settings(20, 3, 2500, 200, hard=False),
        "features": Settings(20, 3, 2500, 200, features=True),
        "redrawn": Settings(20, 3, 2500, 200, features=True, redraw=500),
        "redrawn 4000": Settings(20, 3, 4000, 100, features=True, redraw=1000),
    },
    "allen_cahn": {
        "weight 10": Settings(20, 3, 4000, 200, hard=False, features=True, weight=10),
        "weight 100": Settings(20, 3, 4000, 200, hard=False, features=True, weight=100),
        "hard": Settings(20, 3, 4000, 200, features=True),
        "redrawn": Settings(20, 3, 4000, 200, features=True, redraw=500),
    },
    "poisson": {
        "32 x 2": Settings(32, 2, 1000, 100),
        "20 x 3": Settings(20, 3, 1000, 100),
        "separable": Settings(20, 2, 1000, 100, terms=8),
    },
    "helmholtz": {
        "features": Settings(20, 3, 4000, 200, features=True),
        "sin": Settings(20, 3, 4000, 200, activation="sin", scale=6),
        "separable": Settings(20, 2, 2500, 100, scale=6, terms=8),
        "separable sin": Settings(20, 2, 2500, 100, activation="sin", scale=6, terms=8),
    },
}
BEST = {
    "burgers": "redrawn",
    "allen_cahn": "redrawn",
    "poisson": "20 x 3",
    "helmholtz": "separable sin",
}


def domain(problem: str) -> Any:
    if problem in ("burgers", "allen_cahn"):
        return dde.geometry.GeometryXTime(
            dde.geometry.Interval(-1, 1), dde.geometry.TimeDomain(0, 1)
        )
    low = 0 if problem == "poisson" else -1
    return dde.geometry.Rectangle([low, low], [1, 1])


def residual(problem: str) -> Callable[[Any, Any], Any]:
    """The equation, with u and its derivatives (n, 1) each."""

    def first(u: Any, z: Any, j: int) -> Any:
        return dde.grad.jacobian(u, z, i=0, j=j)

    def second(u: Any, z: Any, j: int) -> Any:
        return dde.grad.hessian(u, z, i=j, j=j)

    def burgers(z: Any, u: Any) -> Any:
        return first(u, z, 1) + u * first(u, z, 0) - 0.01 / np.pi * second(u, z, 0)

    def allen_cahn(z: Any, u: Any) -> Any:
        return first(u, z, 1) - 1e-4 * second(u, z, 0) - 5 * (u - u**3)

    def poisson(z: Any, u: Any) -> Any:
        source = 2 * np.pi**2 * torch.prod(torch.sin(np.pi * z), dim=1, keepdim=True)
        return -second(u, z, 0) - second(u, z, 1) - source

    def helmholtz(z: Any, u: Any) -> Any:
        exact = torch.prod(torch.sin(6 * np.pi * z), dim=1, keepdim=True)
        return second(u, z, 0) + second(u, z, 1) + u - (1 - 72 * np.pi**2) * exact

    found = {f.__name__: f for f in (burgers, allen_cahn, poisson, helmholtz)}
    return found[problem]


def initial(problem: str, x: Any, lib: Any) -> Any:
    return -lib.sin(np.pi * x) if problem == "burgers" else x**2 * lib.cos(np.pi * x)


def transform(problem: str) -> Callable[[Any, Any], Any]:
    """The output that satisfies all conditions."""

    def evolution(z: Any, u: Any) -> Any:
        x, t = z[:, :1], z[:, 1:]
        wall = 1 - x**2 if problem == "burgers" else 1.0
        return initial(problem, x, torch) + t * wall * u

    def box(z: Any, u: Any) -> Any:
        low = 0 if problem == "poisson" else -1
        return torch.prod((z - low) * (1 - z), dim=1, keepdim=True) * u

    return evolution if problem in ("burgers", "allen_cahn") else box


def features(problem: str) -> Callable[[Any], Any]:
    """Sine and cosine of pi times the places, and time."""

    def made(z: Any) -> Any:
        time = problem in ("burgers", "allen_cahn")
        places = np.pi * (z[:, :1] if time else z)
        parts = [torch.sin(places), torch.cos(places), *([z[:, 1:]] if time else [])]
        return torch.cat(parts, dim=1)

    return made


class Separable(dde.nn.NN):
    """u(x, y) = sum over r of f_r(x) g_r(y), where f and g are networks of one input each."""

    def __init__(self, sizes: list[int], activation: str) -> None:
        super().__init__()
        factors = [dde.nn.FNN(sizes, activation, "Glorot normal") for _ in range(2)]
        self.factors = torch.nn.ModuleList(factors)
        self.regularizer = None

    def forward(self, inputs: Any) -> Any:
        z = inputs if self._input_transform is None else self._input_transform(inputs)
        f, g = (factor(z[:, j : j + 1]) for j, factor in enumerate(self.factors))
        u = torch.sum(f * g, dim=1, keepdim=True)
        return u if self._output_transform is None else self._output_transform(inputs, u)


def soft(problem: str, geometry: Any) -> list[Any]:
    """Conditions of the two evolution problems as terms of the loss."""
    start = dde.icbc.IC(geometry, lambda z: initial(problem, z[:, :1], np), lambda _, on: on)
    if problem == "allen_cahn":  # periodic by its inputs
        return [start]
    return [dde.icbc.DirichletBC(geometry, lambda z: 0, lambda _, on: on), start]


def model(problem: str, chosen: Settings) -> Any:
    geometry = domain(problem)
    conditions = [] if chosen.hard else soft(problem, geometry)
    time = problem in ("burgers", "allen_cahn")
    counts = {"num_domain": chosen.points, "train_distribution": "Sobol", "num_test": 1}
    if time and not chosen.hard:
        counts |= {"num_initial": 160, "num_boundary": 80 if problem == "burgers" else 0}
    kind = dde.data.TimePDE if time else dde.data.PDE
    data = kind(geometry, residual(problem), conditions, **counts)
    inputs = (3 if time else 4) if chosen.features else 2
    hidden = [chosen.width] * chosen.depth
    if chosen.terms:
        net = Separable([1, *hidden, chosen.terms], chosen.activation)
    else:
        net = dde.nn.FNN([inputs, *hidden, 1], chosen.activation, "Glorot normal")
    if chosen.features:
        net.apply_feature_transform(features(problem))
    elif chosen.scale != 1:
        net.apply_feature_transform(lambda z: chosen.scale * z)
    if chosen.hard:
        net.apply_output_transform(transform(problem))
    return dde.Model(data, net)


class Look(dde.callbacks.Callback):
    """Keeps the weights at the moments, and stops the training when the budget is spent."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def on_batch_end(self) -> None:
        made = self.model
        if self.watch.look(lambda: weights(made)):
            made.stop_training = True


def weights(made: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in made.net.state_dict().items()}


def train(made: Any, chosen: Settings, watch: Watch) -> int:
    """Adam, then L-BFGS; anew with the weights found where it ends by itself. The steps taken."""
    terms = np.array([1.0] + [chosen.weight] * len(made.data.bcs))
    look = Look(watch)
    decay = ("cosine", chosen.adam, 1e-4)
    made.compile("adam", lr=chosen.rate, loss_weights=list(terms), decay=decay)
    made._test = lambda verbose: None  # the losses that it prints are not needed
    made.train(iterations=chosen.adam, callbacks=[look], verbose=0, display_every=10**9)
    most = chosen.redraw or 10**6
    dde.optimizers.set_LBFGS_options(chosen.memory, ftol=0, gtol=0, maxiter=most)
    dde.optimizers.LBFGS_options["iter_per_step"] = BLOCK
    dde.optimizers.LBFGS_options["fun_per_step"] = BLOCK * 5 // 4
    while not watch.spent:
        made.compile("L-BFGS", loss_weights=list(FACTOR * terms))
        made.train(callbacks=[look], verbose=0, display_every=10**9)
        if chosen.redraw and not watch.spent:
            redraw(made, chosen.points)
    return made.train_state.iteration


def redraw(made: Any, count: int) -> None:
    """Points of the equation by its residual, from ten times as many even ones."""
    even = made.data.geom.random_points(10 * count, random="Sobol")
    size = np.abs(made.predict(even, operator=made.data.pde)).ravel()
    density = size / np.mean(size) + 1
    chosen = np.random.choice(len(even), count, replace=False, p=density / density.sum())
    made.data.replace_with_anchors(even[chosen])


def run(o: Options) -> None:
    chosen = SETTINGS[o.problem][o.settings or BEST[o.problem]]
    torch.set_num_threads(1)
    dde.config.set_default_float("float64")
    with contextlib.redirect_stdout(io.StringIO()):
        watch = Watch(o.seconds)
        dde.config.set_random_seed(o.key)
        made = model(o.problem, chosen)
        steps = train(made, chosen, watch)
        spent = watch.stop()

    def evaluate(state: Any, points: np.ndarray) -> np.ndarray:
        made.net.load_state_dict(state)
        time = o.problem in ("burgers", "allen_cahn")
        return made.predict(points[:, ::-1].copy() if time else points)[:, 0]

    versions = [importlib.metadata.version("deepxde"), f"PyTorch {torch.__version__}"]
    report(
        o,
        watch,
        spent,
        evaluate,
        weights(made),
        package="deepxde",
        version=", ".join(versions),
        settings=chosen.words(),
        steps=steps,
    )


if __name__ == "__main__":
    run(options((__doc__ or "").split("\n")[0]))
