"""BlazePose's landmark network: 39 points with visibility and presence, refined with 39 heatmaps.

Points 0–32 are the body's, 33 and 34 the alignment points for the next frame's region (hip centre and scale point).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.models.blazepose_person import sigmoid
from mocap.models.openvino_runtime import NetworkSpec

CELLS = 256
HEATMAP_CELLS = 64
N_LANDMARKS = 39
N_KEYPOINTS = 33
ALIGNMENT = (33, 34)
N_VALUES = 5
REFINE_KERNEL = 7
MIN_PEAK_TO_REFINE = 0.5

LANDMARK_NETWORK = NetworkSpec(
    name="blazepose-landmarks",
    input_shape=(CELLS, CELLS, 3),
    outputs=((N_LANDMARKS * N_VALUES,), (1,), (HEATMAP_CELLS, HEATMAP_CELLS, N_LANDMARKS)),
    mean=0.0,
    scale=255.0,
)


@dataclass(frozen=True, eq=False)
class CropLandmarks:
    """One person in one crop.

    xy: cells of the 256-cell crop. visibility (seen, not hidden) and presence (inside the picture): [0, 1].
    pose_presence: how sure the network is that the crop shows a person. heatmap_logits: as they come.
    """

    xy: Float[np.ndarray, "39 2"]
    visibility: Float[np.ndarray, "39"]
    presence: Float[np.ndarray, "39"]
    pose_presence: float
    heatmap_logits: Float[np.ndarray, "64 64 39"]

    @property
    def confidence(self) -> Float[np.ndarray, "39"]:
        """Visibility times presence."""
        return self.visibility * self.presence

    def heatmaps(self) -> Float[np.ndarray, "39 64 64"]:
        """Probabilities, half precision; cell (x, y) is at 4 (x, y) in crop cells."""
        return np.ascontiguousarray(sigmoid(self.heatmap_logits).transpose(2, 0, 1)).astype(np.float16)


def decode_landmarks(
    raw: Float[np.ndarray, "195"],
    pose_presence: Float[np.ndarray, "1"],
    heatmap_logits: Float[np.ndarray, "64 64 39"],
    *,
    kernel: int = REFINE_KERNEL,
) -> CropLandmarks:
    """The network's three outputs as points; `kernel` 0 leaves out the refinement by heatmap."""
    values = raw.reshape(N_LANDMARKS, N_VALUES).astype(np.float64)
    xy = values[:, :2] if kernel == 0 else refine_by_heatmap(values[:, :2], heatmap_logits, kernel)
    return CropLandmarks(xy, sigmoid(values[:, 3]), sigmoid(values[:, 4]), float(pose_presence[0]), heatmap_logits)


def refine_by_heatmap(
    xy: Float[np.ndarray, "39 2"], logits: Float[np.ndarray, "64 64 39"], kernel: int = REFINE_KERNEL
) -> Float[np.ndarray, "39 2"]:
    """Replace points by the centroid of their heatmap in a window around them, where its peak there is at least 0.5.

    xy in crop cells. The window is centred on the cell that holds the point (rounded down) and clipped at the border;
    points outside the crop stay. After MediaPipe's RefineLandmarksFromHeatmap with its kernel of 7 cells.
    """
    cell = np.floor(xy * (HEATMAP_CELLS / CELLS)).astype(np.int64)
    inside = ((cell >= 0) & (cell < HEATMAP_CELLS)).all(-1)
    weights, columns, rows = _windows(cell, logits, kernel)
    total = weights.sum((1, 2))
    confident = inside & (weights.max((1, 2)) >= MIN_PEAK_TO_REFINE)
    total = np.where(confident, total, 1.0)
    centroid = np.stack([(weights.sum(1) * columns).sum(1), (weights.sum(2) * rows).sum(1)], axis=-1) / total[:, None]
    return np.where(confident[:, None], centroid * (CELLS / HEATMAP_CELLS), xy)


def _windows(
    cell: Int[np.ndarray, "K 2"], logits: Float[np.ndarray, "H W K"], kernel: int
) -> tuple[Float[np.ndarray, "K k k"], Int[np.ndarray, "K k"], Int[np.ndarray, "K k"]]:
    """Probabilities in the window around each point's cell (0 beyond the border), and the window's columns and rows."""
    offsets = np.arange(kernel) - (kernel - 1) // 2
    columns, rows = cell[:, :1] + offsets, cell[:, 1:] + offsets
    picked = logits[_clipped(rows)[:, :, None], _clipped(columns)[:, None, :], np.arange(len(cell))[:, None, None]]
    within = _within(rows)[:, :, None] & _within(columns)[:, None, :]
    return np.where(within, sigmoid(picked.astype(np.float64)), 0.0), columns, rows


def _clipped(index: Int[np.ndarray, "K k"]) -> Int[np.ndarray, "K k"]:
    return np.clip(index, 0, HEATMAP_CELLS - 1)


def _within(index: Int[np.ndarray, "K k"]) -> Bool[np.ndarray, "K k"]:
    return (index >= 0) & (index < HEATMAP_CELLS)
