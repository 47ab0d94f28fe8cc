"""The function that an operator has learned, as compiled code without pinnkit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.export
import jax.numpy as jnp

from pinnkit import precision
from pinnkit.errors import OptionError
from pinnkit.files import atomic
from pinnkit.methods.neural_operator.field import OperatorField

if TYPE_CHECKING:
    from pinnkit.solution import Solution

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def export_operator(
    solution: Solution, path: str | Path, resolution: tuple[int, ...] | int | None = None
) -> Path:
    """Write (S, *sensors) -> (S, c, *grid) as StableHLO, for any number S of input functions.

    `resolution`: nodes along the axes of the sensors, for networks that mean the same on all
    grids; by default those of the training set. The file needs JAX alone:

        call = jax.export.deserialize(bytearray(pathlib.Path("run.stablehlo").read_bytes())).call

    It runs on CPUs, GPUs and TPUs, takes single precision and can be differentiated once.
    Raises OptionError for a solution that is no operator, or a resolution it cannot have.
    """
    path, field = Path(path), solution.evaluator
    if not isinstance(field, OperatorField):
        raise OptionError(
            f"'{path}': only operators have a function to export, this solution is by "
            f"{solution.method}. Export values to .nc, .npz or .vtu instead."
        )
    with precision.scope(solution.precision):
        if resolution is not None:
            field = _at(field, resolution)
        shape = tuple(axis.n for axis in field.sensors)
        samples = jax.export.symbolic_shape("samples")
        given = jax.ShapeDtypeStruct((*samples, *shape), jnp.float32)

        def fields(functions: jax.Array) -> jax.Array:
            found = jax.vmap(lambda a: field.on_grid(a.astype(field.mean.dtype)))(functions)
            return found.astype(jnp.float32)

        made = jax.export.export(jax.jit(fields), platforms=PLATFORMS)(given)
        content = made.serialize(vjp_order=1)
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return path


def _at(field: OperatorField, resolution: tuple[int, ...] | int) -> OperatorField:
    axes = len(field.sensors)
    shape = resolution if isinstance(resolution, tuple) else (resolution,) * axes
    if len(shape) != axes or not field.map.transfers:
        raise OptionError(
            f"resolution={resolution}: this operator's network belongs to "
            f"{' x '.join(str(a.n) for a in field.sensors)} nodes, or the number of axes differs. "
            "Leave the resolution out."
        )
    return field.regridded(shape)
