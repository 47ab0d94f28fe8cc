"""The linearised residuals r + J d of a least-squares problem, and the damped steps they give."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import cho_solve

from pinnkit.training.evaluation import Evaluation

BLOCK = 128
"""Columns that a Gram matrix is formed by at a time."""


class LinearModel(eqx.Module):
    """|r + J d|^2 as a function of the step d (P,), for residuals r (m,)."""

    residuals: Array
    gradient: Array

    @property
    def scale(self) -> Array:
        """Mean of the diagonal of J^T J, by which dampings are relative; 1 if not known."""
        return jnp.ones((), self.residuals.dtype)

    @abstractmethod
    def tangent(self, step: Array) -> Array:
        """J d (m,)."""

    @abstractmethod
    def step(self, damping: Array) -> Array:
        """The minimiser of |r + J d|^2 + damping |d|^2; not finite where it cannot be found."""

    def decrease(self, step: Array) -> Array:
        """|r|^2 - |r + J d|^2, without cancellation; `gradient` is J^T r."""
        tangent = self.tangent(step)
        return -2 * self.gradient @ step - tangent @ tangent


class ParameterSpace(LinearModel):
    """(J^T J + damping I) d = -J^T r by a Cholesky factor of a (P, P) matrix.

    One step of refinement on the residuals themselves (corrected semi-normal equations, Björck
    1987) makes up for the squared condition number.
    """

    jacobian: Array
    gram: Array

    @property
    def scale(self) -> Array:
        return jnp.mean(jnp.diagonal(self.gram))

    def tangent(self, step: Array) -> Array:
        return self.jacobian @ step

    def step(self, damping: Array) -> Array:
        factor = _factor(self.gram, damping)
        first = -cho_solve(factor, self.gradient)
        left = (self.residuals + self.jacobian @ first) @ self.jacobian + damping * first
        return first - cho_solve(factor, left)


class SampleSpace(LinearModel):
    """d = -J^T z with (J J^T + damping I) z = r: the same step by an (m, m) matrix, for m < P.

    Equal by the push-through (Woodbury) identity.
    """

    jacobian: Array
    gram: Array

    @property
    def scale(self) -> Array:
        return jnp.trace(self.gram) / self.gradient.size

    def tangent(self, step: Array) -> Array:
        return self.jacobian @ step

    def step(self, damping: Array) -> Array:
        factor = _factor(self.gram, damping)
        first = cho_solve(factor, self.residuals)
        left = self.residuals - self.jacobian @ (first @ self.jacobian) - damping * first
        return -(first + cho_solve(factor, left)) @ self.jacobian


class Spectral(LinearModel):
    """The step by the singular value decomposition J = U diag(s) V^T, for few columns.

    Singular values below rounding are left out, so that without damping it is the shortest of the
    steps that minimise |r + J d|.
    """

    left: Array
    values: Array
    right: Array

    @property
    def scale(self) -> Array:
        return self.values @ self.values / self.gradient.size

    def tangent(self, step: Array) -> Array:
        return self.left @ (self.values * (self.right @ step))

    def step(self, damping: Array) -> Array:
        eps = jnp.finfo(self.values.dtype).eps
        kept = self.values > eps * max(self.residuals.size, self.gradient.size) * self.values[0]
        squares = jnp.where(kept, self.values**2 + damping, 1.0)
        inverse = jnp.where(kept, self.values / squares, 0.0)
        return -(inverse * (self.residuals @ self.left)) @ self.right


class MatrixFree(LinearModel):
    """(J^T J + damping I) d = -J^T r by conjugate gradients; J is never formed.

    Stops at |residual of the equations| <= tolerance |J^T r| or after `iterations`, each of which
    takes one product with J and one with J^T.
    """

    forward: Any
    transpose: Any
    tolerance: float = eqx.field(static=True)
    iterations: int = eqx.field(static=True)

    def tangent(self, step: Array) -> Array:
        return self.forward(step)

    def step(self, damping: Array) -> Array:
        def normal(v: Array) -> Array:
            (back,) = self.transpose(self.forward(v))
            return back + damping * v

        step, _ = jax.scipy.sparse.linalg.cg(
            normal, -self.gradient, tol=self.tolerance, maxiter=self.iterations
        )
        return step


def dense(evaluate: Evaluation, x: Array, batch: Any) -> LinearModel:
    """The dense model at x, in the space of lower dimension."""
    residuals, jacobian = evaluate.jacobian(x, batch)
    gradient = residuals @ jacobian
    if jacobian.shape[0] < jacobian.shape[1]:
        return SampleSpace(residuals, gradient, jacobian, lower_gram(jacobian.T))
    return ParameterSpace(residuals, gradient, jacobian, lower_gram(jacobian))


def spectral(evaluate: Evaluation, x: Array, batch: Any) -> LinearModel:
    """The dense model at x by its singular values."""
    residuals, jacobian = evaluate.jacobian(x, batch)
    left, values, right = jnp.linalg.svd(jacobian, full_matrices=False)
    return Spectral(residuals, residuals @ jacobian, left, values, right)


def matrix_free(
    evaluate: Evaluation, x: Array, batch: Any, tolerance: float, iterations: int
) -> LinearModel:
    """The model at x that only multiplies."""
    residuals, forward = jax.linearize(lambda v: evaluate.residuals(v, batch), x)
    transpose = jax.linear_transpose(forward, x)
    (gradient,) = transpose(residuals)
    return MatrixFree(residuals, gradient, forward, transpose, tolerance, iterations)


def lower_gram(matrix: Array) -> Array:
    """The lower triangle of A^T A in blocks of columns, at little over half the cost of all of it.

    Entries above the diagonal are only meant to be read inside the diagonal blocks.
    """
    size = matrix.shape[1]
    gram = jnp.zeros((size, size), matrix.dtype)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        block = matrix[:, start:].T @ matrix[:, start:stop]
        gram = gram.at[start:, start:stop].set(block)
    return gram


def _factor(gram: Array, damping: Array) -> tuple[Array, bool]:
    diagonal = jnp.arange(gram.shape[0])
    damped = gram.at[diagonal, diagonal].add(damping)
    return jax.lax.linalg.cholesky(damped, symmetrize_input=False), True
