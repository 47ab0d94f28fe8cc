"""Steady flows against tabulated numbers: profiles of the cavity, forces on the cylinder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import pinnkit as pk
from pinnkit import precision
from pinnkit.report.forces import force

PLACES = np.linspace(0.1, 0.9, 9)
U = {
    100: "-.051894 -.092375 -.128702 -.156537 -.161252 -.126915 -.049579 .068365 .295986",
    400: "-.094475 -.181708 -.233584 -.196793 -.104045 -.005467 .087608 .168238 .236489",
    1000: "-.178814 -.276745 -.212857 -.127572 -.051909 .025914 .109402 .198563 .263735",
}
V = {
    100: ".094072 .133628 .136871 .109656 .050131 -.039851 -.138990 -.194759 -.147106",
    400: ".151312 .202733 .206881 .154786 .062956 -.041149 -.156384 -.292507 -.286196",
    1000: ".218145 .260843 .200139 .111246 .027648 -.056670 -.143280 -.242824 -.377940",
}
"""u(0.5, y) and v(x, 0.5) at `PLACES` for the lid 16 x^2 (1 - x)^2."""

FLOOR = {100: 1e-6, 400: 5e-6, 1000: 4e-5}

MEAN, DIAMETER = 0.2, 0.1
DRAG, LIFT, DROP = 5.57953523, 0.01061895, 0.11752017


@dataclasses.dataclass(frozen=True)
class Profiles:
    """The largest difference of the cavity's velocities from tabulated profiles."""

    reynolds: int

    @property
    def name(self) -> str:
        return "tabulated profiles, largest difference"

    def needs(self, folder: Path | None) -> str | None:
        return None

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        half = np.full_like(PLACES, 0.5)
        u = velocity(solution, np.stack([half, PLACES], axis=1))[:, 0]
        v = velocity(solution, np.stack([PLACES, half], axis=1))[:, 1]
        off = [
            float(np.max(np.abs(found - np.array([float(n) for n in table.split()]))))
            for found, table in ((u, U[self.reynolds]), (v, V[self.reynolds]))
        ]
        return f"u {off[0]:.1e}, v {off[1]:.1e}", FLOOR[self.reynolds]


def velocity(solution: pk.Solution, points: np.ndarray) -> np.ndarray:
    """u and v (N, 2), from their own fields or from a streamfunction psi."""
    if "psi" not in solution.fields:
        found = solution(x=points[:, 0], y=points[:, 1])
        return np.stack([found["u"], found["v"]], axis=1)
    with precision.scope(solution.precision):
        slope = jax.vmap(jax.jacfwd(lambda z: solution.evaluator(z[None, :])[0, 0]))
        slopes = np.asarray(slope(jnp.asarray(points)))
    return np.stack([slopes[:, 1], -slopes[:, 0]], axis=1)


@dataclasses.dataclass(frozen=True)
class VelocityFile:
    """Relative L2 error of the velocities at the points of a file of others."""

    path: str = "cavity/lid_driven_a4.dat"
    floor: float = 3e-4

    @property
    def name(self) -> str:
        return f"`{self.path}`, PINNacle"

    def needs(self, folder: Path | None) -> str | None:
        return None if folder is not None and (folder / self.path).is_file() else self.path

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        assert folder is not None
        table = np.loadtxt(folder / self.path, comments="%")
        found, theirs = velocity(solution, table[:, :2]), table[:, 2:4]
        u, v = np.linalg.norm(found - theirs, axis=0) / np.linalg.norm(theirs, axis=0)
        return f"u {u:.1e}, v {v:.1e}", self.floor


@dataclasses.dataclass(frozen=True)
class Cylinder:
    """Relative errors of drag, lift and pressure difference of the benchmark DFG 2D-1."""

    name: str = "Schäfer & Turek, converged"

    def needs(self, folder: Path | None) -> str | None:
        return None

    def __call__(self, solution: pk.Solution, folder: Path | None) -> tuple[str, float | None]:
        coefficients = 2.0 * force(solution, "cylinder", 1e-3) / (MEAN**2 * DIAMETER)
        p = solution(x=np.array([0.15, 0.25]), y=np.array([0.2, 0.2]))["p"]
        found = {"drag": coefficients[0] / DRAG, "lift": coefficients[1] / LIFT}
        found["pressure drop"] = (p[0] - p[1]) / DROP
        return ", ".join(f"{name} {abs(value - 1):.1e}" for name, value in found.items()), 1e-9
