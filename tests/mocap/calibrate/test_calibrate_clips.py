"""The calibration clips of a session's folder, and what a user asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.boards import CharucoBoard
from calibration.errors import CalibrationError
from mocap.calibrate.clips import find_clips
from mocap.calibrate.settings import calibrate_config
from mocap.core.errors import ConfigError, InputError

BOARD = """
[board]
type = "charuco"
squares = [5, 7]
square_mm = 40
marker_mm = 30
dictionary = "DICT_4X4_50"
"""
CAMERAS = {"lens": "auto", "same_lens": (), "lenses": None, "line_time": False}
WORLD = {
    "person": None,
    "floor_picture": None,
    "origin": "corner",
    "heading": "board",
    "thickness_mm": 0.0,
    "distance": None,
}


def session(root: Path, *files: str, toml: str = BOARD) -> Path:
    for name in files:
        path = root / "calibration" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    root.mkdir(exist_ok=True)
    if toml:
        (root / "session.toml").write_text(toml)
    return root


def test_clips_and_folders_of_images_are_found_by_kind(tmp_path):
    root = session(
        tmp_path,
        "extrinsics/b.mp4",
        "extrinsics/a10.mov",
        "extrinsics/a9.mp4",
        "extrinsics/timestamps.csv",
        "extrinsics/.hidden.mp4",
        "intrinsics/b/1.png",
        "intrinsics/empty/notes.txt",
        "floor/notes.txt",
    )
    found = find_clips(root)
    assert found.cameras == ("a9", "a10", "b")
    assert set(found.clips) == {"intrinsics", "extrinsics"}
    assert set(found.clips["extrinsics"].sources) == {"a9", "a10", "b"}
    assert found.clips["extrinsics"].timestamps == root / "calibration" / "extrinsics" / "timestamps.csv"
    assert found.clips["intrinsics"].sources == {"b": root / "calibration" / "intrinsics" / "b"}
    assert found.board == CharucoBoard(5, 7, 0.04, 0.03, "DICT_4X4_50")
    assert find_clips(root / "calibration").root == root


def test_other_programs_name_the_folder_in_the_singular(tmp_path):
    assert find_clips(session(tmp_path, "extrinsic/cam_0.mp4")).cameras == ("cam_0",)


def test_the_session_orders_and_turns_cameras(tmp_path):
    listed = '[[camera]]\nname = "left"\n[[camera]]\nname = "back"\nrotation = 90\n'
    root = session(tmp_path, "extrinsics/back.mp4", "extrinsics/left.mp4", toml=listed + BOARD)
    found = find_clips(root)
    assert found.cameras == ("left", "back")
    assert found.rotations == {"back": 90}
    (root / "calibration" / "extrinsics" / "top.mp4").touch()
    with pytest.raises(ConfigError, match=r"does not list camera top, .* it lists left, back. Rename the clip"):
        find_clips(root)


@pytest.mark.parametrize(
    ("files", "toml", "message"),
    [
        ((), BOARD, "no calibration clips. Record the board into calibration/extrinsics/<camera>.mp4"),
        (("extrinsics/a.mp4",), "", "does not say which board was recorded. Give it with --board FILE"),
        (("extrinsics/a.mp4", "extrinsics/A.mov"), BOARD, "Keep one clip of each camera"),
    ],
)
def test_what_is_missing_is_told(tmp_path, files, toml, message):
    with pytest.raises(InputError) as caught:
        find_clips(session(tmp_path, *files, toml=toml))
    assert message in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        find_clips(tmp_path / "none")


def test_options_become_settings():
    chosen = calibrate_config(
        {**CAMERAS, "lens": "fisheye", "same_lens": ("a, b", "c,d"), "line_time": True},
        {**WORLD, "distance": "a,c=4.25", "thickness_mm": 5.0, "origin": "cameras", "heading": "away"},
    )
    assert chosen.intrinsics.lens == "fisheye"
    assert chosen.intrinsics.shared == chosen.bundle.shared == (("a", "b"), ("c", "d"))
    assert chosen.bundle.line_time is True
    assert chosen.world.floor.thickness_m == 0.005
    assert chosen.world.known_distance is not None
    assert chosen.world.known_distance.cameras == ("a", "c")
    assert chosen.world.known_distance.distance_m == 4.25


@pytest.mark.parametrize(
    ("cameras", "world", "message"),
    [
        ({"lens": "wide"}, {}, "--lens: there is no 'wide'. Known: auto, brown_conrady, rational, fisheye"),
        ({"same_lens": ("a",)}, {}, "--same-lens: 'a' names no two cameras"),
        ({}, {"distance": "a,b"}, "--distance: 'a,b' is not CAMERA,CAMERA=METRES"),
        ({}, {"distance": "a=3"}, "--distance: 'a=3' is not CAMERA,CAMERA=METRES"),
        ({}, {"distance": "a,b=far"}, "--distance: 'a,b=far' is not"),
        ({}, {"origin": "here"}, "--origin: there is no 'here'. Known: corner, middle, cameras"),
        ({}, {"heading": "north"}, "--heading: there is no 'north'. Known: board, away"),
    ],
)
def test_options_that_say_nothing_are_refused(cameras, world, message):
    with pytest.raises((ConfigError, CalibrationError)) as caught:
        calibrate_config({**CAMERAS, **cameras}, {**WORLD, **world})
    assert str(caught.value).startswith(message)
