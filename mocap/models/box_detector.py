"""People by boxes: something that finds them, a pose network that looks into the boxes, and ids by their overlap.

Between two looks for people the last keypoints give the boxes. Results depend neither on the number of threads nor on
how many cameras are given at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt8

from mocap.core.keypoints import KeypointSet
from mocap.models.detector import NetworkIdentity, PersonInImage
from mocap.models.onnx_person import inside
from mocap.models.onnx_pose import PoseInBox
from mocap.models.person_boxes import BoxTracks, box_of_keypoints, overlaps, suppress_doubles

Images = Sequence[UInt8[np.ndarray, "_ _ 3"]]
Boxes = tuple[Float[np.ndarray, "N 4"], Float[np.ndarray, "N"]]

SURE_KEYPOINT = 0.3
SAME_PERSON = 0.85
"""Two followed boxes that overlap more than this have come to show one person."""


@runtime_checkable
class FindsPeople(Protocol):
    """Boxes of people and their scores, best first, for every image."""

    identity: NetworkIdentity

    def detect(self, images: Images) -> list[Boxes]:
        """In image px."""
        ...


@runtime_checkable
class PoseNetwork(Protocol):
    """Keypoints of people in given boxes."""

    identity: NetworkIdentity

    def estimate(self, images: Images, boxes: Sequence[Float[np.ndarray, "4"]]) -> list[PoseInBox]:
        """One image and box a person."""
        ...


@dataclass(frozen=True)
class Following:
    """How people are followed from image to image.

    detect_every: images from one look for people to the next. box_margin: of a box around keypoints, for the next look.
    keep_followed: a look adds newcomers to those who are followed, and takes nobody's place. sure_keypoints: so many
    must be sure for a person to be one.
    """

    detect_every: int = 1
    follow_overlap: float = 0.3
    remember: int = 30
    box_margin: float = 1.25
    keep_followed: bool = False
    sure_keypoints: int = 0


@dataclass(frozen=True, eq=False)
class _Found:
    """Boxes of one image and their scores, best first."""

    boxes: Float[np.ndarray, "N 4"]
    scores: Float[np.ndarray, "N"]


class BoxDetector:
    """A `Detector2D` of something that finds people and a pose network."""

    def __init__(
        self,
        person: FindsPeople,
        pose: PoseNetwork,
        keypoint_set: KeypointSet,
        following: Following,
        *,
        max_people: int = 4,
        keep_heatmaps: bool = False,
    ) -> None:
        self._person, self._pose, self._set, self._following = person, pose, keypoint_set, following
        self._max_people, self._keep_heatmaps = max_people, keep_heatmaps
        self._tracks: dict[int, BoxTracks] = {}
        self._next_boxes: dict[int, _Found] = {}
        self._seconds = {"person": 0.0, "keypoints": 0.0}

    @property
    def keypoint_set(self) -> KeypointSet:
        return self._set

    @property
    def networks(self) -> tuple[NetworkIdentity, ...]:
        """Person detector and pose network."""
        return (self._person.identity, self._pose.identity)

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time so far of the two networks, cutting out and decoding included."""
        return dict(self._seconds)

    def reset(self) -> None:
        """Forget all tracks."""
        self._tracks.clear()
        self._next_boxes.clear()

    def detect(self, images: Images, cameras: Sequence[int]) -> list[list[PersonInImage]]:
        """People in one image per camera, the next frame of each; ordered by track id."""
        started = time.perf_counter()
        found = self._boxes(images, cameras)
        ids = [self._followed(camera, people) for camera, people in zip(cameras, found, strict=True)]
        boxed = time.perf_counter()
        owner = [index for index, people in enumerate(found) for _ in people.boxes]
        poses = self._pose.estimate([images[i] for i in owner], [box for people in found for box in people.boxes])
        results: list[list[PersonInImage]] = []
        for index, people in enumerate(found):
            mine = [pose for pose, i in zip(poses, owner, strict=True) if i == index]
            results.append(self._people(people, ids[index], mine))
            self._next_boxes[cameras[index]] = self._boxes_after(people, mine, images[index])
        self._seconds["person"] += boxed - started
        self._seconds["keypoints"] += time.perf_counter() - boxed
        return results

    def _boxes(self, images: Images, cameras: Sequence[int]) -> list[_Found]:
        """From the person network where it is its turn or nobody is followed, else from the last keypoints."""
        looks = [i for i, camera in enumerate(cameras) if self._must_look(camera)]
        seen = dict(zip(looks, self._person.detect([images[i] for i in looks]), strict=True))
        found = [
            self._joined(_Found(*seen[i]), self._next_boxes.get(camera)) if i in seen else self._next_boxes[camera]
            for i, camera in enumerate(cameras)
        ]
        return [_Found(f.boxes[: self._max_people], f.scores[: self._max_people]) for f in found]

    def _joined(self, seen: _Found, followed: _Found | None) -> _Found:
        """Who was just found, after those who are followed already where they keep their places."""
        if followed is None or not self._following.keep_followed:
            return seen
        new = (overlaps(seen.boxes, followed.boxes) < self._following.follow_overlap).all(-1)
        boxes = np.concatenate([followed.boxes, seen.boxes[new]])
        return _Found(boxes, np.concatenate([followed.scores, seen.scores[new]]))

    def _must_look(self, camera: int) -> bool:
        tracks, boxes = self._tracks.get(camera), self._next_boxes.get(camera)
        every = self._following.detect_every
        return tracks is None or boxes is None or not len(boxes.boxes) or tracks.frame % every == 0

    def _followed(self, camera: int, found: _Found) -> Int[np.ndarray, "N"]:
        self._tracks[camera], ids = self._tracks.get(camera, BoxTracks()).joined_by(
            found.boxes,
            found.scores,
            least_overlap=self._following.follow_overlap,
            remember=self._following.remember,
        )
        return ids

    def _people(self, found: _Found, ids: Int[np.ndarray, "N"], poses: list[PoseInBox]) -> list[PersonInImage]:
        people = [
            PersonInImage(
                xy=pose.xy,
                confidence=pose.confidence,
                box=box,
                score=float(score),
                track=int(track),
                heatmaps=pose.heatmaps if self._keep_heatmaps else None,
                px_from_heatmap=pose.px_from_heatmap if self._keep_heatmaps else None,
            )
            for box, score, track, pose in zip(found.boxes, found.scores, ids, poses, strict=True)
            if self._is_somebody(pose)
        ]
        return sorted(people, key=lambda person: person.track)

    def _is_somebody(self, pose: PoseInBox) -> bool:
        sure = (pose.confidence >= SURE_KEYPOINT).sum()
        return bool((pose.confidence > 0).any() and sure >= self._following.sure_keypoints)

    def _boxes_after(self, found: _Found, poses: list[PoseInBox], image: UInt8[np.ndarray, "_ _ 3"]) -> _Found:
        """Where to look in the next image without the person network: around the keypoints that are sure."""
        boxes, scores = [], []
        for score, pose in zip(found.scores, poses, strict=True):
            margin = self._following.box_margin
            box = box_of_keypoints(pose.xy, pose.confidence, least=SURE_KEYPOINT, margin=margin)
            if box is not None and self._is_somebody(pose):
                boxes.append(box)
                scores.append(score)
        stacked, ranked = np.array(boxes).reshape(-1, 4), np.array(scores, dtype=np.float64)
        here = inside(stacked, (image.shape[1], image.shape[0]))
        stacked, ranked = stacked[here], ranked[here]
        kept = suppress_doubles(stacked, ranked, SAME_PERSON)
        return _Found(stacked[kept], ranked[kept])
