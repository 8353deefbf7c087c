"""How far a retargeted motion is from its source: directions of bones, feet, limits of joints."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from mocap.core.config import Report
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.joint_transforms import rest_joints
from mocap.io.bvh_file import BvhFile
from mocap.synthetic.posing import joint_transforms
from mocap.synthetic.retarget import source_at_scale
from mocap.synthetic.retarget_feet import foot_nodes, hip_offset, soles_of, touching_feet
from mocap.synthetic.retarget_pose import HUMANOID, Turns, arc, unit
from mocap.synthetic.retarget_source import SIDES, HumanSource, human_source

LIMB_BONES = {
    "upper arms": ("UpperArm", "ForeArm"),
    "forearms": ("ForeArm", "Hand"),
    "thighs": ("Thigh", "Shin"),
    "shins": ("Shin", "Foot"),
}


class RetargetReport(Report):
    """direction_deg: mean angle between the source's bones and the result's; spine (hip centre to neck) and head
    without the constant part, by which the skeletons at rest differ. feet_deg: the same of heel to toe.

    slide_m_s: mean speed along the floor of the slowest point of a foot that stands, in the source (scaled) and in the
    result. sunk_m: the lowest sole point under the floor, mean over frames, and the deepest. floating_m: mean height of
    the lowest point of a standing foot. outside_limits_deg: joint to the largest excess; others keep their limits.
    """

    direction_deg: dict[str, float]
    source_slide_m_s: float
    slide_m_s: float
    sunk_m: float
    deepest_m: float
    floating_m: float
    standing_share: float
    outside_limits_deg: dict[str, float]


def report_retarget(source: BvhFile, motion: Motion) -> RetargetReport:
    """Compare a file with what `retarget` made of it (all frames, the file's frame rate)."""
    person = source_at_scale(human_source(source), motion.skeleton)
    turns, joints = _world(motion)
    standing = touching_feet(person)
    soles = _sole_paths(motion.skeleton, turns, joints)
    lowest = np.stack([soles[side][..., 2].min(axis=1) for side in SIDES], axis=-1)
    own = {side: person.positions[:, foot_nodes(person, side)] for side in SIDES}
    return RetargetReport(
        direction_deg=_directions(person, motion.skeleton, turns, joints),
        source_slide_m_s=_slide(own, standing, person.fps),
        slide_m_s=_slide(soles, standing, person.fps),
        sunk_m=float(np.maximum(-lowest.min(axis=1), 0.0).mean()),
        deepest_m=float(max(-lowest.min(), 0.0)),
        floating_m=float(lowest[standing].mean()) if standing.any() else 0.0,
        standing_share=float(standing.mean()),
        outside_limits_deg=outside_limits(motion),
    )


def _world(motion: Motion) -> tuple[Turns, dict[str, Float[np.ndarray, "T 3"]]]:
    moved, rest = joint_transforms(motion), rest_joints(motion.skeleton)
    places = np.einsum("tjab,jb->tja", moved[..., :3], rest) + moved[..., 3]
    names = motion.skeleton.joint_names
    return {n: moved[:, j, :, :3] for j, n in enumerate(names)}, {n: places[:, j] for j, n in enumerate(names)}


def _sole_paths(
    skeleton: SkeletonDefinition, turns: Turns, joints: dict[str, Float[np.ndarray, "T 3"]]
) -> dict[str, Float[np.ndarray, "T P 3"]]:
    soles = soles_of(skeleton)
    return {side: soles.paths(side, joints[side + "Foot"], turns) for side in SIDES}


def _speeds(path: Float[np.ndarray, "T P 3"], fps: float) -> Float[np.ndarray, "T P"]:
    if len(path) < 2:
        return np.zeros(path.shape[:2])
    return np.linalg.norm(np.gradient(path[..., :2], axis=0), axis=-1) * fps


def _slide(paths: dict[str, Float[np.ndarray, "T P 3"]], standing: Bool[np.ndarray, "T 2"], fps: float) -> float:
    slowest = np.stack([_speeds(paths[side], fps).min(axis=1) for side in SIDES], axis=-1)
    return float(slowest[standing].mean()) if standing.any() else 0.0


def _directions(
    person: HumanSource, skeleton: SkeletonDefinition, turns: Turns, joints: dict[str, Float[np.ndarray, "T 3"]]
) -> dict[str, float]:
    errors: dict[str, float | np.floating] = {
        name: np.mean([_angle_deg(_source_bone(person, side, *bone), _own_bone(joints, side, *bone)) for side in SIDES])
        for name, bone in LIMB_BONES.items()
    }
    foot = ("Foot", "Toe")
    feet = [
        _beyond_rest(_source_bone(person, side, *foot), _own_bone(joints, side, *foot), turns[side + "Foot"])
        for side in SIDES
        if side + "Toe" in person.roles
    ]
    if feet:
        errors["feet"] = np.mean(feet)
    centre = joints["Hips"] + turns["Hips"] @ hip_offset(skeleton)
    errors["spine"] = _beyond_rest(_neck(person) - person.hip_centre, joints["Neck"] - centre, turns["Hips"])
    node = person.roles["Head"]
    ends = [n for n in person.descendants(node) if np.linalg.norm(person.rest_from(node, n)) > 0]
    if ends:
        crown = person.positions[:, ends[-1]] - person.place("Head")
        errors["head"] = _beyond_rest(crown, turns["Head"] @ np.array([0.0, 0.0, 1.0]), turns["Head"])
    return {name: float(value) for name, value in errors.items()}


def _source_bone(person: HumanSource, side: str, start: str, end: str) -> Float[np.ndarray, "T 3"]:
    return person.place(side + end) - person.place(side + start)


def _own_bone(joints: dict[str, Float[np.ndarray, "T 3"]], side: str, start: str, end: str) -> Float[np.ndarray, "T 3"]:
    return joints[side + HUMANOID[end]] - joints[side + HUMANOID[start]]


def _neck(person: HumanSource) -> Float[np.ndarray, "T 3"]:
    if len(person.neck) > 1:
        return person.positions[:, person.neck[0]]
    return (person.place("LeftUpperArm") + person.place("RightUpperArm")) / 2


def _angle_deg(a: Float[np.ndarray, "T 3"], b: Float[np.ndarray, "T 3"]) -> float:
    a, b = unit(a), unit(b)
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1))).mean())


def _beyond_rest(
    source: Float[np.ndarray, "T 3"], result: Float[np.ndarray, "T 3"], turn: Float[np.ndarray, "T 3 3"]
) -> float:
    """Mean angle after a constant rotation in the axes of `turn` that takes the mean of one to that of the other."""
    inverse = turn.swapaxes(-1, -2)
    a, b = (unit((inverse @ unit(v)[..., None])[..., 0]) for v in (source, result))
    aligned = arc(unit(a.mean(axis=0)), unit(b.mean(axis=0)))
    return _angle_deg(a @ aligned.T, b)


def outside_limits(motion: Motion) -> dict[str, float]:
    """Joint to the largest angle by which it leaves its limits (swing and twist as the skeleton has them), degrees."""
    skeleton = motion.skeleton
    excess = {}
    for joint, name in enumerate(skeleton.joint_names[1:], 1):
        axis = np.eye(3)[skeleton.twist_axes[joint]]
        q = motion.local_rotations[:, joint]
        twist = np.concatenate([q[:, :1], (q[:, 1:] @ axis)[:, None] * axis], axis=1)
        twist[np.linalg.norm(twist, axis=1) < 1e-9] = [1.0, 0.0, 0.0, 0.0]
        turn = Rotation.from_quat(twist[:, [1, 2, 3, 0]])
        angles = (Rotation.from_quat(q[:, [1, 2, 3, 0]]) * turn.inv()).as_rotvec() + turn.as_rotvec()
        low, high = skeleton.limits[joint, :, 0], skeleton.limits[joint, :, 1]
        worst = float(np.rad2deg(np.maximum(low - angles, angles - high).max()))
        if worst > 0.1:
            excess[name] = round(worst, 1)
    return excess
