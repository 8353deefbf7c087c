"""Where a network that knows BlazePose's 33 keypoints would see them on a body, independent of any solver's model.

Networks learn from people who clicked on skin, so hips lie a little outside and above the joint, shoulders above it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.keypoints import KeypointSet
from mocap.core.motion import Motion
from mocap.synthetic.gait import joint_poses

PLACES: dict[str, tuple[str, tuple[float, float, float]]] = {
    "nose": ("Head", (0.0, -0.112, 0.018)),
    "left_eye_inner": ("Head", (0.018, -0.096, 0.052)),
    "left_eye": ("Head", (0.033, -0.092, 0.053)),
    "left_eye_outer": ("Head", (0.047, -0.082, 0.052)),
    "left_ear": ("Head", (0.076, 0.004, 0.030)),
    "mouth_left": ("Head", (0.024, -0.098, -0.036)),
    "left_shoulder": ("LeftShoulder", (0.158, -0.008, 0.024)),
    "left_elbow": ("LeftForeArm", (-0.004, 0.008, 0.004)),
    "left_wrist": ("LeftHand", (-0.006, -0.004, 0.006)),
    "left_pinky": ("LeftHand", (0.075, 0.034, 0.0)),
    "left_index": ("LeftHand", (0.088, -0.028, 0.004)),
    "left_thumb": ("LeftHand", (0.052, -0.047, -0.008)),
    "left_hip": ("Hips", (0.103, -0.012, -0.034)),
    "left_knee": ("LeftLeg", (0.004, -0.016, 0.006)),
    "left_ankle": ("LeftFoot", (0.006, 0.004, 0.008)),
    "left_heel": ("LeftFoot", (0.0, 0.055, -0.044)),
    "left_big_toe": ("LeftToeBase", (-0.018, -0.060, 0.004)),
}
"""Keypoint -> the joint it moves with and where it lies in that joint's frame, m; the right side mirrors the left."""


def keypoints_on_body(motion: Motion, keypoint_set: KeypointSet) -> Float[np.ndarray, "T K 3"]:
    """Where the keypoints of a set are, m; NaN for those that PLACES does not know."""
    rotations, positions = joint_poses(motion)
    points = np.full((motion.n_frames, len(keypoint_set), 3), np.nan)
    for index, name in enumerate(keypoint_set.names):
        place = place_of(name)
        if place is not None:
            joint = motion.skeleton.index(place[0])
            turn = Rotation.from_quat(rotations[:, joint][:, [1, 2, 3, 0]])
            points[:, index] = positions[:, joint] + turn.apply(place[1])
    return points


def place_of(keypoint: str) -> tuple[str, Float[np.ndarray, "3"]] | None:
    """The joint and the offset (m, in its frame) of a keypoint of either side."""
    twin = keypoint.replace("right", "left")
    if twin not in PLACES:
        return None
    joint, offset = PLACES[twin]
    if twin == keypoint:
        return joint, np.array(offset)
    return joint.replace("Left", "Right"), np.array(offset) * [-1.0, 1.0, 1.0]
