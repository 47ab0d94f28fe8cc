"""Values for other programs: VTU for ParaView, NetCDF, HDF5, npz and CSV."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnkit.errors import OptionError
from pinnkit.files import atomic
from pinnkit.reference import WRITABLE, Reference, write_grid, write_points
from pinnkit.report.sample import evaluate_inside, sample, solution_name

if TYPE_CHECKING:
    import xarray

MESH = (".vtu", ".vtk")
STABLEHLO = ".stablehlo"
_CELLS = {1: "line", 2: "quad", 3: "hexahedron"}


def to_xarray(solution: Any, resolution: int | Mapping[str, int] | None = 101) -> "xarray.Dataset":
    """Values on a uniform grid of the domain, dimensions in the order of its axes.

    NaN outside the domain. Attributes: problem, method and, if known, `error_estimate` as JSON.
    """
    import xarray as xr

    values = sample(solution, resolution)
    data = {name: (values.axes, array) for name, array in values.fields.items()}
    attributes = {k: v if isinstance(v, str) else json.dumps(v) for k, v in about(solution).items()}
    return xr.Dataset(data, coords=dict(values.coordinates), attrs=attributes)


def about(solution: Any) -> dict[str, Any]:
    """What a file should say about the values in it."""
    estimate = getattr(solution, "error_estimate", None)
    known = {"error_estimate": dict(estimate)} if estimate else {}
    return {"problem": solution.problem.name, "source": solution_name(solution), **known}


def export(
    solution: Any,
    path: str | Path,
    *,
    resolution: int | Mapping[str, int] | None = None,
    time: float | None = None,
) -> Path:
    """Write values on a uniform grid, or on the domain's own mesh; the kind follows the suffix.

    - `.vtu`, `.vtk`: space at one `time` only, by default the last; cells outside the domain left
      out. For all of time write `.pvd`.
    - `.pvd`: a ParaView series, 51 `.vtu` files from the first to the last time beside it.
    - `.h5`, `.nc`, `.npz`, `.csv`: all of time, or one `time`; readable by `reference.read`.
    - `.stablehlo`: of an operator, the function itself (`compiled.export_operator`).

    Raises `OptionError` for another suffix, a time outside the domain, and one time with `.pvd`.
    """
    path, suffix = Path(path), Path(path).suffix.lower()
    if suffix in MESH:
        _write_mesh(solution, path, resolution, _time(solution, time))
    elif suffix == STABLEHLO:
        from pinnkit.report.compiled import export_operator

        return export_operator(solution, path, resolution)  # type: ignore[arg-type]
    elif suffix == ".pvd":
        if time is not None:
            raise OptionError(f"'{path}' takes all times. Leave time={time:g} out, or write .vtu.")
        _write_series(solution, path, resolution)
    elif suffix in WRITABLE:
        at = {} if time is None else _time(solution, time)
        values = sample(solution, resolution, at)
        _write_values(path, values, about(solution))
    else:
        raise OptionError(
            f"Cannot export to '{path}': unknown kind '{suffix}'. "
            f"Choose one of {' '.join((*MESH, '.pvd', STABLEHLO, *WRITABLE))}."
        )
    return path


def _write_values(path: Path, values: Reference, attributes: Mapping[str, Any]) -> None:
    if all(np.isfinite(array).all() for array in values.fields.values()):
        write_grid(path, values.coordinates, values.fields, attributes, _levels(values))
        return
    coordinates, fields = values.points()
    known = np.all([np.isfinite(array) for array in fields.values()], axis=0)
    places = {axis: array[known] for axis, array in coordinates.items()}
    write_points(path, places, {k: a[known] for k, a in fields.items()}, attributes)


def _levels(values: Reference) -> dict[str, np.ndarray]:
    """`{"E": [0.5, 1.5]}` from `{"E[0]": 0.5, "E[1]": 1.5}`."""
    levels: dict[str, list[float]] = {}
    for name, value in values.eigenvalues.items():
        levels.setdefault(name.partition("[")[0], []).append(value)
    return {name: np.array(row) for name, row in levels.items()}


def _time(solution: Any, time: float | None) -> dict[str, float]:
    domain = solution.problem.domain
    if domain.time is None:
        if time is not None:
            raise OptionError(f"'{solution.problem.name}' is steady. Leave the time out.")
        return {}
    low, high = domain.bounds[domain.time]
    chosen = high if time is None else time
    if not low <= chosen <= high:
        raise OptionError(f"time {chosen:g} is outside {low:g}…{high:g}. Choose one inside.")
    return {domain.time: chosen}


def _write_mesh(
    solution: Any,
    path: Path,
    resolution: int | Mapping[str, int] | None,
    at: Mapping[str, float],
) -> None:
    import meshio

    space = tuple(a for a in solution.problem.domain.axes if a not in at)
    if not 1 <= len(space) <= 3:
        raise OptionError(
            f"A mesh file holds one to three space axes, '{solution.problem.name}' has "
            f"{len(space)}. Export to .nc or .csv."
        )
    points, kind, cells = _mesh(solution, space, resolution)
    coordinates = {a: points[:, i] for i, a in enumerate(space)}
    moments = {a: np.full(len(points), t) for a, t in at.items()}
    fields = evaluate_inside(solution, {**coordinates, **moments})
    known = np.all([np.isfinite(f) for f in fields.values()], axis=0)
    cells = cells[known[cells].all(axis=1)]
    used, renumbered = np.unique(cells, return_inverse=True)
    padded = np.zeros((len(used), 3))
    padded[:, : len(space)] = points[used]
    data: dict[str, Any] = {name: array[used] for name, array in fields.items()}
    mesh = meshio.Mesh(padded, [(kind, renumbered.reshape(cells.shape))], point_data=data)
    with atomic(path) as temporary:
        mesh.write(temporary)


def _mesh(
    solution: Any, space: tuple[str, ...], resolution: int | Mapping[str, int] | None
) -> tuple[np.ndarray, str, np.ndarray]:
    """Points (N, d), kind and corners of the cells: the domain's triangles, else a grid."""
    domain = solution.problem.domain
    parts = (domain, getattr(domain, "first", None), getattr(domain, "second", None))
    own = next((p for p in parts if hasattr(p, "triangles")), None)
    if own is not None and resolution is None:
        return np.asarray(own.vertices), "triangle", np.asarray(own.triangles)
    default = {1: 1001, 2: 201, 3: 41}[len(space)]
    given = resolution if isinstance(resolution, Mapping) else dict.fromkeys(space, resolution)
    counts = {a: given.get(a) or default for a in space}
    axes = [np.linspace(*domain.bounds[a], num=counts[a]) for a in space]
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.stack([m.ravel() for m in mesh], axis=1), _CELLS[len(space)], _cells(mesh[0].shape)


def _cells(shape: tuple[int, ...]) -> np.ndarray:
    """Corners of the cells of a grid in VTK's order, counter-clockwise layer by layer."""
    number = np.arange(np.prod(shape)).reshape(shape)
    corner = {
        steps: number[tuple(slice(s, n - 1 + s) for s, n in zip(steps, shape, strict=True))].ravel()
        for steps in itertools.product((0, 1), repeat=len(shape))
    }
    square = [(0, 0), (1, 0), (1, 1), (0, 1)]
    orders = {
        1: [(0,), (1,)],
        2: square,
        3: [(*s, top) for top in (0, 1) for s in square],
    }
    return np.stack([corner[tuple(steps)] for steps in orders[len(shape)]], axis=1)


def _write_series(solution: Any, path: Path, resolution: int | Mapping[str, int] | None) -> None:
    domain = solution.problem.domain
    if domain.time is None:
        raise OptionError(f"'{solution.problem.name}' is steady. Export to .vtu instead of .pvd.")
    entries = []
    for index, time in enumerate(np.linspace(*domain.bounds[domain.time], num=51)):
        piece = path.with_name(f"{path.stem}_{index:04d}.vtu")
        _write_mesh(solution, piece, resolution, {domain.time: float(time)})
        entries.append(f'    <DataSet timestep="{time:.12g}" file="{piece.name}"/>')
    lines = ['<VTKFile type="Collection" version="0.1">', "  <Collection>", *entries]
    with atomic(path) as temporary:
        temporary.write_text("\n".join([*lines, "  </Collection>", "</VTKFile>", ""]))
