"""Figures of a solved pose sequence against ones worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from body_worlds import angle_index, moving_body
from mocap.geometry.pose_model import Pose, place, rest_pose
from mocap.geometry.pose_quality import (
    angular_acceleration,
    jitter,
    joint_distances,
    limit_hits,
    marker_distances,
    shown_joints,
)
from mocap.geometry.pose_solver import Observations


def observations(body, confidence=None) -> Observations:
    markers = body.placement.markers
    ones = torch.ones(markers.shape[:2], dtype=torch.float64)
    return Observations(markers + 0.003, ones if confidence is None else confidence, ones[0])


def test_distances_are_those_of_seen_keypoints():
    body = moving_body(4)
    confidence = torch.ones(4, len(body.markers), dtype=torch.float64)
    confidence[2, 5] = 0
    distance = marker_distances(body.placement, observations(body, confidence))
    assert torch.isnan(distance[2, 5])
    np.testing.assert_allclose(distance[torch.isfinite(distance)], 0.003 * 3**0.5, atol=1e-12)
    nose = body.markers.keypoints.index("nose")
    to_joint = joint_distances(body.model, body.placement, observations(body))[:, nose]
    np.testing.assert_allclose(to_joint, np.hypot(0.115, 0.02), atol=0.006)


def test_a_joint_is_shown_by_what_it_turns_and_not_by_a_point_at_its_centre():
    body = moving_body(2, keypoints="coco17")
    shown = dict(zip(body.skeleton.joint_names, shown_joints(body.model, observations(body)).tolist(), strict=True))
    assert shown["LeftForeArm"]  # the wrist
    assert shown["Spine1"]
    assert shown["Head"]
    assert not shown["LeftHand"]  # the wrist is its very centre, and no finger is seen
    assert not shown["RightFoot"]


def test_limit_hits_count_frames_not_axes():
    body = moving_body(5)
    rest = rest_pose(body.model, 5)
    angles = torch.zeros_like(rest.angles)
    for axis in "xz":
        angles[1:4, angle_index(body, "Neck", axis)] = body.model.upper[angle_index(body, "Neck", axis)]
    hits = limit_hits(body.model, Pose(rest.translation, rest.root, angles))
    assert hits[body.skeleton.index("Neck")] == 3
    assert hits.sum() == 3


def test_acceleration_and_jitter_of_a_knee_that_bends_by_a_parabola():
    body = moving_body(1)
    time = torch.arange(20, dtype=torch.float64) / 50
    rest = rest_pose(body.model, 20)
    angles = rest.angles.clone()
    angles[:, angle_index(body, "RightLeg", "x")] = 0.5 * 7.0 * time**2
    pose = Pose(rest.translation, rest.root, angles)
    peak = angular_acceleration(body.model, pose, 50.0)
    assert peak.largest == pytest.approx(7.0, rel=1e-9)
    assert body.skeleton.joint_names[peak.joint] == "RightLeg"
    moving = place(body.model, pose)
    third = moving.joints[3:] - 3 * moving.joints[2:-1] + 3 * moving.joints[1:-2] - moving.joints[:-3]
    assert jitter(moving) == pytest.approx(float(third.square().sum(-1).mean().sqrt()))


def test_one_frame_has_no_acceleration():
    body = moving_body(1)
    assert angular_acceleration(body.model, body.pose, 30.0).largest == 0
    assert jitter(body.placement) == 0
