"""Small objectives with known minima that several test files share."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.training import Objective, Rows


class Rosenbrock(Objective):
    """sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2, minimum 0 at ones."""

    def sample(self, key, params, step, previous=None):
        return jnp.zeros(0)

    def loss(self, params, batch):
        a, b = params[:-1], params[1:]
        value = jnp.sum(100 * (b - a**2) ** 2 + (1 - a) ** 2)
        return value, {"value": value}

    def rows(self, params, batch):
        def pair(x, i):
            a, b = x[i], x[i + 1]
            return jnp.stack([10 * (b - a**2), 1 - a])

        count = params.size - 1
        return (Rows(pair, jnp.arange(count), jnp.ones((count, 2))),)


class Linear(Objective):
    """|W (A x - b)|^2 with a weight for every row."""

    matrix: jax.Array
    right: jax.Array
    weights: jax.Array

    def sample(self, key, params, step, previous=None):
        return jnp.zeros(0)

    def loss(self, params, batch):
        miss = self.weights * (self.matrix @ params - self.right)
        value = miss @ miss
        return value, {"value": value}

    def rows(self, params, batch):
        def row(x, place):
            a, b = place
            return (a @ x - b)[None]

        return (Rows(row, (self.matrix, self.right), self.weights[:, None]),)


def linear(seed: int, m: int, n: int, condition: float = 1e3) -> Linear:
    """A random linear problem whose matrix has the given condition number."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((m, min(m, n))))
    right, _ = np.linalg.qr(rng.standard_normal((n, min(m, n))))
    matrix = left * np.logspace(0, -np.log10(condition), min(m, n)) @ right.T
    weights = rng.uniform(0.5, 2, m)
    return Linear(*(jnp.asarray(a) for a in (matrix, rng.standard_normal(m), weights)))


class Regression(Objective):
    """Least squares on points that every batch draws anew."""

    def sample(self, key, params, step, previous=None):
        return jax.random.uniform(key, (16,))

    def miss(self, params, z):
        line = params["line"][0] + params["line"][1] * z
        guess = line + jnp.sin(params["wave"][0] * z)
        return guess - jnp.exp(z) * jnp.cos(z)

    def head(self, params):
        return (params["line"],)

    def loss(self, params, batch):
        size = jnp.mean(self.miss(params, batch) ** 2)
        return size, {"data": size}

    def rows(self, params, batch):
        weights = jnp.full((batch.size, 1), batch.size**-0.5)
        return (Rows(lambda p, z: self.miss(p, z)[None], batch, weights),)


class Wall(Linear):
    """A linear problem whose loss is not a number where x_0 > limit."""

    limit: float = eqx.field(static=True, default=1.2)

    def loss(self, params, batch):
        value, squares = super().loss(params, batch)
        value = jnp.where(params[0] > self.limit, jnp.nan, value)
        return value, {name: jnp.where(jnp.isnan(value), value, v) for name, v in squares.items()}

    def rows(self, params, batch):
        (part,) = super().rows(params, batch)
        bad = lambda x: jnp.where(x[0] > self.limit, jnp.nan, 1.0)  # noqa: E731
        return (Rows(lambda x, p: bad(x) * part.function(x, p), part.places, part.weights),)
