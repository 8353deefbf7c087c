"""The transform that brings a prediction nearest to the truth, in the least-squares sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.errors import InputError

UNDETERMINED = 1e-9
"""Share of the largest singular value: thinner than 3e-5 of its length, a set of points is a line and turns freely."""

COINCIDENT = 1e-12
"""Share of the distance from the origin: float64 keeps 2e-16 of it, so that a smaller extent is rounding."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """target ≈ scale * R @ source + t, for every leading index.

    scale: (*batch). R: (*batch, 3, 3), proper. t: (*batch, 3) m. All NaN where there was no point to fit.
    determined: (*batch) whether the points fix the rotation; on a line (or two points, or one) they do not: then R is
    one of the rotations of least error.
    """

    scale: Float[np.ndarray, "*batch"]
    R: Float[np.ndarray, "*batch 3 3"]
    t: Float[np.ndarray, "*batch 3"]
    determined: Bool[np.ndarray, "*batch"]

    def apply(self, points: Float[np.ndarray, "*batch N 3"]) -> Float[np.ndarray, "*batch N 3"]:
        """Source points in the frame of the target."""
        turned = points @ np.swapaxes(self.R, -1, -2)
        return self.scale[..., None, None] * turned + self.t[..., None, :]


def fit_similarity(
    source: Float[np.ndarray, "*batch N 3"],
    target: Float[np.ndarray, "*batch N 3"],
    weights: Float[np.ndarray, "*batch N"] | None = None,
    *,
    scale: bool = True,
) -> Similarity:
    """Least squares of |scale R source + t - target|² (Umeyama 1991), never with a reflection; scale 1 on request.

    Points that are NaN on either side have no weight. Where all weighted points of a side coincide only t is fitted
    (R = 1, scale = 1). The scale is 0 where the target has no extent and the source has.
    """
    w = _weights(source, target, weights)
    total = np.asarray(w.sum(-1))
    empty = total == 0
    share = (w / np.where(empty, 1.0, total)[..., None])[..., None]
    known = w[..., None] > 0
    source, target = np.where(known, source, 0.0), np.where(known, target, 0.0)
    source_mean, target_mean = (share * source).sum(-2), (share * target).sum(-2)
    a = np.where(known, source - source_mean[..., None, :], 0.0)
    b = np.where(known, target - target_mean[..., None, :], 0.0)
    point = _coincident(a, share, source_mean)
    undefined = np.asarray(point | _coincident(b, share, target_mean))
    R, strength, determined = _rotation(np.swapaxes(share * b, -1, -2) @ a, undefined)
    variance = (share * a**2).sum((-2, -1))
    s = strength / np.where(point, 1.0, variance) if scale else np.ones_like(strength)
    s = np.where(empty, np.nan, np.where(point, 1.0, s))
    R = np.where(empty[..., None, None], np.nan, R)
    t = target_mean - s[..., None] * (R @ source_mean[..., None])[..., 0]
    return Similarity(np.asarray(s), R, t, np.asarray(determined & ~empty))


def fit_scale(
    source: Float[np.ndarray, "*batch N 3"], target: Float[np.ndarray, "*batch N 3"]
) -> Float[np.ndarray, "*batch"]:
    """The factor about the origin that brings `source` nearest to `target`: <source, target> / <source, source>.

    That of N-MPJPE (Rhodin et al. 2018), for root-aligned points. NaN without points; 1 where `source` is all zero.
    """
    known = _weights(source, target, None) > 0
    a, b = np.where(known[..., None], source, 0.0), np.where(known[..., None], target, 0.0)
    length = (a * a).sum((-2, -1))
    factor = np.where(length > 0, (a * b).sum((-2, -1)) / np.where(length > 0, length, 1.0), 1.0)
    return np.asarray(np.where(known.any(-1), factor, np.nan))


def root_aligned(points: Float[np.ndarray, "*batch J 3"], root: Sequence[int]) -> Float[np.ndarray, "*batch J 3"]:
    """Points relative to the mean of the `root` joints; all NaN where one of those is missing."""
    if not root:
        raise InputError("root alignment needs at least one root joint")
    return points - points[..., list(root), :].mean(-2, keepdims=True)


def similarity_aligned(
    source: Float[np.ndarray, "*batch N 3"], target: Float[np.ndarray, "*batch N 3"], *, scale: bool = True
) -> Float[np.ndarray, "*batch N 3"]:
    """`source` moved onto `target` by its own transform for every leading index (PA; without scale: rigid)."""
    return fit_similarity(source, target, scale=scale).apply(source)


def take_aligned(
    source: Float[np.ndarray, "T *points 3"],
    target: Float[np.ndarray, "T *points 3"],
    *,
    scale: bool = True,
    fit_frames: int | None = None,
    segment_frames: int | None = None,
) -> Float[np.ndarray, "T *points 3"]:
    """`source` moved onto `target` by one transform for all frames and people.

    With `fit_frames` the transform is fitted to the first so many frames alone: all frames give WA-MPJPE, two W-MPJPE
    (Ye et al. 2023, SLAHMR; Shin et al. 2024, WHAM), which both take segments of 100 frames (`segment_frames`).
    """
    for name, count in (("fit_frames", fit_frames), ("segment_frames", segment_frames)):
        if count is not None and count < 1:
            raise InputError(f"{name} is {count}; it must be at least one frame")
    moved = np.full(source.shape, np.nan)
    step = segment_frames or max(len(source), 1)
    for start in range(0, len(source), step):
        here = slice(start, start + step)
        head = slice(start, min(start + step, start + (fit_frames or step)))
        fitted = fit_similarity(source[head].reshape(-1, 3), target[head].reshape(-1, 3), scale=scale)
        moved[here] = fitted.apply(source[here].reshape(-1, 3)).reshape(source[here].shape)
    return moved


def _weights(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    known = np.isfinite(source).all(-1) & np.isfinite(target).all(-1)
    if weights is None:
        return np.asarray(known.astype(np.float64))
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError("weights must be finite numbers from zero upwards; a point that is missing is NaN")
    return np.where(known, weights, 0.0)


def _coincident(centred: np.ndarray, share: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.asarray((share * centred**2).sum((-2, -1)) <= COINCIDENT**2 * (mean**2).sum(-1))


def _rotation(
    covariance: Float[np.ndarray, "*batch 3 3"], undefined: Bool[np.ndarray, "*batch"]
) -> tuple[Float[np.ndarray, "*batch 3 3"], Float[np.ndarray, "*batch"], Bool[np.ndarray, "*batch"]]:
    """R, trace of R applied to the covariance, and whether there is only one such R (Umeyama 1991, eq. 40 to 43)."""
    u, s, vt = np.linalg.svd(covariance)
    sign = np.where(np.linalg.det(u) * np.linalg.det(vt) < 0, -1.0, 1.0)
    diagonal = np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)
    R = (u * diagonal[..., None, :]) @ vt
    R = np.where(undefined[..., None, None], np.eye(3), R)
    determined = (s[..., 1] + sign * s[..., 2] > UNDETERMINED * s[..., 0]) & ~undefined
    return R, np.asarray(np.where(undefined, 0.0, (s * diagonal).sum(-1))), np.asarray(determined)
