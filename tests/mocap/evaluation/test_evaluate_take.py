"""Synthetic takes with results that are wrong in known ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.camera import Camera, Rig
from calibration.transforms import RigidTransform, rotvec_to_matrix
from evaluated_takes import FPS, reported, true_take, write_take
from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints3D
from mocap.core.truth import TakeTruth, Visibility
from mocap.evaluation.evaluate_motions import moved_motion
from mocap.evaluation.evaluate_pictures import evaluate_pictures, match_detections
from mocap.evaluation.evaluate_truth import TrueBodies
from mocap.evaluation.rig_metrics import RigAlignment
from mocap.evaluation.take import TakeOptions, evaluate_take
from mocap.io.artefacts import save_keypoints3d, save_motions
from mocap.io.session_files import open_take
from truth_worlds import KEYPOINTS

TRUTH_ROUNDING_MM = 3e-4
"""truth.npz holds points as float32: 2 m are kept to 1.2e-7 m in each coordinate."""


def points_of(truth: TakeTruth, xyz: np.ndarray) -> Keypoints3D:
    known = np.isfinite(xyz).all(-1)
    return Keypoints3D(
        KEYPOINTS, xyz, np.where(known, 0.9, 0.0), np.where(known, 1.0, np.nan), np.where(known, 4, 0), FPS
    )


def evaluate(truth: TakeTruth, root: Path, xyz: np.ndarray, **options: object):
    take = write_take(truth, root)
    save_keypoints3d(points_of(truth, xyz), take / "derived" / "smooth.h5")
    rig = root / "calibration" / "rig.toml"
    return evaluate_take(open_take(take), take / "derived", rig_path=rig, options=TakeOptions.model_validate(options))


def test_a_shift_of_30_mm_is_an_mpjpe_of_30_mm(tmp_path):
    truth = true_take(cameras=2, seconds=0.5)
    report, _ = evaluate(truth, tmp_path, truth.keypoints_m + [0.030, 0.0, 0.0])
    assert report.headline_mm == pytest.approx({"smoothed": 30.0}, abs=TRUTH_ROUNDING_MM)
    limbs = report.points["smoothed"].limbs
    assert limbs.points == 15 * 12
    assert limbs.alignments["root"].errors_mm.max == pytest.approx(0.0, abs=2 * TRUTH_ROUNDING_MM)
    assert report.rig is not None
    assert report.rig.position_mm.max == pytest.approx(0.0, abs=1e-3)
    assert report.notes == ()


def test_truth_is_taken_at_the_times_of_the_reference_camera(tmp_path):
    """Camera 1 starts 100 ms late: its picture 0 shows sample 3, and so does entry 0 of the result."""
    truth = true_take(cameras=2, seconds=1.0)
    views = (replace(truth.views[0], time_s=truth.views[0].time_s + 0.1), truth.views[1])
    late = replace(truth, views=views)
    shown = np.concatenate([truth.keypoints_m[3:], np.repeat(truth.keypoints_m[-1:], 3, axis=0)])
    report, _ = evaluate(late, tmp_path / "right", shown)
    assert report.headline_mm["smoothed"] == pytest.approx(0.0, abs=TRUTH_ROUNDING_MM)
    assert report.points["smoothed"].headline_mm.missing == 0
    wrong, _ = evaluate(late, tmp_path / "wrong", truth.keypoints_m)
    assert (wrong.headline_mm["smoothed"] or 0) > 50


def test_between_samples_points_move_as_the_bodies_do():
    """Every second sample is left out and looked up again: exact at the others, and no worse than straight lines there.

    Of a straight line the middle is off by half the second difference. Two points of a hand keep their distance.
    """
    truth = true_take(cameras=2, seconds=1.0)
    coarse = replace(
        truth,
        fps=FPS / 2,
        keypoints_m=truth.keypoints_m[::2],
        people=tuple(
            replace(
                p,
                contact=p.contact[::2],
                motion=replace(
                    p.motion,
                    fps=FPS / 2,
                    root_translation=p.motion.root_translation[::2],
                    local_rotations=p.motion.local_rotations[::2],
                ),
            )
            for p in truth.people
        ),
    )
    moments = TrueBodies(coarse).at(truth.time_s[:-1], fps=FPS)
    error = np.linalg.norm(moments.keypoints_m - truth.keypoints_m[:-1], axis=-1)
    np.testing.assert_allclose(error[::2][np.isfinite(error[::2])], 0.0, atol=1e-9)
    straight = np.linalg.norm(np.diff(truth.keypoints_m, n=2, axis=0), axis=-1) / 2
    assert np.nanmax(error) < np.nanmax(straight)
    thumb, index = (moments.keypoints_m[..., KEYPOINTS.index(f"left_{finger}"), :] for finger in ("thumb", "index"))
    assert np.ptp(np.linalg.norm(thumb - index, axis=-1)) < 1e-9


def test_an_offset_in_time_is_found(tmp_path):
    truth = true_take(cameras=2, seconds=1.5)
    later = TrueBodies(truth).at(truth.time_s + 0.080, fps=FPS).keypoints_m
    later[-4:] = np.nan
    report, _ = evaluate(truth, tmp_path, later, offset_ms=None)
    assert report.offset is not None
    assert report.offset.offset_ms == pytest.approx(80.0, abs=0.1)
    assert report.headline_mm["smoothed"] == pytest.approx(0.0, abs=0.1)
    assert report.offset.unshifted_mm > 50
    fixed, _ = evaluate(truth, tmp_path / "given", later, offset_ms=80.0)
    assert fixed.headline_mm["smoothed"] == pytest.approx(0.0, abs=0.01)
    assert fixed.offset is None


@pytest.mark.parametrize("align", [RigAlignment.RIGID, RigAlignment.SIMILARITY])
def test_results_in_another_world_are_brought_over_by_the_cameras(tmp_path, align):
    truth = true_take(seconds=0.5)
    scale = 1.0 if align is RigAlignment.RIGID else 1.7
    R, t = rotvec_to_matrix(np.array([0.2, -0.3, 1.0])), np.array([1.0, 2.0, -0.5])
    take = write_take(truth, tmp_path, rig=Rig(tuple(_elsewhere(camera, scale, R, t) for camera in truth.rig)))
    save_keypoints3d(points_of(truth, scale * truth.keypoints_m @ R.T + t), take / "derived" / "smooth.h5")
    motion = truth.people[0].motion
    save_motions([moved_motion(motion, scale, R, t)], take / "derived" / "solve.h5")
    rig = tmp_path / "calibration" / "rig.toml"
    as_it_is, _ = evaluate_take(open_take(take), take / "derived", rig_path=rig)
    assert (as_it_is.headline_mm["smoothed"] or 0) > 500
    assert as_it_is.rig is not None
    assert as_it_is.rig_fitted is not None
    assert (as_it_is.rig.position_mm.mean or 0) > 500
    assert as_it_is.rig_fitted.position_mm.max == pytest.approx(0.0, abs=1e-3)
    moved, evidence = evaluate_take(open_take(take), take / "derived", rig_path=rig, options=TakeOptions(align=align))
    assert moved.headline_mm == pytest.approx({"smoothed": 0.0, "solved": 0.0}, abs=0.01)
    assert moved.rotations["anna"].world_deg.max == pytest.approx(0.0, abs=1e-3)
    assert evidence.rig is not None
    np.testing.assert_allclose(evidence.rig.centers, truth.rig.centers, atol=1e-6)


def test_solved_joints_rotations_and_feet(tmp_path):
    truth = true_take(cameras=2, seconds=1.0)
    take = write_take(truth, tmp_path)
    motion = truth.people[0].motion
    lifted = replace(motion, root_translation=motion.root_translation + [0, 0, 0.025])
    save_motions([lifted], take / "derived" / "solve.h5")
    report, _ = evaluate_take(open_take(take), take / "derived")
    assert report.headline_mm == pytest.approx({"solved": 25.0}, abs=1e-6)
    assert report.rotations["anna"].world_deg.max == pytest.approx(0.0, abs=1e-6)
    solved = report.points["solved"]
    feet, true = solved.feet["anna"], solved.true_feet["anna"]
    assert true.floating_mm.max is not None
    assert feet.speed_mm_s.mean == pytest.approx(true.speed_mm_s.mean)
    assert feet.floating_mm.max == pytest.approx(true.floating_mm.max + 25.0)
    assert "no calibration was found: the rig is not judged" in report.notes


def test_pixels_are_compared_picture_by_picture():
    """3 px to the right in one camera, hidden points 8 px off there, nobody in another."""
    truth = true_take(people=2, cameras=3, seconds=0.5)
    views = list(truth.views)
    hand = KEYPOINTS.index("left_wrist")
    code = views[0].visibility.copy()
    code[:, :, hand] = Visibility.HIDDEN_BY_SELF
    views[0] = replace(views[0], visibility=code)
    truth = replace(truth, views=tuple(views))
    found = reported(truth, 0.0, np.random.default_rng(0))
    found = found.select(found.camera != 1)
    xy = np.array(found.xy)
    xy[found.camera == 0] += [3.0, 0.0]
    xy[found.camera == 0, hand] += [5.0, 0.0]
    figures = evaluate_pictures(match_detections(replace(found, xy=xy), truth))
    first, second, third = (figures[name] for name in truth.rig.names)
    assert first.visible.errors_px.max == pytest.approx(3.0)
    assert first.in_picture.errors_px.max == pytest.approx(8.0)
    assert (first.people, first.missed, first.surplus) == (30, 0, 0)
    assert (second.people, second.missed, second.visible.errors_px.n) == (30, 30, 0)
    assert third.visible.errors_px.max == pytest.approx(0.0)
    assert figures["all"].missed == 30


def test_surplus_people_in_pictures_are_counted():
    truth = true_take(cameras=2, seconds=0.5)
    found = reported(truth, 0.0, np.random.default_rng(0))
    twice = {
        k: np.concatenate([getattr(found, k)] * 2) for k in ("frame", "camera", "track", "confidence", "box", "score")
    }
    ghost = replace(found, xy=np.concatenate([found.xy, found.xy + [400.0, 0.0]]), **twice)
    figures = evaluate_pictures(match_detections(ghost, truth))
    assert (figures["all"].surplus, figures["all"].missed) == (30, 0)
    assert figures["all"].visible.errors_px.max == pytest.approx(0.0)


def test_results_longer_than_the_truth_count_as_far_as_it_goes(tmp_path):
    truth = true_take(cameras=2, seconds=0.5)
    longer = np.concatenate([truth.keypoints_m, truth.keypoints_m[:3]])
    report, _ = evaluate(truth, tmp_path, longer)
    assert report.points["smoothed"].frames == 15
    assert any("results have 18 frames" in note for note in report.notes)


def test_sentences_for_what_is_not_there(tmp_path):
    truth = true_take(cameras=2, seconds=0.5)
    take = write_take(truth, tmp_path)
    with pytest.raises(InputError, match=r"not processed yet.*Run mocap process .*walk first"):
        evaluate_take(open_take(take), take / "derived")
    save_keypoints3d(points_of(truth, truth.keypoints_m), take / "derived" / "smooth.h5")
    with pytest.raises(InputError, match="no protocol 'x'"):
        evaluate_take(open_take(take), take / "derived", options=TakeOptions(protocol="x"))
    with pytest.raises(InputError, match=r"no calibration to align by.*--rig"):
        evaluate_take(open_take(take), take / "derived", options=TakeOptions(align=RigAlignment.RIGID))
    (take / "truth.npz").unlink()
    with pytest.raises(InputError, match=r"has no truth\.npz to compare with.*mocap evaluate points"):
        evaluate_take(open_take(take), take / "derived")


def _elsewhere(camera: Camera, scale: float, R: np.ndarray, t: np.ndarray) -> Camera:
    """The same pixels of points that are moved to scale R x + t."""
    turned = camera.cam_from_world.R @ R.T
    return replace(camera, cam_from_world=RigidTransform(turned, -turned @ (scale * R @ camera.center + t)))
