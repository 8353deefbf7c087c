"""Sessions and takes on disk: every shape that is accepted, and a sentence for every one that is not."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mocap.core.errors import ConfigError, InputError, VideoError
from mocap.core.session import Session, SessionCamera, Take
from mocap.io.session_files import (
    is_session,
    is_take,
    open_session,
    open_take,
    open_take_of,
    open_takes,
    take_from_videos,
    write_session,
)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def a_session(root: Path, cameras: Iterable[str] = ("cam2", "cam10", "cam1"), toml: str | None = None) -> Path:
    touch(root, *(f"takes/walk/video/{camera}.mp4" for camera in cameras))
    touch(root, *(f"takes/run/video/{camera}.MOV" for camera in cameras))
    if toml is not None:
        (root / "session.toml").write_text(toml, encoding="utf-8")
    return root


TOML = """
notes = "hall, two lamps"   # a comment
[[camera]]
name = "cam10"
source = "/dev/video2"
rotation = 270
[[camera]]
name = "cam2"
[[camera]]
name = "cam1"
[board]
columns = 4
rows = 5
"""


def test_a_session_without_a_file(tmp_path: Path):
    session = open_session(a_session(tmp_path))
    assert session.camera_names == ("cam1", "cam2", "cam10")
    assert session.takes == ("run", "walk")
    assert session.rig_path is None
    run, walk = open_takes(session)
    assert (run.name, walk.name) == ("run", "walk")
    assert run.videos == {c: tmp_path / "takes" / "run" / "video" / f"{c}.MOV" for c in ("cam1", "cam2", "cam10")}
    assert list(walk.videos) == ["cam1", "cam2", "cam10"]
    assert walk.session_root == tmp_path
    assert walk.rotations == {}
    assert walk.detections is None
    assert walk.notes == ()


def test_a_session_file_orders_turns_and_describes(tmp_path: Path):
    session = open_session(a_session(tmp_path, toml=TOML))
    assert session.cameras == (
        SessionCamera("cam10", "/dev/video2", 270),
        SessionCamera("cam2"),
        SessionCamera("cam1"),
    )
    assert session.board == {"columns": 4, "rows": 5}
    assert session.notes == "hall, two lamps"
    take = open_take_of(session, "walk")
    assert take.cameras == ("cam10", "cam2", "cam1")
    assert take.rotations == {"cam10": 270}
    assert open_session(tmp_path / "session.toml").camera_names == session.camera_names


def test_a_take_by_its_path_knows_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    a_session(tmp_path, toml=TOML)
    folder = tmp_path / "takes" / "walk"
    takes = [open_take(folder), open_take(folder / "video"), open_take(str(folder) + os.sep)]
    monkeypatch.chdir(folder)
    takes += [open_take("."), open_take("video"), open_take("../walk")]
    for take in takes:
        assert take.name == "walk"
        assert take.rotations == {"cam10": 270}
        assert take.session_root is not None
        assert take.session_root.resolve() == tmp_path.resolve()


def test_a_take_may_stand_alone(tmp_path: Path):
    take = open_take(touch(tmp_path / "jump", "video/a.mp4", "video/b.mkv"))
    assert (take.name, take.cameras, take.session_root) == ("jump", ("a", "b"), None)


def test_the_rig_is_the_calibration_or_what_the_file_says(tmp_path: Path):
    a_session(tmp_path, toml='rig = "calibration/Calib.qca.txt"')
    with pytest.raises(ConfigError, match=r"session.toml: the rig 'calibration/Calib.qca.txt' does not exist"):
        open_session(tmp_path)
    touch(tmp_path, "calibration/Calib.qca.txt", "calibration/rig.toml")
    assert open_session(tmp_path).rig_path == tmp_path / "calibration" / "Calib.qca.txt"
    (tmp_path / "session.toml").unlink()
    assert open_session(tmp_path).rig_path == tmp_path / "calibration" / "rig.toml"


def test_hidden_and_foreign_files_are_left_alone(tmp_path: Path):
    a_session(tmp_path)
    touch(tmp_path, "takes/walk/video/._cam1.mp4", "takes/walk/video/.DS_Store", "takes/walk/video/notes.txt")
    touch(tmp_path, "takes/.trash/video/x.mp4", "takes/readme.md")
    session = open_session(tmp_path)
    assert session.takes == ("run", "walk")
    assert open_take_of(session, "walk").cameras == ("cam1", "cam2", "cam10")


def test_a_camera_without_a_video_is_noted(tmp_path: Path):
    a_session(tmp_path, toml=TOML)
    (tmp_path / "takes/walk/video/cam2.mp4").unlink()
    take = open_take(tmp_path / "takes/walk")
    assert take.cameras == ("cam10", "cam1")
    assert take.notes == ("camera cam2 of session.toml has nothing in this take",)


def test_a_take_of_imported_2d_results(tmp_path: Path):
    root = tmp_path / "takes" / "t"
    touch(root, "detections/cam02_json/f_0.json", "detections/cam01_json/f_0.json", "detections/cam03.h5")
    (root / "take.toml").write_text("[take]\nfps = 60\n")
    take = open_take(root)
    assert take.videos == {}
    assert take.cameras == ("cam01", "cam02", "cam03")
    assert take.detections == root / "detections"
    assert take.fps == 60.0
    (root / "take.toml").unlink()
    assert open_take(root).fps is None
    (tmp_path / "session.toml").write_text('fps = 50\n[[camera]]\nname = "cam02"\n[[camera]]\nname = "cam01"\n')
    assert (open_take(root).fps, open_take(root).cameras) == (50.0, ("cam02", "cam01"))


def test_videos_go_before_imported_results_which_stay_known(tmp_path: Path):
    a_session(tmp_path)
    touch(tmp_path, "takes/walk/detections/cam1_json/a.json", "takes/walk/timestamps.csv")
    take = open_take(tmp_path / "takes/walk")
    assert take.cameras == ("cam1", "cam2", "cam10")
    assert take.detections == tmp_path / "takes/walk/detections"
    assert take.timestamps == tmp_path / "takes/walk/timestamps.csv"
    assert take.notes == ("the cameras are not on one clock, and taken frame by frame: mocap sync puts them on one",)


def test_loose_videos(tmp_path: Path):
    touch(tmp_path, "in/videos/a.mp4", "in/videos/b.avi")
    out = tmp_path / "out"
    named = take_from_videos({"left": tmp_path / "in/videos/a.mp4", "right": tmp_path / "in/videos/b.avi"}, root=out)
    assert (named.name, named.cameras, named.root) == ("out", ("left", "right"), out)
    folder = take_from_videos(tmp_path / "in/videos", root=out, rotations={"a": 90})
    assert (folder.name, folder.cameras, folder.rotations) == ("in", ("a", "b"), {"a": 90})
    assert take_from_videos(tmp_path / "in/videos", root=out, name="jump").name == "jump"
    assert not out.exists()
    with pytest.raises(InputError, match="camera a: a rotation of 45 degrees is not possible"):
        take_from_videos(tmp_path / "in/videos", root=out, rotations={"a": 45})


def test_what_kind_a_folder_is(tmp_path: Path):
    a_session(tmp_path / "s")
    touch(tmp_path, "loose/a.mp4", "filed/session.toml")
    assert [is_session(tmp_path / n) for n in ("s", "filed", "loose", "s/takes/walk")] == [True, True, False, False]
    assert [is_take(tmp_path / n) for n in ("s", "s/takes/walk", "loose")] == [False, True, False]


def test_takes_travel_between_processes(tmp_path: Path):
    take = open_take(a_session(tmp_path, toml=TOML) / "takes/walk")
    again = pickle.loads(pickle.dumps(take))
    assert (again.videos, again.rotations, again.cameras) == (take.videos, take.rotations, take.cameras)


# --- writing -------------------------------------------------------------------------------------------------------


def test_a_session_survives_writing_and_reading(tmp_path: Path):
    touch(tmp_path, "calibration/own.toml")
    session = Session(
        root=tmp_path,
        cameras=(
            SessionCamera("left", "rtsp://10.0.0.2/a", 90),
            SessionCamera(
                "right", "usb:0", size=(1280, 720), fps=29.97, exposure=-6.0, gain="auto", focus=0.0, codec="MJPG"
            ),
        ),
        rig_path=tmp_path / "calibration" / "own.toml",
        board={"columns": 4, "rows": 5, "square_m": 0.054},
        notes="two cameras",
        fps=59.94,
    )
    write_session(session)
    again = open_session(tmp_path)
    for name in ("cameras", "rig_path", "board", "notes", "fps"):
        assert getattr(again, name) == getattr(session, name), name


def test_comments_survive_writing(tmp_path: Path):
    path = write_session(open_session(a_session(tmp_path, toml=TOML)))
    text = path.read_text(encoding="utf-8")
    assert "# a comment" in text
    assert open_session(tmp_path).cameras[0].rotation == 270
    assert not list(tmp_path.glob(".*.part"))


def test_what_stands_between_cameras_survives(tmp_path: Path):
    a_session(tmp_path, toml=TOML.replace('name = "cam2"', 'name = "cam2"  # the new one\n# by the door'))
    session = open_session(tmp_path)
    first = replace(session.cameras[0], rotation=0, source=None, fps=25.0)
    path = write_session(replace(session, cameras=(first, *session.cameras[1:], SessionCamera("cam3"))))
    text = path.read_text(encoding="utf-8")
    assert "# the new one" in text
    assert "# by the door" in text
    assert open_session(tmp_path).cameras == (first, *session.cameras[1:], SessionCamera("cam3"))
    write_session(replace(session, cameras=session.cameras[:1]))
    assert open_session(tmp_path).camera_names == ("cam10",)


# --- what is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("camra = 1", "unknown key 'camra'; known there: board, camera, fps, notes, rig"),
        (
            '[[camera]]\nname = "a"\nturn = 90',
            "unknown key 'camera.0.turn'; known there: codec, exposure, focus, fps, gain, name, rotation, size",
        ),
        ('[[camera]]\nname = "a"\nrotation = 45', "camera a: a rotation of 45 degrees is not possible. Give 0, 90"),
        ('[[camera]]\nname = "a"\nsize = [0, 720]', "camera a: (0, 720) is not a picture size"),
        ('[[camera]]\nname = "a"\nfps = -1', "camera a: -1.0 frames a second is not a frame rate"),
        ('[[camera]]\nname = "a"\nfocus = "near"', "camera a: focus 'near' is not known. Give \"auto\" or a number"),
        ('[[camera]]\nname = "a"\ncodec = "jpeg2"', "camera a: 'jpeg2' is not a picture format"),
        ('[[camera]]\nname = "a"\n[[camera]]\nname = "A"', "two cameras are called 'a' and 'A'"),
        ("[[camera]]\nrotation = 90", "'' cannot be the name of a camera"),
        ('[[camera]]\nname = "a/b"', "'a/b' cannot be the name of a camera"),
        ("a = = 1", "not valid TOML"),
    ],
)
def test_bad_session_files(tmp_path: Path, toml: str, message: str):
    a_session(tmp_path, toml=toml)
    with pytest.raises(ConfigError) as caught:
        open_session(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "session.toml"))
    assert message in str(caught.value)


def test_bad_take_file(tmp_path: Path):
    a_session(tmp_path)
    (tmp_path / "takes/walk/take.toml").write_text("[take]\nframerate = 60\n")
    with pytest.raises(ConfigError, match=r"take.toml: unknown key 'take.framerate'; known there: clocks, fps, notes"):
        open_take(tmp_path / "takes/walk")
    (tmp_path / "takes/walk/take.toml").write_text("[take]\nfps = -3\n")
    with pytest.raises(InputError, match="-3.0 frames a second is not a frame rate"):
        open_take(tmp_path / "takes/walk")


def refused(error: type[InputError], what: str, call, *arguments, **options) -> None:
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    assert what in str(caught.value)
    assert caught.value.remedy, "an error without a remedy"


def test_not_a_session(tmp_path: Path):
    refused(InputError, "there is no such folder. Give the folder of the session", open_session, tmp_path / "no")
    refused(InputError, "is a file", open_session, touch(tmp_path, "f") / "f")
    refused(InputError, "is not a session. A session holds takes/<take>/video/<camera>.mp4", open_session, tmp_path)


def test_a_session_without_takes(tmp_path: Path):
    (tmp_path / "takes").mkdir()
    refused(
        InputError, "the session has no takes. Put videos at takes/<take>/video", open_takes, open_session(tmp_path)
    )


def test_a_take_that_is_not_there(tmp_path: Path):
    session = open_session(a_session(tmp_path))
    refused(InputError, "the session has no take 'wlak'; there are run, walk", open_take_of, session, "wlak")
    refused(InputError, "the session has no take 'wlak'; there are run, walk", open_take, tmp_path / "takes" / "wlak")
    refused(InputError, "there is no such folder", open_take, tmp_path / "elsewhere")


def test_not_a_take(tmp_path: Path):
    refused(InputError, "is not a take. A take holds video/<camera>.mp4", open_take, tmp_path)


def test_no_videos(tmp_path: Path):
    touch(tmp_path, "t/video/cam1.docx", "t/video/readme.txt", "e/video/.hidden", "d/detections/readme.txt")
    refused(VideoError, "there are no videos here (found: cam1.docx, readme.txt)", open_take, tmp_path / "t")
    refused(VideoError, "there are no videos here. Depth needs at least 2 cameras", open_take, tmp_path / "e")
    refused(VideoError, "there are no 2D results here", open_take, tmp_path / "d")
    refused(VideoError, "there are no videos here", take_from_videos, tmp_path / "e" / "video", root=tmp_path)


def test_one_view(tmp_path: Path):
    touch(tmp_path, "t/video/cam1.mp4", "d/detections/cam1_json/a.json")
    refused(VideoError, "only camera cam1 is here. Depth needs at least 2 cameras", open_take, tmp_path / "t")
    refused(VideoError, "only camera cam1 is here", open_take, tmp_path / "d")
    refused(VideoError, "only camera a is here", take_from_videos, {"a": tmp_path / "a.mp4"}, root=tmp_path)


@pytest.mark.parametrize("twin", ["cam1.mov", "CAM1.avi"])
def test_two_videos_of_one_camera(tmp_path: Path, twin: str):
    touch(tmp_path, "t/video/cam1.mp4", "t/video/cam2.mp4", f"t/video/{twin}")
    with pytest.raises(InputError, match="would both be camera") as caught:
        open_take(tmp_path / "t")
    assert twin in str(caught.value)
    assert "cam1.mp4" in str(caught.value)


def test_a_video_that_the_session_does_not_list(tmp_path: Path):
    a_session(tmp_path, toml=TOML)
    touch(tmp_path, "takes/walk/video/gopro.mp4")
    what = "session.toml does not list camera gopro; it lists cam10, cam2, cam1. Rename the video"
    refused(InputError, what, open_take, tmp_path / "takes/walk")


def test_a_bad_take_does_not_keep_the_session_shut(tmp_path: Path):
    a_session(tmp_path)
    touch(tmp_path, "takes/bad/video/cam1.mp4", "takes/bad/video/cam1.mov")
    (tmp_path / "takes/worse").mkdir()
    session = open_session(tmp_path)
    assert session.takes == ("bad", "run", "walk", "worse")
    assert open_take_of(session, "walk").cameras == ("cam1", "cam2", "cam10")


def test_a_take_needs_something(tmp_path: Path):
    with pytest.raises(InputError, match="needs videos or imported 2D results"):
        Take(name="t", root=tmp_path)
