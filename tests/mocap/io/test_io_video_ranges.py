"""A video read in pieces is the video read through: the same pictures, the same holes, the same report."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mocap.io.video import SynchronizedReader, SynchronizedReport, VideoReader, VideoReport
from video_worlds import counter_of, rewrap, truncated, with_ruined_packet, write_counter_clip

N_FRAMES = 45


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keyframes at 0, 12, 24 and 36, up to three B-frames in a row; the index at the front."""
    folder = tmp_path_factory.mktemp("ranges")
    whole = write_counter_clip(folder / "whole.mp4", N_FRAMES)
    return rewrap(whole, folder / "clip.mp4", options={"movflags": "faststart"})


def digests(frames) -> dict[int, tuple[float, bytes]]:
    return {frame.index: (frame.time_s, hashlib.sha1(frame.image).digest()) for frame in frames}


def read_through(reader: VideoReader) -> dict[int, tuple[float, bytes]]:
    return digests(reader.frames())


def within(frames: dict[int, tuple[float, bytes]], start: int, stop: int) -> dict[int, tuple[float, bytes]]:
    return {index: seen for index, seen in frames.items() if start <= index < stop}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".flv"])
def test_every_start_gives_what_reading_through_gives(clip: Path, tmp_path: Path, suffix: str):
    with VideoReader(rewrap(clip, tmp_path / f"other{suffix}", with_audio=True)) as reader:
        through = read_through(reader)
        assert len(through) == N_FRAMES
        for start in range(N_FRAMES):
            assert digests(reader.frames(start, start + 5)) == within(through, start, start + 5)
            assert reader.report.complete
            assert reader.report.expected == min(5, N_FRAMES - start)


@pytest.mark.parametrize(
    "name",
    [
        "caliscope/sessions/h264_extrinsic/cam_0.mp4",
        pytest.param("pose2sim/HEAD/Demo_SinglePerson/videos/cam02.mp4", marks=pytest.mark.slow),
    ],
)
def test_real_clips_in_pieces(shared_data: Path, name: str):
    """B-frames with a keyframe every 13 pictures, and VP9, whose stream also holds pictures that are never shown."""
    with VideoReader(shared_data / name) as reader:
        through = read_through(reader)
        for size in (17, 64):
            pieces: dict[int, tuple[float, bytes]] = {}
            for start in range(0, len(reader), size):
                pieces |= digests(reader.frames(start, start + size))
            assert pieces == through


@pytest.mark.parametrize("position", [4, 12, 15, 23, 40])
def test_a_damaged_picture_leaves_the_same_hole(clip: Path, tmp_path: Path, position: int):
    with VideoReader(with_ruined_packet(clip, tmp_path / "bad.mp4", position)) as reader:
        through = read_through(reader)
        whole = reader.report
        assert 0 < len(through) < N_FRAMES
        for size in (7, 12, 30):
            pieces, parts = {}, []
            for start in range(0, N_FRAMES, size):
                pieces |= digests(reader.frames(start, start + size))
                parts.append(reader.report)
            assert pieces == through
            assert VideoReport.joined(parts) == whole


def test_behind_the_cut_there_is_nothing_and_the_report_says_where_it_began(clip: Path, tmp_path: Path):
    with VideoReader(truncated(clip, tmp_path / "cut.mp4", 0.6)) as reader:
        through = read_through(reader)
        whole = reader.report
        assert N_FRAMES / 2 < len(through) < N_FRAMES - 10
        parts = []
        for start in range(0, N_FRAMES, 10):
            assert digests(reader.frames(start, start + 10)) == within(through, start, start + 10)
            parts.append(reader.report)
        assert (parts[-1].decoded, parts[-1].expected, parts[-1].first_missing) == (0, 5, 40)
        assert VideoReport.joined(parts) == whole
        assert whole.first_missing == len(through)


def test_cameras_in_pieces(clip: Path, tmp_path: Path):
    """The shortest is 38 frames, one is cut off: pieces of 10 are the whole, and so is what is told of them."""
    videos = {
        "whole": clip,
        "cut": truncated(clip, tmp_path / "cut.mp4", 0.6),
        "short": write_counter_clip(tmp_path / "short.mkv", N_FRAMES - 7),
    }

    def shown(start: int = 0, stop: int | None = None) -> tuple[list, SynchronizedReport]:
        reader = SynchronizedReader(videos, start=start, stop=stop)
        rows = [(i, {n: None if p is None else counter_of(p) for n, p in images.items()}) for i, images in reader]
        assert len(rows) == len(reader)
        assert reader.n_frames == N_FRAMES - 7
        assert reader.report is not None
        return rows, reader.report

    through, whole = shown()
    assert len(whole.sentences) == 2
    pieces = [shown(start, start + 10) for start in range(0, N_FRAMES - 7, 10)]
    assert [row for rows, _ in pieces for row in rows] == through
    assert through[20][1] == {"whole": 20, "cut": 20, "short": 20}
    assert through[35][1] == {"whole": 35, "cut": None, "short": 35}
    assert SynchronizedReport.joined([report for _, report in pieces]) == whole
    assert whole.sentences[0].endswith("the first 38 are used")
