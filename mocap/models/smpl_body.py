"""The SMPL family (Loper et al. 2015; Romero et al. 2017; Pavlakos et al. 2019) as bodies that can be fitted.

Only the arrays of the user's own file are used. The 22 joints of the body are those of `humanoid`; fingers, jaw and
eyes stay as in the rest pose and move with the joint that carries them. Keypoints on the skin (nose, ears, heels, toes)
are found on the mesh by their place: vertices' numbers are not needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from mocap.core.body_motion import BodyModelName, Gender
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.core.smpl_arrays import BODY_JOINTS, SMPL_FROM_OURS, SmplArrays
from mocap.geometry.rotations import quat_to_matrix
from mocap.models.body_family import BodyMesh, BodyRest, ShapeSpace, rest_joints
from mocap.models.body_skin import joint_transforms, skinned

OURS_FROM_SMPL = SMPL_FROM_OURS.T
LARGEST_BETA = 5.0
SOLE_M = 0.03
JOINT_KEYPOINTS = {
    "shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot",
}  # fmt: skip
"""Keypoints that mean a joint's centre, without their side."""
FINGER_KEYPOINTS = {"index": 0, "middle": 3, "pinky": 6, "thumb": 13}
"""Joints of a hand of SMPL-H and SMPL-X after the first of the hand: knuckles, and the thumb's second joint."""
FIRST_FINGER = {"smplh": {"left": 22, "right": 37}, "smplx": {"left": 25, "right": 40}}


@dataclass(frozen=True, eq=False)
class SmplBodies:
    """See BodyFamily. gender: which of the model's files it is."""

    arrays: SmplArrays
    gender: Gender
    n_betas: int

    @property
    def model(self) -> BodyModelName:
        return self.arrays.model

    @property
    def space(self) -> ShapeSpace:
        ones = np.ones(self.n_betas)
        names = tuple(f"beta_{k}" for k in range(self.n_betas))
        return ShapeSpace(names, 0 * ones, ones, -LARGEST_BETA * ones, LARGEST_BETA * ones)

    def rest(self, shape: Float[np.ndarray, "S"]) -> BodyRest:
        """Joints and keypoints of a shape, m."""
        joints = self._joints + self._joint_steps @ shape
        points = self._points + self._point_steps @ shape
        origin = self._origin(joints, shape)
        joints, points = joints - origin, points - origin
        places = dict(zip(self._keypoints, points, strict=True)) | self._of_joints(joints)
        return BodyRest(self._offsets(joints), places)

    def skeleton(self, shape: Float[np.ndarray, "S"]) -> SkeletonDefinition:
        """`humanoid` with the joints of a shape; tips at the crown, and half a hand or foot beyond its joint."""
        rest = self.rest(shape)
        joints = rest_joints(rest.rest_offsets, self._humanoid.parents)
        tips = self._humanoid.tips * self._stature(joints)
        tips[self._humanoid.index("Head")] = rest.keypoints["head"] - joints[self._humanoid.index("Head")]
        return replace(self._humanoid, rest_offsets=rest.rest_offsets, tips=tips)

    def mesh(self, shape: Float[np.ndarray, "S"]) -> BodyMesh:
        """The skin of a shape in the T-pose, without the corrections of other poses."""
        return BodyMesh(self._tpose(shape), self.arrays.faces, self._weights.toarray())

    def posed(self, shape: Float[np.ndarray, "S"], motion: Motion) -> Float[np.ndarray, "T V 3"]:
        """The skin in every frame, m, world, corrected for the pose."""
        bent = np.tile(np.eye(3), (motion.n_frames, len(self.arrays.parents), 1, 1))
        turns = quat_to_matrix(torch.from_numpy(motion.local_rotations.copy())).numpy()
        bent[:, : len(BODY_JOINTS)] = OURS_FROM_SMPL.T @ turns[:, self._order] @ OURS_FROM_SMPL
        feature = (bent[:, 1:] - np.eye(3)).reshape(motion.n_frames, -1)
        corrections = np.einsum("vip,tp->tvi", self.arrays.posedirs, feature, optimize=True) @ OURS_FROM_SMPL.T
        return skinned(self._tpose(shape) + corrections, self._weights, joint_transforms(motion))

    def root_rest(self, shape: Float[np.ndarray, "S"]) -> Float[np.ndarray, "3"]:
        """The root's place in the model's own rest pose, in our axes, m."""
        return (self._joints + self._joint_steps @ shape)[0]

    @cached_property
    def _humanoid(self) -> SkeletonDefinition:
        return load_skeleton("humanoid")

    @cached_property
    def _order(self) -> Int[np.ndarray, "22"]:
        """Ours of each of the model's body joints."""
        return np.array([self._humanoid.index(name) for name in BODY_JOINTS])

    @cached_property
    def _template(self) -> Float[np.ndarray, "V 3"]:
        return self.arrays.v_template @ OURS_FROM_SMPL.T

    @cached_property
    def _steps(self) -> Float[np.ndarray, "V 3 S"]:
        return np.einsum("ij,vjs->vis", OURS_FROM_SMPL, self.arrays.shapedirs[..., : self.n_betas])

    @cached_property
    def _joints(self) -> Float[np.ndarray, "K 3"]:
        """Of the mean shape, all that the model has."""
        return self.arrays.joint_regressor @ self._template

    @cached_property
    def _joint_steps(self) -> Float[np.ndarray, "K 3 S"]:
        return np.einsum("jv,vis->jis", self.arrays.joint_regressor, self._steps, optimize=True)

    @cached_property
    def _weights(self) -> csr_array:
        """(V, 22), by our joints; what moves with fingers, jaw or eyes moves with the joint that carries them."""
        carrier = np.arange(len(self.arrays.parents))
        for joint in range(len(BODY_JOINTS), len(carrier)):
            carrier[joint] = carrier[self.arrays.parents[joint]]
        ours = np.zeros((len(self._template), len(BODY_JOINTS)))
        np.add.at(ours.T, self._order[carrier], self.arrays.weights.T)
        return csr_array(ours / ours.sum(1, keepdims=True))

    @cached_property
    def _soles(self) -> Int[np.ndarray, "n"]:
        height = self._template[:, 2]
        return np.flatnonzero(height < height.min() + SOLE_M)

    @cached_property
    def _skin_points(self) -> dict[str, int]:
        """Keypoints on the skin and their vertices, of the mean shape."""
        strongest = self._weights.toarray().argmax(1)
        found = {}
        for name, joint, direction in SKIN_KEYPOINTS:
            part = np.flatnonzero(self._part(strongest, joint))
            if len(part):
                found[name] = int(part[(self._template[part] @ np.array(direction, dtype=np.float64)).argmax()])
        return found

    def _part(self, strongest: Int[np.ndarray, "V"], joint: str) -> Bool[np.ndarray, "V"]:
        return strongest == self._humanoid.index(joint)

    @cached_property
    def _keypoints(self) -> tuple[str, ...]:
        return tuple(self._skin_points)

    @cached_property
    def _points(self) -> Float[np.ndarray, "K 3"]:
        return self._template[list(self._skin_points.values())]

    @cached_property
    def _point_steps(self) -> Float[np.ndarray, "K 3 S"]:
        return self._steps[list(self._skin_points.values())]

    def _of_joints(self, joints: Float[np.ndarray, "K 3"]) -> dict[str, Float[np.ndarray, "3"]]:
        places = {}
        for side in ("left", "right"):
            for keypoint, joint in JOINT_KEYPOINTS.items():
                places[f"{side}_{keypoint}"] = joints[BODY_JOINTS.index(f"{side.title()}{joint}")]
            first = FIRST_FINGER.get(self.arrays.model, {}).get(side)
            if first is not None:
                places |= {f"{side}_{name}": joints[first + k] for name, k in FINGER_KEYPOINTS.items()}
        return places

    def _offsets(self, joints: Float[np.ndarray, "K 3"]) -> Float[np.ndarray, "22 3"]:
        ours = np.empty((len(BODY_JOINTS), 3))
        ours[self._order] = joints[: len(BODY_JOINTS)]
        parents = self._humanoid.parents
        return np.where((parents >= 0)[:, None], ours - ours[parents], ours)

    def _origin(self, joints: Float[np.ndarray, "K 3"], shape: Float[np.ndarray, "S"]) -> Float[np.ndarray, "3"]:
        """Under the root, on the soles."""
        soles = self._template[self._soles, 2] + self._steps[self._soles, 2] @ shape
        return np.array([joints[0, 0], joints[0, 1], soles.min()])

    def _tpose(self, shape: Float[np.ndarray, "S"]) -> Float[np.ndarray, "V 3"]:
        joints = self._joints + self._joint_steps @ shape
        return self._template + self._steps @ shape - self._origin(joints, shape)

    def _stature(self, joints: Float[np.ndarray, "J 3"]) -> float:
        """Against `humanoid`, by the height of the root."""
        return float(joints[0, 2] / self._humanoid.rest_offsets[0, 2])


SKIN_KEYPOINTS = (
    ("head", "Head", (0, 0, 1)),
    ("nose", "Head", (0, -1, 0)),
    ("left_ear", "Head", (1, 0, 0)),
    ("right_ear", "Head", (-1, 0, 0)),
    ("left_heel", "LeftFoot", (0, 1, -1)),
    ("right_heel", "RightFoot", (0, 1, -1)),
    ("left_big_toe", "LeftToeBase", (-0.3, -1, 0)),
    ("right_big_toe", "RightToeBase", (0.3, -1, 0)),
)
"""Keypoint, the joint that its part of the skin follows most, and the direction in which it lies farthest out."""
