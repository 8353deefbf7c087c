from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from page_desks import fetch, post, reason, send_raw, served

from mocap.capture.recorder import Recorder
from mocap.capture.rig import CaptureRig
from mocap.capture.session_recording import RecordingSession
from mocap.core.errors import InputError
from mocap.io.session_files import open_session
from mocap.web.desk import RecordingDesk
from mocap.web.job_worker import Task
from mocap.web.requests import (
    CalibrateRequest,
    NoFields,
    OverlayRequest,
    ProcessRequest,
    RecordRequest,
    SyncRequest,
)
from running_mocap import wait_for

SESSION = """
[[camera]]
name = "left"
source = "pattern:160x96@10"
[[camera]]
name = "right"
source = "pattern:160x96@10"
rotation = 90
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    root = tmp_path_factory.mktemp("day") / "monday"
    root.mkdir()
    (root / "session.toml").write_text(SESSION)
    with CaptureRig(open_session(root)) as rig:
        assert rig.wait_until_live(20.0) == ()
        recording = RecordingSession(root, rig, Recorder(rig))
        desk = RecordingDesk(recording)
        desk.open()
        yield desk
        desk.close()
        recording.close()


def test_the_state_is_plain_json_and_tells_of_every_camera(desk):
    told = json.loads(json.dumps(desk.state(), allow_nan=False))
    assert told["session"]["name"] == "monday"
    assert not told["session"]["board"]
    assert [(it["name"], it["state"], it["size"]) for it in told["cameras"]] == [
        ("left", "live", [160, 96]),
        ("right", "live", [160, 96]),
    ]
    assert told["recording"] is None
    assert told["takes"] == []


def test_previews_are_upright_and_no_larger_than_asked(desk):
    sizes = {}
    for camera in ("left", "right"):
        picture = desk.preview(camera, 5000)
        sizes[camera] = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert sizes == {"left": (96, 160), "right": (160, 96)}
    with pytest.raises(InputError, match="left, right"):
        desk.preview("middle", 160)


def test_a_recording_goes_on_whatever_is_sent_and_ends_with_a_take(desk):
    with served(desk) as page:
        answer = post(page, "record", {"mode": "take", "take": "walk", "countdown_s": 0.0, "duration_s": None})
        assert answer[0] == 200, answer
        wait_for(lambda: desk.state()["recording"] is not None)
        assert desk.state()["recording"]["title"] == "walk_01"
        answer = post(page, "record", {"mode": "floor"})
        assert answer[0] == 400
        assert "being recorded" in reason(answer)
        assert "Finish it first" in reason(post(page, "calibrate"))
        for data in (b"\x00" * 500, b"POST /api/stop HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/7\r\n\r\n"):
            send_raw(page, data, wait=False)
        for fields in (b"{", b'{"x": 1}', b"[]", b""):
            assert post(page, "stop", fields)[0] == 400
        assert post(page, "stop", headers={"Origin": "http://evil.example"})[0] == 403
        assert fetch(page, "/api/stop")[0] in (404, 405)
        wait_for(lambda: desk.state()["recording"]["elapsed_s"] > 1.0, seconds=30)
        assert post(page, "stop")[0] == 200
    told = desk.state()
    assert told["recording"] is None
    assert told["last"]["title"] == "walk_01"
    assert told["last"]["retake"]
    wait_for(lambda: desk.state()["takes"][0]["looked"], seconds=30)
    (take,) = desk.state()["takes"]
    assert take["clocks"] == {"state": "shared", "text": "one clock: the recorder's", "report": None}
    assert [video["plays"] for video in take["videos"]] == [True, False], "no browser turns pictures"
    assert take["cameras"] == ["left", "right"]
    assert take["seconds"] >= 0.5
    assert take["faults"] == []
    assert desk.thumbnail("walk_01").startswith(b"\xff\xd8")
    assert any("walk" in event["text"] for event in told["events"])


def test_a_countdown_can_be_called_off(desk):
    desk.do("record", RecordRequest(mode="take", take="jump", countdown_s=30.0))
    assert desk.state()["recording"]["phase"] == "countdown"
    desk.do("stop", NoFields())
    assert desk.state()["recording"] is None
    assert [take["name"] for take in desk.state()["takes"]] == ["walk_01"]


@pytest.mark.parametrize("take", ["../x", "nothing", ".", "walk_01/../walk_01", ""])
def test_only_takes_of_the_session_are_processed_or_shown(desk, take):
    assert desk.thumbnail(take) is None
    if take:
        with pytest.raises(InputError, match="no take"):
            desk.do("process", ProcessRequest(takes=(take,)))


@pytest.mark.parametrize("take", ["../x", "a/b", "a\x00b", " "])
def test_names_that_are_no_names_are_refused(desk, take):
    with pytest.raises(InputError):
        desk.do("record", RecordRequest(mode="take", take=take))
    assert desk.state()["recording"] is None


def test_a_lens_needs_a_camera_and_a_board_a_description(desk):
    with pytest.raises(InputError, match="no camera is named"):
        desk.do("record", RecordRequest(mode="intrinsics"))
    with pytest.raises(InputError, match="left, right"):
        desk.do("record", RecordRequest(mode="intrinsics", camera="middle"))
    desk.do("overlay", OverlayRequest(kind="board"))
    wait_for(lambda: desk.state()["overlay"]["message"] != "", seconds=30)
    told = desk.state()["overlay"]
    assert told["kind"] == "none"
    assert "which board" in told["message"]


def test_a_recorded_take_can_be_looked_at(desk):
    wait_for(lambda: desk.state()["takes"][0]["looked"], seconds=30)
    still = desk.still("walk_01", "right", 0.0, 160)
    assert cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (160, 96), "upright"
    for take, camera in (("walk_01", "middle"), ("../walk_01", "left"), ("nothing", "left"), ("walk_01", "../left")):
        with pytest.raises(InputError, match="no video"):
            desk.still(take, camera, 0.0, 160)


def test_jobs_are_asked_for_by_takes_of_the_session(desk):
    with pytest.raises(InputError, match="no take 'jump'"):
        desk.do("process", ProcessRequest(takes=("walk_01", "jump")))
    assert desk.jobs.waiting == ()
    with pytest.raises(InputError, match="no take"):
        desk.do("sync", SyncRequest(take=".."))
    with pytest.raises(InputError, match="no take is named"):
        desk.do("calibrate", CalibrateRequest(floor="person"))
    with pytest.raises(InputError, match="no take"):
        desk.do("calibrate", CalibrateRequest(floor="person", person="../walk_01"))


class PaperJobs:
    """Notes what is begun and held, and runs nothing."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.held: list[bool] = []
        self.job, self.waiting = None, ()

    def start(self, task):
        self.tasks.append(task)

    def hold(self, held):
        self.held.append(held)

    def cancel(self, which):
        ended = tuple(task for task in self.tasks if which(task))
        self.tasks = [task for task in self.tasks if not which(task)]
        return ended


def test_jobs_that_lose_their_ground_are_ended(desk, monkeypatch):
    jobs = PaperJobs()
    monkeypatch.setattr(desk, "jobs", jobs)
    desk.do("process", ProcessRequest(takes=("walk_01", "walk_01"), again=True))
    desk.do("calibrate", CalibrateRequest(without_lenses=("left",), thickness_mm=4.0))
    assert [(task.kind, task.take) for task in jobs.tasks] == [("process", "walk_01"), ("calibrate", None)]
    assert jobs.tasks[0].options == {"again": True}
    assert jobs.tasks[1].options["thickness_mm"] == 4.0
    desk.do("record", RecordRequest(mode="extrinsics"))
    assert True in jobs.held, "before clips are replaced"
    assert [task.kind for task in jobs.tasks] == ["process"], "a calibration of clips that are being recorded again"
    wait_for(lambda: desk.state()["recording"]["elapsed_s"] > 0.5, seconds=30)
    desk.do("stop", NoFields())
    desk.do("retake", NoFields())
    try:
        assert jobs.tasks == [], "what is made of a take that was set aside"
        assert desk.state()["recording"]["title"] == "walk_02"
        told = [event["text"] for event in desk.state()["events"]]
        assert "calibration was ended: its clips are being recorded again" in told
        assert "processing of walk_01 was ended: the take was set aside" in told
        with pytest.raises(InputError, match="is being recorded"):
            desk.still("walk_02", "left", 0.0, 160)
    finally:
        desk.do("stop", NoFields())
