"""What is wrong with data, in words: before hours are spent on learning from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from pinnkit.data.dataset import Dataset
from pinnkit.data.scattered import Scattered

CHUNK = 256
LISTED = 5


def findings(dataset: Dataset | Scattered) -> list[str]:
    """Complaints about a dataset, each a sentence; none if nothing was found.

    Samples that are not finite, functions or fields that are the same in all samples, input
    functions that occur twice, and samples that contradict each other (equal inputs with
    different outputs).
    """
    bad: list[int] = []
    seen: dict[bytes, int] = {}
    twice, contradictory = [], []
    low: list[np.ndarray] = []
    high: list[np.ndarray] = []
    answers: dict[int, bytes] = {}
    for start in range(0, len(dataset), CHUNK):
        inputs, outputs = dataset.arrays(slice(start, start + CHUNK))
        for i, (a, u) in enumerate(zip(inputs, outputs, strict=True), start):
            if not (np.isfinite(a).all() and np.isfinite(u).all()):
                bad.append(i)
                continue
            first = seen.setdefault(_mark(a), i)
            answers[i] = _mark(u)
            if first != i:
                twice.append((first, i))
                if answers[first] != answers[i]:
                    contradictory.append((first, i))
        flat = [inputs, *(outputs[:, c] for c in range(outputs.shape[1]))]
        low.append(np.array([f.min() for f in flat]))
        high.append(np.array([f.max() for f in flat]))
    names = (dataset.function, *dataset.fields)
    lowest, highest = np.min(low, axis=0), np.max(high, axis=0)
    found = []
    if bad:
        found.append(f"{len(bad)} samples hold values that are not finite: {_listed(bad)}")
    found += [
        f"'{name}' is {value:g} everywhere in all samples"
        for name, value, top in zip(names, lowest, highest, strict=True)
        if value == top
    ]
    if twice:
        found.append(
            f"{len(twice)} input functions occur more than once: "
            + _listed(f"{i} = {k}" for k, i in twice)
        )
    if contradictory:
        found.append(
            f"{len(contradictory)} of them have different solutions: "
            + _listed(f"{k} and {i}" for k, i in contradictory)
        )
    return found


def shared(training: Iterable[str], test: Dataset | Scattered) -> int:
    """How many input functions of the test set are among the `marks` of a training set."""
    known = set(training)
    return sum(mark in known for mark in marks(test))


def _rows(dataset: Dataset | Scattered):
    for start in range(0, len(dataset), CHUNK):
        yield from np.asarray(dataset.inputs[slice(start, start + CHUNK)])


def marks(dataset: Dataset | Scattered) -> list[str]:
    """A short mark of each input function, equal for those that agree in single precision."""
    return [_mark(a).hex()[:12] for a in _rows(dataset)]


def _mark(array: np.ndarray) -> bytes:
    return hashlib.blake2b(np.asarray(array, np.float32).tobytes(), digest_size=16).digest()


def _listed(items) -> str:
    words = [str(item) for item in items]
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return ", ".join(words[:LISTED]) + more
