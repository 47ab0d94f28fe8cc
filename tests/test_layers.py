"""Imports go down only."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "pinnkit"

LAYERS = (
    {"errors"},
    {"files", "precision", "interrupt", "devices", "hosts"},
    {"geometry"},
    {"spec"},
    {"compile", "nn"},
    {"derivatives"},
    {"solution", "store", "ansatz", "training", "data"},
    {"objective", "experts"},
    {"methods"},
    {"reference", "known"},
    {"runfile"},
    {"report", "solve"},
    {"generate"},
    {"study"},
    {"cli"},
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
UPWARD = {"solution": {"report", "runfile", "reference"}}
"""Convenience methods of `Solution` that delegate upward, when called."""
SEALED = {
    "jaxopt": {"methods", "training"},
    "optax": {"training"},
    "optimistix": {"experts", "methods", "training"},
}
"""Libraries that only these rooms may import, so that they can be swapped."""


def imports(tree, top_level):
    nodes = tree.body if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "pinnkit":
                yield from (f"pinnkit.{alias.name}" for alias in node.names)
            else:
                yield node.module


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


MODULES = [p for p in sorted(PACKAGE.rglob("*.py")) if room_of(p) != "__init__"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    tree = ast.parse(path.read_text())
    lazy = set(imports(tree, False)) - set(imports(tree, True))
    for name in imports(tree, False):
        parts = name.split(".")
        if parts[0] in SEALED:
            assert room in SEALED[parts[0]], f"{room} imports {parts[0]}"
        if parts[0] != "pinnkit" or len(parts) < 2:
            continue
        target = parts[1]
        if name in lazy and target in UPWARD.get(room, set()):
            continue
        if room == "methods" and target == "solution" or target == room:
            continue
        assert RANK[target] < RANK[room] or _typing_only(tree, name), (
            f"{path.relative_to(PACKAGE)} imports {name} from a layer that is not below"
        )


def _typing_only(tree, name):
    blocks = [n for n in tree.body if isinstance(n, ast.If) and isinstance(n.test, ast.Name)]
    return any(
        name in set(imports(block, False)) for block in blocks if block.test.id == "TYPE_CHECKING"
    )


def test_every_room_has_a_layer():
    rooms = {room_of(p) for p in MODULES}
    assert rooms <= set(RANK), rooms - set(RANK)


def test_importing_changes_no_configuration_and_loads_nothing_heavy():
    """What only some problems need would cost every run its memory."""
    import subprocess
    import sys

    heavy = {"scipy.optimize", "scipy.stats", "h5py", "pandas", "matplotlib", "diffrax", "jaxopt"}
    code = (
        "import sys, jax; before = dict(jax.config.values); import pinnkit; "
        f"assert before == dict(jax.config.values); assert not {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_module_configures_jax():
    for path in MODULES:
        assert "jax.config" not in path.read_text(), path
