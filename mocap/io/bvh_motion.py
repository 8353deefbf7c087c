"""Between `Motion` (metres, Z up, quaternions) and `BvhFile` (any unit, any up axis, degrees)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.io.axes import METRES_PER_UNIT, Unit, Up, file_from_world, metres_per, turn_quaternions
from mocap.io.bvh_file import BvhFile, joint_positions, local_rotations, local_translations
from mocap.io.euler import RotationOrder, continuous_euler
from mocap.io.file_people import MAX_STRETCH_M, check_stretch, mirror_pairs

POSITIONS = ("Xposition", "Yposition", "Zposition")

# Height of the root joint over the lowest joint of a standing adult; see `guess_conventions`.
USUAL_HIP_HEIGHT_M = 0.92
PLAUSIBLE_HIP_HEIGHT_M = (0.65, 1.25)
# Units that files are really in. The CMU library states its own: 1 unit = 1 / 0.45 inch.
GUESSED_UNITS = {**METRES_PER_UNIT, "CMU units": 0.0254 / 0.45}


class BvhConfig(Config):
    """How a BVH is written; the format itself says nothing of up axis and unit.

    rotation_order: ZXY is the order of the first BVH files and of MotionBuilder's, which every reader knows. Its
    pole is a quarter turn about X, which in a T-pose is the twist of the arms, seldom reached, whereas arms hanging
    down (about Z) and a body turned sideways (about Y) stay clear of it. name_prefix: e.g. "mixamorig:". end_sites:
    where the bones without child joints end; some readers make bones of them, some miss them where they are not.
    """

    up: Up = "y"
    unit: Unit = "cm"
    rotation_order: RotationOrder = "ZXY"
    name_prefix: str = ""
    end_sites: bool = True


def bvh_from_motion(motion: Motion, config: BvhConfig) -> BvhFile:
    """The motion in a file's axes and unit. All rotations zero is the T-pose.

    The root has six channels, its OFFSET is zero (readers that add OFFSET and position agree with those that do not),
    every other joint three; a joint without children gets an End Site at its tip, at zero length where it has none.
    A motion without frames becomes one frame at rest: Blender's importer fails on a file of none.
    """
    motion = motion if motion.n_frames else _at_rest(motion)
    skeleton = motion.skeleton
    order = _depth_first(skeleton)
    parents = np.where(skeleton.parents[order] < 0, -1, np.argsort(order)[skeleton.parents[order]])
    axes, scale = file_from_world(config.up), 1.0 / metres_per(config.unit)
    offsets = skeleton.rest_offsets[order] @ axes.T * scale
    offsets[0] = 0.0
    leaves = np.flatnonzero(~np.isin(np.arange(len(order)), parents) & config.end_sites)
    tips = np.nan_to_num(skeleton.tips[order][leaves], nan=0.0)
    turned = turn_quaternions(motion.local_rotations[:, order], axes)
    angles = np.rad2deg(continuous_euler(turned, config.rotation_order))
    rotations = tuple(f"{axis}rotation" for axis in config.rotation_order)
    return BvhFile(
        joint_names=tuple(_file_name(config.name_prefix + skeleton.joint_names[j]) for j in order),
        parents=parents,
        offsets=offsets,
        channels=((*POSITIONS, *rotations), *[rotations] * (len(order) - 1)),
        end_parents=leaves,
        end_offsets=tips @ axes.T * scale,
        values=np.hstack([motion.root_translation @ axes.T * scale, angles.reshape(motion.n_frames, -1)]),
        frame_time=1.0 / motion.fps,
    )


def _depth_first(skeleton: SkeletonDefinition) -> Int[np.ndarray, "J"]:
    """Joints as a file lists them: each followed by all that hangs on it, siblings in their order."""
    order: list[int] = []
    waiting = [0]
    while waiting:
        joint = waiting.pop()
        order.append(joint)
        waiting += skeleton.children(joint)[::-1].tolist()
    return np.array(order)


def _file_name(name: str) -> str:
    return re.sub(r"[\s{}]+", "_", name.strip())


@dataclass(frozen=True)
class BvhConventions:
    """A guess at what a BVH leaves unsaid, with the reason in words. `certain` is False where it is a coin's toss."""

    up: Up
    metres_per_unit: float
    reason: str
    certain: bool


def guess_conventions(bvh: BvhFile) -> BvhConventions:
    """Up axis and unit from the body itself.

    Up is the axis along which the head lies over the feet (all frames); the unit is the one that brings the greatest
    height of the root over the lowest joint nearest to a standing adult's 0.92 m. Both are guesses: show the reason.
    """
    positions = joint_positions(bvh)
    axis, how = _vertical(bvh, positions)
    vertical = positions[..., axis]
    hip_height = float((vertical[:, 0] - vertical.min(axis=1)).max()) if bvh.n_frames else 0.0
    up: Up = "z" if axis == 2 else "y"
    if hip_height <= 0:
        return BvhConventions(up, 0.01, f"{how}; no height to tell the unit from, taken as centimetres", certain=False)
    ratio = {name: abs(np.log(hip_height * size / USUAL_HIP_HEIGHT_M)) for name, size in GUESSED_UNITS.items()}
    unit = min(ratio, key=lambda name: ratio[name])
    height_m = hip_height * GUESSED_UNITS[unit]
    fits = PLAUSIBLE_HIP_HEIGHT_M[0] <= height_m <= PLAUSIBLE_HIP_HEIGHT_M[1]
    reason = f"{how}; the hips reach {hip_height:.4g} units over the lowest joint, {height_m:.2f} m if these are {unit}"
    return BvhConventions(up, GUESSED_UNITS[unit], reason, certain=fits)


def _vertical(bvh: BvhFile, positions: Float[np.ndarray, "T J 3"]) -> tuple[int, str]:
    """1 or 2, and why: head over feet by name, else where the body is longest."""
    if not bvh.n_frames:
        return 1, "no frames: Y taken as up, as usual in BVH"
    head, feet = _named(bvh, "head", "neck"), _named(bvh, "foot", "ankle", "toe")
    if head and feet:
        direction = (positions[:, head].mean(axis=1) - positions[:, feet].mean(axis=1)).mean(axis=0)
        axis = 2 if abs(direction[2]) > abs(direction[1]) else 1
        return axis, f"{'XYZ'[axis]} is up: the head is over the feet along it"
    extent = np.ptp(positions, axis=1).mean(axis=0)
    axis = 2 if extent[2] > extent[1] else 1
    return axis, f"{'XYZ'[axis]} taken as up: the body is longest along it"


def _named(bvh: BvhFile, *words: str) -> list[int]:
    return [j for j, name in enumerate(bvh.joint_names) if any(word in name.lower() for word in words)]


def _at_rest(motion: Motion) -> Motion:
    """One frame of the rest pose."""
    turns = np.tile([1.0, 0.0, 0.0, 0.0], (1, len(motion.skeleton), 1))
    return replace(motion, root_translation=motion.skeleton.rest_offsets[:1], local_rotations=turns, joint_sd_m=None)


def motion_from_bvh(
    bvh: BvhFile, *, up: Up, unit: Unit | float, person: str = "person", max_stretch_m: float = MAX_STRETCH_M
) -> Motion:
    """Metres, Z up. The file's zero pose becomes the rest pose of the skeleton, with free joints, on the floor.

    up, unit (a name or metres a unit): a BVH does not say them; `guess_conventions` helps. Bones of a `Motion` are
    constant: a joint that moves against its parent by more than `max_stretch_m` is refused, else the median counts. A
    file without frames is a motion without frames.
    """
    if len(bvh.roots) != 1:
        names = ", ".join(bvh.joint_names[j] for j in bvh.roots)
        raise InputError(f"has {len(bvh.roots)} roots ({names}); a motion has one", remedy="Use split_roots first.")
    world_from_file, scale = file_from_world(up).T, metres_per(unit)
    translations = local_translations(bvh) * scale @ world_from_file.T
    resting = bvh.offsets * scale @ world_from_file.T
    offsets = _constant_offsets(bvh, translations, max_stretch_m) if bvh.n_frames else resting
    return Motion(
        skeleton=_skeleton(bvh, offsets, bvh.end_offsets * scale @ world_from_file.T),
        root_translation=translations[:, 0],
        local_rotations=turn_quaternions(local_rotations(bvh), world_from_file),
        fps=bvh.fps,
        person=person,
    )


def _constant_offsets(
    bvh: BvhFile, translations: Float[np.ndarray, "T J 3"], max_stretch_m: float
) -> Float[np.ndarray, "J 3"]:
    offsets = np.median(translations, axis=0)
    stretch = np.linalg.norm(translations - offsets, axis=-1).max(axis=0)
    stretch[0] = 0.0
    check_stretch(bvh.joint_names, stretch, max_stretch_m)
    return offsets


def _skeleton(bvh: BvhFile, offsets: Float[np.ndarray, "J 3"], ends: Float[np.ndarray, "E 3"]) -> SkeletonDefinition:
    """Rest pose with the lowest joint or tip on the floor and the root above the origin."""
    n = len(offsets)
    tips = np.full((n, 3), np.nan)
    for joint, end in zip(bvh.end_parents[::-1].tolist(), ends[::-1], strict=True):
        if joint not in bvh.parents and np.linalg.norm(end) > 0:
            tips[joint] = end
    offsets = offsets.copy()
    offsets[0] = 0.0
    rest = offsets.copy()
    for joint in range(1, n):
        rest[joint] += rest[bvh.parents[joint]]
    offsets[0, 2] = -min(rest[:, 2].min(), np.nanmin((rest + tips)[:, 2], initial=np.inf))
    return SkeletonDefinition(
        name="bvh",
        joint_names=bvh.joint_names,
        parents=bvh.parents,
        rest_offsets=offsets,
        limits=np.tile([-2 * np.pi, 2 * np.pi], (n, 3, 1)),
        tips=tips,
        mirror_pairs=mirror_pairs(bvh.joint_names),
    )
