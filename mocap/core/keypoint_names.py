"""From foreign keypoint names, or only their number, to a keypoint set with our names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError
from mocap.core.keypoints import KeypointSet, load_keypoint_set

KEYPOINT_SETS_BY_COUNT: dict[int, tuple[str, ...]] = {
    17: ("coco17",),
    18: ("coco18",),
    25: ("body25", "body25b"),
    26: ("halpe26",),
    33: ("blazepose33",),
    133: ("coco_wholebody133",),
    135: ("body135",),
    136: ("halpe136",),
}
"""Which sets a bare list of that many keypoints can be."""

N_HANDS_AND_FACE = 21 + 21 + 70
"""What OpenPose's separate hand and face networks append to the body."""

SYNONYMS = {
    "bigtoe": "big_toe",
    "smalltoe": "small_toe",
    "littletoe": "small_toe",
    "little_toe": "small_toe",
    "midhip": "hip",
    "mid_hip": "hip",
    "pelvis": "hip",
    "headtop": "head",
    "head_top": "head",
    "top_head": "head",
    "upperneck": "neck",
    "upper_neck": "neck",
    "handroot": "hand_root",
}
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def keypoint_set_by_count(count: int, xy: Float[np.ndarray, "N K 2"]) -> KeypointSet:
    """The set of that many keypoints that fits what was seen in `xy`."""
    if count in KEYPOINT_SETS_BY_COUNT:
        candidates = KEYPOINT_SETS_BY_COUNT[count]
        name = candidates[0] if len(candidates) == 1 else _body25_or_25b(xy)
        return load_keypoint_set(name)
    if count - N_HANDS_AND_FACE in KEYPOINT_SETS_BY_COUNT:
        body = keypoint_set_by_count(count - N_HANDS_AND_FACE, xy)
        return keypoint_set_from_names(f"{body.name}_hands_face", (*body.names, *_hands_and_face()))
    known = ", ".join(f"{n} ({' or '.join(names)})" for n, names in KEYPOINT_SETS_BY_COUNT.items())
    raise InputError(
        f"{count} keypoints a person, and nothing says which",
        remedy=f"Counts that are known by themselves: {known}. Otherwise name a keypoint set or list the names.",
    )


def keypoint_set_from_names(
    name: str, names: Sequence[str], edges: Sequence[tuple[str, str]] = ()
) -> KeypointSet:  # fmt: skip
    """A set with these names; edges (unless given), mirror pairs and body as in the packaged sets."""
    present = set(names)
    nearest = max(_packaged_sets(), key=lambda known: len(present & set(known.names)))
    drawn = [(a, b) for a, b in (edges or nearest.edges) if a in present and b in present]
    swaps = {pair for known in _packaged_sets() for pair in known.mirror_pairs} | {
        (n, f"right_{n.removeprefix('left_')}") for n in names if n.startswith("left_")
    }
    mirror = sorted((pair for pair in swaps if present.issuperset(pair)), key=lambda pair: list(names).index(pair[0]))
    body = tuple(n for n in load_keypoint_set("coco17").body if n in present)
    return KeypointSet(name, tuple(names), tuple(drawn), tuple(mirror), body)


def our_names(theirs: Sequence[str], table: Mapping[str, str]) -> tuple[str, ...]:
    """Our name of each foreign one: by the user's table, else by spelling, else their own name unchanged."""
    unknown = sorted(set(table) - set(theirs))
    if unknown:
        raise InputError(
            f"keypoint_names mentions {', '.join(unknown)}, which the file does not have",
            remedy=f"It has {', '.join(theirs)}.",
        )
    ours = tuple(table.get(name, canonical_name(name)) for name in theirs)
    for name in ours:
        if ours.count(name) > 1:
            same = ", ".join(t for t, o in zip(theirs, ours, strict=True) if o == name)
            raise InputError(f"{same} would all be called {name!r}", remedy="Tell them apart in keypoint_names.")
    return ours


def canonical_name(name: str) -> str:
    """`LBigToe`, `left big toe`, `bigtoe_l` → `left_big_toe`; a name we have no equal for stays as it is."""
    if name in _known_names():
        return name
    tokens = [t.lower() for t in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)]
    sides = [i for i, t in enumerate(tokens) if t in ("l", "left", "r", "right")]
    if len(sides) > 1:
        return name
    side = ""
    if sides:
        side = "left_" if tokens.pop(sides[0]).startswith("l") else "right_"
    for base in ("_".join(tokens), re.sub(r"_(\d+)$", r"\1", "_".join(tokens))):
        ours = side + _finger(SYNONYMS.get(base, base))
        if ours in _known_names():
            return ours
    return name


def _finger(base: str) -> str:
    """`forefinger1`, `index_finger1`, `index1` → `index`; `thumb2` → `thumb`; `ring_finger3` → `ring3`."""
    plain = base.replace("forefinger", "index").replace("_finger", "")
    match = re.fullmatch(rf"({'|'.join(FINGERS)})(\d)", plain)
    if not match:
        return plain
    finger, number = match.groups()
    return finger if number == ("2" if finger == "thumb" else "1") else plain


def _body25_or_25b(xy: Float[np.ndarray, "N K 2"]) -> str:
    """In the right order bones are short; in the wrong one the edges join shoulders with ankles and the like.

    Measured on the four-camera trial (BODY_25B): mean edge 0.11 to 0.13 of the person's size against 0.29 to 0.32; the
    worst single person, partly seen, has 0.63 of the wrong order's length.
    """
    if len(xy) == 0:
        return "body25"
    length = {name: _mean_edge(xy, load_keypoint_set(name)) for name in ("body25", "body25b")}
    best, other = sorted(length, key=lambda name: length[name])
    if not length[best] < 0.7 * length[other]:
        raise InputError(
            "25 keypoints can be OpenPose's BODY_25 or BODY_25B, and these people do not tell which",
            remedy='Set keypoint_set to "body25" or "body25b".',
        )
    return best


def _mean_edge(xy: Float[np.ndarray, "N K 2"], keypoint_set: KeypointSet) -> float:
    """Mean length of the edges that are seen, relative to the person's size; inf when none is."""
    size = np.linalg.norm(np.nanmax(xy, axis=1) - np.nanmin(xy, axis=1), axis=-1)
    ends = xy[size > 0][:, keypoint_set.edge_indices]
    relative = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1) / size[size > 0, None]
    seen = relative[np.isfinite(relative)]
    return float(seen.mean()) if len(seen) else float("inf")


def _hands_and_face() -> tuple[str, ...]:
    hands = load_keypoint_set("coco_wholebody133").names[91:]
    return (*hands, *(f"face_{i}" for i in range(68)), "right_pupil", "left_pupil")


@cache
def _packaged_sets() -> tuple[KeypointSet, ...]:
    return tuple(load_keypoint_set(name) for names in KEYPOINT_SETS_BY_COUNT.values() for name in names)


@cache
def _known_names() -> frozenset[str]:
    return frozenset(name for known in _packaged_sets() for name in known.names)
