"""Run the cases of a study, each once; stop and resume at will."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from pathlib import Path
from typing import Any

import pandas as pd

from pinnkit import files
from pinnkit.errors import MethodError, OptionError, SpecError
from pinnkit.interrupt import on_interrupt
from pinnkit.solution import Solution
from pinnkit.spec.load import execute
from pinnkit.study.case import Case
from pinnkit.study.pools import Cluster, Pool, Processes
from pinnkit.study.work import FAILED, INTERRUPTED, Outcome, Reference, work

POLL_SECONDS = 0.3
"""How soon Ctrl-C is noticed while other processes work."""


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
    reference: Reference = None
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
        workers: int | None = None,
        scheduler: str | None = None,
        on_case: Callable[[Case, dict[str, Any]], None] = lambda case, record: None,
        retry_failed: bool = False,
    ) -> pd.DataFrame:
        """Run what is not done yet and return the table.

        - `workers` > 1 runs cases in that many processes; the study must then come from a file
          (`load_study`).
        - `scheduler`, such as "tcp://host:8786", runs them on the workers of a Dask scheduler.
        - `on_case` hears of every finished case.

        Only this process writes into the folder. Ctrl-C stops and notes the running cases as
        interrupted; calling `run` again carries on.

        Raises `OptionError` for options out of range or a scheduler that does not answer, and
        `MethodError` if cases were lost, because their worker ended or their code broke.
        """
        if workers is not None and scheduler is not None:
            raise OptionError(
                "--workers and --scheduler exclude each other. Give --workers for processes of "
                "this computer, or --scheduler for a Dask cluster, whose workers it has itself."
            )
        if workers is not None and workers < 1:
            raise OptionError(f"--workers {workers}: give at least 1.")
        pending = [case for case in self.cases if self._is_pending(case, retry_failed)]
        if pending and (scheduler is not None or (workers or 1) > 1):
            self._run_on(lambda: self._pool(workers, scheduler), pending, on_case)
        else:
            for case in pending:
                outcome = work(case, self.reference, self._checkpoint(case))
                self._keep(case, outcome, on_case)
                if outcome.record["status"] == INTERRUPTED:
                    raise KeyboardInterrupt
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

    def overview(self) -> pd.DataFrame:
        """The table for people: what tells the cases apart, status, time, estimates, errors."""
        table = self.table()
        names = dict.fromkeys(name for case in self.cases for name in case.columns)
        present = [name for name in names if name in table]
        differ = [name for name in present if len(set(map(str, table[name]))) > 1]
        results = [
            name
            for name in table
            if name in ("status", "wall_s") or str(name).startswith(("estimate_", "rel_l2_"))
        ]
        return table.filter(items=[*(differ or present), *results])

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

    def _checkpoint(self, case: Case) -> Path:
        return self._record_path(case).with_suffix(".checkpoint.h5")

    def _keep(
        self, case: Case, outcome: Outcome, on_case: Callable[[Case, dict[str, Any]], None]
    ) -> None:
        """Write what came back; the record goes last, as it says that the rest is there."""
        path = self._record_path(case)
        if outcome.run_file is not None:
            with files.atomic(path.with_suffix(".h5")) as temporary:
                temporary.write_bytes(outcome.run_file)
        with files.atomic(path) as temporary:
            temporary.write_text(json.dumps({"digest": case.digest, **outcome.record}, indent=1))
        if outcome.record["status"] != INTERRUPTED:
            self._checkpoint(case).unlink(missing_ok=True)
        self.write_table()
        on_case(case, outcome.record)

    def _pool(self, workers: int | None, scheduler: str | None) -> Pool:
        if scheduler is not None:
            return Cluster(scheduler)
        if self.source is None:
            raise OptionError(
                f"Study '{self.name}' was not loaded from a file, so other processes cannot "
                "rebuild it. Use workers=1, or load_study(path)."
            )
        return Processes(workers or 1, functools.partial(_case_of, self.source))

    def _run_on(
        self,
        open_pool: Callable[[], Pool],
        pending: list[Case],
        on_case: Callable[[Case, dict[str, Any]], None],
    ) -> None:
        with contextlib.closing(open_pool()) as pool, on_interrupt() as interrupted:
            lost: list[str] = []
            try:
                for case, job in self._finished(pool, pending, interrupted):
                    outcome, loss = _result(job)
                    if outcome is not None:
                        self._keep(case, outcome, on_case)
                    elif not interrupted():
                        lost.append(f"{case.columns}: {loss}")
            except BaseException:
                pool.stop()
                raise
        if interrupted():
            raise KeyboardInterrupt
        if lost:
            raise MethodError(
                f"Study '{self.name}' lost {len(lost)} cases, first {lost[0]}. "
                "Mend the cause and run the study again; finished cases are kept."
            )

    def _finished(
        self, pool: Pool, pending: list[Case], interrupted: Callable[[], bool]
    ) -> Iterator[tuple[Case, Future[Outcome]]]:
        """Cases as their work ends. After Ctrl-C none is begun, and the running ones end.

        A process that dies, for want of memory for example, takes the running cases with it: they
        are begun once more at the end, one by one, so that only those at fault are lost.
        """
        waiting, jobs, stopped = collections.deque(pending), {}, False
        suspects: collections.deque[Case] = collections.deque()
        alone: set[Case] = set()

        def begin(case: Case) -> None:
            jobs[pool.submit(case, self.reference, self._checkpoint(case))] = case

        while jobs or ((waiting or suspects) and not interrupted()):
            while waiting and len(jobs) < pool.slots and not interrupted():
                begin(waiting.popleft())
            if suspects and not jobs and not interrupted():
                alone.add(suspects[0])
                begin(suspects.popleft())
            if interrupted() and not stopped:
                pool.stop()
                stopped = True
            ended, _ = wait(jobs, POLL_SECONDS, FIRST_COMPLETED)
            for job in ended:
                case = jobs.pop(job)
                if _was_broken(job) and case not in alone:
                    suspects.append(case)
                else:
                    yield case, job


def _was_broken(job: Future[Outcome]) -> bool:
    return not job.cancelled() and isinstance(job.exception(), BrokenExecutor)


def _result(job: Future[Outcome]) -> tuple[Outcome | None, str]:
    if job.cancelled():
        return None, "the scheduler dropped it"
    error = job.exception()
    if error is not None:
        return None, f"{type(error).__name__}: {error}"
    return job.result(), ""


def _case_of(source: Path, digest: str) -> Case:
    for case in load_study(source).cases:
        if case.digest == digest:
            return case
    raise SpecError(f"Study file '{source}' has changed while it ran. Run the study again.")


def load_study(path: str | Path) -> Study:
    """The `study` of a Python file, which is run: load only files that you trust.

    Raises `SpecError` if the file is missing, fails, or defines no study.
    """
    path = Path(path)
    module = execute(path, "Study")
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        raise SpecError(
            f"Study file '{path}' defines no `study`. End it with `study = Study(name, cases)`."
        )
    return dataclasses.replace(study, source=path)
