"""`mocap record` without hardware: by options, by keys, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from calibration.boards import CharucoBoard
from mocap.capture.recorder import Recorder
from mocap.capture.rig import CaptureRig
from mocap.capture.session_recording import RecordingSession
from mocap.cli.record_operator import KeyOperator
from mocap.cli.record_steps import Pace, Step, asked_steps, whole_day
from mocap.cli.record_view import screen
from mocap.core.errors import ConfigError
from mocap.core.session import Session, SessionCamera
from mocap.io.session_files import open_session, open_take, write_session
from mocap.io.video import probe_video
from running_mocap import complaint, invoke, results, start_mocap, wait_for

BOARD = CharucoBoard(5, 7, 0.06, 0.045, "DICT_4X4_50")
CAMERAS = ("left", "right")


def _session(root: Path) -> Path:
    cameras = tuple(SessionCamera(name, "pattern:160x120@20") for name in CAMERAS)
    write_session(Session(root=root, cameras=cameras, board=BOARD.to_table()))
    return root


def test_takes_are_recorded_one_after_the_other(tmp_path, monkeypatch):
    """As scripts run it; without the networks nobody looks for people."""
    monkeypatch.setenv("MOCAP_MODELS_DIR", str(tmp_path / "none"))
    root = _session(tmp_path / "day")
    (first, second) = results(invoke("record", root, "--take", "walk", "--take", "run", "--seconds", 0.5, "--json"))
    assert [it["name"] for it in (first, second)] == ["walk_01", "run_01"]
    assert (root / "takes" / "walk_01" / "video" / "left.mp4").stat().st_size > 0
    assert {record["camera"] for record in first["report"]["cameras"]} == set(CAMERAS)
    assert first["verdict"] in ("good", "usable", "redo")


def test_what_is_missing_is_said(tmp_path):
    root = _session(tmp_path / "day")
    assert "Give its folder" in complaint(invoke("record"))
    assert "nothing was asked to be recorded" in complaint(invoke("record", root))
    assert "Say how long takes are: --seconds 10" in complaint(invoke("record", root, "--take", "walk", "--headless"))
    assert "There are left, right; or write all" in complaint(invoke("record", root, "--intrinsics", "middle"))
    assert "cannot be the name of a take" in complaint(
        invoke("record", root, "--take", "../walk", "--seconds", 1, "--headless")
    )
    assert not (root / "takes").exists()
    assert "there is no such folder" in complaint(invoke("record", tmp_path / "nowhere", "--floor"))


def test_a_session_without_sources_says_how_to_name_them(tmp_path):
    write_session(Session(root=tmp_path, cameras=(SessionCamera("left"),)))
    assert 'source = "usb:0"' in complaint(invoke("record", tmp_path, "--floor", "--seconds", 1))


def test_the_cameras_of_this_computer_are_listed():
    done = invoke("record", "--list", "--json")
    assert done.returncode == 0
    assert isinstance(json.loads(done.stdout), list)


@pytest.mark.slow
def test_the_page_is_served_until_the_command_is_ended(tmp_path):
    pytest.importorskip("uvicorn")
    root, log = _session(tmp_path / "day"), tmp_path / "log"
    running = start_mocap("record", root, "--web", "--port", 0, log=log)
    try:
        wait_for(lambda: "http://" in log.read_text(), while_running=running)
        address = re.findall(r"http://\S+", log.read_text())[0]
        with urllib.request.urlopen(address, timeout=30) as answer:  # our own loopback
            assert answer.status == 200
            assert b"<html" in answer.read().lower()
    finally:
        running.terminate()
        running.wait(60)
    assert running.returncode == 143
    assert "fault of the program" not in log.read_text()


@pytest.mark.slow
def test_a_command_that_is_ended_finishes_its_take(tmp_path):
    root, log = _session(tmp_path / "day"), tmp_path / "log"
    running = start_mocap("record", root, "--take", "walk", "--seconds", 300, "--headless", log=log)
    folder = root / "takes" / "walk_01"
    try:
        wait_for(lambda: (folder / "video" / "left.mp4").is_file(), while_running=running)
        time.sleep(1.0)
    finally:
        running.terminate()
        running.wait(60)
    assert running.returncode == 143
    assert not (folder / ".recording").exists()
    assert open_take(folder).cameras == CAMERAS
    assert len(probe_video(folder / "video" / "left.mp4").times_s) > 5


def test_steps_come_in_the_order_of_a_day():
    steps = asked_steps(CAMERAS, intrinsics=("right,left",), extrinsics=True, floor=True, takes=("walk",), number=3)
    assert [step.title for step in steps] == [
        "lens right",
        "lens left",
        "extrinsics",
        "floor",
        "take walk 3",
    ]
    assert asked_steps(CAMERAS, intrinsics=("all",)) == whole_day(CAMERAS)[:2]
    with pytest.raises(ConfigError, match="numbers one take"):
        asked_steps(CAMERAS, takes=("a", "b"), number=1)


class ScriptedKeys:
    """Keys that come when something has happened."""

    def __init__(self, recording: RecordingSession, script: list[tuple[str, str]]) -> None:
        self._recording, self._script = recording, script

    def next(self, timeout_s: float) -> str | None:
        """A key once the recording is in the phase that the script names with it."""
        self._recording.wait(timeout_s)
        state = self._recording.state
        phase = self._script[0][0]
        if phase == "recording 0.6 s":
            ready = state.phase == "recording" and state.elapsed_s > 0.6
        else:
            ready = state.phase == phase
        return self._script.pop(0)[1] if ready else None


@pytest.fixture
def recording(tmp_path) -> Iterator[RecordingSession]:
    session = open_session(_session(tmp_path / "day"))
    with CaptureRig(session) as rig:
        rig.wait_until_live(10.0)
        made = RecordingSession(session.root, rig, Recorder(rig))
        yield made
        made.close()


def test_keys_choose_start_stop_and_retake(recording):
    """Floor by two keys; then a take that is recorded again, whose first result no longer counts."""
    script = [("idle", "right"), ("idle", "space"), ("recording 0.6 s", "space"), ("idle", "p"), ("idle", "left")]
    script += [("idle", "space"), ("recording 0.6 s", "space"), ("idle", "r")]
    script += [("recording 0.6 s", "enter"), ("idle", "q")]
    steps = [Step("extrinsics"), Step("floor"), Step("take", name="walk")]
    operator = KeyOperator(recording, steps, Pace(), ScriptedKeys(recording, script))
    shown: list[str] = []

    def show() -> None:
        console = Console(file=io.StringIO(), width=120, force_terminal=False)
        console.print(screen(recording.state, operator.steps, operator.chosen, hint=operator.hint))
        shown.append(console.file.getvalue())  # type: ignore[attr-defined]

    done = operator.run(show)
    assert [(result.mode, result.name) for result in done] == [
        ("floor", "floor"),
        ("take", "walk_02"),
    ]
    assert recording.state.takes == ("walk_02",)
    text = "".join(shown)
    assert "REC floor" in text
    assert "REC walk_01" in text
    assert "lay the board flat on the floor" in text
    assert "160×120" in text
    assert "left" in text


def test_a_key_that_cannot_be_obeyed_says_why_and_nothing_ends(recording):
    script = [("idle", "r"), ("idle", "x"), ("idle", "escape"), ("idle", "q")]
    operator = KeyOperator(recording, [Step("take", name="walk")], Pace(), ScriptedKeys(recording, script))
    hints: list[str] = []
    assert operator.run(lambda: hints.append(operator.hint)) == []
    assert any("no take yet" in hint for hint in hints)
