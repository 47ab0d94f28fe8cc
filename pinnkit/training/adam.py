"""Adam with an exponentially decaying rate, through optax."""

from dataclasses import dataclass

import optax

from pinnkit.training.first_order import FirstOrder


@dataclass(frozen=True)
class Adam(FirstOrder):
    """Adam (Kingma & Ba 2015); rate, clipping and rejected updates as in `FirstOrder`."""

    b1: float = 0.9
    b2: float = 0.999

    @property
    def elementwise(self) -> bool:
        return True

    def transform(self, rate: optax.Schedule) -> optax.GradientTransformation:
        return optax.adam(rate, self.b1, self.b2)
