"""A skeleton with markers as a function of its pose, and the analytic derivative of every marker.

A pose is a translation and a rotation of the root and one angle for every axis that the skeleton's limits leave free,
so that bone lengths cannot change. Angles are of swing and twist: parent_from_joint = exp(swing) exp(twist), which
makes a hinge one angle and keeps the singularity (a swing of 180 degrees) where no joint gets.
Steps are [translation 3, root rotation 3 (about the root's own axes), angles D].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mocap.core.markers import MarkerSet
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.kinematics import descends_from, forward_kinematics
from mocap.geometry.rotations import (
    left_jacobian,
    quat_multiply,
    quat_rotate,
    quat_to_matrix,
    quat_to_rotvec,
    rotvec_to_quat,
    swing_twist,
)

ROOT_STEPS = 6


@dataclass(frozen=True, eq=False)
class Pose:
    """translation: (T, 3) m. root: (T, 4) wxyz, world_from_root. angles: (T, D) rad, one for every free axis."""

    translation: Float[Tensor, "T 3"]
    root: Float[Tensor, "T 4"]
    angles: Float[Tensor, "T D"]

    def __len__(self) -> int:
        return len(self.translation)

    def frames(self, which: slice | Int[Tensor, "n"]) -> Pose:
        return Pose(self.translation[which], self.root[which], self.angles[which])


@dataclass(frozen=True, eq=False)
class Placement:
    """Where everything is in one pose: joints, markers, and what their derivatives need.

    rotations: (T, J, 4) world_from_joint. joints: (T, J, 3), markers: (T, M, 3) m. turns: (T, J, 3, 3) the world axis
    (column c) about which coordinate c of a joint turns what hangs on it, in rad per rad.
    """

    rotations: Float[Tensor, "T J 4"]
    joints: Float[Tensor, "T J 3"]
    markers: Float[Tensor, "T M 3"]
    turns: Float[Tensor, "T J 3 3"]


@dataclass(frozen=True, eq=False)
class PoseModel:
    """rest_offsets: (J, 3) m. joint, axis: (D,) of every angle; lower, upper: (D,) rad. marker_*: (M,) and (M, 3) m.

    moved: (M, 3 + D) whether a marker moves with the root's three rotations and with each angle. descends: (J, J)
    whether a joint is another or hangs on it. step_joint: (6 + D,) the joint of every step. step_above: (6 + D, 6 + D)
    as 1 and 0, whether a step moves all that another one moves; the second without pairs of one joint.
    """

    parents: tuple[int, ...]
    twist_axes: Int[Tensor, "J"]
    rest_offsets: Float[Tensor, "J 3"]
    joint: Int[Tensor, "D"]
    axis: Int[Tensor, "D"]
    lower: Float[Tensor, "D"]
    upper: Float[Tensor, "D"]
    marker_at: Int[Tensor, "M"]
    marker_frame: Int[Tensor, "M"]
    marker_offsets: Float[Tensor, "M 3"]
    moved: Bool[Tensor, "M D3"]
    descends: Bool[Tensor, "J J"]
    step_joint: Int[Tensor, "n"]
    step_above: tuple[Float[Tensor, "n n"], Float[Tensor, "n n"]]

    @property
    def n_angles(self) -> int:
        return len(self.joint)

    @property
    def n_steps(self) -> int:
        return ROOT_STEPS + len(self.joint)

    def sized(self, rest_offsets: Float[Tensor, "J 3"], marker_offsets: Float[Tensor, "M 3"]) -> PoseModel:
        """The same tree with other lengths."""
        return replace(self, rest_offsets=rest_offsets, marker_offsets=marker_offsets)

    def clamped(self, angles: Float[Tensor, "T D"]) -> Float[Tensor, "T D"]:
        return torch.minimum(torch.maximum(angles, self.lower), self.upper)

    def moved_by(self, pose: Pose, step: Float[Tensor, "T n"]) -> Pose:
        """A step from a pose; angles stop at their limits."""
        return Pose(
            pose.translation + step[:, :3],
            _normalised(quat_multiply(pose.root, rotvec_to_quat(step[:, 3:6]))),
            self.clamped(pose.angles + step[:, 6:]),
        )


def pose_model(skeleton: SkeletonDefinition, markers: MarkerSet) -> PoseModel:
    """The model of a skeleton; the root is free, other joints turn about the axes with an open limit."""
    free = skeleton.limits[..., 0] < skeleton.limits[..., 1]
    free[0] = False
    joint, axis = np.nonzero(free)
    bounds = torch.from_numpy(skeleton.limits[joint, axis])
    descends = np.array(descends_from(skeleton.parents.tolist()))
    step_joint = np.array([*ROOT_STEPS * [0], *joint])
    above = descends[step_joint][:, step_joint].T.astype(np.float64)
    return PoseModel(
        parents=tuple(skeleton.parents.tolist()),
        twist_axes=torch.from_numpy(skeleton.twist_axes),
        rest_offsets=torch.from_numpy(skeleton.rest_offsets.copy()),
        joint=torch.from_numpy(joint),
        axis=torch.from_numpy(axis),
        lower=bounds[:, 0],
        upper=bounds[:, 1],
        marker_at=torch.from_numpy(markers.at.copy()),
        marker_frame=torch.from_numpy(markers.frame.copy()),
        marker_offsets=torch.from_numpy(markers.offsets.copy()),
        moved=torch.from_numpy(descends[markers.frame][:, [0, 0, 0, *joint]]),
        descends=torch.from_numpy(descends),
        step_joint=torch.from_numpy(step_joint),
        step_above=(torch.from_numpy(above), torch.from_numpy(above * (step_joint[:, None] != step_joint))),
    )


def rest_pose(model: PoseModel, n_frames: int) -> Pose:
    """All angles zero (or at the nearest limit), the root at the origin."""
    angles = model.clamped(torch.zeros(n_frames, model.n_angles, dtype=torch.float64))
    root = torch.zeros(n_frames, 4, dtype=torch.float64)
    root[:, 0] = 1.0
    return Pose(torch.zeros(n_frames, 3, dtype=torch.float64), root, angles)


def local_rotations(model: PoseModel, pose: Pose) -> Float[Tensor, "T J 4"]:
    """parent_from_joint of every joint, wxyz; the root's is world_from_root."""
    return _local(model, pose)[0]


def place(model: PoseModel, pose: Pose) -> Placement:
    """Forward kinematics of joints and markers."""
    local, swing, swung = _local(model, pose)
    rotations, joints = forward_kinematics(local, pose.translation, model.rest_offsets, model.parents)
    hung = quat_rotate(rotations[:, model.marker_frame], model.marker_offsets)
    axes = left_jacobian(swing)
    twist_column = (torch.arange(3) == model.twist_axes[:, None])[:, None, :]
    axes = torch.where(twist_column, quat_to_matrix(swung), axes)
    above = rotations[:, list(model.parents[1:])]
    turns = torch.cat([quat_to_matrix(rotations[:, :1]), quat_to_matrix(above) @ axes[:, 1:]], dim=1)
    return Placement(rotations, joints, joints[:, model.marker_at] + hung, turns)


def marker_jacobian(model: PoseModel, placement: Placement) -> Float[Tensor, "T 3 M n"]:
    """Derivative of every marker coordinate by every step: turning about w at x moves a point p by w x (p - x)."""
    root = torch.zeros(3, dtype=torch.int64)
    joint = torch.cat([root, model.joint])
    axis = torch.cat([torch.arange(3), model.axis])
    w = placement.turns[:, joint, :, axis].permute(2, 1, 0)  # (3, T, 3 + D): advanced indices put D first
    x = placement.joints[:, joint].permute(2, 0, 1)
    p = placement.markers.permute(2, 0, 1)[..., None]
    n_frames, n_markers = placement.markers.shape[:2]
    jacobian = torch.zeros(n_frames, 3, n_markers, model.n_steps, dtype=p.dtype)
    moved = model.moved.to(p.dtype)
    for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
        pivot = w[j] * x[k] - w[k] * x[j]
        lever = w[j][:, None] * p[k] - w[k][:, None] * p[j] - pivot[:, None]
        jacobian[:, i, :, 3:] = lever * moved
        jacobian[:, i, :, i] = 1.0
    return jacobian


def angles_from_rotations(model: PoseModel, rotations: Float[Tensor, "T J 4"]) -> Float[Tensor, "T D"]:
    """Angles of given parent_from_joint rotations, those of locked axes dropped, all within their limits."""
    axis = torch.nn.functional.one_hot(model.twist_axes, 3).to(rotations.dtype)
    swing, twist = swing_twist(rotations, axis)
    coordinates = quat_to_rotvec(swing) + quat_to_rotvec(twist)
    return model.clamped(coordinates[:, model.joint, model.axis])


def _local(
    model: PoseModel, pose: Pose
) -> tuple[Float[Tensor, "T J 4"], Float[Tensor, "T J 3"], Float[Tensor, "T J 4"]]:
    n_joints = len(model.parents)
    coordinates = pose.angles.new_zeros(len(pose), n_joints, 3)
    coordinates[:, model.joint, model.axis] = pose.angles
    along = (torch.arange(3) == model.twist_axes[:, None]).to(pose.angles.dtype)
    swing = coordinates * (1 - along)
    swung = rotvec_to_quat(swing)
    local = quat_multiply(swung, rotvec_to_quat(coordinates * along))
    local = torch.cat([pose.root[:, None], local[:, 1:]], dim=1)
    return local, swing, swung


def _normalised(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    return q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)
