"""Where the floor is under a source: one height for all frames, and no floating where the capture's height drifts.

Suits of inertial sensors do not know heights. Nobody stays in the air for longer than AIRBORNE_S: whoever does, stands
on a floor that has moved, or on something that is not there on a level floor.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d

from mocap.core.skeleton import SkeletonDefinition
from mocap.synthetic.retarget_feet import falling, hip_joint, hip_offset, soles_of, touching_feet
from mocap.synthetic.retarget_pose import Turns
from mocap.synthetic.retarget_source import SIDES, HumanSource

AIRBORNE_S = 1.0
"""A jump of 1 s would rise by 1.2 m."""
DRIFT_M = (0.02, 0.04)
"""Less than the first is left as it is (shoes, a mat, hands that are not their joints), beyond the second gone."""
DRIFT_SMOOTHING_S = 0.2
BODY_M = 0.06
"""A joint of trunk, arms or knees that carries is about so high over the floor."""


def own_ankles(source: HumanSource, skeleton: SkeletonDefinition, turns: Turns) -> dict[str, Float[np.ndarray, "T 3"]]:
    """Where the humanoid's ankles are when its bones point as the source's and its hips are where the source's are.

    Not where the source's ankles are: 1 cm between a straight leg's hip and ankle is a knee bent by 10 degrees.
    """
    ankles = {}
    for side in SIDES:
        knee, ankle = (skeleton.rest_offsets[skeleton.index(side + name)] for name in ("Leg", "Foot"))
        hip = hip_joint(source.hip_centre, skeleton, side, turns)
        ankles[side] = hip + turns[side + "UpLeg"] @ knee + turns[side + "Leg"] @ ankle
    return ankles


def floor_shift(
    source: HumanSource,
    ankles: dict[str, Float[np.ndarray, "T 3"]],
    skeleton: SkeletonDefinition,
    turns: Turns,
    standing: Bool[np.ndarray, "T 2"],
) -> Float[np.ndarray, "T"]:
    """What to add to heights, m: one number that puts standing soles on the floor, less what the person floats."""
    soles = soles_of(skeleton)
    lowest = np.stack([soles.paths(side, ankles[side], turns)[..., 2].min(axis=1) for side in SIDES], axis=-1)
    shift = -float(np.percentile(lowest.min(axis=1), 5))
    for chosen in (touching_feet(source), standing):
        if chosen.any():
            shift = -float(np.median(lowest[chosen]))
    body = np.min([path[:, 2] for path in _joints(source, skeleton, turns)], axis=0) - BODY_M
    return shift - floating(np.minimum(lowest.min(axis=1), body) + shift, source.fps)


def floating(lowest: Float[np.ndarray, "T"], fps: float) -> Float[np.ndarray, "T"]:
    """How much of the height of the lowest point is no jump, m: what stays after times in the air are cut off."""
    size = 2 * round(AIRBORNE_S * fps / 2) + 1
    if len(lowest) < size:
        return np.zeros(len(lowest))
    ground = maximum_filter1d(minimum_filter1d(lowest, size, mode="nearest"), size, mode="nearest")
    ground = gaussian_filter1d(ground, DRIFT_SMOOTHING_S * fps, mode="nearest")
    return ground * (1.0 - falling(ground, DRIFT_M))


def _joints(source: HumanSource, skeleton: SkeletonDefinition, turns: Turns) -> list[Float[np.ndarray, "T 3"]]:
    """All joints when the hips are where the source's are."""
    places = [source.hip_centre - turns["Hips"] @ hip_offset(skeleton)]
    for joint in range(1, len(skeleton)):
        parent = int(skeleton.parents[joint])
        places.append(places[parent] + turns[skeleton.joint_names[parent]] @ skeleton.rest_offsets[joint])
    return places
