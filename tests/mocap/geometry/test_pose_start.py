"""The closed-form first pose: near the truth where keypoints show it, at rest where they don't."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from body_worlds import angle_index, moving_body
from mocap.geometry.pose_start import start_pose
from mocap.geometry.rotations import quat_conjugate, quat_multiply, quat_to_rotvec


def rest_angles(body) -> torch.Tensor:
    return torch.from_numpy(body.markers.priors.rest[body.model.joint, body.model.axis])


def start(body, targets=None, confidence=None):
    targets = body.placement.markers if targets is None else targets
    confidence = torch.ones(targets.shape[:2], dtype=torch.float64) if confidence is None else confidence
    return start_pose(body.model, body.markers, rest_angles(body), targets, confidence)


def without(body, *parts: str) -> torch.Tensor:
    seen = torch.ones(len(body.pose), len(body.markers), dtype=torch.float64)
    seen[:, [any(part in name for part in parts) for name in body.markers.keypoints]] = 0
    return seen


def test_torso_and_limbs_are_found_exactly():
    body = moving_body(40, reach=0.6)
    pose = start(body)
    np.testing.assert_allclose(pose.translation, body.pose.translation, atol=1e-9)
    turned = quat_to_rotvec(quat_multiply(quat_conjugate(pose.root), body.pose.root)).norm(dim=-1)
    assert turned.max() < 1e-9
    for joint, axis in (
        ("LeftArm", "y"),
        ("LeftArm", "z"),
        ("LeftForeArm", "z"),
        ("RightUpLeg", "x"),
        ("RightLeg", "x"),
    ):
        d = angle_index(body, joint, axis)
        truth = body.pose.angles[:, d]
        truth = truth.clamp(min=0) if joint == "RightLeg" else truth  # a hinge is taken to bend its usual way
        inside = 0.05 * (body.model.upper[d] - body.model.lower[d])
        close = pose.angles[:, d] - truth.clamp(body.model.lower[d] + inside, body.model.upper[d] - inside)
        # a knee bent the wrong way by up to 4 degrees starts as one bent by that the right way
        assert close.abs().max() < (0.08 if joint == "RightLeg" else 1e-6), joint


def test_a_bent_elbow_shows_how_the_upper_arm_is_turned():
    body = moving_body(60, reach=0.6)
    elbow, twist = angle_index(body, "LeftForeArm", "z"), angle_index(body, "LeftArm", "x")
    bent = body.pose.angles[:, elbow] < -0.3
    assert bent.sum() > 10
    np.testing.assert_allclose(start(body).angles[bent, twist], body.pose.angles[bent, twist], atol=1e-6)


def test_joints_that_nothing_shows_are_at_rest():
    body = moving_body(10)
    pose = start(body, confidence=without(body, "knee", "ankle", "heel", "toe"))
    for joint in ("LeftUpLeg", "RightLeg", "LeftFoot"):
        d = angle_index(body, joint, "x")
        np.testing.assert_allclose(pose.angles[:, d], rest_angles(body)[d], atol=1e-12)


def test_shoulders_alone_give_an_upright_body_under_them():
    body = moving_body(10)
    pose = start(body, confidence=without(body, "hip", "knee", "ankle", "heel", "toe"))
    up = quat_to_rotvec(pose.root)
    assert up[:, :2].abs().max() < 1e-9  # turned about the vertical only
    np.testing.assert_allclose(
        pose.translation, body.pose.translation, atol=0.1
    )  # the truth leans by 0.1 rad over 0.5 m


def test_nothing_of_the_torso_leaves_the_body_among_its_points():
    body = moving_body(10)
    pose = start(body, confidence=without(body, "hip", "shoulder"))
    assert (pose.translation - body.placement.markers.mean(1)).abs().max() < 0.5


def test_gaps_are_bridged_and_single_spikes_ignored():
    body = moving_body(40, reach=0.3)
    targets, seen = body.placement.markers.clone(), torch.ones(40, len(body.markers), dtype=torch.float64)
    hip = body.markers.keypoints.index("left_hip")
    targets[20, hip] += 1.0
    targets[30:33] = 1e6
    seen[30:33] = 0
    pose = start(body, targets, seen)
    # linear interpolation over 4 frames of a curve of |x''| < 5 m/s^2 at 30 Hz: 5 (4/30)^2 / 8 = 11 mm
    np.testing.assert_allclose(pose.translation, body.pose.translation, atol=0.012)


@pytest.mark.parametrize("n_frames", [1, 2, 3])
def test_short_takes(n_frames):
    body = moving_body(n_frames)
    np.testing.assert_allclose(start(body).translation, body.pose.translation, atol=1e-9)
