"""Who is who over cameras within a frame: combinations of detections, one per camera at most, whose rays meet.

Everything is done for all frames at once on flat lists: sightings (one row per person per image), pairs of sightings
of two cameras in one frame, and hypotheses grown from pairs. Tolerances are metric; appearance and size play no part.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mocap.geometry.ray_points import agreement, distance_to_rays, meeting_of_rays, nearest_to_rays

MIN_SEED_JOINTS = 3
"""Joints that two views must share to be compared at all; the rays of one or two meet too easily."""
MIN_JOINTS = 2
"""Joints of a person in space that another view must show to be compared; a point is harder to meet than a ray."""
MIN_SEED_AGREEMENT = 0.3
"""Mean agreement below which a pair is no seed: half of the joints would be 1.5 tolerances off, the rest beyond."""


@dataclass(frozen=True, eq=False)
class Sightings:
    """People in single images, sorted by frame. frame, camera (R,); origins (R, 3) m; directions (R, J, 3) unit, 0
    where unseen; weight (R, J) >= 0. mirror (J,): the joint that each becomes when left and right are exchanged."""

    frame: Int[Tensor, "R"]
    camera: Int[Tensor, "R"]
    origins: Float[Tensor, "R 3"]
    directions: Float[Tensor, "R J 3"]
    weight: Float[Tensor, "R J"]
    mirror: Int[Tensor, "J"]
    n_cameras: int

    def part(self, rows: slice) -> Sightings:
        """Some of the rows."""
        return Sightings(
            self.frame[rows],
            self.camera[rows],
            self.origins[rows],
            self.directions[rows],
            self.weight[rows],
            self.mirror,
            self.n_cameras,
        )


@dataclass(frozen=True, eq=False)
class PersonHypotheses:
    """People in space, sorted by frame. rows (H, C): the sighting of each camera, -1 for none. xyz (H, J, 3) m.

    agreement (H, C): mean over joints, in [0, 1], of how well the camera's rays meet the points; 0 without a sighting.
    score (H,): the sum of the agreements less one, since a single view agrees with itself.
    """

    frame: Int[Tensor, "H"]
    rows: Int[Tensor, "H C"]
    xyz: Float[Tensor, "H J 3"]
    agreement: Float[Tensor, "H C"]
    score: Float[Tensor, "H"]


def people_in_frames(sightings: Sightings, *, tolerance_m: float, min_agreement: float) -> PersonHypotheses:
    """All combinations worth considering, competing ones included; nobody is chosen here.

    Pairs whose rays meet are triangulated, the best sighting of every other camera joins where it agrees at least
    `min_agreement`, equal combinations are merged, and points and members are settled once more with all rays.
    """
    seeds, xyz = _seed_pairs(sightings, tolerance_m)
    rows = _unique(_members(sightings, xyz, sightings.frame[seeds[0]], tolerance_m, min_agreement)[0])
    xyz = _points(sightings, rows, tolerance_m)
    rows, agreed = _members(sightings, xyz, _frames(sightings, rows), tolerance_m, min_agreement)
    keep = _first_of_each(rows)
    frame = _frames(sightings, rows[keep])
    keep, frame = keep[torch.argsort(frame, stable=True)], frame.sort(stable=True).values
    return PersonHypotheses(frame, rows[keep], xyz[keep], agreed[keep], agreed[keep].sum(-1) - 1)


def _seed_pairs(sightings: Sightings, tolerance_m: float) -> tuple[Int[Tensor, "2 S"], Float[Tensor, "S J 3"]]:
    """Pairs of sightings of one frame and two cameras whose rays pass each other closely, and where they do (m)."""
    a, b = _pairs_within(sightings.frame)
    both = (sightings.weight[a] > 0) & (sightings.weight[b] > 0)
    promising = (sightings.camera[a] != sightings.camera[b]) & (both.sum(-1) >= MIN_SEED_JOINTS)
    a, b = a[promising], b[promising]
    weight = sightings.weight[a] * sightings.weight[b]
    middle, gap = meeting_of_rays(
        sightings.origins[a, None], sightings.directions[a], sightings.origins[b, None], sightings.directions[b]
    )
    good = _weighted_mean(agreement(gap, tolerance_m), weight) >= MIN_SEED_AGREEMENT
    middle = torch.where((weight > 0)[..., None], middle, torch.nan)
    return torch.stack([a[good], b[good]]), middle[good]


def _pairs_within(group: Int[Tensor, "R"], other: Int[Tensor, "S"] | None = None) -> tuple[Tensor, Tensor]:
    """Index pairs (i, j) of equal group; within one sorted list those with i < j, else all of list and `other`."""
    target = group if other is None else other
    first = torch.searchsorted(target, group)
    last = torch.searchsorted(target, group, right=True)
    if other is None:
        first = torch.arange(1, len(group) + 1)
    count = (last - first).clamp(min=0)
    i = torch.repeat_interleave(torch.arange(len(group)), count)
    within = torch.arange(len(i)) - torch.repeat_interleave(count.cumsum(0) - count, count)
    return i, first[i] + within


def _points(sightings: Sightings, rows: Int[Tensor, "H C"], tolerance_m: float) -> Float[Tensor, "H J 3"]:
    """Robust consensus of all members, joint by joint; NaN where fewer than two members see a joint."""
    member = rows >= 0
    weight = sightings.weight[rows].mT * member[:, None]
    directions = sightings.directions[rows].swapaxes(1, 2)
    origins = sightings.origins[rows][:, None].expand_as(directions)
    return nearest_to_rays(origins, directions, weight, tolerance_m=tolerance_m)


def _members(
    sightings: Sightings, xyz: Float[Tensor, "H J 3"], frame: Int[Tensor, "H"], tolerance_m: float, min_agreement: float
) -> tuple[Int[Tensor, "H C"], Float[Tensor, "H C"]]:
    """The best sighting of every camera for each hypothesis (-1 for none) and how well it agrees.

    A sighting with left and right exchanged is still the person: it may agree in either reading.
    """
    h, r = _pairs_within(frame, sightings.frame)
    distance = distance_to_rays(xyz[h], sightings.origins[r, None], sightings.directions[r])
    straight = _shared_mean(agreement(distance, tolerance_m), sightings.weight[r], distance)
    turned = sightings.mirror
    distance = distance_to_rays(xyz[h], sightings.origins[r, None], sightings.directions[r][:, turned])
    exchanged = _shared_mean(agreement(distance, tolerance_m), sightings.weight[r][:, turned], distance)
    agreed = torch.maximum(straight, exchanged)
    best = torch.zeros(len(xyz), sightings.n_cameras, dtype=xyz.dtype)
    best = best.index_put((h, sightings.camera[r]), torch.zeros_like(agreed))
    cell = h * sightings.n_cameras + sightings.camera[r]
    best = best.flatten().scatter_reduce(0, cell, agreed, "amax").view_as(best)
    rows = torch.full(best.shape, -1)
    wins = (agreed == best[h, sightings.camera[r]]) & (agreed >= min_agreement)
    rows[h[wins], sightings.camera[r][wins]] = r[wins]
    return rows, torch.where(rows >= 0, best, 0.0)


def _weighted_mean(values: Float[Tensor, "N J"], weight: Float[Tensor, "N J"]) -> Float[Tensor, "N"]:
    """0 where nothing has weight."""
    total = weight.sum(-1)
    return (values * weight).sum(-1) / torch.where(total > 0, total, 1.0)


def _shared_mean(
    values: Float[Tensor, "N J"], weight: Float[Tensor, "N J"], distance: Float[Tensor, "N J"]
) -> Float[Tensor, "N"]:
    """Mean over the joints that are both seen and placed; 0 with fewer than `MIN_JOINTS` of them."""
    weight = torch.where(distance.isnan(), 0.0, weight)
    return torch.where((weight > 0).sum(-1) >= MIN_JOINTS, _weighted_mean(values, weight), 0.0)


def _unique(rows: Int[Tensor, "H C"]) -> Int[Tensor, "U C"]:
    """Different combinations of at least two sightings."""
    return torch.unique(rows[(rows >= 0).sum(-1) >= 2], dim=0)


def _first_of_each(rows: Int[Tensor, "H C"]) -> Int[Tensor, "U"]:
    """Where each different combination of at least two sightings stands first."""
    good = torch.nonzero((rows >= 0).sum(-1) >= 2)[:, 0]
    combinations, which = torch.unique(rows[good], dim=0, return_inverse=True)
    first = torch.full((len(combinations),), len(rows)).scatter_reduce(0, which, good, "amin")
    return first.sort().values


def _frames(sightings: Sightings, rows: Int[Tensor, "H C"]) -> Int[Tensor, "H"]:
    return sightings.frame[rows.amax(-1)]
