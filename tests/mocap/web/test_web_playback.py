from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from mocap.capture.stream_writer import StreamWriter
from mocap.core.errors import InputError
from mocap.web.playback import Playback
from mocap.web.previews import as_jpeg

SIZE, FPS, N = (320, 180), 10.0, 20


def grey(still) -> float:
    """Mean level of a picture."""
    return float(cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_COLOR).mean())


def shape(still) -> tuple[int, int]:
    return cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2]


@pytest.fixture(params=[True, False], ids=["kept JPEGs", "H.264"])
def video(request, tmp_path):
    """Frame i is as grey as 10 i."""
    path = tmp_path / "cam1.mp4"
    with StreamWriter(path, SIZE, FPS, as_jpeg=request.param) as writer:
        for i in range(N):
            image = np.full((SIZE[1], SIZE[0], 3), 10 * i, dtype=np.uint8)
            writer.write(as_jpeg(image) if request.param else image, i / FPS)
    return path


def test_every_moment_shows_the_frame_of_that_time(video):
    played = Playback()
    for at_s, index in ((0.0, 0), (0.31, 3), (1.0, 10), (0.25, 2), (1.95, 19), (99.0, 19), (-1.0, 0)):
        still = played.still(video, at_s + 1e-6, 640)
        assert (still.index, still.time_s) == (index, pytest.approx(index / FPS, abs=1e-4))
        assert still.length_s == pytest.approx(N / FPS, abs=0.01)
        assert grey(still) == pytest.approx(10 * index, abs=3), "two lossy codecs of a plain picture"
    played.let_go()


def test_pictures_are_small_and_upright(video):
    played = Playback()
    assert shape(played.still(video, 0.0, 5000)) == (180, 320)
    assert shape(played.still(video, 0.0, 160)) == (90, 160)
    assert shape(played.still(video, 0.0, 5000, rotation=90)) == (320, 180)
    played.let_go()


def test_a_recording_goes_before(video):
    played = Playback()
    assert played.still(video, 0.0, 160, recording=True) is not None
    assert played.still(video, 0.1, 160, recording=True) is None, "too soon after the one before"
    assert played.still(video, 0.1, 160) is not None


def test_files_are_followed_and_let_go(video):
    played = Playback()
    assert played.still(video, 9.0, 160).index == N - 1
    played.let_go(idle_s=60.0)
    assert played._open
    played.let_go()
    assert not played._open
    assert played.still(video, 0.0, 160).index == 0
    video.write_bytes(b"no video")
    with pytest.raises(InputError):
        played.still(video, 0.0, 160)
    video.unlink()
    with pytest.raises(InputError, match="gone"):
        played.still(video, 0.0, 160)


def test_few_files_are_open_at_once(video):
    played = Playback()
    for i in range(6):
        copy = video.with_name(f"copy{i}.mp4")
        shutil.copy(video, copy)
        assert played.still(copy, 0.5, 160).index == 5
    assert len(played._open) <= 4
    played.let_go()
