"""The family that a system declares, or that is made around it."""

from __future__ import annotations

from pinnkit import precision
from pinnkit.compile import System
from pinnkit.errors import MethodError
from pinnkit.methods.elliptic_family import EllipticFamily
from pinnkit.methods.evolution import space_axes
from pinnkit.methods.evolution_family import EvolutionFamily
from pinnkit.methods.faces import not_a_box
from pinnkit.methods.families import Family
from pinnkit.spec.condition import Kind

DEFAULT_RESOLUTION = {0: 128, 1: 128, 2: 32, 3: 16}


def family_of(
    system: System,
    resolution: int | None = None,
    frames: int = 32,
    spread: float = 0.1,
    after: float | None = None,
    stride: int | None = None,
    steps: int | None = None,
) -> Family:
    """The family of a system; its solutions need a `precision.scope("float64")`.

    - `resolution`: intervals of the grid along each space axis (even), or along time where there
      is no space; None for 128, 32 or 16 in one, two or three dimensions.
    - `frames`, `after`: stored intervals in time, and when they begin; None for the initial time.
    - `spread`: size of the perturbations of an ordinary problem, relative to what it declares.
    - `stride`, `steps`: points of the solver for each interval of the grid, and steps for each
      frame; None for as many as pilot members need.

    Raises MethodError with the reason if there is none.
    """
    reason = refusal(system)
    if reason is not None:
        raise MethodError(reason)
    resolution = resolution or DEFAULT_RESOLUTION[len(space_axes(system))]
    with precision.scope("float64"):
        if system.traits.steady:
            return EllipticFamily(system, resolution, spread, stride)
        return EvolutionFamily(system, resolution, frames, spread, after, stride, steps)


def refusal(system: System) -> str | None:
    """Why a system is no family, in words, or None."""
    if system.traits.eigen:
        return "it has an unknown eigenvalue"
    kinds = {residual.kind for residual in system.residuals}
    if Kind.OBSERVED in kinds or (Kind.INTEGRAL in kinds and system.constrained is None):
        return "it has observed values or integral conditions"
    if not space_axes(system) and not system.inputs:
        return "it has no space axis, over which its data could vary"
    if len(system.inputs) > 1:
        return f"it has several input functions ({', '.join(system.inputs)}) instead of one"
    return not_a_box(system)
