"""The program of the README runs as it stands there."""

import re
from pathlib import Path

import numpy as np

import pinnkit as pk

README = Path(__file__).resolve().parents[1] / "README.md"


def test_program(tmp_path, monkeypatch, capsys):
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    assert len(program.splitlines()) <= 25
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(program, "README.md", "exec"), names)  # noqa: S102
    assert (tmp_path / "heat.h5").is_file()
    assert "rel_l2" in capsys.readouterr().out
    x = np.linspace(0, 1, 33)
    values = names["solution"](t=0.5, x=x)["u"]
    np.testing.assert_allclose(values, np.exp(-0.1 * np.pi**2 * 0.5) * np.sin(np.pi * x), atol=1e-6)


def test_the_other_programs_run_by_themselves():
    """Each block alone, in a namespace of its own; what they pose is solved elsewhere."""
    blocks = re.findall(r"```py\n(.*?)```", README.read_text(), flags=re.S)
    assert blocks
    for block in blocks:
        names = {}
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102
        assert any(isinstance(made, pk.Problem) for made in names.values())


def test_the_two_commands_are_those_of_the_demo():
    text, make = README.read_text(), (README.parent / "Makefile").read_text()
    (block,) = re.findall(r"the same by hand:\n\n```\n(.*?)```", text, flags=re.S)
    for line in block.splitlines():
        assert line.removeprefix("python ") in make, line


def test_files_named_in_the_readme_exist():
    text = README.read_text()
    root = README.parent
    for path in re.findall(r"\b(?:problems|scripts|docs)/[\w/.]+\.(?:py|md|png)\b", text):
        assert (root / path).exists(), path
