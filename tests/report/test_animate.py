"""Films: how many frames, what differs between them, and what stays."""

import numpy as np
import pytest
from PIL import Image
from stand_in import Stand, decay

from pinnkit.errors import OptionError
from pinnkit.geometry import Box
from pinnkit.report import animate, compare
from pinnkit.report.animate import WRITERS, Film, _draw, _scales, _stage


def pictures(path):
    """The frames of a GIF as RGB arrays."""
    with Image.open(path) as film:
        assert film.info["loop"] == 0
        return [
            np.asarray(film.convert("RGB")) for i in range(film.n_frames) if film.seek(i) is None
        ]


def test_curves_move(heat, tmp_path):
    heard = []
    path = animate(heat, tmp_path / "a.gif", frames=3, resolution=21, report=heard.append)
    found = pictures(path)
    assert len(found) == 3 and len({f.tobytes() for f in found}) == 3
    assert [p.step for p in heard if p.stage == "frame"] == [1, 2, 3]
    assert all(p.of == 3 for p in heard)
    assert list(tmp_path.iterdir()) == [path]


def test_maps_and_chosen_times(tmp_path):
    box = Box(t=(0, 2), x=(0, 1), y=(0, 1), time="t")
    flow = Stand(box, {"u": lambda t, x, y: np.exp(-t) * x, "v": lambda t, x, y: y + t})
    path = animate(flow, tmp_path / "m.gif", fields=["v"], times=[0, 0.5, 2], resolution=9)
    found = pictures(path)
    assert len(found) == 3
    right = [f[:, -f.shape[1] // 5 :] for f in found]  # the colour bar, the same in all frames
    assert all(np.array_equal(r, right[0]) for r in right)


def test_a_comparison_shows_the_stored_times_of_the_reference(heat, tmp_path):
    other = Stand(heat.domain, {"u": lambda t, x: decay(t, x) + 0.1 * t})
    result = compare(other, heat, resolution=3)
    found = pictures(result.animate(tmp_path / "a.gif"))
    assert len(found) == 3 and found[0].shape[1] > 2 * found[0].shape[0]
    with Image.open(result.animate(tmp_path / "few.gif", frames=2)) as few:
        assert few.n_frames == 2


def test_ours_and_theirs_share_a_scale_and_the_difference_is_centred(heat):
    other = Stand(heat.domain, {"u": lambda t, x: 2 * decay(t, x) + t})
    result = compare(other, heat, resolution=6)
    columns = (result.ours, result.theirs, result.ours)
    frames = tuple(tuple(c.at_time(t) for c in columns) for t in (0.0, 1.0))
    film = Film("h", ("ours", "theirs", "difference"), ("u",), (0.0, 1.0), frames)
    scales = _scales(film)
    assert scales["u", 0] == scales["u", 1]
    assert scales["u", 2]["vmin"] == -scales["u", 2]["vmax"]
    drawn, grid = _stage(film, scales)
    assert grid[0, 0].get_ylim() == grid[0, 1].get_ylim()
    assert grid[0, 0].get_title() == "ours$u$, $t$ = 0.0"
    before = [(a.get_position().bounds, a.get_ylim()) for a in grid[0]]
    _draw(grid, film, frames[1], scales, "1.0")
    drawn.draw_without_rendering()
    assert [(a.get_position().bounds, a.get_ylim()) for a in grid[0]] == before
    (line,) = grid[0, 1].get_lines()
    np.testing.assert_allclose(line.get_ydata(), frames[1][1].fields["u"][0])


def test_what_cannot_be_filmed_is_refused_before_any_work(heat, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="unknown kind '.avi'. Choose one of .gif .mp4"):
        animate(heat, tmp_path / "a.avi")
    monkeypatch.setattr(WRITERS[".mp4"], "isAvailable", classmethod(lambda cls: False))
    with pytest.raises(OptionError, match="ffmpeg is not on the PATH. Install ffmpeg"):
        animate(heat, tmp_path / "a.mp4")
    with pytest.raises(OptionError, match="frames=1"):
        animate(heat, tmp_path / "a.gif", frames=1)
    with pytest.raises(OptionError, match="has no field w"):
        animate(heat, tmp_path / "a.gif", fields=["w"])
    with pytest.raises(OptionError, match="no space axis"):
        animate(Stand(Box(t=(0, 1), time="t"), {"u": lambda t: t}), tmp_path / "a.gif")
    with pytest.raises(OptionError, match="is steady"):
        animate(Stand(Box(x=(0, 1)), {"u": lambda x: x}), tmp_path / "a.gif")
    single = compare(heat, heat, time=0.5, resolution=6)
    with pytest.raises(OptionError, match="has 1 times"):
        single.animate(tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_film_leaves_no_file(heat, tmp_path):
    def stop(progress):
        if progress.stage == "frame":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        animate(heat, tmp_path / "a.gif", frames=2, resolution=9, report=stop)
    assert list(tmp_path.iterdir()) == []
