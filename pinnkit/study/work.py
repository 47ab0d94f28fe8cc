"""The work on one case, wherever it runs: solve, measure, and hand the result back as data."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pinnkit.errors import PinnkitError
from pinnkit.known import KNOWN
from pinnkit.methods.base import Method
from pinnkit.solution import Solution
from pinnkit.solve import solve
from pinnkit.store.codec import Decoder, Encoder
from pinnkit.study.case import Case

DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"
Reference = Method | str | Path | None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The record of a case and the bytes of its run file, None if there is no solution."""

    record: dict[str, Any]
    run_file: bytes | None = None


def work(case: Case, reference: Reference, checkpoint: Path | None) -> Outcome:
    """Solve and measure a case; errors raised on purpose and Ctrl-C become its record."""
    try:
        solution = solve(
            case.problem,
            case.method,
            key=case.key,
            seconds=case.seconds,
            precision=case.precision,
            checkpoint=checkpoint,
            quiet=True,
        )
        return Outcome(_measure(case, solution, reference), _run_file(solution))
    except PinnkitError as error:
        return Outcome({"status": FAILED, "reason": str(error)})
    except KeyboardInterrupt:
        return Outcome({"status": INTERRUPTED, "reason": "interrupted before a first result"})


def _measure(case: Case, solution: Solution, reference: Reference) -> dict[str, Any]:
    status = DONE if solution.status.ok else FAILED
    if solution.status.interrupted:
        status = INTERRUPTED
    record: dict[str, Any] = {"status": status, "reason": solution.status.reason}
    record |= {k: v for k, v in solution.stats.items() if np.isscalar(v)}
    for name, error in (solution.error_estimate or {}).items():
        record[f"estimate_{name}"] = float(error)
    if reference is not None and status == DONE:
        record |= _compare(case, solution, reference, record["reason"])
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in record.items()}


def _compare(
    case: Case, solution: Solution, reference: Method | str | Path, reason: str
) -> dict[str, Any]:
    """Errors by field; none where the reference itself is unfinished or unsolved."""
    if isinstance(reference, Method):
        other = solve(case.problem, reference, quiet=True)
        if other.status.interrupted:
            return {"status": INTERRUPTED, "reason": "interrupted while solving the reference"}
        if not other.status.ok:
            return {"reason": f"{reason}; the reference is not solved: {other.status.reason}"}
        reference = other  # type: ignore[assignment]
    fields = solution.compare(reference).to_json()["fields"]  # type: ignore[arg-type]
    return {f"rel_l2_{name}": norms["rel_l2"] for name, norms in fields.items()}


def _run_file(solution: Solution) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        solution.save(path)
        return path.read_bytes()


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """A case that can travel: SymPy's classes cannot be pickled, so the problem goes as data."""

    tree: str
    arrays: tuple[np.ndarray, ...]
    method: Method | None
    key: int
    seconds: float | None
    precision: str
    reference: Reference

    @classmethod
    def of(cls, case: Case, reference: Reference) -> Packed:
        encoder = Encoder(KNOWN)
        tree = json.dumps(encoder(case.problem))
        options = (case.method, case.key, case.seconds, case.precision)
        if isinstance(reference, (str, Path)):
            reference = Path(reference).resolve()
        return cls(tree, tuple(encoder.arrays), *options, reference)

    def work(self) -> Outcome:
        problem = Decoder(KNOWN, list(self.arrays))(json.loads(self.tree))
        case = Case(problem, self.method, self.key, self.seconds, self.precision)
        return work(case, self.reference, None)
