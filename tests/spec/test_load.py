"""Problem files that do not run are told with the line at fault."""

import sys

import meshio
import numpy as np
import pytest

import pinnkit as pk
from pinnkit.errors import GeometryError, SpecError

GOOD = """from pinnkit import Box, Equation, Problem, coordinates, field

x = coordinates("x")
u = field("u", x)


def problem(n: int = 1):
    return Problem("p", Box(x=(0, 1)), [Equation(u - n)])
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("u = field", "u = feild", r"\(NameError: name 'feild' is not .*\), line 4: u = feild\("),
        ("import Box", "import Bocks", r"\(ImportError: .*\), line 1: from pinnkit import Bocks"),
        ("u = field(", "u = field((", r"\(SyntaxError: .*never closed.*\), line 4: u = field\(\("),
        ("x = coordinates", "x = 1 / 0 #", r"\(ZeroDivisionError: .*\), line 3: x = 1 / 0 #"),
        ("u - n", "u - k", r"\(NameError: name 'k' .*\), line 8: return Problem\(.*u - k\)\]\)\."),
        ('field("u", x)', "field(x.y.z)", r"\(AttributeError: .*\), line 4: u = field\(x.y.z\)"),
    ],
)
def test_the_line_at_fault(tmp_path, monkeypatch, old, new, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions within one second
    path = tmp_path / "p.py"
    path.write_text(GOOD)
    assert pk.load(path, n=2).name == "p"
    path.write_text(GOOD.replace(old, new))
    for name in (path, "p.py"):
        with pytest.raises(SpecError, match=r"^Problem file '.*p.py' does not run " + told):
            pk.load(name)


def test_purposeful_errors_keep_their_words(tmp_path):
    (tmp_path / "p.py").write_text(GOOD.replace("x=(0, 1)", "x=(1, 0)"))
    with pytest.raises(pk.errors.GeometryError):
        pk.load(tmp_path / "p.py")


MESHED = """from pinnkit import Dirichlet, Equation, MeshDomain, Problem
from pinnkit import coordinates, field, laplacian

x, y = coordinates("x y")
u = field("u", x, y)
outer = MeshDomain.read("own.msh")


def problem():
    domain = MeshDomain.read("own")
    return Problem("p", domain, [Equation(laplacian(u) - 1), Dirichlet(u, 0)])
"""


def test_a_mesh_may_lie_beside_the_file(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    corners = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    cells = [("triangle", np.array([[0, 1, 2], [0, 2, 3]]))]
    meshio.Mesh(corners, cells).write(folder / "own.vtu")
    meshio.Mesh(corners, cells).write(folder / "own.msh", file_format="gmsh22", binary=False)
    (folder / "p.py").write_text(MESHED)
    monkeypatch.chdir(tmp_path)
    for path in (folder / "p.py", "project/p.py"):
        assert pk.load(path).domain.measure == pytest.approx(1.0)
    with pytest.raises(GeometryError, match="no mesh called 'own'"):
        pk.MeshDomain.read("own")
