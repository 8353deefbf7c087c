"""Frames come out exactly: every index, every container, every way of turning, threaded or not."""

from __future__ import annotations

import itertools
import resource
import sys
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mocap.core.errors import VideoError
from mocap.io.video import VideoReader, probe_video
from mocap.io.video_decode import _flush
from mocap.io.video_probe import open_video
from mocap.io.video_writer import VideoWriterConfig
from video_worlds import FAST, counter_image, counter_of, rewrap, write_counter_clip

N_FRAMES = 45


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counter_clip(tmp_path_factory.mktemp("reader") / "clip.mp4", N_FRAMES)


def numbers(path: Path) -> list[int]:
    with VideoReader(path) as reader:
        shown = []
        for position, frame in enumerate(reader):
            assert frame.index == position
            shown.append(counter_of(frame.image))
        assert reader.report.complete
        assert reader.report.first_error is None
    return shown


def test_the_clip_has_what_makes_reading_hard(clip: Path):
    with av.open(str(clip)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        assert any(a.pts > b.pts for a, b in itertools.pairwise(packets)), "no B-frames"
        assert sum(p.is_keyframe for p in packets) == 4


def test_every_frame_in_order(clip: Path):
    assert numbers(clip) == list(range(N_FRAMES))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".flv"])
@pytest.mark.parametrize("shift_s", [0.0, 5.5])
def test_every_container_and_start_time(clip: Path, tmp_path: Path, suffix: str, shift_s: float):
    other = rewrap(clip, tmp_path / f"other{suffix}", shift_s=shift_s, with_audio=True)
    info = probe_video(other)
    assert (info.n_frames, info.n_readable, info.n_frames_exact) == (N_FRAMES, N_FRAMES, True)
    assert info.has_audio
    assert info.start_s >= shift_s
    assert info.times_s[0] == 0.0
    # Matroska and FLV store milliseconds: half a millisecond of rounding at either end.
    np.testing.assert_allclose(info.times_s, np.arange(N_FRAMES) / 30, atol=1.001e-3)
    assert info.fps == 30.0
    assert info.constant_rate
    assert numbers(other) == list(range(N_FRAMES))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_reading_by_index_equals_reading_through(clip: Path, tmp_path: Path, suffix: str):
    other = rewrap(clip, tmp_path / f"other{suffix}")
    with VideoReader(other) as reader:
        through = [(f.index, f.time_s, f.image) for f in reader]
        shuffled = np.random.default_rng(3).permutation(N_FRAMES)
        for index in [*range(N_FRAMES), *range(N_FRAMES - 1, -1, -1), *shuffled.tolist()]:
            frame = reader.read(index)
            assert (frame.index, frame.time_s) == through[index][:2]
            np.testing.assert_array_equal(frame.image, through[index][2])


def test_an_open_group_of_pictures_leans_on_the_one_before(tmp_path: Path):
    path = tmp_path / "open.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.options = {
            "x264-params": "open-gop=1:keyint=10:min-keyint=10:bframes=3:b-adapt=0:scenecut=0:crf=10"
        }
        for number in range(N_FRAMES):
            frame = av.VideoFrame.from_ndarray(counter_image(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    table = probe_video(path).packets
    leading = (np.diff(table.position) < 0) & table.keyframe[1:]
    assert leading.any(), "the encoder made no open group"
    with VideoReader(path) as reader:
        assert [counter_of(f.image) for f in reader] == list(range(N_FRAMES))
        for index in np.random.default_rng(5).permutation(N_FRAMES).tolist():
            assert counter_of(reader.read(index).image) == index


def test_an_edit_list_hides_the_beginning(clip: Path, tmp_path: Path):
    trimmed = rewrap(clip, tmp_path / "trimmed.mp4", shift_s=-17 / 30)
    info = probe_video(trimmed)
    assert (info.n_frames, info.n_readable) == (N_FRAMES - 17, N_FRAMES - 17)
    assert numbers(trimmed) == list(range(17, N_FRAMES))
    with VideoReader(trimmed) as reader:
        for index in (20, 3, 0, 27):
            assert counter_of(reader.read(index).image) == index + 17


def test_frame_times_may_vary(tmp_path: Path):
    times = np.cumsum(np.r_[0.2, np.random.default_rng(1).uniform(0.01, 0.2, 29)])
    for suffix, tick_s in ((".mp4", 1 / 90_000), (".mkv", 1e-3)):
        path = write_counter_clip(tmp_path / f"varying{suffix}", 30, times_s=list(times))
        info = probe_video(path)
        assert not info.constant_rate
        # Each time is rounded to a tick of the writer and one of the container, at both ends of the difference.
        np.testing.assert_allclose(info.times_s, times - times[0], atol=2 * (tick_s / 2 + 1 / 180_000))
        assert info.start_s == pytest.approx(times[0], abs=tick_s)
        assert info.fps == pytest.approx(29 / (times[-1] - times[0]), rel=1e-3)
        with VideoReader(path) as reader:
            assert [f.time_s for f in reader] == pytest.approx(list(info.times_s))
            assert counter_of(reader.read(23).image) == 23


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_turned_cameras_give_upright_pictures(tmp_path: Path, turn: int, suffix: str):
    path = write_counter_clip(
        tmp_path / f"turned{suffix}",
        5,
        config=FAST.model_copy(update={"rotation": turn}),
        transform=lambda image: np.rot90(image, turn // 90),  # the camera lay on its side; players turn it back
    )
    info = probe_video(path)
    assert (info.size, info.rotation) == ((96, 64), turn)
    assert numbers(path) == list(range(5))
    seen = cv2.VideoCapture(str(path)).read()[1]
    with VideoReader(path) as reader:
        np.testing.assert_array_equal(reader.read(0).image, seen[..., ::-1])


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_an_extra_turn_comes_on_top(tmp_path: Path, turn: int):
    path = write_counter_clip(
        tmp_path / "clip.mp4",
        3,
        config=FAST.model_copy(update={"rotation": 90}),
        transform=lambda image: np.rot90(image, (90 + turn) // 90),
    )
    info = probe_video(path, rotation=turn)
    assert info.rotation == (90 + turn) % 360
    with VideoReader(path, rotation=turn) as reader:
        assert [counter_of(f.image) for f in reader] == [0, 1, 2]
        assert reader.info.size == (96, 64)


def test_turns_are_quarters(clip: Path):
    with pytest.raises(VideoError, match="rotation of 45 degrees is not possible. Give 0, 90, 180 or 270"):
        probe_video(clip, rotation=45)


CODECS = {
    "vp9.webm": ("libvpx-vp9", "yuv420p", {"cpu-used": "8", "deadline": "realtime", "crf": "10"}, 0),
    "vp9_altref.webm": ("libvpx-vp9", "yuv420p", {"cpu-used": "5", "lag-in-frames": "16", "auto-alt-ref": "1"}, 0),
    "vp8.webm": ("libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "16", "crf": "10", "b": "2M"}, 0),
    "hevc10.mp4": ("libx265", "yuv420p10le", {"x265-params": "log-level=none:crf=12"}, 4),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {"qscale": "2"}, 0),
    "mpeg4_b.avi": ("mpeg4", "yuv420p", {"b": "4M"}, 2),
    "h264_b.avi": ("libx264", "yuv420p", {"crf": "12"}, 3),
    "mpeg2_b.mpg": ("mpeg2video", "yuv420p", {"b": "4M"}, 2),
    "prores.mov": ("prores_ks", "yuv422p10le", {}, 0),
    "lossless.mkv": ("ffv1", "yuv444p", {}, 0),
    "intra_refresh.ts": ("libx264", "yuv420p", {"x264-params": "intra-refresh=1:keyint=12:crf=10"}, 0),
    "wmv.wmv": ("wmv2", "yuv420p", {"b": "4M"}, 0),
}


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_of_cameras_and_editors(tmp_path: Path, name: str):
    codec, pixel_format, options, b_frames = CODECS[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no {codec}")
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 12, b_frames
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(counter_image(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert numbers(path) == list(range(30))
    with VideoReader(path) as reader:
        for index in np.random.default_rng(2).permutation(30).tolist():
            assert counter_of(reader.read(index).image) == index


def test_a_stream_without_time_stamps_counts_its_pictures(clip: Path, tmp_path: Path):
    raw = rewrap(clip, tmp_path / "raw.h264")
    info = probe_video(raw)
    assert not info.has_timestamps
    np.testing.assert_allclose(info.times_s, np.arange(N_FRAMES) / info.fps)
    assert numbers(raw) == list(range(N_FRAMES))
    with VideoReader(raw) as reader:
        assert counter_of(reader.read(31).image) == 31
        assert counter_of(reader.read(2).image) == 2


@pytest.mark.parametrize("clip", ["cam02.mp4", "cam03.mp4"])  # rows of 1080 pixels end in padding, rows of 1088 do not
def test_pictures_are_those_that_opencv_reads(shared_data: Path, clip: str):
    path = shared_data / "pose2sim" / "HEAD" / "Demo_SinglePerson" / "videos" / clip
    with VideoReader(path) as reader:
        frame = reader.read(0)
    np.testing.assert_array_equal(frame.image, cv2.VideoCapture(str(path)).read()[1][..., ::-1])
    assert frame.image.flags.c_contiguous
    assert frame.image.dtype == np.uint8


def test_full_range_and_limited_range_give_the_same_grey(tmp_path: Path):
    # Limited range spends 16..235 on black..white; mistaking one for the other shifts a level of 200 by 12 or more.
    for pixel_format in ("yuv420p", "yuvj420p"):
        config = VideoWriterConfig(pixel_format=pixel_format, crf=1, preset="ultrafast")
        path = write_counter_clip(
            tmp_path / f"{pixel_format}.mp4", 2, config=config, transform=lambda i: np.full_like(i, 200)
        )
        with VideoReader(path) as reader:
            assert abs(int(np.median(reader.read(1).image)) - 200) <= 2


def test_an_index_outside_is_refused(clip: Path):
    with VideoReader(clip) as reader, pytest.raises(VideoError, match=r"no frame 45; the file has frames 0 to 44"):
        reader.read(N_FRAMES)


def test_reading_stops_where_asked(clip: Path):
    with VideoReader(clip) as reader:
        assert [f.index for f in reader.frames(stop=10)] == list(range(10))
        assert reader.report.complete
        assert reader.report.expected == 10


def test_leaving_early_is_told_and_leaves_nothing_open(clip: Path):
    threads = threading.active_count()
    handles = open_handles()
    for _ in range(20):
        with VideoReader(clip) as reader:
            for frame in reader:
                if frame.index == 3:
                    break
            reader.read(30)
    assert threading.active_count() == threads
    assert open_handles() == handles


def test_an_iteration_may_be_repeated(clip: Path):
    with VideoReader(clip) as reader:
        assert [f.index for f in reader] == [f.index for f in reader] == list(range(N_FRAMES))


@pytest.mark.skipif(sys.platform == "win32", reason="resource is not on Windows")
def test_memory_does_not_grow_with_the_length(tmp_path: Path):
    path = write_counter_clip(
        tmp_path / "long.mp4", 700, transform=lambda image: image.repeat(4, axis=0).repeat(4, axis=1)
    )
    with VideoReader(path) as reader:
        for frame in reader:
            assert frame.image.nbytes == 294_912
            if frame.index == 100:
                early = peak_bytes()
        # 599 further pictures are 177 MB (88 MB as YUV); a leak of every tenth one would show.
        assert peak_bytes() - early < 8e6


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def open_handles() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_a_file_that_becomes_unreadable_half_way_gives_what_was_read(clip: Path):
    """The decoder still holds B-frames when the container fails; flushing brings them out."""
    with open_video(clip) as (container, stream):
        shown = []
        for position, packet in enumerate(container.demux(stream)):
            if position == 20:
                break
            shown += packet.decode()
        before = len(shown)
        for packet in _flush(stream):
            shown += packet.decode()
        assert before < len(shown) == 20
