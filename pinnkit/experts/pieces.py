"""Features tabulated expert by expert; experts with equal local points share one table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pinnkit.compile import Term
from pinnkit.derivatives import basis as along_basis
from pinnkit.experts.bases import Basis, Orders
from pinnkit.experts.collocation import Points
from pinnkit.experts.layout import Boxes
from pinnkit.experts.points import place_key


@dataclass(frozen=True)
class Piece:
    """The points `where` of one expert, with the derivatives of its features there."""

    expert: int
    where: slice
    tables: Mapping[Orders, np.ndarray]


def runs(labels: np.ndarray) -> Sequence[slice]:
    """Slices of equal consecutive labels."""
    if not len(labels):
        return []
    cuts = [0, *(np.nonzero(np.diff(labels))[0] + 1).tolist(), len(labels)]
    return [slice(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


def pieces(basis: Basis, points: Points, terms: Iterable[Term]) -> tuple[Piece, ...]:
    """Tabulate `terms` at points sorted by owner, once for every distinct set of local points."""
    known: dict[bytes, Mapping[Orders, np.ndarray]] = {}
    found, terms = [], tuple(terms)
    for where in runs(points.owner):
        local = points.local[where]
        key = place_key(local)
        if key not in known:
            known[key] = along_basis.tabulate(basis, local, terms)
        found.append(Piece(int(points.owner[where.start]), where, known[key]))
    return tuple(found)


def piecewise_values(
    parts: Sequence[Piece],
    boxes: Boxes,
    coefficients: np.ndarray,
    fields: Sequence[str],
    terms: Sequence[Term],
) -> dict[Term, np.ndarray]:
    """Values (P,) of the terms; `coefficients` (K, fields, n)."""
    count = parts[-1].where.stop if parts else 0
    values = {term: np.empty(count) for term in terms}
    for part in parts:
        k = part.expert
        own = along_basis.term_values(part.tables, boxes.half[k], coefficients[k], fields, terms)
        for term, value in own.items():
            values[term][part.where] = value
    return values


def piecewise_rows(
    parts: Sequence[Piece],
    boxes: Boxes,
    weights: Mapping[Term, np.ndarray],
    fields: Sequence[str],
) -> Iterator[tuple[Piece, np.ndarray]]:
    """Rows sum_T weights[T] T[phi] of each piece in turn, (points, fields * n)."""
    for part in parts:
        own = {term: weight[part.where] for term, weight in weights.items()}
        yield part, along_basis.rows(part.tables, boxes.half[part.expert], own, fields)
