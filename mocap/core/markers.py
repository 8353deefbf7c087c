"""Where keypoints sit on a skeleton, which bones scale together, and what joints do where nothing was seen."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.errors import InputError
from mocap.core.skeleton import SkeletonDefinition

_ROWS = ("at", "frame", "offsets", "offset_sd", "noise", "means_joint", "view_noise", "habits")

Span = tuple[tuple[str, ...], tuple[str, ...]]
"""Two points, each the mean of one or more named keypoints."""


@dataclass(frozen=True)
class Segment:
    """Bones (by the joint at their far end) and bodies (marker offsets and tip of a joint) of one common scale.

    The median of the spans is a first guess of it, with a relative `spread`. among_people: relative spread of its share
    of the whole among people, infinite where that is left open.
    """

    name: str
    bones: tuple[str, ...]
    bodies: tuple[str, ...]
    spans: tuple[Span, ...]
    spread: float
    among_people: float = np.inf


@dataclass(frozen=True)
class Torso:
    """Joints (left, right) that show how a torso stands, and the joints between them that share the difference."""

    lower: tuple[int, int]
    upper: tuple[int, int]
    between: tuple[int, ...]


@dataclass(frozen=True)
class Limb:
    """A ball joint, the hinge after it, and the hinge's end."""

    ball: int
    hinge: int
    end: int


@dataclass(frozen=True, eq=False)
class JointPriors:
    """What every joint of a skeleton does where the keypoints do not say, by swing and twist about x, y, z.

    rest, rest_sd: (J, 3) rad, infinite where free. acceleration: (J,) rad / s^1.5, density of a white angular
    acceleration. shares: pairs of joints that turn alike, share_sd: (pairs,) rad. root_acceleration: m / s^1.5.
    root_drift: m / s^0.5 and rad / s^0.5, densities of the root's velocity. upright_sd: rad, the root's up axis against
    the vertical.
    """

    rest: Float[np.ndarray, "J 3"]
    rest_sd: Float[np.ndarray, "J 3"]
    acceleration: Float[np.ndarray, "J"]
    shares: Int[np.ndarray, "pairs 2"]
    share_sd: Float[np.ndarray, "pairs"]
    root_acceleration: float
    root_drift: tuple[float, float]
    upright_sd: float


@dataclass(frozen=True, eq=False)
class MarkerSet:
    """Markers of one skeleton, ordered so that `keypoints[m]` lies at joint `at[m]` plus `offsets[m]` along `frame[m]`.

    at, frame: (M,) joints; `frame` is `at` or its parent. offsets: (M, 3) m at the skeleton's own size. offset_sd,
    noise: (M,) m. mirror: (M,) the marker on the other side (itself in the middle). means_joint: (M,) whether the
    keypoint is supposed to be the joint's centre. view_noise: (M,) m, spread per axis of one view's report.
    habits: (M, 3, 3) m: column k is added to the offset, in one view, times coordinate k (along `frame`) of the unit
    vector to that view's camera. rest_offsets: (J, 3) m, of the skeleton whose joints the offsets were measured from.
    """

    keypoints: tuple[str, ...]
    at: Int[np.ndarray, "M"]
    frame: Int[np.ndarray, "M"]
    offsets: Float[np.ndarray, "M 3"]
    offset_sd: Float[np.ndarray, "M"]
    noise: Float[np.ndarray, "M"]
    mirror: Int[np.ndarray, "M"]
    means_joint: Bool[np.ndarray, "M"]
    view_noise: Float[np.ndarray, "M"]
    habits: Float[np.ndarray, "M 3 3"]
    segments: tuple[Segment, ...]
    torso: Torso
    limbs: tuple[Limb, ...]
    priors: JointPriors
    rest_offsets: Float[np.ndarray, "J 3"] | None = None

    def __len__(self) -> int:
        return len(self.keypoints)

    def select(self, names: Sequence[str]) -> MarkerSet:
        """Only the markers of these keypoints; a marker whose mirror image is not among them loses its twin."""
        kept = [m for m, name in enumerate(self.keypoints) if name in names]
        place = {m: i for i, m in enumerate(kept)}
        rows = {name: getattr(self, name)[kept] for name in _ROWS}
        mirror = np.array([place.get(int(self.mirror[m]), i) for i, m in enumerate(kept)], dtype=np.int64)
        return replace(self, keypoints=tuple(self.keypoints[m] for m in kept), mirror=mirror, **rows)

    def measured(self, table: dict, skeleton: SkeletonDefinition) -> MarkerSet:
        """With the offsets, spreads and habits that were measured of one detector, by the names of its keypoints."""
        rows = {name: getattr(self, name).copy() for name in ("offsets", "offset_sd", "view_noise", "habits")}
        for marker in table["marker"]:
            name, flip = marker["keypoint"], np.array([-1.0, 1.0, 1.0])
            for keypoint, side in ((name, np.ones(3)), (mirrored(name), flip)):
                if keypoint not in self.keypoints or (side is flip and keypoint == name):
                    continue
                m = self.keypoints.index(keypoint)
                rows["offsets"][m] = side * marker["offset_m"]
                rows["habits"][m] = side[:, None] * np.array(marker["habit_m"]) * side
                rows["offset_sd"][m], rows["view_noise"][m] = marker["offset_sd_m"], marker["view_noise_m"]
        bones = skeleton.rest_offsets.copy()
        for bone in table["bone"]:
            bones[skeleton.index(bone["joint"])] = bone["offset_m"]
            bones[skeleton.index(mirrored(bone["joint"]))] = bone["offset_m"] * np.array([-1.0, 1.0, 1.0])
        shares = {segment["name"]: float(segment["among_people"]) for segment in table["segment"]}
        segments = tuple(replace(s, among_people=shares.get(s.name, np.inf)) for s in self.segments)
        return replace(self, segments=segments, rest_offsets=bones, **rows)


def load_markers(name: str, skeleton: SkeletonDefinition, detector: str | None = None) -> MarkerSet:
    """The markers of the package (`mocap/core/definitions/markers_<name>.toml`) on a skeleton that has their joints.

    detector: a keypoint set; where its detector was measured (`markers_<name>_<detector>.toml`) by what was found.
    """
    folder = resources.files("mocap.core.definitions")
    file = folder / f"markers_{name}.toml"
    if not file.is_file():
        raise InputError(f"no marker set {name!r} in the package")
    markers = markers_from_table(tomllib.loads(file.read_text(encoding="utf-8")), skeleton)
    own = folder / f"markers_{name}_{detector}.toml"
    if detector is None or not own.is_file():
        return markers
    return markers.measured(tomllib.loads(own.read_text(encoding="utf-8")), skeleton)


def markers_from_table(table: dict, skeleton: SkeletonDefinition) -> MarkerSet:
    """From a TOML table of the left side and the middle; the right side is added as its mirror image."""
    rows = []
    for marker in table["marker"]:
        rows.append(marker)
        if mirrored(marker["keypoint"]) != marker["keypoint"]:
            rows.append(_mirror_marker(marker))
    names = tuple(row["keypoint"] for row in rows)
    at = np.array([skeleton.index(row["at"]) for row in rows], dtype=np.int64)
    frame = np.array([skeleton.index(row.get("frame", row["at"])) for row in rows], dtype=np.int64)
    astray = [n for n, a, f in zip(names, at, frame, strict=True) if f not in (a, skeleton.parents[a])]
    if astray:
        raise InputError(f"marker {astray[0]!r}: its frame must be its joint or that joint's parent")
    offsets = np.array([row["offset_m"] for row in rows], dtype=np.float64)
    return MarkerSet(
        keypoints=names,
        at=at,
        frame=frame,
        offsets=offsets,
        offset_sd=np.array([row["offset_sd_m"] for row in rows], dtype=np.float64),
        noise=np.array([row["noise_m"] for row in rows], dtype=np.float64),
        mirror=np.array([names.index(mirrored(n)) for n in names], dtype=np.int64),
        means_joint=np.asarray(~offsets.any(-1)),
        view_noise=np.array([row["noise_m"] for row in rows], dtype=np.float64),
        habits=np.zeros((len(names), 3, 3)),
        segments=tuple(_segment(row) for row in table["segment"]),
        torso=_torso(table["torso"], skeleton),
        limbs=tuple(limb for row in table["limb"] for limb in _limbs(row, skeleton)),
        priors=_priors(table, skeleton),
    )


def mirrored(name: str) -> str:
    """The name of the same thing on the other side; names of the middle stay."""
    for left, right in (("left", "right"), ("Left", "Right")):
        if left in name:
            return name.replace(left, right)
        if right in name:
            return name.replace(right, left)
    return name


def _mirror_marker(marker: dict) -> dict:
    x, y, z = marker["offset_m"]
    names = {key: mirrored(marker[key]) for key in ("keypoint", "at", "frame") if key in marker}
    return marker | names | {"offset_m": [-x, y, z]}


def _both_sides(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(side for name in names for side in (name, mirrored(name))))


def _segment(row: dict) -> Segment:
    spans = []
    for a, b in row["spans"]:
        span = (tuple(a.split("+")), tuple(b.split("+")))
        other = (tuple(mirrored(n) for n in span[0]), tuple(mirrored(n) for n in span[1]))
        same = {frozenset(span[0]), frozenset(span[1])} == {frozenset(other[0]), frozenset(other[1])}
        spans += [span] if same else [span, other]
    return Segment(
        row["name"], _both_sides(row["bones"]), _both_sides(row["bodies"]), tuple(spans), float(row["spread"])
    )


def _torso(row: dict, skeleton: SkeletonDefinition) -> Torso:
    lower, upper = ((skeleton.index(row[key][0]), skeleton.index(row[key][1])) for key in ("lower", "upper"))
    return Torso(lower, upper, tuple(skeleton.index(name) for name in row["between"]))


def _limbs(row: dict, skeleton: SkeletonDefinition) -> list[Limb]:
    names = [row[key] for key in ("ball", "hinge", "end")]
    return [Limb(*(skeleton.index(n) for n in side)) for side in (names, [mirrored(n) for n in names])]


def _priors(table: dict, skeleton: SkeletonDefinition) -> JointPriors:
    n = len(skeleton)
    rest, rest_sd, acceleration = np.zeros((n, 3)), np.full((n, 3), np.nan), np.full(n, np.nan)
    shares: list[tuple[int, int]] = []
    share_sd: list[float] = []
    for row in table["prior"]:
        spread = np.deg2rad([sd if sd > 0 else np.inf for sd in row["rest_sd_deg"]])
        for name in _both_sides(row["joints"]):
            flip = [1, 1, 1] if name in row["joints"] else [1, -1, -1]
            j = skeleton.index(name)
            rest[j], rest_sd[j], acceleration[j] = np.deg2rad(row["rest_deg"]) * flip, spread, row["acceleration"]
        if "share_sd_deg" in row:
            joints = [skeleton.index(name) for name in row["joints"]]
            shares += pairwise(joints)
            share_sd += [np.deg2rad(row["share_sd_deg"])] * (len(joints) - 1)
    without = [skeleton.joint_names[j] for j in np.flatnonzero(np.isnan(acceleration))]
    if without:
        raise InputError(f"the marker set has no prior for {', '.join(without)} of skeleton {skeleton.name!r}")
    return JointPriors(
        rest=rest,
        rest_sd=rest_sd,
        acceleration=acceleration,
        shares=np.array(shares, dtype=np.int64).reshape(-1, 2),
        share_sd=np.array(share_sd, dtype=np.float64),
        root_acceleration=float(table["root_acceleration"]),
        root_drift=(float(table["root_drift"]), float(table["root_turn"])),
        upright_sd=float(np.deg2rad(table["upright_sd_deg"])),
    )
