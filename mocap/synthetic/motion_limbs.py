"""Arms and legs whose ends are where they shall be: elbow and knee are hinges, whatever the bones' directions are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.synthetic.motion_curves import beyond

Vectors = Float[np.ndarray, "T 3"]

LONGEST = 0.99995
"""Of the straight limb: targets farther away are reached for, not reached."""
ARM_LONGEST, ARM_SOFTNESS = 0.98, 0.02
"""An arm is stretched no farther, and to that softly: a straight elbow has no bounded speed."""


def unit(vectors: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3"]:
    """Of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def blended(a: Rotation, b: Rotation, weight: Float[np.ndarray, "T"]) -> Rotation:
    """`b` where the weight is 1, `a` where it is 0, the short way between."""
    return a * Rotation.from_rotvec(weight[:, None] * (a.inv() * b).as_rotvec())


def leg_turns(
    reach: Float[np.ndarray, "T 3"],
    across: Float[np.ndarray, "T 3"],
    bones: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]],
) -> tuple[Rotation, Float[np.ndarray, "T"]]:
    """world_from_thigh and the knee's bend (rad about x) that bring the ankle to `reach` from the hip.

    across: where the knee's hinge shall point, as nearly as it can. bones: thigh and shin in the T-pose, m.
    """
    knee = _bend(reach, bones, axis=0, sign=1.0)
    first, second = bones
    bent = first + Rotation.from_rotvec(knee[:, None] * [1.0, 0.0, 0.0]).apply(second)
    return _aligned(bent, np.broadcast_to([1.0, 0.0, 0.0], bent.shape), reach, across), knee


def arm_turns(
    reach: Float[np.ndarray, "T 3"],
    elbow_way: Float[np.ndarray, "T 3"],
    bones: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]],
    sign: float,
) -> tuple[Rotation, Float[np.ndarray, "T"]]:
    """world_from_upper_arm and the elbow's turn (rad about z) that bring the wrist to `reach` from the shoulder.

    elbow_way: where the elbow shall be, seen from the line from shoulder to wrist. sign: 1 left, -1 right.
    """
    length = float(np.linalg.norm(bones[0]) + np.linalg.norm(bones[1]))
    far = np.linalg.norm(reach, axis=-1, keepdims=True) / length
    reach = reach * (far - beyond(far, ARM_LONGEST, ARM_SOFTNESS)) / far
    turn = _bend(reach, bones, axis=2, sign=-sign)
    first, second = bones
    bent = first + Rotation.from_rotvec(turn[:, None] * [0.0, 0.0, 1.0]).apply(second)
    local_way = sign * np.cross([0.0, 0.0, 1.0], bent)
    return _aligned(bent, local_way, reach, elbow_way), turn


def _bend(
    reach: Float[np.ndarray, "T 3"],
    bones: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]],
    *,
    axis: int,
    sign: float,
) -> Float[np.ndarray, "T"]:
    """The hinge's angle at which both bones together are as long as `reach`: |a + R(angle) b| = |reach|."""
    a, b = bones
    y, z = (axis + 1) % 3, (axis + 2) % 3
    even, odd = a[y] * b[y] + a[z] * b[z], a[z] * b[y] - a[y] * b[z]
    size = np.hypot(even, odd)
    fixed = a @ a + b @ b + 2 * a[axis] * b[axis]
    longest, shortest = LONGEST * np.sqrt(fixed + 2 * size), 1.0001 * np.sqrt(fixed - 2 * size)
    distance = np.clip(np.linalg.norm(reach, axis=-1), shortest, longest)
    cosine = np.clip((distance**2 - fixed) / (2 * size), -1.0, 1.0)
    return np.arctan2(odd, even) + sign * np.arccos(cosine)


def _aligned(
    first: Float[np.ndarray, "T 3"],
    second: Float[np.ndarray, "T 3"],
    first_goal: Float[np.ndarray, "T 3"],
    second_goal: Float[np.ndarray, "T 3"],
) -> Rotation:
    """Takes `first` exactly to the direction of its goal, and `second` as near to its own as that leaves open."""
    return _frame(first_goal, second_goal) * _frame(first, second).inv()


def _frame(first: Float[np.ndarray, "T 3"], second: Float[np.ndarray, "T 3"]) -> Rotation:
    x = unit(first)
    z = unit(np.cross(x, second))
    return Rotation.from_matrix(np.stack([x, np.cross(z, x), z], axis=-1))
