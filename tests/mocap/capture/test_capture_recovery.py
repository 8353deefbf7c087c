from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mocap.capture.recording_files import RecordingMarker, RecordingPlace, TimesLog
from mocap.capture.recovery import recover, repair_clip, unfinished
from mocap.capture.source import Scene
from mocap.capture.stream_writer import StreamWriter, StreamWriterConfig
from mocap.io.frame_times import read_frame_times
from mocap.io.recording_date import recording_date
from mocap.io.session_files import open_take
from mocap.io.video_reader import VideoReader
from video_worlds import SIZE, counter_image, counter_of

ROOT = Path(__file__).resolve().parents[3]
FAST = StreamWriterConfig(codec="libx264", preset="ultrafast", quality=12)
FRAGMENT_FRAMES = 0.25 * 30 + 2
"""A fragment, the picture that ends it, and rounding."""


def numbers(path: Path) -> list[int]:
    return [counter_of(frame.image) for frame in VideoReader(path)]


def as_killed(path: Path, n_frames: int) -> Path:
    """A clip as it lies on the disk while it is written; picture n is at 0.01 + n / 30 s."""
    writing = path.with_name("writing.mp4")
    writer = StreamWriter(writing, SIZE, 30.0, FAST)
    for number in range(n_frames):
        image = counter_image(number)
        writer.write(image, 0.01 + number / 30)
    shutil.copy(writing, path)
    writer.close()
    writing.unlink()
    return path


def killed_take(root: Path, n_frames: int, n_rows: int) -> RecordingPlace:
    """A take of two cameras as a kill leaves it, with so many rows of times each."""
    place = RecordingPlace.of(root / "takes" / "walk", Scene("take", take="walk"))
    marker = RecordingMarker(place, ("cam1", "cam2"), 0.0)
    marker._file.close()
    place.videos.mkdir()
    log = TimesLog(place.root / "timestamps.csv")
    for camera in ("cam1", "cam2"):
        as_killed(place.video(camera), n_frames)
        for frame in range(n_rows):
            log.add(camera, frame, 0.01 + frame / 30)
    log.close()
    return place


@pytest.mark.parametrize("n_rows", [60, 70, 40, 0], ids=["as many rows", "more rows", "fewer rows", "no rows"])
def test_a_killed_take_is_whole_again(tmp_path, n_rows):
    place = killed_take(tmp_path, 60, n_rows)
    assert unfinished(tmp_path) == (place.root,)
    (sentence,) = recover(tmp_path)
    assert sentence.startswith("takes/walk: the recording was cut off; 1.")
    take = open_take(place.root)
    times = read_frame_times(place.root / "timestamps.csv")
    for index, path in enumerate(take.videos.values()):
        shown = numbers(path)
        assert shown == list(range(len(shown)))
        assert len(shown) >= 60 - FRAGMENT_FRAMES
        mine = times.camera == index
        assert times.frame[mine].tolist() == shown
        # six decimals in the table, 1/90000 s in the file; the table counts from its first time
        assert np.abs(np.diff(times.time_s[mine]) - 1 / 30).max() < 2e-5
        assert abs(VideoReader(path).info.start_s - 0.01) < 1e-5
    assert "cut off" in (place.root / "take.toml").read_text(encoding="utf-8")
    assert recover(tmp_path) == []


def test_a_mended_clip_still_says_when_it_was_recorded(tmp_path):
    clip = as_killed(tmp_path / "cam.mp4", 40)
    before = recording_date(clip)
    assert repair_clip(clip) is not None
    after = recording_date(clip)
    assert before is not None
    assert after is not None
    assert after.sure
    assert after.when == before.when


def test_a_torn_end_is_left_out(tmp_path):
    """As a pulled plug leaves it: the last fragment is there in part, or as zeros."""
    whole = as_killed(tmp_path / "whole.mp4", 75)
    data = whole.read_bytes()
    for number, (cut, padding) in enumerate([(1000, 0), (9000, 0), (4000, 4096), (20_000, 20_000)]):
        torn = tmp_path / f"torn{number}.mp4"
        torn.write_bytes(data[: len(data) - cut] + bytes(padding))
        repaired = repair_clip(torn)
        assert repaired is not None
        reader = VideoReader(torn)
        shown = [counter_of(frame.image) for frame in reader]
        assert shown == list(range(len(repaired.times_s)))
        assert reader.report.complete
        assert 20 < len(shown) < len(numbers(whole))


def test_a_clip_that_is_whole_stays_as_it_is(tmp_path):
    with StreamWriter(tmp_path / "cam.mp4", SIZE, 30.0, FAST) as writer:
        for number in range(20):
            writer.write(counter_image(number), number / 30)
    before = (tmp_path / "cam.mp4").read_bytes()
    repaired = repair_clip(tmp_path / "cam.mp4")
    assert repaired is not None
    assert (len(repaired.times_s), repaired.n_lost) == (20, 0)
    assert (tmp_path / "cam.mp4").read_bytes() == before


def test_a_camera_without_a_picture_is_out_of_the_way_and_kept(tmp_path):
    place = killed_take(tmp_path, 60, 60)
    data = place.video("cam2").read_bytes()[:60]
    place.video("cam2").write_bytes(data)
    (sentence,) = recover(tmp_path)
    assert "nothing of cam2" in sentence
    assert (place.videos / ".cam2.mp4.empty").read_bytes() == data
    assert not place.video("cam2").exists()
    assert set(read_frame_times(place.root / "timestamps.csv").cameras) == {"cam1"}


def test_a_take_without_any_picture_is_set_aside(tmp_path):
    place = killed_take(tmp_path, 60, 60)
    for camera in ("cam1", "cam2"):
        place.video(camera).unlink()
    (sentence,) = recover(tmp_path)
    assert "before its first picture" in sentence
    assert not place.root.exists()
    assert (tmp_path / "set_aside" / "walk").is_dir()


def test_clips_of_a_calibration_are_repaired_too(tmp_path):
    place = RecordingPlace.of(tmp_path / "calibration" / "intrinsics", Scene("intrinsics", camera="cam1"))
    marker = RecordingMarker(place, ("cam1",), 0.0)
    marker._file.close()
    as_killed(place.video("cam1"), 45)
    other = as_killed(place.video("cam2"), 20).read_bytes()  # of no recording that was cut off
    (sentence,) = recover(tmp_path)
    assert sentence.startswith("calibration/intrinsics: the recording was cut off")
    assert len(numbers(place.video("cam1"))) >= 45 - FRAGMENT_FRAMES
    assert place.video("cam2").read_bytes() == other
    assert not (place.root / "timestamps.csv").exists()


KILLED = """
    import sys, time
    from pathlib import Path
    sys.path[:0] = {paths!r}
    from scripted_cameras import ScriptedCamera, scripted_rig
    from mocap.capture.recorder import Recorder, RecorderConfig
    from mocap.capture.source import Scene
    from mocap.capture.stream_writer import StreamWriterConfig
    root = Path({root!r})
    config = RecorderConfig(writer=StreamWriterConfig(codec="libx264", preset="ultrafast", quality=12))
    with scripted_rig(root, {{name: ScriptedCamera(real_time=True) for name in ("cam1", "cam2")}}) as rig:
        recorder = Recorder(rig, config)
        recorder.start(root / "takes" / "walk", scene=Scene("take", take="walk"))
        while True:
            print(*[record.written for record in recorder.status().cameras], flush=True)
            time.sleep(0.02)
"""


def test_kill_9_while_recording(tmp_path):
    code = textwrap.dedent(KILLED).format(paths=[str(ROOT), str(ROOT / "tests")], root=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = [0, 0]
    for line in process.stdout:
        written = [int(part) for part in line.split()]
        if min(written) >= 60:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
    place = RecordingPlace.of(tmp_path / "takes" / "walk", Scene("take", take="walk"))
    for camera, count in zip(("cam1", "cam2"), written, strict=True):
        shown = numbers(place.video(camera))  # plays before anything is repaired
        assert shown == list(range(len(shown)))
        assert count - len(shown) <= FRAGMENT_FRAMES
    assert len(recover(tmp_path)) == 1
    take = open_take(place.root)
    times = read_frame_times(place.root / "timestamps.csv")
    for index, path in enumerate(take.videos.values()):
        assert times.frame[times.camera == index].tolist() == numbers(path)
