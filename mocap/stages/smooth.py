"""Points in space made fit for animation: outliers out, short gaps filled, noise filtered; everything counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from mocap.core.config import Config, Report
from mocap.core.keypoints import Keypoints3D, KeypointSet
from mocap.signal.filters import butterworth, one_euro, savitzky_golay
from mocap.signal.gaps import Interpolation, fill_gaps, gap_lengths
from mocap.signal.kalman import density_for_cutoff, rts_smooth
from mocap.signal.outliers import hampel_outliers

Filter = Literal["butterworth", "savitzky_golay", "one_euro", "rts", "none"]

FILLED_CONFIDENCE = 0.5
"""Confidence of a filled point over that of its neighbours."""
NOISE_M = 0.01
"""Standard deviation of a sample of average confidence for the RTS smoother; its cut-off does not depend on it."""


class SmoothConfig(Config):
    """What is taken out, filled and smoothed, in this order.

    max_reprojection: points whose error is more than so many times the median over the person's points are dropped;
    0 drops none. hampel_window_s: half of the window; hampel_sigma: deviations from where the neighbours put a point,
    0 drops none; hampel_floor_mm: smaller deviations are never outliers. max_gap_s: longer gaps stay missing; beyond
    the first and last point nothing is ever filled. gaps: how filters other than rts fill; rts fills with its own
    estimate. cutoff_hz: 3 dB down, of butterworth (order `order` both passes together) and rts. window_s, degree:
    savitzky_golay. min_cutoff_hz, beta (Hz per m/s): one_euro, the only causal one. rts_order: derivative of position
    that is white noise (3: jerk).
    """

    max_reprojection: float = Field(default=8.0, ge=0)
    hampel_window_s: float = Field(default=0.09, gt=0)
    hampel_sigma: float = Field(default=4.0, ge=0)
    hampel_floor_mm: float = Field(default=20.0, ge=0)
    max_gap_s: float = Field(default=0.3, ge=0)
    gaps: Interpolation = "pchip"
    filter: Filter = "butterworth"
    cutoff_hz: float = Field(default=6.0, gt=0)
    order: int = Field(default=4, ge=2)
    window_s: float = Field(default=0.25, gt=0)
    degree: int = Field(default=3, ge=0)
    min_cutoff_hz: float = Field(default=1.5, gt=0)
    beta: float = Field(default=2.0, ge=0)
    rts_order: int = Field(default=3, ge=1, le=4)


class KeypointCleanUp(Report):
    """Counts over frames and people. jitter: median acceleration (m/s²) of neighbouring frames before and after."""

    rejected_reprojection: int
    rejected_hampel: int
    filled: int
    missing: int
    jitter_before_m_s2: float | None
    jitter_after_m_s2: float | None


class SmoothReport(Report):
    """Everything that was dropped or filled. missing: still without a point; the totals are over `keypoints`."""

    filter: str
    keypoints: dict[str, KeypointCleanUp]
    rejected_reprojection: int
    rejected_hampel: int
    filled: int
    missing: int
    body_jitter_before_m_s2: float | None
    body_jitter_after_m_s2: float | None
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Changes:
    rejected_reprojection: Bool[np.ndarray, "T P J"]
    rejected_hampel: Bool[np.ndarray, "T P J"]
    filled: Bool[np.ndarray, "T P J"]


def smooth(points: Keypoints3D, config: SmoothConfig) -> tuple[Keypoints3D, SmoothReport]:
    """The cleaned points: filled ones have no views and no reprojection error; errors are those of the raw points."""
    config, left_out = _within_the_rate(config, points.fps)
    far = _far_off(points, config.max_reprojection)
    xyz = np.where(far[..., None], np.nan, points.xyz)
    odd = _odd_ones(xyz, points.fps, config)
    xyz = np.where(odd[..., None], np.nan, xyz)
    confidence = np.where(far | odd, 0.0, points.confidence)
    smoothed, filled = _filled_and_filtered(xyz, confidence, points.fps, config)
    missing = np.isnan(smoothed).any(-1)
    kept = ~missing & ~filled
    result = Keypoints3D(
        keypoint_set=points.keypoint_set,
        xyz=smoothed,
        confidence=np.where(filled, _confidence_of_filled(confidence), np.where(kept, confidence, 0.0)),
        reprojection_px=np.where(kept, points.reprojection_px, np.nan),
        n_views=np.where(kept, points.n_views, 0),
        fps=points.fps,
    )
    report = _report(points, result, _Changes(far, odd, filled), config)
    return result, report.model_copy(update={"sentences": (*left_out, *report.sentences)})


def _within_the_rate(config: SmoothConfig, fps: float) -> tuple[SmoothConfig, tuple[str, ...]]:
    """Without the filter where its cut-off lies beyond all that this frame rate can hold, and a sentence about it."""
    if config.filter not in ("butterworth", "rts") or config.cutoff_hz < fps / 2:
        return config, ()
    told = (
        f"{fps:g} frames a second hold nothing above {fps / 2:g} Hz: "
        f"the {config.filter} filter at {config.cutoff_hz:g} Hz was left out (smooth.cutoff_hz lowers it)"
    )
    return config.model_copy(update={"filter": "none"}), (told,)


def _far_off(points: Keypoints3D, ratio: float) -> Bool[np.ndarray, "T P J"]:
    if ratio == 0 or not np.isfinite(points.reprojection_px).any():
        return np.zeros(points.confidence.shape, dtype=bool)
    seen = np.isfinite(points.reprojection_px).any((0, 2))
    typical = np.full(points.n_people, np.inf)
    typical[seen] = np.nanmedian(points.reprojection_px[:, seen], axis=(0, 2))
    return points.reprojection_px > ratio * typical[:, None]


def _odd_ones(xyz: Float[np.ndarray, "T P J 3"], fps: float, config: SmoothConfig) -> Bool[np.ndarray, "T P J"]:
    if config.hampel_sigma == 0:
        return np.zeros(xyz.shape[:-1], dtype=bool)
    return hampel_outliers(
        xyz,
        half_window=max(3, round(config.hampel_window_s * fps)),
        n_sigma=config.hampel_sigma,
        floor=config.hampel_floor_mm / 1000,
    )


def _filled_and_filtered(
    xyz: Float[np.ndarray, "T P J 3"], confidence: Float[np.ndarray, "T P J"], fps: float, config: SmoothConfig
) -> tuple[Float[np.ndarray, "T P J 3"], Bool[np.ndarray, "T P J"]]:
    max_gap = int(config.max_gap_s * fps + 1e-9)
    if config.filter == "rts":
        return _rts(xyz, confidence, fps, max_gap, config)
    whole, filled = fill_gaps(xyz, max_gap=max_gap, method=config.gaps)
    if config.filter == "butterworth":
        whole = butterworth(whole, fps=fps, cutoff_hz=config.cutoff_hz, order=config.order)
    elif config.filter == "savitzky_golay":
        whole = savitzky_golay(whole, fps=fps, window_s=config.window_s, degree=config.degree)
    elif config.filter == "one_euro":
        whole = one_euro(whole, fps=fps, min_cutoff_hz=config.min_cutoff_hz, beta=config.beta)
    return whole, filled


def _rts(
    xyz: Float[np.ndarray, "T P J 3"],
    confidence: Float[np.ndarray, "T P J"],
    fps: float,
    max_gap: int,
    config: SmoothConfig,
) -> tuple[Float[np.ndarray, "T P J 3"], Bool[np.ndarray, "T P J"]]:
    """A sample's variance is inverse to its confidence over the median confidence of its keypoint."""
    present = confidence > 0
    typical = np.ones(confidence.shape[1:])
    ever = present.any(0)
    typical[ever] = np.nanmedian(np.where(present, confidence, np.nan)[:, ever], axis=0)
    variance = np.full(confidence.shape, np.inf)
    np.divide(NOISE_M**2 * typical, confidence, out=variance, where=present)
    density = density_for_cutoff(config.cutoff_hz, NOISE_M**2, fps=fps, order=config.rts_order)
    estimate, _ = rts_smooth(xyz, variance, fps=fps, density=density, order=config.rts_order)
    gap = gap_lengths(present)
    filled = ~present & (gap <= max_gap) & (gap < len(xyz))
    return np.where((present | filled)[..., None], estimate, np.nan), filled


def _confidence_of_filled(confidence: Float[np.ndarray, "T P J"]) -> Float[np.ndarray, "T P J"]:
    known = np.where(confidence > 0, confidence, np.nan)[..., None]
    between, _ = fill_gaps(known, max_gap=len(known), method="linear")
    return FILLED_CONFIDENCE * between[..., 0]


def jitter(xyz: Float[np.ndarray, "T *batch 3"], fps: float) -> float | None:
    """Median acceleration (m/s²) over all triples of neighbouring frames; none where there is no such triple."""
    acceleration = np.linalg.norm(np.diff(xyz, 2, axis=0), axis=-1) * fps**2
    known = acceleration[np.isfinite(acceleration)]
    return float(np.median(known)) if len(known) else None


def _report(before: Keypoints3D, after: Keypoints3D, changes: _Changes, config: SmoothConfig) -> SmoothReport:
    missing = after.confidence == 0
    keypoints = {
        name: KeypointCleanUp(
            rejected_reprojection=int(changes.rejected_reprojection[:, :, j].sum()),
            rejected_hampel=int(changes.rejected_hampel[:, :, j].sum()),
            filled=int(changes.filled[:, :, j].sum()),
            missing=int(missing[:, :, j].sum()),
            jitter_before_m_s2=jitter(before.xyz[:, :, j], before.fps),
            jitter_after_m_s2=jitter(after.xyz[:, :, j], after.fps),
        )
        for j, name in enumerate(before.keypoint_set.names)
    }
    body = _body(before.keypoint_set)
    lost = int(np.isnan(after.xyz).all((1, 2, 3)).sum())
    return SmoothReport(
        filter=config.filter,
        keypoints=keypoints,
        rejected_reprojection=int(changes.rejected_reprojection.sum()),
        rejected_hampel=int(changes.rejected_hampel.sum()),
        filled=int(changes.filled.sum()),
        missing=int(missing.sum()),
        body_jitter_before_m_s2=jitter(before.xyz[:, :, body], before.fps),
        body_jitter_after_m_s2=jitter(after.xyz[:, :, body], after.fps),
        sentences=(f"{lost} of {after.n_frames} frames have no points",) if lost else (),
    )


def _body(keypoint_set: KeypointSet) -> list[int]:
    return keypoint_set.indices(keypoint_set.body or keypoint_set.names).tolist()
