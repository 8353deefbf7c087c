"""Any pair of ONNX networks, one for person boxes and one for keypoints, as a `Detector2D`.

The pair is given by path; RTMDet or YOLOX with RTMPose, HRNet or ViTPose are known (see `onnx_person`, `onnx_pose`).
People are followed by the overlap of their boxes. Results depend neither on the number of threads nor on how many
cameras are given at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Int, UInt8
from pydantic import Field

from mocap.core.config import Config
from mocap.core.errors import ConfigError
from mocap.core.keypoint_names import KEYPOINT_SETS_BY_COUNT, keypoint_set_from_names
from mocap.core.keypoints import KeypointSet, load_keypoint_set
from mocap.models.detector import NetworkIdentity, PersonInImage
from mocap.models.onnx_crop import Grid
from mocap.models.onnx_model import Normalisation
from mocap.models.onnx_person import OnnxPersonDetector, PersonOptions, Pictures, inside
from mocap.models.onnx_pose import OnnxPoseNetwork, PoseInBox, PoseOptions
from mocap.models.person_boxes import BoxTracks, box_of_keypoints, suppress_doubles

Images = Sequence[UInt8[np.ndarray, "_ _ 3"]]
Unit = Annotated[float, Field(ge=0, le=1)]
Size = tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
Triple = tuple[float, float, float]

KEYPOINT_BOX_MARGIN = 1.25
"""A person is larger than the box of the keypoints: half of the head, the hands and the feet stick out."""
SURE_KEYPOINT = 0.3
SAME_PERSON = 0.85
"""Two followed boxes that overlap more than this have come to show one person."""


class OnnxConfig(Config):
    """The two networks and how they are run. Sizes are (width, height).

    person, pose: the files. *_size: for files that leave the picture's size free. person_pictures: what the person
    network was trained on, `bytes` (YOLOX) or `imagenet` (RTMDet); auto knows YOLOX by its first layer or name.
    person_class: index of people among its classes. pose_channels, pose_mean, pose_std: of R, G, B in 0 to 255.
    pose_grid: see `onnx_crop`; auto takes `udp` for transformers and for names with udp, else `stride`.
    keypoint_set or keypoint_names: what the pose network's outputs are; without them their number decides.
    confidence_gain: factor on confidences before they are cut at 1 (RTMW: 0.1; SimCC exported with softmax: 15).
    detect_every: images from one look for people to the next; between them the last keypoints give the boxes.
    """

    person: Path
    pose: Path
    person_size: Size | None = None
    pose_size: Size | None = None
    person_pictures: Pictures = "auto"
    person_class: Annotated[int, Field(ge=0)] = 0
    min_person_score: Unit = 0.3
    max_person_overlap: Unit = 0.45
    pose_channels: Literal["rgb", "bgr"] = "rgb"
    pose_mean: Triple = (123.675, 116.28, 103.53)
    pose_std: Triple = (58.395, 57.12, 57.375)
    pose_grid: Literal["auto"] | Grid = "auto"
    box_padding: Annotated[float, Field(ge=1, le=3)] = 1.25
    refine: bool = True
    confidence_gain: Annotated[float, Field(gt=0)] = 1.0
    keypoint_set: str | None = None
    keypoint_names: tuple[str, ...] | None = None
    detect_every: Annotated[int, Field(ge=1)] = 1
    follow_overlap: Unit = 0.3
    remember: Annotated[int, Field(ge=0)] = 30
    precision: Literal["f32", "bf16", "f16"] = "f32"


@dataclass(frozen=True, eq=False)
class _Found:
    """Boxes of one image and their scores, best first."""

    boxes: Float[np.ndarray, "N 4"]
    scores: Float[np.ndarray, "N"]


class OnnxDetector:
    """A `Detector2D` of two networks."""

    def __init__(
        self, config: OnnxConfig, *, max_people: int = 4, keep_heatmaps: bool = False, threads: int = 0
    ) -> None:  # fmt: skip
        self._config, self._max_people, self._keep_heatmaps = config, max_people, keep_heatmaps
        self._person = OnnxPersonDetector(
            config.person,
            PersonOptions(config.min_person_score, config.max_person_overlap, config.person_class),
            input_size=config.person_size,
            pictures=config.person_pictures,
            threads=threads,
            precision=config.precision,
        )
        self._pose = OnnxPoseNetwork(
            config.pose,
            PoseOptions(config.box_padding, config.confidence_gain, config.refine),
            normalisation=Normalisation(config.pose_channels, config.pose_mean, config.pose_std),
            grid=config.pose_grid,
            input_size=config.pose_size,
            threads=threads,
            precision=config.precision,
        )
        self._set = keypoint_set_of(config, self._pose.n_keypoints)
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
            self._next_boxes[cameras[index]] = _boxes_after(people, mine, images[index])
        self._seconds["person"] += boxed - started
        self._seconds["keypoints"] += time.perf_counter() - boxed
        return results

    def _boxes(self, images: Images, cameras: Sequence[int]) -> list[_Found]:
        """From the person network where it is its turn or nobody is followed, else from the last keypoints."""
        looks = [i for i, camera in enumerate(cameras) if self._must_look(camera)]
        seen = dict(zip(looks, self._person.detect([images[i] for i in looks]), strict=True))
        found = [_Found(*seen[i]) if i in seen else self._next_boxes[camera] for i, camera in enumerate(cameras)]
        return [_Found(f.boxes[: self._max_people], f.scores[: self._max_people]) for f in found]

    def _must_look(self, camera: int) -> bool:
        tracks, boxes = self._tracks.get(camera), self._next_boxes.get(camera)
        return tracks is None or boxes is None or not len(boxes.boxes) or tracks.frame % self._config.detect_every == 0

    def _followed(self, camera: int, found: _Found) -> Int[np.ndarray, "N"]:
        self._tracks[camera], ids = self._tracks.get(camera, BoxTracks()).joined_by(
            found.boxes,
            found.scores,
            least_overlap=self._config.follow_overlap,
            remember=self._config.remember,
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
            if (pose.confidence > 0).any()
        ]
        return sorted(people, key=lambda person: person.track)


def keypoint_set_of(config: OnnxConfig, count: int) -> KeypointSet:
    """The set that the configuration names, or the only one of that many keypoints."""
    if config.keypoint_names is not None:
        if len(config.keypoint_names) != count:
            raise ConfigError(
                f"keypoint_names lists {len(config.keypoint_names)} names, the network has {count} keypoints",
                where=config.pose,
            )
        return keypoint_set_from_names("named", config.keypoint_names)
    known = KEYPOINT_SETS_BY_COUNT.get(count, ())
    name = config.keypoint_set or (known[0] if len(known) == 1 else None)
    if name is None:
        sets = f"could be {' or '.join(known)}" if known else "are no set that is known"
        raise ConfigError(
            f"the network's {count} keypoints {sets}",
            where=config.pose,
            remedy="Set keypoint_set, or list keypoint_names in the network's order.",
        )
    chosen = load_keypoint_set(name)
    if len(chosen) != count:
        raise ConfigError(f"{name} has {len(chosen)} keypoints, the network {count}", where=config.pose)
    return chosen


def _boxes_after(found: _Found, poses: list[PoseInBox], image: UInt8[np.ndarray, "_ _ 3"]) -> _Found:
    """Where to look in the next image without the person network: around the keypoints that are sure."""
    boxes, scores = [], []
    for score, pose in zip(found.scores, poses, strict=True):
        box = box_of_keypoints(pose.xy, pose.confidence, least=SURE_KEYPOINT, margin=KEYPOINT_BOX_MARGIN)
        if box is not None:
            boxes.append(box)
            scores.append(score)
    stacked, ranked = np.array(boxes).reshape(-1, 4), np.array(scores, dtype=np.float64)
    here = inside(stacked, (image.shape[1], image.shape[0]))
    stacked, ranked = stacked[here], ranked[here]
    kept = suppress_doubles(stacked, ranked, SAME_PERSON)
    return _Found(stacked[kept], ranked[kept])
