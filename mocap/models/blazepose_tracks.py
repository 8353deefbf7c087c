"""People in one camera's image sequence: who is followed where, who is new, and who is the same person twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from mocap.models.blazepose_landmarks import CropLandmarks
from mocap.models.blazepose_roi import Roi

SAME_CENTER = 0.2
"""Two regions show one person where their centres are closer than this share of the smaller side …"""
SAME_SIZE = 1.8
"""… and neither is larger than the other by more than this factor."""
SAME_POSE = 0.06
"""Two poses are one person's where shared keypoints are this close (mean, as a share of the smaller region's side)."""
LIMB_WIDTH = 0.05
"""Points this close to a limb lie on it (as a share of the region's side) …"""
LIMB_COVER = 0.5
"""… and a newcomer of whom more than this share lies on a followed person's limbs is a part of that person."""
SURE = 0.3
MIN_SHARED = 6
MAX_NEWCOMERS = 8
"""Newcomers whom the landmark network looks at in one frame of one camera."""
KEEP_FACTOR = 1.25
"""Who is followed already counts this much larger than a newcomer, so that people do not take turns."""


@dataclass(frozen=True)
class Track:
    """One person's stable id, the region where to look next, and for how many frames the person has not been seen."""

    id: int
    roi: Roi
    missing: int = 0


@dataclass(frozen=True)
class Proposal:
    """A region in which the landmark network is to look: for a followed person, or (track None) a newcomer."""

    roi: Roi
    track: Track | None


@dataclass(frozen=True, eq=False)
class Sighting:
    """What the landmark network found for a proposal: xy px, confidence [0, 1], and where to look next."""

    proposal: Proposal
    xy: Float[np.ndarray, "J 2"]
    confidence: Float[np.ndarray, "J"]
    next_roi: Roi
    crop: CropLandmarks


@dataclass(frozen=True)
class TrackBook:
    """All tracks of a camera after a frame. Lost ones are remembered for a while, so that a person keeps the id."""

    tracks: tuple[Track, ...] = ()
    next_id: int = 0
    frame: int = 0

    @property
    def followed(self) -> tuple[Track, ...]:
        return tuple(t for t in self.tracks if t.missing == 0)

    @property
    def lost(self) -> tuple[Track, ...]:
        return tuple(t for t in self.tracks if t.missing > 0)

    def proposals(self, newcomers: Sequence[Roi]) -> list[Proposal]:
        """Followed people, then those newcomers that are none of them, in the order given, a few at most."""
        proposals = [Proposal(track.roi, track) for track in self.followed]
        for roi in newcomers:
            if not any(same_region(roi, p.roi) for p in proposals):
                proposals.append(Proposal(roi, None))
        return proposals[: len(self.followed) + MAX_NEWCOMERS]

    def updated(
        self, sightings: Sequence[Sighting], edges: Int[np.ndarray, "E 2"], *, max_people: int, remember: int
    ) -> tuple[TrackBook, list[tuple[Sighting, int]]]:
        """The book after this frame, and every distinct person seen with an id; the largest where they are too many.

        sightings: those with a pose. Somebody found where a lost person was takes that person's id.
        """
        people = sorted(distinct(sightings, edges), key=_rank)[:max_people]
        lost, next_id = [replace(t, missing=t.missing + 1) for t in self._unseen(people)], self.next_id
        named: list[tuple[Sighting, int]] = []
        for person in people:
            track = person.proposal.track or next((t for t in lost if same_region(t.roi, person.proposal.roi)), None)
            lost = [t for t in lost if track is None or t.id != track.id]
            named.append((person, next_id if track is None else track.id))
            next_id += track is None
        tracks = [Track(id_, person.next_roi) for person, id_ in named] + [t for t in lost if t.missing <= remember]
        return TrackBook(tuple(tracks), next_id, self.frame + 1), named

    def _unseen(self, people: Sequence[Sighting]) -> list[Track]:
        seen = {p.proposal.track.id for p in people if p.proposal.track is not None}
        return [t for t in self.tracks if t.id not in seen]


def same_region(a: Roi, b: Roi) -> bool:
    """Whether two regions are so alike in place and size that they show one person."""
    distance = float(np.hypot(a.center[0] - b.center[0], a.center[1] - b.center[1]))
    small, large = sorted((a.size, b.size))
    return distance < SAME_CENTER * small and large < SAME_SIZE * small


def distinct(sightings: Sequence[Sighting], edges: Int[np.ndarray, "E 2"]) -> list[Sighting]:
    """Each person once: followed people before newcomers, older ids first, newcomers in the order given.

    The detector takes legs for a person now and then: a newcomer must not be a part of somebody before.
    """
    kept: list[Sighting] = []
    for sighting in sorted(sightings, key=_precedence):
        newcomer = sighting.proposal.track is None
        if not any(same_pose(sighting, o) or (newcomer and is_part_of(sighting, o, edges)) for o in kept):
            kept.append(sighting)
    return kept


def _precedence(sighting: Sighting) -> tuple[bool, int]:
    track = sighting.proposal.track
    return (track is None, -1 if track is None else track.id)


def _rank(sighting: Sighting) -> float:
    return -sighting.next_roi.size * (KEEP_FACTOR if sighting.proposal.track is not None else 1.0)


def same_pose(a: Sighting, b: Sighting) -> bool:
    """Whether two poses lie on each other where both are sure; with few such keypoints, whether their regions agree."""
    shared = (a.confidence > SURE) & (b.confidence > SURE)
    if shared.sum() < MIN_SHARED:
        return same_region(a.next_roi, b.next_roi)
    distance = np.linalg.norm(a.xy[shared] - b.xy[shared], axis=-1).mean()
    return bool(distance < SAME_POSE * min(a.next_roi.size, b.next_roi.size))


def is_part_of(part: Sighting, whole: Sighting, edges: Int[np.ndarray, "E 2"]) -> bool:
    """Whether most of a pose lies on the limbs of another."""
    points = part.xy[part.confidence > SURE]
    if not len(points):
        return True
    distance = distance_to_segments(points, whole.xy[edges[:, 0]], whole.xy[edges[:, 1]])
    return bool((distance.min(-1) < LIMB_WIDTH * whole.next_roi.size).mean() > LIMB_COVER)


def distance_to_segments(
    points: Float[np.ndarray, "N 2"], starts: Float[np.ndarray, "E 2"], ends: Float[np.ndarray, "E 2"]
) -> Float[np.ndarray, "N E"]:
    """From every point to every line segment; a segment of no length is a point."""
    along, to_point = ends - starts, points[:, None] - starts
    length2 = (along**2).sum(-1)
    share = np.divide((to_point * along).sum(-1), length2, out=np.zeros(to_point.shape[:-1]), where=length2 > 0)
    return np.linalg.norm(to_point - np.clip(share, 0, 1)[..., None] * along, axis=-1)
