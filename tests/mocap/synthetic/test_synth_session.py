"""A small session through everything: bodies, room, board, cameras with faults, videos and truth."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.boards import CharucoBoard
from calibration.formats import read_calibration
from mocap.core.config import load_config
from mocap.core.errors import ConfigError, InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.core.truth import TakeTruth, Visibility
from mocap.io.session_files import open_session, open_take, open_take_of
from mocap.io.truth_file import load_truth
from mocap.io.video import VideoReader
from mocap.synthetic.synth_config import SynthConfig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("anny", "open3d")), reason="needs the extra synth"
    ),
]

SETTINGS = (
    "seed=5",
    "seconds=0.4",
    "fps=25",
    "take=short",
    "rig={cameras=3, radius_m=2.8, image_size=[320,240], portrait=[1], lens='mixed'}",
    "look={furniture=1, blur_moments=1}",
    "calibration={intrinsics_s=0.4, extrinsics_s=0.6, floor_s=0.2, fps=10}",
    "faults={cam02={starts_late_s=0.1, drift_ppm=100.0, duplicated=0.5},"
    " cam03={moves=[{at_s=0.2, takes_s=0.04, shift_m=[0.1, 0.0, 0.0], turn_deg=[0.0, 4.0, 0.0]}]}}",
    "sound=true",
    "video={crf=12}",
)


def config_of(*settings: str) -> SynthConfig:
    return load_config(SynthConfig, None, [*SETTINGS, *settings])


def make(folder: Path, *settings: str, workers: int = 1) -> Path:
    from mocap.synthetic.session import make_session

    make_session(config_of(*settings), folder, workers=workers)
    return folder


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("synth") / "s")


@pytest.fixture(scope="module")
def truth(session) -> TakeTruth:
    return load_truth(session / "takes" / "short" / "truth.npz")


def frames_of(path: Path) -> np.ndarray:
    with VideoReader(path) as video:
        return np.stack([frame.image for frame in video])


def test_it_opens_like_a_recorded_session(session):
    opened = open_session(session)
    take = open_take_of(opened, "short")
    assert take.cameras == ("cam01", "cam02", "cam03")
    assert CharucoBoard.from_table(dict(opened.board)).squares_x == 5
    rig = read_calibration(session / "calibration" / "rig.toml")
    assert [c.intrinsics.image_size for c in rig] == [(320, 240), (240, 320), (320, 240)]
    for kind in ("intrinsics", "extrinsics", "floor"):
        names = sorted(p.name for p in (session / "calibration" / kind).iterdir())
        assert names == ["cam01.mp4", "cam02.mp4", "cam03.mp4", "truth.npz"]


def test_the_truth_has_every_keypoint_of_every_set(truth):
    for name in ("blazepose33", "coco17", "body25", "halpe136", "coco_wholebody133"):
        points = truth.keypoints_of(load_keypoint_set(name))
        assert np.isfinite(points).all(), name


def test_every_written_frame_has_its_truth(session, truth):
    with (session / "takes" / "short" / "timestamps.csv").open() as file:
        rows = list(csv.DictReader(file))
    for view in truth.views:
        frames = frames_of(session / "takes" / "short" / "video" / f"{view.camera}.mp4")
        assert len(frames) == view.n_frames
        stamps = [float(row["time_s"]) for row in rows if row["camera"] == view.camera]
        np.testing.assert_allclose(stamps, view.stamp_s, atol=5.1e-7)  # written to the microsecond
    late = truth.view("cam02")
    assert late.time_s[0] == pytest.approx(0.1, abs=1e-9)
    assert late.clock_rate == pytest.approx(1.0001)
    own = ~late.repeated
    np.testing.assert_allclose(late.stamp_s[own], late.clock_rate * late.time_s[own] + late.clock_offset_s, atol=1e-9)


def test_only_takes_of_one_clock_say_so(session):
    samples = Path(__file__).resolve().parents[3] / "sample_sessions"
    for take, shared in (("one_person/takes/walk", True), ("phones/takes/clap_and_wave", False)):
        assert bool(open_take(samples / take).clocks) == shared
    assert not open_take(session / "takes" / "short").clocks  # of its cameras one is late and another drifts


def test_repeated_frames_show_the_picture_before(session, truth):
    view = truth.view("cam02")
    frames = frames_of(session / "takes" / "short" / "video" / "cam02.mp4").astype(np.float64)
    change = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    again = view.repeated[1:]
    assert again.any()
    assert not again.all()
    # A repeated picture costs the encoder nothing; a new one has new noise, if nothing else.
    assert change[again].max() < 0.2 * change[~again].min()


def test_a_moved_camera_moves_in_truth_and_picture(session, truth):
    view = truth.view("cam03")
    before, after = view.cam_from_world[0], view.cam_from_world[-1]
    assert np.linalg.norm(np.linalg.inv(before)[:3, 3] - np.linalg.inv(after)[:3, 3]) == pytest.approx(0.1, abs=1e-6)
    turn = np.arccos((np.trace(after[:3, :3] @ before[:3, :3].T) - 1) / 2)
    assert np.rad2deg(turn) == pytest.approx(4.0, abs=1e-4)
    frames = frames_of(session / "takes" / "short" / "video" / "cam03.mp4").astype(np.float64)
    still = np.abs(frames[1] - frames[0]).mean()
    assert np.abs(frames[-1] - frames[0]).mean() > 4 * still


def test_xy_is_the_projection_at_the_time_of_each_frame(truth):
    view, camera = truth.view("cam01"), truth.rig["cam01"]
    frames = np.rint(view.time_s * truth.fps).astype(int)
    np.testing.assert_allclose(view.time_s * truth.fps, frames, atol=1e-9)
    expected = camera.project(truth.keypoints_m[frames])
    seen = np.isfinite(view.xy).all(-1) & np.isfinite(expected).all(-1)
    assert seen.mean() > 0.9
    # The truth keeps float32: 0.24 µm in the world, 3e-5 px in the picture.
    assert np.abs(view.xy - expected)[seen].max() < 1e-3


def test_a_face_is_seen_from_the_front_and_hidden_from_behind(truth):
    nose = truth.columns(["nose"])[0]
    codes, facing = [], []
    for view in truth.views:
        points = truth.keypoints_m[0, 0]
        left, right = (points[truth.columns([f"{side}_shoulder"])[0]] for side in ("left", "right"))
        forward = np.cross(left - right, [0.0, 0.0, 1.0])
        towards = truth.rig[view.camera].center - points[nose]
        facing.append(forward @ towards / np.linalg.norm(forward) / np.linalg.norm(towards))
        codes.append(view.visibility[0, 0, nose])
    for code, cosine in zip(codes, facing, strict=True):
        if cosine > 0.5:
            assert code == Visibility.VISIBLE
        if cosine < -0.5:
            assert code == Visibility.HIDDEN_BY_SELF
    assert max(facing) > 0.5
    assert min(facing) < -0.5


def test_the_board_in_the_pictures_is_where_the_truth_says(session):
    """Corners found by OpenCV against the truth, as far as there are any in pictures of 320 px: within 1 px, which is
    what blurred squares of some 15 px allow."""
    truth = load_truth(session / "calibration" / "intrinsics" / "truth.npz")
    board = CharucoBoard.from_table(truth.board)
    detector = cv2.aruco.CharucoDetector(board.opencv())
    found = 0
    for view in truth.views:
        lens = truth.rig[view.camera].intrinsics
        for image, pose in zip(
            frames_of(session / "calibration" / "intrinsics" / f"{view.camera}.mp4"), view.cam_from_board, strict=True
        ):
            corners, ids, _, _ = detector.detectBoard(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
            if ids is None or len(ids) < 4:
                continue
            points = board.corners[ids.reshape(-1)] @ pose[:3, :3].T + pose[:3, 3]
            error = np.linalg.norm(corners.reshape(-1, 2) - lens.project(points), axis=-1)
            assert np.median(error) < 1.0
            found += len(error)
    assert found > 20


def test_the_same_seed_gives_the_same_session_whatever_the_workers(session, tmp_path):
    again = make(tmp_path / "again", workers=2)
    names = sorted(p.relative_to(session) for p in session.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert [str(name) for name in names if (again / name).read_bytes() != (session / name).read_bytes()] == []


def test_another_seed_gives_another_person_and_rig(session, truth, tmp_path):
    other = load_truth(make(tmp_path / "o", "seed=6", "keypoints_only=true") / "takes" / "short" / "truth.npz")
    assert other.people[0].shape != truth.people[0].shape
    assert np.abs(other.rig.centers - truth.rig.centers).max() > 0.05


@pytest.mark.parametrize("detector", ["clean", "blazepose_measured"])
def test_without_pictures_the_reports_are_there_instead(tmp_path, truth, detector):
    folder = make(tmp_path / "k", "keypoints_only=true", f"detector={detector}")
    take = open_take_of(open_session(folder), "short")
    assert take.cameras == ("cam01", "cam02", "cam03")
    assert not (folder / "takes" / "short" / "video").exists()
    again = load_truth(folder / "takes" / "short" / "truth.npz")
    np.testing.assert_array_equal(again.keypoints_m, truth.keypoints_m)


def test_nothing_is_overwritten_unasked(session, tmp_path):
    from mocap.synthetic.session import make_session

    with pytest.raises(InputError, match="is not empty. Choose a new folder, or replace this session with --overwrite"):
        make_session(config_of(), session)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not empty. Choose a new folder."):
        make_session(config_of(), tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_faults_of_a_camera_that_is_not_there_are_refused(tmp_path):
    from mocap.synthetic.session import make_session

    with pytest.raises(ConfigError, match="there is no camera 'cam09'; there are cam01, cam02, cam03"):
        make_session(config_of("faults={cam09={offset_s=1.0}}"), tmp_path / "x")
