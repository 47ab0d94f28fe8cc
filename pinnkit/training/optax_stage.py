"""Any of optax's algorithms, by name."""

from dataclasses import dataclass

import optax
import optax.contrib

from pinnkit.errors import OptionError
from pinnkit.training.first_order import FirstOrder

PLAIN = ("adabelief", "adamax", "adamw", "adan", "amsgrad", "lion", "nadam", "nadamw", "radam")
CONTRIBUTED = ("ademamix", "adopt", "muon")
MATRICES = ("muon",)
NAMES = tuple(sorted((*PLAIN, *CONTRIBUTED, "rmsprop", "sgd", "yogi")))


@dataclass(frozen=True)
class Optax(FirstOrder):
    """The optax algorithm `algorithm`, such as "adamw", "lion" or "muon", with its `options`.

    `options` are keyword arguments of the optax function, as pairs: (("weight_decay", 1e-4),).
    Algorithms that treat matrices apart (Muon) see the parameters in their own shapes.

    Raises `OptionError` for an unknown algorithm (the message lists them) or option.
    """

    algorithm: str = "adamw"
    options: tuple[tuple[str, float | bool], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.algorithm not in NAMES:
            raise OptionError(
                f"Optax(algorithm={self.algorithm!r}) is unknown. Choose one of {', '.join(NAMES)}."
            )
        try:
            self.transform(lambda _: 1e-3)
        except TypeError as error:
            raise OptionError(
                f"Optax({self.algorithm!r}) cannot take its options {self.options!r} ({error}). "
                "Give (name, value) pairs that the optax function takes."
            ) from error

    @property
    def name(self) -> str:
        return self.algorithm

    @property
    def elementwise(self) -> bool:
        return self.algorithm not in MATRICES

    def transform(self, rate: optax.Schedule) -> optax.GradientTransformation:
        home = optax.contrib if self.algorithm in CONTRIBUTED else optax
        return getattr(home, self.algorithm)(rate, **dict(self.options))
