from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.web.contents import SessionContents
from mocap.web.previews import Thumbnails
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
