"""What every 2D detector promises: images in, people with named keypoints out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from mocap.core.errors import InputError
from mocap.core.keypoints import KeypointSet


@dataclass(frozen=True, eq=False)
class PersonInImage:
    """One person in one image. Pixels are those of the original, distorted image; its first centre is (0, 0).

    xy: NaN where the keypoint is missing, and confidence 0 there. box: x0 y0 x1 y1 px. score: how sure the network is
    that this is a person, in [0, 1]. track: stable id of this person in this camera's image sequence, -1 for none.
    heatmaps: one per network output keypoint (K may exceed J), only when the detector was asked for them;
    px_from_heatmap: affine that maps the centre of heatmap cell (x, y), first cell (0, 0), to image px.
    """

    xy: Float[np.ndarray, "J 2"]
    confidence: Float[np.ndarray, "J"]
    box: Float[np.ndarray, "4"]
    score: float
    track: int = -1
    heatmaps: Float[np.ndarray, "K H W"] | None = None
    px_from_heatmap: Float[np.ndarray, "2 3"] | None = None

    def __post_init__(self) -> None:
        missing = np.isnan(self.xy).any(-1)
        if (missing != (self.confidence == 0)).any() or (missing != np.isnan(self.xy).all(-1)).any():
            raise InputError("PersonInImage: missing keypoints must be NaN and have confidence 0, both or neither")
        if (self.heatmaps is None) != (self.px_from_heatmap is None):
            raise InputError("PersonInImage: heatmaps and px_from_heatmap come together or not at all")


@dataclass(frozen=True)
class NetworkIdentity:
    """Which network made a result: for reports and for the hash that decides whether a stage must run again."""

    name: str
    sha256: str
    runtime: str


@runtime_checkable
class Detector2D(Protocol):
    """Finds people and their keypoints. Tracking state is kept per camera index; `reset` forgets it."""

    @property
    def keypoint_set(self) -> KeypointSet: ...

    @property
    def networks(self) -> tuple[NetworkIdentity, ...]:
        """The networks behind the results, in the order they run."""
        ...

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time spent so far, by step (`person`, `keypoints`, …)."""
        ...

    def reset(self) -> None:
        """Forget all tracks: the next images start new sequences."""
        ...

    def detect(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], cameras: Sequence[int]) -> list[list[PersonInImage]]:
        """People in one image per named camera; successive calls are successive frames of each camera.

        images: RGB, contiguous, of any sizes.
        """
        ...


def missing_as_nan(
    xy: Float[np.ndarray, "J 2"], confidence: Float[np.ndarray, "J"], keep: Shaped[np.ndarray, "J"]
) -> tuple[Float[np.ndarray, "J 2"], Float[np.ndarray, "J"]]:
    """Points not kept, not finite or of no confidence become NaN with confidence 0; the rest is clipped to 1."""
    confidence = np.clip(np.nan_to_num(confidence), 0.0, 1.0)
    good = keep.astype(bool) & np.isfinite(xy).all(-1) & (confidence > 0)
    return np.where(good[:, None], xy, np.nan), np.where(good, confidence, 0.0)
