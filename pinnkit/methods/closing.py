"""When a network, or that of a window in time, is good enough to stop training it."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from pinnkit.methods.held_out import least_weight
from pinnkit.objective import ResidualObjective
from pinnkit.training import Look


@dataclass(frozen=True, eq=False)
class Closing:
    """Ends a fit where everything that is asked of its best parameters holds.

    Asked are the certificate of the causal weights, at places of `key` that are not used in
    training, and that the root of the validation score is not above `tolerance`; either may be
    absent, and a fit of which nothing is asked goes on.
    """

    objective: ResidualObjective
    key: jax.Array
    tolerance: float | None

    def __call__(self, look: Look) -> str | None:
        """What holds, in words, once all of it does."""
        words = []
        if self.tolerance is not None:
            if not look.score**0.5 <= self.tolerance:
                return None
            words.append(f"the tolerance {self.tolerance:g} was reached")
        if self.objective.slabs is not None and self.objective.slabs.rule.stop:
            if not self._certified(look):
                return None
            words.append("the certificate holds")
        return " and ".join(words) or None

    def _certified(self, look: Look) -> bool:
        assert self.objective.slabs is not None
        rule, epsilon = self.objective.slabs.rule, look.row["epsilon"]
        if not rule.certifies(1.0, epsilon):  # the last rung is still to come
            return False
        return rule.certifies(least_weight(self.objective, look.best(), epsilon, self.key), epsilon)
