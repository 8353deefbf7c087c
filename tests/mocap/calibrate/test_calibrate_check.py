"""A take against its rig: cameras that moved are found by the person, or the board, in it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration import Camera, Rig, RigidTransform
from calibration.boards import CharucoBoard
from calibration.camera_check import check_rig, resolve_camera
from calibration.camera_check_moves import CheckConfig
from calibration.formats import read_calibration
from calibration.synthetic import Seeing, observe_board, waved_board
from mocap.calibrate.check import (
    QUICK,
    TakeCheckConfig,
    _spans_at,
    board_points,
    check_take,
    person_points,
    spread_runs,
    take_points,
    with_moved,
)
from mocap.core.clock import Clock
from mocap.core.errors import InputError
from mocap.core.keypoints import Detections2D
from mocap.io.artefacts import DETECTION_ARRAYS, load_detections, save_detections
from mocap.io.session_files import open_take
from mocap.io.sync_file import CameraSync, TakeSync, write_sync
from mocap.models.weights import BLAZEPOSE, is_fetched
from mocap.stages.detect import DetectConfig, import_take

SAMPLE = Path(__file__).resolve().parents[3] / "sample_sessions" / "numeric_walk"
TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
FEW = TakeCheckConfig(check=CheckConfig(max_points=900))


def moved(rig: Rig, name: str, shift_m: list[float], degrees: float) -> Rig:
    """The rig with one camera shifted, and turned about its own vertical axis."""

    def put(camera: Camera) -> Camera:
        turn = RigidTransform.from_rotvec(np.array([0.0, np.radians(degrees), 0.0]), np.zeros(3)).R
        R = turn @ camera.cam_from_world.R
        return replace(camera, cam_from_world=RigidTransform(R, -R @ (camera.center + shift_m)))

    return Rig(tuple(put(camera) if camera.name == name else camera for camera in rig))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample session of numbers: four cameras, somebody who walks and reaches."""
    return Path(shutil.copytree(SAMPLE, tmp_path_factory.mktemp("checked") / "session"))


def test_a_rig_that_stands_is_found_to_stand(session):
    check = check_take(session / "takes" / "walk", config=FEW)
    assert check.moved == ()
    assert "no camera has moved" in check.sentences[0]
    assert not (session / "takes" / "walk" / "derived").exists()


@pytest.mark.parametrize(("shift_m", "degrees"), [([0.02, -0.02, 0.01], 1.0), ([0.6, -0.5, 0.3], 40.0)])
def test_a_camera_that_moved_is_put_where_it_stands(session, shift_m, degrees):
    """Far off, too: association leaves that camera out, and it shows whom it sees."""
    true = read_calibration(session / "calibration" / "rig.toml")
    believed = moved(true, "cam02", shift_m, degrees)
    check = check_take(session / "takes" / "walk", believed, FEW)
    assert check.moved == ("cam02",)
    again = with_moved(believed, check)
    # Four deviations of the check's own, which are 20 mm and 0.3°.
    assert np.linalg.norm(again["cam02"].center - true["cam02"].center) < 4 * check["cam02"].shift_std_m < 0.15
    assert again["cam01"] is believed["cam01"]


def test_what_was_compared_can_be_used_to_solve_a_camera(session):
    true = read_calibration(session / "calibration" / "rig.toml")
    believed = moved(true, "cam03", [0.1, 0.0, 0.0], 3.0)
    points = take_points(session / "takes" / "walk", believed, FEW)
    assert (points.by, points.rig.names, dict(points.renamed)) == ("person", true.names, {})
    camera, covariance = resolve_camera(points.rig, "cam03", points.px, points.weight, FEW.check)
    assert np.linalg.norm(camera.center - true["cam03"].center) < 4 * np.sqrt(np.trace(covariance[3:, 3:]))


def test_people_found_before_are_used_again(session):
    take = session / "takes" / "walk"
    points = take_points(take, config=FEW)
    found = _detections_of(points.px, points.weight, points.rig)
    try:
        save_detections(found, take / "derived" / "detect.h5")
        again = take_points(take, config=FEW)
        assert len(load_detections(take / "derived" / "detect.h5")) == len(found)
        assert again.px.shape == points.px.shape
        kept = np.isfinite(again.px).all(-1)
        np.testing.assert_array_equal(again.px[kept], points.px[kept])
    finally:
        shutil.rmtree(take / "derived")


def test_cameras_of_a_take_with_clocks_are_compared_at_common_times(tmp_path):
    """cam02 was started half a second earlier and runs 13 ms beside the others' frames."""
    session = Path(shutil.copytree(SAMPLE, tmp_path / "session"))
    root = session / "takes" / "walk"
    take = open_take(root)
    found, _ = import_take(take, DetectConfig(detector="imported"))
    late = found.cameras.index("cam02")
    shift = round(0.5 * take.fps)
    frame = np.where(found.camera == late, found.frame + shift, found.frame)
    arrays = {name: getattr(found, name) for name in DETECTION_ARRAYS} | {"frame": frame}
    save_detections(replace(found, n_frames=found.n_frames + shift, **arrays), root / "derived" / "detect.h5", key="k")
    config = replace(FEW, by="person")
    apart = check_take(root, config=config)
    assert apart.moved or "cam02" in apart.sentences[0], apart.sentences
    cameras = {name: CameraSync(Clock(shift / take.fps if name == "cam02" else 0.0)) for name in found.cameras}
    write_sync(TakeSync("cam01", "known", cameras), root / "sync.toml")
    assert check_take(root, config=config).moved == ()
    px = take_points(root, config=config).px
    plain = take_points(SAMPLE / "takes" / "walk", config=config).px
    both = np.isfinite(px[:50]) & np.isfinite(plain[:50])
    assert both.mean() > 0.5
    assert px[:50][both] == pytest.approx(plain[:50][both], abs=1e-6)


@pytest.mark.parametrize("most", [24, 48])
def test_runs_of_frames_of_cameras_with_clocks_show_the_same_moments(most):
    times = {"a": np.arange(300) / 30.0, "b": 1.21 + np.arange(600) / 60.0, "c": np.full(0, np.nan)}
    times["b"][100] = np.nan
    spans = {name: _spans_at(times, name, most) for name in times}
    assert spans["c"] == []
    assert len(spans["a"]) == len(spans["b"]) == most // 12
    for run, other in zip(spans["a"], spans["b"], strict=True):
        first, last = times["a"][[run.start, run.stop - 1]]
        assert np.nanmin(times["b"][other]) == pytest.approx(first, abs=2 / 30)
        assert np.nanmax(times["b"][other]) == pytest.approx(last, abs=2 / 30)


def _detections_of(px: np.ndarray, weight: np.ndarray, rig: Rig) -> Detections2D:
    from mocap.core.keypoints import load_keypoint_set

    frame, camera = np.nonzero((weight > 0).any(axis=-1))
    xy = px[frame, camera]
    keypoints = {17: "coco17", 25: "body25", 26: "halpe26", 33: "blazepose33"}[px.shape[2]]
    box = np.concatenate([np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)], axis=-1)
    confidence, count = weight[frame, camera], len(frame)
    return Detections2D(
        rig.names, len(px), load_keypoint_set(keypoints), frame, camera, np.zeros(count, int), xy, confidence, box,
        np.ones(count),
    )  # fmt: skip


def test_a_camera_that_lost_the_subject_shows_the_largest_person(session):
    """Turned by a right angle, none of its rays meets anybody."""
    rig = read_calibration(session / "calibration" / "rig.toml")
    points = take_points(session / "takes" / "walk", rig, FEW)
    found = _detections_of(points.px, points.weight, rig)
    _, weight = person_points(found, moved(rig, "cam01", [0.0, 0.0, 0.0], 90.0), 30.0)
    seen = (points.weight[:, 0] > 0).any(axis=-1)
    assert ((weight[:, 0] > 0).any(axis=-1) == seen).all()


def test_a_board_tells_too():
    rig = read_calibration(SAMPLE / "calibration" / "rig.toml")
    board = CharucoBoard(5, 7, 0.12, 0.09)
    rng = np.random.default_rng(2)
    motion = waved_board(board.corners, n_moments=40, fps=10, rng=rng)
    seen = observe_board(rig, motion, board.corners, Seeing(two_sided=True), rng).of_cameras(rig.names[::-1])
    px, weight = board_points(seen, rig)
    assert px.shape == (len(np.unique(seen.view_moment)), len(rig), board.n_corners, 2)
    first = np.flatnonzero(seen.view == 0)
    row = np.searchsorted(np.unique(seen.view_moment), seen.view_moment[0])
    camera = rig.names.index(seen.cameras[seen.view_camera[0]])
    np.testing.assert_array_equal(px[row, camera, seen.corner[first]], seen.xy[first])
    assert weight.sum() == seen.n_corners
    assert check_rig(rig, px, weight, FEW.check).moved == ()
    check = check_rig(moved(rig, "cam04", [0.01, 0.0, 0.005], 0.3), px, weight, FEW.check)
    assert check.moved == ("cam04",)
    assert np.linalg.norm(check.resolved["cam04"].center - rig["cam04"].center) < 0.005


@pytest.mark.parametrize(
    ("n_frames", "most", "wanted"),
    [
        (48, 48, [range(48)]),
        (49, 48, [range(0, 12), range(12, 24), range(24, 36), range(36, 48)]),
        (1800, 48, [range(219, 231), range(669, 681), range(1119, 1131), range(1569, 1581)]),
        (100, 5, [range(48, 53)]),
    ],
)
def test_a_first_look_is_at_short_runs_spread_over_the_take(n_frames, most, wanted):
    assert spread_runs(n_frames, most) == wanted


@pytest.mark.slow
def test_a_first_look_finds_the_camera_that_moved(tmp_path):
    """In a rendered take that nobody has processed; people are looked for in a quarter of its frames."""
    if not is_fetched(BLAZEPOSE):
        pytest.skip("the networks of BlazePose are not here")
    sample = SAMPLE.parent / "one_person"
    session = shutil.copytree(sample, tmp_path / "session", ignore=shutil.ignore_patterns("derived", "export", "*.npz"))
    true = read_calibration(session / "calibration" / "rig.toml")
    believed = moved(true, "cam03", [0.1, 0.0, 0.05], 3.0)
    points = take_points(session / "takes" / "walk", believed, QUICK)
    assert points.by == "person"
    assert (points.weight > 0).any(axis=(1, 2)).sum() <= QUICK.most_frames
    assert check_rig(true, points.px, points.weight).moved == ()
    assert check_rig(believed, points.px, points.weight).moved == ("cam03",)


def test_what_is_missing_is_said(session, tmp_path):
    with pytest.raises(InputError, match=r"no two cameras see the session's board at a time\. Hold the board"):
        check_take(session / "takes" / "walk", config=replace(FEW, by="board"))
    bare = Path(shutil.copytree(SAMPLE, tmp_path / "bare"))
    shutil.rmtree(bare / "calibration")
    with pytest.raises(InputError, match=r"there is no calibration to check\. Calibrate the session, or give a rig"):
        check_take(bare / "takes" / "walk")
