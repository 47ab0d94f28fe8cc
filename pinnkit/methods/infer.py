"""Inverse problems: parameters of a problem from observed data, the equations exact."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pinnkit import precision
from pinnkit.compile import System, compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.experts.implicit import Coefficients, Discretisation, State
from pinnkit.experts.mixture import Mixture
from pinnkit.methods.base import Method
from pinnkit.methods.least_squares import LeastSquares
from pinnkit.methods.levenberg import Range, Step, minimise
from pinnkit.methods.observations import Noise, Series, series
from pinnkit.methods.rungs import USABLE, Experts
from pinnkit.methods.sensitivity import fixed_layout, require_parameters, solved_by
from pinnkit.solution import Solution, Status
from pinnkit.spec.condition import Kind
from pinnkit.spec.problem import Problem

SINGULAR = 1e-8
"""Ratio of singular values of the Jacobian below which parameters cannot be told apart."""

SHARE = 0.1
ROUNDS = 4
NEGLIGIBLE = 0.05
"""A new layout that moves no parameter by more than this part of its standard error is the last."""


@dataclass(frozen=True, eq=False)
class Inference:
    """Parameters that fit observed data best, with what is known of their errors.

    - `parameters`: estimates by name; `covariance` (r, r) in the order of `names`, from the
      Gauss-Newton matrix: (J^T J)^-1 in units of the noise.
    - `misfit`: root mean square of (prediction - data) / noise, about 1 where the noise given is
      right; without a given noise, relative to the spread of the data, and the covariance is
      scaled by the residual variance.
    - `solution`: the fields at the estimates, which solve the equations without the data;
      `history`: arrays "step", "wall_s", "misfit" and one per parameter.
    """

    names: tuple[str, ...]
    parameters: Mapping[str, float]
    covariance: np.ndarray
    misfit: float
    solution: Solution
    status: Status
    history: Mapping[str, np.ndarray]

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard error of every estimate."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def correlation(self) -> np.ndarray:
        """Correlation matrix (r, r) of the estimates."""
        size = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.outer(size, size)

    def __str__(self) -> str:
        lines = [f"{self.solution.problem.name}: {self.status.reason}"]
        for name, error in self.standard_errors.items():
            lines.append(f"  {name} = {self.parameters[name]:.6g} +- {error:.1e}")
        return "\n".join([*lines, f"  misfit {self.misfit:.3g}"])


def infer(
    problem: Problem,
    unknown: Mapping[str, tuple[float, float, float]],
    *,
    noise: Noise = None,
    method: Method | None = None,
    key: int = 0,
) -> Inference:
    """Estimate parameters from the `Observed` conditions of a problem.

    The equations and all other conditions hold exactly, as solved by `method` (default
    `LeastSquares(tolerance=1e-6)`); the data alone are fitted, by Levenberg and Marquardt's
    method with implicit sensitivities. The layout is kept while parameters move, then found anew
    at the estimates, until that makes no difference.

    - `unknown`: `{"D": (low, guess, high)}`; estimates stay between the bounds. Unknown functions
      are declared as sums of known ones with parameters as coefficients.
    - `noise`: standard deviation of the data, one number or one by condition name; without it
      estimated from the misfit.

    Raises `OptionError` for unknown parameters, bounds out of order or no data, `MethodError`
    where the problem is not solved at the guess, or data do not determine the parameters.
    """
    names = tuple(unknown)
    require_parameters(problem, names)
    ranges = tuple(_range(name, given) for name, given in unknown.items())
    data = series(compile_problem(problem), noise)
    count = sum(s.count for s in data)
    if count < len(names):
        raise OptionError(
            f"'{problem.name}' has {count} observed values for {len(names)} unknown parameters "
            f"({', '.join(names)}). Add data, or fix some parameters."
        )
    fit = _Fit(problem, names, ranges, data, noise is not None)
    return fit.run(method or LeastSquares(tolerance=1e-6), key)


@dataclass(frozen=True)
class _Fit:
    problem: Problem
    names: tuple[str, ...]
    ranges: tuple[Range, ...]
    data: tuple[Series, ...]
    noise_known: bool
    started: float = field(default_factory=time.monotonic)

    def run(self, method: Method, key: int) -> Inference:
        history: list[tuple[float, ...]] = []
        z = np.array([r.start for r in self.ranges])
        errors = np.zeros(len(z))
        for number in range(ROUNDS):
            before = self._values(z)
            solution = solved_by(_without_data(self.problem, self._parameters(z)), method, key)
            with precision.scope("float64"):
                model = _Model.of(self, solution)
                step, why = minimise(
                    model.misfit, model.jacobian, z, lambda s: history.append(self._noted(s))
                )
            z, covariance = step.z, self._covariance(step)
            errors = np.sqrt(np.diag(covariance))
            moved = np.abs(self._values(z) - before)
            if number and (moved <= np.maximum(NEGLIGIBLE * errors, 1e-9 * np.abs(before))).all():
                break
        return self._result(model, step, why, history, covariance)

    def _result(
        self,
        model: _Model,
        step: Step,
        why: str,
        history: Sequence[tuple[float, ...]],
        covariance: np.ndarray,
    ) -> Inference:
        parameters = self._parameters(step.z)
        columns = ("wall_s", "misfit", *self.names)
        arrays = dict(zip(columns, np.array(history).T, strict=True))
        status = self._status(parameters, why, len(history))
        with precision.scope("float64"):
            solution = model.solution(step.z, _without_data(self.problem, parameters))
        if status.ok and not solution.status.ok:
            status = solution.status
        return Inference(
            self.names,
            parameters,
            covariance,
            float(np.sqrt(np.mean(step.residual**2))),
            solution,
            status,
            {"step": np.arange(len(history)), **arrays},
        )

    def _status(self, parameters: Mapping[str, float], why: str, steps: int) -> Status:
        if why:
            return Status(False, f"{why}; give a guess nearer to the truth, or narrower bounds")
        pairs = zip(self.names, self.ranges, strict=True)
        held = [name for name, r in pairs if r.on_bound(parameters[name])]
        if held:
            return Status(
                False, f"{', '.join(held)} ended on a bound; widen the bounds, or fix the parameter"
            )
        return Status(True, f"converged in {steps} steps")

    def _values(self, z: np.ndarray) -> np.ndarray:
        return np.array([r.value(v) for r, v in zip(self.ranges, z, strict=True)])

    def _parameters(self, z: np.ndarray) -> dict[str, float]:
        return dict(zip(self.names, self._values(z).tolist(), strict=True))

    def slopes(self, z: np.ndarray) -> np.ndarray:
        """dp/dz (r,)."""
        return np.array([r.slope(v) for r, v in zip(self.ranges, z, strict=True)])

    def _noted(self, step: Step) -> tuple[float, ...]:
        misfit = float(np.sqrt(np.mean(step.residual**2)))
        return (time.monotonic() - self.started, misfit, *self._values(step.z).tolist())

    def _covariance(self, step: Step) -> np.ndarray:
        """Of the parameters; raises `MethodError` where the data do not determine them."""
        jacobian = step.jacobian / self.slopes(step.z)[None, :]
        widths = np.array([r.high - r.low for r in self.ranges])
        self._require_identifiable(jacobian * widths[None, :])
        free = len(step.residual) - len(self.names)
        scale = 1.0 if self.noise_known else step.cost / max(free, 1)
        _, triangle = np.linalg.qr(jacobian)
        inverse = np.linalg.inv(triangle)
        return scale * inverse @ inverse.T

    def _require_identifiable(self, jacobian: np.ndarray) -> None:
        size = np.linalg.norm(jacobian, axis=0)
        deaf = size <= SINGULAR * size.max()
        if deaf.any() or not size.max() > 0.0:
            listed = ", ".join(n for n, d in zip(self.names, deaf, strict=True) if d)
            raise MethodError(
                f"'{self.problem.name}': the observed data do not depend on {listed or 'anything'}"
                ". Observe where it has an effect, or fix it."
            )
        _, singular, right = np.linalg.svd(jacobian / size[None, :])
        if singular[-1] <= SINGULAR * singular[0]:
            mixed = [n for n, v in zip(self.names, right[-1], strict=True) if abs(v) > SHARE]
            raise MethodError(
                f"'{self.problem.name}': the observed data determine only a combination of "
                f"{', '.join(mixed)}. Fix one of them, or add data that tell them apart."
            )


@dataclass(frozen=True)
class _Model:
    """Misfit and Jacobian on the layout of one solution; the latest state is kept."""

    fit: _Fit
    base: Solution
    layout: Discretisation
    start: Coefficients
    names: tuple[str, ...]
    _memo: dict[bytes, State] = field(default_factory=dict)

    @classmethod
    def of(cls, fit: _Fit, solution: Solution) -> _Model:
        system: System = compile_problem(solution.problem)
        layout, coefficients = fixed_layout(system, solution)
        names = tuple(n for n in fit.names if n in system.parameters)
        return cls(fit, solution, layout, coefficients, names)

    def misfit(self, z: np.ndarray) -> np.ndarray | None:
        try:
            layout, state = self._solved(z)
        except MethodError:
            return None
        if not state.converged:
            return None
        mixture, known = layout.mixture(state.coefficients), self._known(z)
        return np.concatenate([s.misfit(mixture, known) for s in self.fit.data])

    def jacobian(self, z: np.ndarray) -> np.ndarray:
        layout, state = self._solved(z)
        mixture = layout.mixture(state.coefficients)
        tangents = [layout.mixture(_zeros(state.coefficients)) for _ in self.fit.names]
        if self.names:
            changes = layout.tangents(state.coefficients, self.names)
            for j, name in enumerate(self.names):
                own = layout.mixture(tuple(c[..., j] for c in changes))
                tangents[self.fit.names.index(name)] = own
        parts = [s.slopes(mixture, tangents, self._known(z), self.fit.names) for s in self.fit.data]
        return np.concatenate(parts) * self.fit.slopes(z)[None, :]

    def solution(self, z: np.ndarray, problem: Problem) -> Solution:
        """The fields at z, as a solution of `problem`, the equations without the data."""
        layout, state = self._solved(z)
        held = layout.held(state.coefficients)
        status = Status(held <= USABLE, f"inferred; held-out residual {held:.1e}")
        stats = {**self.base.stats, "held_out_residual": held}
        mixture: Mixture = layout.mixture(state.coefficients)
        return replace(
            self.base, problem=problem, evaluator=Experts(mixture), status=status, stats=stats
        )

    def _known(self, z: np.ndarray) -> dict[str, float]:
        return {**self.fit.problem.parameter_values, **self.fit._parameters(z)}

    def _solved(self, z: np.ndarray) -> tuple[Discretisation, State]:
        layout, key = self.layout.at(self.fit._parameters(z)), z.tobytes()
        if key not in self._memo:
            last = next(iter(self._memo.values()), None)
            near = last.coefficients if last is not None and last.converged else self.start
            state = layout.solve(near)
            self._memo.clear()
            self._memo[key] = state
        return layout, self._memo[key]


def _zeros(coefficients: Coefficients) -> Coefficients:
    return tuple(np.zeros_like(c) for c in coefficients)


def _without_data(problem: Problem, parameters: Mapping[str, float]) -> Problem:
    """The equations alone, at the given parameters."""
    kept = tuple(c for c in problem.conditions if c.kind is not Kind.OBSERVED)
    values = {**problem.parameters, **parameters}
    bare = replace(problem, conditions=kept, parameters={})
    known = bare.parameter_values
    return bare.replace(parameters={k: v for k, v in values.items() if k in known})


def _range(name: str, given: Sequence[float]) -> Range:
    try:
        low, guess, high = (float(v) for v in given)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"unknown['{name}'] is {given!r}. Give three numbers, (low, guess, high)."
        ) from error
    if not (np.isfinite([low, guess, high]).all() and low < guess < high):
        raise OptionError(
            f"unknown['{name}']: ({low:g}, {guess:g}, {high:g}) are not finite numbers in rising "
            "order. Give (low, guess, high)."
        )
    return Range(low, guess, high)
