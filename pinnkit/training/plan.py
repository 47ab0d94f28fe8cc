"""Which algorithms to run, from the size of the network and the budget."""

from pinnkit.errors import OptionError
from pinnkit.training.gauss_newton_cg import GaussNewtonCG
from pinnkit.training.lbfgs import LBFGS
from pinnkit.training.soap import SOAP
from pinnkit.training.ssbfgs import SSBFGS
from pinnkit.training.stage import Stage

DENSE = 5000
"""Parameters up to which a dense inverse Hessian (8 P^2 bytes, touched thrice a step) pays."""
ENDLESS = 1_000_000
"""Steps of the last stage where a time budget ends it."""
WARM = 2000
"""Steps of SOAP at most before a stage that needs a fair start."""


def default_stages(
    parameters: int,
    seconds: float | None = None,
    *,
    steps: int = 4000,
    residuals: bool = True,
) -> tuple[Stage, ...]:
    """Stages for `parameters` trained numbers.

    - Up to 5000 parameters: SSBFGS from the first step. Warming up by first-order steps, starting
      from a Gauss-Newton matrix and Levenberg-Marquardt cost more than they gained (Burgers,
      cavity, Poisson).
    - Above: SOAP, which needs no more memory than a few gradients, and then Gauss-Newton by
      conjugate gradients, or L-BFGS where the objective has no `residuals`.

    With a budget of `seconds` the last stage goes on until it ends; else all take `steps` together,
    of which one of conjugate gradients counts for twenty. Raises `OptionError` for numbers that
    are not positive.
    """
    for name, value in {"parameters": parameters, "steps": steps}.items():
        if value < 1:
            raise OptionError(
                f"default_stages({name}={value!r}) is not a count. Give a positive whole number."
            )
    if parameters <= DENSE:
        return (SSBFGS(steps=steps if seconds is None else ENDLESS),)
    warm = max(min(WARM, steps // 2), 1)
    rest = steps - warm if seconds is None else ENDLESS
    finish = GaussNewtonCG(steps=rest // 20) if residuals else LBFGS(steps=rest)
    return SOAP(steps=warm, learning_rate=3e-3, resample_every=10), finish
