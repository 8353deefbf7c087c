"""Keypoints in pictures against their true pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.distribution import Distribution, distribution, known_mean, number
from mocap.evaluation.pose_metrics import known_points, require_names

OKS_SIGMAS: dict[str, float] = {
    "nose": 0.026,
    **dict.fromkeys(("left_eye", "right_eye"), 0.025),
    **dict.fromkeys(("left_ear", "right_ear"), 0.035),
    **dict.fromkeys(("left_shoulder", "right_shoulder"), 0.079),
    **dict.fromkeys(("left_elbow", "right_elbow"), 0.072),
    **dict.fromkeys(("left_wrist", "right_wrist"), 0.062),
    **dict.fromkeys(("left_hip", "right_hip"), 0.107),
    **dict.fromkeys(("left_knee", "right_knee"), 0.087),
    **dict.fromkeys(("left_ankle", "right_ankle"), 0.089),
    **dict.fromkeys(("left_big_toe", "right_big_toe"), 0.068),
    **dict.fromkeys(("left_small_toe", "right_small_toe"), 0.066),
    **dict.fromkeys(("left_heel", "right_heel"), 0.066),
    **dict.fromkeys(("head", "neck"), 0.079),
}
"""How far annotators disagree, as a share of the root of the person's area. The 17 of COCO (Lin et al. 2014,
cocodataset.org/#keypoints-eval), feet as COCO-WholeBody has them (Jin et al. 2020), `head` and `neck` as CrowdPose has
them (Li et al. 2019). Other keypoints have none and take no part."""

BOX_TO_PERSON = 0.53
"""Area of a person as a share of the area of its box, where no segmentation says it (Li et al. 2019, CrowdPose)."""

OKS_THRESHOLDS = np.arange(0.50, 0.96, 0.05)

MPII_HEAD = 0.6
"""MPII takes this share of the diagonal of the head's box as the size of a head (Andriluka et al. 2014)."""


class ImageReport(Report):
    """Of matched people in one view or several. Shares count a keypoint that the prediction lacks as missed.

    pckh_50: within half a head; pck_20_torso: within 0.2 of the torso (left shoulder to right hip); pck_20_box: of the
    longer side of the box of the true keypoints (Yang & Ramanan 2013). None where that size is known of nobody.
    oks: of each person; not_in_oks: keypoints without a sigma.
    """

    errors_px: Distribution
    per_joint_px: dict[str, Distribution]
    pckh_50: float | None
    pck_20_torso: float | None
    pck_20_box: float | None
    oks: Distribution
    oks_ap: float | None
    oks_ap_50: float | None
    oks_ap_75: float | None
    not_in_oks: tuple[str, ...]


def pixel_errors(
    prediction: Float[np.ndarray, "*batch J 2"], truth: Float[np.ndarray, "*batch J 2"]
) -> Float[np.ndarray, "*batch J"]:
    """Distance in px; NaN where either is missing."""
    return np.asarray(np.linalg.norm(prediction - truth, axis=-1))


def pck_2d(
    errors_px: Float[np.ndarray, "*batch J"],
    expected: Bool[np.ndarray, "*batch J"],
    size_px: Float[np.ndarray, "*batch"],
    alpha: float,
) -> float | None:
    """Share of the true keypoints within `alpha` times the person's size; people of unknown size are left out."""
    counted = expected & np.isfinite(size_px)[..., None]
    if not counted.any():
        return None
    return float(((errors_px <= alpha * size_px[..., None]) & counted).sum() / counted.sum())


def head_size_px(truth: Float[np.ndarray, "*batch J 2"], names: Sequence[str]) -> Float[np.ndarray, "*batch"]:
    """From the top of the head to the neck: PCKh's "head segment length" (Andriluka et al. 2014).

    The neck of our sets lies between the shoulders, lower than MPII's, so that this head is larger by a fifth or so.
    NaN where either is missing.
    """
    return _span(truth, names, "head", "neck")


def torso_size_px(truth: Float[np.ndarray, "*batch J 2"], names: Sequence[str]) -> Float[np.ndarray, "*batch"]:
    """From the left shoulder to the right hip (Sapp & Taskar 2013); NaN where either is missing."""
    return _span(truth, names, "left_shoulder", "right_hip")


def box_size_px(truth: Float[np.ndarray, "*batch J 2"]) -> Float[np.ndarray, "*batch 2"]:
    """Width and height of the box about the known keypoints; NaN without any."""
    known = known_points(truth)[..., None]
    low, high = np.where(known, truth, np.inf).min(-2), np.where(known, truth, -np.inf).max(-2)
    return np.where(np.isfinite(low), high - np.where(np.isfinite(low), low, 0.0), np.nan)


def oks_sigmas(names: Sequence[str]) -> Float[np.ndarray, "J"]:
    """Sigma of each keypoint, NaN for those of which none is published."""
    return np.array([OKS_SIGMAS.get(name, np.nan) for name in names], dtype=np.float64)


def oks(
    prediction: Float[np.ndarray, "*batch J 2"],
    truth: Float[np.ndarray, "*batch J 2"],
    sigmas: Float[np.ndarray, "J"],
    area_px2: Float[np.ndarray, "*batch"] | None = None,
) -> Float[np.ndarray, "*batch"]:
    """Object keypoint similarity: mean of exp(-d² / (2 area (2 sigma)²)) over the true keypoints that have a sigma.

    A keypoint that the prediction lacks adds 0. area_px2: of the segmented person, by default BOX_TO_PERSON times the
    box of the true keypoints. NaN where the truth has no keypoint with a sigma, or the area is not positive.
    """
    area = BOX_TO_PERSON * box_size_px(truth).prod(-1) if area_px2 is None else area_px2
    counted = known_points(truth) & np.isfinite(sigmas)
    usable = np.isfinite(area) & (area > 0)
    scale = 2 * np.where(usable, area, 1.0)[..., None] * (2 * sigmas) ** 2
    likeness = np.exp(-(pixel_errors(prediction, truth) ** 2) / scale)
    total = np.where(counted & np.isfinite(likeness), likeness, 0.0).sum(-1)
    count = counted.sum(-1)
    return np.asarray(np.where((count > 0) & usable, total / np.maximum(count, 1), np.nan))


def oks_average_precision(
    similarities: Float[np.ndarray, "N"], n_true: int, scores: Float[np.ndarray, "N"] | None = None
) -> Float[np.ndarray, "10"]:
    """AP at OKS 0.50, 0.55, … 0.95 of predictions with the OKS to their own person (NaN or 0: to nobody).

    As COCO has it: in the order of the score, precision made monotone and sampled at recall 0, 0.01, … 1. Without
    scores all predictions come at once: precision times the share of the recall that is reached.
    """
    if n_true < 1:
        raise InputError("average precision needs at least one true person")
    if not len(similarities):
        return np.zeros(len(OKS_THRESHOLDS))
    order = np.arange(len(similarities)) if scores is None else np.argsort(-scores, kind="stable")
    hits = np.nan_to_num(similarities[order])[:, None] >= OKS_THRESHOLDS - 1e-12
    true = np.cumsum(hits, axis=0)
    precision, recall = true / np.arange(1, len(hits) + 1)[:, None], true / n_true
    if scores is None:
        precision, recall = precision[-1:], recall[-1:]
    monotone = np.append(np.maximum.accumulate(precision[::-1])[::-1], np.zeros((1, len(OKS_THRESHOLDS))), axis=0)
    place = (recall[:, None] < np.linspace(0, 1, 101)[:, None] - 1e-12).sum(0)
    return np.take_along_axis(monotone, place, axis=0).mean(0)


def image_report(
    prediction: Float[np.ndarray, "*batch J 2"],
    truth: Float[np.ndarray, "*batch J 2"],
    *,
    names: Sequence[str],
    head_px: Float[np.ndarray, "*batch"] | None = None,
    area_px2: Float[np.ndarray, "*batch"] | None = None,
) -> ImageReport:
    """Matched people; `prediction` is NaN where one was missed. head_px: by default `head_size_px` of the truth."""
    require_names(names, truth)
    errors, expected = pixel_errors(prediction, truth), known_points(truth)
    head = head_size_px(truth, names) if head_px is None else head_px
    sigmas = oks_sigmas(names)
    similarity = oks(prediction, truth, sigmas, area_px2)
    rated = np.isfinite(similarity)
    found = rated & known_points(prediction).any(-1)
    ap = oks_average_precision(similarity[found], int(rated.sum())) if rated.any() else np.full(10, np.nan)
    return ImageReport(
        errors_px=distribution(errors, expected),
        per_joint_px={n: distribution(errors[..., j], expected[..., j]) for j, n in enumerate(names)},
        pckh_50=pck_2d(errors, expected, head, 0.5),
        pck_20_torso=pck_2d(errors, expected, torso_size_px(truth, names), 0.2),
        pck_20_box=pck_2d(errors, expected, np.asarray(box_size_px(truth).max(-1)), 0.2),
        oks=distribution(similarity),
        oks_ap=number(known_mean(ap)),
        oks_ap_50=number(ap[0]),
        oks_ap_75=number(ap[5]),
        not_in_oks=tuple(n for n, sigma in zip(names, sigmas, strict=True) if np.isnan(sigma)),
    )


def _span(truth: Float[np.ndarray, "*batch J 2"], names: Sequence[str], a: str, b: str) -> Float[np.ndarray, "*batch"]:
    if a not in names or b not in names:
        return np.full(truth.shape[:-2], np.nan)
    first, second = list(names).index(a), list(names).index(b)
    return np.asarray(np.linalg.norm(truth[..., first, :] - truth[..., second, :], axis=-1))
