"""The pose model: the same place as plain forward kinematics, derivatives as by finite differences, hard limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from body_worlds import angle_index, moving_body
from mocap.geometry.kinematics import forward_kinematics
from mocap.geometry.pose_model import (
    Pose,
    angles_from_rotations,
    local_rotations,
    marker_jacobian,
    place,
    rest_pose,
)
from mocap.geometry.rotations import quat_rotate


def test_places_joints_and_markers_as_forward_kinematics_does():
    body = moving_body(7, scales=np.linspace(0.8, 1.3, 11))
    model, placement = body.model, body.placement
    rotations, joints = forward_kinematics(
        local_rotations(model, body.pose), body.pose.translation, model.rest_offsets, model.parents
    )
    torch.testing.assert_close(placement.joints, joints)
    for m, keypoint in enumerate(body.markers.keypoints):
        at, frame = model.marker_at[m], model.marker_frame[m]
        expected = joints[:, at] + quat_rotate(rotations[:, frame], model.marker_offsets[m].expand(7, 3))
        torch.testing.assert_close(placement.markers[:, m], expected, msg=keypoint)


def test_the_jacobian_is_that_of_finite_differences():
    body = moving_body(5, reach=0.9)
    wide = replace(body.model, lower=body.model.lower - 1, upper=body.model.upper + 1)
    jacobian = marker_jacobian(wide, body.placement)
    size = 1e-6
    for n in range(wide.n_steps):
        step = torch.zeros(5, wide.n_steps, dtype=torch.float64)
        step[:, n] = size
        ahead, behind = (place(wide, wide.moved_by(body.pose, s)).markers for s in (step, -step))
        # central differences: third derivatives of order 1 m times size^2 / 6, plus rounding of 1e-16 / size
        np.testing.assert_allclose(jacobian[..., n].transpose(1, 2), (ahead - behind) / (2 * size), atol=1e-8)


def test_angles_come_back_from_rotations():
    body = moving_body(40, reach=0.9, seed=3)
    angles = angles_from_rotations(body.model, local_rotations(body.model, body.pose))
    np.testing.assert_allclose(angles, body.pose.angles, atol=1e-9)


def test_no_step_leaves_the_limits_and_a_hinge_stays_a_hinge():
    body = moving_body(4)
    step = 50 * torch.ones(4, body.model.n_steps, dtype=torch.float64)
    moved = body.model.moved_by(body.pose, step)
    assert (moved.angles == body.model.upper).all()
    np.testing.assert_allclose(moved.root.norm(dim=-1), 1, atol=1e-12)
    knee = local_rotations(body.model, moved)[:, body.skeleton.index("LeftLeg")]
    assert np.rad2deg(2 * np.arccos(float(knee[0, 0]))) < 165  # 160 of the hinge, 20 and 6 aside
    toe = [a for j, a in zip(body.model.joint, body.model.axis, strict=True) if j == body.skeleton.index("LeftToeBase")]
    assert toe == [0]


def test_an_elbow_bends_forward_and_a_knee_backward():
    body = moving_body(1)
    rest = rest_pose(body.model, 1)
    angles = rest.angles.clone()
    angles[0, angle_index(body, "LeftForeArm", "z")] = -np.pi / 2
    angles[0, angle_index(body, "RightForeArm", "z")] = np.pi / 2
    angles[0, angle_index(body, "LeftLeg", "x")] = np.pi / 2
    bent = place(body.model, Pose(rest.translation, rest.root, angles)).joints[0]
    straight = place(body.model, rest).joints[0]
    moved = {name: bent[i] - straight[i] for i, name in enumerate(body.skeleton.joint_names)}
    assert moved["LeftHand"][1] < -0.2  # forward is -Y
    assert moved["RightHand"][1] < -0.2
    assert moved["LeftFoot"][1] > 0.3
