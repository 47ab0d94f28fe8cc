"""Exact solution of the viscous Burgers equation by the Cole-Hopf formula, independent of pinnkit.

u_t + u u_x = nu u_xx on [-1, 1], u(0, x) = -sin(pi x), u(t, -1) = u(t, 1) = 0:

    u(t, x) = - int sin(pi (x - s)) f(x - s) G(s) ds / int f(x - s) G(s) ds,
    f(y) = exp(-cos(pi y) / (2 pi nu)),  G(s) = exp(-s^2 / (4 nu t))

(E. Hopf, Comm. Pure Appl. Math. 3, 1950; J. D. Cole, Quart. Appl. Math. 9, 1951). The integrand is
smooth and decays like a Gaussian, so the trapezoid rule converges exponentially; the exponents are
shifted by their maximum, as they swing by 1/(2 pi nu).

With --mean-flow C, 2 pi periodic on [0, 2 pi] from u(0, x) = C + sin(x): the same formula v in the
frame that moves with C, in other units, u(t, x) = C + v(t / pi, (x - C t) / pi - 1) with nu / pi.
"""

import argparse
import json
import os
from pathlib import Path

import h5py
import numpy as np


def cole_hopf(t: np.ndarray, x: np.ndarray, nu: float, per_width: int = 8) -> np.ndarray:
    """u at times t (nt,) and places x (nx,), shape (nt, nx); `per_width` nodes per sqrt(4 nu t)."""
    u = np.empty((len(t), len(x)))
    for row, time in enumerate(t):
        u[row] = -np.sin(np.pi * x) if time == 0 else _at_time(time, x, nu, per_width)
    return u


def _at_time(time: float, x: np.ndarray, nu: float, per_width: int) -> np.ndarray:
    # The exponents peak within |s| <= t, as |u| <= 1 carries information at most that far.
    width = np.sqrt(4 * nu * time)
    reach = time + 6 * width
    s = np.linspace(-reach, reach, 2 * int(np.ceil(reach / width * per_width)) + 1)
    y = x[:, None] - s[None, :]
    exponent = -np.cos(np.pi * y) / (2 * np.pi * nu) - (s[None, :] / width) ** 2
    weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(np.sin(np.pi * y) * weight).sum(axis=1) / weight.sum(axis=1)


def on_mean_flow(
    t: np.ndarray, x: np.ndarray, nu: float, speed: float, per_width: int = 8
) -> np.ndarray:
    """u at times t (nt,) and places x (nx,) from speed + sin(x), shape (nt, nx)."""
    frames = [
        cole_hopf(np.array([time]) / np.pi, (x - speed * time) / np.pi - 1, nu / np.pi, per_width)
        for time in t
    ]
    return speed + np.concatenate(frames)


def error_estimate(u: np.ndarray, finer: np.ndarray) -> float:
    """Relative L2 change when the quadrature nodes are doubled, at least rounding error."""
    return max(float(np.linalg.norm(u - finer) / np.linalg.norm(finer)), 1e-15)


def save(path: Path, t: np.ndarray, x: np.ndarray, u: np.ndarray, nu: float, error: float) -> None:
    """HDF5 with dimension scales; complete or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        with h5py.File(temporary, "w") as file:
            file["t"], file["x"], file["u"] = t, x, u
            for dimension, axis in enumerate(("t", "x")):
                file[axis].make_scale(axis)
                file["u"].dims[dimension].attach_scale(file[axis])
            file.attrs["nu"] = nu
            file.attrs["source"] = "Cole-Hopf formula, trapezoid rule"
            file.attrs["error_estimate"] = json.dumps({"u": error})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def main() -> None:
    """Write t, x, u[t, x] to --out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nu", type=float, default=0.01 / np.pi, help="viscosity, positive")
    parser.add_argument("--nt", type=int, default=101, help="number of times on [0, 1]")
    parser.add_argument("--nx", type=int, default=401, help="number of places")
    parser.add_argument("--mean-flow", type=float, metavar="C", help="periodic, from C + sin(x)")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write")
    options = parser.parse_args()
    if not (options.nu > 0 and options.nt > 1 and options.nx > 1):
        parser.error("--nu must be positive, --nt and --nx at least 2")
    t, speed = np.linspace(0, 1, options.nt), options.mean_flow
    if speed is None:
        x = np.linspace(-1, 1, options.nx)
        u, finer = (cole_hopf(t, x, options.nu, per_width) for per_width in (8, 16))
    else:
        x = np.linspace(0, 2 * np.pi, options.nx)
        u, finer = (on_mean_flow(t, x, options.nu, speed, per_width) for per_width in (8, 16))
    error = error_estimate(u, finer)
    save(options.out, t, x, u, options.nu, error)
    print(f"{options.out}: u {u.shape}, nu {options.nu:.6g}, error estimate {error:.1e}")


if __name__ == "__main__":
    main()
