"""Built-in motions of any humanoid: `make_motion` by name, `sequence` of several, `placed` where they shall be.

All begin standing at ease; feet that stand never move, and everything else follows from them. One generator of random
numbers stands for tempo, size, direction, which hand, and the body's small movements; the frame rate changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.synthetic.motion_build import SIDES, Build
from mocap.synthetic.motion_exercises import bow, jump, kick, lunge, pick_up, side_steps, sit_down, squat
from mocap.synthetic.motion_gestures import arm_circles, clap, dance, punch, reach, stand, wave
from mocap.synthetic.motion_joining import fitted, joined, moved
from mocap.synthetic.motion_perform import perform
from mocap.synthetic.motion_plan import Occasion, Plan
from mocap.synthetic.motion_start import with_start_pose
from mocap.synthetic.motion_trips import turn_around, walk_and_reach, walk_circle, walk_line

__all__ = ["MOTIONS", "make_motion", "placed", "sequence", "with_start_pose"]

Act = Callable[[Build, Occasion, np.random.Generator], Plan]

ACTS: Mapping[str, tuple[Act, float]] = {
    "walk_circle": (walk_circle, 6.0),
    "walk_line": (walk_line, 6.0),
    "walk_and_reach": (walk_and_reach, 5.5),
    "turn_around": (turn_around, 3.5),
    "side_steps": (side_steps, 4.5),
    "stand": (stand, 3.0),
    "reach": (reach, 3.3),
    "wave": (wave, 3.5),
    "clap": (clap, 2.8),
    "punch": (punch, 3.3),
    "arm_circles": (arm_circles, 4.0),
    "dance": (dance, 5.0),
    "squat": (squat, 3.2),
    "jump": (jump, 3.2),
    "lunge": (lunge, 4.0),
    "kick": (kick, 3.2),
    "bow": (bow, 3.6),
    "pick_up": (pick_up, 4.0),
    "sit_down": (sit_down, 5.0),
}
"""Kind -> what makes it, and how long it takes if it is done once or for a usual while, s."""
MOTIONS = tuple(ACTS)


def make_motion(
    kind: str, skeleton: SkeletonDefinition, *, seconds: float, fps: float, rng: np.random.Generator
) -> Motion:
    """One kind of motion for `seconds`, done once or repeated; cut off where it takes longer.

    The person starts facing -Y. Who stays on the spot stands at the world's origin, a circle has it in the middle,
    other ways have it in the middle of their extent.
    """
    build = Build(skeleton)
    act, _ = _act(kind)
    plan = act(build, Occasion(seconds, fps, ends=False), rng)
    return perform(_finished(plan, seconds), build, rng)


def sequence(
    kinds: Sequence[str],
    skeleton: SkeletonDefinition,
    *,
    seconds: float | None = None,
    fps: float,
    rng: np.random.Generator,
) -> Motion:
    """Several kinds one after the other, each from where the one before ended, standing in between.

    seconds: shared out by how long each kind usually takes; the last has what is left, and is cut off there. By default
    every kind takes its usual time.
    """
    if not kinds:
        raise InputError("a sequence of no motions", remedy=f"Name some of {', '.join(MOTIONS)}.")
    build = Build(skeleton)
    usual = [_act(kind)[1] for kind in kinds]
    share = 1.0 if seconds is None else seconds / sum(usual)
    plans: list[Plan] = []
    for number, (kind, each) in enumerate(zip(kinds, usual, strict=True)):
        occasion = Occasion(each * share, fps)
        if seconds is not None and number == len(kinds) - 1:
            left = seconds - sum(plan.n_frames for plan in plans) / fps
            occasion = Occasion(max(left, 1 / fps), fps, ends=False)
        plans.append(_act(kind)[0](build, occasion, rng))
    plan = joined(plans, build)
    places = np.concatenate([plan.feet[side].place for side in SIDES])
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    plan = replace(plan, anchor=np.where(np.ptp(places, axis=0).max() > 3 * build.half_stance, middle, 0.0))
    return perform(_finished(plan, seconds), build, rng)


def placed(motion: Motion, position_xy: Sequence[float] | Float[np.ndarray, "2"], heading_rad: float) -> Motion:
    """Turned about the vertical through the origin, then moved there (m)."""
    turn = Rotation.from_rotvec([0.0, 0.0, float(heading_rad)])
    root = turn.apply(np.array(motion.root_translation))
    root[:, :2] += np.asarray(position_xy, dtype=np.float64)
    rotations = np.array(motion.local_rotations)
    turned = turn * Rotation.from_quat(rotations[:, 0][:, [1, 2, 3, 0]])
    rotations[:, 0] = turned.as_quat()[:, [3, 0, 1, 2]]
    return replace(motion, root_translation=root, local_rotations=rotations)


def _act(kind: str) -> tuple[Act, float]:
    if kind not in ACTS:
        raise InputError(f"no motion {kind!r}", remedy=f"There are {', '.join(MOTIONS)}.")
    return ACTS[kind]


def _finished(plan: Plan, seconds: float | None) -> Plan:
    """Of the length asked for, its anchor at the origin."""
    if seconds is not None:
        plan = fitted(plan, max(1, round(seconds * plan.fps)))
    return moved(plan, -plan.anchor, 0.0)
