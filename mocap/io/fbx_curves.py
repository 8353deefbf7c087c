"""Animation stacks: one take each, with curves for the root's place and every joint's turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mocap.core.motion import Motion
from mocap.io.fbx_config import FbxConfig
from mocap.io.fbx_document import FbxObjects, frame_ticks, set_properties
from mocap.io.fbx_node import full_name
from mocap.io.fbx_rig import Rig, curve_values

KEY_VERSION = 4009
LINEAR = 0x00000004
# Slopes and weights of a key, which straight lines have no use for: the values that the SDK puts there.
NO_TANGENTS = np.array([0.0, 0.0, 9.419963346924634e-30, 0.0], dtype=np.float32)


def add_stack(objects: FbxObjects, name: str, played: Sequence[tuple[Motion, Rig]], config: FbxConfig) -> int:
    """One take in which these people move together. Returns its length in ticks."""
    stop = max(int(frame_ticks(motion.n_frames, motion.fps)[-1]) for motion, _ in played)
    stack, stack_id = objects.add("AnimationStack", full_name(name, "AnimStack"), "")
    spans = [("LocalStart", 0), ("LocalStop", stop), ("ReferenceStart", 0), ("ReferenceStop", stop)]
    set_properties(stack, *[(key, "KTime", "Time", "", np.int64(at)) for key, at in spans])
    _, layer_id = objects.add("AnimationLayer", full_name("BaseLayer", "AnimLayer"), "")
    objects.connect(layer_id, stack_id)
    for motion, rig in played:
        times = frame_ticks(motion.n_frames, motion.fps)
        translation, rotation = curve_values(motion, rig, config)
        _add_channel(objects, layer_id, rig.joints[0], "Lcl Translation", times, translation)
        for joint, model in enumerate(rig.joints):
            _add_channel(objects, layer_id, model, "Lcl Rotation", times, rotation[:, joint])
    return stop


def _add_channel(
    objects: FbxObjects,
    layer: np.int64,
    model: np.int64,
    channel: str,
    times: Int[np.ndarray, "T"],
    values: Float[np.ndarray, "T 3"],
) -> None:
    node, node_id = objects.add("AnimationCurveNode", full_name(channel[4], "AnimCurveNode"), "")
    axes = ("d|X", "d|Y", "d|Z")
    set_properties(node, *[(axis, "Number", "", "A", float(v)) for axis, v in zip(axes, values[0], strict=True)])
    objects.connect(node_id, layer)
    objects.connect(node_id, model, channel)
    for axis, curve in zip(axes, values.T, strict=True):
        curve_id = _add_curve(objects, times, curve)
        objects.connect(curve_id, node_id, axis)


def _add_curve(objects: FbxObjects, times: Int[np.ndarray, "T"], values: Float[np.ndarray, "T"]) -> np.int64:
    """Straight lines between frames; a value that never changes has its first and last key alone."""
    stored = values.astype(np.float32)
    if len(stored) > 2 and (stored == stored[0]).all():
        times, stored = times[[0, -1]], stored[[0, -1]]
    curve, curve_id = objects.add("AnimationCurve", full_name("", "AnimCurve"), "")
    curve.add("Default", float(values[0]))
    curve.add("KeyVer", KEY_VERSION)
    curve.add("KeyTime", times)
    curve.add("KeyValueFloat", stored)
    curve.add("KeyAttrFlags", np.array([LINEAR], dtype=np.int32))
    curve.add("KeyAttrDataFloat", NO_TANGENTS)
    curve.add("KeyAttrRefCount", np.array([len(stored)], dtype=np.int32))
    return curve_id
