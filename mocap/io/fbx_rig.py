"""A person as FBX objects: bones in their rest pose, what binds the mesh to them, and their curves.

A bone's rest orientation is its PreRotation and its Lcl Rotation is what the pose adds, so that all zero is the rest
pose. With C the file's axes from the world's, A_j the axes of joint j at rest in the file, L_j its `local_rotations`:
PreRotation_j = A_p' A_j, Lcl Rotation_j = A_j' C L_j C' A_j, Lcl Translation_j = A_p' C offset_j / unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.io.axes import file_from_world, metres_per, turn_quaternions
from mocap.io.euler import continuous_euler
from mocap.io.fbx_config import FbxConfig
from mocap.io.fbx_document import FbxObjects, set_properties
from mocap.io.fbx_node import FbxNode, full_name
from mocap.io.world_joints import rest_positions

# FbxEuler's order of the axis that turns first is ours of `euler` read from the back: eEulerXYZ is Rz Ry Rx.
EULER_ORDERS = ("ZYX", "YZX", "XZY", "ZXY", "YXZ", "XYZ")
INHERIT_RSRS = 1
END_SUFFIX = "_End"


@dataclass(frozen=True)
class Rig:
    """A written skeleton. joints: ids of the models of the skeleton's joints; others: ids of all that is at rest too.

    rest: (J + O, 4, 4) world transforms in the file at rest, of joints and others in that order. above: where a mesh
    of this person hangs (0 is the scene).
    """

    person: str
    joints: tuple[np.int64, ...]
    others: tuple[np.int64, ...]
    rest: Float[np.ndarray, "N 4 4"]
    above: np.int64
    joint_axes: Float[np.ndarray, "J 3 3"]


def add_rig(
    objects: FbxObjects,
    motion: Motion,
    config: FbxConfig,
    axes: Float[np.ndarray, "J 4"] | None,
    names: Sequence[str],
) -> Rig:
    """The skeleton at rest. axes: world_from_joint at rest, wxyz; None for those of the file. names: of the joints."""
    skeleton, to_file = motion.skeleton, file_from_world(config.up)
    joint_axes = np.tile(np.eye(3), (len(skeleton), 1, 1))
    if axes is not None:
        joint_axes = to_file @ Rotation.from_quat(axes[:, [1, 2, 3, 0]]).as_matrix()
    scale = 1.0 / metres_per(config.unit)
    positions = rest_positions(skeleton) @ to_file.T * scale
    above, others = _add_holders(objects, motion.person, config)
    ids: list[np.int64] = []
    for joint, parent in enumerate(skeleton.parents.tolist()):
        parent_axes = joint_axes[parent] if parent >= 0 else np.eye(3)
        start = positions[parent] if parent >= 0 else np.zeros(3)
        model = _add_bone(
            objects,
            names[joint],
            translation=parent_axes.T @ (positions[joint] - start),
            pre_rotation=parent_axes.T @ joint_axes[joint],
            order=config.rotation_order,
        )
        objects.connect(model, ids[parent] if parent >= 0 else above)
        ids.append(model)
    placed = [(joint_axes[j], positions[j]) for j in range(len(skeleton))] + [(np.eye(3), np.zeros(3)) for _ in others]
    if config.end_bones:
        for joint in np.flatnonzero(np.isfinite(skeleton.tips).all(axis=-1)).tolist():
            offset = to_file @ skeleton.tips[joint] * scale
            end = _add_bone(
                objects,
                _end_name(skeleton.joint_names[joint], names[joint], config),
                translation=joint_axes[joint].T @ offset,
            )
            objects.connect(end, ids[joint])
            others.append(end)
            placed.append((joint_axes[joint], positions[joint] + offset))
    rest = np.tile(np.eye(4), (len(placed), 1, 1))
    rest[:, :3, :3], rest[:, :3, 3] = np.array([a for a, _ in placed]), np.array([p for _, p in placed])
    return Rig(motion.person, tuple(ids), tuple(others), rest, above if config.holder else np.int64(0), joint_axes)


def _end_name(joint: str, name: str, config: FbxConfig) -> str:
    """`joint` as it is in the skeleton, `name` with what stands before it in the file."""
    return name.removesuffix(joint) + config.end_names.get(joint, joint + END_SUFFIX)


def _add_holders(objects: FbxObjects, person: str, config: FbxConfig) -> tuple[np.int64, list[np.int64]]:
    """What stands still above the hips: an empty node of the person's name, a bone at the origin, both or neither."""
    above, others = np.int64(0), []
    if config.holder:
        node, above = objects.add("Model", full_name(person, "Model"), "Null")
        _fill_model(node, np.zeros(3), np.eye(3), "ZYX")
        attribute, attribute_id = objects.add("NodeAttribute", full_name(person, "NodeAttribute"), "Null")
        attribute.add("TypeFlags", "Null")
        objects.connect(attribute_id, above)
        objects.connect(above, 0)
        others.append(above)
    if config.root_bone:
        root = _add_bone(objects, config.root_bone, translation=np.zeros(3))
        objects.connect(root, above)
        above = root
        others.append(root)
    return above, others


def _add_bone(
    objects: FbxObjects,
    name: str,
    *,
    translation: Float[np.ndarray, "3"],
    pre_rotation: Float[np.ndarray, "3 3"] | None = None,
    order: str = "ZYX",
) -> np.int64:
    model, model_id = objects.add("Model", full_name(name, "Model"), "LimbNode")
    _fill_model(model, translation, np.eye(3) if pre_rotation is None else pre_rotation, order)
    attribute, attribute_id = objects.add("NodeAttribute", full_name(name, "NodeAttribute"), "LimbNode")
    set_properties(attribute, ("Size", "double", "Number", "", 1.0))
    attribute.add("TypeFlags", "Skeleton")
    objects.connect(attribute_id, model_id)
    return model_id


def _fill_model(
    model: FbxNode, translation: Float[np.ndarray, "3"], pre_rotation: Float[np.ndarray, "3 3"], order: str
) -> None:
    angles = np.rad2deg(continuous_euler(Rotation.from_matrix(pre_rotation).as_quat()[None, [3, 0, 1, 2]], "ZYX"))[0]
    model.add("Version", 232)
    set_properties(
        model,
        ("PreRotation", "Vector3D", "Vector", "", *_floats(angles[::-1])),
        ("RotationOrder", "enum", "", "", EULER_ORDERS.index(order)),
        ("RotationActive", "bool", "", "", 1),
        ("InheritType", "enum", "", "", INHERIT_RSRS),
        ("DefaultAttributeIndex", "int", "Integer", "", 0),
        ("Lcl Translation", "Lcl Translation", "", "A", *_floats(translation)),
        ("Lcl Rotation", "Lcl Rotation", "", "A", 0.0, 0.0, 0.0),
        ("Lcl Scaling", "Lcl Scaling", "", "A", 1.0, 1.0, 1.0),
    )
    model.add("Shading", np.bool_(True))
    model.add("Culling", "CullingOff")


def _floats(values: np.ndarray) -> list[float]:
    return [float(value) + 0.0 for value in values]


def curve_values(
    motion: Motion, rig: Rig, config: FbxConfig
) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T J 3"]]:
    """Lcl Translation of the root in units of the file, and Lcl Rotation of every joint about x, y, z in degrees."""
    to_file = file_from_world(config.up)
    translation = motion.root_translation @ to_file.T / metres_per(config.unit)
    turned = np.empty_like(motion.local_rotations)
    for joint, axes in enumerate(rig.joint_axes):
        turned[:, joint] = turn_quaternions(motion.local_rotations[:, joint], axes.T @ to_file)
    angles = np.rad2deg(continuous_euler(turned, config.rotation_order))
    return translation, angles[..., [config.rotation_order.index(axis) for axis in "XYZ"]]
