"""Fitted bodies in files: AMASS-style `.npz` that other tools read, and meshes frame by frame.

The `.npz` has AMASS's keys (Mahmood et al. 2019): `trans` (T, 3) m, `poses` (T, 3 J) rotation vectors of all joints in
the model's order, `root_orient`, `pose_body`, `betas`, `gender`, `mocap_framerate` (and `mocap_frame_rate`),
`surface_model_type`; world Z up. Poses are in the axes of the SMPL family for every model, so that a viewer of AMASS
files plays Anny's motion too, on a body of its own. What only this program reads beside that: `version`, `person`,
`shape_names`, `shape`, `root_rest_m`, `rest_offsets_m`, `tips_m`, `joint_names`, and `joints_m` (T, J, 3) for anyone.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from mocap.core.body_motion import BodyMotion
from mocap.core.errors import FileFormatError, InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.core.smpl_arrays import BODY_JOINTS, SMPL_FROM_OURS
from mocap.io.artefacts import atomic_path
from mocap.io.world_joints import joint_worlds

VERSION = 1
JOINTS_OF_POSES = {"smpl": 24, "smplh": 52, "smplx": 55, "anny": 52}
"""Anny's are written as SMPL-H's, which most of AMASS has; its fingers stay as they are."""
USUAL_BETAS = 16
MeshFormat = Literal["ply", "obj"]
MESH_FORMATS: tuple[MeshFormat, ...] = get_args(MeshFormat)


def save_body_motion(body: BodyMotion, path: Path) -> None:
    """Write one person."""
    motion = body.motion
    poses = _poses(body)
    smpl = body.model != "anny"
    arrays: dict[str, Any] = {
        "trans": motion.root_translation - SMPL_FROM_OURS @ body.root_rest,
        "poses": poses,
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "betas": body.shape if smpl else np.zeros(USUAL_BETAS),
        "gender": np.array(body.gender),
        "mocap_framerate": np.float64(motion.fps),
        "mocap_frame_rate": np.float64(motion.fps),
        "surface_model_type": np.array(body.model),
        "version": np.int64(VERSION),
        "person": np.array(motion.person),
        "shape_names": np.array(body.shape_names, dtype=str),
        "shape": body.shape,
        "root_rest_m": body.root_rest,
        "rest_offsets_m": motion.skeleton.rest_offsets,
        "tips_m": motion.skeleton.tips,
        "joint_names": np.array(motion.skeleton.joint_names, dtype=str),
        "joints_m": joint_worlds(motion)[1],
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_body_motion(path: Path) -> BodyMotion:
    """Read what `save_body_motion` wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise FileFormatError(f"cannot be read as a fitted body ({error})", where=path) from None
    if "rest_offsets_m" not in arrays or int(arrays.get("version", 0)) != VERSION:
        raise FileFormatError("is no body that this program fitted: the joints of its shape are not in it", where=path)
    try:
        return _body_of(arrays)
    except KeyError as error:
        raise FileFormatError(f"has no {error.args[0]!r}", where=path) from None
    except InputError as error:
        raise FileFormatError(error.what, where=path) from None


def _poses(body: BodyMotion) -> Float[np.ndarray, "T n"]:
    """Rotation vectors in the model's axes; only the root's goes from those to the world."""
    motion = body.motion
    poses = np.zeros((motion.n_frames, JOINTS_OF_POSES[body.model], 3))
    for place, name in enumerate(BODY_JOINTS):
        turns = Rotation.from_quat(motion.local_rotations[:, motion.skeleton.index(name)][:, [1, 2, 3, 0]])
        into = Rotation.from_matrix(SMPL_FROM_OURS)
        turns = turns * into.inv() if place == 0 else into * turns * into.inv()
        poses[:, place] = turns.as_rotvec()
    return poses.reshape(motion.n_frames, -1)


def _body_of(arrays: dict[str, Any]) -> BodyMotion:
    skeleton = load_skeleton("humanoid")
    if tuple(str(name) for name in arrays["joint_names"]) != skeleton.joint_names:
        raise InputError("has joints that this program does not know")
    skeleton = replace(skeleton, rest_offsets=arrays["rest_offsets_m"], tips=arrays["tips_m"])
    poses = arrays["poses"].reshape(len(arrays["poses"]), -1, 3)
    rotations = np.zeros((len(poses), len(skeleton), 4))
    into = Rotation.from_matrix(SMPL_FROM_OURS)
    for place, name in enumerate(BODY_JOINTS):
        turns = Rotation.from_rotvec(poses[:, place])
        turns = turns * into if place == 0 else into.inv() * turns * into
        rotations[:, skeleton.index(name)] = turns.as_quat()[:, [3, 0, 1, 2]]
    root = arrays["trans"] + SMPL_FROM_OURS @ arrays["root_rest_m"]
    return BodyMotion(
        model=str(arrays["surface_model_type"]),  # pyright: ignore[reportArgumentType]
        gender=str(arrays["gender"]),  # pyright: ignore[reportArgumentType]
        shape_names=tuple(str(name) for name in arrays["shape_names"]),
        shape=arrays["shape"],
        motion=Motion(skeleton, root, rotations, float(arrays["mocap_frame_rate"]), str(arrays["person"])),
        root_rest=arrays["root_rest_m"],
    )


def write_meshes(
    frames: Iterable[Float[np.ndarray, "V 3"]], faces: Int[np.ndarray, "F 3"], stem: Path, kind: MeshFormat
) -> list[Path]:
    """One file a frame, `<stem>_00000.ply` and on, m, Z up, as the world is."""
    import trimesh

    paths = []
    for t, vertices in enumerate(frames):
        path = stem.with_name(f"{stem.name}_{t:05d}.{kind}")
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            exported = mesh.export(file_type=kind)
            assert isinstance(exported, (str, bytes))
            file.write(exported.encode() if isinstance(exported, str) else exported)
        paths.append(path)
    return paths
