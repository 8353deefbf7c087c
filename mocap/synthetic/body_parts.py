"""The capsules of a person of any size, from the lengths of the skeleton or from a mesh."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.geometry.joint_transforms import rest_joints
from mocap.synthetic.capsules import BodyParts

MARGIN_BASE_M = 0.03
"""How far before a point on the skin its own body may begin: skin is soft, and capsules are coarse."""
MARGIN_OF_DEPTH = 1.6
"""A joint `depth` under the skin is still seen through that many times as much flesh: lines of sight are oblique."""


class Part(NamedTuple):
    """One capsule of an adult of 1.75 m. Ends: where `toward` names a child joint (or "tip"), shares of the way there;
    else offsets from `joint`, m. radii: m along x, y, z of the T-pose."""

    joint: str
    toward: str | None
    start: tuple[float, ...]
    end: tuple[float, ...]
    radii: tuple[float, float, float]


TRUNK = (
    Part("Hips", None, (-0.06, 0.0, -0.02), (0.06, 0.0, -0.02), (0.10, 0.105, 0.12)),
    Part("Spine", "Spine1", (0.0,), (1.0,), (0.14, 0.1, 0.06)),
    Part("Spine1", "Spine2", (0.0,), (1.0,), (0.15, 0.11, 0.06)),
    Part("Spine2", "Neck", (0.0,), (0.55,), (0.15, 0.11, 0.08)),
    Part("Neck", "Head", (0.0,), (1.0,), (0.055, 0.055, 0.05)),
    Part("Head", None, (0.0, -0.02, 0.02), (0.0, -0.02, 0.08), (0.077, 0.098, 0.09)),
)
TRUNK_PARTS = range(4)
"""Pelvis to chest, whose sections are far from round."""
WIDEST_PERCENT = 95.0
"""Percentile of the vertices that counts as the width: a capsule is full where a chest is round."""
LIMBS = (
    Part("Shoulder", "Arm", (0.0,), (1.0,), (0.06, 0.065, 0.05)),
    Part("Arm", "ForeArm", (0.0,), (1.0,), (0.048, 0.048, 0.048)),
    Part("ForeArm", "Hand", (0.0,), (1.0,), (0.038, 0.038, 0.038)),
    Part("Hand", "tip", (0.1,), (0.75,), (0.04, 0.042, 0.02)),
    Part("UpLeg", "Leg", (0.0,), (1.0,), (0.078, 0.078, 0.078)),
    Part("Leg", "Foot", (0.0,), (1.0,), (0.052, 0.052, 0.052)),
    Part("Foot", None, (0.0, 0.03, -0.033), (0.0, -0.18, -0.05), (0.042, 0.045, 0.03)),
)


def body_parts(skeleton: SkeletonDefinition, *, girth: float = 1.0) -> BodyParts:
    """Twenty capsules on a humanoid skeleton: lengths are its own, radii grow with its height and `girth`."""
    size = _stature(skeleton) / _stature(load_skeleton("humanoid"))
    sided = [_on_side(part, side) for side in ("Left", "Right") for part in LIMBS]
    rows = [_row(skeleton, part, size) for part in (*TRUNK, *sided)]
    joint = np.array([skeleton.index(part.joint) for part in (*TRUNK, *sided)])
    start, end, radii = (np.array(column) for column in zip(*rows, strict=True))
    return BodyParts(joint, start, end, radii * girth)


def fitted_parts(
    parts: BodyParts, vertices: Float[np.ndarray, "V 3"], weights: csr_array, *, least_vertices: int = 20
) -> BodyParts:
    """The parts as thick as a skinned mesh in the T-pose; a vertex belongs to the joint of its largest weight.

    Limbs, neck and head keep the shape of their section: half of their vertices lie within. Parts of the trunk get the
    width and depth of the mesh about them, and move to the middle of its depth: spines lie at the back. Parts with
    fewer than `least_vertices` stay as they are.
    """
    owner = np.asarray(weights.argmax(axis=1)).reshape(-1)
    start, end, radii = parts.start.copy(), parts.end.copy(), parts.radii.copy()
    for part, joint in enumerate(parts.joint):
        mine = vertices[owner == joint].astype(np.float64)
        if len(mine) < least_vertices:
            continue
        if part in TRUNK_PARTS:
            reach = np.percentile(np.abs(mine[:, 0]), WIDEST_PERCENT)
            radii[part, 0] = reach - np.abs(end[part] - start[part])[0] / 2
            back, front = np.percentile(mine[:, 1], [WIDEST_PERCENT, 100 - WIDEST_PERCENT])
            radii[part, 1] = (back - front) / 2
            start[part, 1] = end[part, 1] = (back + front) / 2
        else:
            radii[part] *= np.median(_unit_distance(mine, start[part], end[part], radii[part]))
    return BodyParts(parts.joint, start, end, radii)


def depths(parts: BodyParts, points: Float[np.ndarray, "K 3"]) -> Float[np.ndarray, "K"]:
    """How deep (m) points of the T-pose lie in the flesh, roughly: 0 outside, NaN counts as outside."""
    depth = np.zeros(len(points))
    for start, end, radii in zip(parts.start, parts.end, parts.radii, strict=True):
        inwards = (1 - _unit_distance(points, start, end, radii)) * radii.min()
        depth = np.fmax(depth, inwards)
    return depth


def margins(parts: BodyParts, points: Float[np.ndarray, "K 3"]) -> Float[np.ndarray, "K"]:
    """How far (m) before each keypoint of the T-pose its own body may begin without hiding it."""
    return MARGIN_BASE_M + MARGIN_OF_DEPTH * depths(parts, points)


def _unit_distance(
    points: Float[np.ndarray, "n 3"],
    start: Float[np.ndarray, "3"],
    end: Float[np.ndarray, "3"],
    radii: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "n"]:
    p, u = (points - start) / radii, (end - start) / radii
    t = np.clip(p @ u / max(float(u @ u), 1e-300), 0.0, 1.0)
    return np.linalg.norm(p - t[:, None] * u, axis=-1)


def _on_side(part: Part, side: str) -> Part:
    toward = part.toward if part.toward in (None, "tip") else f"{side}{part.toward}"
    return part._replace(joint=f"{side}{part.joint}", toward=toward)


def _row(skeleton: SkeletonDefinition, part: Part, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    joint = skeleton.index(part.joint)
    place = rest_joints(skeleton)[joint]
    if part.toward is None:
        start, end = np.array(part.start) * size, np.array(part.end) * size
    else:
        way = skeleton.tips[joint] if part.toward == "tip" else skeleton.rest_offsets[skeleton.index(part.toward)]
        start, end = part.start[0] * way, part.end[0] * way
    return place + start, place + end, np.array(part.radii) * size


def _stature(skeleton: SkeletonDefinition) -> float:
    return float(rest_joints(skeleton)[skeleton.index("Head"), 2])
