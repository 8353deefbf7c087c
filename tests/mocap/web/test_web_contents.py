from __future__ import annotations

import json
import os
import shutil

import cv2
import numpy as np
import pytest

from mocap.capture.stream_writer import StreamWriter
from mocap.core.clock import Clock
from mocap.core.errors import InputError
from mocap.io.sync_file import CameraSync, TakeSync, write_sync
from mocap.web.contents import SessionContents
from mocap.web.previews import Thumbnails, as_jpeg
from video_worlds import write_counter_clip


@pytest.fixture
def root(tmp_path):
    for name, frames in (("cam2", 30), ("cam10", 24)):
        write_counter_clip(tmp_path / "takes" / "walk_01" / "video" / f"{name}.mp4", frames)
    (tmp_path / "takes" / "walk_01" / "take.toml").write_text('[take]\nnotes = "first line\\nsecond line"\n')
    return tmp_path


def test_takes_with_their_lengths_and_notes(root):
    (take,) = SessionContents(root).takes()
    assert take["name"] == "walk_01"
    assert take["cameras"] == ["cam2", "cam10"], "in natural order"
    assert take["frames"] == [30, 24]
    assert take["seconds"] == pytest.approx(1.0, abs=0.04)  # a frame
    assert take["marks"] == ["first line", "second line"]
    assert take["files"] == []


def test_results_are_listed_as_far_as_they_are_there(root):
    export = root / "takes" / "walk_01" / "export"
    export.mkdir()
    (export / "walk_01.bvh").write_text("HIERARCHY")
    told = {"files": ["walk_01.bvh", "walk_01.fbx"], "figures": {"frames": 30}, "notes": ["a note"]}
    (export / "walk_01_report.json").write_text(json.dumps(told))
    (take,) = SessionContents(root).takes()
    assert take["files"] == ["takes/walk_01/export/walk_01.bvh"]
    assert take["figures"] == {"frames": 30}


@pytest.mark.parametrize("report", ["", "[]", "{", '{"figures": 3}'])
def test_damaged_reports_hide_nothing_else(root, report):
    export = root / "takes" / "walk_01" / "export"
    export.mkdir()
    (export / "walk_01_report.json").write_text(report)
    (root / "takes" / "walk_01" / "take.toml").write_text("[take\n")
    (take,) = SessionContents(root).takes()
    assert take["cameras"] == ["cam2", "cam10"]
    assert "TOML" in take["marks"][0]


def test_damaged_videos_are_told_and_what_is_written_is_not_looked_into(root):
    video = root / "takes" / "walk_01" / "video" / "cam2.mp4"
    contents = SessionContents(root)
    assert contents.takes()[0]["faults"] == []
    video.write_bytes(b"no video")
    (take,) = contents.takes()
    assert len(take["faults"]) == 1
    assert take["faults"][0].startswith("cam2.mp4: ")
    (take,) = contents.takes(being_written="walk_01")
    assert take["being_written"]
    assert take["faults"] == []


def test_an_empty_folder_and_a_new_session(tmp_path):
    contents = SessionContents(tmp_path)
    assert contents.takes() == []
    assert contents.clips() == {"intrinsics": [], "extrinsics": [], "floor": []}
    assert contents.calibration() is None


def test_the_verdict_of_the_calibration(tmp_path):
    folder = tmp_path / "calibration"
    folder.mkdir()
    (folder / "rig.toml").write_text("")
    assert SessionContents(tmp_path).calibration()["verdict"] == ""
    (folder / "report.json").write_text(
        json.dumps({"verdict": "good", "headline": "All is well", "sentences": ["one"]})
    )
    (folder / "report.html").write_text("<html>")
    told = SessionContents(tmp_path).calibration()
    assert (told["verdict"], told["headline"], told["notes"]) == ("good", "All is well", ["one"])
    assert told["report"] == "calibration/report.html"


def test_the_state_of_the_clocks(root):
    def clocks():
        (take,) = SessionContents(root).takes()
        return take["clocks"]["state"], take["clocks"]["text"]

    folder = root / "takes" / "walk_01"
    assert clocks() == ("none", "not on one clock")
    (folder / "take.toml").write_text('[take]\nclocks = "shared"\n')
    assert clocks()[0] == "none", "there are no times"
    (folder / "timestamps.csv").write_text("camera,frame,time_s\n")
    assert clocks() == ("shared", "one clock: the recorder's")
    found = {"cam2": CameraSync(Clock()), "cam3": CameraSync(Clock(0.5), "audio", 0.9, 0.0021)}
    write_sync(TakeSync("cam2", "audio", found), folder / "sync.toml")
    assert clocks() == ("synced", "clocks by audio, ± 2.1 ms; without cam10"), "what was found goes first"
    (folder / "sync.html").write_text("<html>")
    (take,) = SessionContents(root).takes()
    assert take["clocks"]["report"] == "takes/walk_01/sync.html"
    (folder / "sync.toml").write_text("reference = 3")
    assert clocks()[0] == "fault"


def test_results_older_than_the_calibration_or_the_clocks_are_out_of_date(root):
    export = root / "takes" / "walk_01" / "export"
    export.mkdir()
    (export / "walk_01.bvh").write_text("HIERARCHY")
    (export / "walk_01_report.json").write_text('{"files": ["walk_01.bvh"], "figures": {"error_mm": NaN}}')
    contents = SessionContents(root)
    (take,) = contents.takes()
    assert not take["stale"]
    assert take["figures"] == {"error_mm": None}, "pages know no NaN"
    (root / "calibration").mkdir()
    rig = root / "calibration" / "rig.toml"
    rig.write_text("")
    made = (export / "walk_01_report.json").stat().st_mtime
    for age, stale in ((-60, False), (60, True)):
        os.utime(rig, (made + age, made + age))
        assert contents.takes()[0]["stale"] is stale


def test_the_page_does_not_wait_until_videos_are_looked_into(root):
    contents = SessionContents(root)
    (take,) = contents.takes(look=False)
    assert (take["looked"], take["frames"]) == (False, [0, 0])
    assert contents.look_into_one()
    assert contents.look_into_one()
    assert not contents.look_into_one()
    (take,) = contents.takes(look=False)
    assert (take["looked"], take["frames"]) == (True, [30, 24])
    shutil.copy(root / "takes" / "walk_01" / "video" / "cam10.mp4", root / "takes" / "walk_01" / "video" / "cam2.mp4")
    assert not contents.takes(look=False)[0]["looked"], "it is another file"


def test_browsers_get_what_they_can_play(root):
    video = root / "takes" / "walk_01" / "video"
    jpegs = [as_jpeg(np.full((32, 48, 3), 10 * i, dtype=np.uint8)) for i in range(4)]
    with StreamWriter(video / "cam3.mp4", (48, 32), 10.0, as_jpeg=True) as writer:
        for i, jpeg in enumerate(jpegs):
            writer.write(jpeg, i / 10)
    elsewhere = root.parent / "elsewhere.mp4"
    shutil.copy(video / "cam2.mp4", elsewhere)
    (video / "cam4.mp4").symlink_to(elsewhere)
    (take,) = SessionContents(root, {"cam10": 90}).takes()
    plays = {it["camera"]: it["plays"] for it in take["videos"]}
    assert plays == {"cam2": True, "cam3": False, "cam4": False, "cam10": False}


def test_thumbnails_show_the_middle_and_follow_the_file(root):
    video = root / "takes" / "walk_01" / "video" / "cam2.mp4"
    made = Thumbnails()
    first = made.of(video)
    assert made.of(video) is first
    image = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (64, 96, 3)
    assert made.of(video, rotation=90) is first, "one file has one thumbnail"
    shutil.copy(root / "takes" / "walk_01" / "video" / "cam10.mp4", video)
    assert made.of(video) != first
    video.write_bytes(b"no video")
    with pytest.raises(InputError):
        made.of(video)
