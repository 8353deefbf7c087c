"""Real clips: a burnt-in counter, B-frames, VP9 beside sound, frame times that vary."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest

from mocap.io.video import VideoReader, probe_video

DIGIT_WIDTH = 8
COUNTER_ROWS, TIME_ROWS = slice(22, 33), slice(6, 17)
RIGHT_EDGE = 100


def glyph(image: np.ndarray, rows: slice, place: int) -> np.ndarray:
    """The burnt-in character that is `place` characters from the right; orange, on a dark ground that shimmers."""
    right = RIGHT_EDGE - place * DIGIT_WIDTH
    red = image[rows, right - DIGIT_WIDTH : right, 0].astype(np.float64)
    return np.clip((red - 100) / 100, 0, 1)


def templates_of(glyphs: list[np.ndarray], digits: list[int]) -> np.ndarray:
    return np.stack([np.mean([g for g, d in zip(glyphs, digits, strict=True) if d == k], axis=0) for k in range(10)])


def read_digit(seen: np.ndarray, templates: np.ndarray) -> int | None:
    """The nearest digit, None for an empty place."""
    if seen.max() < 0.3:
        return None
    return int(np.abs(templates - seen).mean(axis=(1, 2)).argmin())


def number_at(image: np.ndarray, rows: slice, places: tuple[int, ...], templates: np.ndarray) -> int:
    digits = [read_digit(glyph(image, rows, place), templates) for place in places]
    return int("".join("" if d is None else str(d) for d in digits))


def test_the_burnt_in_counter_is_the_index(shared_data: Path):
    """Templates come from the last digits of the first 50 frames, taken for their indices; a frame lost or doubled
    would blur them, and contradict the other places, the other 130 frames and the clock above the counter.
    """
    path = shared_data / "caliscope" / "sessions" / "h264_extrinsic" / "cam_0.mp4"
    clock_ms = [(i * 1001 * 1000 + 30000) // 60000 for i in range(180)]
    with VideoReader(path) as reader:
        images = [frame.image for frame in reader]
        assert len(images) == 180
        units = templates_of([glyph(i, COUNTER_ROWS, 0) for i in images[:50]], [k % 10 for k in range(50)])
        ticks = templates_of([glyph(i, TIME_ROWS, 0) for i in images], [ms % 10 for ms in clock_ms])
        assert [number_at(i, COUNTER_ROWS, (2, 1, 0), units) for i in images] == list(range(180))
        assert [number_at(i, TIME_ROWS, (4, 2, 1, 0), ticks) for i in images] == clock_ms
        np.testing.assert_allclose(reader.info.times_s, np.arange(180) * 1001 / 60000, atol=1e-12)
        for index in np.random.default_rng(0).permutation(180).tolist():
            assert number_at(reader.read(index).image, COUNTER_ROWS, (2, 1, 0), units) == index


def test_b_frames_and_frame_rate_of_the_counter_clips(shared_data: Path):
    for name in ("cam_0.mp4", "cam_1.mp4"):
        info = probe_video(shared_data / "caliscope" / "sessions" / "h264_extrinsic" / name)
        assert (info.size, info.n_frames, info.n_readable, info.codec) == ((320, 240), 180, 180, "h264")
        assert info.fps == pytest.approx(60000 / 1001)
        assert info.constant_rate
        assert (np.diff(info.packets.position) < 0).any()


def test_varying_frame_times_beside_sound(shared_data: Path):
    path = shared_data / "caliscope" / "history" / "charuco.mkv"
    info = probe_video(path)
    assert (info.size, info.n_frames, info.n_frames_exact, info.has_audio) == ((2048, 1152), 393, True, True)
    assert not info.constant_rate
    with av.open(str(path)) as container:
        stamps = sorted(packet.pts for packet in container.demux(video=0) if packet.size)
    np.testing.assert_allclose(info.times_s, np.array(stamps) / 1000, atol=1e-12)
    with VideoReader(path) as reader:
        times = [frame.time_s for frame in reader.frames(stop=60)]
    assert times == info.times_s[:60].tolist()
    assert sorted(set(np.diff(stamps))) != [50]


def test_vp9_beside_sound(shared_data: Path):
    path = shared_data / "pose2sim" / "HEAD" / "Demo_SinglePerson" / "videos" / "cam02.mp4"
    info = probe_video(path)
    assert (info.codec, info.has_audio, info.size) == ("vp9", True, (1080, 1920))
    assert (info.n_frames, info.fps, info.constant_rate) == (100, 60.0, True)
    with VideoReader(path) as reader:
        assert [frame.index for frame in reader] == list(range(100))


@pytest.mark.parametrize(
    "clip",
    [
        pytest.param("pose2sim/HEAD/Demo_SinglePerson/videos/cam03.mp4", marks=pytest.mark.slow),
        pytest.param("pose2sim/HEAD/Demo_SinglePerson/videos/cam02.mp4", marks=pytest.mark.slow),
        "caliscope/history/9af418c9_post_optimization_3cam/port_0.mp4",
        pytest.param("caliscope/history/charuco.mkv", marks=pytest.mark.slow),
        pytest.param("single_view/Sports2D/Sports2D/Demo/demo.mp4", marks=pytest.mark.slow),
    ],
)
def test_reading_by_index_equals_reading_through(shared_data: Path, clip: str):
    with VideoReader(shared_data / clip) as reader:
        through = [hashlib.sha1(frame.image).digest() for frame in reader]
        assert len(through) == reader.info.n_frames
        for index in np.random.default_rng(7).choice(len(through), 12, replace=False).tolist():
            assert hashlib.sha1(reader.read(index).image).digest() == through[index], index
