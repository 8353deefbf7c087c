"""Imports of folders of videos: names to cameras and takes, places, and what is never done to anybody's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mocap.core.errors import InputError
from mocap.io import session_import
from mocap.io.session_files import open_session, open_takes
from mocap.io.session_import import carry_out, plan_import
from mocap.io.session_plan import ImportPlan


def recordings(root: Path, *names: str) -> Path:
    """Files that are no videos: planning looks at names only."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def targets(plan: ImportPlan) -> dict[str, str]:
    return {it.source.relative_to(plan.source).as_posix(): it.target for it in plan.files}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("cam1.mp4", "cam2.mp4"), {"cam1.mp4": "takes/day/video/cam1.mp4"}),
        (("walk_cam1.mp4", "walk_cam2.mp4", "run_cam1.MOV"), {"run_cam1.MOV": "takes/run/video/cam1.MOV"}),
        (("Camera 01 - jump.mp4", "Camera 02 - jump.mp4"), {"Camera 01 - jump.mp4": "takes/jump/video/Camera 01.mp4"}),
        (("cam1/walk.mp4", "cam2/walk.mp4"), {"cam2/walk.mp4": "takes/walk/video/cam2.mp4"}),
        (("walk/cam1.mp4", "walk/cam2.mp4"), {"walk/cam1.mp4": "takes/walk/video/cam1.mp4"}),
        (("walk/videos/cam1.mp4", "walk/videos/cam2.mp4"), {"walk/videos/cam1.mp4": "takes/walk/video/cam1.mp4"}),
        (("left.mp4", "right.mp4"), {"left.mp4": "takes/day/video/left.mp4"}),
        (("anna.mp4", "bob.mp4"), {"bob.mp4": "takes/day/video/bob.mp4"}),
        (("walk_left.mp4", "walk_right.mp4"), {"walk_left.mp4": "takes/walk/video/left.mp4"}),
        (
            ("left_1.mp4", "right_1.mp4", "left_2.mp4", "right_2.mp4"),
            {"left_2.mp4": "takes/2/video/left.mp4", "right_1.mp4": "takes/1/video/right.mp4"},
        ),
        (
            ("anna/x.mp4", "bob/x.mp4", "eve/x.mp4", "anna/y.mp4", "bob/y.mp4", "eve/y.mp4", "anna/z.mp4", "bob/z.mp4"),
            {},
        ),
        (("anna/GX010012.MP4", "bob/GX010007.MP4"), {"bob/GX010007.MP4": "takes/day/video/bob.MP4"}),
        (
            ("cam1/GX1.MP4", "cam1/GX2.MP4", "cam2/GX7.MP4", "cam2/GX10.MP4"),
            {"cam1/GX1.MP4": "takes/take_01/video/cam1.MP4", "cam2/GX10.MP4": "takes/take_02/video/cam2.MP4"},
        ),
        (
            ("calib_cam1.mp4", "calib_cam2.mp4", "floor_cam1.mp4", "cam1_intrinsics.mp4", "walk_cam1.mp4"),
            {
                "calib_cam2.mp4": "calibration/extrinsics/cam2.mp4",
                "floor_cam1.mp4": "calibration/floor/cam1.mp4",
                "cam1_intrinsics.mp4": "calibration/intrinsics/cam1.mp4",
                "walk_cam1.mp4": "takes/walk/video/cam1.mp4",
            },
        ),
    ],
)
def test_names_tell_cameras_and_takes(tmp_path: Path, names: tuple[str, ...], expected: dict[str, str]):
    root = recordings(tmp_path / "day", *names)
    if not expected:
        with pytest.raises(InputError, match="no part of the names tells the camera in every take"):
            plan_import(root)
        return
    plan = plan_import(root)
    assert len(plan.files) == len(names)
    found = targets(plan)
    assert {name: found[name] for name in expected} == expected


def test_two_readings_are_asked_about(tmp_path: Path):
    root = recordings(tmp_path / "day", "ann_x1.mp4", "bob_x1.mp4", "ann_x2.mp4", "bob_x2.mp4")
    with pytest.raises(InputError, match="the cameras may be .*--pattern") as caught:
        plan_import(root)
    assert "ann, bob" in str(caught.value)
    assert "x1, x2" in str(caught.value)
    plan = plan_import(root, pattern="{camera}_{take}", renames={"ann": "left"})
    assert plan.cameras == ("bob", "left")
    assert targets(plan)["ann_x2.mp4"] == "takes/x2/video/left.mp4"


def test_patterns(tmp_path: Path):
    root = recordings(tmp_path / "day", "A/2026-walk-raw.mp4", "B/2026-walk-raw.mp4", "B/notes.mp4")
    plan = plan_import(root, pattern="{camera}/*-{take}-raw")
    assert targets(plan) == {
        "A/2026-walk-raw.mp4": "takes/walk/video/A.mp4",
        "B/2026-walk-raw.mp4": "takes/walk/video/B.mp4",
    }
    assert plan.left == (root / "B/notes.mp4",)
    with pytest.raises(InputError, match="no video fits the pattern"):
        plan_import(root, pattern="{take}+{camera}")
    with pytest.raises(InputError, match="does not say where the camera is"):
        plan_import(root, pattern="{take}")


@pytest.mark.parametrize("how", ["copy", "link", "hardlink"])
def test_an_import_leaves_the_originals_alone(tmp_path: Path, how: session_import.How):
    root = recordings(tmp_path / "day", "walk_cam1.mp4", "walk_cam2.mp4")
    before = {path: (path.read_bytes(), path.stat().st_mtime) for path in root.rglob("*.mp4")}
    plan = plan_import(root)
    assert not (tmp_path / "s").exists(), "a plan does nothing"
    done = carry_out(plan, tmp_path / "s", how)
    assert done.made == ("takes/walk/video/cam1.mp4", "takes/walk/video/cam2.mp4", "session.toml")
    (take,) = open_takes(open_session(tmp_path / "s"))
    assert take.cameras == ("cam1", "cam2")
    assert take.videos["cam1"].read_bytes() == b"walk_cam1.mp4"
    assert take.videos["cam1"].is_symlink() == (how == "link")
    assert take.videos["cam1"].samefile(root / "walk_cam1.mp4") == (how != "copy")
    assert {path: (path.read_bytes(), path.stat().st_mtime) for path in root.rglob("*.mp4")} == before


def test_again_does_nothing_and_more_takes_are_added(tmp_path: Path):
    root = recordings(tmp_path / "day", "walk_cam1.mp4", "walk_cam2.mp4")
    carry_out(plan_import(root), tmp_path / "s")
    (tmp_path / "s/session.toml").write_text(
        (tmp_path / "s/session.toml").read_text() + '\n# mine\n[board]\ntype = "charuco"\n'
    )
    recordings(root, "run_cam1.mp4", "run_cam3.mp4")
    done = carry_out(plan_import(root), tmp_path / "s")
    assert done.kept == ("takes/walk/video/cam1.mp4", "takes/walk/video/cam2.mp4")
    session = open_session(tmp_path / "s")
    assert session.takes == ("run", "walk")
    assert session.camera_names == ("cam1", "cam2", "cam3")
    assert session.board == {"type": "charuco"}
    assert "# mine" in (tmp_path / "s/session.toml").read_text()


def test_a_stopped_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = recordings(tmp_path / "day", "walk_cam1.mp4", "walk_cam2.mp4")
    real, calls = session_import.shutil.copy2, []

    def full(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            target.write_bytes(b"half")
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(session_import.shutil, "copy2", full)
    with pytest.raises(OSError, match="No space left"):
        carry_out(plan_import(root), tmp_path / "s")
    assert [p.name for p in (tmp_path / "s/takes/walk/video").iterdir()] == ["cam1.mp4"], "nothing half-written stays"
    done = carry_out(plan_import(root), tmp_path / "s")
    assert done.kept == ("takes/walk/video/cam1.mp4",)
    assert (tmp_path / "s/takes/walk/video/cam2.mp4").read_bytes() == b"walk_cam2.mp4"


def test_other_files_are_never_replaced(tmp_path: Path):
    root = recordings(tmp_path / "day", "walk_cam1.mp4", "walk_cam2.mp4")
    recordings(tmp_path / "s", "takes/walk/video/cam2.mp4")
    with pytest.raises(InputError, match="there is another file at takes/walk/video/cam2.mp4"):
        carry_out(plan_import(root), tmp_path / "s")
    assert (tmp_path / "s/takes/walk/video/cam2.mp4").read_bytes() == b"takes/walk/video/cam2.mp4"
    assert not (tmp_path / "s/takes/walk/video/cam1.mp4").exists(), "refused before anything is made"


def test_full_disks_are_seen_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = recordings(tmp_path / "day", "cam1.mp4", "cam2.mp4")
    usage = os.statvfs(tmp_path)
    assert usage.f_bavail > 0
    monkeypatch.setattr(session_import.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 2**29})())
    with pytest.raises(InputError, match="GB are free. Import with --link or --hardlink"):
        carry_out(plan_import(root), tmp_path / "s")
    carry_out(plan_import(root), tmp_path / "s", "link")


def test_two_recordings_for_one_place(tmp_path: Path):
    root = recordings(tmp_path / "day", "walk_cam1.mp4", "walk_cam2.mp4", "walk_cam1.mov")
    plan = plan_import(root, "videos")
    assert len(plan.files) == 2
    assert len(plan.left) == 1
    assert "there is another recording of cam1 for its place" in plan.notes[0]


def test_what_cannot_be_imported(tmp_path: Path):
    with pytest.raises(InputError, match="there is no such folder"):
        plan_import(tmp_path / "none")
    with pytest.raises(InputError, match="there are no videos here"):
        plan_import(tmp_path)
    with pytest.raises(InputError, match="there is no layout 'vicon'"):
        plan_import(tmp_path, "vicon")
    with pytest.raises(InputError, match="is not laid out as opencap does it"):
        plan_import(tmp_path, "opencap")
