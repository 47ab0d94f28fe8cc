"""Several processes as one run: how they find each other, and what is said when one is lost.

Every process runs the same program on the same input; JAX joins their devices, and process 0 alone
writes and speaks (`pinnkit.devices`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jax

from pinnkit.errors import LostProcess, OptionError

AUTO = "auto"
WRITING_SECONDS = 3600
"""How long processes wait at the end for the one that writes."""
SIGNS = ("gloo", "nccl", "coordination", "heartbeat", "unavailable", "deadline_exceeded", "peer")
"""Words in errors of JAX by which a lost process shows; they have no type of their own."""


@dataclass(frozen=True)
class Place:
    """Which of how many processes this is, and where process 0 listens.

    What is not given is found by JAX, which knows SLURM, Open MPI and Kubernetes; the address
    "auto" leaves all of it to JAX. A process that is silent for `heartbeat` seconds is lost.

    Raises `OptionError` for numbers out of range or an address without a port.
    """

    coordinator: str = AUTO
    processes: int | None = None
    process: int | None = None
    heartbeat: float = 60.0

    def __post_init__(self) -> None:
        host, _, port = self.coordinator.rpartition(":")
        if self.coordinator != AUTO and not (host and port.isdigit()):
            raise OptionError(
                f"--coordinator {self.coordinator}: no address. Write HOST:PORT, such as "
                f"node1:12345, or {AUTO} under SLURM."
            )
        if (self.processes is None) != (self.process is None):
            raise OptionError("--processes and --process belong together. Give both, or neither.")
        if self.processes is not None and not 0 <= (self.process or 0) < self.processes:
            raise OptionError(
                f"--process {self.process} of --processes {self.processes}: out of range. Number "
                "the processes from 0."
            )
        if not 1 <= self.heartbeat < math.inf:
            raise OptionError(
                f"--heartbeat {self.heartbeat:g}: too short. Give seconds, 1 or more."
            )

    def __str__(self) -> str:
        return "This process" if self.process is None else f"Process {self.process}"


def join(place: Place) -> None:
    """Wait for all processes; must be called before anything is computed.

    Raises `OptionError` where numbers are missing that nobody but the user knows, and
    `LostProcess` if not all of them come.
    """
    try:
        jax.distributed.initialize(
            None if place.coordinator == AUTO else place.coordinator,
            place.processes,
            place.process,
            heartbeat_timeout_seconds=math.ceil(place.heartbeat),
            shutdown_timeout_seconds=WRITING_SECONDS,
        )
    except ValueError as error:
        raise OptionError(
            f"{error} Nothing here tells (SLURM's variables would): give --coordinator HOST:PORT "
            "--processes N --process I."
        ) from error
    except RuntimeError as error:
        raise LostProcess(
            f"{place} did not find the others: {_first_line(error)}. Start all processes with one "
            "address, on which process 0 can listen and which all can reach."
        ) from error


def leave() -> None:
    """Wait until all have come to their end."""
    jax.distributed.shutdown()


@contextmanager
def watched(checkpoint: Path | None) -> Iterator[None]:
    """Turn the errors by which a lost process shows into a `LostProcess` that says what is kept."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        lost = any(sign in str(error).lower() for sign in SIGNS)
        if not lost or jax.process_count() == 1:
            raise
        who = f"Process {jax.process_index()} of {jax.process_count()}"
        raise LostProcess(
            f"{who} has lost another one, which ended or cannot be reached "
            f"({_first_line(error)}). {kept(checkpoint)}"
        ) from error


def kept(checkpoint: Path | None) -> str:
    """What is left of a run that lost a process, and how to go on."""
    if checkpoint is None:
        return "Nothing was kept: name a checkpoint (--out on the command line) and start again."
    if not checkpoint.exists():
        return "It was lost before the first checkpoint was written: start again."
    return (
        f"The state saved last is in '{checkpoint}'. Resume from it (--resume on the command line) "
        "with any number of processes."
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
