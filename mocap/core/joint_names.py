"""What joints are called: names of the usual conventions, and the part of the body that each means.

Mixamo, MotionBuilder/HumanIK, Rokoko, CMU (ASF and its BVH conversions), Unity, Unreal, 3ds Max Biped, Daz/Poser, SMPL,
VRM, Rigify, OptiTrack, Second Life. A name is cut into words ("mixamorig:LeftUpLeg": left, up, leg); the side is taken
out, and the longest ending that is known counts, so that prefixes do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LEFT, RIGHT, MIDDLE = "Left", "Right", ""
LIMB_ROLES = ("Thigh", "Shin", "Foot", "Toe", "UpperArm", "ForeArm", "Hand", "Clavicle")
NEEDED_LIMBS = ("Thigh", "Shin", "Foot", "UpperArm", "ForeArm")

# First name found wins; a joint has one role. The upper arm comes before the clavicle: "shoulder" is the upper arm
# where nothing else is (collar, shoulder, elbow), else the clavicle (shoulder, arm, forearm).
LIMB_NAMES: dict[str, tuple[str, ...]] = {
    "Thigh": ("upleg", "upperleg", "thigh", "thighbend", "femur", "uleg", "upperthigh", "hip", "leg"),
    "Shin": ("lowleg", "lowerleg", "loleg", "shin", "calf", "tibia", "knee", "leg"),
    "Foot": ("foot", "ankle"),
    "Toe": ("toebase", "toe", "toes", "ball", "forefoot", "metatarsals"),
    "UpperArm": ("upperarm", "uparm", "humerus", "shldr", "shldrbend", "uarm", "arm", "shoulder"),
    "ForeArm": ("forearm", "lowerarm", "loarm", "lowarm", "radius", "farm", "forearmbend", "elbow"),
    "Hand": ("hand", "wrist", "palm"),
    "Clavicle": ("clavicle", "collar", "collarbone", "scapula", "shoulder"),
}
MIDDLE_NAMES: dict[str, tuple[str, ...]] = {
    "Hips": ("hips", "pelvis", "hip", "lowertorso"),
    "Neck": ("neck", "neckbase", "lowerneck", "necklower"),
    "Head": ("head", "skull"),
}
FINGERS = ("thumb", "index", "middle", "ring", "pinky", "little", "finger", "fingers")
NOT_BODY = {
    *("ik", "fk", "pole", "target", "twist", "roll", "end", "nub", "site", "ctrl", "control", "mch", "effector", "eff"),
    *("helper", "dummy", "prop", "weapon", "tip", "top", "hair", "eye", "jaw", "tongue", "breast"),
    *FINGERS,
}
_SIDES = {"left": LEFT, "l": LEFT, "right": RIGHT, "r": RIGHT}
_LIMB_WORDS = {name for names in LIMB_NAMES.values() for name in names}
_MIDDLE_WORDS = {name for names in MIDDLE_NAMES.values() for name in names}
_GLUED_SIDE = re.compile(r"^(left|right|l|r)(.+)$|^(.+?)(left|right)$")


def words_of(name: str) -> list[str]:
    """Lower-case words of a name without its namespace: "Bip01 L UpperArm" is bip, 01, l, upper, arm."""
    last = re.split(r"[:|]", name)[-1]
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", last)]


def part_of(name: str) -> tuple[str, str] | None:
    """Side (Left, Right or nothing) and known word of a joint's name; None for fingers, twist bones and the unknown."""
    words = words_of(name)
    if NOT_BODY & set(words):
        return None
    sides = [_SIDES[word] for word in words if word in _SIDES]
    parts = [word for word in words if word not in _SIDES and not word.isdigit()]
    known = _LIMB_WORDS if sides else _MIDDLE_WORDS
    for start in range(len(parts)):
        ending = "".join(parts[start:])
        if ending in known:
            return (sides[0] if sides else MIDDLE), ending
        glued = None if sides else _glued(ending)
        if glued:
            return glued
    return None


def _glued(word: str) -> tuple[str, str] | None:
    """The side in "lfemur" or "upperarmleft"; "lowerneck" has none."""
    match = _GLUED_SIDE.match(word)
    if not match:
        return None
    side, part = (match[1], match[2]) if match[1] else (match[4], match[3])
    return (_SIDES[side], part) if part in _LIMB_WORDS else None


def is_thumb(name: str) -> bool:
    """Whether a joint is of a thumb, by its name."""
    return any(word.endswith("thumb") for word in words_of(name))


def roles_by_name(names: Sequence[str], parents: Sequence[int]) -> dict[str, int]:
    """Role (LeftThigh, …, Hips, Neck, Head) to joint, as far as names tell. Of joints of one name the first counts."""
    found: dict[tuple[str, str], int] = {}
    for joint, name in enumerate(names):
        part = part_of(name)
        if part:
            found.setdefault(part, joint)
    roles: dict[str, int] = {}
    for side in (LEFT, RIGHT):
        for role, known in LIMB_NAMES.items():
            _take(roles, side + role, [found[side, name] for name in known if (side, name) in found])
        _settle_ankle(roles, found, parents, side)
    for role, known in MIDDLE_NAMES.items():
        _take(roles, role, [found[MIDDLE, name] for name in known if (MIDDLE, name) in found])
    return roles


def _take(roles: dict[str, int], role: str, joints: list[int]) -> None:
    free = [joint for joint in joints if joint not in roles.values()]
    if free:
        roles[role] = free[0]


def _settle_ankle(roles: dict[str, int], found: dict[tuple[str, str], int], parents: Sequence[int], side: str) -> None:
    """An ankle with a foot below it (SMPL): the ankle turns the foot, the foot is the toes'."""
    ankle, foot = found.get((side, "ankle")), found.get((side, "foot"))
    if ankle is not None and foot is not None and ankle in ancestors(parents, foot):
        roles[side + "Foot"] = ankle
        roles.setdefault(side + "Toe", foot)


def ancestors(parents: Sequence[int], joint: int) -> list[int]:
    """The joint's parent, its parent, and so on up to the root."""
    chain = []
    while parents[joint] >= 0:
        joint = int(parents[joint])
        chain.append(joint)
    return chain
