"""Arms as planned: by their angles, or with wrist and hand where they are held."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.synthetic.motion_build import SIGN, Build
from mocap.synthetic.motion_curves import beyond
from mocap.synthetic.motion_limbs import arm_turns, blended
from mocap.synthetic.motion_plan import ARM_ANGLES, ArmTrack

MIRRORED = np.array([name not in ("swing", "twist", "pronation") for name in ARM_ANGLES])
"""Angles about y and z, of the other sign on the right."""
ELBOW_WAY = np.array([0.65, 0.4, -0.65])
"""Elbows are outward, back and down of the line from shoulder to wrist (left arm, in the chest's axes)."""
TWIST_FREE_RAD, TWIST_SOFT_RAD = np.deg2rad(92.0), np.deg2rad(6.0)
"""A raised arm's turn about itself stays near this: upper arms turn by 110 degrees at most."""


@dataclass(frozen=True, eq=False)
class Chest:
    """What arms and head are joined to. upright: the world's turn to the heading; turn, place (T, 3) m: of Spine2."""

    upright: Rotation
    turn: Rotation
    place: Float[np.ndarray, "T 3"]


@dataclass(frozen=True, eq=False)
class _Arm:
    """Turns against the parent. elbow, twist: (T,) rad, about z and about the forearm, so that no hinge turns aside."""

    collar: Rotation
    upper: Rotation
    elbow: Float[np.ndarray, "T"]
    twist: Float[np.ndarray, "T"]
    hand: Rotation


def posed_arm(arm: ArmTrack, build: Build, side: str, chest: Chest) -> dict[str, Rotation]:
    """parent_from_joint of collar bone, upper arm, forearm and hand of one side."""
    posed = _by_angles(arm, side)
    if arm.held.any():
        posed = _held(posed, arm, build, side, chest)
    along = build.offset(f"{side}Hand") / np.linalg.norm(build.offset(f"{side}Hand")) * SIGN[side]
    return {
        f"{side}Shoulder": posed.collar,
        f"{side}Arm": posed.upper,
        f"{side}ForeArm": _about(2, posed.elbow) * Rotation.from_rotvec(posed.twist[:, None] * along),
        f"{side}Hand": posed.hand,
    }


def _by_angles(arm: ArmTrack, side: str) -> _Arm:
    lift, forward, lower, swing, twist, elbow, pronation, wrist = (arm.angles * np.where(MIRRORED, SIGN[side], 1.0)).T
    collar = Rotation.from_rotvec(np.stack([np.zeros_like(lift), -lift, -forward], axis=-1))
    twist = twist + beyond(-swing, TWIST_FREE_RAD, TWIST_SOFT_RAD)
    upper = _about(0, swing) * _about(1, lower) * _about(0, twist)
    return _Arm(collar, upper, -elbow, pronation, _about(1, wrist))


def _held(free: _Arm, arm: ArmTrack, build: Build, side: str, chest: Chest) -> _Arm:
    """The arm with its wrist where it is held, and the hand turned as it is steered."""
    base = chest.turn * free.collar
    shoulder = chest.place + chest.turn.apply(build.offset(f"{side}Shoulder")) + base.apply(build.offset(f"{side}Arm"))
    to_chest = arm.to_chest[:, None] > 0
    reach = np.where(to_chest, chest.turn.apply(arm.wrist), arm.wrist - shoulder)
    reach = np.where(arm.held[:, None] > 0, reach, chest.turn.apply(np.array([0.0, 0.0, -0.9 * build.arm])))
    way = chest.turn.apply(ELBOW_WAY * [SIGN[side], 1.0, 1.0])
    bones = (build.offset(f"{side}ForeArm"), build.offset(f"{side}Hand"))
    whole, elbow = arm_turns(reach, way, bones, SIGN[side])
    upper = blended(free.upper, base.inv() * whole, arm.held)
    posed = replace(free, upper=upper, elbow=free.elbow + arm.held * (elbow - free.elbow))
    if not arm.steered.any():
        return posed
    axes = Rotation.from_matrix(np.where(to_chest[..., None], chest.turn.as_matrix(), chest.upright.as_matrix()))
    twist, hand = _twist_first((whole * _about(2, elbow)).inv() * axes * Rotation.from_rotvec(arm.hand))
    twist = free.twist + arm.steered * (twist - free.twist)
    return replace(posed, twist=twist, hand=blended(free.hand, hand, arm.steered))


def _about(axis: int, angle: Float[np.ndarray, "T"]) -> Rotation:
    return Rotation.from_rotvec(angle[:, None] * np.eye(3)[axis])


def _twist_first(turn: Rotation) -> tuple[Float[np.ndarray, "T"], Rotation]:
    """turn = twist * swing: the twist's angle about x (between half turns), the swing about an axis across it."""
    q = turn.as_quat(canonical=True)
    angle = 2 * np.arctan2(q[:, 0], q[:, 3])
    return angle, _about(0, angle).inv() * turn
