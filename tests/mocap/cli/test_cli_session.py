"""`mocap session` as a user meets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibration.boards import CharucoBoard
from mocap.cli.main import app
from mocap.core.session import SessionCamera
from mocap.io.session_files import open_session
from video_worlds import write_counter_clip


def run(*arguments: object):
    return CliRunner().invoke(app, ["session", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counter_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 12)


def test_a_new_session_says_all_that_was_asked(tmp_path: Path):
    place = tmp_path / "monday"
    cameras = ("--camera", "left=usb:0", "--camera", "right=rtsp://10.0.0.2/a?b=c", "--camera", "top")
    device = (
        "--size",
        "1280x720",
        "--fps",
        30,
        "--codec",
        "MJPG",
        "--exposure",
        "auto",
        "--gain",
        4,
        "--rotation",
        "top=90",
    )
    done = run("new", place, *cameras, *device, "--squares", "5x7", "--square-mm", 110, "--notes", "hall")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(place / "session.toml")]
    assert f"mocap record {place} --extrinsics" in done.stderr
    session = open_session(place)
    asked = {"size": (1280, 720), "fps": 30.0, "codec": "MJPG", "exposure": "auto", "gain": 4.0}
    assert session.cameras == (
        SessionCamera("left", "usb:0", **asked),
        SessionCamera("right", "rtsp://10.0.0.2/a?b=c", **asked),
        SessionCamera("top", rotation=90, **asked),
    )
    assert dict(session.board) == CharucoBoard(5, 7, 0.110, 0.0825, "DICT_4X4_50").to_table()
    assert session.notes == "hall"


def test_the_next_day_has_the_same_cameras(tmp_path: Path):
    run("new", tmp_path / "mon", "--camera", "a=usb:0", "--camera", "b=usb:1", "--squares", "5x7", "--square-mm", 40)
    done = run("new", tmp_path / "tue", "--like", tmp_path / "mon", "--json")
    assert done.exit_code == 0, done.output
    monday, tuesday = open_session(tmp_path / "mon"), open_session(tmp_path / "tue")
    assert tuesday.cameras == monday.cameras
    assert tuesday.board == monday.board
    assert json.loads(done.stdout)["cameras"][1]["source"] == "usb:1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", "wide"), "--size: 'wide' is not width x height. Write it as 1280x720."),
        (("--exposure", "dark"), "--exposure: 'dark' is not a number. Give auto or a number."),
        (("--rotation", "b=90"), "--rotation: 'b=90' is not NAME=DEGREES of a camera. Cameras: a."),
        (("--rotation", "a=45"), "camera a: a rotation of 45 degrees is not possible"),
        (("--camera", "b=webcam"), "camera b: source 'webcam': is not an address of a camera. Write one of: usb:0"),
        (("--camera", "b="), "--camera: 'b=' names no source. Write NAME alone"),
        (("--camera", "A"), "two cameras are called 'a' and 'A'"),
        (("--type", "mirror"), "there is no board 'mirror'"),
    ],
)
def test_what_cannot_be(tmp_path: Path, options: tuple[str, ...], message: str):
    done = run("new", tmp_path / "s", "--camera", "a", *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_session_is_never_replaced(tmp_path: Path):
    run("new", tmp_path / "s", "--camera", "a", "--notes", "mine")
    done = run("new", tmp_path / "s", "--camera", "b")
    assert done.exit_code == 2
    assert "is a session already" in done.stderr
    assert open_session(tmp_path / "s").notes == "mine"


def test_a_check_for_people_and_for_machines(tmp_path: Path, clip: Path):
    run("new", tmp_path / "s", "--camera", "a", "--camera", "b")
    (tmp_path / "s/takes/walk/video").mkdir(parents=True)
    for name in "ab":
        shutil.copy2(clip, tmp_path / f"s/takes/walk/video/{name}.mp4")
    done = run("check", tmp_path / "s")
    assert done.exit_code == 2, "there is no rig: nothing can be processed"
    assert "take walk: recorded, 2 cameras, 12 frames, 30 a second, frame by frame" in done.stdout
    assert "blocks  calibration: there is no rig.toml." in done.stdout
    assert f"bring the clips in: `mocap session import FOLDER {tmp_path / 's'}`." in done.stdout
    done = run("check", tmp_path / "s", "--json")
    assert done.exit_code == 2
    report = json.loads(done.stdout)
    assert report["can_process"] is False
    assert report["takes"][0]["state"] == "recorded"
    assert report["recordings"]["takes/walk"][0]["frames"] == 12


@pytest.mark.parametrize("source", ["rtsp://me:secret@10.0.0.2/a", "rtsp://me:sec:ret@10.0.0.2:x/a"])
def test_a_check_shows_no_passwords(tmp_path: Path, source: str):
    root = tmp_path / "s"
    root.mkdir()
    (root / "session.toml").write_text(f'[[camera]]\nname = "a"\nsource = "{source}"\n', encoding="utf-8")
    done = run("check", root)
    assert "cameras: a (" in done.stdout
    assert "sec" not in done.output


def test_sessions_in_a_table(tmp_path: Path):
    for name in ("mon", "tue"):
        run("new", tmp_path / name, "--camera", "a", "--camera", "b")
    (tmp_path / "tue/session.toml").write_text("camra = 1")
    done = run("list", tmp_path)
    assert done.exit_code == 0, done.output
    assert "mon" in done.stdout
    assert "no rig" in done.stdout
    assert "unknown key 'camra'" in done.stderr
    listed = json.loads(run("list", tmp_path, "--json").stdout)
    assert [Path(s["session"]).name for s in listed["sessions"]] == ["mon"]
    assert len(listed["refused"]) == 1


def test_an_import_is_shown_before_it_is_done(tmp_path: Path, clip: Path):
    (tmp_path / "day").mkdir()
    for name in ("walk_GX1", "walk_GX2"):
        shutil.copy2(clip, tmp_path / f"day/{name}.mp4")
    options = (tmp_path / "day", tmp_path / "s", "--pattern", "{take}_{camera}", "--camera", "GX1=left")
    done = run("import", *options, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "takes/walk/video/left.mp4 from walk_GX1.mp4" in done.stderr
    assert not (tmp_path / "s").exists()
    done = run("import", *options, "--hardlink")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(tmp_path / "s/session.toml")]
    assert "Next: Film the board in all cameras at once and bring the clips in" in done.stderr
    assert open_session(tmp_path / "s").camera_names == ("GX2", "left")
    again = json.loads(run("import", *options, "--json").stdout)
    assert again["kept"] == ["takes/walk/video/left.mp4", "takes/walk/video/GX2.mp4"]
    refused = run("import", *options[:2], "--camera", "GX1")
    assert refused.exit_code == 2
    assert "--camera: 'GX1' is not OLD=NEW" in refused.stderr


def test_a_recording_that_was_cut_off_is_mended(tmp_path: Path, clip: Path):
    run("new", tmp_path / "s", "--camera", "a", "--camera", "b")
    take = tmp_path / "s/takes/walk"
    (take / "video").mkdir(parents=True)
    for name in "ab":
        shutil.copy2(clip, take / f"video/{name}.mp4")
    (take / ".recording").write_text("{}")
    assert "`mocap session check" in run("check", tmp_path / "s").stdout
    done = run("check", tmp_path / "s", "--repair")
    assert "mended" in done.stderr
    assert not (take / ".recording").exists(), done.output
    assert "--repair" not in done.stdout
    assert "recording was cut off; " in done.stdout, "what was mended is noted in take.toml, and shown"
