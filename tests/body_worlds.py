"""People whose every angle is known, and the keypoints that a perfect detector would find on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mocap.core.keypoints import Keypoints3D, KeypointSet, load_keypoint_set
from mocap.core.markers import MarkerSet, load_markers
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.geometry.pose_model import Placement, Pose, PoseModel, place, pose_model
from mocap.geometry.rotations import quat_multiply, rotvec_to_quat
from mocap.geometry.subject import Subject, SubjectModel, subject_model

TELLTALE = ("Arm", "ForeArm", "UpLeg", "Leg", "Foot", "Hand")
"""Joints (of both sides) that keypoints of limbs, hands and feet show."""

HINGES = {"ForeArm": (0, 2), "Leg": (0,), "Foot": (0,), "Hand": (1, 2)}
"""The axes about which some of them are moved here; the others about all three."""

BENT_RAD = 0.9
"""Knees and elbows swing about that, as straight ones hide how the bone above is turned about its length."""


@dataclass(frozen=True, eq=False)
class Body:
    skeleton: SkeletonDefinition
    markers: MarkerSet
    sizes: SubjectModel
    subject: Subject
    model: PoseModel
    pose: Pose
    fps: float
    keypoint_set: KeypointSet

    @property
    def placement(self) -> Placement:
        return place(self.model, self.pose)

    @property
    def xyz(self) -> np.ndarray:
        """(T, 1, J, 3) m, NaN for keypoints that sit nowhere on the skeleton."""
        xyz = np.full((len(self.pose), 1, len(self.keypoint_set), 3), np.nan)
        xyz[:, 0, self.keypoint_set.indices(self.markers.keypoints)] = self.placement.markers.numpy()
        return xyz

    def points(self, xyz: np.ndarray | None = None, confidence: float = 1.0) -> Keypoints3D:
        return keypoints3d(self.keypoint_set, self.xyz if xyz is None else xyz, self.fps, confidence)


def keypoints3d(keypoint_set: KeypointSet, xyz: np.ndarray, fps: float, confidence: float = 1.0) -> Keypoints3D:
    """What triangulation would return: missing where a coordinate is NaN."""
    seen = np.isfinite(xyz).all(-1)
    xyz = np.where(seen[..., None], xyz, np.nan)
    return Keypoints3D(keypoint_set, xyz, confidence * seen, np.where(seen, 1.0, np.nan), 3 * seen, fps)


def moving_body(
    n_frames: int = 60,
    *,
    fps: float = 30.0,
    keypoints: str = "blazepose33",
    scales: np.ndarray | None = None,
    reach: float = 0.5,
    seed: int = 0,
) -> Body:
    """Walks a bend while every telltale angle swings from its rest by up to `reach` of the way to its limits.

    Spine, collar bones and toes keep still, feet are not turned against the shanks and the pelvis is hardly tilted, as
    no keypoint of the usual sets could tell otherwise; neck and head turn alike.
    """
    skeleton = load_skeleton("humanoid")
    markers = load_markers("humanoid", skeleton).select(load_keypoint_set(keypoints).names)
    template = pose_model(skeleton, markers)
    sizes = subject_model(skeleton, markers, template)
    given = np.ones(len(markers.segments)) if scales is None else np.asarray(scales, dtype=np.float64)
    subject = Subject(torch.from_numpy(given), torch.zeros(len(markers), 3, dtype=torch.float64))
    time = np.arange(n_frames) / fps
    pose = Pose(*_root(time), _angles(template, skeleton, markers, time, (reach, seed)))
    keypoint_set = load_keypoint_set(keypoints)
    return Body(skeleton, markers, sizes, subject, sizes.sized(subject), pose, fps, keypoint_set)


def angle_index(body: Body, joint: str, axis: str) -> int:
    """Where one named angle stands in a pose."""
    j, a = body.skeleton.index(joint), "xyz".index(axis)
    return int(torch.nonzero((body.model.joint == j) & (body.model.axis == a))[0, 0])


def _root(time: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    path = np.stack([0.6 * time, -0.3 * np.sin(time), 0.95 + 0.03 * np.sin(7 * time)], axis=-1)
    heading = np.zeros((len(time), 3))
    heading[:, 2] = 2.5 * time  # more than a whole turn in three seconds
    lean = np.stack([np.zeros_like(time), 0.1 * np.sin(3 * time), np.zeros_like(time)], axis=-1)
    return torch.from_numpy(path), quat_multiply(*(rotvec_to_quat(torch.from_numpy(v)) for v in (heading, lean)))


def _angles(
    model: PoseModel, skeleton: SkeletonDefinition, markers: MarkerSet, time: np.ndarray, how: tuple[float, int]
) -> torch.Tensor:
    reach, seed = how
    rng = np.random.default_rng(seed)
    rest = torch.from_numpy(markers.priors.rest[model.joint, model.axis])
    away = np.zeros((len(time), model.n_angles))
    wave = {}
    for d, (joint, axis) in enumerate(zip(model.joint.tolist(), model.axis.tolist(), strict=True)):
        name = skeleton.joint_names[joint].removeprefix("Left").removeprefix("Right")
        own = np.sin(2 * np.pi * rng.uniform(0.2, 0.7) * time + rng.uniform(0, 2 * np.pi))
        if name in ("ForeArm", "Leg") and axis == HINGES[name][-1]:
            rest[d] = BENT_RAD if model.upper[d] > 1 else -BENT_RAD
            away[:, d] = 0.5 * own
        elif name in TELLTALE and axis in HINGES.get(name, (0, 1, 2)):
            away[:, d] = own
        elif name in ("Neck", "Head"):
            away[:, d] = wave.setdefault(axis, own)
    room = torch.where(torch.from_numpy(away) > 0, model.upper - rest, rest - model.lower)
    return rest + reach * room * torch.from_numpy(away)
