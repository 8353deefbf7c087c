"""The small network as a detector: it keeps its promises, and follows people by the boxes of their keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from mocap.core.keypoints import load_keypoint_set
from mocap.models.box_detector import BoxDetector, Following
from mocap.models.detector import Detector2D, NetworkIdentity
from mocap.models.mobile_config import MobileDetectorConfig
from mocap.models.onnx_pose import PoseInBox
from mocap.models.shipped_pose import SHIPPED, ShippedPose
from mocap.models.weights import BLAZEPOSE, is_fetched
from mocap.stages.detect import DetectConfig, make_detector

IDENTITY = NetworkIdentity("drawn", "0", "none")
SET = load_keypoint_set("coco17")


def picture(*corners: tuple[int, int]) -> np.ndarray:
    """White squares of 40 px on black."""
    image = np.zeros((200, 300, 3), np.uint8)
    for x, y in corners:
        image[y : y + 40, x : x + 40] = 255
    return image


class Squares:
    """Finds the first square alone, as a person detector that overlooks the others."""

    identity = IDENTITY
    looks = 0

    def detect(self, images: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        self.looks += len(images)
        found = []
        for image in images:
            column = image[..., 0].max(0).argmax()
            row = image[:, column, 0].argmax()
            there = image.any()
            box = np.array([[column, row, column + 40, row + 40]], float)
            found.append((box[: int(there)], np.ones(int(there))))
        return found


class Corners:
    """Keypoints spread over what is white in a box grown by half."""

    identity = IDENTITY

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[PoseInBox]:
        poses = []
        for image, box in zip(images, boxes, strict=True):
            low = np.maximum(box[:2] - 20, 0).astype(int)
            part = image[low[1] : int(box[3]) + 20, low[0] : int(box[2]) + 20, 0]
            rows, columns = np.nonzero(part)
            if not len(rows):
                poses.append(PoseInBox(np.full((17, 2), np.nan), np.zeros(17), None, None))
                continue
            first, last = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()])
            share = np.linspace(0, 1, 17)[:, None]
            poses.append(PoseInBox(low + first + share * (last - first), np.full(17, 0.9), None, None))
        return poses


def detector(**how) -> tuple[BoxDetector, Squares]:
    finder = Squares()
    return BoxDetector(finder, Corners(), SET, Following(box_margin=1.0, **how)), finder


def test_it_is_a_detector() -> None:
    assert isinstance(detector()[0], Detector2D)


def test_who_is_followed_needs_no_look() -> None:
    found, finder = detector(detect_every=4)
    for step in range(4):
        ((person,),) = found.detect([picture((50 + 5 * step, 60))], [0])
        np.testing.assert_allclose(person.xy[0], [50 + 5 * step, 60])
        assert person.track == 0
    assert finder.looks == 1


def test_a_look_does_not_forget_whom_it_overlooks() -> None:
    """The finder sees the leftmost square only: when a second one comes in from the left, the first stays."""
    found, _ = detector(detect_every=2, keep_followed=True)
    found.detect([picture((200, 60))], [0])
    found.detect([picture((200, 60))], [0])
    (people,) = found.detect([picture((20, 100), (200, 60))], [0])
    assert [person.track for person in people] == [0, 1]
    np.testing.assert_allclose(people[0].xy[0], [200, 60])
    np.testing.assert_allclose(people[1].xy[0], [20, 100])


def test_without_keeping_a_look_replaces_everybody() -> None:
    found, _ = detector(detect_every=2)
    found.detect([picture((200, 60))], [0])
    found.detect([picture((200, 60))], [0])
    (people,) = found.detect([picture((20, 100), (200, 60))], [0])
    assert [person.track for person in people] == [1]


def test_too_few_sure_keypoints_are_nobody() -> None:
    found, _ = detector(sure_keypoints=18)
    assert found.detect([picture((50, 60))], [0]) == [[]]


def test_nobody_is_nobody() -> None:
    found, _ = detector(keep_followed=True)
    assert found.detect([picture()], [0]) == [[]]
    found.reset()
    assert found.detect([], []) == []


def test_the_configuration_names_it() -> None:
    config = DetectConfig.model_validate({"detector": "mobile", "mobile": {"detect_every": 3}})
    assert config.mobile == MobileDetectorConfig(detect_every=3)


def test_it_looks_at_pictures_with_the_shipped_weights() -> None:
    if not is_fetched(BLAZEPOSE):
        pytest.skip("BlazePose's person network is not in the cache")
    if not (Path(str(resources.files("mocap"))) / "weights" / f"{SHIPPED}.safetensors").is_file():
        pytest.skip(f"{SHIPPED} is not shipped yet")
    mobile = make_detector(DetectConfig(detector="mobile", keep_heatmaps=True), threads=1)
    assert isinstance(mobile, Detector2D)
    assert mobile.keypoint_set == ShippedPose().keypoint_set
    assert len(mobile.networks) == 2
    assert mobile.detect([np.zeros((240, 320, 3), np.uint8)], [0]) == [[]]
