"""Run the cases of a study, each once; stop and resume at will."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib.util
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pinnkit import files
from pinnkit.errors import OptionError, PinnkitError, SpecError
from pinnkit.methods.base import Method
from pinnkit.solution import Solution
from pinnkit.solve import solve
from pinnkit.study.case import Case

DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """Named cases with one folder of results, `folder/name`.

    - `reference`: a method or a file to which every solution is compared (optional).
    - The folder holds a run file and a record per case, named by the case's digest, and the
      table as `table.csv` and `table.parquet`, rewritten after every case.

    A case whose record says done or failed is skipped; an interrupted one is run again.

    Raises `OptionError` for an empty study, and for two equal cases.
    """

    name: str
    cases: tuple[Case, ...]
    reference: Method | str | Path | None = None
    folder: Path = Path("runs")
    source: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "cases", tuple(self.cases))
        if not self.cases:
            raise OptionError(f"Study '{self.name}' has no cases. Give some, e.g. by sweep(...).")
        seen: dict[str, Case] = {}
        for case in self.cases:
            if case.digest in seen:
                raise OptionError(
                    f"Study '{self.name}' holds two equal cases: {case.columns}. Remove one."
                )
            seen[case.digest] = case

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.name

    def run(
        self,
        *,
        workers: int = 1,
        on_case: Callable[[Case, dict[str, Any]], None] = lambda case, record: None,
        retry_failed: bool = False,
    ) -> pd.DataFrame:
        """Run what is not done yet and return the table.

        `workers` > 1 runs cases in that many processes; the study must then come from a file
        (`load_study`). `on_case` hears of every finished case. Ctrl-C stops after noting the
        present case as interrupted; calling `run` again carries on.
        """
        if workers < 1:
            raise OptionError(f"workers={workers}: give at least 1.")
        pending = [case for case in self.cases if self._is_pending(case, retry_failed)]
        if workers == 1:
            for case in pending:
                record = self._run_case(case)
                on_case(case, record)
                self.write_table()
                if record["status"] == INTERRUPTED:
                    raise KeyboardInterrupt
        else:
            self._run_parallel(pending, workers, on_case)
        return self.write_table()

    def record(self, case: Case) -> dict[str, Any] | None:
        """The record of a case, or None if it has none."""
        path = self._record_path(case)
        return json.loads(path.read_text()) if path.is_file() else None

    def solution(self, case: Case) -> Solution:
        """The saved solution of a case that is done."""
        return Solution.load(self._record_path(case).with_suffix(".h5"))

    def table(self) -> pd.DataFrame:
        """One row per case with a record: identity, status, time, residuals, errors."""
        rows = [{**c.columns, **r} for c in self.cases if (r := self.record(c)) is not None]
        return pd.DataFrame(rows)

    def write_table(self) -> pd.DataFrame:
        """Write `table.csv` and `table.parquet` and return the table."""
        table = self.table()
        with files.atomic(self.path / "table.csv") as temporary:
            table.to_csv(temporary, index=False)
        with files.atomic(self.path / "table.parquet") as temporary:
            table.to_parquet(temporary, index=False)
        return table

    def _record_path(self, case: Case) -> Path:
        return self.path / f"{case.digest[:16]}.json"

    def _is_pending(self, case: Case, retry_failed: bool) -> bool:
        record = self.record(case)
        if record is None or record["status"] == INTERRUPTED:
            return True
        return retry_failed and record["status"] == FAILED

    def _run_case(self, case: Case) -> dict[str, Any]:
        path = self._record_path(case)
        checkpoint = path.with_suffix(".checkpoint.h5")
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
        except PinnkitError as error:
            record = {"status": FAILED, "reason": str(error)}
        except KeyboardInterrupt:
            record = {"status": INTERRUPTED, "reason": "interrupted before a first result"}
        else:
            record = self._measure(case, solution)
            solution.save(path.with_suffix(".h5"))
            if record["status"] != INTERRUPTED:
                checkpoint.unlink(missing_ok=True)
        with files.atomic(path) as temporary:
            temporary.write_text(json.dumps({"digest": case.digest, **record}, indent=1))
        return record

    def _measure(self, case: Case, solution: Solution) -> dict[str, Any]:
        status = DONE if solution.status.ok else FAILED
        if solution.status.interrupted:
            status = INTERRUPTED
        record = {"status": status, "reason": solution.status.reason}
        record |= {k: v for k, v in solution.stats.items() if np.isscalar(v)}
        for name, error in (solution.error_estimate or {}).items():
            record[f"estimate_{name}"] = float(error)
        if self.reference is not None and status == DONE:
            other = self.reference
            if isinstance(other, Method):
                other = solve(case.problem, other, quiet=True)
            for name, norms in solution.compare(other).to_json()["fields"].items():
                record[f"rel_l2_{name}"] = norms["rel_l2"]
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in record.items()}

    def _run_parallel(
        self, pending: list[Case], workers: int, on_case: Callable[[Case, dict[str, Any]], None]
    ) -> None:
        if self.source is None:
            raise OptionError(
                f"Study '{self.name}' was not loaded from a file, so other processes cannot "
                "rebuild it. Use workers=1, or load_study(path)."
            )
        context = multiprocessing.get_context("spawn")
        by_digest = {case.digest: case for case in pending}
        with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
            jobs = {
                pool.submit(_run_in_process, self.source, self.folder, digest): digest
                for digest in by_digest
            }
            for job in concurrent.futures.as_completed(jobs):
                on_case(by_digest[jobs[job]], job.result())
                self.write_table()


def _run_in_process(source: Path, folder: Path, digest: str) -> dict[str, Any]:
    study = dataclasses.replace(load_study(source), folder=folder)
    case = next(case for case in study.cases if case.digest == digest)
    return study._run_case(case)


def load_study(path: str | Path) -> Study:
    """The `study` of a Python file, which is run: load only files that you trust.

    Raises `SpecError` if the file is missing or defines no study.
    """
    path = Path(path)
    if not path.is_file():
        raise SpecError(f"Study file '{path}' does not exist. Check the path.")
    specification = importlib.util.spec_from_file_location(f"_pinnkit_study_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise SpecError(f"Study file '{path}' is not a Python file. Give a file ending in .py.")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        raise SpecError(
            f"Study file '{path}' defines no `study`. End it with `study = Study(name, cases)`."
        )
    return dataclasses.replace(study, source=path)
