"""H.264 of cameras that is kept as it comes: which pictures a file can hold, and what is in it."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from mocap.capture.camera_recording import CameraRecord
from mocap.capture.counter_picture import CounterPicture, read_number
from mocap.capture.h264 import CHANGED, DAMAGED, FIRST, GAP, H264Stream, KeptPictures, parameter_sets
from mocap.capture.h264_writer import H264Writer
from mocap.capture.recorder import Recorder, RecorderConfig
from mocap.capture.recording_files import scene_folder
from mocap.capture.recording_report import sentences_of
from mocap.capture.rig import CaptureRig
from mocap.capture.source import Scene
from mocap.capture.stream_writer import StreamWriterConfig
from mocap.core.errors import VideoError
from mocap.core.session import Session, SessionCamera
from mocap.io.video_reader import VideoReader
from stream_server import RING, StreamServer, stream_server

SIZE, FPS, KEY_EVERY, WAIT_S = (160, 90), 30.0, 15, 20.0
WALK = Scene("take", take="walk")


def coded(count: int, preset: str = "ultrafast") -> list[tuple[bytes, bool]]:
    """(annex B, key) of pictures that carry their numbers; parameter sets with every key picture."""
    context = VideoCodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = SIZE
    context.pix_fmt, context.gop_size, context.thread_count = "yuv420p", KEY_EVERY, 1
    context.time_base = Fraction(1, 30)
    context.options = {"preset": preset, "tune": "zerolatency"}
    picture, packets = CounterPicture(SIZE), []
    for number in range(count):
        packets += context.encode(av.VideoFrame.from_ndarray(picture.at(number), format="rgb24"))
    packets += context.encode(None)
    return [(bytes(packet), packet.is_keyframe) for packet in packets]


@pytest.fixture(scope="module")
def pictures() -> list[tuple[bytes, bool]]:
    return coded(40)


def numbers(path: Path) -> list[int | None]:
    return [read_number(frame.image) for frame in VideoReader(path)]


def test_parameter_sets_are_found_before_the_slices(pictures):
    found = parameter_sets(pictures[0][0])
    kinds = [unit[0] & 31 for unit in found.split(b"\0\0\1")[1:]]
    assert kinds == [7, 8]
    assert parameter_sets(pictures[1][0]) == b""
    assert parameter_sets(b"") == b""


def test_a_file_begins_with_a_key_picture_and_goes_on_after_a_loss_with_one(pictures, tmp_path):
    stream, kept = H264Stream(), KeptPictures()
    reasons = []
    with H264Writer(tmp_path / "cam.mp4", SIZE, FPS, StreamWriterConfig()) as writer:
        for number, (data, key) in enumerate(pictures):
            picture = stream.next(data, key=key)
            if number < 3 or number == 20:  # the recording begins later; one picture gets lost
                continue
            reasons.append(kept.why_not(picture))
            if reasons[-1] is None:
                assert picture is not None
                writer.write(picture, number / FPS)
    assert reasons == [FIRST] * 12 + [None] * 5 + [GAP] * 9 + [None] * 10
    assert numbers(tmp_path / "cam.mp4") == [*range(15, 20), *range(30, 40)]


def test_parameter_sets_may_come_once_beside_the_pictures(pictures, tmp_path):
    """As an RTSP camera tells them in its description (sprop-parameter-sets)."""
    sets = parameter_sets(pictures[0][0])
    stream, kept = H264Stream(sets), KeptPictures()
    with H264Writer(tmp_path / "cam.mp4", SIZE, FPS, StreamWriterConfig()) as writer:
        for number, (data, key) in enumerate(pictures[:20]):
            picture = stream.next(data.replace(sets, b"") if key else data, key=key)
            assert picture is not None
            assert kept.why_not(picture) is None
            writer.write(picture, number / FPS)
    assert numbers(tmp_path / "cam.mp4") == list(range(20))


def test_what_does_not_belong_together_is_not_put_together(pictures):
    kept, stream, other = KeptPictures(), H264Stream(), H264Stream()
    assert kept.why_not(None) == DAMAGED
    assert kept.why_not(stream.next(pictures[0][0], key=True)) is None
    other.next(pictures[0][0], key=True)
    assert kept.why_not(other.next(pictures[1][0], key=False)) == GAP  # number 2, but of another connection
    assert kept.why_not(stream.next(pictures[1][0], key=False)) is None
    kept.lost()
    assert kept.why_not(stream.next(pictures[2][0], key=False)) == GAP
    changed = H264Stream().next(coded(1, "veryfast")[0][0], key=True)
    assert kept.why_not(changed) == CHANGED
    assert kept.why_not(stream.next(pictures[15][0], key=True)) is None


def test_what_is_not_in_the_form_of_streams_is_not_kept(pictures, tmp_path):
    data = pictures[0][0]
    assert H264Stream().next(len(data).to_bytes(4, "big") + data[4:], key=True) is None  # as in an MP4
    assert H264Stream().next(pictures[1][0], key=False) is None, "nobody knows how it is to be read"
    with H264Writer(tmp_path / "cam.mp4", SIZE, FPS, StreamWriterConfig()) as writer:
        with pytest.raises(VideoError, match="gives no H.264 any more"):
            writer.write(data, 0.0)
        picture = H264Stream().next(data, key=True)
        assert picture is not None
        writer.write(picture, 0.1)
    assert numbers(tmp_path / "cam.mp4") == [0]


@pytest.fixture(scope="module")
def server() -> Iterator[StreamServer]:
    with stream_server(size="160x90", fps=FPS) as server:
        yield server


def recorded(server: StreamServer, root: Path, seconds: float, *, cut: bool = False):
    """A take of one RTSP camera whose H.264 is kept: its record, and (frame, time_s) of its pictures."""
    session = Session(root=root, cameras=(SessionCamera("cam1", server.rtsp()),))
    with CaptureRig(session) as rig:
        assert rig.wait_until_live(WAIT_S) == ()
        recorder = Recorder(rig, RecorderConfig(keep_jpegs="always"))
        recorder.start(scene_folder(root, WALK), scene=WALK, duration_s=seconds)
        if cut:
            time.sleep(0.4 * seconds)
            server.tell("cut")
        assert recorder.wait(WAIT_S)
        (record,) = recorder.stop().cameras
        start_s = recorder.start_s
    assert start_s is not None
    with (root / "takes" / "walk" / "timestamps.csv").open(encoding="utf-8", newline="") as file:
        times = np.array([float(row["time_s"]) for row in csv.DictReader(file)])
    shown = np.array(numbers(root / "takes" / "walk" / "video" / "cam1.mp4"), dtype=float)
    return record, shown, times + start_s - server.start_s


@pytest.mark.parametrize("cut", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_h264_of_a_network_camera_is_kept_as_it_came(server, tmp_path, cut):
    record, shown, moment_s = recorded(server, tmp_path, 2.5 if cut else 1.2, cut=cut)
    assert record.encoder == "the camera's own H.264"
    assert record.written == len(shown) == len(moment_s)
    assert np.isfinite(shown).all(), "every picture can be read, also after a gap"
    expected = moment_s * FPS
    # Which picture it is, is counted modulo the server's ring; a connection is known to about one picture.
    off = (expected - shown + RING / 2) % RING - RING / 2
    assert np.abs(off).max() < 2.0
    assert shown[0] % KEY_EVERY == 0
    assert record.before < KEY_EVERY
    jumps = np.flatnonzero(np.diff(shown) % RING != 1)
    if cut:
        assert record.reconnects == 1
        assert (shown[jumps + 1] % KEY_EVERY == 0).all()
    elif not record.missing:
        assert len(jumps) == 0


def test_a_late_beginning_is_told_where_it_is_long_and_is_no_loss():
    def told(before: int, gap: int = 0) -> list[str]:
        dropped = {reason: count for reason, count in ((FIRST, before), (GAP, gap)) if count}
        return sentences_of(CameraRecord(camera="cam1", file="cam1.mp4", written=300, fps=30.0, dropped=dropped), 12.0)

    assert told(20) == []
    assert told(60) == ["cam1 begins 2.0 s late, with its first key picture: set it to send those more often"]
    assert told(20, 10) == ["cam1 lost 10 of 310 pictures (10 leaning on a picture that is missing)"]


def test_a_file_that_is_cut_off_plays_to_its_last_quarter_of_a_second(pictures, tmp_path):
    stream, config = H264Stream(), StreamWriterConfig()
    with H264Writer(tmp_path / "cam.mp4", SIZE, FPS, config) as writer:
        for number, (data, key) in enumerate(pictures):
            picture = stream.next(data, key=key)
            assert picture is not None
            writer.write(picture, number / FPS)
        shutil.copy(tmp_path / "cam.mp4", tmp_path / "killed.mp4")
    whole = numbers(tmp_path / "killed.mp4")
    # A fragment is written with the picture that follows it, and one more picture may wait for its duration.
    assert whole == list(range(len(whole)))
    assert len(whole) >= len(pictures) - config.fragment_s * FPS - 2
