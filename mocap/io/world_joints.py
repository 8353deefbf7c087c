"""Where the joints of a motion are in the world, for writers: numpy, all frames and joints of one depth at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints3D, KeypointSet
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition


def joint_worlds(motion: Motion) -> tuple[Float[np.ndarray, "T J 4"], Float[np.ndarray, "T J 3"]]:
    """world_from_joint as unit quaternions (wxyz), and positions in metres."""
    skeleton = motion.skeleton
    rotations = motion.local_rotations.copy()
    positions = np.tile(skeleton.rest_offsets, (motion.n_frames, 1, 1))
    positions[:, 0] = motion.root_translation
    for joints in joints_by_depth(skeleton.parents)[1:]:
        above = skeleton.parents[joints]
        positions[:, joints] = positions[:, above] + quat_turned(rotations[:, above], skeleton.rest_offsets[joints])
        rotations[:, joints] = quat_product(rotations[:, above], rotations[:, joints])
    return rotations, positions


def rest_positions(skeleton: SkeletonDefinition) -> Float[np.ndarray, "J 3"]:
    """Joints in the rest pose, metres, the root at its rest offset."""
    positions = skeleton.rest_offsets.copy()
    for joints in joints_by_depth(skeleton.parents)[1:]:
        positions[joints] += positions[skeleton.parents[joints]]
    return positions


def joints_by_depth(parents: Int[np.ndarray, "J"]) -> list[Int[np.ndarray, "n"]]:
    """The roots, then their children, and so on; every parent must come before its children."""
    depth = np.zeros(len(parents), dtype=np.int64)
    for joint, parent in enumerate(parents.tolist()):
        depth[joint] = 0 if parent < 0 else depth[parent] + 1
    return [np.flatnonzero(depth == level) for level in range(int(depth.max(initial=-1)) + 1)]


def quat_product(a: Float[np.ndarray, "*b 4"], b: Float[np.ndarray, "*b 4"]) -> Float[np.ndarray, "*b 4"]:
    """Hamilton product of quaternions wxyz: first `b`, then `a`."""
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    w = aw * bw - (av * bv).sum(-1, keepdims=True)
    return np.concatenate([w, aw * bv + bw * av + np.cross(av, bv)], axis=-1)


def quat_turned(q: Float[np.ndarray, "*b 4"], v: Float[np.ndarray, "*#c 3"]) -> Float[np.ndarray, "*b 3"]:
    """Vectors turned by unit quaternions wxyz; the vectors' leading axes are broadcast to the quaternions'."""
    w, u = q[..., :1], q[..., 1:]
    t = 2 * np.cross(u, np.broadcast_to(v, u.shape))
    return v + w * t + np.cross(u, t)


def quat_inverse(q: Float[np.ndarray, "*b 4"]) -> Float[np.ndarray, "*b 4"]:
    """Of unit quaternions wxyz."""
    return q * [1.0, -1.0, -1.0, -1.0]


def with_axes(
    local_rotations: Float[np.ndarray, "*t J 4"], axes: Float[np.ndarray, "J 4"], parents: Int[np.ndarray, "J"]
) -> Float[np.ndarray, "*t J 4"]:
    """The same poses for joints that are turned by `axes` (world_from_joint) at rest: A_parent^-1 L A_joint."""
    above = np.where(parents[:, None] >= 0, axes[parents], [1.0, 0.0, 0.0, 0.0])
    first = quat_product(np.broadcast_to(quat_inverse(above), local_rotations.shape), local_rotations)
    return quat_product(first, np.broadcast_to(axes, local_rotations.shape))


def joint_points(motions: Sequence[Motion]) -> Keypoints3D:
    """The joints themselves as points that nobody filmed: confidence 1, no view, no reprojection error.

    All must share frame rate, length and joints, as the people of one take do.
    """
    if not motions:
        raise InputError("there is no motion whose joints could be points")
    first = motions[0]
    names, parents = first.skeleton.joint_names, first.skeleton.parents
    for motion in motions:
        if (motion.fps, motion.n_frames, motion.skeleton.joint_names) != (first.fps, first.n_frames, names):
            raise InputError(f"the motions of {first.person!r} and {motion.person!r} differ in joints, length or rate")
    xyz = np.stack([joint_worlds(motion)[1] for motion in motions], axis=1)
    edges = tuple((names[parent], names[joint]) for joint, parent in enumerate(parents.tolist()) if parent >= 0)
    return Keypoints3D(
        keypoint_set=KeypointSet(first.skeleton.name, names, edges, first.skeleton.mirror_pairs, names),
        xyz=xyz,
        confidence=np.ones(xyz.shape[:-1]),
        reprojection_px=np.full(xyz.shape[:-1], np.nan),
        n_views=np.zeros(xyz.shape[:-1], dtype=np.int64),
        fps=first.fps,
    )
