"""A body model in the layout of the official SMPL files: a person of tubes, its own arrays all made here."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csc_matrix
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.core.smpl_arrays import BODY_JOINTS, SMPL_FROM_OURS, SmplArrays
from mocap.models.smpl_body import SmplBodies

RINGS, SIDES = 4, 8
HANDS = (("LeftHand", 15), ("RightHand", 15))
EXTRA = {
    "smpl": (("LeftHand", 1), ("RightHand", 1)),
    "smplh": HANDS,
    "smplx": (("Head", 1), ("Head", 1), ("Head", 1), *HANDS),  # jaw and eyes
}
"""Joints after the 22 of the body: how many hang on which."""
RADIUS_M = {"Hips": 0.14, "Spine": 0.13, "Spine1": 0.14, "Spine2": 0.15, "Head": 0.09, "UpLeg": 0.08, "Leg": 0.06}


def tube_person(model: str = "smpl", *, n_shapes: int = 6, seed: int = 0) -> SmplArrays:
    """Rings of vertices around every bone of `humanoid`; the regressor takes the mean of the ring at each joint.

    The first shapes are stature, length of legs and of arms, breadth and girth; the rest bends and widens at random.
    """
    ours = load_skeleton("humanoid")
    parents, names = _tree(model)
    joints = _joints(ours, names, parents)
    vertices, weights, faces, rings = _tubes(ours, joints, names, parents)
    regressor = np.zeros((len(parents), len(vertices)))
    for joint, ring in enumerate(rings):
        regressor[joint, ring] = 1 / len(ring)
    rng = np.random.default_rng(seed)
    shapes = _shapes(vertices, n_shapes, rng)
    posedirs = 2e-4 * rng.standard_normal((len(vertices), 3, 9 * (len(parents) - 1)))
    for ring in rings:
        posedirs[ring] -= posedirs[ring].mean(0)
    return SmplArrays(
        v_template=vertices @ SMPL_FROM_OURS.T,
        shapedirs=np.einsum("ij,vjs->vis", SMPL_FROM_OURS, shapes),
        posedirs=posedirs,
        joint_regressor=regressor,
        weights=weights,
        parents=parents,
        faces=faces,
    )


def official_layout(arrays: SmplArrays, *, sparse: bool = False) -> dict[str, Any]:
    """The dictionary that an official file holds; the root's parent is the largest unsigned number."""
    table = np.stack([arrays.parents, np.arange(len(arrays.parents))]).astype(np.uint32)
    regressor = csc_matrix(arrays.joint_regressor) if sparse else arrays.joint_regressor
    return {
        "v_template": arrays.v_template,
        "shapedirs": arrays.shapedirs,
        "posedirs": arrays.posedirs,
        "J_regressor": regressor,
        "weights": arrays.weights,
        "kintree_table": table,
        "f": arrays.faces.astype(np.uint32),
        "bs_style": "lbs",
    }


def published(
    arrays: SmplArrays, betas: np.ndarray, rotvecs: np.ndarray, trans: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Skin and joints of one pose in the model's axes, one joint after the other (Loper et al. 2015, eq. 2 to 10)."""
    shaped = arrays.v_template + arrays.shapedirs[..., : len(betas)] @ betas
    joints = arrays.joint_regressor @ shaped
    turns = Rotation.from_rotvec(rotvecs).as_matrix()
    shaped = shaped + arrays.posedirs @ (turns[1:] - np.eye(3)).ravel()
    world = [np.eye(4) for _ in joints]
    for j, parent in enumerate(arrays.parents):
        own = np.eye(4)
        own[:3, :3], own[:3, 3] = turns[j], joints[j] - (joints[parent] if j else 0)
        world[j] = own if j == 0 else world[parent] @ own
    moved = np.array([w[:3, :3] @ (shaped - joints[j]).T + w[:3, 3:] for j, w in enumerate(world)])
    skin = np.einsum("vj,jiv->vi", arrays.weights, moved)
    return skin + trans, np.array([w[:3, 3] for w in world]) + trans


def some_motion(bodies: SmplBodies, shape: np.ndarray, n_frames: int = 3) -> Motion:
    skeleton = bodies.skeleton(shape)
    rng = np.random.default_rng(1)
    turns = Rotation.from_rotvec(0.5 * rng.standard_normal((n_frames * len(skeleton), 3))).as_quat()[:, [3, 0, 1, 2]]
    return Motion(skeleton, rng.standard_normal((n_frames, 3)), turns.reshape(n_frames, -1, 4), 30.0)


def _tree(model: str) -> tuple[np.ndarray, list[str]]:
    ours = load_skeleton("humanoid")
    names = list(BODY_JOINTS)
    parents = [-1 if ours.parents[ours.index(n)] < 0 else names.index(_above(ours, n)) for n in names]
    for hand, count in EXTRA[model]:
        for k in range(count):
            first = k % 3 == 0 or count == 1
            parents.append(names.index(hand) if first else len(parents) - 1)
    return np.array(parents), names


def _above(ours, name: str) -> str:
    return ours.joint_names[ours.parents[ours.index(name)]]


def _joints(ours, names: list[str], parents: np.ndarray) -> np.ndarray:
    """The hips off the middle of the world, as official files have them; further joints 3 cm beyond their parents."""
    joints = np.zeros((len(parents), 3))
    for j, parent in enumerate(parents):
        offset = ours.rest_offsets[ours.index(names[j])] if j < len(names) else np.array([0.03, 0, 0])
        if j >= len(names) and joints[parent][0] < 0:
            offset = -offset
        joints[j] = offset if parent < 0 else joints[parent] + offset
    return joints - [0.0, 0.02, 1.2]


def _tubes(ours, joints, names, parents):
    vertices, weights, faces, rings = [], [], [], []
    for j in range(len(parents)):
        end = _end(ours, joints, names, parents, j)
        axis = end - joints[j]
        side = np.cross(axis, [0.0, 1.0, 0.3])
        side /= np.linalg.norm(side)
        other = np.cross(axis, side) / np.linalg.norm(axis)
        radius = next((r for part, r in RADIUS_M.items() if j < len(names) and part in names[j]), 0.03)
        start = len(vertices)
        for ring in range(RINGS):
            for k in range(SIDES):
                turn = 2 * np.pi * k / SIDES
                vertices.append(
                    joints[j] + axis * ring / (RINGS - 1) + radius * (np.cos(turn) * side + np.sin(turn) * other)
                )
                weights.append(np.eye(len(parents))[j])
        rings.append(np.arange(start, start + SIDES))
        for ring in range(RINGS - 1):
            for k in range(SIDES):
                a, b = start + ring * SIDES + k, start + ring * SIDES + (k + 1) % SIDES
                faces += [[a, b, a + SIDES], [b, b + SIDES, a + SIDES]]
    return np.array(vertices), np.array(weights), np.array(faces), rings


def _end(ours, joints, names, parents, j) -> np.ndarray:
    below = [c for c in range(len(parents)) if parents[c] == j]
    if below:
        return joints[below].mean(0) + 1e-3
    tip = ours.tips[ours.index(names[j])] if j < len(names) else np.full(3, np.nan)
    return joints[j] + (tip if np.isfinite(tip).all() else np.array([0.02 * np.sign(joints[j][0]), 0, 0.001]))


def _shapes(vertices: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    x, y, z = vertices.T
    low, hip = z.min(), -0.27
    zero = np.zeros_like(x)
    arm = np.sign(x) * np.clip(np.abs(x) - 0.18, 0, None)
    shapes = [
        0.04 * np.stack([x, y, z], -1),
        0.05 * np.stack([zero, zero, np.where(z < hip, z - hip, 0.0)], -1),
        0.06 * np.stack([arm, zero, zero], -1),
        0.08 * np.stack([np.clip(x, -0.18, 0.18), zero, zero], -1),
        0.05 * np.stack([zero, y, zero], -1),
    ]
    del low
    while len(shapes) < count:
        wave = rng.uniform(1, 3, 3)
        shapes.append(0.008 * np.stack([np.sin(wave[0] * z), np.sin(wave[1] * z), np.sin(wave[2] * np.abs(x))], -1))
    return np.stack(shapes[:count], -1)
