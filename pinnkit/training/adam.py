"""Adam, through optax."""

from dataclasses import dataclass

import optax

from pinnkit.training.first_order import FirstOrder


@dataclass(frozen=True)
class Adam(FirstOrder):
    """Adam (Kingma & Ba 2015); rate, clipping and rejected updates as in `FirstOrder`.

    `weight_decay` times the rate draws parameters to zero in every step, beside the update
    (AdamW, Loshchilov & Hutter 2019).
    """

    b1: float = 0.9
    b2: float = 0.999
    weight_decay: float = 0.0

    @property
    def elementwise(self) -> bool:
        return True

    def transform(self, rate: optax.Schedule) -> optax.GradientTransformation:
        return optax.adamw(rate, self.b1, self.b2, weight_decay=self.weight_decay)
