"""What the trajectory solve makes of a processed take: points in space alone, as before, and what every view shows.

    mocap process sample_sessions/one_person/takes/walk -o OUT
    python tools/measure_solve.py OUT/derived --rig sample_sessions/one_person/calibration/rig.toml \
        --truth sample_sessions/one_person/takes/walk/truth.npz

With --truth: mean distance of all 22 joints and of the twelve limb joints (mm), of local and world rotations (degrees),
and jitter (mean jerk, m/s³; the truth has its own), first with all cameras, then with four of them and less and less to
go by. Without: reprojection of the body's keypoints on the solved skeleton in all views (px), and jitter.
The first row of each three is the solve without views, offsets and habits; the second with them; the third after the
feet have been put where they stand, which is what the pipeline delivers (its reprojection is not computed).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from calibration.camera import Rig
from calibration.formats import read_calibration
from calibration.transforms import RigidTransform
from mocap.core.keypoints import Keypoints2D
from mocap.core.markers import load_markers
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.core.truth import TakeTruth
from mocap.evaluation.angle_metrics import rotation_report
from mocap.evaluation.evaluate_motions import AS_KEYPOINTS
from mocap.evaluation.evaluate_truth import TrueBodies
from mocap.evaluation.motion_metrics import jitter_m_s3
from mocap.geometry.marker_views import SeenInViews, views_of
from mocap.geometry.pose_model import Pose, angles_from_rotations, place, pose_model
from mocap.io.artefacts import load_keypoints2d
from mocap.io.truth_file import load_truth
from mocap.stages.feet import FeetConfig, settle_feet, standing_points
from mocap.stages.smooth import SmoothConfig, smooth
from mocap.stages.solve import PersonSolveReport, SolveConfig, solve
from mocap.stages.triangulate import TriangulateConfig, triangulate
from mocap.synthetic.gait import joint_poses

BEFORE = SolveConfig(evidence="points", detector_habits=False)


@dataclass(frozen=True, eq=False)
class Found:
    """A motion, and the solve's own report of it."""

    motion: Motion
    report: PersonSolveReport


def main() -> None:
    """Solve and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("derived", type=Path, help="folder with associate.h5 of one person")
    parser.add_argument("--rig", type=Path, required=True)
    parser.add_argument("--truth", type=Path)
    options = parser.parse_args()
    seen = load_keypoints2d(options.derived / "associate.h5")
    rig = read_calibration(options.rig).subset(seen.cameras)
    truth = None if options.truth is None else load_truth(options.truth)
    for name, views, cameras_of_it in cases(seen, rig, few=truth is not None):
        if truth is not None:
            px = true_reprojection_px(views, cameras_of_it, truth)
            print(f"{name:34s} truth   reprojection of the true joints, less the detector's habits: {px:.2f} px")
        print(f"{name:34s} before  {figures(solved(views, cameras_of_it, BEFORE), truth)}", flush=True)
        found = solved(views, cameras_of_it, SolveConfig())
        print(f"{name:34s} after   {figures(found, truth)}", flush=True)
        settled = replace(found, motion=settle_feet((found.motion,), FeetConfig())[0][0])
        print(f"{name:34s} feet    {figures(settled, truth, of_solve=False)}", flush=True)


def cases(seen: Keypoints2D, rig: Rig, *, few: bool) -> Iterator[tuple[str, Keypoints2D, Rig]]:
    """The take as it is, then with four cameras and with faults."""
    yield f"{len(seen.cameras)} cameras", seen, rig
    if not few:
        return
    rng = np.random.default_rng(0)
    four = cameras(seen, 4)
    shape, half = four.confidence.shape, four.n_frames // 2
    yield "4 cameras", four, rig
    lost = np.broadcast_to((rng.random(shape[:3]) < 0.3)[..., None], shape)
    yield "4, 30 % of detections removed", without(four, lost), rig
    yield "4, 30 % of keypoints removed", without(four, rng.random(shape) < 0.3), rig
    gone = np.zeros(shape, dtype=bool)
    gone[half:, :, 1] = True
    yield "4, one lost half-way", without(four, gone), rig
    yield "4, 5 % of views mirrored", mirrored(four, rng.random(shape[:3]) < 0.05), rig
    for degrees in (1.0, 2.0):
        yield f"4, one knocked by {degrees:g} degrees", four, knocked(rig, four.cameras[1], degrees)


def knocked(rig: Rig, name: str, degrees: float) -> Rig:
    """One camera turned sideways since the calibration."""
    turn = Rotation.from_rotvec([0.0, np.deg2rad(degrees), 0.0]).as_matrix()
    pose = rig[name].cam_from_world
    moved = replace(rig[name], cam_from_world=RigidTransform(turn @ pose.R, turn @ pose.t))
    return Rig(tuple(moved if camera.name == name else camera for camera in rig))


def cameras(seen: Keypoints2D, count: int) -> Keypoints2D:
    """The first so many."""
    parts = seen.xy[:, :, :count], seen.confidence[:, :, :count]
    return Keypoints2D(seen.cameras[:count], seen.keypoint_set, *parts, seen.fps)


def without(seen: Keypoints2D, lost: np.ndarray) -> Keypoints2D:
    """Reports where `lost` (T, P, C, J) are missing."""
    xy, confidence = np.where(lost[..., None], np.nan, seen.xy), np.where(lost, 0.0, seen.confidence)
    return Keypoints2D(seen.cameras, seen.keypoint_set, xy, confidence, seen.fps)


def mirrored(seen: Keypoints2D, which: np.ndarray) -> Keypoints2D:
    """Left and right exchanged in some views (T, P, C)."""
    swap = seen.keypoint_set.mirror_permutation
    xy = np.where(which[..., None, None], seen.xy[..., swap, :], seen.xy)
    confidence = np.where(which[..., None], seen.confidence[..., swap], seen.confidence)
    return Keypoints2D(seen.cameras, seen.keypoint_set, xy, confidence, seen.fps)


def solved(seen: Keypoints2D, rig: Rig, config: SolveConfig) -> Found:
    """As the pipeline does it."""
    points, _ = smooth(triangulate(seen, rig, TriangulateConfig())[0], SmoothConfig())
    standing = None if config == BEFORE else partial(standing_points, config=FeetConfig())
    motions, report = solve(points, load_skeleton(), config, SeenInViews(seen, rig), standing=standing)
    return Found(motions[0], report.people[0])


def true_motion(truth: TakeTruth, n_frames: int, fps: float) -> Motion:
    """The first body at the times of the first camera's frames."""
    times = truth.view(truth.rig.names[0]).time_s[:n_frames]
    return TrueBodies(truth, ()).at(times, fps=fps).motions[0]


def true_reprojection_px(seen: Keypoints2D, rig: Rig, truth: TakeTruth) -> float:
    """What a perfect solution would have, as the solve reports it: median over the keypoints that name a joint."""
    true = true_motion(truth, seen.n_frames, seen.fps)
    markers = load_markers("humanoid", true.skeleton, seen.keypoint_set.name).select(seen.keypoint_set.names)
    model = pose_model(true.skeleton, markers)
    rotations, translation = (torch.tensor(a) for a in (true.local_rotations, true.root_translation))
    placement = place(model, Pose(translation, rotations[:, 0], angles_from_rotations(model, rotations)))
    views = views_of(SeenInViews(seen, rig), markers, 0, noise=1.0, share=1.0).placed(model, placement)
    return float(views.residuals_px(placement.markers)[:, torch.from_numpy(markers.means_joint)].nanmedian())


def figures(found: Found, truth: TakeTruth | None, *, of_solve: bool = True) -> str:
    """One row; what the solve says of itself only where the motion is the solve's."""
    motion = found.motion
    limbs = [motion.skeleton.index(name) for name in AS_KEYPOINTS if name in motion.skeleton.joint_names]
    _, joints = joint_poses(motion)
    jitter = f"jitter {jitter_m_s3(joints, motion.fps).mean():.0f}"
    px = f", reprojection {found.report.median_reprojection_px:.2f} px" if of_solve else ""
    if truth is None:
        return jitter + px
    true = true_motion(truth, motion.n_frames, motion.fps)
    error = 1000 * np.linalg.norm(joints - joint_poses(true)[1], axis=-1)
    turns = rotation_report(motion, true)
    row = f"joints {error.mean():5.2f} mm, limbs {error[:, limbs].mean():5.2f} mm, local {turns.local_deg.mean:.2f}°, "
    row += f"world {turns.world_deg.mean:.2f}°, {jitter}{px}"
    if motion.joint_sd_m is None or not of_solve:
        return row
    ratio = np.sqrt(np.square(error / 1000 / motion.joint_sd_m).mean())
    return f"{row}, error over its expectation {ratio:.2f}"


if __name__ == "__main__":
    main()
