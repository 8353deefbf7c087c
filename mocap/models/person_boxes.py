"""Boxes around people: overlap, suppression of doubles, and following them from image to image.

A box is x0 y0 x1 y1 in px of the image, centre of the first pixel (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment


def overlaps(a: Float[np.ndarray, "A 4"], b: Float[np.ndarray, "B 4"]) -> Float[np.ndarray, "A B"]:
    """Intersection over union of every box of `a` with every box of `b`; 0 where a box has no area."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = box_areas(a)[:, None] + box_areas(b)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def box_areas(boxes: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N"]:
    """px²; 0 for a box turned inside out."""
    return np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1)


def suppress_doubles(
    boxes: Float[np.ndarray, "N 4"], scores: Float[np.ndarray, "N"], max_overlap: float
) -> Int[np.ndarray, "M"]:
    """Greedy non-maximum suppression: the rows that stay, best score first (equal scores: first row first)."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        order = rest[overlaps(boxes[best : best + 1], boxes[rest])[0] <= max_overlap]
    return np.array(kept, dtype=np.int64)


def box_of_keypoints(
    xy: Float[np.ndarray, "J 2"], confidence: Float[np.ndarray, "J"], *, least: float, margin: float
) -> Float[np.ndarray, "4"] | None:
    """Around the keypoints of at least that confidence, grown about its centre; None for fewer than three."""
    points = xy[(confidence >= least) & (confidence > 0)]
    if len(points) < 3:
        return None
    low, high = points.min(0), points.max(0)
    center, half = (low + high) / 2, (high - low) / 2 * margin
    return np.concatenate([center - half, center + half])


@dataclass(frozen=True, eq=False)
class FollowedBox:
    """One person's id and last box, and for how many images nothing was found there."""

    id: int
    box: Float[np.ndarray, "4"]
    score: float
    missing: int = 0


@dataclass(frozen=True, eq=False)
class BoxTracks:
    """The people of one camera after an image. Ids count up and are never used again."""

    people: tuple[FollowedBox, ...] = ()
    next_id: int = 0
    frame: int = 0

    @property
    def present(self) -> tuple[FollowedBox, ...]:
        return tuple(p for p in self.people if p.missing == 0)

    def joined_by(
        self, boxes: Float[np.ndarray, "N 4"], scores: Float[np.ndarray, "N"], *, least_overlap: float, remember: int
    ) -> tuple[BoxTracks, Int[np.ndarray, "N"]]:
        """The tracks after the next image, and the id of each of its boxes.

        Pairs are chosen together so that their overlaps sum to the most (Kuhn–Munkres); a pair below `least_overlap`
        is none. Somebody not found is remembered for `remember` images at the last box.
        """
        ids = np.full(len(boxes), -1, dtype=np.int64)
        known = np.array([p.box for p in self.people]).reshape(-1, 4)
        shared = overlaps(known, boxes)
        for row, column in zip(*linear_sum_assignment(-np.where(shared >= least_overlap, shared, 0.0)), strict=True):
            if shared[row, column] >= least_overlap:
                ids[column] = self.people[row].id
        strangers = np.flatnonzero(ids == -1)
        ids[strangers] = self.next_id + np.arange(len(strangers))
        found = [FollowedBox(int(i), box, float(s)) for i, box, s in zip(ids, boxes, scores, strict=True)]
        lost = [replace(p, missing=p.missing + 1) for p in self.people if p.id not in ids]
        kept = [p for p in lost if p.missing <= remember]
        return BoxTracks((*found, *kept), self.next_id + len(strangers), self.frame + 1), ids
