"""One pass through the trial function for all conditions that need the same derivatives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import jax.numpy as jnp

from pinnkit.derivatives.channels import Table
from pinnkit.objective.blocks import Block, Field, Places


def shared_tables(
    parts: Sequence[Block],
    places: Sequence[Places],
    u: Field,
    known: dict[str, Any],
    max_memory: float,
) -> dict[int, Table]:
    """Tables of conditions, by their number, that one pass over all their points gives.

    Fewer and longer passes are quicker, and above all quicker to compile.
    """
    alike = defaultdict(list)
    for index, part in enumerate(parts):
        if part.shareable is not None:
            alike[part.shareable].append(index)
    tables: dict[int, Table] = {}
    for members in alike.values():
        part = parts[members[0]]
        points = [places[index].points for index in members]
        whole = Places(jnp.concatenate(points))
        if len(members) == 1 or part.chunk(u, whole, max_memory) < len(whole.points):
            continue
        table = part.table(u, known, whole)
        ends = list(accumulate(len(p) for p in points))
        for index, p, end in zip(members, points, ends, strict=True):
            tables[index] = {key: rows[end - len(p) : end] for key, rows in table.items()}
    return tables
