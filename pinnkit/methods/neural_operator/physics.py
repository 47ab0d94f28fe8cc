"""The equations themselves as a loss: compiled residuals of an operator's fields on a grid."""

from __future__ import annotations

import dataclasses

import numpy as np

from pinnkit.ansatz.functionals import Functional, functional, is_face_condition
from pinnkit.ansatz.lift import lift
from pinnkit.compile import System
from pinnkit.compile.emit import Emitted
from pinnkit.derivatives import GridProvider
from pinnkit.errors import OptionError
from pinnkit.methods.faces import faces
from pinnkit.methods.grid_residuals import Grid, frame_axis
from pinnkit.methods.neural_operator.statistics import Statistics
from pinnkit.spec.symbols import function_name


@dataclasses.dataclass(frozen=True)
class Physics:
    """Weights of an operator's loss, weight * residuals + data * relative error.

    Each residual counts by the root mean square, over the nodes of the grid, of its dimensionless
    value: equations everywhere, conditions on their faces. Derivatives are those of the grid,
    spectral along periodic axes and differences of fourth order along others (sixth in time),
    on a grid in space `refine` times finer than that of the data, which needs a network that
    means the same on all grids. With `data` = 0 no solution is used in training, but for the
    test set.

    Physics-informed neural operators (Li et al., arXiv:2111.03794) and DeepONets (Wang, Wang &
    Perdikaris, arXiv:2103.10974), from one declaration.

    Raises OptionError for weights that are negative or a refinement below 1.
    """

    weight: float = 1.0
    data: float = 1.0
    refine: int = 1

    def __post_init__(self) -> None:
        if not (self.weight > 0 and self.data >= 0 and self.refine >= 1):
            raise OptionError(
                f"Physics(weight={self.weight!r}, data={self.data!r}, refine={self.refine!r}): "
                "weight must be positive, data not negative, refine at least 1. Change them."
            )


def declared(system: System, inputs: np.ndarray, grid: Grid, sensors: Grid) -> Statistics:
    """What the declaration alone says of the solutions: for training without any.

    Values known in advance on whole faces are lifted into the mean, scales are the problem's,
    and where an initial state, or the values on a lower side, are the input function itself, the
    first frame is.
    """
    hard = known_values(system)
    provider = GridProvider(grid)
    mean = np.zeros((len(system.fields), *provider.shape))
    scales = {function_name(u): float(s) for u, s in system.problem.scales.items()}
    for i, field in enumerate(system.fields):
        own = [f for f in hard if f.field == field]
        if own:
            expression = Emitted(lift(own, system.domain.bounds), "lift")
            value = expression({}, provider.coordinates(), system.parameters)
            mean[i] = np.broadcast_to(np.asarray(value), provider.shape)
    fixed = {(axis, side): set[str]() for axis in system.axes for side in (0, 1)}
    for f in hard:
        fixed[f.axis, f.side].add(f.field)
    every = set(system.fields)
    ends = tuple((fixed[a, 0] == every, fixed[a, 1] == every) for a in system.axes)
    scale = np.array([scales.get(name, 1.0) for name in system.fields])
    return Statistics(
        np.array([inputs.mean(), inputs.std()]),
        mean,
        scale.reshape(-1, *(1 for _ in grid)),
        ends,
        tuple(_begins(system, name, sensors, grid) for name in system.fields),
    )


def known_values(system: System) -> list[Functional]:
    """Conditions that give all fields' values on whole faces, in advance."""
    found = []
    for residual in system.conditions:
        if not is_face_condition(residual):
            continue
        for name in residual.regions:
            for part in system.domain.region(name).parts:
                result = functional(system, residual, part.name) if len(part.fixed) == 1 else ""
                if isinstance(result, Functional) and result.order == 0:
                    found.append(result)
    counts = {(f.axis, f.side): set[str]() for f in found}
    for f in found:
        counts[f.axis, f.side].add(f.field)
    whole = {key for key, fields in counts.items() if fields == set(system.fields)}
    return [f for f in found if (f.axis, f.side) in whole]


def _begins(system: System, field: str, sensors: Grid, grid: Grid) -> bool:
    """Whether a field is the input function itself at the lower end of the axis of frames."""
    frame = frame_axis(grid, sensors)
    if frame is None or not system.inputs:
        return False
    first = grid[frame].name, 0
    for residual in system.conditions:
        places = [(axis, end) for _, axis, end in faces(system, residual)]
        if first not in places or residual.plan.fields != (field,):
            continue
        terms = (*residual.plan.terms, *residual.input_plan.terms)
        if len(terms) == 2 and all(t.order == 0 for t in terms):
            one, two = np.array(1.3), np.array(1.3)
            at = dict.fromkeys(system.axes, np.array(0.3))
            value = residual.fn({terms[0]: one, terms[1]: two}, at, system.parameters)
            return bool(np.abs(np.asarray(value)) < 1e-12)
    return False
