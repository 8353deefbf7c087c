"""Skeletons and takes out of FBX files of any program, binary or text, 6.0 and later.

A node's local transform is `T Roff Rp Rpre R Rpost' Rp' Soff Sp S Sp'` (FBX SDK, "Computing transformation matrices");
angles are degrees about x, y, z in the node's order, those of Rpre and Rpost in that of XYZ. Of several animation
layers the first counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.errors import FileFormatError, InputError
from mocap.io.fbx_ascii import decode_ascii, looks_like_ascii
from mocap.io.fbx_binary import MAGIC, decode_binary
from mocap.io.fbx_curve import curve_at
from mocap.io.fbx_rig import EULER_ORDERS
from mocap.io.fbx_scene import CHANNELS, FbxModel, FbxScene, FbxStack, scene_of

INHERIT_RRS = 2  # the child is not scaled with its parent


def read_fbx(path: Path) -> FbxScene:
    """The scene of a file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    if data.startswith(MAGIC):
        return scene_of(decode_binary(data, str(path)), str(path))
    if looks_like_ascii(data):
        return scene_of(decode_ascii(data, str(path)), str(path))
    raise FileFormatError("is not an FBX file, neither binary nor text", where=path)


def frame_times(scene: FbxScene, stack: FbxStack, fps: float | None = None) -> Float[np.ndarray, "T"]:
    """Seconds of a take's frames, from its start to its end."""
    rate = fps or scene.fps
    return stack.start_s + np.arange(int(np.floor((stack.stop_s - stack.start_s) * rate + 1e-6)) + 1) / rate


def world_transforms(
    scene: FbxScene, stack: FbxStack | None = None, times_s: Float[np.ndarray, "T"] | None = None
) -> Float[np.ndarray, "T N 4 4"]:
    """Transforms of all models in the file's world and units; without a take, one frame of their resting values."""
    moments = np.zeros(1) if times_s is None else times_s
    worlds = np.zeros((len(moments), len(scene.models), 4, 4))
    scales = np.ones((len(moments), len(scene.models), 3))
    for index, model in enumerate(scene.models):
        values = [_channel(model, index, name, stack, moments) for name in CHANNELS]
        scales[:, index] = values[2]
        parent = model.parent
        local = _local(model, *values)
        if parent < 0:
            worlds[:, index] = local
            continue
        if model.number("InheritType") == INHERIT_RRS:
            safe = np.where(np.abs(scales[:, parent]) > 0, scales[:, parent], 1.0)
            local[:, :3, :3] = local[:, :3, :3] / safe[:, :, None]
        worlds[:, index] = worlds[:, parent] @ local
    return worlds


def _channel(
    model: FbxModel, index: int, name: str, stack: FbxStack | None, times_s: Float[np.ndarray, "T"]
) -> Float[np.ndarray, "T 3"]:
    values = np.tile(model.vector(name, 1.0 if name == "Lcl Scaling" else 0.0), (len(times_s), 1))
    for axis in range(3):
        curve = stack.curves.get((index, name, axis)) if stack is not None else None
        if curve is not None:
            values[:, axis] = curve_at(curve, times_s)
    return values


def _local(
    model: FbxModel,
    translation: Float[np.ndarray, "T 3"],
    rotation: Float[np.ndarray, "T 3"],
    scaling: Float[np.ndarray, "T 3"],
) -> Float[np.ndarray, "T 4 4"]:
    order = model.number("RotationOrder")
    turn = _euler(rotation, EULER_ORDERS[order] if 0 <= order < len(EULER_ORDERS) else EULER_ORDERS[0])
    before = _euler(model.vector("PreRotation")[None], EULER_ORDERS[0])
    after = _euler(model.vector("PostRotation")[None], EULER_ORDERS[0]).swapaxes(-1, -2)
    pivot, scale_pivot = model.vector("RotationPivot"), model.vector("ScalingPivot")
    matrix = before @ turn @ after
    placed = np.tile(np.eye(4), (len(translation), 1, 1))
    placed[:, :3, :3] = matrix * scaling[:, None, :]
    inner = model.vector("ScalingOffset") + scale_pivot - scaling * scale_pivot - pivot
    placed[:, :3, 3] = translation + model.vector("RotationOffset") + pivot + (matrix @ inner[..., None])[..., 0]
    return placed


def _euler(degrees: Float[np.ndarray, "T 3"], order: str) -> Float[np.ndarray, "T 3 3"]:
    """Rotation matrices of angles about x, y, z, multiplied in `order`."""
    listed = degrees[:, ["XYZ".index(axis) for axis in order]]
    return Rotation.from_euler(order, listed, degrees=True).as_matrix()


def bind_transforms(scene: FbxScene) -> Float[np.ndarray, "N 4 4"]:
    """World transforms at rest: where the file says how a model was bound, that; else as it hangs on its parent."""
    resting = world_transforms(scene)[0]
    found = resting.copy()
    for index, model in enumerate(scene.models):
        if model.bind is not None:
            found[index] = model.bind
        elif model.parent >= 0 and np.linalg.det(resting[model.parent]) != 0:
            found[index] = found[model.parent] @ np.linalg.inv(resting[model.parent]) @ resting[index]
    return found


def pick_stack(scene: FbxScene, name: str | None) -> FbxStack | None:
    """The take of that name, or the first; None where the file has none."""
    if name is None:
        return scene.stacks[0] if scene.stacks else None
    for stack in scene.stacks:
        if stack.name == name:
            return stack
    raise InputError(f"has no take {name!r}; there are {_listed([s.name for s in scene.stacks])}", where=scene.where)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
