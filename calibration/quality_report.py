"""How far a calibration can be trusted: what `calibration.quality.assess` finds, for people and for machines."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

Verdict = Literal["good", "usable", "redo"]

SCHEMA = 1
"""Of the JSON document; rises when a field changes its meaning."""

DIGITS = 6
"""Significant digits in the JSON document: a hundredth of a micrometre of a centimetre, and half the bytes."""


@dataclass(frozen=True)
class PixelErrors:
    """Distances (px) between seen corners and where the solution puts them.

    outliers: further off than a calibration may be (`quality_verdicts.outlier_limit_px`), or without a prediction; RMS,
    median and 95th percentile are over the others, NaN where there are none. unused: left out by the solve, which knows
    its noise and is stricter.
    """

    corners: int
    outliers: int
    unused: int
    rms_px: float
    median_px: float
    p95_px: float


@dataclass(frozen=True, eq=False)
class ResidualField:
    """Mean residual (seen minus expected) by place in the picture: a lens that does not fit shows as arrows.

    mean_px: (rows, columns, 2), NaN where fewer than `quality_pixels.FEWEST_IN_CELL` corners were seen; corners:
    (rows, columns). systematic_px: RMS of the part that is no chance. p_value: how often chance alone makes a field as
    strong; NaN where too few views tell.
    """

    mean_px: Float[np.ndarray, "rows columns 2"]
    corners: Int[np.ndarray, "rows columns"]
    systematic_px: float
    p_value: float


@dataclass(frozen=True, eq=False)
class CameraQuality:
    """One camera. `reasons`: sentences behind a verdict that is not good.

    coverage: (8, 8) trusted corners by place in the picture, top left first, those of its own calibration included;
    wanted: (8, 8) where the working volume appears; covered_share: of these cells, those with a corner in them or next
    to them, NaN where the camera sees nothing of the volume. center_m (3,), axes (3, 3; rows: right, down and ahead)
    and position_covariance_m2 (3, 3): in the world. position_std_mm: RMS length of the error in place. Standard
    deviations are NaN where they are not known, and 0 where the number was given and kept. ray_std_mm: how far (median)
    its rays pass by the points of the working volume that it sees, because it is uncertain itself: place, direction and
    lens in one figure. shared_moments: at which another camera saw the board too. imaged_share: of the picture,
    where the lens formula has rays; elsewhere keypoints are lost. time_offset_ms, line_time_us: 0 unless solved for.
    """

    name: str
    verdict: Verdict
    reasons: tuple[str, ...]
    image_size: tuple[int, int]
    views: int
    shared_moments: int
    errors: PixelErrors
    coverage: Int[np.ndarray, "8 8"]
    wanted: Bool[np.ndarray, "8 8"]
    covered_share: float
    imaged_share: float
    field: ResidualField
    lens: str
    focal_px: float
    focal_std_px: float
    center_m: Float[np.ndarray, "3"]
    axes: Float[np.ndarray, "3 3"]
    position_covariance_m2: Float[np.ndarray, "3 3"]
    position_std_mm: float
    rotation_std_deg: float
    ray_std_mm: float
    time_offset_ms: float
    line_time_us: float


@dataclass(frozen=True, eq=False)
class VolumeQuality:
    """Expected error of a point triangulated from all cameras that have it in their picture, on a grid.

    points: (G, 3) m, world, those that two cameras see with enough parallax. cameras: (G,) how many see it.
    calibration_mm: (G,) RMS length of the error that comes from the rig's uncertainty, the same in every frame.
    mm_per_px: (G,) RMS length of the error that 1 px of noise (standard deviation of either coordinate, independent
    between cameras) makes, different in every frame. low, high: m, corners of the box that was looked at; seen_share:
    of the box. The medians and the 95th percentile are over `points`; NaN where there are none.
    """

    low: Float[np.ndarray, "3"]
    high: Float[np.ndarray, "3"]
    step_m: float
    points: Float[np.ndarray, "G 3"]
    cameras: Int[np.ndarray, "G"]
    calibration_mm: Float[np.ndarray, "G"]
    mm_per_px: Float[np.ndarray, "G"]
    seen_share: float
    median_calibration_mm: float
    p95_calibration_mm: float
    median_mm_per_px: float


@dataclass(frozen=True)
class BoardScale:
    """Distances between neighbouring corners of the board, each corner triangulated by itself from two or more cameras.

    held_out: whether the moments were kept out of the solve. nominal_mm: the printed distance (the most frequent one).
    mean_mm, std_mm: of the measured distances, scaled to the nominal one where a board has several. Distances and
    straightness (RMS distance of the corners of a row or column to their common line) are NaN where none was measured.
    kept_share: of the corners that two cameras saw, those that were measured; the others contradicted themselves.
    """

    held_out: bool
    moments: int
    distances: int
    nominal_mm: float
    mean_mm: float
    std_mm: float
    p95_error_mm: float
    straightness_mm: float
    kept_share: float


@dataclass(frozen=True)
class GraphEdge:
    """Two cameras that saw the board at the same moments. `reason`: why it is not used; empty where it is."""

    one: str
    two: str
    moments: int
    corners: int
    rms_px: float
    used: bool
    reason: str


@dataclass(frozen=True)
class Solve:
    """How the solution was found; noise_px: standard deviation of either coordinate of a trusted corner."""

    noise_px: float
    iterations: int
    converged: bool
    seconds: float
    world: str


@dataclass(frozen=True, eq=False)
class CalibrationReport:
    """Verdicts in plain language first, then what they rest on.

    headline: one sentence; sentences: what else a user should know, most important first.
    """

    verdict: Verdict
    headline: str
    sentences: tuple[str, ...]
    errors: PixelErrors
    cameras: tuple[CameraQuality, ...]
    board: BoardScale | None
    volume: VolumeQuality
    graph: tuple[GraphEdge, ...]
    board_path_m: Float[np.ndarray, "M 3"]
    solve: Solve

    def to_json_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and tables; what is not known is None. `schema` says which form this is."""
        return {"schema": SCHEMA, **_plain(self)}

    def camera(self, name: str) -> CameraQuality:
        return next(camera for camera in self.cameras if camera.name == name)


def _plain(it: Any) -> Any:
    if is_dataclass(it):
        return {field.name: _plain(getattr(it, field.name)) for field in fields(it)}
    if isinstance(it, np.ndarray):
        return _plain(it.tolist())
    if isinstance(it, (list, tuple)):
        return [_plain(part) for part in it]
    if isinstance(it, (float, np.floating)):
        return float(f"{it:.{DIGITS}g}") if math.isfinite(it) else None
    if isinstance(it, np.generic):
        return it.item()
    return it
