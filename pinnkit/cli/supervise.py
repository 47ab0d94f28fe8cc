"""A command as one of several processes, with another beside it that says how it ended.

JAX aborts a process when the coordinator no longer answers; nothing within it can say a word then.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pinnkit.cli.program import tidy
from pinnkit.errors import LostProcess

if TYPE_CHECKING:
    from pinnkit.hosts import Place


def supervise(task: Callable[[], None], place: Place, checkpoint: Path | None) -> None:
    """Run `task` in a child process that joins the others, and end with its exit status.

    Ctrl-C reaches the child by itself, as it does all processes of a terminal or of a SLURM step.
    Raises `LostProcess` where the child was ended by a signal.
    """
    from pinnkit.hosts import kept

    child = multiprocessing.get_context("spawn").Process(target=_joined, args=(task, place))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        child.start()
        child.join()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    status = child.exitcode or 0
    if status < 0:
        name = signal.Signals(-status).name
        raise LostProcess(
            f"{place} was ended by {name}"
            + (", as JAX does when another one no longer answers" if name == "SIGABRT" else "")
            + f". {kept(checkpoint)}"
        )
    raise typer.Exit(status)


def _joined(task: Callable[[], None], place: Place) -> None:
    """The child: join, run, leave; what other processes wait for is not waited for after errors."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    status = 1
    try:
        tidy(lambda: _run(task, place))()
        status = 0
    except typer.Exit as end:
        status = end.exit_code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(task: Callable[[], None], place: Place) -> None:
    from pinnkit import hosts

    hosts.join(place)
    ended: typer.Exit | None = None
    try:
        task()
    except typer.Exit as end:
        ended = end
    hosts.leave()
    if ended is not None:
        raise ended


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
