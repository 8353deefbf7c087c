"""Motions to USD: a UsdSkel skeleton, its animation and, where there is one, the body's mesh for every person.

The text form of the format (.usda), which every reader of USD takes. Time codes are frame numbers from 0 and
`timeCodesPerSecond` is the frame rate, so that it is exact; of several people the first's rate counts, and the others'
keys lie between whole codes where theirs differs. Rest and bind pose are the T-pose, where every joint's axes are the
file's, or turned as `axes` says.
UsdSkel: https://openusd.org/release/api/_usd_skel__schemas.html (rotations are (w, x, y, z), matrices act on rows).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.config import Config
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.core.skin import SkinnedMesh
from mocap.io.artefacts import atomic_path
from mocap.io.axes import Unit, Up, file_from_world, metres_per
from mocap.io.file_rig import FileRig, paired_with_skins, rigs_of
from mocap.io.gltf_mesh import float32_weights, vertex_normals
from mocap.io.world_joints import rest_positions

Person = tuple[Motion, SkinnedMesh | None, FileRig]

SKIN_COLOUR = (0.72, 0.63, 0.56)


class UsdConfig(Config):
    """How a USD is written. up, unit: the file states both (`upAxis`, `metersPerUnit`). scene: name of the top prim."""

    up: Up = "y"
    unit: Unit = "m"
    name_prefix: str = ""
    scene: str = "take"


def write_usd(
    motions: Sequence[Motion],
    path: Path,
    config: UsdConfig | None = None,
    *,
    skins: Sequence[SkinnedMesh | None] = (),
    axes: Sequence[Float[np.ndarray, "J 4"] | None] = (),
) -> None:
    """Write one .usda for all people, whole or not at all; the same motions give the same bytes.

    skins, axes: one or None for each motion, or none at all. axes: world_from_joint at rest, wxyz; None for the axes of
    the file. A motion without frames is a skeleton in its rest pose.
    """
    config = config or UsdConfig()
    rigs = rigs_of(motions, axes, file_from_world(config.up), metres_per(config.unit))
    pairs = [(*pair, rig) for pair, rig in zip(paired_with_skins(motions, skins), rigs, strict=True)]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for line in _scene(pairs, config):
            file.write(line + "\n")


def _scene(pairs: list[Person], config: UsdConfig) -> Iterator[str]:
    scene = prim_name(config.scene)
    rate = pairs[0][0].fps
    yield from _header(pairs, config, scene)
    yield f'def Xform "{scene}" (kind = "component")\n{{'
    taken: set[str] = set()
    for person in pairs:
        name = _unused(prim_name(person[0].person), taken)
        yield from _person(person, f"/{scene}/{name}", config, rate)
    yield "}"


def _header(pairs: list[Person], config: UsdConfig, scene: str) -> Iterator[str]:
    rate = pairs[0][0].fps
    last = max((motion.n_frames - 1) * rate / motion.fps for motion, _, _ in pairs)
    yield "#usda 1.0\n("
    yield f'    defaultPrim = "{scene}"'
    yield f"    metersPerUnit = {_number(metres_per(config.unit))}"
    yield f'    upAxis = "{config.up.upper()}"'
    yield f"    timeCodesPerSecond = {_number(rate)}\n    framesPerSecond = {_number(rate)}"
    if last >= 0:
        yield f"    startTimeCode = 0\n    endTimeCode = {_number(last)}"
    yield ")\n"


def prim_name(name: str) -> str:
    """A name that USD allows: letters, digits and `_`, no digit first."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", name) or "_"
    return f"_{name}" if name[0].isdigit() else name


def _unused(name: str, taken: set[str]) -> str:
    """The name, or `name_2`, `name_3`, … where another has it; keeps note of it."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def joint_paths(skeleton: SkeletonDefinition, prefix: str = "") -> list[str]:
    """`Hips`, `Hips/Spine`, …: what UsdSkel knows joints and their parents by."""
    taken: set[str] = set()
    paths: list[str] = []
    for name, parent in zip(skeleton.joint_names, skeleton.parents.tolist(), strict=True):
        own = _unused(prim_name(prefix + name), taken)
        paths.append(own if parent < 0 else f"{paths[parent]}/{own}")
    return paths


def _person(person: Person, path: str, config: UsdConfig, rate: float) -> Iterator[str]:
    motion, skin, rig = person
    axes, scale = file_from_world(config.up), 1.0 / metres_per(config.unit)
    yield f'    def SkelRoot "{path.rpartition("/")[2]}" (prepend apiSchemas = ["SkelBindingAPI"])\n    {{'
    yield from _extent(motion, skin, axes * scale)
    yield from _skeleton(motion, rig, path, config)
    if motion.n_frames:
        yield from _animation(motion, rig, config, rate)
    yield "        }"
    if skin is not None:
        yield from _mesh(skin, path, axes, scale)
    yield "    }"


def _extent(motion: Motion, skin: SkinnedMesh | None, file_from_metres: Float[np.ndarray, "3 3"]) -> Iterator[str]:
    """A box that holds the body in every frame: as far around the root as the rest pose reaches from it."""
    rest = rest_positions(motion.skeleton)
    points = rest if skin is None else np.vstack([rest, skin.vertices])
    reach = np.linalg.norm(points - rest[0], axis=-1).max() * np.linalg.norm(file_from_metres[0])
    roots = (motion.root_translation if motion.n_frames else rest[:1]) @ file_from_metres.T
    yield f"        float3[] extent = {_tuples(np.stack([roots.min(0) - reach, roots.max(0) + reach]))}"


def _skeleton(motion: Motion, rig: FileRig, path: str, config: UsdConfig) -> Iterator[str]:
    skeleton = motion.skeleton
    names = [config.name_prefix + name for name in skeleton.joint_names]
    at_rest = np.tile(np.eye(4), (len(skeleton), 1, 1))
    at_rest[:, :3, :3] = Rotation.from_quat(rig.rest_rotations[:, [1, 2, 3, 0]]).as_matrix()
    at_rest[:, :3, 3] = rig.offsets
    own = _skeleton_path(path)
    yield f'        def Skeleton "{own.rpartition("/")[2]}" (prepend apiSchemas = ["SkelBindingAPI"])\n        {{'
    yield f"            uniform token[] joints = {_tokens(joint_paths(skeleton, config.name_prefix))}"
    yield f"            uniform token[] jointNames = {_tokens(names)}"
    yield f"            uniform matrix4d[] bindTransforms = {_matrices(rig.bind_matrices)}"
    yield f"            uniform matrix4d[] restTransforms = {_matrices(at_rest)}"
    if motion.n_frames:
        yield f"            rel skel:animationSource = <{own}/Animation>"


def _skeleton_path(person: str) -> str:
    """`/take/ann/ann_skeleton`: Blender and others call the armature after the last part."""
    return f"{person}/{person.rpartition('/')[2]}_skeleton"


def _animation(motion: Motion, rig: FileRig, config: UsdConfig, rate: float) -> Iterator[str]:
    paths = joint_paths(motion.skeleton, config.name_prefix)
    codes = [_number(code) for code in (np.arange(motion.n_frames) * (rate / motion.fps)).tolist()]
    yield '            def SkelAnimation "Animation"\n            {'
    yield f"                uniform token[] joints = {_tokens(paths)}"
    yield f"                half3[] scales = [{', '.join(['(1, 1, 1)'] * len(paths))}]"
    yield "                float3[] translations.timeSamples = {"
    rest = "".join(f", {one}" for one in _rows(rig.offsets[1:]))
    for code, place in zip(codes, _rows(rig.root), strict=True):
        yield f"                    {code}: [{place}{rest}],"
    yield "                }\n                quatf[] rotations.timeSamples = {"
    for code, turns in zip(codes, rig.rotations, strict=True):
        yield f"                    {code}: {_tuples(turns)},"
    yield "                }\n            }"


def _mesh(skin: SkinnedMesh, path: str, axes: Float[np.ndarray, "3 3"], scale: float) -> Iterator[str]:
    vertices = skin.vertices @ axes.T
    joints, weights = float32_weights(skin.joints, skin.weights)
    skinning = '(\n                elementSize = 4\n                interpolation = "vertex"\n            )'
    flat_joints, flat_weights = joints.ravel().tolist(), _numbers(weights.ravel())
    colour = ", ".join(map(str, SKIN_COLOUR))
    name = _unused(prim_name(skin.name), {_skeleton_path(path).rpartition("/")[2]})
    yield f'        def Mesh "{name}" (prepend apiSchemas = ["SkelBindingAPI"])\n        {{'
    yield '            uniform token subdivisionScheme = "none"'
    yield f"            int[] faceVertexCounts = [{', '.join(['3'] * len(skin.faces))}]"
    yield f"            int[] faceVertexIndices = {skin.faces.ravel().tolist()}"
    yield f"            point3f[] points = {_tuples(vertices * scale)}"
    yield f"            float3[] extent = {_tuples(np.stack([vertices.min(0), vertices.max(0)]) * scale)}"
    yield f"            normal3f[] normals = {_tuples(vertex_normals(vertices, skin.faces))} ("
    yield '                interpolation = "vertex"\n            )'
    yield f"            color3f[] primvars:displayColor = [({colour})]"
    yield f"            int[] primvars:skel:jointIndices = {flat_joints} {skinning}"
    yield f"            float[] primvars:skel:jointWeights = [{', '.join(flat_weights)}] {skinning}"
    identity = "( (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1) )"
    yield f"            uniform matrix4d primvars:skel:geomBindTransform = {identity}"
    yield f"            rel skel:skeleton = <{_skeleton_path(path)}>"
    yield "        }"


def _tokens(names: Sequence[str]) -> str:
    escaped = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "[" + ", ".join(f'"{name}"' for name in escaped) + "]"


def _matrices(matrices: Float[np.ndarray, "N 4 4"]) -> str:
    """Vectors are rows in USD, so the places are the last row."""
    rows = (matrices.swapaxes(-1, -2) + 0.0).tolist()
    texts = (", ".join(f"({', '.join(map(_number, row))})" for row in matrix) for matrix in rows)
    return f"[{', '.join(f'( {text} )' for text in texts)}]"


def _tuples(rows: np.ndarray) -> str:
    return f"[{', '.join(_rows(rows))}]"


def _rows(rows: np.ndarray) -> list[str]:
    """Each row as `(x, y, z)`, nine digits: enough for float32."""
    pattern = f"({', '.join(['%.9g'] * rows.shape[-1])})"
    return [pattern % tuple(row) for row in (rows + 0.0).tolist()]


def _numbers(values: np.ndarray) -> list[str]:
    return [format(value, ".9g") for value in values.tolist()]


def _number(value: float) -> str:
    """All digits of a float64, whole numbers without a point."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
