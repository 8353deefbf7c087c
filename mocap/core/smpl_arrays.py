"""The arrays of a body model of the SMPL family, as its files hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import InputError

SmplName = Literal["smpl", "smplh", "smplx"]
SMPL_FROM_OURS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Ours: x to the left, y backward, z up."""
MODEL_OF_JOINTS: dict[int, SmplName] = {24: "smpl", 52: "smplh", 55: "smplx"}
"""A model is told by the number of its joints."""
BODY_JOINTS: tuple[str, ...] = (
    "Hips", "LeftUpLeg", "RightUpLeg", "Spine", "LeftLeg", "RightLeg", "Spine1", "LeftFoot", "RightFoot", "Spine2",
    "LeftToeBase", "RightToeBase", "Neck", "LeftShoulder", "RightShoulder", "Head", "LeftArm", "RightArm",
    "LeftForeArm", "RightForeArm", "LeftHand", "RightHand",
)  # fmt: skip
"""Our names of the first 22 joints, which all models of the family share, in their order."""


@dataclass(frozen=True, eq=False)
class SmplArrays:
    """In the model's own axes: x to its left, y up, z forward; m.

    v_template: (V, 3). shapedirs: (V, 3, S). posedirs: (V, 3, 9 (J - 1)), by the entries of all rotation matrices but
    the root's, less the identity. joint_regressor: (J, V). weights: (V, J). parents: (J,), -1 for the root. faces:
    (F, 3).
    """

    v_template: Float[np.ndarray, "V 3"]
    shapedirs: Float[np.ndarray, "V 3 S"]
    posedirs: Float[np.ndarray, "V 3 P"]
    joint_regressor: Float[np.ndarray, "J V"]
    weights: Float[np.ndarray, "V J"]
    parents: Int[np.ndarray, "J"]
    faces: Int[np.ndarray, "F 3"]

    def __post_init__(self) -> None:
        v, j = self.weights.shape
        if j not in MODEL_OF_JOINTS:
            known = ", ".join(f"{name} {count}" for count, name in MODEL_OF_JOINTS.items())
            raise InputError(f"a body model of {j} joints is none of the SMPL family ({known})")
        shapes = {
            "v_template": (self.v_template.shape, (v, 3)),
            "shapedirs": (self.shapedirs.shape[:2], (v, 3)),
            "posedirs": (self.posedirs.shape, (v, 3, 9 * (j - 1))),
            "J_regressor": (self.joint_regressor.shape, (j, v)),
            "kintree_table": (self.parents.shape, (j,)),
            "f": (self.faces.shape[1:], (3,)),
        }
        for name, (shape, expected) in shapes.items():
            if shape != expected:
                raise InputError(f"{name} of the body model has shape {shape}, expected {expected}")
        if self.parents[0] != -1 or (self.parents[1:] >= np.arange(1, j)).any() or (self.parents[1:] < 0).any():
            raise InputError("kintree_table of the body model is not a tree with its root first")
        if self.faces.size and not 0 <= self.faces.min() <= self.faces.max() < v:
            raise InputError(f"f of the body model names vertices that it does not have (it has {v})")

    @property
    def model(self) -> SmplName:
        return MODEL_OF_JOINTS[len(self.parents)]
