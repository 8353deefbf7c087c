"""A person's body: a mesh in the T-pose on the joints of `humanoid`, and the keypoints that detectors look for on it.

Made from Anny. Its 104 bones become 22 joints, so that fingers keep their relaxed shape and a forearm turns as a whole:
its skin narrows above the elbow when the hand is turned far, as linear blend skinning does without bones for the twist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32, Int32
from pydantic import Field
from scipy.sparse import csr_array

from mocap.core.config import Config
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.synthetic.body_keypoints import JointedSkin, all_keypoints, keypoint_weights, keypoints_on
from mocap.synthetic.body_model import BodyModel, load_body_model, symmetric
from mocap.synthetic.body_tpose import bones_of, joint_of_bone, posed_heads, skinned, tpose_turns

ROUNDING_M = 1e-9
DENSITY_KG_M3 = 980.0
"""Of a living body, as Anny's own measures have it."""


class BodyShape(Config):
    """Anny's phenotypes, 0 to 1 each.

    gender: 0 male, 1 female. age: 0 newborn, 1/3 child, 2/3 young adult, 1 old. height: of its sex and age; heights of
    living people lie between 0.2 and 0.6. proportions: 1 as the textbooks of drawing have them.
    """

    gender: float = Field(default=0.5, ge=0, le=1)
    age: float = Field(default=0.7, ge=0, le=1)
    muscle: float = Field(default=0.5, ge=0, le=1)
    weight: float = Field(default=0.5, ge=0, le=1)
    height: float = Field(default=0.38, ge=0, le=1)
    proportions: float = Field(default=0.5, ge=0, le=1)


@dataclass(frozen=True, eq=False)
class Body:
    """In the T-pose, facing -Y, soles on z = 0, exactly symmetric.

    skeleton: `humanoid` with this body's rest offsets and tips. vertices: (V, 3) m. weights: (V, J) on the joints, rows
    sum to 1. keypoints: (K, 3) m, of all keypoint sets, with their weights (K, J) on the joints; keypoint_depth_m: (K,)
    distance of each to the nearest skin.
    """

    shape: BodyShape
    skeleton: SkeletonDefinition
    vertices: Float32[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]
    weights: csr_array
    keypoint_names: tuple[str, ...]
    keypoints: Float[np.ndarray, "K 3"]
    keypoint_weights: Float[np.ndarray, "K J"]
    keypoint_depth_m: Float[np.ndarray, "K"]

    @property
    def height_m(self) -> float:
        """From the soles to the crown."""
        return float(self.vertices[:, 2].max())

    @property
    def mass_kg(self) -> float:
        """Estimated from the volume."""
        a, b, c = np.moveaxis(self.vertices[self.faces].astype(np.float64), 1, 0)
        return float(np.einsum("fi,fi->", np.cross(a, b), c) / 6.0 * DENSITY_KG_M3)

    def keypoint(self, name: str) -> Float[np.ndarray, "3"]:
        """Where one keypoint lies in the T-pose, m."""
        return self.keypoints[self.keypoint_names.index(name)]


def make_body(shape: BodyShape) -> Body:
    """The body of a shape. The first call of a process loads Anny."""
    rig = _rig()
    skin = jointed_skin(rig.model, rig.skeleton, shape)
    keypoints, depth_m = keypoints_on(skin)
    return Body(
        shape=shape,
        skeleton=_skeleton(skin, keypoints),
        vertices=skin.vertices.astype(np.float32),
        faces=skin.faces,
        weights=rig.weights,
        keypoint_names=all_keypoints(),
        keypoints=keypoints,
        keypoint_weights=rig.keypoint_weights,
        keypoint_depth_m=depth_m,
    )


@dataclass(frozen=True, eq=False)
class _Rig:
    """What does not depend on the shape. weights: (V, J), keypoint_weights: (K, J), both shared by all bodies."""

    model: BodyModel
    skeleton: SkeletonDefinition
    weights: csr_array
    keypoint_weights: Float[np.ndarray, "K J"]


@lru_cache(maxsize=1)
def _rig() -> _Rig:
    model, skeleton = load_body_model(), load_skeleton("humanoid")
    belongs = joint_of_bone(model, skeleton)
    weights = _symmetric_weights(model, csr_array(model.weights @ belongs), skeleton)
    joints = {name: int(joint) for name, joint in zip(model.bone_names, belongs.argmax(1), strict=True)}
    shares = keypoint_weights(weights, skeleton, joints)
    shares.setflags(write=False)
    return _Rig(model, skeleton, csr_array(weights, dtype=np.float32), shares)


def jointed_skin(model: BodyModel, skeleton: SkeletonDefinition, shape: BodyShape) -> JointedSkin:
    """Anny's mesh in the T-pose on the joints of `skeleton`, soles on z = 0."""
    rest, heads = model.rest(shape.model_dump())
    turns = tpose_turns(model, heads)
    posed = posed_heads(model, heads, turns)
    vertices = symmetric(skinned(rest, model.weights, heads=heads, posed=posed, turns=turns), model.mirror_vertices)
    posed = symmetric(posed, model.mirror_bones)
    joints = _joints(model, posed, skeleton)
    origin = np.array([0.0, joints[0, 1], vertices[:, 2].min()])
    return JointedSkin(
        skeleton=skeleton,
        joints=joints - origin,
        bones=dict(zip(model.bone_names, posed - origin, strict=True)),
        vertices=vertices - origin,
        faces=model.faces,
        faces_around=model.faces_around,
    )


def _joints(
    model: BodyModel, heads: Float[np.ndarray, "B 3"], skeleton: SkeletonDefinition
) -> Float[np.ndarray, "J 3"]:
    """Heads of each joint's first bone; the pelvis lies midway between the hips and the lowest joint of the spine.

    (Anny's root lies behind the hips, level with them, which would make the pelvis' axis point backwards.)
    """
    joints = heads[[model.bone(bones_of(name)[0]) for name in skeleton.joint_names]]
    hips = joints[[skeleton.index("LeftUpLeg"), skeleton.index("RightUpLeg")]].mean(0)
    joints[skeleton.index("Hips")] = (hips + joints[skeleton.index("Spine")]) / 2
    return joints


def _symmetric_weights(model: BodyModel, weights: csr_array, skeleton: SkeletonDefinition) -> csr_array:
    mirrored = weights[model.mirror_vertices][:, skeleton.mirror_permutation]
    return csr_array((weights + mirrored) / 2)


def _skeleton(skin: JointedSkin, keypoints: Float[np.ndarray, "K 3"]) -> SkeletonDefinition:
    """The joints' rest offsets; tips at the crown, the middle fingers' ends and the big toes (on the foot's axis)."""
    names, parents = skin.skeleton.joint_names, skin.skeleton.parents
    offsets = np.where((parents >= 0)[:, None], skin.joints - skin.joints[parents], skin.joints)
    offsets[np.abs(offsets) < ROUNDING_M] = 0.0
    ends = {"Head": "head"}
    for side in ("Left", "Right"):
        ends |= {f"{side}Hand": f"{side.lower()}_middle4", f"{side}ToeBase": f"{side.lower()}_big_toe"}
    tips = np.full_like(offsets, np.nan)
    for joint, keypoint in ends.items():
        tips[names.index(joint)] = keypoints[all_keypoints().index(keypoint)] - skin.joints[names.index(joint)]
        if joint.endswith("ToeBase"):
            tips[names.index(joint), 0] = 0.0
    return replace(skin.skeleton, rest_offsets=offsets, tips=tips)
