"""Derivatives of a solution with respect to the parameters of its problem, and to its domain."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import jax
import numpy as np

from pinnkit import precision
from pinnkit.compile import System, compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.experts.implicit import Coefficients, Discretisation, as_mixture
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.moving import boundary_forcing
from pinnkit.geometry import Domain
from pinnkit.methods.base import Method, Run
from pinnkit.methods.least_squares import LeastSquares
from pinnkit.methods.rungs import USABLE, Experts
from pinnkit.solution import Solution, Status
from pinnkit.spec.condition import Kind
from pinnkit.spec.problem import Problem


def sensitivity(solution: Solution | Problem, *names: str, key: int = 0) -> Solution:
    """du/dp for every parameter p in `names` (all parameters by default): fields `du_dp`.

    The least-squares experts of the solution are differentiated implicitly on their own layout,
    dc/dp = -A^+ dF/dp, slab after slab, exactly to the residual of the solution. A problem is
    solved first, by `LeastSquares()` with `key`. What depends on a parameter through a place (a
    jump of a coefficient at x = p) is not seen: use `shape_sensitivity` for places.

    Raises `OptionError` for an unknown parameter, `MethodError` for a solution by another method
    or one whose status is not good.
    """
    solution = _solved(solution, key)
    names = names or tuple(solution.problem.parameter_values)
    require_parameters(solution.problem, names)
    if not names:
        raise OptionError(
            f"Problem '{solution.problem.name}' has no parameters. "
            "Declare one with parameter(name, default)."
        )
    started = time.monotonic()
    with precision.scope("float64"):
        system = compile_problem(solution.problem)
        layout, coefficients = fixed_layout(system, solution)
        tangents = layout.tangents(coefficients, names)
    what = "sensitivity to " + ", ".join(names)
    return _derivative(solution, layout, tangents, names, what, started)


def shape_sensitivity(
    solution: Solution, domain: Callable[[float], Domain], at: float, name: str = "shape"
) -> Solution:
    """du/ds at fixed points of space, where the domain is `domain(s)` and s = `at`: `du_dshape`.

    The equation keeps holding inside, and each boundary condition moves with the normal velocity
    of its region (Hadamard's formula). That velocity, and the change of the boundary rows along
    it, are central differences with a step of 1e-5 of the domain's extent; the rest is implicit
    differentiation as in `sensitivity`.

    Raises `MethodError` for problems with integral conditions or observed data, and `OptionError`
    if `domain(at)` is another domain than the solution's.
    """
    solution = _solved(solution, 0)
    if domain(at).bounds != solution.problem.domain.bounds:
        raise OptionError(
            f"domain({at:g}) is {domain(at)}, but '{solution.problem.name}' was solved on "
            f"{solution.problem.domain}. Give the value of s at which they agree."
        )
    bad = [c for c in solution.problem.conditions if c.kind in (Kind.INTEGRAL, Kind.OBSERVED)]
    if bad:
        raise MethodError(
            f"Shape sensitivity: condition '{bad[0].name}' is taken over a part of the domain that "
            "moves. Replace it by boundary conditions."
        )
    started = time.monotonic()
    with precision.scope("float64"):
        layout, coefficients = fixed_layout(compile_problem(solution.problem), solution)
        tangents = layout.pushed(
            coefficients, lambda rows, own: boundary_forcing(rows, own, domain, at)
        )
    return _derivative(solution, layout, tangents, (name,), f"sensitivity to {name}", started)


def require_parameters(problem: Problem, names: tuple[str, ...]) -> None:
    """Raise `OptionError` for a name that is no parameter of the problem."""
    known = problem.parameter_values
    for name in names:
        if name not in known:
            raise OptionError(
                f"Problem '{problem.name}' has no parameter '{name}'. Its parameters: "
                f"{', '.join(sorted(known)) or 'none'}."
            )


def fixed_layout(system: System, solution: Solution) -> tuple[Discretisation, Coefficients]:
    """The discretisation that found `solution`, and its coefficients by slab.

    Raises `MethodError` unless the solution is one of least-squares experts with a good status.
    """
    evaluator = solution.evaluator
    if not isinstance(evaluator, Experts):
        raise MethodError(
            f"Sensitivities: '{solution.problem.name}' was solved by {solution.method}, which "
            "keeps no equations to differentiate. Solve it with LeastSquares()."
        )
    if not solution.status.ok:
        raise MethodError(
            f"Sensitivities: '{solution.problem.name}' is not solved ({solution.status.reason}). "
            "Refine the layout or raise the tolerance first."
        )
    mixture = as_mixture(system, evaluator.mixture)
    layout = Discretisation.of(system, mixture)
    coefficients = layout.split(np.asarray(mixture.coefficients))
    _require_satisfied_data(system, layout, coefficients)
    return layout, coefficients


def _require_satisfied_data(
    system: System, layout: Discretisation, coefficients: Coefficients
) -> None:
    """The formula holds where residuals are small; measured values may contradict the equations."""
    observed = [r.name for r in system.residuals if r.kind is Kind.OBSERVED]
    if observed and (held := layout.held(coefficients)) > USABLE:
        raise MethodError(
            f"Sensitivities: the solution of '{system.problem.name}' does not satisfy its observed "
            f"data '{observed[0]}' (residual {held:.1e}). Take them out of the problem, or use "
            "infer(...)."
        )


def solved_by(problem: Problem, method: Method, key: int = 0) -> Solution:
    """The problem solved by `method` in float64.

    Raises `MethodError` where the method does not apply.
    """
    system = compile_problem(problem)
    reason = method.supports(system)
    if reason is not None:
        raise MethodError(
            f"{method.name} cannot solve '{problem.name}': {reason}. Choose another method."
        )
    run = Run(jax.random.key(key))
    with precision.scope("float64"):
        solution = method.run(system, run)
    return replace(solution, stats={"wall_s": run.elapsed, **solution.stats})


def _solved(solution: Solution | Problem, key: int) -> Solution:
    if isinstance(solution, Problem):
        return solved_by(solution, LeastSquares(), key)
    return solution


def _derivative(
    solution: Solution,
    layout: Discretisation,
    tangents: Coefficients,
    names: tuple[str, ...],
    what: str,
    started: float,
) -> Solution:
    """Tangents of the coefficients as fields."""
    fields = layout.system.fields
    labels = tuple(f"d{field}_d{name}" for name in names for field in fields)
    parts = [np.moveaxis(t, 3, 1).reshape(len(t), len(labels), -1) for t in tangents]
    base = layout.mixture(tuple(np.zeros((len(t), 1, 1)) for t in tangents))
    mixture = Mixture(base.basis, base.lower, base.upper, np.concatenate(parts), labels)
    reason = f"{what} of a solution that {solution.status.reason}"
    return Solution(
        solution.problem,
        Experts(mixture),
        solution.method,
        Status(True, reason),
        fields=labels,
        stats={"wall_s": time.monotonic() - started, "slabs": len(tangents)},
        provenance=dict(solution.provenance),
    )
