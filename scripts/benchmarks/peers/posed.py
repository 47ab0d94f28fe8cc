"""The four problems as pinnkit declares them, in problems/."""

from __future__ import annotations

from pathlib import Path

import pinnkit as pk

PROBLEMS = Path(__file__).resolve().parents[3] / "problems"
FILES = {
    "burgers": "burgers",
    "allen_cahn": "allen_cahn",
    "poisson": "poisson2d",
    "helmholtz": "helmholtz2d",
}
PARAMETERS: dict[str, dict[str, float]] = {"helmholtz": {"a1": 6, "a2": 6}}


def posed(name: str) -> pk.Problem:
    """The problem of the name used here."""
    return pk.load(PROBLEMS / f"{FILES[name]}.py", **PARAMETERS.get(name, {}))
