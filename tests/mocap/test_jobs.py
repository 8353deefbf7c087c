"""What a user names becomes takes with a calibration and folders for the results, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from mocap.core.errors import CalibrationError, InputError, VideoError
from mocap.jobs import find_batch_jobs, find_jobs

CAMERAS = ("cam1", "cam2", "cam10")


def write_session(root: Path, *takes: str, with_rig: bool = True) -> Path:
    """Nothing is decoded here: the videos are names."""
    for take in takes:
        write_videos(root / "takes" / take / "video")
    (root / "calibration").mkdir(parents=True)
    if with_rig:
        (root / "calibration" / "rig.toml").touch()
    return root


def write_videos(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for camera in CAMERAS:
        (folder / f"{camera}.mp4").touch()
    return folder


def pairs(folder: Path) -> list[str]:
    return [f"{camera}={folder / camera}.mp4" for camera in CAMERAS]


def test_a_session_is_all_its_takes_each_with_folders_of_its_own(tmp_path):
    root = write_session(tmp_path / "monday", "walk", "jump")
    for named in (root, root / "session.toml"):
        (root / "session.toml").touch()
        jobs = find_jobs([str(named)])
        assert [job.label for job in jobs] == ["monday/jump", "monday/walk"]
        assert [job.folders.export for job in jobs] == [root / "takes" / name / "export" for name in ("jump", "walk")]
        assert {job.rig_path for job in jobs} == {root / "calibration" / "rig.toml"}


@pytest.mark.parametrize("below", ["", "video"])
def test_one_take_by_its_folder_or_the_folder_of_its_videos(tmp_path, below):
    root = write_session(tmp_path / "monday", "walk", "jump")
    (job,) = find_jobs([str(root / "takes" / "walk" / below)])
    assert job.label == "monday/walk"
    assert tuple(job.take.videos) == CAMERAS
    assert job.folders.derived == root / "takes" / "walk" / "derived"


def test_loose_videos_need_a_folder_and_a_calibration(tmp_path):
    videos = write_videos(tmp_path / "clips")
    (job,) = find_jobs(pairs(videos), rig=tmp_path / "Calib.qca.txt", output=tmp_path / "out")
    assert (job.label, job.rig_path) == ("out", tmp_path / "Calib.qca.txt")
    assert dict(job.take.videos) == {camera: videos / f"{camera}.mp4" for camera in CAMERAS}
    assert (job.folders.derived, job.folders.export) == (tmp_path / "out" / "derived", tmp_path / "out" / "export")
    with pytest.raises(InputError, match=r"^loose videos need a folder for the results. Add -o FOLDER.$"):
        find_jobs(pairs(videos), rig=tmp_path / "rig.toml")
    with pytest.raises(CalibrationError, match=r"out: there is no calibration for this take. .* name a .* with --rig"):
        find_jobs(pairs(videos), output=tmp_path / "out")


def test_a_folder_of_videos_is_a_take(tmp_path):
    videos = write_videos(tmp_path / "clips")
    (beside,) = find_jobs([str(videos)], rig=tmp_path / "rig.toml")
    assert (beside.take.name, beside.folders.export) == ("clips", videos / "export")
    (elsewhere,) = find_jobs([str(videos)], rig=tmp_path / "rig.toml", output=tmp_path / "out")
    assert (elsewhere.take.name, elsewhere.folders.export) == ("clips", tmp_path / "out" / "export")


def test_an_equals_sign_in_the_name_of_a_folder_is_no_camera(tmp_path):
    videos = write_videos(tmp_path / "fps=60")
    (job,) = find_jobs([str(videos)], rig=tmp_path / "rig.toml")
    assert job.take.name == "fps=60"


def test_a_camera_given_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cam1=b.mp4: camera 'cam1' is given twice. Give every camera one video."):
        find_jobs(["cam1=a.mp4", "cam1=b.mp4"], output=tmp_path)


def test_results_of_several_takes_get_a_folder_each(tmp_path):
    root, out = write_session(tmp_path / "monday", "walk", "jump"), tmp_path / "out"
    assert [job.folders.export for job in find_jobs([str(root)], output=out)] == [
        out / "jump" / "export",
        out / "walk" / "export",
    ]


def test_takes_of_the_same_name_do_not_overwrite_each_other(tmp_path):
    sessions = [str(write_session(tmp_path / name, "walk")) for name in ("monday", "tuesday")]
    jobs = find_jobs(sessions, output=tmp_path / "out")
    assert [job.folders.derived.relative_to(tmp_path / "out").as_posix() for job in jobs] == [
        "monday/walk/derived",
        "tuesday/walk/derived",
    ]
    alike = [str(write_session(tmp_path / week / "monday", "walk")) for week in ("1", "2")]
    with pytest.raises(
        InputError, match=r"out: several of these takes would write into one folder. .* each with an -o"
    ):
        find_jobs(alike, output=tmp_path / "out")


def test_a_take_named_twice_is_processed_once(tmp_path, monkeypatch):
    root = write_session(tmp_path / "monday", "walk", "jump")
    monkeypatch.chdir(tmp_path)
    named = [str(root / "takes" / "walk"), "monday", "monday/takes/walk/video"]
    assert [job.take.name for job in find_jobs(named)] == ["walk", "jump"]
    jobs = find_batch_jobs([Path(name) for name in named[:2]], refused=fail)
    assert [job.take.name for job in jobs] == ["walk", "jump"]


def test_folders_of_other_videos_of_the_same_names_are_other_takes(tmp_path):
    folders = [write_videos(tmp_path / name) for name in ("left", "right")]
    jobs = find_jobs([str(folder) for folder in folders], rig=tmp_path / "rig.toml", output=tmp_path / "out")
    assert [job.folders.export.parent.name for job in jobs] == ["left", "right"]


def fail(place: str, error: InputError) -> None:
    raise AssertionError(f"{place} was refused: {error}")


def test_a_batch_finds_sessions_and_takes_below_a_folder(tmp_path):
    for day, takes in (("monday", ("walk", "jump")), ("tuesday", ("sit",))):
        write_session(tmp_path / "week" / day, *takes)
    (tmp_path / "week" / "notes.txt").touch()
    jobs = find_batch_jobs([tmp_path / "week"], refused=fail)
    assert [job.label for job in jobs] == ["monday/jump", "monday/walk", "tuesday/sit"]
    jobs = find_batch_jobs([tmp_path / "week" / "monday" / "takes"], refused=fail)
    assert [job.label for job in jobs] == ["monday/jump", "monday/walk"]


def test_a_batch_goes_on_without_what_it_cannot_use(tmp_path):
    week = tmp_path / "week"
    write_session(week / "good", "walk")
    write_session(week / "uncalibrated", "walk", with_rig=False)
    write_session(week / "without_takes")
    (week / "without_takes" / "takes").mkdir()
    write_session(week / "one_camera", "walk", "jump")
    for camera in CAMERAS[1:]:
        (week / "one_camera" / "takes" / "jump" / "video" / f"{camera}.mp4").unlink()
    broken = write_session(week / "broken", "walk")
    (broken / "session.toml").write_text("[[camera]\n")
    refused: dict[str, InputError] = {}
    jobs = find_batch_jobs([week, tmp_path / "typo"], refused=refused.__setitem__)
    assert [job.label for job in jobs] == ["good/walk", "one_camera/walk"]
    told = {Path(place).relative_to(tmp_path).as_posix(): error for place, error in refused.items()}
    assert set(told) == {
        "week/uncalibrated/takes/walk",
        "week/without_takes",
        "week/one_camera/takes/jump",
        "week/broken",
        "typo",
    }
    assert "there is no calibration" in str(told["week/uncalibrated/takes/walk"])
    assert "the session has no takes" in str(told["week/without_takes"])
    assert isinstance(told["week/one_camera/takes/jump"], VideoError)
    assert "only camera cam1 is here" in str(told["week/one_camera/takes/jump"])
    assert "not valid TOML" in str(told["week/broken"])
    assert "there is no such folder" in str(told["typo"])
