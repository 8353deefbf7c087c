"""Written videos hold every picture at its time, and appear only when complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import VideoError
from mocap.io.video import VideoReader, probe_video
from mocap.io.video_writer import Sound, VideoWriter, VideoWriterConfig
from video_worlds import FAST, SIZE, counter_image, counter_of


@pytest.mark.parametrize("fps", [24.0, 29.97, 30000 / 1001, 59.94, 120.0, 6.0])
def test_frame_rates_survive(tmp_path: Path, fps: float):
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, SIZE, fps, FAST) as writer:
        for number in range(20):
            writer.write(counter_image(number))
    info = probe_video(path)
    # Frame times are rounded to a tick of 1/90000 s, over 19 frames.
    assert info.fps == pytest.approx(fps, rel=1 / 90_000 * fps / 19 + 1e-6)
    assert info.constant_rate
    assert info.start_s == 0
    with VideoReader(path) as reader:
        assert [counter_of(f.image) for f in reader] == list(range(20))


def test_lossless_is_lossless_but_for_the_colour_space(tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    with VideoWriter(tmp_path / "a.mkv", SIZE, 30.0, VideoWriterConfig(crf=0, pixel_format="yuv444p")) as writer:
        writer.write(image)
    with VideoReader(tmp_path / "a.mkv") as reader:
        # Limited-range YUV keeps 219 of 256 levels and each of its three channels rounds: a few levels in RGB.
        assert np.abs(reader.read(0).image.astype(int) - image).max() <= 6


@pytest.mark.parametrize("threads", [0, 1])
def test_the_same_pictures_and_sound_give_the_same_file(tmp_path: Path, threads: int):
    """x264 by itself fails this: with sound, six different files in ten runs."""
    rng = np.random.default_rng(2)
    pictures = rng.integers(0, 256, (10, 240, 320, 3), dtype=np.uint8)
    sound = Sound(rng.normal(0, 0.1, 24_000).astype(np.float32))
    files = set()
    for number in range(10):
        path = tmp_path / f"{number}.mp4"
        with VideoWriter(path, (320, 240), 25.0, VideoWriterConfig(crf=12, threads=threads), sound=sound) as writer:
            for picture in pictures:
                writer.write(picture)
        files.add(path.read_bytes())
    assert len(files) == 1


def test_an_error_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4", SIZE, 30.0) as writer:
        writer.write(counter_image(0))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_stays_until_the_new_one_is_complete(tmp_path: Path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with VideoWriter(path, SIZE, 30.0, FAST) as writer:
        writer.write(counter_image(0))
        assert path.read_bytes() == b"old"
    assert probe_video(path).n_frames == 1


def test_pictures_of_another_size_are_refused(tmp_path: Path):
    with pytest.raises(VideoError, match="64x96"), VideoWriter(tmp_path / "a.mp4", SIZE, 30.0) as writer:
        writer.write(np.zeros((96, 64, 3), dtype=np.uint8))
    with pytest.raises(VideoError, match="needs even sizes"):
        VideoWriter(tmp_path / "a.mp4", (97, 64), 30.0)


def test_times_must_ascend(tmp_path: Path):
    with (
        pytest.raises(VideoError, match="frame 1 does not show after"),
        VideoWriter(tmp_path / "a.mp4", SIZE, 30.0) as writer,
    ):
        writer.write(counter_image(0), 0.5)
        writer.write(counter_image(1), 0.5)
