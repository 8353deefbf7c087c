"""Bodies of a family as pose models: joints, keypoints where a detector reports them, and soles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mocap.core.markers import MarkerSet
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.kinematics import descends_from
from mocap.geometry.pose_model import PoseModel, place, pose_model, rest_pose
from mocap.models.body_family import BodyFamily, BodyRest, body_markers, rest_joints

SOLES = (
    ("left_heel", "LeftFoot"), ("left_big_toe", "LeftToeBase"),
    ("right_heel", "RightFoot"), ("right_big_toe", "RightToeBase"),
)  # fmt: skip
"""Points of the sole: under these keypoints, on the floor in the T-pose, each moving with a joint."""
SPANS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"))
"""Parts between keypoints of one side that no pose makes longer or shorter (a trunk that bows hardly does)."""
SPAN_SPREAD = 0.03
"""Relative, of a median length against the body's."""
FIRST_STEPS = 4
STEP = 1e-3


@dataclass(frozen=True, eq=False)
class Sizes:
    """What a take has one of: shape (S,), and shifts (M, 3) m along the keypoints' joints, of one person's reports."""

    shape: Float[np.ndarray, "S"]
    shifts: Float[np.ndarray, "M 3"]


@dataclass(frozen=True, eq=False)
class SizedBodies:
    """A family's shapes with the same markers. habits: (M, 3) where the detector reports every keypoint against where
    it is, in lengths of the torso along the T-pose's axes. template: with the soles after the M markers."""

    family: BodyFamily
    skeleton: SkeletonDefinition
    markers: MarkerSet
    habits: Float[np.ndarray, "M 3"]
    template: PoseModel

    def model(self, sizes: Sizes) -> PoseModel:
        """Joints, keypoints and soles of a shape."""
        rest = self.family.rest(sizes.shape)
        own = body_markers(self.markers, rest, self.skeleton.parents)
        offsets = own.offsets + self.habits * torso_length(rest) + sizes.shifts
        offsets = np.concatenate([offsets, self._soles(rest)])
        return self.template.sized(torch.from_numpy(rest.rest_offsets.copy()), torch.from_numpy(offsets))

    def anatomical(self, shape: Float[np.ndarray, "S"]) -> MarkerSet:
        """The markers where keypoints truly lie, as `start_pose` expects of those that mean a joint."""
        return body_markers(self.markers, self.family.rest(shape), self.skeleton.parents)

    def unshifted(self, shape: Float[np.ndarray, "S"]) -> Sizes:
        """A shape, with the detector's usual habits."""
        return Sizes(shape, np.zeros((len(self.markers), 3)))

    def _soles(self, rest: BodyRest) -> Float[np.ndarray, "K 3"]:
        joints = rest_joints(rest.rest_offsets, self.skeleton.parents)
        below = np.array([rest.keypoints[name] for name, _ in SOLES]) * [1.0, 1.0, 0.0]
        return below - joints[[self.skeleton.index(joint) for _, joint in SOLES]]


def torso_length(rest: BodyRest) -> float:
    """From the middle of the hips to that of the shoulders, m."""
    points: Mapping[str, Float[np.ndarray, "3"]] = rest.keypoints
    low, high = (points[f"left_{part}"] + points[f"right_{part}"] for part in ("hip", "shoulder"))
    return float(np.linalg.norm(high - low) / 2)


def sized_bodies(family: BodyFamily, markers: MarkerSet, habits: Float[np.ndarray, "M 3"]) -> SizedBodies:
    """`markers`: those that are looked for and that the family has."""
    skeleton = family.skeleton(family.space.usual)
    joints = np.array([skeleton.index(joint) for _, joint in SOLES])
    model = pose_model(skeleton, markers)
    at = torch.cat([model.marker_at, torch.from_numpy(joints)])
    frame = torch.cat([model.marker_frame, torch.from_numpy(joints)])
    return SizedBodies(family, skeleton, markers, habits, _with_markers(model, at, frame))


def _with_markers(model: PoseModel, at: Tensor, frame: Tensor) -> PoseModel:
    steps = torch.cat([torch.zeros(3, dtype=torch.int64), model.joint])
    descends = torch.tensor(descends_from(model.parents))
    unknown = torch.zeros(len(at), 3, dtype=model.marker_offsets.dtype)
    return replace(model, marker_at=at, marker_frame=frame, marker_offsets=unknown, moved=descends[frame][:, steps])


def first_shape(
    bodies: SizedBodies, targets: Float[Tensor, "T M 3"], confidence: Float[Tensor, "T M"]
) -> Float[np.ndarray, "S"]:
    """From median lengths between keypoints, by Gauss-Newton from the usual shape."""
    space = bodies.family.space
    a, b, wanted = _spans(bodies.markers, targets.numpy(), confidence.numpy() > 0)
    shape = space.usual.copy()
    if not len(wanted):
        return shape
    precision = np.diag(space.spread**-2.0)
    for _ in range(FIRST_STEPS):
        here = _too_long(bodies, shape, a, b, wanted)
        slopes = []
        for s in range(len(space)):
            step = STEP * space.spread[s] * (1 if shape[s] < space.upper[s] else -1)
            moved = shape.copy()
            moved[s] += step
            slopes.append((_too_long(bodies, moved, a, b, wanted) - here) / step)
        J = np.stack(slopes, axis=-1)
        step = -np.linalg.solve(J.T @ J + precision, J.T @ here + precision @ (shape - space.usual))
        shape = space.clamped(shape + step / max(1.0, float(np.abs(step / space.spread).max())))
    return shape


def _spans(
    markers: MarkerSet, points: Float[np.ndarray, "T M 3"], seen: Bool[np.ndarray, "T M"]
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Ends of the spans that some frame shows, and their median lengths, m."""
    names = markers.keypoints
    pairs = [(f"{side}_{a}", f"{side}_{b}") for a, b in SPANS for side in ("left", "right")]
    rows = [(names.index(a), names.index(b)) for a, b in pairs if a in names and b in names]
    rows = [(a, b) for a, b in rows if (seen[:, a] & seen[:, b]).any()]
    a, b = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    lengths = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
    return a, b, np.nanmedian(np.where(seen[:, a] & seen[:, b], lengths, np.nan), axis=0)


def _too_long(
    bodies: SizedBodies,
    shape: Float[np.ndarray, "S"],
    a: Int[np.ndarray, "n"],
    b: Int[np.ndarray, "n"],
    wanted: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    model = bodies.model(bodies.unshifted(shape))
    rest = place(model, rest_pose(model, 1)).markers[0].numpy()
    return (np.linalg.norm(rest[a] - rest[b], axis=-1) / wanted - 1) / SPAN_SPREAD
