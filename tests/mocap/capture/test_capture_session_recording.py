"""A recording session over test pictures: takes, clips, what replaces what, and what is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
import pytest
import tomlkit

from calibration.camera import Intrinsics
from calibration.synthetic import camera_looking_at
from mocap.capture import session_recording
from mocap.capture.camera_recording import CameraRecord
from mocap.capture.guides import CoverageState
from mocap.capture.guides_floor import FloorGuide
from mocap.capture.people_look import PeopleLook
from mocap.capture.people_watch import PeopleWatch
from mocap.capture.recorder import Problem, Recorder, RecordingReport, RecordingStatus
from mocap.capture.rig import CaptureRig
from mocap.capture.session_recording import RecordingSession
from mocap.capture.session_recording_state import RecordingConfig
from mocap.capture.session_recording_verdict import judge_clip
from mocap.core.errors import InputError
from mocap.core.session import Session, SessionCamera
from mocap.io.session_files import open_session, open_take, write_session
from waving_worlds import BOARD, picture_of_board, waved

SOURCE = "pattern:160x120@20"


def _session(root: Path, sources: dict[str, str], *, board: bool = True) -> Session:
    cameras = tuple(SessionCamera(name, source) for name, source in sources.items())
    write_session(Session(root=root, cameras=cameras, board=BOARD.to_table() if board else {}))
    return open_session(root)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[RecordingSession]:
    """Two cameras of test pictures."""
    session = _session(tmp_path / "day", {"left": SOURCE, "right": SOURCE})
    with CaptureRig(session) as rig:
        assert rig.wait_until_live(10.0) == ()
        made = RecordingSession(session.root, rig, Recorder(rig))
        yield made
        made.close()


def test_a_take_ends_by_itself_and_is_judged(recording):
    folder = recording.take("walk", duration_s=0.6)
    assert folder == "walk_01"
    assert recording.state.phase == "recording"
    assert recording.state.take == "walk_01"
    assert recording.wait(20)
    result = recording.state.result
    assert result is not None
    assert result.mode == "take"
    assert result.folder == recording.root / "takes" / "walk_01"
    assert {record["camera"] for record in result.report["cameras"]} == {"left", "right"}
    take = open_take(result.folder)
    assert take.cameras == ("left", "right")
    notes = tomlkit.parse((result.folder / "take.toml").read_text())["take"]
    assert notes["clocks"] == "shared"
    assert "walk, take 1, recorded 20" in str(notes["notes"])
    assert [event.kind for event in recording.events()][:1] == ["started"]
    assert recording.events()[-1].kind == "finished"
    assert recording.events()[-1].take == "walk_01"
    json.dumps(recording.state.to_json_dict(), allow_nan=False)


def test_a_retake_sets_the_earlier_one_aside_and_takes_the_next_number(recording):
    with pytest.raises(InputError, match="no take yet"):
        recording.retake()
    recording.take("run", number=4)
    with pytest.raises(InputError, match="take run_04 is being recorded"):
        recording.take("run")
    time.sleep(0.8)
    assert recording.retake(duration_s=0.4) == "run_05"
    assert recording.wait(20)
    assert recording.state.takes == ("run_05",)
    assert (recording.root / "set_aside" / "run_04" / "video" / "left.mp4").is_file()
    assert any("set_aside/run_04" in event.sentence for event in recording.events())
    assert recording.take("run", duration_s=0.2) == "run_06"


def test_a_countdown_can_be_called_off(recording):
    recording.take("jump", countdown_s=30.0)
    assert recording.state.phase == "countdown"
    assert 29 < recording.state.countdown_s <= 30
    assert recording.finish() is None
    assert recording.state.phase == "idle"
    assert recording.state.takes == ()
    assert [event.kind for event in recording.events()] == ["countdown", "cancelled"]
    assert not recording.cancel()
    recording.take("jump", countdown_s=0.1, duration_s=0.2)
    assert recording.wait(20)
    assert recording.state.takes == ("jump_01",)


def test_clips_of_the_board_replace_earlier_ones_without_deleting_them(recording):
    recording.intrinsics("right", duration_s=0.3)
    assert recording.state.camera == "right"
    assert recording.wait(20)
    first = (recording.root / "calibration" / "intrinsics" / "right.mp4").read_bytes()
    assert not (recording.root / "calibration" / "intrinsics" / "left.mp4").exists()
    assert recording.state.result is not None
    assert recording.state.result.verdict == "redo"  # nobody showed the board
    assert "the lens needs more" in recording.state.result.sentences[0]
    recording.intrinsics("right", duration_s=0.3)
    assert recording.wait(20)
    assert (recording.root / "set_aside" / "intrinsics" / "right.mp4").read_bytes() == first
    with pytest.raises(InputError, match="no camera 'middle'.*there are left, right"):
        recording.intrinsics("middle")


def test_finish_ends_a_recording_now(recording):
    recording.extrinsics()
    time.sleep(0.4)
    result = recording.finish()
    assert result is not None
    assert result.mode == "extrinsics"
    assert (recording.root / "calibration" / "extrinsics" / "timestamps.csv").is_file()
    assert recording.state.phase == "idle"
    assert recording.finish() is None


def see_nobody_on_the_right(connection: Connection, take_root: str) -> None:
    """What a look at a take might come to. Runs in a process."""
    connection.send(PeopleLook({"left": 5, "right": 5}, {"left": 4}))


@pytest.mark.slow
def test_a_take_that_a_camera_saw_nobody_in_is_told_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(session_recording, "PeopleWatch", lambda told: PeopleWatch(told, see_nobody_on_the_right))
    session = _session(tmp_path / "day", {"left": SOURCE, "right": SOURCE})
    with CaptureRig(session) as rig:
        assert rig.wait_until_live(10.0) == ()
        recording = RecordingSession(session.root, rig, Recorder(rig), config=RecordingConfig(look_for_people=True))
        recording.take("walk", duration_s=0.6)
        assert recording.wait(20)
        first = recording.state.result
        assert first is not None
        assert recording.wait_for_people(60)
        told = "nobody is seen by right in 5 pictures of the take"
        result = recording.state.result
        assert result is not None
        assert result.verdict != "good"
        assert told in result.sentences
        assert recording.judged(first).sentences == result.sentences
        assert recording.judged(result) is result
        assert (recording.events()[-1].kind, recording.events()[-1].sentence) == ("warning", f"take walk_01: {told}")
        assert told in (result.folder / "take.toml").read_text()
        recording.close()


class Troubled(Recorder):
    """Says that a camera died."""

    def status(self) -> RecordingStatus:
        problem = Problem("camera_lost", "left is silent since 0.1 s: no cable", 0.1, "left")
        return RecordingStatus(recording=self.recording, problems=(problem,))


def test_a_camera_that_dies_is_told_at_once_and_only_once(tmp_path):
    session = _session(tmp_path, {"left": SOURCE, "right": SOURCE}, board=False)
    with CaptureRig(session) as rig:
        rig.wait_until_live(10.0)
        recording = RecordingSession(tmp_path, rig, Troubled(rig))
        assert recording.board is None
        recording.take("walk", duration_s=0.5)
        assert recording.wait(20)
        told = [event for event in recording.events() if event.kind == "camera_lost"]
        recording.close()
    assert [(event.camera, event.sentence) for event in told] == [("left", "left is silent since 0.1 s: no cable")]


def test_guidance_that_fails_is_told_and_ends_nothing(recording, monkeypatch):
    def fail(self: object, images: object, time_s: object) -> None:
        raise cv2.error("a picture of no size")

    monkeypatch.setattr(FloorGuide, "update", fail)
    recording.floor(duration_s=1.0)
    assert recording.wait(20)
    told = [event.sentence for event in recording.events() if event.kind == "warning"]
    assert len(told) == 1
    assert "guidance could not look at a picture" in told[0]
    assert recording.state.result is not None
    assert recording.state.result.mode == "floor"


def _report(*records: CameraRecord) -> RecordingReport:
    return RecordingReport(folder="f", scene="take", duration_s=10.0, cameras=records)


def test_verdicts_follow_what_was_lost():
    whole = CameraRecord(camera="a", file="a.mp4", received=300, written=300, fps=30.0)
    some = CameraRecord(camera="b", file="b.mp4", written=293, dropped={"queue": 7}, fps=30.0)
    many = CameraRecord(camera="c", file="c.mp4", written=250, dropped={"queue": 50}, fps=30.0)
    dead = CameraRecord(camera="d", file="d.mp4", written=100, died_at_s=3.0, fps=30.0)
    assert judge_clip("take", _report(whole, whole), None) == ("good", ())
    verdict, sentences = judge_clip("take", _report(whole, some), None)
    assert verdict == "usable"
    assert "b lost 7 of 300 pictures" in sentences[0]
    assert judge_clip("take", _report(whole, some, many), None)[0] == "redo"
    assert judge_clip("take", _report(whole, whole, dead), None)[0] == "usable"
    verdict, sentences = judge_clip("take", _report(whole, dead), None)
    assert verdict == "redo"
    assert "depth needs two" in " ".join(sentences)
    assert judge_clip("intrinsics", _report(dead), None)[0] == "redo"


@pytest.mark.slow
def test_a_clip_of_the_board_ends_when_the_calibration_has_enough(tmp_path):
    """The pictures of a waved board, four times as fast as somebody would wave it; it would go on for ever."""
    lens = Intrinsics((640, 360), np.array([[520.0, 0, 322], [0, 520.0, 177], [0, 0, 1]]), np.zeros(5))
    camera = camera_looking_at("cam1", lens, center=(1.6, 0.0, 1.2), target=(0.0, 0.0, 0.9))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pose in enumerate(waved(camera, seconds=24.0, fps=2.0)):
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture_of_board(camera, pose))
    session = _session(tmp_path / "day", {"cam1": f"images:{folder}?fps=6&loop=1"})
    with CaptureRig(session) as rig:
        rig.wait_until_live(10.0)
        config = RecordingConfig(after_enough_s=0.2, solve_every_s=0.5, looks_per_s=12.0, longest_clip_s=60.0)
        recording = RecordingSession(session.root, rig, Recorder(rig), config=config)
        recording.intrinsics("cam1")
        assert recording.wait(90)
        state, events = recording.state, recording.events()
        recording.close()
    assert state.result is not None
    assert state.result.verdict == "good", state.result.sentences
    assert "enough" in [event.kind for event in events]
    assert state.guide is None or isinstance(state.guide, CoverageState)
