"""A session's check: what is there, what is wrong with it, what comes next."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from calibration.camera import Intrinsics, Rig
from calibration.rig_file import write_rig
from calibration.synthetic import ring
from mocap.core.errors import InputError
from mocap.io.recording_date import RecordingDate, earliest_date, recording_date
from mocap.io.session_check import SessionCheck, check_session
from mocap.io.session_state import look_at_session, sessions_in
from video_worlds import write_counter_clip

CAMERAS = ("cam01", "cam02", "cam03")
SIZE = (96, 64)
BOARD = '[board]\ntype = "checkerboard"\nsquares = [5, 7]\nsquare_mm = 40.0\n'


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counter_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 40)


def a_ring(count: int, size: tuple[int, int] = SIZE) -> Rig:
    K = np.array([[80.0, 0, 47], [0, 80, 32], [0, 0, 1]])
    return ring(count, Intrinsics(size, K, np.zeros(5)))


def a_session(root: Path, clip: Path, takes: tuple[str, ...] = ("walk",), *, rig: bool = True) -> Path:
    for take in takes:
        for camera in CAMERAS:
            place = root / "takes" / take / "video" / f"{camera}.mp4"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(clip, place)
    root.mkdir(exist_ok=True)
    (root / "session.toml").write_text("".join(f'[[camera]]\nname = "{name}"\n' for name in CAMERAS))
    if rig:
        write_rig(a_ring(3, SIZE), root / "calibration" / "rig.toml")
    return root


def sentences(checked: SessionCheck, level: str) -> list[str]:
    return [finding.sentence for finding in checked.findings if finding.level == level]


def test_a_whole_session_is_to_be_processed(tmp_path: Path, clip: Path):
    checked = check_session(a_session(tmp_path / "s", clip))
    assert checked.can_process
    assert checked.findings == ()
    assert checked.next_step == f"Process the take: `mocap process {tmp_path / 's/takes/walk'}`."
    assert [c.frames for c in checked.clips["takes/walk"]] == [40, 40, 40]
    two = check_session(a_session(tmp_path / "two", clip, ("run", "walk")))
    assert two.next_step == f"Process the takes: `mocap process {tmp_path / 'two'}`."


def test_the_steps_of_a_shoot(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip, (), rig=False)
    checked = check_session(root)
    assert not checked.can_process
    assert checked.next_step.startswith("Film the board in all cameras at once and bring the clips in: `mocap session ")
    assert "session.toml: does not say which board is used" in sentences(checked, "warning")[0]
    text = (root / "session.toml").read_text()
    (root / "session.toml").write_text(text.replace('name = "cam01"', 'name = "cam01"\nsource = "usb:0"'))
    assert "mocap board board.pdf" in check_session(root).next_step
    assert sentences(check_session(root), "warning") == [], "the same is not said twice"
    with (root / "session.toml").open("a") as file:
        file.write(BOARD)
    checked = check_session(root)
    assert checked.next_step == f"Record the board in all cameras at once: `mocap record {root} --extrinsics`."
    (root / "calibration/extrinsics").mkdir(parents=True)
    for camera in CAMERAS[:2]:
        shutil.copy2(clip, root / f"calibration/extrinsics/{camera}.mp4")
    checked = check_session(root)
    assert checked.next_step == f"Run `mocap calibrate {root}`."
    assert "calibration/extrinsics: there is no clip of cam03. Record it with the others." in sentences(
        checked, "warning"
    )
    write_rig(a_ring(3, SIZE), root / "calibration" / "rig.toml")
    assert check_session(root).next_step == f"Record a take: `mocap record {root} --take NAME`."


def test_processed_takes(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip)
    export = root / "takes/walk/export"
    export.mkdir()
    for name in ("walk_report.json", "walk.bvh", "walk.fbx"):
        (export / name).write_text("{}")
    checked = check_session(root)
    assert checked.state.takes[0].state == "exported"
    assert checked.state.takes[0].exported == ("bvh", "fbx")
    assert checked.next_step == "Nothing is left to do: all takes are processed."
    later = (export / "walk_report.json").stat().st_mtime + 1000
    os.utime(root / "takes/walk/video/cam02.mp4", (later, later))
    assert check_session(root).next_step == f"Run `mocap process {root / 'takes/walk'}`."


def test_damaged_and_short_videos(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip, ("bad", "short"))
    whole = clip.read_bytes()
    (root / "takes/bad/video/cam02.mp4").write_bytes(whole[: len(whole) // 2])
    (root / "takes/bad/video/cam03.mp4").write_bytes(b"")
    write_counter_clip(root / "takes/short/video/cam01.mp4", 30)
    checked = check_session(root)
    blocks = sentences(checked, "blocks")
    assert len(blocks) == 2
    assert "cam02.mp4: this MP4/MOV has no readable index" in blocks[0]
    assert "the file is empty (0 bytes)" in blocks[1]
    (warning,) = sentences(checked, "warning")
    assert warning.startswith(
        "takes/short: the cameras have different numbers of frames (cam01 30, cam02 40, cam03 40)"
    )
    assert f"`mocap sync {root / 'takes/short'}`" in warning


def test_different_rates_need_a_clock(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip)
    write_counter_clip(root / "takes/walk/video/cam03.mp4", 80, fps=60.0)
    checked = check_session(root)
    (blocks,) = sentences(checked, "blocks")
    assert "the cameras have different frame rates (cam01 30, cam02 30, cam03 60 frames a second)" in blocks
    assert checked.next_step == f"Put the cameras on one clock: `mocap sync {root / 'takes/walk'}`."
    (root / "takes/walk/take.toml").write_text('[take]\nclocks = "shared"\n')
    (root / "takes/walk/timestamps.csv").write_text("camera,frame,time_s\n")
    assert look_at_session(root).takes[0].sync == "one clock"
    (root / "takes/walk/sync.toml").write_text("")
    assert look_at_session(root).takes[0].sync == "synced"


def test_pictures_of_another_size_than_the_rig(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip)
    write_rig(a_ring(3, (100, 64)), root / "calibration" / "rig.toml")
    (blocks, *_) = sentences(check_session(root), "blocks")
    assert "takes/walk:" in blocks
    assert "100" in blocks
    write_rig(a_ring(2, SIZE), root / "calibration" / "rig.toml")
    assert "the rig has no camera cam03" in sentences(check_session(root), "blocks")[0]


def test_a_remedy_of_several_lines_is_not_a_next_step(tmp_path: Path, clip: Path):
    """What to write into a configuration; an import shows the next step alone."""
    root = a_session(tmp_path / "s", clip)
    write_rig(a_ring(3, (100, 64)), root / "calibration" / "rig.toml")
    assert "\n" in sentences(check_session(root), "blocks")[0]
    assert check_session(root).next_step == (
        "Mend takes/walk: camera cam01: the video is 96x64 but its calibration is for 100x64. "
        f"`mocap session check {root}` shows how."
    )


def test_an_unreadable_rig(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip)
    (root / "calibration/rig.toml").write_text("a = = 1")
    checked = check_session(root)
    assert not checked.can_process
    assert "calibration: is not valid TOML" in sentences(checked, "blocks")[0]


def test_a_recording_that_was_cut_off(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip)
    (root / "takes/walk/.recording").touch()
    (root / "takes/walk/take.toml").write_text('[take]\nnotes = "camera cam02 died after 3 s"\n')
    checked = check_session(root)
    assert checked.state.unfinished == (root / "takes/walk",)
    (warning,) = sentences(checked, "warning")
    assert (
        f"this recording was cut off, if it is not running now. Mend it: `mocap session check {root} --repair`"
        in warning
    )
    assert "takes/walk: camera cam02 died after 3 s." in sentences(checked, "note")


def with_date(path: Path, clip: Path, when: str) -> None:
    """The clip's pictures in a container that says when they were taken."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        target.metadata["creation_time"] = when
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)


def test_a_calibration_of_another_day(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip)
    (root / "calibration/extrinsics").mkdir()
    for camera in CAMERAS:
        with_date(root / f"calibration/extrinsics/{camera}.mp4", clip, "2026-03-01T10:00:00.000000Z")
        with_date(root / f"takes/walk/video/{camera}.mp4", clip, "2026-03-03T10:00:00.000000Z")
    later = (root / "calibration/extrinsics/cam03.mp4").stat().st_mtime + 1
    os.utime(root / "calibration/rig.toml", (later, later))
    checked = check_session(root)
    (warning,) = sentences(checked, "warning")
    assert "the calibration is of 2026-03-01, the take of 2026-03-03" in warning
    assert f"`mocap calibrate {root} --check {root / 'takes/walk'}`" in warning
    assert checked.can_process


def test_dates(tmp_path: Path, clip: Path):
    with_date(tmp_path / "a.mp4", clip, "2026-03-01T10:00:00.000000Z")
    with_date(tmp_path / "b.mp4", clip, "1970-01-01T00:00:00.000000Z")
    sure, unsure = recording_date(tmp_path / "a.mp4"), recording_date(tmp_path / "b.mp4")
    assert sure is not None
    assert sure.sure
    assert sure.when == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert unsure is not None
    assert not unsure.sure, "a clock that was never set is no date"
    assert earliest_date([tmp_path / "b.mp4", tmp_path / "a.mp4"]) == sure
    assert recording_date(tmp_path / "none.mp4") is None
    night = RecordingDate(datetime(2026, 3, 1, 23, 50).astimezone(), sure=True)
    assert night.same_day(RecordingDate(night.when + timedelta(hours=1), sure=True))
    assert not night.same_day(RecordingDate(night.when + timedelta(hours=13), sure=True))


def test_sessions_are_found_below_folders(tmp_path: Path, clip: Path):
    one = a_session(tmp_path / "june/one", clip)
    two = a_session(tmp_path / "two", clip)
    assert set(sessions_in([tmp_path])) == {one, two}
    assert sessions_in([one, one / "takes/walk", tmp_path / "june"]) == (one,)
    with pytest.raises(InputError, match="there is no such folder"):
        sessions_in([tmp_path / "none"])


def test_a_take_that_cannot_be_opened_hides_no_other(tmp_path: Path, clip: Path):
    root = a_session(tmp_path / "s", clip)
    (root / "takes/empty/video").mkdir(parents=True)
    checked = check_session(root)
    assert [it.state for it in checked.state.takes] == ["unusable", "recorded"]
    assert "there are no videos here" in sentences(checked, "blocks")[0]
    assert checked.next_step.startswith("Mend takes/empty: ")
