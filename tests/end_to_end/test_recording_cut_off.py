"""`mocap record` from network cameras, killed, on a full disk, and where nothing may be written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from mocap.capture.counter_picture import read_number
from mocap.capture.recovery import unfinished
from mocap.core.session import Session, SessionCamera
from mocap.io.frame_times import read_frame_times
from mocap.io.session_files import open_take, write_session
from mocap.io.video_reader import VideoReader
from running_mocap import mocap
from small_disks import Mount, small_disk_at
from stream_server import StreamServer, stream_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and mounts are a matter of POSIX"),
]
CAMERAS = ("cam1", "cam2")
RECORD = [sys.executable, "-m", "mocap.cli.main", "record"]


@pytest.fixture(scope="module")
def server() -> Iterator[StreamServer]:
    with stream_server(size="320x180", fps=30) as serving:
        yield serving


@pytest.fixture
def small_disk(tmp_path) -> Iterator[tuple[Path, Mount]]:
    with small_disk_at(tmp_path / "disk", "400m") as made:
        yield made


def session_of(root: Path, server: StreamServer) -> Path:
    write_session(Session(root, tuple(SessionCamera(name, server.http(f"{name}.mjpg")) for name in CAMERAS)))
    return root


def recorded_s(folder: Path) -> float:
    """How far timestamps.csv of the first take has come."""
    for path in folder.glob("takes/*/timestamps.csv"):
        last = path.read_text(encoding="utf-8").rpartition("\n")[0].rpartition("\n")[2]
        return 0.0 if last.startswith("camera") or not last else float(last.rsplit(",", 1)[1])
    return 0.0


def test_kill_9_of_the_command(tmp_path, server):
    session = session_of(tmp_path / "s", server)
    process = subprocess.Popen([*RECORD, str(session), "--take", "walk", "--seconds", "60"], start_new_session=True)
    until = time.monotonic() + 50
    while recorded_s(session) < 3 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    came_s = recorded_s(session)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert came_s >= 3
    (take_root,) = unfinished(session)
    for name in CAMERAS:  # plays as it is
        clip = take_root / "video" / f"{name}.mp4"
        info = VideoReader(clip).info
        assert info.start_s + info.times_s[-1] > came_s - 1.0
        assert cv2.VideoCapture(str(clip)).read()[0]
    checked = mocap("session", "check", session)
    assert "Traceback" not in checked.stderr
    done = mocap("record", session, "--take", "run", "--seconds", "1", "--headless", "--json")
    assert "the recording was cut off" in done.stderr, "repaired by the next start, which tells"
    assert unfinished(session) == ()
    take = open_take(take_root)
    times = read_frame_times(take_root / "timestamps.csv")
    for index, path in enumerate(take.videos.values()):
        shown = [frame.index for frame in VideoReader(path)]
        assert times.frame[times.camera == index].tolist() == shown
        assert read_number(VideoReader(path).read(len(shown) - 1).image) is not None


def test_a_disk_that_fills_up_and_one_that_must_not_be_written(small_disk, server):
    disk, mount = small_disk
    session = session_of(disk / "s", server)
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 300_500_000))  # recording stops at 300 MB
    done = mocap("record", session, "--take", "walk", "--seconds", "40", "--headless", "--json", "--force")
    assert "are free on the disk" in done.stdout + done.stderr
    take = open_take(next((session / "takes").iterdir()))
    for path in take.videos.values():
        reader = VideoReader(path)
        assert sum(1 for _ in reader) > 30
        assert reader.report.complete
    assert unfinished(session) == ()
    mount("remount,ro")
    done = mocap("record", session, "--take", "run", "--seconds", "1", "--headless")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "written" in done.stderr
