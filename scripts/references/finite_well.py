"""Exact states of a particle in a finite well inside hard walls, independent of pinnkit.

-psi'' + V psi = E psi on [-1, 1], V = 0 for |x| < 1/2 and V0 outside, psi(-1) = psi(1) = 0. With
k^2 = E and S the solution outside, S'' = (V0 - E) S, S(0) = 0, S'(0) = 1, taken at the distance
1/2 from the wall, psi and psi' are continuous at the jump where

    even states, psi = cos(k x):   k sin(k/2) S - cos(k/2) S' = 0
    odd states,  psi = sin(k x):   k cos(k/2) S + sin(k/2) S' = 0.

Both are entire functions of E; their roots, which alternate, are bracketed and found by Brent's
method (Griffiths, "Introduction to Quantum Mechanics", section 2.6).
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from scipy.optimize import brentq

SCAN = 4000


def outside(energy: float, depth: float, s: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """S and S' at the distance `s` from the wall."""
    q = np.sqrt(complex(depth - energy))
    if abs(q) < 1e-8:
        return np.asarray(s, dtype=float), np.ones_like(s)
    return np.real(np.sinh(q * s) / q), np.real(np.cosh(q * s))


def mismatch(energy: float, depth: float, odd: bool) -> float:
    """The jump of the logarithmic derivative at x = 1/2, cleared of poles."""
    k = np.sqrt(energy)
    value, slope = outside(energy, depth, 0.5)
    if odd:
        return float(k * np.cos(k / 2) * value + np.sin(k / 2) * slope)
    return float(k * np.sin(k / 2) * value - np.cos(k / 2) * slope)


def levels(depth: float, count: int) -> list[tuple[float, bool]]:
    """The lowest `count` energies with their parity (True for odd), in rising order."""
    highest = depth + (np.pi * (count + 1)) ** 2
    energies = np.linspace(1e-9, highest, SCAN)
    found = []
    for odd in (False, True):
        values = [mismatch(e, depth, odd) for e in energies]
        for low, high, a, b in zip(energies, energies[1:], values, values[1:], strict=False):
            if a * b < 0:
                root = brentq(mismatch, low, high, args=(depth, odd), xtol=1e-13, rtol=1e-15)
                found.append((float(root), odd))
    return sorted(found)[:count]


def state(energy: float, depth: float, odd: bool) -> Callable[[np.ndarray], np.ndarray]:
    """psi, normalised to int psi^2 = 1, positive where it leaves the left wall."""
    k = np.sqrt(energy)
    edge = np.sin(k / 2) if odd else np.cos(k / 2)
    factor = edge / float(outside(energy, depth, 0.5)[0])

    def right(x: np.ndarray) -> np.ndarray:
        inner = np.sin(k * x) if odd else np.cos(k * x)
        return np.where(x < 0.5, inner, factor * outside(energy, depth, 1 - x)[0])

    nodes, weights = np.polynomial.legendre.leggauss(40)
    quarter, w = (nodes + 1) / 4, weights / 4
    norm = 2 * (w @ right(quarter) ** 2 + w @ right(0.5 + quarter) ** 2)
    sign = np.sign(factor) * (-1 if odd else 1)

    def psi(x: np.ndarray) -> np.ndarray:
        mirrored = np.where(x < 0, -1.0, 1.0) if odd else 1.0
        return sign * mirrored * right(np.abs(x)) / np.sqrt(norm)

    return psi


def save(path: Path, x: np.ndarray, depth: float, found: list[tuple[float, bool]]) -> None:
    """HDF5 with x, E (levels) and psi[0], psi[1], ...; complete or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        with h5py.File(temporary, "w") as file:
            file["x"], file["E"] = x, [energy for energy, _ in found]
            file["x"].make_scale("x")
            for i, (energy, odd) in enumerate(found):
                file[f"psi[{i}]"] = state(energy, depth, odd)(x)
                file[f"psi[{i}]"].dims[0].attach_scale(file["x"])
            file.attrs["V0"] = depth
            file.attrs["source"] = "roots of the transcendental equation, Brent's method"
            file.attrs["error_estimate"] = json.dumps(
                {f"psi[{i}]": 1e-13 for i in range(len(found))}
            )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def main() -> None:
    """Write x, E and psi[i] to --out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--depth", type=float, default=50.0, help="V0, positive")
    parser.add_argument("--levels", type=int, default=4, help="number of states")
    parser.add_argument("--nx", type=int, default=401, help="number of places on [-1, 1]")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write")
    options = parser.parse_args()
    if not (options.depth > 0 and options.levels > 0 and options.nx > 1):
        parser.error("--depth and --levels must be positive, --nx at least 2")
    found = levels(options.depth, options.levels)
    save(options.out, np.linspace(-1, 1, options.nx), options.depth, found)
    print(f"{options.out}: E = {', '.join(f'{energy:.11g}' for energy, _ in found)}")


if __name__ == "__main__":
    main()
