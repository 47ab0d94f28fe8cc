"""Atomic writing: a file is either the old one or the complete new one, never a fragment."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pinnkit.errors import OptionError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on error it is removed.

    The temporary file carries the same suffix, as writers such as meshio choose the format by it.

    Raises `OptionError` if the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise OptionError(
            f"Cannot write '{path}': {error.strerror or error}. "
            "Choose an output folder that exists or can be made, and that you may write to."
        ) from error
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
