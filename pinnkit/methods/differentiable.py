"""A solution as a JAX function of the parameters of its problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import linear_call

from pinnkit import precision
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.experts.forcing import add_transposed
from pinnkit.experts.implicit import Coefficients, Discretisation, State
from pinnkit.experts.mixture import Mixture
from pinnkit.methods.base import Method
from pinnkit.methods.least_squares import LeastSquares
from pinnkit.methods.sensitivity import fixed_layout, require_parameters, solved_by
from pinnkit.spec.problem import Problem

KEPT = 2
Parameters = Mapping[str, Any]


def differentiable(
    problem: Problem, names: tuple[str, ...], method: Method | None = None, key: int = 0
) -> SolutionMap:
    """The solution of `problem` as a function of its parameters `names`.

    `method` (default `LeastSquares()`) solves the problem once, at its own parameter values, and
    the layout that it finds is kept. The result is called with a mapping of parameters and points
    (N, d), and goes through `jax.jvp`, `jax.vjp` and `jax.grad`, with respect to both.

    Raises `OptionError` for an unknown parameter, `MethodError` where the problem is not solved.
    """
    require_parameters(problem, names)
    solution = solved_by(problem, method or LeastSquares(), key)
    with precision.scope("float64"):
        layout, coefficients = fixed_layout(compile_problem(problem), solution)
    return SolutionMap(names, layout, coefficients)


@dataclass(frozen=True, eq=False)
class SolutionMap:
    """(parameters, points (N, d)) -> fields (N, c), solved on the host on a layout that is kept.

    One solve per set of parameters. A Jacobian-vector product is one sweep through the slabs, a
    vector-Jacobian product (`jax.grad`) one adjoint sweep, however many parameters there are.
    Second derivatives are not defined. Raises `MethodError` where Newton's method does not
    converge: the parameters are then too far from those of the layout.
    """

    names: tuple[str, ...]
    layout: Discretisation
    start: Coefficients
    _memo: dict[bytes, State] = field(default_factory=dict, repr=False)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.layout.system.fields

    def __call__(self, parameters: Parameters, points: Any) -> jax.Array:
        if set(parameters) != set(self.names):
            raise OptionError(
                f"The solution of '{self.layout.system.problem.name}' is a function of "
                f"{', '.join(self.names)}, not of {', '.join(parameters)}. Give exactly these."
            )
        kind = jnp.result_type(float)
        chosen = jnp.stack([jnp.asarray(parameters[n], kind) for n in self.names])
        return _evaluated(self, chosen, jnp.asarray(points, kind))

    def values(self, chosen: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Fields (N, c) for parameters (r,) in the order of `names`; NumPy."""
        return self._mixture(chosen).on_host(points)

    def slopes(self, chosen: np.ndarray, points: np.ndarray) -> np.ndarray:
        """d field / d coordinate, (N, c, d); NumPy."""
        axes = np.eye(points.shape[1], dtype=int)
        mixture = self._mixture(chosen)
        return np.stack([mixture.on_host(points, tuple(a.tolist())) for a in axes], axis=2)

    def pushed(self, chosen: np.ndarray, points: np.ndarray, tangent: np.ndarray) -> np.ndarray:
        """sum_j d field / dp_j tangent_j, (N, c); NumPy."""
        with precision.scope("float64"):
            layout, state = self._solved(chosen)
            change = layout.tangents(state.coefficients, self.names)
        combined = tuple(c @ np.asarray(tangent, dtype=float) for c in change)
        return layout.mixture(combined).on_host(points)

    def pulled(self, chosen: np.ndarray, points: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """sum over points and fields of cotangent d field / dp, (r,); NumPy."""
        with precision.scope("float64"):
            layout, state = self._solved(chosen)
            mixture = layout.mixture(state.coefficients)
            weights = np.zeros(mixture.coefficients.shape)
            value = (0,) * points.shape[1]
            for index in range(len(self.fields)):
                add_transposed(mixture, points, value, index, cotangent[:, index], weights)
            return layout.pulled(state.coefficients, layout.split(weights), self.names)

    def _mixture(self, chosen: np.ndarray) -> Mixture:
        with precision.scope("float64"):
            layout, state = self._solved(chosen)
        return layout.mixture(state.coefficients)

    def _solved(self, chosen: np.ndarray) -> tuple[Discretisation, State]:
        chosen = np.asarray(chosen, dtype=np.float64)
        parameters = dict(zip(self.names, chosen.tolist(), strict=True))
        layout, key = self.layout.at(parameters), chosen.tobytes()
        if key not in self._memo:
            state = layout.solve(self.start)
            if not state.converged:
                listed = ", ".join(f"{k} = {v:.6g}" for k, v in parameters.items())
                raise MethodError(
                    f"'{layout.system.problem.name}' does not converge for {listed} on the layout "
                    "that was found for other parameters. Start nearer to them."
                )
            while len(self._memo) >= KEPT:
                del self._memo[next(iter(self._memo))]
            self._memo[key] = state
        return layout, self._memo[key]


def _on_host(function: Any, shape: tuple[int, ...], kind: Any, *arguments: Any) -> Any:
    def call(*given: Any) -> np.ndarray:
        arrays = (np.asarray(g, dtype=np.float64) for g in given)
        return np.asarray(function(*arrays), dtype=kind)

    result = jax.ShapeDtypeStruct(shape, kind)
    return jax.pure_callback(call, result, *arguments, vmap_method="sequential")


def _evaluated(of: SolutionMap, chosen: jax.Array, points: jax.Array) -> jax.Array:
    count, kind = (len(points), len(of.fields)), points.dtype

    @jax.custom_jvp
    def values(chosen: Any, points: Any) -> Any:
        return _on_host(of.values, count, kind, chosen, points)

    def push(known: Any, tangent: Any) -> Any:
        return _on_host(of.pushed, count, kind, *known, tangent)

    def pull(known: Any, cotangent: Any) -> Any:
        return _on_host(of.pulled, known[0].shape, kind, *known, cotangent)

    def tangents(primals: Any, changes: Any) -> Any:
        chosen, points = primals
        result = jnp.zeros(count, kind)
        if not _is_zero(changes[0]):
            result = result + linear_call(push, pull, (chosen, points), changes[0])
        if not _is_zero(changes[1]):
            slopes = _on_host(of.slopes, (*count, points.shape[1]), kind, chosen, points)
            result = result + jnp.einsum("ncd,nd->nc", slopes, changes[1])
        return values(chosen, points), result

    values.defjvp(tangents, symbolic_zeros=True)
    return values(chosen, points)


def _is_zero(change: Any) -> bool:
    return isinstance(change, jax.custom_derivatives.SymbolicZero)
