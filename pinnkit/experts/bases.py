"""Bases of one expert: features of local coordinates and their exact derivatives of any order.

Every basis maps local coordinates xi in [-1, 1]^d, shape (N, d), to features (N, n). It works on
NumPy arrays (host assembly, LAPACK) and on JAX arrays (evaluation, transformation, accelerators)
with the same code, through the array namespace of its argument.
"""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

Orders = tuple[int, ...]
Numbers = Array | np.ndarray


def spread_nodes(size: int, scales: tuple[float, ...]) -> tuple[int, ...]:
    """Nodes per axis whose product is about twice `size`, more where `scales` are larger."""
    weight = np.asarray(scales) + 3.0
    weight = weight / np.prod(weight) ** (1.0 / len(scales))
    return tuple(int(np.ceil((2.0 * size) ** (1.0 / len(scales)) * w)) + 1 for w in weight)


def namespace(xi: Any) -> Any:
    """The module (`numpy` or `jax.numpy`) whose functions act on `xi`."""
    return np if isinstance(xi, np.ndarray) else jnp


class Basis(eqx.Module):
    """Features phi_j(xi), j < size, of local coordinates xi in [-1, 1]^d."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Number n of features."""

    @abc.abstractmethod
    def features(self, xi: Any, orders: Orders) -> Any:
        """d^|a| phi_j / d xi^a for a = `orders`; xi (N, d) -> (N, n)."""

    @abc.abstractmethod
    def wavenumbers(self) -> tuple[float, ...]:
        """Typical local wavenumber per axis, used to balance rows of different units."""

    @abc.abstractmethod
    def nodes(self) -> tuple[int, ...]:
        """Collocation points per axis of a tensor Gauss rule, about 2n together."""


class RandomSine(Basis):
    """phi_j = sin(w_j . xi + b_j), with w and b fixed at random.

    `weights` (n, d), `phases` (n,), `scales` R per axis: w ~ U[-R, R].
    """

    weights: Numbers
    phases: Numbers
    scales: tuple[float, ...] = eqx.field(static=True)

    @classmethod
    def draw(
        cls, n: int, scales: tuple[float, ...], seed: int = 0, periodic: tuple[int, ...] = ()
    ) -> "RandomSine":
        """Draw w ~ U[-R_i, R_i] per axis and b ~ U[-pi, pi].

        On the `periodic` axes (indices) w is rounded to a multiple of pi, so that every feature
        has period 2 in that local coordinate exactly (up to rounding).
        """
        rng = np.random.default_rng(seed)
        weights = rng.uniform(-1.0, 1.0, (n, len(scales))) * np.asarray(scales)
        for axis in periodic:
            weights[:, axis] = np.pi * np.round(weights[:, axis] / np.pi)
        return cls(weights, rng.uniform(-np.pi, np.pi, n), tuple(map(float, scales)))

    @property
    def size(self) -> int:
        return self.weights.shape[0]

    def features(self, xi: Any, orders: Orders) -> Any:
        xp = namespace(xi)
        factor = 1.0
        for axis, order in enumerate(orders):
            factor = factor * self.weights[:, axis] ** order
        angle = xi @ self.weights.T + self.phases[None, :]
        return xp.sin(angle + 0.5 * np.pi * sum(orders)) * xp.broadcast_to(factor, angle.shape)

    def wavenumbers(self) -> tuple[float, ...]:
        return self.scales

    def nodes(self) -> tuple[int, ...]:
        return spread_nodes(self.size, self.scales)


class RandomTanh(Basis):
    """phi_j = tanh(w_j . xi + b_j), w ~ U[-R, R], b ~ U[-R, R]; `weights` (n, d), `phases` (n,)."""

    weights: Numbers
    phases: Numbers
    scales: tuple[float, ...] = eqx.field(static=True)

    @classmethod
    def draw(cls, n: int, scales: tuple[float, ...], seed: int = 0) -> "RandomTanh":
        rng = np.random.default_rng(seed)
        weights = rng.uniform(-1.0, 1.0, (n, len(scales))) * np.asarray(scales)
        return cls(weights, rng.uniform(-1.0, 1.0, n) * max(scales), tuple(map(float, scales)))

    @property
    def size(self) -> int:
        return self.weights.shape[0]

    def features(self, xi: Any, orders: Orders) -> Any:
        xp = namespace(xi)
        factor = 1.0
        for axis, order in enumerate(orders):
            factor = factor * self.weights[:, axis] ** order
        value = xp.tanh(xi @ self.weights.T + self.phases[None, :])
        polynomial = _tanh_polynomial(sum(orders))
        result = xp.full_like(value, polynomial[-1])
        for coefficient in polynomial[-2::-1]:
            result = result * value + coefficient
        return result * xp.broadcast_to(factor, value.shape)

    def wavenumbers(self) -> tuple[float, ...]:
        return self.scales

    def nodes(self) -> tuple[int, ...]:
        return spread_nodes(self.size, self.scales)


def _tanh_polynomial(order: int) -> tuple[float, ...]:
    """Coefficients of P with d^order tanh = P(tanh): P_0 = s, P_(m+1) = P_m' (1 - s^2)."""
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order):
        polynomial = polynomial.deriv() * np.polynomial.Polynomial([1.0, 0.0, -1.0])
    return tuple(polynomial.coef.tolist())


class Tensor(Basis):
    """Products of one-dimensional functions, one kind per axis.

    `kinds[i]` is "chebyshev" (T_k(xi_i), k <= degree) or "fourier" (1, sin k pi xi, cos k pi xi:
    exactly periodic). `index` (n, d) lists the factors of every product. `degrees` is the largest
    k per axis.
    """

    index: Numbers
    kinds: tuple[str, ...] = eqx.field(static=True)
    degrees: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return self.index.shape[0]

    def features(self, xi: Any, orders: Orders) -> Any:
        result = None
        for axis, (kind, degree) in enumerate(zip(self.kinds, self.degrees, strict=True)):
            table = _TABLES[kind](xi[:, axis], degree, orders[axis])
            factor = table[:, self.index[:, axis]]
            result = factor if result is None else result * factor
        return result

    def wavenumbers(self) -> tuple[float, ...]:
        # T_p oscillates like cos(p theta); p/3 balanced fourth-order rows best in measurements.
        scale = {"chebyshev": lambda p: max(p / 3.0, 1.0), "fourier": lambda k: max(k, 1) * np.pi}
        return tuple(
            float(scale[kind](degree))
            for kind, degree in zip(self.kinds, self.degrees, strict=True)
        )

    def nodes(self) -> tuple[int, ...]:
        rule = {"chebyshev": lambda p: p + 4 + p // 4, "fourier": lambda k: 3 * k + 3}
        return tuple(rule[kind](p) for kind, p in zip(self.kinds, self.degrees, strict=True))

    def tails(self, coefficients: np.ndarray) -> tuple[float, ...]:
        """Largest |c| among the top quarter of each axis' frequencies over the largest |c|.

        `coefficients` (..., n). A tail near rounding means that the axis is resolved.
        """
        size = np.abs(np.asarray(coefficients)).reshape(-1, self.size).max(axis=0)
        frequency = self.frequencies()
        top = max(float(size.max()), np.finfo(float).tiny)
        return tuple(
            float(size[frequency[:, axis] > 0.75 * degree].max(initial=0.0)) / top
            for axis, degree in enumerate(self.degrees)
        )

    def frequencies(self) -> np.ndarray:
        """Degree or wavenumber of each factor, (n, d)."""
        index = np.asarray(self.index)
        fourier = np.array([kind == "fourier" for kind in self.kinds])
        return np.where(fourier[None, :], (index + 1) // 2, index)


def tensor_basis(degrees: tuple[int, ...], kinds: tuple[str, ...], full: bool = False) -> Tensor:
    """Tensor basis with all products (`full`), or those with sum_i (k_i/p_i)^2 <= 1.

    The Euclidean ball resolves isotropic functions as well as the full product at pi/4 (2-D) or
    pi/6 (3-D) of its size (Trefethen, Cubature, approximation, and isotropy in the hypercube,
    SIAM Review 59 (2017), section 5).
    """
    counts = [
        2 * p + 1 if kind == "fourier" else p + 1 for p, kind in zip(degrees, kinds, strict=True)
    ]
    index = np.stack([i.ravel() for i in np.indices(counts)], axis=1)
    basis = Tensor(index, tuple(kinds), tuple(int(p) for p in degrees))
    if full or len(degrees) == 1:
        return basis
    ratio = basis.frequencies() / np.maximum(np.asarray(degrees), 1)[None, :]
    keep = (ratio**2).sum(axis=1) <= 1.0 + 1e-9
    return Tensor(index[keep], tuple(kinds), tuple(int(p) for p in degrees))


def ChebyshevTensor(degrees: tuple[int, ...], full: bool = True) -> Tensor:
    """Products of Chebyshev polynomials, degree <= `degrees[i]` on axis i."""
    return tensor_basis(degrees, ("chebyshev",) * len(degrees), full)


def FourierChebyshev(
    degrees: tuple[int, ...], periodic: tuple[int, ...], full: bool = True
) -> Tensor:
    """Fourier on the axes listed in `periodic` (indices), Chebyshev on the others."""
    kinds = tuple("fourier" if i in periodic else "chebyshev" for i in range(len(degrees)))
    return tensor_basis(degrees, kinds, full)


def _chebyshev_table(x: Any, degree: int, order: int) -> Any:
    """d^a T_k(x), k <= degree, (N, degree + 1).

    d^a T_k = k 2^(a-1) (a-1)! C_(k-a)^(a)(x), with the Gegenbauer recurrence
    m C_m = 2 x (m + a - 1) C_(m-1) - (m + 2a - 2) C_(m-2)   (DLMF 18.9.1, 18.9.19).
    """
    xp = namespace(x)
    count = max(degree + 1 - order, 0)
    m = np.arange(count, dtype=float)
    if order:
        forward, backward = 2.0 * (m + order) / (m + 1.0), (m + 2.0 * order - 1.0) / (m + 1.0)
        lead = 2.0 ** (order - 1) * math.factorial(order - 1) * (m + order)
    else:
        forward, backward, lead = np.where(m == 0.0, 1.0, 2.0), np.ones(count), np.ones(count)
    zeros = xp.zeros((x.shape[0], min(order, degree + 1)), dtype=x.dtype)
    if not count:
        return zeros
    table = _recurrence(x, forward, backward) * xp.asarray(lead)[None, :]
    return xp.concatenate([zeros, table], axis=1)


def _recurrence(x: Any, forward: np.ndarray, backward: np.ndarray) -> Any:
    """p_0 = 1, p_(m+1) = forward_m x p_m - backward_m p_(m-1), columns m < len(forward)."""
    if namespace(x) is np:
        columns, lower, current = [], np.zeros_like(x), np.ones_like(x)
        for a, b in zip(forward.tolist(), backward.tolist(), strict=True):
            columns.append(current)
            lower, current = current, a * x * current - b * lower
        return np.stack(columns, axis=1)

    def step(carry: tuple[Array, Array], factors: tuple[Array, Array]) -> tuple[Any, Array]:
        lower, current = carry
        return (current, factors[0] * x * current - factors[1] * lower), current

    start = (jnp.zeros_like(x), jnp.ones_like(x))
    scanned = jnp.asarray(forward, x.dtype), jnp.asarray(backward, x.dtype)
    return jax.lax.scan(step, start, scanned)[1].T


def _fourier_table(x: Any, degree: int, order: int) -> Any:
    """d^a of (1, sin pi x, cos pi x, sin 2 pi x, ...), (N, 2 degree + 1)."""
    xp = namespace(x)
    k = np.pi * np.arange(1, degree + 1)
    angle = x[:, None] * xp.asarray(k)[None, :] + 0.5 * np.pi * order
    waves = xp.stack([xp.sin(angle), xp.cos(angle)], axis=2) * xp.asarray(k**order)[None, :, None]
    constant = xp.full((x.shape[0], 1), 0.0 if order else 1.0, dtype=x.dtype)
    return xp.concatenate([constant, waves.reshape(x.shape[0], 2 * degree)], axis=1)


_TABLES = {"chebyshev": _chebyshev_table, "fourier": _fourier_table}


class TrainedLayer(Basis):
    """The n outputs of `hidden`: (d,) -> (n,), for example a network without its last layer.

    Derivatives come from nested forward-mode differentiation, so `hidden` must be as smooth as
    the equation's order asks. `scales` are the typical local wavenumbers per axis.
    """

    hidden: eqx.Module
    count: int = eqx.field(static=True)
    scales: tuple[float, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return self.count

    def features(self, xi: Any, orders: Orders) -> Any:
        function: Any = self.hidden
        for axis, order in enumerate(orders):
            for _ in range(order):
                function = _directional(function, axis)
        result = jax.vmap(function)(jnp.asarray(xi))
        return np.asarray(result) if isinstance(xi, np.ndarray) else result

    def wavenumbers(self) -> tuple[float, ...]:
        return self.scales

    def nodes(self) -> tuple[int, ...]:
        return spread_nodes(self.size, self.scales)


def _directional(function: Any, axis: int) -> Any:
    def derivative(point: Array) -> Array:
        tangent = jnp.zeros_like(point).at[axis].set(1.0)
        return jax.jvp(function, (point,), (tangent,))[1]

    return derivative
