"""Bodies fitted to what is known of them: shapes and poses come back, from points and from views, floor and all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from camera_worlds import mixed_rig
from mocap.core.errors import ConfigError, InputError, NoPersonError
from mocap.core.keypoints import Keypoints2D, Keypoints3D, load_keypoint_set
from mocap.core.markers import load_markers
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.geometry.marker_views import SeenInViews
from mocap.geometry.pose_solver import Observations
from mocap.geometry.projection import camera_tensors, project
from mocap.io.world_joints import joint_worlds
from mocap.models.body_family import body_markers, rest_joints
from mocap.models.body_feet import STILL_M_S, standing_soles
from mocap.models.body_skin import joint_transforms
from mocap.models.smpl_body import SmplBodies
from mocap.stages.fit_body import FitBodyConfig, body_family, fit_body
from motion_worlds import marching_person
from smpl_worlds import official_layout, tube_person

SET = load_keypoint_set("blazepose33")
TRUE = np.array([0.9, -0.6, 0.5])
CONFIG = FitBodyConfig(model="smpl", habits=False, floor=False, lasting=0.02, keyframes=10)
N_FRAMES = 30


def person(bodies: SmplBodies, shape: np.ndarray = TRUE) -> Motion:
    """Marching, as `marching_person` does, on the body's own bones, near the middle of the rig."""
    march, skeleton = marching_person(90), bodies.skeleton(shape)
    rows = slice(20, 20 + N_FRAMES)
    root = march.root_translation[rows] - march.root_translation[rows].mean(0) * [1, 1, 0]
    root = root + [0, 0, skeleton.rest_offsets[0, 2] - march.skeleton.rest_offsets[0, 2]]
    return Motion(skeleton, root, march.local_rotations[rows], march.fps)


def keypoints(bodies: SmplBodies, motion: Motion, shape: np.ndarray = TRUE) -> Keypoints3D:
    """Every keypoint that the body has, on the joint that its marker moves with."""
    skeleton = motion.skeleton
    markers = body_markers(load_markers("humanoid", skeleton), bodies.rest(shape), skeleton.parents)
    rest = rest_joints(skeleton.rest_offsets, skeleton.parents)[markers.at] + markers.offsets
    moves = joint_transforms(motion)[:, markers.frame]
    xyz = np.full((motion.n_frames, 1, len(SET), 3), np.nan)
    names = [name for name in markers.keypoints if name in SET.names]
    rows = [markers.keypoints.index(name) for name in names]
    places = np.einsum("tmab,mb->tma", moves[..., :3], rest) + moves[..., 3]
    xyz[:, 0, SET.indices(names)] = places[:, rows]
    there = np.isfinite(xyz[..., 0])
    return Keypoints3D(SET, xyz, there.astype(float), np.where(there, 0.5, np.nan), np.where(there, 4, 0), motion.fps)


def seen(points: Keypoints3D, noise_px: float = 0.0) -> SeenInViews:
    rig = mixed_rig()
    px = project(camera_tensors(rig), torch.from_numpy(points.xyz.copy())).numpy()
    px = np.moveaxis(px, 3, 2)
    px = px + noise_px * np.random.default_rng(0).standard_normal(px.shape)
    confidence = np.isfinite(px).all(-1).astype(float)
    px = np.where(confidence[..., None] > 0, px, np.nan)
    return SeenInViews(Keypoints2D(rig.names, SET, px, confidence, points.fps), rig)


def joint_error_mm(fitted: Motion, true: Motion) -> np.ndarray:
    return 1000 * np.linalg.norm(joint_worlds(fitted)[1] - joint_worlds(true)[1], axis=-1)


def test_a_body_of_smpl_layout_recovers_its_own_parameters():
    """Exact points and pixels: what is left is the pull to the usual shape and pose.

    A tenth of the spread among people is 7 mm of this person's stature, or 4 mm of its legs.
    """
    bodies = SmplBodies(tube_person(), "neutral", len(TRUE))
    motion = person(bodies)
    points = keypoints(bodies, motion)
    (body,), report = fit_body(points, bodies, CONFIG, seen=seen(points))
    np.testing.assert_allclose(body.shape, TRUE, atol=0.12)
    assert joint_error_mm(body.motion, motion).mean() < 6
    assert report.people[0].reprojection_px is not None
    assert report.people[0].reprojection_px < 1
    assert abs(report.people[0].height_m - bodies.mesh(TRUE).height_m) < 0.01
    assert body.motion.n_frames == N_FRAMES


def test_points_alone_do_and_frames_without_keypoints_are_told():
    bodies = SmplBodies(tube_person(), "neutral", 2)
    shape = TRUE[:2]
    motion = person(bodies, shape)
    points = keypoints(bodies, motion, shape)
    confidence, xyz = points.confidence.copy(), points.xyz.copy()
    confidence[12:16], xyz[12:16] = 0, np.nan
    gone = np.isnan(xyz[..., 0])
    points = Keypoints3D(SET, xyz, confidence, np.where(gone, np.nan, 0.5), np.where(gone, 0, 4), points.fps)
    (body,), report = fit_body(points, bodies, CONFIG)
    assert report.people[0].frames_not_observed == 4
    assert "4 of 30 frames" in report.sentences[0]
    assert report.people[0].reprojection_px is None
    error = joint_error_mm(body.motion, motion)
    assert error[:12].mean() < 5
    assert error[12:16].max() < 150


def test_feet_that_stand_hold_soles_and_moving_ones_do_not():
    markers = load_markers("humanoid", load_skeleton()).select(("left_heel", "left_big_toe", "right_heel"))
    time = np.arange(60) / 60
    track = np.zeros((60, len(markers), 3))
    track[..., 2] = 0.03
    walking = markers.keypoints.index("right_heel")
    track[:, walking, 1] = 2 * STILL_M_S * time
    noise = torch.from_numpy(markers.noise.copy())
    points = Observations(torch.from_numpy(track), torch.ones(60, len(markers), dtype=torch.float64), noise)
    standing = standing_soles(points, markers, 60.0).precision
    assert (standing[5:-5, :2] > 0).all()  # the left heel and toe
    assert not standing[:, 2:].any()  # the right heel moves, and nothing is known of the right toe
    far = replace(points, targets=points.targets + torch.tensor([0.0, 0.0, 0.4], dtype=torch.float64))
    assert not standing_soles(far, markers, 60.0).precision.any()  # the floor is somewhere else


def test_refuses_what_cannot_be_fitted():
    bodies = SmplBodies(tube_person(), "neutral", 2)
    points = keypoints(bodies, person(bodies, TRUE[:2]), TRUE[:2])
    nobody = Keypoints3D(
        SET,
        np.full_like(points.xyz, np.nan),
        np.zeros_like(points.confidence),
        np.full_like(points.reprojection_px, np.nan),
        np.zeros_like(points.n_views),
        points.fps,
    )
    with pytest.raises(NoPersonError, match="no frame of 30"):
        fit_body(nobody, bodies, CONFIG)
    known = seen(points)
    short = replace(known.points, xy=known.points.xy[:5], confidence=known.points.confidence[:5])
    with pytest.raises(InputError, match="not of the frames"):
        fit_body(points, bodies, CONFIG, seen=replace(known, points=short))


def test_models_of_the_family_need_their_own_file(tmp_path):
    with pytest.raises(ConfigError, match="needs its file"):
        body_family(FitBodyConfig(model="smplx"))
    np.savez(tmp_path / "model.npz", **official_layout(tube_person("smplh")))
    with pytest.raises(ConfigError, match="holds smplh, not smpl"):
        body_family(FitBodyConfig(model="smpl", model_file=tmp_path / "model.npz"))
    assert body_family(FitBodyConfig(model="smplh", model_file=tmp_path / "model.npz")).model == "smplh"
