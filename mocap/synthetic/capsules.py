"""What hides what, without rendering: people as elliptic capsules on their joints, furniture as boxes.

A capsule is a segment whose surroundings are measured in a frame that is scaled by the three radii: in that frame the
body part is all that lies within 1 of the segment. A point is hidden where the line of sight enters a part, or a box,
more than the point's margin before it reaches the point: a joint lies within the flesh and is seen all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from calibration.camera import Rig
from mocap.core.truth import Visibility

CHUNK_ELEMENTS = 1 << 15
"""Lines of sight x parts worked on at a time: 256 KB an array, so that they stay in the processor's cache."""
PARALLEL = 1e-12
"""Squared sine of the angle below which two segments count as parallel; any of their points is nearest then."""
BOX_MARGIN_M = 0.02


@dataclass(frozen=True, eq=False)
class BodyParts:
    """Capsules in the T-pose. joint: (S,) what each moves with. start, end: (*b, S, 3) m, ends of the segment in the
    T-pose's world. radii: (*b, S, 3) m, half the thickness along the T-pose's axes."""

    joint: Int[np.ndarray, "S"]
    start: Float[np.ndarray, "*b S 3"]
    end: Float[np.ndarray, "*b S 3"]
    radii: Float[np.ndarray, "*b S 3"]

    def rows(self, index: Integer[np.ndarray, "*n"]) -> BodyParts:
        """The parts of the bodies of an index array into the first axis."""
        return replace(self, start=self.start[index], end=self.end[index], radii=self.radii[index])


@dataclass(frozen=True, eq=False)
class PlacedParts:
    """Capsules in the world. unit_from_world: (*b, S, 3, 3) turns and scales what is relative to `start` (*b, S, 3) m.

    along: (*b, S, 3) the other end of the segment in the scaled frame, in which the radius is 1.
    """

    start: Float[np.ndarray, "*b S 3"]
    unit_from_world: Float[np.ndarray, "*b S 3 3"]
    along: Float[np.ndarray, "*b S 3"]

    def rows(self, index: slice | Int[np.ndarray, "n"]) -> PlacedParts:
        """Some of the first axis."""
        return PlacedParts(self.start[index], self.unit_from_world[index], self.along[index])


@dataclass(frozen=True, eq=False)
class Boxes:
    """Furniture. center, half: (*b, B, 3) m. turn: (*b, B, 3, 3) world_from_box, a rotation."""

    center: Float[np.ndarray, "*b B 3"]
    half: Float[np.ndarray, "*b B 3"]
    turn: Float[np.ndarray, "*b B 3 3"]


def place_parts(parts: BodyParts, transforms: Float[np.ndarray, "*b J 3 4"]) -> PlacedParts:
    """The parts where the joints put them. transforms: world_from_tpose, as of `posing.joint_transforms`."""
    moved = transforms[..., parts.joint, :, :]
    R, shift = moved[..., :3], moved[..., 3]
    start = np.einsum("...sab,...sb->...sa", R, np.broadcast_to(parts.start, shift.shape)) + shift
    unit_from_world = np.swapaxes(R, -1, -2) / parts.radii[..., :, None]
    along = np.broadcast_to((parts.end - parts.start) / parts.radii, start.shape)
    return PlacedParts(start, unit_from_world, along)


def hidden_by_parts(
    points: Float[np.ndarray, "B K 3"],
    centers: Float[np.ndarray, "B C 3"],
    parts: PlacedParts,
    margin_m: Float[np.ndarray, "B K"],
) -> Bool[np.ndarray, "B C K"]:
    """Whether the line from a camera's centre to a point enters any of the B bodies' parts (B, S) more than `margin_m`
    before the point. False for points that are NaN."""
    n_parts = parts.start.shape[-2]
    rows = max(1, CHUNK_ELEMENTS // max(1, points.shape[1] * centers.shape[1] * n_parts))
    hidden = np.zeros((len(points), centers.shape[1], points.shape[1]), dtype=bool)
    for first in range(0, len(points), rows):
        chunk = slice(first, first + rows)
        reach = _reach(points[chunk], centers[chunk], margin_m[chunk])
        squared = _squared_gap(points[chunk], centers[chunk], parts.rows(chunk), reach)
        hidden[chunk] = (squared <= 1.0).any(axis=1)
    return hidden


def _reach(
    points: Float[np.ndarray, "B K 3"], centers: Float[np.ndarray, "B C 3"], margin_m: Float[np.ndarray, "B K"]
) -> Float[np.ndarray, "B C K"]:
    """Share of the line of sight that must be free."""
    distance = np.linalg.norm(points[:, None] - centers[:, :, None], axis=-1)
    return 1 - np.minimum(margin_m[:, None] / np.maximum(distance, 1e-9), 1.0)


def _squared_gap(
    points: Float[np.ndarray, "B K 3"],
    centers: Float[np.ndarray, "B C 3"],
    parts: PlacedParts,
    reach: Float[np.ndarray, "B C K"],
) -> Float[np.ndarray, "B S C K"]:
    """Least squared distance, in the scaled frames, of lines of sight (their first `reach`) to segments.

    Ericson, "Real-Time Collision Detection" (2005), 5.1.9, with the products of the line's direction d = p - c written
    out: p and c are transformed once, and only p · c is left to do for every pair.
    """
    p = _scaled(parts, points)
    c = _scaled(parts, centers)
    u = parts.along[:, :, None]
    pp, cc = (p * p).sum(-1)[:, :, None, :], (c * c).sum(-1)[..., None]
    pu, cu = (p * u).sum(-1)[:, :, None, :], (c * u).sum(-1)[..., None]
    uu = (u * u).sum(-1)[..., None]
    safe_uu = np.where(uu > 0, uu, 1.0)
    pc = c @ np.swapaxes(p, -1, -2)
    dd = np.maximum(pp + cc - 2 * pc, 1e-300)
    dc, du = pc - cc, pu - cu
    crossing = dd * safe_uu - du * du
    skew = crossing > PARALLEL * dd * safe_uu
    s = np.where(skew, (du * cu - dc * safe_uu) / np.where(skew, crossing, 1.0), 0.0)
    s = np.clip(s, 0.0, reach[:, None])
    t = np.clip((du * s + cu) / safe_uu, 0.0, 1.0)
    s = np.clip((du * t - dc) / dd, 0.0, reach[:, None])
    return cc + s * (s * dd + 2 * dc - 2 * t * du) + t * (t * uu - 2 * cu)


def _scaled(parts: PlacedParts, points: Float[np.ndarray, "B n 3"]) -> Float[np.ndarray, "B S n 3"]:
    """Points in the scaled frame of every part, relative to its start."""
    relative = points[:, None] - parts.start[:, :, None]
    return relative @ np.swapaxes(parts.unit_from_world, -1, -2)


def hidden_by_boxes(
    points: Float[np.ndarray, "B K 3"], centers: Float[np.ndarray, "B C 3"], boxes: Boxes
) -> Bool[np.ndarray, "B C K"]:
    """Whether a line of sight enters any of the boxes (n, or B of n), `BOX_MARGIN_M` before its end at the latest."""
    n_boxes = boxes.center.shape[-2]
    hidden = np.zeros((len(points), centers.shape[1], points.shape[1]), dtype=bool)
    reach = _reach(points, centers, np.full(points.shape[:2], BOX_MARGIN_M))
    for index in range(n_boxes):
        turn, middle = boxes.turn[..., index, :, :], boxes.center[..., index, :]
        p, c = ((x - middle[..., None, :]) @ turn for x in (points, centers))
        c = c[:, :, None]
        direction = (p[:, None] - c) * reach[..., None]
        half = boxes.half[..., index, :] if boxes.half.ndim == 2 else boxes.half[:, None, None, index]
        hidden |= _crosses(c, direction, half)
    return hidden


def _crosses(
    start: Float[np.ndarray, "B C #K 3"], direction: Float[np.ndarray, "B C K 3"], half: Float[np.ndarray, "*#b 3"]
) -> Bool[np.ndarray, "B C K"]:
    """Whether a segment in a box's frame meets the box. Along a side's plane it meets that slab everywhere or never."""
    level = direction == 0
    slope = np.where(level, 1.0, direction)
    first, second = (-half - start) / slope, (half - start) / slope
    never = level & (np.abs(start) > half)
    enters = np.where(level, -np.inf, np.minimum(first, second)).max(-1)
    leaves = np.where(level, np.inf, np.maximum(first, second)).min(-1)
    return (enters <= leaves) & (leaves >= 0) & (enters <= 1) & ~never.any(-1)


def inside_image(
    xy: Float[np.ndarray, "*b 2"], image_size: Integer[np.ndarray, "*#b 2"] | Float[np.ndarray, "*#b 2"]
) -> Bool[np.ndarray, "*b"]:
    """Whether a pixel lies in the picture, borders included; False for NaN."""
    return np.asarray(((xy >= -0.5) & (xy <= image_size - 0.5)).all(-1))


def visibility(
    points: Float[np.ndarray, "T P K 3"],
    rig: Rig,
    parts: PlacedParts | None,
    *,
    margin_m: Float[np.ndarray, "P K"],
    boxes: Boxes | None = None,
) -> Integer[np.ndarray, "T P C K"]:
    """How keypoints show in every camera: codes of `Visibility`. parts: those of (T, P) people, None for none.

    What both the own body and something else hide counts as hidden by the other, which is nearer to the camera.
    """
    size = np.array([camera.intrinsics.image_size for camera in rig])[:, None]
    inside = inside_image(np.moveaxis(rig.project(points), 0, 2), size)
    centers = np.broadcast_to(rig.centers, (len(points), *rig.centers.shape))
    margin = np.broadcast_to(margin_m, points.shape[:-1])
    own = np.zeros(inside.shape, dtype=bool)
    other = np.zeros(inside.shape, dtype=bool)
    for person in range(points.shape[1]):
        seen = points[:, person]
        if parts is not None:
            own[:, person] = hidden_by_parts(seen, centers, _of_person(parts, person), margin[:, person])
        for body in range(points.shape[1]):
            if parts is not None and body != person:
                near = np.zeros(seen.shape[:2])
                other[:, person] |= hidden_by_parts(seen, centers, _of_person(parts, body), near)
        if boxes is not None:
            other[:, person] |= hidden_by_boxes(seen, centers, boxes)
    return codes(inside, own, other)


def _of_person(parts: PlacedParts, person: int) -> PlacedParts:
    return PlacedParts(parts.start[:, person], parts.unit_from_world[:, person], parts.along[:, person])


def codes(inside: Bool[np.ndarray, "*b"], own: Bool[np.ndarray, "*b"], other: Bool[np.ndarray, "*b"]):
    """`Visibility` of what is in the picture, hidden by the own body, hidden by something else."""
    code = np.where(own, np.int8(Visibility.HIDDEN_BY_SELF), np.int8(Visibility.VISIBLE))
    code = np.where(other, np.int8(Visibility.HIDDEN_BY_OTHER), code)
    return np.where(inside, code, np.int8(Visibility.OUTSIDE))
