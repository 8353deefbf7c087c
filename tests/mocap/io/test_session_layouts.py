"""Projects of other programs: real ones where there are some, else built as their sources and documents say."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.io.frame_times import read_frame_times
from mocap.io.layouts import opencap
from mocap.io.session_check import check_session
from mocap.io.session_files import open_session, open_take, open_takes
from mocap.io.session_import import carry_out, plan_import
from video_worlds import write_counter_clip

CAMERAS = tuple(f"cam0{number}" for number in range(1, 5))


def same_cameras(rig: Rig, other: Rig) -> None:
    for a, b in zip(rig, other, strict=True):
        np.testing.assert_allclose(a.projection, b.projection, rtol=1e-9, atol=1e-6)


# --- Pose2Sim ------------------------------------------------------------------------------------------------------


def test_a_project_of_pose2sim(shared_data: Path, tmp_path: Path):
    project = shared_data / "pose2sim/HEAD/Demo_SinglePerson"
    plan = plan_import(project)
    assert (plan.layout, plan.takes) == ("pose2sim", ("Demo_SinglePerson",))
    assert plan.board == {"type": "checkerboard", "squares": [8, 5], "square_mm": 60}
    carry_out(plan, tmp_path / "s", "link")
    session = open_session(tmp_path / "s")
    assert session.camera_names == CAMERAS
    (take,) = open_takes(session)
    assert take.cameras == CAMERAS
    assert session.rig_path is not None
    same_cameras(read_calibration(session.rig_path), read_calibration(project / "calibration/Calib.qca.txt"))
    checked = check_session(tmp_path / "s")
    assert [len(checked.clips["intrinsics"]), *(c.frames for c in checked.clips["intrinsics"])] == [4, 7, 7, 7, 7]
    blocks = [f.what for f in checked.findings if f.level == "blocks"]
    assert blocks == ["camera cam01: the video is 1080x1920 but its calibration is for 1088x1920"], "as the demo is"


def test_an_older_project_with_2d_results(shared_data: Path, tmp_path: Path):
    plan = plan_import(shared_data / "pose2sim/v0.7dev_a948c205/S00_Demo_Session")
    carry_out(plan, tmp_path / "s", "link")
    still, balancing = open_takes(open_session(tmp_path / "s"))
    assert (still.name, list(still.videos)) == ("S00_P00_T00_StaticTrial", list(CAMERAS))
    assert still.detections is not None
    assert (balancing.videos, balancing.detected_cameras, balancing.fps) == ({}, CAMERAS, 60.0)


# --- caliscope -----------------------------------------------------------------------------------------------------


def test_a_project_of_caliscope(shared_data: Path, tmp_path: Path):
    project = shared_data / "caliscope/sessions/charuco_calibration"
    carry_out(plan_import(project), tmp_path / "s")
    session = open_session(tmp_path / "s")
    assert session.camera_names == ("cam_0", "cam_1", "cam_2", "cam_3")
    assert session.board["squares"] == [4, 5]
    assert session.rig_path is not None
    same_cameras(read_calibration(session.rig_path), read_calibration(project / "camera_array.toml"))
    checked = check_session(tmp_path / "s")
    assert [clip.frames for clip in checked.clips["extrinsics"]] == [111] * 4
    assert (tmp_path / "s/calibration/extrinsics/timestamps.csv").is_file()


def test_a_recording_of_caliscope_keeps_its_times(tmp_path: Path):
    project = tmp_path / "project"
    (project / "recordings/walk").mkdir(parents=True)
    rows = ["sync_index,cam_id,frame_index,frame_time"]
    for camera in (0, 1):
        write_counter_clip(project / f"recordings/walk/cam_{camera}.mp4", 5)
        rows += [f"{i},{camera},{i + 7},{50 + i / 30 + camera / 100}" for i in range(5)]
    (project / "recordings/walk/timestamps.csv").write_text("\n".join(rows))
    plan = plan_import(project)
    assert plan.layout == "caliscope"
    carry_out(plan, tmp_path / "s")
    times = read_frame_times(tmp_path / "s/takes/walk/timestamps.csv")
    np.testing.assert_allclose(times.time_s[times.camera == 1], np.arange(5) / 30 + 0.01, atol=2e-6)  # six digits
    np.testing.assert_array_equal(times.frame[times.camera == 1], np.arange(5))
    assert check_session(tmp_path / "s").state.takes[0].sync == "one clock"
    assert open_take(tmp_path / "s/takes/walk").cameras == ("cam_0", "cam_1")


# --- FreeMoCap -----------------------------------------------------------------------------------------------------


CALIBRATION = """
[cam_{n}]
name = "{name}"
size = [96, 64]
matrix = [[80.0, 0.0, 47.5], [0.0, 80.0, 31.5], [0.0, 0.0, 1.0]]
distortions = [0.0, 0.0, 0.0, 0.0, 0.0]
rotation = [0.0, {turn}, 0.0]
translation = [{x}, 0.0, 2500.0]
"""


def freemocap_session(root: Path, *, ground: bool = True) -> Path:
    """As FreeMoCap 1.x leaves it; lengths in mm (the unit of the board's squares)."""
    for recording in ("recording_10_00_00_calibration", "recording_10_05_00_walk"):
        for number in (0, 1):
            clip = root / recording / "synchronized_videos" / f"Camera_00{number}_synchronized.mp4"
            clip.parent.mkdir(parents=True, exist_ok=True)
            write_counter_clip(clip, 5)
    text = "".join(
        CALIBRATION.format(n=n, name=f"Camera_00{n}_synchronized", turn=n * 0.5, x=-400.0 * n) for n in (0, 1)
    )
    text += f"[metadata]\ncharuco_square_size = 58.0\ngroundplane_calibration = {str(ground).lower()}\n"
    place = root / "recording_10_05_00_walk"
    (place / "recording_10_00_00_calibration_camera_calibration.toml").write_text(text)
    return root


def test_recordings_of_freemocap(tmp_path: Path):
    plan = plan_import(freemocap_session(tmp_path / "session_2026"))
    assert plan.layout == "freemocap"
    assert plan.takes == ("recording_10_05_00_walk",)
    assert any("taken to be in millimetres" in note for note in plan.notes)
    carry_out(plan, tmp_path / "s")
    session = open_session(tmp_path / "s")
    assert session.camera_names == ("Camera_000", "Camera_001")
    assert session.rig_path is not None
    rig = read_calibration(session.rig_path)
    assert rig.names == ("Camera_000", "Camera_001")
    np.testing.assert_allclose(rig["Camera_001"].cam_from_world.t, [-0.4, 0.0, 2.5], atol=1e-12)
    assert session.board["square_mm"] == 58.0
    checked = check_session(tmp_path / "s")
    assert set(checked.clips) == {"extrinsics", "takes/recording_10_05_00_walk"}
    assert checked.can_process


def test_one_recording_without_a_floor(tmp_path: Path):
    root = freemocap_session(tmp_path / "session_2026", ground=False) / "recording_10_05_00_walk"
    plan = plan_import(root)
    assert plan.takes == ("recording_10_05_00_walk",)
    assert any("calibration's world is that of its first camera" in note for note in plan.notes)


# --- OpenCap -------------------------------------------------------------------------------------------------------


def parameters(turn: float, up: np.ndarray, x_mm: float) -> dict[str, np.ndarray]:
    """A level camera that looks at a board on the wall; up: of the world in the board's axes."""
    down = -up
    forward = np.array([np.sin(turn), 0.0, np.cos(turn)])
    R = np.stack([np.cross(down, forward), down, forward])
    return {
        "distortion": np.array([[0.1, -0.2, 0.001, 0.002, 0.05]]),
        "intrinsicMat": np.array([[900.0, 0, 360.5], [0, 901.0, 640.5], [0, 0, 1]]),
        "imageSize": np.array([[1280.0], [720.0]]),
        "rotation": R,
        "translation": np.array([[x_mm], [100.0], [3000.0]]),
    }


def opencap_session(root: Path, placement: str = "backWall", up: tuple[float, ...] = (0.0, -1.0, 0.0)) -> Path:
    for number, turn in enumerate((-0.4, 0.4)):
        camera = root / "Videos" / f"Cam{number}"
        for trial in ("calibration", "neutral", "squats"):
            (camera / "InputMedia" / trial).mkdir(parents=True, exist_ok=True)
            write_counter_clip(camera / f"InputMedia/{trial}/{trial}.mov", 4)
        write_counter_clip(camera / "InputMedia/squats/squats_sync.mp4", 3)
        with (camera / opencap.PICKLE).open("wb") as file:
            pickle.dump(parameters(turn, np.array(up), 500.0 * number), file)
    board = "checkerBoard:\n  black2BlackCornersHeight_n: 4\n  placement: {}\n  squareSideLength_mm: 35\n"
    (root / "sessionMetadata.yaml").write_text(board.format(placement))
    return root


def test_a_session_of_opencap(tmp_path: Path):
    plan = plan_import(opencap_session(tmp_path / "OpenCapData_1"))
    assert (plan.layout, plan.cameras, plan.takes) == ("opencap", ("Cam0", "Cam1"), ("neutral", "squats"))
    assert [Path(f.source).name for f in plan.files] == ["neutral.mov"] * 2 + ["squats_sync.mp4"] * 2
    assert any("takes/neutral: its videos are not synchronised" in note for note in plan.notes)
    carry_out(plan, tmp_path / "s")
    rig_path = open_session(tmp_path / "s").rig_path
    assert rig_path is not None
    rig = read_calibration(rig_path)
    assert rig["Cam1"].intrinsics.image_size == (720, 1280)
    np.testing.assert_allclose(rig["Cam1"].cam_from_world.t, [0.5, 0.1, 3.0], atol=1e-12)
    np.testing.assert_allclose(rig["Cam1"].intrinsics.distortion, [0.1, -0.2, 0.001, 0.002, 0.05])


@pytest.mark.parametrize(
    ("placement", "up"),
    [
        ("backWall", (0.0, -1.0, 0.0)),
        ("backWall", (0.0, 1.0, 0.0)),  # the board hangs upside down
        ("backWall_largeCB", (0.0, 1.0, 0.0)),
        ("backWall_walking", (0.0, -1.0, 0.0)),
    ],
)
def test_level_cameras_of_opencap_are_level_in_our_world(tmp_path: Path, placement: str, up: tuple[float, ...]):
    rig = plan_import(opencap_session(tmp_path / "o", placement, up)).rig
    assert rig is not None
    for camera in rig:
        np.testing.assert_allclose(
            camera.cam_from_world.R @ [0, 0, 1], [0, -1, 0], atol=1e-12
        )  # up is up in the picture
        assert np.linalg.det(camera.cam_from_world.R) == pytest.approx(1.0)


class _Trap:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.marker,))


def test_a_trapped_pickle_does_nothing(tmp_path: Path):
    root = opencap_session(tmp_path / "o")
    trap = parameters(0.0, np.array([0.0, -1.0, 0.0]), 0.0) | {"rotation": _Trap(tmp_path / "sprung")}
    (root / f"Videos/Cam0/{opencap.PICKLE}").write_bytes(pickle.dumps(trap))
    plan = plan_import(root)
    assert plan.rig is None
    assert any("so it is not opened: it could run code" in note for note in plan.notes)
    assert plan.takes == ("neutral", "squats"), "the recordings are still good"
    assert not (tmp_path / "sprung").exists()
    assert open_session(root.parent / "s").takes if carry_out(plan, tmp_path / "s") else None


@pytest.mark.parametrize("value", [b"", b"no pickle", pickle.dumps({"rotation": 1}), pickle.dumps([1, 2])])
def test_broken_parameters(tmp_path: Path, value: bytes):
    root = opencap_session(tmp_path / "o")
    (root / f"Videos/Cam1/{opencap.PICKLE}").write_bytes(value)
    plan = plan_import(root)
    assert plan.rig is None
    assert "the calibration is left out" in plan.notes[-1]
