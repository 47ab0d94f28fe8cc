"""Where the cases of a study run at once: processes of this computer, or a Dask cluster."""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import math
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pinnkit.errors import OptionError
from pinnkit.study.case import Case
from pinnkit.study.work import Outcome, Packed, Reference

CONNECT_SECONDS = 5.0
"""How long a scheduler may take to answer."""
_ADDRESS = re.compile(r"(tcp|tls)://([\w.-]+|\[[0-9A-Fa-f:.%\w]+\]):(\d{1,5})")
_MASKABLE = hasattr(signal, "pthread_sigmask")


class Pool(abc.ABC):
    """A place for cases. `slots`: how many of them to hand over at once."""

    slots: float = math.inf

    @abc.abstractmethod
    def submit(
        self, case: Case, reference: Reference, checkpoint: Path
    ) -> concurrent.futures.Future[Outcome]:
        """Start the work on a case."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Ask the running cases to end now; their futures still end, by a result or cancelled."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give the place back."""


class Processes(Pool):
    """Processes of this computer; `rebuild(digest)` must be picklable and make a case again.

    They stand in groups of their own, so that Ctrl-C reaches them by `stop` only, once. Outside
    of a case SIGINT is blocked there: it waits instead of killing a process that is starting.
    A process that dies takes all others with it; the next `submit` then starts new ones.
    """

    def __init__(self, count: int, rebuild: Callable[[str], Case]):
        self.slots = count
        self._rebuild = rebuild
        self._others = {child.pid for child in multiprocessing.active_children()}
        self._count = count
        self._pool = self._begin()

    def _begin(self) -> concurrent.futures.ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return concurrent.futures.ProcessPoolExecutor(self._count, context, _start_process)

    def submit(
        self, case: Case, reference: Reference, checkpoint: Path
    ) -> concurrent.futures.Future[Outcome]:
        work = (_work_in_process, self._rebuild, case.digest, reference, checkpoint)
        with _sigint("SIG_BLOCK"):  # inherited by the process that this may start
            try:
                return self._pool.submit(*work)
            except concurrent.futures.BrokenExecutor:
                self._pool = self._begin()
                return self._pool.submit(*work)

    def stop(self) -> None:
        for child in multiprocessing.active_children():
            if child.pid is not None and child.pid not in self._others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGINT)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _start_process() -> None:
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _sigint(how: str) -> Iterator[None]:
    """SIGINT blocked or unblocked in this thread, where the system knows that."""
    if not _MASKABLE:
        yield
        return
    before = signal.pthread_sigmask(getattr(signal, how), {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work_in_process(
    rebuild: Callable[[str], Case], digest: str, reference: Reference, checkpoint: Path
) -> Outcome:
    from pinnkit.study.work import work

    with _sigint("SIG_UNBLOCK"):
        return work(rebuild(digest), reference, checkpoint)


class Cluster(Pool):
    """The workers of a Dask scheduler, on any computers. They need pinnkit, not the study's file.

    Cases travel as data and come back as bytes. A running case there cannot be stopped midway:
    `stop` drops it, and it starts anew at the next call. A reference that is a file must stand
    at the same path on the workers.

    Raises `OptionError` for an address that is malformed or does not answer, and if `distributed`
    is not installed.
    """

    def __init__(self, address: str):
        distributed = check_scheduler(address)
        try:
            self._client = distributed.Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, ValueError, TypeError) as error:
            raise OptionError(
                f"--scheduler {address}: no Dask scheduler answers ({error}). "
                "Start one with `dask scheduler` and workers with `dask worker ADDRESS`, "
                "and give the address that it prints."
            ) from error
        self._executor = self._client.get_executor(pure=False)

    def submit(
        self, case: Case, reference: Reference, checkpoint: Path
    ) -> concurrent.futures.Future[Outcome]:
        return self._executor.submit(Packed.work, Packed.of(case, reference))

    def stop(self) -> None:
        self._executor.shutdown(wait=False)

    def close(self) -> None:
        self._client.close()


def check_scheduler(address: str):
    """The package `distributed`, if it is there and the address can be one; else `OptionError`."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[3]) < 2**16:
        raise OptionError(
            f"--scheduler {address}: not an address. Write for example tcp://127.0.0.1:8786."
        )
    try:
        import distributed
    except ImportError as error:
        raise OptionError(
            f"--scheduler {address}: the package 'distributed' is missing. "
            "Install it with pip install 'pinnkit[cluster]', or use --workers."
        ) from error
    return distributed
