"""Bodies of all sizes, ready to be posed by the thousand: skeletons, keypoints that follow them, and capsules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from scipy.sparse import csr_array

from mocap.core.errors import InputError
from mocap.core.keypoints import KeypointSet
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.geometry.joint_transforms import rest_joints
from mocap.geometry.kinematics import descends_from, forward_kinematics
from mocap.geometry.rotations import quat_multiply, quat_to_matrix
from mocap.synthetic.body_parts import body_parts, fitted_parts, margins
from mocap.synthetic.body_points import place_of
from mocap.synthetic.capsules import BodyParts, PlacedParts, place_parts

BodyKind = Literal["auto", "anny", "humanoid"]

SEGMENTS = (
    ("Spine", "Spine1", "Spine2", "Neck", "LeftShoulder.z", "RightShoulder.z"),
    ("Head",),
    ("LeftShoulder.x", "RightShoulder.x", "LeftArm", "RightArm"),
    ("LeftForeArm", "RightForeArm"),
    ("LeftHand", "RightHand"),
    ("LeftUpLeg", "RightUpLeg"),
    ("LeftLeg", "RightLeg"),
    ("LeftFoot", "RightFoot"),
    ("LeftToeBase", "RightToeBase"),
)
"""Bones (by their far joint, of an axis where one is named) that are longer or shorter together."""
STATURE = (1.0, 0.07, 0.72, 1.16)
"""Mean, spread, least and most of the height against the package's 1.75 m: children of 1.26 m to men of 2.03 m."""
SEGMENT_SPREAD = 0.04
"""Of lengths against the stature (Drillis & Contini's ratios vary by 3 to 5 % between people)."""
GIRTH_SPREAD = 0.13


@runtime_checkable
class SkinnedBody(Protocol):
    """What a body made from a mesh offers (`mocap.synthetic.body.Body`)."""

    @property
    def skeleton(self) -> SkeletonDefinition:
        """Its tree and lengths."""
        ...

    @property
    def vertices(self) -> Float32[np.ndarray, "V 3"]:
        """At rest, m."""
        ...

    @property
    def weights(self) -> csr_array:
        """Of every vertex on the joints."""
        ...

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """As the keypoint sets call them."""
        ...

    @property
    def keypoints(self) -> Float[np.ndarray, "K 3"]:
        """At rest, m."""
        ...

    @property
    def keypoint_weights(self) -> Float[np.ndarray, "K J"]:
        """Of every keypoint on the joints."""
        ...


@dataclass(frozen=True, eq=False)
class BodyBank:
    """M bodies on one tree of joints, in the T-pose.

    rest_offsets, tips: (M, J, 3) m. keypoints: (M, K, 3) m, NaN for those a body lacks. weights: (M, K, J) on the
    joints. margin_m: (M, K), see `capsules`. parts: of (M, S) capsules.
    """

    skeleton: SkeletonDefinition
    rest_offsets: Float[np.ndarray, "M J 3"]
    tips: Float[np.ndarray, "M J 3"]
    keypoints: Float[np.ndarray, "M K 3"]
    weights: Float[np.ndarray, "M K J"]
    margin_m: Float[np.ndarray, "M K"]
    parts: BodyParts

    def __len__(self) -> int:
        return len(self.rest_offsets)

    def rows(self, index: Sequence[int]) -> BodyBank:
        """Some of the bodies."""
        which = np.array(index, dtype=np.int64)
        names = ("rest_offsets", "tips", "keypoints", "weights", "margin_m")
        return replace(self, parts=self.parts.rows(which), **{name: getattr(self, name)[which] for name in names})

    def body_skeleton(self, body: int) -> SkeletonDefinition:
        """The tree with the lengths of one body, to make motions on."""
        return replace(self.skeleton, rest_offsets=self.rest_offsets[body], tips=self.tips[body])


@dataclass(frozen=True, eq=False)
class PlacedPeople:
    """n people in the world: joints (n, J, 3) m, keypoints (n, K, 3) m, their capsules and margins (n, K) m."""

    joints: Float[np.ndarray, "n J 3"]
    keypoints: Float[np.ndarray, "n K 3"]
    parts: PlacedParts
    margin_m: Float[np.ndarray, "n K"]


def make_bodies(n: int, keypoint_set: KeypointSet, rng: np.random.Generator, kind: BodyKind = "auto") -> BodyBank:
    """`n` different people. kind: "anny" from the body model (extra `synth`), "humanoid" from the package's skeleton
    with other lengths, "auto" the first where it is installed."""
    make = None if kind == "humanoid" else _anny(required=kind == "anny")
    if make is None:
        return bank_of([humanoid_body(keypoint_set, rng) for _ in range(n)])
    return bank_of([skinned_body(make(rng), keypoint_set) for _ in range(n)])


def _anny(*, required: bool) -> Callable[[np.random.Generator], SkinnedBody] | None:
    """A maker of bodies from the body model; None where that is not installed and not required."""
    try:
        from mocap.synthetic.body import make_body
        from mocap.synthetic.body_sampling import sample_shape

        make_body(sample_shape(np.random.default_rng(0)))
    except InputError:
        if required:
            raise
        return None
    return lambda rng: make_body(sample_shape(rng))


def bank_of(bodies: Sequence[BodyBank]) -> BodyBank:
    """Several banks as one."""

    def joined(get: Callable[[BodyBank], np.ndarray]) -> np.ndarray:
        return np.concatenate([get(body) for body in bodies])

    parts = replace(
        bodies[0].parts,
        start=joined(lambda b: b.parts.start),
        end=joined(lambda b: b.parts.end),
        radii=joined(lambda b: b.parts.radii),
    )
    return BodyBank(
        bodies[0].skeleton,
        joined(lambda b: b.rest_offsets),
        joined(lambda b: b.tips),
        joined(lambda b: b.keypoints),
        joined(lambda b: b.weights),
        joined(lambda b: b.margin_m),
        parts,
    )


def humanoid_body(keypoint_set: KeypointSet, rng: np.random.Generator) -> BodyBank:
    """A person on the package's skeleton with other lengths and girth; keypoints where `body_points` has them."""
    mean, spread, least, most = STATURE
    stature = float(np.clip(rng.normal(mean, spread), least, most))
    skeleton = _stretched(load_skeleton("humanoid"), stature, rng)
    parts = body_parts(skeleton, girth=float(np.exp(rng.normal(0, GIRTH_SPREAD))))
    lowest = float((np.minimum(parts.start, parts.end) - parts.radii)[:, 2].min())
    offsets = skeleton.rest_offsets - np.eye(1, len(skeleton)).T * [0.0, 0.0, lowest]
    skeleton = replace(skeleton, rest_offsets=offsets)
    shift = np.array([0.0, 0.0, lowest])
    parts = replace(parts, start=parts.start - shift, end=parts.end - shift)
    joints = rest_joints(skeleton)
    points = np.full((len(keypoint_set), 3), np.nan)
    weights = np.zeros((len(keypoint_set), len(skeleton)))
    weights[:, 0] = 1.0
    for row, name in enumerate(keypoint_set.names):
        place = place_of(name)
        if place is not None:
            joint = skeleton.index(place[0])
            points[row] = joints[joint] + stature * place[1]
            weights[row] = np.eye(len(skeleton))[joint]
    return _single(skeleton, points, weights, parts)


def skinned_body(body: SkinnedBody, keypoint_set: KeypointSet) -> BodyBank:
    """A person made from a mesh: capsules as thick as the mesh, keypoints where the body has them."""
    parts = fitted_parts(body_parts(body.skeleton), body.vertices, body.weights)
    place = {name: k for k, name in enumerate(body.keypoint_names)}
    columns = np.array([place.get(name, -1) for name in keypoint_set.names])
    known = columns >= 0
    points = np.where(known[:, None], body.keypoints[columns], np.nan)
    return _single(body.skeleton, points, np.where(known[:, None], body.keypoint_weights[columns], 0.0), parts)


def _single(
    skeleton: SkeletonDefinition,
    points: Float[np.ndarray, "K 3"],
    weights: Float[np.ndarray, "K J"],
    parts: BodyParts,
) -> BodyBank:
    batched = replace(parts, start=parts.start[None], end=parts.end[None], radii=parts.radii[None])
    lengths = (np.array(skeleton.rest_offsets)[None], np.array(skeleton.tips)[None])
    return BodyBank(skeleton, *lengths, points[None], weights[None], margins(parts, points)[None], batched)


def _stretched(skeleton: SkeletonDefinition, stature: float, rng: np.random.Generator) -> SkeletonDefinition:
    factor = np.full((len(skeleton), 3), stature)
    for bones in SEGMENTS:
        stretch = np.clip(rng.normal(1, SEGMENT_SPREAD), 0.85, 1.15)
        for name, _, axis in (bone.partition(".") for bone in bones):
            factor[skeleton.index(name), "xyz".index(axis) if axis else slice(None)] *= stretch
    return replace(skeleton, rest_offsets=skeleton.rest_offsets * factor, tips=skeleton.tips * factor)


def place_people(
    bodies: BodyBank,
    which: Int[np.ndarray, "n"],
    rotations: Float[np.ndarray, "n J 4"],
    *,
    heading: Float[np.ndarray, "n"],
    place: Float[np.ndarray, "n 3"],
) -> PlacedPeople:
    """Bodies in poses (parent_from_joint, wxyz), turned by `heading` (rad) about the vertical.

    place: (n, 3) m: x and y of the root, and how far the lowest part of the body is above the floor.
    """
    R, joints = _posed(bodies, which, rotations, heading)
    parts = bodies.parts.rows(which)
    rest = _rest(bodies)[which]
    transforms = np.concatenate([R, (joints - np.einsum("njab,njb->nja", R, rest))[..., None]], axis=-1)
    lowest = _lowest(place_parts(parts, transforms), R[:, parts.joint], parts.radii)
    move = place - [[0.0, 0.0, 1.0]] * lowest[:, None]
    transforms[..., 3] += move[:, None]
    blended = (bodies.weights[which] @ transforms.reshape(*transforms.shape[:2], 12)).reshape(len(which), -1, 3, 4)
    points = (blended[..., :3] @ bodies.keypoints[which][..., None])[..., 0] + blended[..., 3]
    return PlacedPeople(joints + move[:, None], points, place_parts(parts, transforms), bodies.margin_m[which])


def _posed(
    bodies: BodyBank,
    which: Int[np.ndarray, "n"],
    rotations: Float[np.ndarray, "n J 4"],
    heading: Float[np.ndarray, "n"],
) -> tuple[Float[np.ndarray, "n J 3 3"], Float[np.ndarray, "n J 3"]]:
    """World rotations and positions of the joints with the root at the origin; every body has lengths of its own."""
    tree = bodies.skeleton
    local = torch.from_numpy(np.array(rotations))
    turn = torch.zeros((len(local), 4), dtype=local.dtype)
    turn[:, 0], turn[:, 3] = torch.from_numpy(np.cos(heading / 2)), torch.from_numpy(np.sin(heading / 2))
    local[:, 0] = quat_multiply(turn, local[:, 0])
    nowhere = torch.zeros((len(tree), 3), dtype=local.dtype)
    world, _ = forward_kinematics(local, torch.zeros((len(local), 3), dtype=local.dtype), nowhere, tree.parents)
    R = quat_to_matrix(world).numpy()
    steps = np.einsum("njab,njb->nja", R[:, np.maximum(tree.parents, 0)], bodies.rest_offsets[which])
    steps[:, 0] = 0.0
    return R, np.array(descends_from(tree.parents.tolist()), dtype=np.float64) @ steps


def _rest(bodies: BodyBank) -> Float[np.ndarray, "M J 3"]:
    return np.array(descends_from(bodies.skeleton.parents.tolist()), dtype=np.float64) @ bodies.rest_offsets


def _lowest(
    placed: PlacedParts, R: Float[np.ndarray, "n S 3 3"], radii: Float[np.ndarray, "n S 3"]
) -> Float[np.ndarray, "n"]:
    """Height of the lowest point of the capsules; an ellipsoid reaches down by the norm of its axes' vertical parts."""
    up = np.linalg.norm(R[..., 2, :] * radii, axis=-1)
    other_end = placed.start + np.einsum("nsab,nsb->nsa", R, radii * placed.along)
    return (np.minimum(placed.start, other_end)[..., 2] - up).min(-1)
