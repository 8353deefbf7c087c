"""One frame rate for all cameras of a take, or a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import VideoError
from mocap.core.session import Take
from mocap.io.take_videos import probe_take
from video_worlds import write_counter_clip


def a_take(root: Path, fps: dict[str, float], written: float | None = None, n_frames: int = 12) -> Take:
    videos = {name: write_counter_clip(root / f"{name}.mp4", n_frames, fps=rate) for name, rate in fps.items()}
    return Take(name="t", root=root, videos=videos, fps=written, notes=("said before",))


def test_equal_rates(tmp_path: Path):
    take = a_take(tmp_path, {"a": 60.0, "b": 60.0, "c": 60.0})
    videos = probe_take(take)
    assert (videos.fps, videos.n_frames, list(videos.infos)) == (60.0, 12, ["a", "b", "c"])
    assert videos.notes == ("said before",)


def test_different_rates_are_refused_with_a_way_out(tmp_path: Path):
    with pytest.raises(VideoError) as caught:
        probe_take(a_take(tmp_path, {"a": 60.0, "b": 30.0}))
    text = str(caught.value)
    assert "the cameras have different frame rates (a 60, b 30 frames a second)" in text
    assert "ffmpeg -i INPUT -r 30 " in text


def test_small_differences_are_told(tmp_path: Path):
    videos = probe_take(a_take(tmp_path, {"a": 60000 / 1001, "b": 60.0, "c": 60.0}))
    assert videos.fps == 60.0
    # 60 - 59.94 is a frame in 16.7 s.
    assert (
        videos.notes[1] == "the frame rates differ slightly (a 59.94, b 60, c 60): the cameras drift by a frame in 17 s"
    )


def test_what_was_written_down_goes_first(tmp_path: Path):
    """A high-speed camera saves 240 frames a second as 30."""
    videos = probe_take(a_take(tmp_path, {"a": 30.0, "b": 30.0}, written=240.0))
    assert videos.fps == 240.0
    assert videos.notes[1] == "240 frames a second, as written down, are used; the videos say a 30, b 30"


def test_varying_frame_times_are_told(tmp_path: Path):
    times = np.cumsum([0, *[0.04, 0.06] * 6])
    videos = {
        "a": write_counter_clip(tmp_path / "a.mp4", 13, times_s=list(times)),
        "b": write_counter_clip(tmp_path / "b.mp4", 13, fps=20.0),
    }
    probed = probe_take(Take(name="t", root=tmp_path, videos=videos))
    assert probed.fps == pytest.approx(20.0, rel=1e-3)
    assert probed.notes == ("a: the frame times vary (40 to 60 ms apart); 20 frames a second is their mean",)


def test_the_shortest_counts(tmp_path: Path):
    videos = {n: write_counter_clip(tmp_path / f"{n}.mp4", length) for n, length in (("a", 9), ("b", 12))}
    assert probe_take(Take(name="t", root=tmp_path, videos=videos)).n_frames == 9


def test_turns_are_taken_over(tmp_path: Path):
    take = a_take(tmp_path, {"a": 30.0, "b": 30.0})
    turned = Take(name="t", root=tmp_path, videos=take.videos, rotations={"b": 90})
    assert {n: i.size for n, i in probe_take(turned).infos.items()} == {"a": (96, 64), "b": (64, 96)}


def test_a_bad_video_is_named(tmp_path: Path):
    take = a_take(tmp_path, {"a": 30.0, "b": 30.0})
    take.videos["b"].write_bytes(b"")
    with pytest.raises(VideoError, match=r"b.mp4: the file is empty \(0 bytes\). Copy or record it again"):
        probe_take(take)


def test_the_real_take_has_one_rate(shared_data: Path):
    folder = shared_data / "pose2sim" / "HEAD" / "Demo_SinglePerson" / "videos"
    take = Take(name="t", root=folder, videos={f"cam0{i}": folder / f"cam0{i}.mp4" for i in (1, 2, 3, 4)})
    videos = probe_take(take)
    assert (videos.fps, videos.n_frames, videos.notes) == (60.0, 100, ())
