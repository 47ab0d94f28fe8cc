"""A solution without a solver: closed forms on a domain, with the interface that reports need."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from pinnkit.solution import Status


@dataclass(frozen=True)
class Stand:
    """Stands in for `Solution`: `formulas[name](**coordinates)`."""

    domain: object
    formulas: Mapping[str, Callable]
    error_estimate: Mapping[str, float] | None = None
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    eigenvalues: Mapping[str, float] = field(default_factory=dict)
    method: str = "Stand"
    status: Status = Status(True, "in closed form")

    @property
    def fields(self):
        return tuple(self.formulas)

    @property
    def problem(self):
        names = sorted({level.partition("[")[0] for level in self.eigenvalues})
        return SimpleNamespace(
            name="formula",
            domain=self.domain,
            field_names=self.fields,
            eigenvalues=[SimpleNamespace(name=n) for n in names],
        )

    def at_points(self, points):
        places = dict(zip(self.domain.axes, points.T, strict=True))
        columns = [f(**places) for f in self.formulas.values()]
        return np.stack([np.broadcast_to(c, len(points)) for c in columns], axis=1)


def decay(t, x):
    return np.exp(-t) * np.sin(np.pi * x)


def swirl(x, y):
    return np.sin(np.pi * x) * np.cos(np.pi * y)
