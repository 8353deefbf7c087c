"""Any BVH or AMC of a person onto a humanoid of any size: directions of bones kept, feet on the floor.

The world: Z up, floor at z = 0, metres; who faces forward in the source's rest pose faces -Y.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.io.asf_amc import find_asf, read_asf_amc
from mocap.io.bvh import read_bvh
from mocap.io.bvh_file import BvhFile
from mocap.signal.resample_motion import resample_motion
from mocap.synthetic.retarget_feet import bend_legs, hip_offset, leg_lengths, place_feet, standing_feet
from mocap.synthetic.retarget_floor import floor_shift, own_ankles
from mocap.synthetic.retarget_pose import Turns, humanoid_turns
from mocap.synthetic.retarget_source import SIDES, HumanSource, human_source

SUFFIXES = (".bvh", ".amc")
JUMP_DEG, JUMP_RATIO = 30.0, 10.0
"""CMU's BVH conversions jump by 79 and 154 degrees, then go on by 1 and 2."""


class RetargetConfig(Config):
    """lock_feet: keep standing feet in place by bending the legs; without, every bone's direction is the source's."""

    lock_feet: bool = True


def load_motion(
    path: Path,
    skeleton: SkeletonDefinition,
    *,
    asf: Path | None = None,
    seconds: float | None = None,
    start_s: float = 0.0,
    fps: float | None = None,
) -> Motion:
    """A BVH or AMC file on a humanoid skeleton, starting above the world's origin.

    asf: the AMC's skeleton, by default the one beside it. seconds, start_s: which part. fps: the file's own by default
    (AMC has none: 120). A first frame that is only a T-pose, as in CMU's BVH conversions, is left out.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"is neither of {', '.join(SUFFIXES)}", where=path)
    try:
        source = read_bvh(path) if path.suffix.lower() == ".bvh" else read_asf_amc(asf or find_asf(path), path)
        motion = cropped(retarget(without_start_frame(source), skeleton), start_s=start_s, seconds=seconds)
    except InputError as error:
        if error.where is not None:
            raise
        raise type(error)(error.what, where=path, remedy=error.remedy) from None
    motion = replace(motion, person=path.stem)
    return motion if fps is None else resample_motion(motion, fps)


def without_start_frame(source: BvhFile) -> BvhFile:
    """Without a first frame from which some angle jumps to the second, unlike from the second to the third."""
    if source.n_frames < 3:
        return source
    names = [name for channels in source.channels for name in channels]
    turns = source.values[:3, [name.endswith("rotation") for name in names]]
    steps = np.abs((np.diff(turns, axis=0) + 180.0) % 360.0 - 180.0).max(axis=1, initial=0.0)
    is_apart = steps[0] > max(JUMP_DEG, JUMP_RATIO * steps[1])
    return replace(source, values=source.values[1:].copy()) if is_apart else source


def cropped(motion: Motion, *, start_s: float = 0.0, seconds: float | None = None) -> Motion:
    """A part of a motion that starts above the world's origin; `seconds` may be longer than there is, not the start."""
    if start_s < 0 or (seconds is not None and seconds <= 0):
        raise InputError(f"cannot take {seconds} seconds from {start_s} s on")
    first = round(start_s * motion.fps)
    last = motion.n_frames if seconds is None else first + max(1, round(seconds * motion.fps))
    if first >= motion.n_frames:
        raise InputError(
            f"has {motion.n_frames / motion.fps:.2f} s of motion, cannot start at {start_s} s",
            remedy="Choose an earlier start.",
        )
    root = motion.root_translation[first:last]
    root = root - root[0] * [1.0, 1.0, 0.0]
    return replace(motion, root_translation=root, local_rotations=motion.local_rotations[first:last])


def retarget(source: BvhFile, skeleton: SkeletonDefinition, config: RetargetConfig | None = None) -> Motion:
    """The motion on the humanoid, every frame, starting above the origin; frame rate as in the file."""
    config = config or RetargetConfig()
    person = source_at_scale(human_source(source), skeleton)
    return cropped(retarget_person(person, skeleton, config))


def source_at_scale(person: HumanSource, skeleton: SkeletonDefinition) -> HumanSource:
    """The source with legs as long as the humanoid's, so that it is in metres."""
    target = sum(sum(leg_lengths(skeleton, side)) for side in SIDES) / len(SIDES)
    return person.scaled(target / person.leg_length)


def retarget_person(person: HumanSource, skeleton: SkeletonDefinition, config: RetargetConfig) -> Motion:
    """The same for a person already found and scaled; stays where the source is."""
    standing = standing_feet(person)
    turns = humanoid_turns(person, skeleton, standing)
    ankles = own_ankles(person, skeleton, turns)
    down = floor_shift(person, ankles, skeleton, turns, standing)[:, None] * [0.0, 0.0, 1.0]
    hip_centre = person.hip_centre + down
    if config.lock_feet:
        lifted = {side: ankle + down for side, ankle in ankles.items()}
        placed = place_feet(lifted, hip_centre, skeleton, turns, person.fps)
        turns, hip_centre = bend_legs(placed, skeleton, turns), placed.hip_centre
    root = hip_centre - turns["Hips"] @ hip_offset(skeleton)
    return Motion(skeleton, root, _local(skeleton, turns), person.fps)


def _local(skeleton: SkeletonDefinition, turns: Turns) -> Float[np.ndarray, "T J 4"]:
    """parent_from_joint (wxyz) from world_from_joint."""
    world = np.stack([turns[name] for name in skeleton.joint_names], axis=1)
    local = world.copy()
    local[:, 1:] = world[:, skeleton.parents[1:]].swapaxes(-1, -2) @ world[:, 1:]
    return Rotation.from_matrix(local.reshape(-1, 3, 3)).as_quat()[:, [3, 0, 1, 2]].reshape(*local.shape[:2], 4)
