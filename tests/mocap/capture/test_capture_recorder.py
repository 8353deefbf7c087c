from __future__ import annotations

import csv
import errno
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mocap.capture.growing_file import GrowingFile
from mocap.capture.jpeg import JpegPicture
from mocap.capture.recorder import Recorder, RecorderConfig
from mocap.capture.recording_files import scene_folder
from mocap.capture.recovery import recover, set_aside, unfinished
from mocap.capture.source import Scene, SourceFrame
from mocap.capture.stream_writer import StreamWriter, StreamWriterConfig
from mocap.core.errors import InputError
from mocap.io.session_files import open_take
from mocap.io.video_reader import VideoReader
from scripted_cameras import FPS, ScriptedCamera, jpeg_of, scripted_rig
from video_worlds import SIZE, counter_image, counter_of

CONFIG = RecorderConfig(writer=StreamWriterConfig(codec="libx264", preset="ultrafast", quality=12))
WALK = Scene("take", take="walk")


def rows(path: Path) -> dict[str, list[tuple[int, float]]]:
    """camera -> (frame, time_s) of timestamps.csv, in order."""
    found: dict[str, list[tuple[int, float]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.reader(file)
        assert next(table) == ["camera", "frame", "time_s"]
        for camera, frame, time_s in table:
            found.setdefault(camera, []).append((int(frame), float(time_s)))
    return found


def numbers(path: Path) -> list[int]:
    return [counter_of(frame.image) for frame in VideoReader(path)]


def wait_for(what: Callable[[], object], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.02)
    return bool(what())


def test_a_take_has_every_picture_and_its_time(tmp_path):
    cameras = {"cam1": ScriptedCamera(50), "cam2": ScriptedCamera(50, picture=lambda n: jpeg_of(counter_image(n)))}
    with scripted_rig(tmp_path, cameras) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert recorder.wait(10.0)
        report = recorder.stop()
    take = open_take(tmp_path / "takes" / "walk")
    times = rows(take.root / "timestamps.csv")
    for camera, path in take.videos.items():
        assert numbers(path) == list(range(50))
        assert [frame for frame, _ in times[camera]] == list(range(50))
        # the scene begins with the recording: picture n is taken at n / fps, written with six decimals
        assert np.abs(np.array([t for _, t in times[camera]]) - np.arange(50) / FPS).max() <= 1e-6
    assert take.synced_by == "the recorder's clock"
    assert report.complete
    assert [record.written for record in report.cameras] == [50, 50]
    assert all(record.jitter_ms < 0.1 for record in report.cameras)
    assert not unfinished(tmp_path)
    assert not (take.root / ".recording").exists()


def test_a_recording_ends_after_its_duration(tmp_path):
    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(), "cam2": ScriptedCamera(real_time=True)}) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK, duration_s=0.5)
        assert recorder.recording
        assert recorder.wait(5.0)
        report = recorder.stop()
    assert [record.written for record in report.cameras] == [15, 15]


def test_stop_keeps_what_was_taken_before_it(tmp_path):
    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(real_time=True)}) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert wait_for(lambda: recorder.status().cameras[0].written >= 10)
        assert recorder.start_s is not None
        stopped_s = time.monotonic() - recorder.start_s
        report = recorder.stop()
    (record,) = report.cameras
    assert (stopped_s - 0.15) * FPS <= record.written <= stopped_s * FPS + 2  # one poll of the queue, and rounding
    assert numbers(tmp_path / "takes" / "walk" / "video" / "cam1.mp4") == list(range(record.written))


def test_jpegs_are_kept_when_asked_for(tmp_path):
    config = CONFIG.model_copy(update={"keep_jpegs": "always"})
    camera = ScriptedCamera(20, picture=lambda n: jpeg_of(counter_image(n)))
    with scripted_rig(tmp_path, {"cam1": camera, "cam2": ScriptedCamera(20)}) as rig:
        assert rig.wait_until_live(5.0) == ()
        recorder = Recorder(rig, config)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert recorder.wait(10.0)
        report = recorder.stop()
    assert [record.encoder for record in report.cameras] == ["the camera's own JPEG", "libx264"]
    for camera in ("cam1", "cam2"):
        assert numbers(tmp_path / "takes" / "walk" / "video" / f"{camera}.mp4") == list(range(20))


def test_clips_for_intrinsics_share_a_folder_without_times(tmp_path):
    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(5), "cam2": ScriptedCamera(5)}) as rig:
        recorder = Recorder(rig, CONFIG)
        for camera in ("cam1", "cam2"):
            scene = Scene("intrinsics", camera=camera)
            recorder.start(scene_folder(tmp_path, scene), scene=scene, cameras=[camera])
            assert recorder.wait(10.0)
            assert recorder.stop().complete
    found = sorted(file.name for file in (tmp_path / "calibration" / "intrinsics").iterdir())
    assert found == ["cam1.mp4", "cam2.mp4"]


def test_a_camera_that_dies_is_told_at_once_and_the_others_go_on(tmp_path):
    cameras = {"cam1": ScriptedCamera(real_time=True), "cam2": ScriptedCamera(real_time=True, dies_at=12)}
    with scripted_rig(tmp_path, cameras) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert wait_for(lambda: recorder.status().problems)
        (problem,) = recorder.status().problems
        assert problem.kind == "camera_lost"
        assert problem.camera == "cam2"
        assert "was unplugged" in problem.sentence or "does not answer" in problem.sentence
        assert problem.time_s < 12 / FPS + 1.0
        told_at = recorder.status().cameras[0].written
        assert wait_for(lambda: recorder.status().cameras[0].written > told_at + 10)
        report = recorder.stop()
    died = report.cameras[1].died_at_s
    assert died is not None
    assert abs(died - 11 / FPS) < 1e-6
    assert not report.complete
    assert numbers(tmp_path / "takes" / "walk" / "video" / "cam2.mp4") == list(range(12))
    assert "cam2 died at 0.4 s" in (tmp_path / "takes" / "walk" / "take.toml").read_text(encoding="utf-8")


def test_a_camera_that_comes_back_goes_on_in_the_same_file(tmp_path):
    cameras = {"cam1": ScriptedCamera(real_time=True, dies_at=10, away_s=0.7)}
    with scripted_rig(tmp_path, cameras) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert wait_for(lambda: recorder.status().cameras[0].written >= 20)
        report = recorder.stop()
        kinds = [problem.kind for problem in recorder.status().problems]
    (record,) = report.cameras
    assert kinds == ["camera_lost", "camera_back"]
    assert record.died_at_s is None
    assert record.gaps == 1
    assert 0.7 - 1 / FPS < record.longest_gap_s < 2
    assert record.reconnects == 1
    shown = numbers(tmp_path / "takes" / "walk" / "video" / "cam1.mp4")
    times = rows(tmp_path / "takes" / "walk" / "timestamps.csv")["cam1"]
    assert [round(t * FPS) for _, t in times] == shown


def test_nothing_is_ever_overwritten(tmp_path):
    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(5), "cam2": ScriptedCamera(5)}) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        recorder.wait(10.0)
        before = (tmp_path / "takes" / "walk" / "video" / "cam1.mp4").read_bytes()
        with pytest.raises(InputError, match="is not overwritten"):
            recorder.start(scene_folder(tmp_path, WALK), scene=WALK, cameras=["cam1"])
        assert (tmp_path / "takes" / "walk" / "video" / "cam1.mp4").read_bytes() == before
        aside = set_aside(tmp_path, WALK)
        assert aside is not None
        assert (aside / "video" / "cam1.mp4").read_bytes() == before
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        recorder.wait(10.0)
        assert recorder.stop().complete
        assert set_aside(tmp_path, WALK) == tmp_path / "set_aside" / "walk-2"


def test_what_cannot_be_recorded_is_said_before(tmp_path):
    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(real_time=True)}) as rig:
        recorder = Recorder(rig, CONFIG)
        with pytest.raises(InputError, match="no camera cam7 to record from. The rig has cam1"):
            recorder.start(tmp_path / "takes" / "walk", scene=WALK, cameras=["cam7"])
        with pytest.raises(InputError, match="nothing was recorded yet"):
            recorder.stop()
        recorder.start(tmp_path / "takes" / "walk", scene=WALK)
        with pytest.raises(InputError, match="a recording is running"):
            recorder.start(tmp_path / "takes" / "run", scene=Scene("take", take="run"))
        report = recorder.stop()
        assert report.problems == ("cam1 recorded nothing",)
        assert not (tmp_path / "takes" / "walk").exists()
        crowded = Recorder(rig, CONFIG.model_copy(update={"least_free_mb": 1e15}))
        with pytest.raises(InputError, match="MB are free on the disk; recording needs"):
            crowded.start(tmp_path / "takes" / "run", scene=Scene("take", take="run"))
        (tmp_path / "takes" / "run").write_text("in the way")
        with pytest.raises(FileExistsError):
            recorder.start(tmp_path / "takes" / "run", scene=Scene("take", take="run"))


def test_a_disk_that_fills_up_ends_the_recording_and_keeps_what_fits(tmp_path, monkeypatch):
    put = GrowingFile._put
    room: dict[str, int] = {}

    def limited(file: GrowingFile, at: int, data: bytes) -> None:
        room[file._path.name] = room.get(file._path.name, 30_000) - len(data)
        if room[file._path.name] < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(file._path))
        put(file, at, data)

    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(), "cam2": ScriptedCamera()}) as rig:
        recorder = Recorder(rig, CONFIG)
        monkeypatch.setattr(GrowingFile, "_put", limited)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert recorder.wait(10.0)
        report = recorder.stop()
    assert any("disk is full" in sentence for sentence in report.problems)
    take = open_take(tmp_path / "takes" / "walk")
    times = rows(take.root / "timestamps.csv")
    for camera, path in take.videos.items():
        shown = numbers(path)
        assert len(shown) >= 5
        assert [frame for frame, _ in times[camera]] == shown == list(range(len(shown)))
    assert any("disk is full" in note for note in (take.root / "take.toml").read_text(encoding="utf-8").splitlines())


def test_little_room_ends_the_recording_in_order(tmp_path, monkeypatch):
    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(real_time=True)}) as rig:
        recorder = Recorder(rig, CONFIG.model_copy(update={"sync_s": 0.1}))
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert wait_for(lambda: recorder.status().cameras[0].written >= 3)
        monkeypatch.setattr("mocap.capture.recording_run.free_mb", lambda folder: 10.0)
        assert recorder.wait(5.0)
        report = recorder.stop()
    assert any("less than 300 MB are free" in sentence for sentence in report.problems)
    assert numbers(tmp_path / "takes" / "walk" / "video" / "cam1.mp4") == list(range(report.cameras[0].written))


def test_nothing_stays_of_a_recording_whose_scene_cannot_begin(tmp_path, monkeypatch):
    def fail(_: Scene) -> float:
        raise InputError("its clip is damaged")

    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(20)}) as rig:
        recorder = Recorder(rig, CONFIG)
        with monkeypatch.context() as patch:
            patch.setattr(rig, "set_scene", fail)
            with pytest.raises(InputError, match="its clip is damaged"):
                recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert not (tmp_path / "takes" / "walk").exists()
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert recorder.wait(10.0)
        assert recorder.stop().cameras[0].written == 20


def test_recover_leaves_a_recording_alone_that_still_runs(tmp_path):
    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(real_time=True)}) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert wait_for(lambda: recorder.status().cameras[0].written >= 3)
        assert recover(tmp_path) == ["takes/walk is being recorded now"]
        assert recorder.stop().complete
    assert recover(tmp_path) == []


def test_a_machine_that_is_too_slow_loses_evenly_and_counts_it(tmp_path, monkeypatch):
    write = StreamWriter.write

    def slow(writer: StreamWriter, picture: object, time_s: float) -> None:
        time.sleep(2.5 / FPS)
        write(writer, picture, time_s)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(StreamWriter, "write", slow)
    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(real_time=True)}) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK, duration_s=4.0)
        assert recorder.wait(20.0)
        report = recorder.stop()
    (record,) = report.cameras
    left_out = record.dropped["left out, as this machine is too slow"]
    assert record.received == record.written + left_out == 120
    assert any("too slow" in sentence for sentence in report.problems)
    shown = numbers(tmp_path / "takes" / "walk" / "video" / "cam1.mp4")
    times = rows(tmp_path / "takes" / "walk" / "timestamps.csv")["cam1"]
    assert [round(t * FPS) for _, t in times] == shown
    assert max(np.diff(shown)) <= 8


def test_pictures_that_arrive_together_are_kept_in_their_order(tmp_path):
    class Bursts(ScriptedCamera):
        def read(self, timeout_s: float) -> SourceFrame:
            frame = super().read(timeout_s)
            number = frame.number or 0
            frame.time_s = self._start_s + 0.01 + (number - number % 3) / FPS - 0.001 * (number % 3)
            return frame

    with scripted_rig(tmp_path, {"cam1": Bursts(30)}) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert recorder.wait(10.0)
        (record,) = recorder.stop().cameras
    assert numbers(tmp_path / "takes" / "walk" / "video" / "cam1.mp4") == list(range(30))
    times = np.array([t for _, t in rows(tmp_path / "takes" / "walk" / "timestamps.csv")["cam1"]])
    assert np.diff(times).min() >= 0.0005 - 1e-6
    assert np.abs(times - 0.01 - np.arange(30) // 3 * 3 / FPS).max() <= 2 * 0.0005 + 1e-6
    assert (record.times_moved, record.dropped) == (20, {})


def test_pictures_that_do_not_fit_are_counted_with_the_reason(tmp_path):
    def picture(number: int) -> np.ndarray | JpegPicture:
        image = counter_image(number)
        if number == 4:
            return np.ascontiguousarray(image[:32])
        return JpegPicture(b"\xff\xd8 no picture \xff\xd9", SIZE) if number == 6 else image

    with scripted_rig(tmp_path, {"cam1": ScriptedCamera(10, picture=picture)}) as rig:
        recorder = Recorder(rig, CONFIG)
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert recorder.wait(10.0)
        (record,) = recorder.stop().cameras
    assert record.dropped == {"of another size (96x32)": 1, "damaged": 1}
    assert numbers(tmp_path / "takes" / "walk" / "video" / "cam1.mp4") == [0, 1, 2, 3, 5, 7, 8, 9]


def test_a_source_that_plays_late_is_not_silent(tmp_path, monkeypatch):
    """Capture times that lie long ago say nothing about whether pictures come."""
    camera = ScriptedCamera(real_time=True)
    monkeypatch.setattr(camera, "_late_s", 1.5)
    with scripted_rig(tmp_path, {"cam1": camera}) as rig:
        recorder = Recorder(rig, CONFIG.model_copy(update={"silent_s": 0.8}))
        recorder.start(scene_folder(tmp_path, WALK), scene=WALK)
        assert wait_for(lambda: recorder.status().cameras[0].written >= 10)
        report = recorder.stop()
        assert [problem.kind for problem in recorder.status().problems] in ([], ["camera_lost", "camera_back"])
    assert report.cameras[0].died_at_s is None
