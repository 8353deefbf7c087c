from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mocap.capture.growing_file import GrowingFile
from mocap.capture.stream_writer import StreamWriter, StreamWriterConfig
from mocap.core.errors import InputError, VideoError
from mocap.io.recording_date import recording_date
from mocap.io.video_reader import VideoReader
from video_worlds import SIZE, counter_image, counter_of

FAST = StreamWriterConfig(codec="libx264", preset="ultrafast", quality=12)
ROOT = Path(__file__).resolve().parents[3]
TICK_S = 1 / 90_000


def uneven_times(n: int) -> np.ndarray:
    """About 30 a second, with 3 ms of jitter; the first is not at 0."""
    return 0.0123 + np.arange(n) / 30 + 0.003 * np.sin(np.arange(n))


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


@pytest.mark.parametrize("kept", ["rgb", "decoded", "jpeg encoded", "jpeg kept"])
def test_pictures_come_back_with_their_own_times(tmp_path, kept):
    times = uneven_times(40)
    with StreamWriter(tmp_path / "cam.mp4", SIZE, 30.0, FAST, as_jpeg=kept == "jpeg kept") as writer:
        for number, time_s in enumerate(times):
            image = counter_image(number)
            picture = {"rgb": image, "decoded": av.VideoFrame.from_ndarray(image, format="rgb24")}
            writer.write(picture.get(kept, jpeg(image)), float(time_s))
    reader = VideoReader(tmp_path / "cam.mp4")
    assert [counter_of(frame.image) for frame in reader] == list(range(40))
    assert reader.report.complete
    assert np.abs(reader.info.times_s + reader.info.start_s - times).max() <= 0.5 * TICK_S + 1e-9
    assert reader.info.codec == ("mjpeg" if kept == "jpeg kept" else "h264")


@pytest.mark.parametrize("as_jpeg", [False, True])
def test_a_file_says_when_it_was_begun(tmp_path, as_jpeg):
    """To the whole second that containers keep, also while it grows."""
    before = datetime.now(UTC)
    with StreamWriter(tmp_path / "cam.mp4", SIZE, 30.0, FAST, as_jpeg=as_jpeg) as writer:
        for number in range(40):
            writer.write(jpeg(counter_image(number)), number / 30)
        shutil.copy(tmp_path / "cam.mp4", tmp_path / "killed.mp4")
    for name in ("cam.mp4", "killed.mp4"):
        date = recording_date(tmp_path / name)
        assert date is not None
        assert date.sure
        assert before - timedelta(seconds=1) <= date.when <= datetime.now(UTC)


@pytest.mark.parametrize("as_jpeg", [False, True])
def test_colours_are_those_that_were_given(tmp_path, as_jpeg):
    colours = np.array([(200, 120, 60), (30, 60, 90), (128, 128, 128), (250, 10, 10)], dtype=np.uint8)
    image = np.repeat(np.repeat(colours[None], 64, axis=0), 32, axis=1)
    with StreamWriter(tmp_path / "cam.mp4", (128, 64), 30.0, FAST) as writer:
        for number in range(5):
            writer.write(jpeg(image) if as_jpeg else image, number / 30)
    shown = list(VideoReader(tmp_path / "cam.mp4"))[-1].image[32, 16::32]
    assert np.abs(shown.astype(int) - colours).max() <= 6  # 8-bit limited-range YUV rounds to ±2, quantisers add to it


def test_an_odd_row_and_column_are_left_out(tmp_path):
    with StreamWriter(tmp_path / "cam.mp4", (97, 65), 30.0, FAST) as writer:
        for number in range(5):
            writer.write(np.pad(counter_image(number), ((0, 1), (0, 1), (0, 0))), number / 30)
    assert [counter_of(frame.image) for frame in VideoReader(tmp_path / "cam.mp4")] == list(range(5))


def test_what_does_not_fit_is_refused_and_the_rest_goes_on(tmp_path):
    with StreamWriter(tmp_path / "cam.mp4", SIZE, 30.0, FAST) as writer:
        writer.write(counter_image(0), 0.0)
        with pytest.raises(VideoError, match="not later|does not show after"):
            writer.write(counter_image(1), 0.0)
        with pytest.raises(VideoError, match="a picture of 64x96 px, not 96x64"):
            writer.write(np.ascontiguousarray(counter_image(1).swapaxes(0, 1)), 0.1)
        with pytest.raises(VideoError, match="damaged"):
            writer.write(b"\xff\xd8 no picture", 0.1)
        writer.write(counter_image(1), 0.1)
    assert [counter_of(frame.image) for frame in VideoReader(tmp_path / "cam.mp4")] == [0, 1]


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "cam.mp4").write_bytes(b"precious")
    with pytest.raises(InputError, match="is there already"):
        StreamWriter(tmp_path / "cam.mp4", SIZE, 30.0, FAST)
    assert (tmp_path / "cam.mp4").read_bytes() == b"precious"


def test_a_finished_file_is_an_ordinary_mp4(tmp_path):
    with StreamWriter(tmp_path / "cam.mp4", SIZE, 30.0, FAST) as writer:
        for number in range(40):
            writer.write(counter_image(number), number / 30)
    boxes = _top_boxes(tmp_path / "cam.mp4")
    assert boxes[0] == "ftyp"
    assert boxes[-2:] == ["mdat", "moov"]
    assert "moof" not in boxes


def test_a_growing_file_plays_at_every_moment(tmp_path):
    """As a killed program leaves it: all but the last fragment, by our reader, FFmpeg and OpenCV."""
    path = tmp_path / "cam.mp4"
    writer = StreamWriter(path, SIZE, 30.0, FAST)
    for number in range(75):
        writer.write(counter_image(number), number / 30)
        if number % 25 == 24:
            copy = tmp_path / f"{number}.mp4"
            copy.write_bytes(path.read_bytes())
            shown = [counter_of(frame.image) for frame in VideoReader(copy)]
            assert shown == list(range(len(shown)))
            assert number + 1 - len(shown) <= 0.25 * 30 + 2  # a fragment, the picture that ends it, and rounding
            assert _frames_of_opencv(copy) == len(shown)
    writer.close()


def test_a_full_disk_leaves_what_fits(tmp_path, monkeypatch):
    path = tmp_path / "cam.mp4"
    writer = StreamWriter(path, SIZE, 30.0, FAST)
    room = [30_000]
    put = GrowingFile._put

    def limited(file: GrowingFile, at: int, data: bytes) -> None:
        room[0] -= len(data)
        if room[0] < 0:
            put(file, at, data[: len(data) // 2])  # as a disk does: some of it
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        put(file, at, data)

    monkeypatch.setattr(GrowingFile, "_put", limited)
    with pytest.raises(OSError, match="No space left") as caught:
        for number in range(400):
            writer.write(counter_image(number), number / 30)
    assert caught.value.filename == str(path)
    writer.close()
    reader = VideoReader(path)
    shown = [counter_of(frame.image) for frame in reader]
    assert len(shown) > 5
    assert shown == list(range(len(shown)))
    assert reader.report.complete


def test_no_room_for_the_index_leaves_a_file_that_plays(tmp_path, monkeypatch):
    path = tmp_path / "cam.mp4"
    writer = StreamWriter(path, SIZE, 30.0, FAST)
    for number in range(40):
        writer.write(counter_image(number), number / 30)
    begin = GrowingFile.begin_to_finish

    def full(file: GrowingFile, at: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def begin_on_a_full_disk(file: GrowingFile) -> None:
        begin(file)
        monkeypatch.setattr(GrowingFile, "_put", full)

    monkeypatch.setattr(GrowingFile, "begin_to_finish", begin_on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    shown = [counter_of(frame.image) for frame in VideoReader(path)]
    assert shown == list(range(len(shown)))
    assert len(shown) >= 40 - 0.25 * 30 - 2


KILLED = """
    import sys, time
    sys.path[:0] = {paths!r}
    from video_worlds import SIZE, counter_image
    from mocap.capture.stream_writer import StreamWriter, StreamWriterConfig
    config = StreamWriterConfig(codec="libx264", preset="ultrafast", quality=12)
    writer = StreamWriter({path!r}, SIZE, 30.0, config, as_jpeg=False)
    for number in range(100_000):
        writer.write(counter_image(number), number / 30)
        print(number, flush=True)
"""


def test_kill_9_costs_no_more_than_a_fragment(tmp_path):
    path = tmp_path / "cam.mp4"
    code = textwrap.dedent(KILLED).format(paths=[str(ROOT), str(ROOT / "tests")], path=str(path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    last = 0
    for line in process.stdout:
        last = int(line)
        if last >= 100:
            os.kill(process.pid, signal.SIGKILL)
            break
    rest = process.stdout.read().split()
    process.wait()
    written = int(rest[-1]) if rest else last
    shown = [counter_of(frame.image) for frame in VideoReader(path)]
    assert shown == list(range(len(shown)))
    assert written + 1 - len(shown) <= 0.25 * 30 + 2
    assert _frames_of_opencv(path) == len(shown)


def _frames_of_opencv(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def _top_boxes(path: Path) -> list[str]:
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        names.append(data[at + 4 : at + 8].decode("latin-1"))
        at += size or len(data)
    return names
