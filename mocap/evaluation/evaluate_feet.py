"""Foot points of keypoints and of solved skeletons, with the heights they have on the floor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.motion import Motion
from mocap.evaluation.contact_metrics import foot_points, rest_heights_m
from mocap.evaluation.evaluate_points import Feet, MatchedPoints, contacts_or_found
from mocap.geometry.joint_transforms import rest_joints
from mocap.synthetic.posing import joint_transforms

HEEL_BEHIND_ANKLE = 0.5
"""Of the distance between ankle and ball, which a heel lies behind the ankle."""

SOLE_JOINTS = (("LeftFoot", "LeftToeBase"), ("RightFoot", "RightToeBase"))


def feet_of_keypoints(matched: MatchedPoints, contact: Bool[np.ndarray, "T Q 4"]) -> Feet | None:
    """Heels and toes where a set has them; on the floor they are as high as the true ones in contact."""
    found, true = foot_points(matched.found, matched.names), foot_points(matched.true, matched.names)
    if not np.isfinite(true).any():
        return None
    contact = contacts_or_found(contact, true, matched.fps)
    rest = np.stack([rest_heights_m(true[:, q], contact[:, q]) for q in range(true.shape[1])])
    return Feet(found=found, true=true, contact=contact, rest_found_m=rest, rest_true_m=rest)


def feet_of_motions(
    matched: MatchedPoints, motions: Sequence[Motion], true: Sequence[Motion], contact: Bool[np.ndarray, "T Q 4"]
) -> Feet | None:
    """Points of the soles of both skeletons, each of which stands at 0 in its own T-pose."""
    if not all(has_soles(motion) for motion in (*motions, *true)):
        return None
    n_frames = len(matched.true)
    true_points = np.stack([sole_points(motion)[:n_frames] for motion in true], axis=1)
    found = np.full(true_points.shape, np.nan)
    for q, track in enumerate(matched.tracks):
        if track >= 0:
            found[:, q] = sole_points(motions[track])[:n_frames]
    rest = np.zeros((len(true), 4))
    contact = contacts_or_found(contact, true_points, matched.fps)
    return Feet(found=found, true=true_points, contact=contact, rest_found_m=rest, rest_true_m=rest)


def has_soles(motion: Motion) -> bool:
    """Whether the skeleton has ankles and balls of the feet by their names in `humanoid`."""
    return {name for pair in SOLE_JOINTS for name in pair} <= set(motion.skeleton.joint_names)


def sole_points(motion: Motion) -> Float[np.ndarray, "T 4 3"]:
    """Under heels and balls of the feet, in the order of FOOT_POINTS: on the floor in the T-pose, m."""
    skeleton = motion.skeleton
    rest, transforms = rest_joints(skeleton), joint_transforms(motion)
    points = []
    for foot, ball in SOLE_JOINTS:
        a, b = skeleton.index(foot), skeleton.index(ball)
        heel = rest[a] - HEEL_BEHIND_ANKLE * (rest[b] - rest[a])
        for joint, place in ((a, heel), (b, rest[b])):
            on_floor = np.array([place[0], place[1], 0.0])
            points.append(transforms[:, joint, :, :3] @ on_floor + transforms[:, joint, :, 3])
    return np.stack(points, axis=1)
