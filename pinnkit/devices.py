"""Work shared out among all devices of all processes, row by row.

Rows are whatever stands side by side: collocation points, samples of a batch, experts. The devices
form one axis. What is no row (parameters, optimiser state) is on every device, so that every
process can read it, and writing a file needs no exchange. With one device every function here
hands back what it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

AXIS = "devices"


def count() -> int:
    """Devices among which work can be shared out here: one within work that is shared already."""
    return 1 if AXIS in jax.sharding.get_abstract_mesh().manual_axes else jax.device_count()


def leads() -> bool:
    """Whether this process is the one that writes and speaks."""
    return jax.process_index() == 0


def shared(tree: Any) -> Any:
    """The same arrays (N, ...), each device with its share of the rows.

    Left as they are if N is no multiple of the number of devices.
    """
    if count() == 1 or any(_rows(leaf) % count() for leaf in jax.tree.leaves(tree)):
        return tree
    return _placed(tree, Spec(AXIS))


def everywhere(tree: Any) -> Any:
    """The same arrays, whole on every device; leaves that are no arrays stay what they are."""
    return tree if count() == 1 else _placed(tree, Spec())


def here(tree: Any) -> Any:
    """Arrays that are whole on every device, as arrays of this process alone."""
    if count() == 1:
        return tree

    def copied(leaf: Any) -> Any:
        lives = isinstance(leaf, jax.Array) and not leaf.is_deleted()
        return jnp.asarray(np.asarray(leaf)) if lives else leaf

    return jax.tree.map(copied, tree)


def each(function: Callable[[Any, Any], Any], whole: Any, rows: Any) -> Any:
    """function(whole, rows), for a function that treats every row by itself.

    `rows` and the result are pytrees of arrays (N, ...), `whole` is what all rows need; the
    function may refer to no other arrays. Each device treats its share, and nothing passes between
    devices. If N is no multiple of their number the last row is repeated; if there are fewer rows
    than devices, or leaves of other lengths, every device treats all rows.
    """
    size = _divisible(rows)
    if size is None:
        return function(whole, rows)
    found = _mapped(function, Spec(AXIS), whole, _padded(rows, size))
    return found if size % count() == 0 else jax.tree.map(lambda a: a[:size], found)


def total(function: Callable[..., Any], whole: Any, rows: Any) -> Any:
    """function(whole, rows), for a function that returns sums over the rows.

    With several devices function(whole, share, counted) is summed over these; `counted` (n,) is
    zero for rows that only fill up the last share and one for all others. All that passes between
    devices are the sums and, in reverse mode, the derivatives with respect to `whole`. Shares are
    made as by `each`.
    """
    size = _divisible(rows)
    if size is None:
        return function(whole, rows)
    more = _padded(rows, size)
    counted = (jnp.arange(size + -size % count()) < size).astype(float)

    def share(whole: Any, rows: Any, counted: jax.Array) -> Any:
        return jax.lax.psum(function(whole, rows, counted), AXIS)

    return _mapped(share, Spec(), whole, more, counted)


def alike(function: Callable[..., Any], *given: Any) -> Any:
    """function(*given), all of it on every device, so that nothing passes between them."""
    if count() == 1:
        return function(*given)
    return _mapped(lambda whole: function(*whole), Spec(), given)


def everyones(values: Sequence[float]) -> np.ndarray:
    """The values (n,) of all processes, (processes, n), so that all decide alike.

    All processes must call it.
    """
    own = np.asarray(values, float)
    if jax.process_count() == 1:
        return own[None]
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(own))


def _mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), (AXIS,))


def _mapped(function: Callable[..., Any], out: Spec, whole: Any, *rows: Any) -> Any:
    """function(whole, *rows) with the rows of each device; `out` tells where results are."""
    arrays, static = eqx.partition(whole, eqx.is_array)

    def on_one(arrays: Any, *rows: Any) -> Any:
        return function(eqx.combine(arrays, static), *rows)

    split = (Spec(), *(Spec(AXIS) for _ in rows))
    spread = jax.shard_map(on_one, mesh=_mesh(), in_specs=split, out_specs=out, check_vma=False)
    return spread(arrays, *rows)


def _placed(tree: Any, spec: Spec) -> Any:
    where = NamedSharding(_mesh(), spec)
    place = lambda a: jax.lax.with_sharding_constraint(a, where)  # noqa: E731
    return jax.tree.map(lambda a: place(a) if isinstance(a, jax.Array) else a, tree)


def _rows(leaf: Any) -> int:
    return leaf.shape[0] if leaf.ndim else 1


def _divisible(rows: Any) -> int | None:
    """Number of rows if they are to be shared out, None if not."""
    sizes = {_rows(leaf) for leaf in jax.tree.leaves(rows)}
    size = sizes.pop()
    return None if count() == 1 or sizes or size < count() else size


def _padded(rows: Any, size: int) -> Any:
    """The last row repeated until all shares are equal."""
    spare = -size % count()
    fill = lambda a: jnp.concatenate([a, jnp.repeat(a[-1:], spare, axis=0)])  # noqa: E731
    return jax.tree.map(fill, rows) if spare else rows
