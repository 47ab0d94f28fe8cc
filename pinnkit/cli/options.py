"""Options of the command line as values, each refused with the mend if it is out of range."""

import re
import tempfile
from pathlib import Path

from pinnkit.errors import OptionError

_BUDGET = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(s|sec|m|min|h)?\s*")
_UNITS = {None: 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_budget(text: str) -> float:
    """Seconds of a budget such as `120s`, `2m`, `1.5h` or `90`; `OptionError` if malformed."""
    match = _BUDGET.fullmatch(text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not seconds > 0:
        raise OptionError(
            f"--budget {text}: not a positive time. Write for example 120s, 2m or 1h."
        )
    return seconds


def parse_parameters(texts: list[str] | None) -> dict[str, float]:
    """`["nu=0.005"]` -> `{"nu": 0.005}`; `OptionError` if malformed."""
    return {name: _value(name, text) for name, text in (pair(t, "--set") for t in texts or [])}


def _value(name: str, text: str) -> float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise OptionError(f"--set {name}={text}: not a number. Write for example {name}=0.005.")


def pair(text: str, option: str) -> tuple[str, str]:
    left, sign, right = text.rpartition("=")
    if not (sign and left.strip() and right.strip()):
        raise OptionError(f"{option} {text}: expected two sides. Write for example {option} a=b.")
    return left.strip(), right.strip()


def checkpoint_path(out: Path | None, resume: bool) -> Path | None:
    """Where an unfinished run keeps its state: beside the run file."""
    path = None if out is None else out.with_suffix(".checkpoint.h5")
    if resume and (path is None or not path.exists()):
        where = "--out is not given" if path is None else f"'{path}' does not exist"
        raise OptionError(
            f"--resume: there is nothing to resume, {where}. "
            "Give the --out of the run to be continued, or leave --resume out."
        )
    return path


def check_output(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse before any work is done what could not be written after it."""
    if path.suffix.lower() not in suffixes:
        raise OptionError(
            f"Cannot write '{path}': unknown kind '{path.suffix}'. "
            f"Choose one of {' '.join(suffixes)}."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OptionError(
            f"Cannot write '{path}': {error.strerror or error}. "
            "Choose an output folder that exists or can be made, and that you may write to."
        ) from error


def check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise OptionError(f"--seed {seed} is out of range. Give an integer from 0 to 4294967295.")


def check_precision(precision: str) -> None:
    if precision not in ("float32", "float64"):
        raise OptionError(f"--precision {precision} is unknown. Choose float64 or float32.")
