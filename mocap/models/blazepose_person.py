"""BlazePose's person detector: anchors, decoding and weighted non-maximum suppression.

The network (single shot, 224x224, 2254 anchors) answers with a box around the face and four points; the first two are
the hip centre and a point that gives the body's size and lean. Constants: MediaPipe's graph `pose_detection_cpu`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mocap.models.blazepose_roi import Roi, box_overlap, transform
from mocap.models.openvino_runtime import NetworkSpec

CELLS = 224
ANCHOR_LAYOUT = ((8, 2), (16, 2), (32, 6))
"""(stride, anchors per cell): one layer each of strides 8 and 16, three of 32; two unit-sized anchors a layer."""
N_ANCHORS, N_VALUES, N_POINTS = 2254, 12, 4
HIP_CENTER, FULL_BODY_SCALE = 0, 1
OVERLAP_OF_ONE_FACE = 0.3

PERSON_NETWORK = NetworkSpec(
    name="blazepose-person",
    input_shape=(CELLS, CELLS, 3),
    outputs=((N_ANCHORS, N_VALUES), (N_ANCHORS, 1)),
    mean=127.5,
    scale=127.5,
)


@dataclass(frozen=True, eq=False)
class PersonCandidate:
    """A person suspected by the detector. score: [0, 1]; box: the face, px; points: (4, 2) px."""

    score: float
    box: Float[np.ndarray, "4"]
    points: Float[np.ndarray, "4 2"]

    @property
    def hip_center(self) -> Float[np.ndarray, "2"]:
        return self.points[HIP_CENTER]

    @property
    def scale_point(self) -> Float[np.ndarray, "2"]:
        return self.points[FULL_BODY_SCALE]


@cache
def anchor_centers() -> Float[np.ndarray, "2254 2"]:
    """Centre (x, y) of every anchor, as a share of the input's side."""
    layers = []
    for stride, count in ANCHOR_LAYOUT:
        side = CELLS // stride
        centers = (np.arange(side) + 0.5) / side
        y, x = np.meshgrid(centers, centers, indexing="ij")
        layers.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), count, axis=0))
    anchors = np.concatenate(layers)
    anchors.setflags(write=False)
    return anchors


def person_crop(image: UInt8[np.ndarray, "H W 3"], region: Roi) -> UInt8[np.ndarray, "224 224 3"]:
    """What the detector sees of a region; black outside the image."""
    return region.crop(image, CELLS, cv2.BORDER_CONSTANT)


def decode_people(
    raw: Float[np.ndarray, "2254 12"], logits: Float[np.ndarray, "2254 1"], region: Roi, min_score: float
) -> list[PersonCandidate]:
    """People in the region, best first, in image px."""
    scores = sigmoid(logits[:, 0].astype(np.float64))
    rows = np.flatnonzero(scores >= min_score)
    values = raw[rows].astype(np.float64) / CELLS
    center = values[:, :2] + anchor_centers()[rows]
    boxes = np.concatenate([center - values[:, 2:4] / 2, center + values[:, 2:4] / 2], axis=-1)
    points = values[:, 4:].reshape(-1, N_POINTS, 2) + anchor_centers()[rows][:, None]
    image_from_share = region.image_from_crop(1)
    return [
        PersonCandidate(
            float(scores[rows[group[0]]]),
            transform(image_from_share, _weighted_mean(boxes[group], scores[rows[group]]).reshape(2, 2)).reshape(4),
            transform(image_from_share, _weighted_mean(points[group], scores[rows[group]])),
        )
        for group in _groups(boxes, scores[rows])
    ]


def _groups(boxes: Float[np.ndarray, "N 4"], scores: Float[np.ndarray, "N"]) -> list[np.ndarray]:
    """Rows that show the same face, best score first within and between groups.

    Weighted suppression: the best remaining box takes all that overlap it, and they are averaged, not dropped.
    """
    order = np.argsort(-scores, kind="stable")
    groups = []
    while len(order):
        same = box_overlap(boxes[order[0]], boxes[order]) > OVERLAP_OF_ONE_FACE
        same[0] = True
        groups.append(order[same])
        order = order[~same]
    return groups


def _weighted_mean(values: Float[np.ndarray, "N *rest"], weights: Float[np.ndarray, "N"]) -> Float[np.ndarray, "*rest"]:
    return np.tensordot(weights / weights.sum(), values, axes=1)


def sigmoid(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The logistic function; clipped where exp would overflow single precision (it is below 1e-34 there)."""
    return 1.0 / (1.0 + np.exp(-np.clip(x, -80.0, 80.0)))
