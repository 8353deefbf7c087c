"""A second look at points of a take: bones keep their lengths, which all frames tell better than one does.

Networks that see one moment give every point and how far off it may be. The lengths of a person's bones are the medians
over the frames in which both ends are surest; then all points of a moment move to the most likely place given what the
network said and those lengths (an iterated Kalman update, Bell & Cathey 1993, on the bones of one moment). Nothing is
smoothed: frames share lengths and nothing else. Axes: T frames, P people, J keypoints, B bones, N moments of people.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mocap.core.keypoints import KeypointSet

SIDED = (
    ("shoulder", "elbow"),
    ("elbow", "wrist"),
    ("hip", "knee"),
    ("knee", "ankle"),
    ("ankle", "heel"),
    ("ankle", "big_toe"),
    ("heel", "big_toe"),
)
"""Bones of both sides, whose lengths are taken to be alike."""
ACROSS = ("hip", "ear")
LEAST_FRAMES = 10
"""With both ends, for a length to be known; of these the surer half counts."""
STEPS = 4
LEAST_SPREAD_M, MOST_SPREAD_M = 0.002, 0.5
UNKNOWN = 1e6
"""m²: variance of a length that nobody knows."""
AT_ONCE = 4096
"""Moments worked on together: 20 MB."""
WITHIN_M = 0.05
"""What confidences are about."""


def spread_of(confidence: Float[Tensor, "*b J"]) -> Float[Tensor, "*b J"]:
    """How far off (m) a point is on average that is within 5 cm with this chance, as its distance were exponential."""
    return WITHIN_M / -torch.log1p(-confidence.clamp(1e-3, 1 - 1e-6))


def bones_of(keypoint_set: KeypointSet) -> tuple[Int[Tensor, "B 2"], Int[Tensor, "B"]]:
    """Both ends of every rigid bone whose keypoints there are, and its number among the lengths: twins share one."""
    groups = [tuple((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right")) for a, b in SIDED]
    groups += [((f"left_{name}", f"right_{name}"),) for name in ACROSS]
    known = set(keypoint_set.names)
    found = [(number, ends) for number, group in enumerate(groups) for ends in group if known.issuperset(ends)]
    ends = [keypoint_set.indices(names).tolist() for _, names in found]
    return torch.tensor(ends, dtype=torch.long).reshape(-1, 2), torch.tensor(
        [number for number, _ in found], dtype=torch.long
    )


def lengths_of(
    xyz: Float[Tensor, "T P J 3"], spread_m: Float[Tensor, "T P J"], keypoint_set: KeypointSet
) -> Float[Tensor, "P B"]:
    """Of the bones of `bones_of`, m; NaN where fewer than `LEAST_FRAMES` frames show both ends."""
    ends, groups = bones_of(keypoint_set)
    measured = (xyz[:, :, ends[:, 0]] - xyz[:, :, ends[:, 1]]).norm(dim=-1)
    unsure = spread_m[:, :, ends].square().sum(-1).masked_fill(measured.isnan(), torch.nan)
    surer = unsure <= unsure.nanmedian(dim=0).values
    median = torch.where(surer, measured, torch.nan).nanmedian(dim=0).values
    median = torch.where((~measured.isnan()).sum(0) >= LEAST_FRAMES, median, torch.nan)
    alike = (groups[:, None] == groups).to(median.dtype)
    there = (~median.isnan()).to(median.dtype)
    return (median.nan_to_num() @ alike) / (there @ alike)


def settle_lengths(
    xyz: Float[Tensor, "T P J 3"], spread_m: Float[Tensor, "T P J"], keypoint_set: KeypointSet, *, give: float
) -> Float[Tensor, "T P J 3"]:
    """The points with the lengths of their person's bones, each of which may differ by the share `give` at a moment.

    spread_m: how far off points are expected to be; surer ones move less. NaN stays NaN, and has no say.
    """
    ends, _ = bones_of(keypoint_set)
    if not len(ends) or not give or len(xyz) < LEAST_FRAMES:
        return xyz
    lengths = lengths_of(xyz, spread_m, keypoint_set).expand(len(xyz), -1, -1).flatten(0, 1)
    flat, spread = xyz.flatten(0, 1), spread_m.flatten(0, 1)
    cuts = [*range(0, len(flat), AT_ONCE), len(flat)]
    parts = [_settled(flat[a:b], spread[a:b], lengths[a:b], ends, give) for a, b in pairwise(cuts)]
    return torch.cat(parts).reshape(xyz.shape)


def _settled(
    xyz: Float[Tensor, "N J 3"],
    spread_m: Float[Tensor, "N J"],
    lengths: Float[Tensor, "N B"],
    ends: Int[Tensor, "B 2"],
    give: float,
) -> Float[Tensor, "N J 3"]:
    """x = y - W Jᵀ (J W Jᵀ + R)⁻¹ (c + J (y - x)), again from each x. c: excess; W: the points' variances."""
    missing = xyz.isnan().any(-1)
    known = ~(missing[:, ends].any(-1) | lengths.isnan())
    given = torch.where(missing[..., None], 0.0, xyz)
    variance = spread_m.clamp(LEAST_SPREAD_M, MOST_SPREAD_M).square()
    incidence = torch.zeros(len(ends), xyz.shape[1], dtype=xyz.dtype)
    incidence.scatter_(1, ends[:, :1], 1.0).scatter_(1, ends[:, 1:], -1.0)
    between = (incidence * variance[:, None]) @ incidence.mT
    noise = torch.where(known, (give * lengths.nan_to_num()).square(), UNKNOWN)
    found = given
    for _ in range(STEPS):
        bones = incidence @ found
        long = bones.norm(dim=-1)
        along = torch.where(known[..., None], bones / long.clamp(min=1e-6)[..., None], 0.0)
        said = ((incidence @ given) * along).sum(-1)
        excess = torch.where(known, said - lengths.nan_to_num(), 0.0)
        matrix = between * (along @ along.mT) + torch.diag_embed(noise)
        pull = torch.cholesky_solve(excess[..., None], torch.linalg.cholesky(matrix))
        found = given - variance[..., None] * (incidence.mT @ (pull * along))
    return torch.where(missing[..., None], torch.nan, found)
