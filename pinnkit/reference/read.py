"""`read`: one entrance for every kind of file."""

from collections.abc import Mapping
from pathlib import Path

from pinnkit.reference.match import match, parse_names
from pinnkit.reference.model import Reference
from pinnkit.reference.raw import Wanted
from pinnkit.reference.registry import load


def read(
    path: str | Path,
    *,
    axes: tuple[str, ...],
    fields: tuple[str, ...],
    rename: Mapping[str, str] | None = None,
    time: float | None = None,
    time_axis: str | None = None,
    eigenvalues: tuple[str, ...] = (),
) -> Reference:
    """Read other people's results under the names of a problem.

    Arguments:

    - `path`: `.h5 .npz .mat .nc .csv .txt .dat .vtu .vtk .xdmf .msh …`, or an OpenFOAM case folder.
    - `axes`, `fields`: the problem's names. Any non-empty subset of the fields may be present.
    - `rename`: file name -> problem name (`{"usol": "u"}`). Parts of vectors are `U_x`, of complex
      arrays `h_re`, `h_im`. `"usol[x,t]": "u"` states the axes along the array's dimensions, needed
      where lengths are equal and the format has no dimension names. A number on the left is a
      constant coordinate: `"0.5": "x"` for a profile along x = 0.5.
    - `time`: one stored time; for files without time, the time that they stand for.
    - `time_axis`: which axis is time; by default `t` or `time` if there is one.
    - `eigenvalues`: names of the problem's eigenvalues; the file may hold a list of levels for
      each, as a 1-D array of that name.

    Mesh and text files give points, others give grids; points that fill a tensor grid become one.
    Point data of a mesh are used where they hold the fields, else cell data at cell centres
    (OpenFOAM: cell data first).

    Raises `ReferenceFileError` for files that are missing, truncated, of unknown kind, lack a
    variable, hold non-finite values or contradictory lengths; `OptionError` for a bad `rename`.
    """
    path = Path(path)
    time_axis = time_axis or next((a for a in axes if a in ("t", "time")), None)
    names = parse_names(tuple(axes), tuple(fields), rename or {}, time_axis, eigenvalues)
    parts = load(path, Wanted(time, series=time_axis is not None))
    return match(path, parts, names, time)
