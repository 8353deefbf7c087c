"""From the stream to timestamps.csv: cameras of different kinds end up on one clock."""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest

from mocap.capture.counter_picture import read_number
from mocap.capture.recorder import Recorder
from mocap.capture.rig import CaptureRig
from mocap.capture.source import Scene
from mocap.core.session import Session, SessionCamera
from mocap.io.video import VideoReader
from stream_server import RING, stream_server

FPS = 30.0


def recorded(root, cameras: dict[str, str], seconds: float) -> None:
    session = Session(root=root, cameras=tuple(SessionCamera(name, source) for name, source in cameras.items()))
    with CaptureRig(session) as rig:
        assert rig.wait_until_live(30.0) == ()
        time.sleep(1.0)  # until the least delay of each stream is known
        recorder = Recorder(rig)
        recorder.start(root / "takes" / "t", scene=Scene("take", take="t"), duration_s=seconds)
        end = time.monotonic() + 30 + seconds
        while recorder.recording and time.monotonic() < end:
            time.sleep(0.05)
        recorder.stop()


def moments(root, camera: str) -> np.ndarray:
    """(F,) time of each picture in the file, less the moment at which the server took it (modulo the ring)."""
    rows = csv.DictReader((root / "takes" / "t" / "timestamps.csv").open(encoding="utf-8"))
    time_s = np.array([float(row["time_s"]) for row in rows if row["camera"] == camera])
    with VideoReader(root / "takes" / "t" / "video" / f"{camera}.mp4") as reader:
        number = np.array([read_number(frame.image) for frame in reader], float)
    assert len(number) == len(time_s) > FPS
    return time_s - number / FPS


@pytest.mark.slow
def test_mjpeg_and_h264_of_one_scene_get_the_same_times(tmp_path):
    """Both show one process's pictures. What differs is the least way through each: the encoder's ms here, and what
    the busy machine of the test adds; a reader that did not care how FFmpeg waits would be 33 ms off."""
    with stream_server(size="160x90", fps=FPS, delay_ms=4) as server:
        recorded(tmp_path, {"a": server.http(), "b": server.http("cam2.mjpg"), "c": server.rtsp()}, 2.0)
    first = np.median(moments(tmp_path, "a"))
    for camera in "abc":
        off = (moments(tmp_path, camera) - first) * FPS
        off_s = (off - RING * np.round(off / RING)) / FPS
        # nine of ten pictures: a stall while the first ones come moves the estimate of the least delay for a while
        assert np.percentile(np.abs(off_s), 90) < 0.010
