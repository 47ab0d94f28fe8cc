"""Other people's samples: names, orders of axes, coordinates, and what contradicts the problem."""

import numpy as np
import pytest
from sympy import Eq

import pinnkit as pk
from pinnkit.derivatives import FourierAxis
from pinnkit.errors import OptionError, ReferenceFileError


def transport():
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    a = pk.input_function("a", x)
    box = pk.Box(t=(0, 1), x=(0, 1), time="t")
    equation = pk.Equation(Eq(u.diff(t) + u.diff(x), 0))
    return pk.Problem("transport", box, (equation, pk.Initial(u, a), pk.Periodic(x)))


def samples(frames=9, n=8):
    """Waves that travel: (S, n) and (S, frames, n)."""
    t, x = np.linspace(0, 1, frames)[:, None], np.arange(n) / n
    k, phase = np.arange(1, 6)[:, None, None], np.linspace(0, 1, 5)[:, None, None]
    u = np.sin(2 * np.pi * (k * (x - t) + phase)) + 0.3 * t
    return u[:, 0], u


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_names_and_orders_are_mapped(tmp_path):
    a, u = samples()
    path = write(
        tmp_path / "d.npz", start=a, end=u.transpose(2, 0, 1)[:, :, None], x=np.arange(8) / 8
    )
    with pytest.raises(ReferenceFileError, match="Say which is meant"):
        pk.read_dataset(path, transport())
    path = write(tmp_path / "e.npz", start=a, end=u.transpose(2, 0, 1), x=np.arange(8) / 8)
    rename = {"start": "a", "end[x,sample,t]": "u"}
    data = pk.read_dataset(path, transport(), rename=rename)
    assert np.array_equal(data.inputs, a)
    assert np.array_equal(data.outputs[:, 0], u)
    assert isinstance(data.grid[1], FourierAxis)
    assert np.isnan(data.errors).all()


def test_axes_in_another_order_are_noticed(tmp_path):
    a, u = samples(frames=9, n=8)
    path = write(tmp_path / "d.npz", a=a, u=u.transpose(0, 2, 1))
    with pytest.raises(ReferenceFileError, match="another order"):
        pk.read_dataset(path, transport())
    path = write(tmp_path / "e.npz", a=a, u=u[:, ::-1])
    with pytest.raises(ReferenceFileError, match="last slice"):
        pk.read_dataset(path, transport())


def test_coordinates_must_be_those_of_the_problem(tmp_path):
    a, u = samples()
    path = write(tmp_path / "d.npz", a=a, u=u, x=np.linspace(0, 2, 8))
    with pytest.raises(ReferenceFileError, match="runs from 0 to 2"):
        pk.read_dataset(path, transport())
    path = write(tmp_path / "e.npz", a=a, u=u, t=np.linspace(0, 1, 8))
    with pytest.raises(ReferenceFileError, match="has 8 values"):
        pk.read_dataset(path, transport())


def test_solutions_without_time_are_those_at_its_end(tmp_path):
    a, u = samples()
    data = pk.read_dataset(write(tmp_path / "d.npz", a=a, u=u[:, -1]), transport())
    assert [axis.n for axis in data.grid] == [2, 8]
    assert np.array_equal(data.outputs[:, 0, 0], a)
    assert np.array_equal(data.outputs[:, 0, 1], u[:, -1])


def test_every_nth_node_is_kept(tmp_path):
    a, u = samples(n=8)
    path = write(tmp_path / "d.npz", a=a, u=u)
    data = pk.read_dataset(path, transport(), every=2)
    assert np.array_equal(data.outputs[:, 0], u[:, :, ::2])
    assert np.array_equal(data.grid[1].nodes, np.arange(4) / 4)
    thinned = pk.read_dataset(path, transport(), every={"t": 4})
    assert np.array_equal(thinned.outputs[:, 0], u[:, ::4])
    with pytest.raises(OptionError, match="does not divide"):
        pk.read_dataset(path, transport(), every=3)


def test_bad_values_and_repeated_samples(tmp_path):
    a, u = samples()
    broken = u.copy()
    broken[3, 1, 2] = np.inf
    with pytest.raises(ReferenceFileError, match="not finite: 3"):
        pk.read_dataset(write(tmp_path / "d.npz", a=a, u=broken), transport())
    twice = [np.concatenate([s, s[:1]]) for s in (a, u)]
    data = pk.read_dataset(write(tmp_path / "e.npz", a=twice[0], u=twice[1]), transport())
    assert data.provenance["complaints"] == ["1 input functions occur more than once: 5 = 0"]
    with pytest.raises(ReferenceFileError, match="5 samples of a, 4 of u"):
        pk.read_dataset(write(tmp_path / "f.npz", a=a, u=u[:4]), transport())


def test_files_of_our_own_are_read_as_they_are(tmp_path):
    a, u = samples()
    data = pk.read_dataset(write(tmp_path / "d.npz", a=a, u=u), transport())
    again = pk.read_dataset(data.save(tmp_path / "d.h5"), transport())
    assert np.array_equal(again.outputs, data.outputs)
