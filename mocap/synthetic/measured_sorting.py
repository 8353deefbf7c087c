"""What kind of error each report of a measured detector is: ordinary, sides exchanged, or of somebody else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from mocap.core.keypoints import KeypointSet
from mocap.core.truth import Visibility
from mocap.synthetic.detector_places import LIMBS, members
from mocap.synthetic.measured_views import MeasuredViews
from mocap.synthetic.true_views import extent

WRONG, NEARER = 0.1, 0.5
"""A report whose median distance is above this share of the person's size and less than half of it from somebody else's
keypoints is that person's; without anybody else there, from twice that distance on it is the background's."""
APART = 0.06
"""Twins nearer to each other than this share of the size cannot be told apart."""
SWAPPED = 0.6
"""Distances to the twins, over those to the own places, below which sides are exchanged."""
TRUNK = ("shoulder", "hip")


@dataclass(frozen=True, eq=False)
class SortedErrors:
    """Axes as in `MeasuredViews`. wrong, background: (N, B, F) the whole report is another person's, or nobody's.

    swapped, swap_known: (N, B, F, 3) the person, the arms, the legs are exchanged, and where that could be seen.
    collapsed, collapse_known: (N, B, F, K) a hidden point is where its visible twin is. ordinary: (N, B, F, K).
    size: (N, B, F) px.
    """

    wrong: Bool[np.ndarray, "N B F"]
    background: Bool[np.ndarray, "N B F"]
    swapped: Bool[np.ndarray, "N B F 3"]
    swap_known: Bool[np.ndarray, "N B F 3"]
    collapsed: Bool[np.ndarray, "N B F K"]
    collapse_known: Bool[np.ndarray, "N B F K"]
    ordinary: Bool[np.ndarray, "N B F K"]
    size: Float[np.ndarray, "N B F"]


def sort_errors(views: MeasuredViews, keypoint_set: KeypointSet) -> SortedErrors:
    """Decide for every report by the distances to the person, to its twins, and to the other person."""
    size = np.maximum(extent(views.exact)[1].max(-1), 1.0)
    mirror = keypoint_set.mirror_permutation
    own, twin, other = (
        _share(views.xy, place, size) for place in (views.exact, views.exact[..., mirror, :], views.other)
    )
    apart = _share(views.exact, views.exact[..., mirror, :], size)
    wrong, background = _of_somebody_else(own, other)
    swapped, known = _swaps(own, twin, apart, keypoint_set)
    good = ~(wrong | background)
    swapped, known = swapped & good[..., None], known & good[..., None]
    collapsed, may = _collapses(views.visibility, own, twin, mirror)
    may &= (apart > APART) & good[..., None] & ~swapped.any(-1, keepdims=True)
    collapsed &= may
    exchanged = swapped[..., :1] & (mirror != np.arange(len(mirror)))
    for limb, words in enumerate(LIMBS):
        exchanged = exchanged | (swapped[..., limb + 1 : limb + 2] & members(keypoint_set, words))
    ordinary = np.isfinite(own) & good[..., None] & ~exchanged & ~collapsed
    return SortedErrors(wrong, background, swapped, known, collapsed, may, ordinary, size)


def _share(
    a: Float[np.ndarray, "N B F K 2"], b: Float[np.ndarray, "N B F K 2"], size: Float[np.ndarray, "N B F"]
) -> Float[np.ndarray, "N B F K"]:
    return np.linalg.norm(a - b, axis=-1) / size[..., None]


def _of_somebody_else(
    own: Float[np.ndarray, "N B F K"], other: Float[np.ndarray, "N B F K"]
) -> tuple[Bool[np.ndarray, "N B F"], Bool[np.ndarray, "N B F"]]:
    mine, theirs = (_median(np.where(np.isfinite(own), distance, np.nan)) for distance in (own, other))
    wrong = (mine > WRONG) & (theirs < NEARER * mine)
    return wrong, np.isfinite(own).any(-1) & (mine > 2 * WRONG) & ~wrong


def _median(values: Float[np.ndarray, "*b K"]) -> Float[np.ndarray, "*b"]:
    """Of what is finite; infinite for nothing."""
    ordered = np.sort(np.where(np.isfinite(values), values, np.inf), axis=-1)
    count = np.isfinite(values).sum(-1)
    return np.take_along_axis(ordered, np.maximum(count - 1, 0)[..., None] // 2, axis=-1)[..., 0]


def _swaps(
    own: Float[np.ndarray, "N B F K"],
    twin: Float[np.ndarray, "N B F K"],
    apart: Float[np.ndarray, "N B F K"],
    keypoint_set: KeypointSet,
) -> tuple[Bool[np.ndarray, "N B F 3"], Bool[np.ndarray, "N B F 3"]]:
    usable = np.isfinite(own) & np.isfinite(twin) & (apart > APART)
    swapped, known = [], []
    for words in (TRUNK, *LIMBS):
        here = usable & members(keypoint_set, words)
        known.append(here.sum(-1) >= 2)
        to_own, to_twin = (np.where(here, distance, 0.0).sum(-1) for distance in (own, twin))
        swapped.append(known[-1] & (to_twin < SWAPPED * to_own))
    exchanged, decided = np.stack(swapped, axis=-1), np.stack(known, axis=-1)
    clear = decided.sum(-1) >= 2
    whole = clear & (exchanged == decided).all(-1)
    return (
        np.concatenate([whole[..., None], exchanged[..., 1:] & ~whole[..., None]], axis=-1),
        np.concatenate([clear[..., None], decided[..., 1:]], axis=-1),
    )


def _collapses(
    visibility: Integer[np.ndarray, "N B F K"],
    own: Float[np.ndarray, "N B F K"],
    twin: Float[np.ndarray, "N B F K"],
    mirror: Integer[np.ndarray, "K"],
) -> tuple[Bool[np.ndarray, "N B F K"], Bool[np.ndarray, "N B F K"]]:
    may = (visibility == Visibility.HIDDEN_BY_SELF) & (visibility[..., mirror] == Visibility.VISIBLE)
    may &= np.isfinite(own) & np.isfinite(twin)
    with np.errstate(invalid="ignore"):
        return may & (twin < 0.35 * own), may
