"""Other programs' eyes on FBX files, each in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh
from mocap.geometry.kinematics import forward_kinematics

ROOT = Path(__file__).resolve().parents[1]


def seen_by_ufbx(file: Path, *options: object) -> dict[str, np.ndarray]:
    """See tools/ufbx_check.py."""
    if importlib.util.find_spec("ufbx") is None:
        pytest.skip("no ufbx here: it comes with the extra `dev`")
    dump = file.with_suffix(".ufbx.npz")
    # ufbx 0.0.5 ends in a segmentation fault (evaluate_scene) in a process that loads its modules compiled, and in none
    # that compiles them: so much hangs on where things come to lie in memory.
    anew = ("-B", "-X", f"pycache_prefix={file.parent / 'nothing compiled'}")
    command = [sys.executable, *anew, ROOT / "tools" / "ufbx_check.py", file, dump, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with np.load(dump) as arrays:
        return dict(arrays)


def world_of(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Our own kinematics: world_from_joint (T, J, 3, 3) and positions (T, J, 3), metres, Z up."""
    rotations, positions = forward_kinematics(
        torch.from_numpy(motion.local_rotations.copy()),
        torch.from_numpy(motion.root_translation.copy()),
        torch.from_numpy(motion.skeleton.rest_offsets.copy()),
        motion.skeleton.parents,
    )
    quaternions = rotations.numpy()
    if quaternions.shape[-1] == 4:
        flat = quaternions[..., [1, 2, 3, 0]].reshape(-1, 4)
        quaternions = Rotation.from_quat(flat).as_matrix().reshape(*quaternions.shape[:2], 3, 3)
    return quaternions, positions.numpy()


def rest_of(motion: Motion) -> np.ndarray:
    """World positions at rest (J, 3), metres, Z up."""
    rest = motion.skeleton.rest_offsets.copy()
    for joint in range(1, len(rest)):
        rest[joint] += rest[motion.skeleton.parents[joint]]
    return rest


def box_body(motion: Motion, seed: int = 0) -> SkinnedMesh:
    """A box around every joint, whose corners follow it and its parent in random shares."""
    rng = np.random.default_rng(seed)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * [0.05, 0.04, 0.06]
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))])
    joints = np.repeat(np.arange(len(motion.skeleton)), 8)
    share = rng.uniform(0.5, 1.0, len(joints))
    zeros = np.zeros(len(joints))
    return SkinnedMesh(
        name="boxes",
        vertices=(rest_of(motion)[:, None] + corners).reshape(-1, 3),
        faces=(faces + 8 * np.arange(len(motion.skeleton))[:, None, None]).reshape(-1, 3),
        joints=np.stack([joints, np.maximum(motion.skeleton.parents[joints], 0), 0 * joints, 0 * joints], axis=1),
        weights=np.stack([share, 1 - share, zeros, zeros], axis=1),
    )


def skinned(mesh: SkinnedMesh, motion: Motion) -> np.ndarray:
    """Linear blend skinning as its definition says (T, V, 3)."""
    rotations, positions = world_of(motion)
    rest = rest_of(motion)
    moved = np.zeros((motion.n_frames, *mesh.vertices.shape))
    for place in range(4):
        joint = mesh.joints[:, place]
        local = mesh.vertices - rest[joint]
        placed = np.einsum("tvab,vb->tva", rotations[:, joint], local) + positions[:, joint]
        moved += mesh.weights[:, place, None] * placed
    return moved
