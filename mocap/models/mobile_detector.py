"""The small heatmap network as a `Detector2D`: BlazePose's person detector says where to look, it says what is there.

A person who was just found is looked at twice: in the square that the person detector gives, then in the box around
the keypoints, which is what the network knows from its training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from mocap.models.blazepose import MAX_SIZE_IN_SQUARE
from mocap.models.blazepose_person import PERSON_NETWORK, decode_people, person_crop
from mocap.models.blazepose_roi import Roi, roi_from_alignment
from mocap.models.blazepose_search import search_regions
from mocap.models.box_detector import SURE_KEYPOINT, BoxDetector, Following
from mocap.models.mobile_config import MobileDetectorConfig
from mocap.models.openvino_runtime import Network
from mocap.models.person_boxes import box_of_keypoints, suppress_doubles
from mocap.models.shipped_pose import ShippedPose, ShippedPoseNetwork
from mocap.models.weights import BlazePoseWeights

MAX_OVERLAP = 0.45
"""Of two boxes of different people who were just found."""


class MobileDetector(BoxDetector):
    """BlazePose's person network and the small pose network."""

    def __init__(
        self,
        weights: BlazePoseWeights,
        config: MobileDetectorConfig,
        *,
        max_people: int = 4,
        keep_heatmaps: bool = False,
        threads: int = 0,
    ) -> None:
        pose = ShippedPose(config.weights)
        network = ShippedPoseNetwork(pose, threads=threads, precision=config.precision)
        following = Following(
            detect_every=config.detect_every,
            follow_overlap=config.follow_overlap,
            remember=config.remember,
            box_margin=1.0,
            keep_followed=True,
            sure_keypoints=config.sure_keypoints,
        )
        super().__init__(
            PeopleByPose(weights, network, config, threads=threads),
            network,
            pose.keypoint_set,
            following,
            max_people=max_people,
            keep_heatmaps=keep_heatmaps,
        )


class PeopleByPose:
    """Boxes around the keypoints of people whom BlazePose's person network suspects."""

    def __init__(
        self, weights: BlazePoseWeights, pose: ShippedPoseNetwork, config: MobileDetectorConfig, *, threads: int = 0
    ) -> None:
        self._person = Network(weights.person, PERSON_NETWORK, threads=threads, precision=config.precision)
        self._pose, self._config = pose, config
        self.identity = self._person.identity

    def detect(
        self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> list[tuple[Float[np.ndarray, "N 4"], Float[np.ndarray, "N"]]]:
        """Boxes in image px and scores, best first, for every image."""
        return [self._people(image) for image in images]

    def _people(self, image: UInt8[np.ndarray, "_ _ 3"]) -> tuple[Float[np.ndarray, "N 4"], Float[np.ndarray, "N"]]:
        regions = search_regions(image.shape[1], image.shape[0], self._config.search_levels)
        outputs = self._person.infer(person_crop(image, region) for region in regions)
        suspects = [
            found
            for region, (raw, logits) in zip(regions, outputs, strict=True)
            for found in self._suspects(raw, logits, region, whole=region is regions[0])
        ]
        poses = self._pose.estimate([image] * len(suspects), [roi.box for _, roi in suspects])
        boxes = [box_of_keypoints(pose.xy, pose.confidence, least=SURE_KEYPOINT, margin=1.0) for pose in poses]
        known = [(score, box) for (score, _), box in zip(suspects, boxes, strict=True) if box is not None]
        stacked = np.array([box for _, box in known]).reshape(-1, 4)
        scores = np.array([score for score, _ in known], dtype=np.float64)
        kept = suppress_doubles(stacked, scores, MAX_OVERLAP)
        return stacked[kept], scores[kept]

    def _suspects(self, raw: np.ndarray, logits: np.ndarray, region: Roi, *, whole: bool) -> list[tuple[float, Roi]]:
        """Scores and squares; of somebody much larger than a searched square, only a part was seen."""
        people = decode_people(raw, logits, region, self._config.min_person_score)
        squares = [(p.score, roi_from_alignment(p.hip_center, p.scale_point, 1.0)) for p in people]
        return [(score, roi) for score, roi in squares if whole or roi.size <= MAX_SIZE_IN_SQUARE * region.size]
