"""The residual objective of a compiled system."""

from collections.abc import Sequence

from pinnkit.compile.system import Residual, System
from pinnkit.errors import OptionError
from pinnkit.geometry import Box
from pinnkit.geometry.sampling import child_seed
from pinnkit.objective.blocks import Block, block, integral_block, observed_block
from pinnkit.objective.causal import TimeSlabs
from pinnkit.objective.grids import GridBlock
from pinnkit.objective.pairing import stepping
from pinnkit.objective.pseudo_time import PseudoTime
from pinnkit.objective.residuals import MAX_MEMORY, ResidualObjective
from pinnkit.objective.sampling import RAD, Grid, Sampling
from pinnkit.objective.weighting import Fixed, Weighting
from pinnkit.spec.condition import Kind


def residual_objective(
    system: System,
    soft: Sequence[Residual],
    *,
    points: int,
    slabs: TimeSlabs | None = None,
    sampling: Sampling | None = None,
    weighting: Weighting | None = None,
    pseudo_time: PseudoTime | None = None,
    quadrature: int = 16,
    max_memory: float = MAX_MEMORY,
    seed: int = 0,
) -> ResidualObjective:
    """Objective for a system of which the residuals `soft` are not enforced by the ansatz.

    `points` are drawn for the equations in every batch, a quarter as many for each group of soft
    conditions. The defaults are `RAD()`, `Fixed()` and no pseudo-time.
    """
    made = _blocks(system, soft, points, seed)
    conditions = [b for (equation, _), b in made.items() if not equation]
    conditions += [observed_block(system, r) for r in soft if r.kind is Kind.OBSERVED]
    equations = [b for (equation, _), b in made.items() if equation]
    if isinstance(sampling, Grid):
        equations = [_on_grid(system, b, sampling) for b in equations]
    names = [part.names for part in equations]
    return ResidualObjective(
        equations=tuple(equations),
        conditions=tuple(conditions),
        integrals=tuple(
            integral_block(system, r, quadrature) for r in soft if r.kind is Kind.INTEGRAL
        ),
        parameters=tuple(system.parameters.items()),
        slabs=slabs,
        time=None if system.time is None else system.axes.index(system.time),
        sampling=sampling or RAD(),
        weighting=weighting or Fixed(),
        max_memory=max_memory,
        stepping=None if pseudo_time is None else stepping(system, names, pseudo_time),
    )


def _on_grid(system: System, made: Block, sampling: Grid) -> GridBlock:
    if not isinstance(system.domain, Box) or made.residuals[0].regions != ("interior",):
        raise OptionError(
            f"Grid() takes tensor grids, but the equations of '{system.problem.name}' do not hold "
            "on all of a box. Use another sampling, such as RAD()."
        )
    return GridBlock(made, sampling, sampling.shape(made.count, len(system.axes)))


Group = tuple[bool, tuple[str, ...]]


def _blocks(system: System, soft: Sequence[Residual], points: int, seed: int) -> dict[Group, Block]:
    """One block per set of regions, equations apart from conditions."""
    groups: dict[Group, list[Residual]] = {}
    for residual in (*system.equations, *soft):
        if residual.kind in (Kind.EQUATION, Kind.BOUNDARY, Kind.INITIAL):
            group = (residual.kind is Kind.EQUATION, residual.regions)
            groups.setdefault(group, []).append(residual)
    made: dict[Group, Block] = {}
    for index, (group, members) in enumerate(groups.items()):
        count = points if group[0] else max(points // 4, 64)
        made[group] = block(system, members, count, 16 * count, child_seed(seed, index))
    return made
