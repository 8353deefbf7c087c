"""How well a solved pose sequence follows its markers, and how smoothly it moves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.geometry.kinematics import descends_from
from mocap.geometry.pose_model import Placement, Pose, PoseModel, local_rotations
from mocap.geometry.pose_solver import Observations
from mocap.geometry.rotations import quat_conjugate, quat_multiply, quat_to_rotvec

_AT_LIMIT_RAD = 1e-6


@dataclass(frozen=True, eq=False)
class Acceleration:
    """The largest angular acceleration, rad / s^2, and the joint and the frame it is at."""

    largest: float
    joint: int
    frame: int


def marker_distances(placement: Placement, observations: Observations) -> Float[Tensor, "T M"]:
    """From every seen keypoint to its marker, m; NaN where not seen."""
    distance = (placement.markers - observations.targets).norm(dim=-1)
    return torch.where(observations.confidence > 0, distance, torch.nan)


def joint_distances(model: PoseModel, placement: Placement, observations: Observations) -> Float[Tensor, "T M"]:
    """From every seen keypoint to the joint that its marker is at, m; NaN where not seen."""
    distance = (placement.joints[:, model.marker_at] - observations.targets).norm(dim=-1)
    return torch.where(observations.confidence > 0, distance, torch.nan)


def shown_joints(model: PoseModel, observations: Observations) -> Bool[Tensor, "J"]:
    """Which joints turn something that some frame shows: a marker on them or beyond, but not at their very centre."""
    descends = torch.tensor(descends_from(model.parents))
    lever = (model.marker_at != model.marker_frame) | (model.marker_offsets != 0).any(-1)
    beyond = descends[model.marker_frame] & (
        lever[:, None] | (torch.arange(len(model.parents)) != model.marker_frame[:, None])
    )
    return (beyond & (observations.confidence > 0).any(0)[:, None]).any(0)


def limit_hits(model: PoseModel, pose: Pose) -> Float[Tensor, "J"]:
    """In how many frames an axis of each joint rests against its limit."""
    at_limit = (pose.angles <= model.lower + _AT_LIMIT_RAD) | (pose.angles >= model.upper - _AT_LIMIT_RAD)
    by_joint = torch.nn.functional.one_hot(model.joint, len(model.parents)).to(pose.angles.dtype)
    return (at_limit.to(pose.angles.dtype) @ by_joint > 0).to(pose.angles.dtype).sum(0)


def jitter(placement: Placement) -> float:
    """Root mean square, over joints and frames, of the third difference of positions, m."""
    third = placement.joints.diff(n=3, dim=0)
    return float(third.square().sum(-1).mean().sqrt()) if len(third) else 0.0


def angular_acceleration(model: PoseModel, pose: Pose, fps: float) -> Acceleration:
    """Of the rotations parent_from_joint, from three neighbouring frames."""
    rotations = local_rotations(model, pose)
    velocity = quat_to_rotvec(quat_multiply(quat_conjugate(rotations[:-1]), rotations[1:]))
    size = velocity.diff(dim=0).norm(dim=-1) * fps**2
    if not len(size):
        return Acceleration(0.0, 0, 0)
    frame, joint = divmod(int(size.argmax()), size.shape[1])
    return Acceleration(float(size.max()), joint, frame + 1)
