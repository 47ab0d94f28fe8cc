"""Datasets: round trips, streaming, checks; generation that stops and goes on."""

import dataclasses

import numpy as np
import pytest
import xarray
from sympy import Eq

import pinnkit as pk
from pinnkit.data import Dataset, findings, marks, shared
from pinnkit.derivatives import FourierAxis, UniformAxis
from pinnkit.errors import MethodError, OptionError, ReferenceFileError


def made(samples=7, n=6, frames=3, seed=0):
    random = np.random.default_rng(seed)
    x, t = FourierAxis("x", 0.0, 1.0, n), UniformAxis("t", 0.0, 2.0, frames)
    inputs = random.standard_normal((samples, n))
    outputs = random.standard_normal((samples, 2, frames, n))
    errors = random.uniform(size=samples)
    return Dataset("waves", "a", ("u", "v"), (x,), (t, x), inputs, outputs, errors, {"seed": 3})


def heat():
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    a = pk.input_function("a", x, law=pk.GaussianField(10, 5, 2, zero_mean=True, modes=6))
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    equation = pk.Equation(Eq(u.diff(t), 0.02 * u.diff(x, 2)))
    return pk.Problem("heat", box, (equation, pk.Initial(u, a), pk.Periodic(x)))


def equal(one, two):
    return all(
        np.array_equal(a, b)
        for a, b in zip((*one.arrays(), one.errors), (*two.arrays(), two.errors), strict=True)
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_files_give_back_what_was_saved(tmp_path, streamed):
    data = made()
    again = Dataset.load(data.save(tmp_path / "data.h5"), streamed)
    assert equal(data, again)
    names = ("problem", "function", "fields", "sensors", "grid", "provenance", "boundary")
    assert all(getattr(again, n) == getattr(data, n) for n in names)


def test_rows_of_a_file_in_any_order_and_more_than_once(tmp_path):
    data = made()
    part = Dataset.load(data.save(tmp_path / "data.h5"), streamed=True).subset(slice(2, 7))
    rows = np.array([4, 0, 0, 3])
    for found, whole in zip(part.arrays(rows), data.arrays(), strict=True):
        assert np.array_equal(found, whole[2:][rows])
    assert np.array_equal(part.arrays(slice(1, 3))[0], data.inputs[3:5])


def test_other_programs_find_names_and_coordinates(tmp_path):
    data = made()
    with xarray.open_dataset(data.save(tmp_path / "data.h5"), engine="netcdf4") as found:
        assert found["u"].dims == ("sample", "t", "x")
        assert np.array_equal(found["u"], data.outputs[:, 0])
        assert np.array_equal(found["x"], data.grid[1].nodes)
    assert np.array_equal(data.to_xarray()["a"], data.inputs)


def test_shapes_that_contradict_axes_are_refused():
    data = made()
    with pytest.raises(OptionError, match="should have shape"):
        dataclasses.replace(data, outputs=np.swapaxes(data.outputs, 2, 3))


def test_findings_name_what_is_wrong():
    data = made()
    assert findings(data) == []
    inputs, outputs = (a.copy() for a in data.arrays())
    outputs[2, 0, 0, 0] = np.nan
    outputs[:, 1] = 4.0
    inputs[5] = inputs[1]
    text = "; ".join(findings(dataclasses.replace(data, inputs=inputs, outputs=outputs)))
    assert "not finite: 2" in text
    assert "1 input functions occur more than once: 5 = 1" in text
    assert "different solutions: 1 and 5" in text
    outputs[2] = outputs[0]
    text = "; ".join(findings(dataclasses.replace(data, outputs=outputs)))
    assert "'v' is 4 everywhere" in text


def test_samples_of_the_training_set_are_recognised():
    data = made()
    train, test = data.split(4, 3)
    assert shared(marks(train), test) == 0
    assert shared(marks(train), data.subset(slice(2, 6))) == 2


def test_damaged_and_foreign_files(tmp_path):
    path = made().save(tmp_path / "data.h5")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ReferenceFileError, match="truncated"):
        Dataset.load(path)
    with pytest.raises(ReferenceFileError, match="does not exist"):
        Dataset.load(tmp_path / "none.h5")
    with pytest.raises(OptionError, match="another suffix"):
        made().save(tmp_path / "data.npz")


def test_an_interrupted_generation_goes_on_and_a_file_is_extended(tmp_path, monkeypatch):
    from pinnkit.methods import generation

    monkeypatch.setattr(generation, "BATCH", 2)
    options = {"resolution": 8, "frames": 2, "key": 5}
    whole = pk.dataset(heat(), 6, **options)
    path = tmp_path / "heat.h5"

    class Stopped(RuntimeError):
        pass

    def stop(progress):
        if progress.step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        pk.dataset(heat(), 6, out=path, report=stop, **options)
    assert not path.exists()
    assert len(Dataset.load(tmp_path / "heat.partial.h5")) == 4
    steps = []
    found = pk.dataset(heat(), 6, out=path, report=lambda p: steps.append(p.step), **options)
    assert steps == [4, 6]
    assert equal(found, whole)
    longer = pk.dataset(heat(), 9, out=path, **options)
    assert np.array_equal(longer.inputs[:6], whole.inputs)
    assert equal(longer, pk.dataset(heat(), 9, **options))
    with pytest.raises(OptionError, match="another way"):
        pk.dataset(heat(), 6, out=path, resolution=8, frames=2, key=6)


def test_given_points_and_steps_of_the_solver_are_taken(tmp_path):
    """Decay by -u^3, by a scheme of fourth order: twice the steps, a sixteenth of the error."""
    problem, path = heat(), tmp_path / "heat.h5"
    _, *others = problem.conditions
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    decay = pk.Equation(Eq(u.diff(t), 0.02 * u.diff(x, 2) - u**3))
    problem = problem.replace(conditions=(decay, *others))
    options = {"resolution": 16, "frames": 2, "stride": 1}
    found = [pk.dataset(problem, 3, steps=n, **options).outputs for n in (4, 8, 64)]
    rough, better = (np.abs(f - found[2]).max() for f in found[:2])
    assert rough > 1e-8 and 8 < rough / better < 32
    pk.dataset(problem, 3, steps=4, out=path, **options)
    with pytest.raises(OptionError, match="another way"):
        pk.dataset(problem, 3, steps=8, out=path, **options)


def test_what_is_no_family_is_refused_with_the_mend():
    t, x = pk.coordinates("t x")
    u, a = pk.field("u", t, x), pk.input_function("a", x)
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    moving = pk.Equation(Eq(u.diff(t), u.diff(x, 2)))
    problem = pk.Problem("p", box, (moving, pk.Initial(u, a), pk.Periodic(x)))
    with pytest.raises(MethodError, match=r"no law.*Declare an input_function with a law"):
        pk.dataset(problem, 3)
    with pytest.raises(OptionError, match="positive number"):
        pk.dataset(heat(), 0)
