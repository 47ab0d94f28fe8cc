"""Lagrangian: any method, on labels that move with the flow."""

from __future__ import annotations

import dataclasses
import math

from pinnkit.compile import compile_problem
from pinnkit.compile.system import System
from pinnkit.errors import OptionError
from pinnkit.methods.base import Method, Run
from pinnkit.methods.evolution import space_axes
from pinnkit.methods.lagrangian.crossing import Crossing
from pinnkit.methods.lagrangian.field import LabelledField
from pinnkit.methods.lagrangian.labels import Labels, on_labels
from pinnkit.methods.lagrangian.speed import obstacle
from pinnkit.methods.pinn import PINN
from pinnkit.solution import Solution, Status


class Lagrangian(Method):
    """Solves convection-diffusion on labels that move with the flow, by another method.

    For fields with u_t + a u_x = rest and one speed a(u, t, x), the unknowns become the places
    X(t, xi) of labels and the fields on them (Mojgani, Balajewicz & Hassanzadeh, Comput. Methods
    Appl. Mech. Eng. 404, 2023, 115810):

        X_t = a,  u_t = rest,  X(0, xi) = xi,

    with derivatives in rest by the chain rule, u_x = u_xi / X_xi, which the published code leaves
    out. What is carried along does not move on labels, so that it is as easy to learn however fast
    it is. The solution is one of the problem as it was posed: at (t, x) it finds the label.

    - `method`: what solves the problem on labels: `PINN(...)`, `LeastSquares(...)`, `Lines()`.
      Budget, checkpoint and reports are its own.

    Labels are unique while J = X_xi is positive. `stats["min J"]` is the smallest on a grid of
    times and labels, at the time `stats["time of min J"]`. Where it is not positive the status is
    a failure that says up to which time the solution can be used; after it values are NaN.

    Applies on one axis in space that is periodic, or between walls at which Dirichlet data make the
    speed zero. Raises `OptionError` if `method` is no method.
    """

    method: Method = PINN()

    def __check_init__(self) -> None:
        if not isinstance(self.method, Method) or isinstance(self.method, Lagrangian):
            raise OptionError(
                f"Lagrangian(method={self.method!r}) does not solve problems on labels. Give an "
                "instance of another method, such as Lagrangian(PINN())."
            )

    @property
    def name(self) -> str:
        """With the name of the method that solves on labels."""
        return f"Lagrangian {self.method.name}"

    def supports(self, system: System) -> str | None:
        reason = obstacle(system)
        if reason is not None:
            return reason
        reason = self.method.supports(compile_problem(on_labels(system).problem))
        return None if reason is None else f"on labels, {reason}"

    def run(self, system: System, run: Run) -> Solution:
        labels = on_labels(system)
        found = self.method.run(compile_problem(labels.problem), run)
        field, status, stats = _judged(_field(system, labels, found), found, system)
        return dataclasses.replace(
            found,
            problem=system.problem,
            fields=system.fields,
            evaluator=field,
            method=self.name,
            status=status,
            stats=stats,
            error_estimate=None,
        )


def _field(system: System, labels: Labels, found: Solution) -> LabelledField:
    """What was found on labels, as a function of places."""
    assert system.time is not None
    (axis,) = space_axes(system)
    return LabelledField(
        found.evaluator,
        tuple(found.fields.index(name) for name in system.fields),
        found.fields.index(labels.displacement),
        labels.drift,
        start=system.domain.bounds[system.time][0],
        until=math.inf,
        time=system.axes.index(system.time),
        bounds=system.domain.bounds[axis],
        periodic=axis in system.traits.periodic,
    )


def _judged(
    field: LabelledField, found: Solution, system: System
) -> tuple[LabelledField, Status, dict]:
    """The field up to the time at which characteristics cross, with what is to be said of it."""
    assert system.time is not None
    crossing = Crossing.of(field, system.domain.bounds[system.time])
    stats = {
        **found.stats,
        **{f"estimated error of {k} on labels": e for k, e in (found.error_estimate or {}).items()},
        "min J": crossing.smallest,
        "time of min J": crossing.when,
    }
    if math.isinf(crossing.at):
        return field, found.status, stats
    when = f"{system.time} = {crossing.at:.4g}"
    words = (
        f"{found.status.reason}; characteristics cross at {when} (min J = {crossing.smallest:.2g}):"
        f" of use up to {when}. For later times give the problem more viscosity, or leave "
        "Lagrangian(...) out and solve it by LeastSquares() or Lines()"
    )
    status = Status(False, words, found.status.interrupted)
    return dataclasses.replace(field, until=crossing.at), status, stats
