"""Several people: who was found, how well, and whether each kept the same identity.

prediction (T, P, J, 3) and truth (T, Q, J, 3) in m; a person who is not there is all NaN. The P axis is the identity of
a prediction, the Q axis that of a true person.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.distribution import known_mean, number
from mocap.evaluation.pose_metrics import known_points

MATCH_MM = 500.0
"""Farther apart on average than this, two poses are not of one person (Tu et al. 2020, recall@500mm)."""

PANOPTIC_THRESHOLDS_MM = (25.0, 50.0, 75.0, 100.0, 125.0, 150.0)

MIN_COMMON = 0.5
"""Of the true joints a prediction must show so much to be that person; papers only meet whole predictions."""


class DetectionFigures(Report):
    """Frames times people at one threshold. mpjpe_mm: mean over the matched of their mean joint distance."""

    threshold_mm: float
    matched: int
    surplus: int
    missed: int
    precision: float | None
    recall: float | None
    f1: float | None
    mpjpe_mm: float | None


class IdentityFigures(Report):
    """CLEAR MOT (Bernardin & Stiefelhagen 2008) and identity measures (Ristani et al. 2016) at one threshold.

    switches: a true person is matched by another track than the last time. fragments: is matched again after a gap in
    which it was there and missed. mota = 1 - (missed + surplus + switches) / true; motp_mm: mean distance of the
    matched. idf1, idp, idr: frames in which the one track that is globally assigned to each person is right.
    """

    threshold_mm: float
    switches: int
    fragments: int
    mota: float | None
    motp_mm: float | None
    idf1: float | None
    idp: float | None
    idr: float | None


class PanopticFigures(Report):
    """As CMU Panoptic is evaluated since VoxelPose (Tu et al. 2020, section 4).

    Predictions of all frames in the order of their score; each belongs to the true person it is nearest to, and is
    right when nearer than the threshold and the first to claim that person. ap: area under the precision (made
    monotone) over recall, by threshold in mm; map: their mean. recall_500mm: people that some prediction is within 500
    mm of. mpjpe_mm: mean over the right ones at 500 mm. Predictions of equal score stay in the order of frames.
    """

    ap: dict[str, float | None]
    recall: dict[str, float | None]
    map: float | None
    recall_500mm: float | None
    mpjpe_mm: float | None


class PeopleReport(Report):
    """true_people, predictions: frames times people."""

    true_people: int
    predictions: int
    detection: dict[str, DetectionFigures]
    identity: IdentityFigures
    panoptic: PanopticFigures


def present_people(points: Float[np.ndarray, "T P J 3"]) -> Bool[np.ndarray, "T P"]:
    """Who is there: at least one point is known."""
    return np.asarray(known_points(points).any(-1))


def person_distances_mm(
    prediction: Float[np.ndarray, "T P J 3"], truth: Float[np.ndarray, "T Q J 3"], *, min_common: float = MIN_COMMON
) -> Float[np.ndarray, "T P Q"]:
    """Mean joint distance over the joints that both have; inf where these are under `min_common` of the truth's."""
    error = np.linalg.norm(prediction[:, :, None] - truth[:, None], axis=-1)
    common = np.isfinite(error).sum(-1)
    enough = (common > 0) & (common >= min_common * known_points(truth).sum(-1)[:, None])
    return np.where(enough, 1000.0 * known_mean(error, -1), np.inf)


def match_people(
    distances_mm: Float[np.ndarray, "T P Q"], threshold_mm: float = MATCH_MM, *, keep: bool = False
) -> Int[np.ndarray, "T Q"]:
    """Which prediction is each true person in every frame, -1 for none: one to one, as many as possible nearer than the
    threshold, then the least sum of distances. With `keep` a person stays with its last prediction while near (CLEAR).
    """
    if not threshold_mm > 0:
        raise InputError(f"a matching threshold of {threshold_mm} mm matches nobody")
    n_frames, n_predicted, n_true = distances_mm.shape
    matches = np.full((n_frames, n_true), -1)
    last = np.full(n_true, -1)
    for frame, cost in enumerate(distances_mm):
        allowed = cost < threshold_mm
        if keep:
            kept = [q for q in np.flatnonzero(last >= 0) if allowed[last[q], q]]
            matches[frame, kept] = last[kept]
            allowed[last[kept], :] = False
            allowed[:, kept] = False
        refused = threshold_mm * (min(n_predicted, n_true) + 1)
        rows, columns = linear_sum_assignment(np.where(allowed, cost, refused))
        right = allowed[rows, columns]
        matches[frame, columns[right]] = rows[right]
        found = matches[frame] >= 0
        last = np.where(found, matches[frame], np.where(np.isin(last, matches[frame]), -1, last))
    return matches


def assign_tracks(distances_mm: Float[np.ndarray, "T P Q"], threshold_mm: float = MATCH_MM) -> Int[np.ndarray, "Q"]:
    """The one track of the whole take for each true person, -1 for none: most frames nearer than the threshold, then
    the nearest (the assignment of IDF1)."""
    near = distances_mm < threshold_mm
    frames = near.sum(0)
    total = np.where(near, distances_mm, 0.0).sum(0)
    gain = frames - total / (threshold_mm * (len(distances_mm) + 1) * (min(frames.shape) + 1))
    rows, columns = linear_sum_assignment(-gain)
    tracks = np.full(frames.shape[1], -1)
    right = frames[rows, columns] > 0
    tracks[columns[right]] = rows[right]
    return tracks


def take_matched(
    prediction: Float[np.ndarray, "T P J 3"], matches: Int[np.ndarray, "T Q"]
) -> Float[np.ndarray, "T Q J 3"]:
    """The prediction of each true person by frame; NaN where there is none."""
    if not prediction.shape[1]:
        return np.full((*matches.shape, *prediction.shape[2:]), np.nan)
    chosen = np.take_along_axis(prediction, np.maximum(matches, 0)[..., None, None], axis=1)
    return np.where((matches >= 0)[..., None, None], chosen, np.nan)


def detection_figures(
    distances_mm: Float[np.ndarray, "T P Q"],
    predicted: Bool[np.ndarray, "T P"],
    present: Bool[np.ndarray, "T Q"],
    threshold_mm: float,
) -> DetectionFigures:
    """predicted, present: which people are there at all."""
    matches = match_people(distances_mm, threshold_mm)
    matched = int((matches >= 0).sum())
    n_predicted, n_true = int(predicted.sum()), int(present.sum())
    return DetectionFigures(
        threshold_mm=threshold_mm,
        matched=matched,
        surplus=n_predicted - matched,
        missed=n_true - matched,
        precision=_ratio(matched, n_predicted),
        recall=_ratio(matched, n_true),
        f1=_ratio(2 * matched, n_predicted + n_true),
        mpjpe_mm=number(known_mean(_matched_mm(distances_mm, matches))),
    )


def identity_figures(
    distances_mm: Float[np.ndarray, "T P Q"],
    predicted: Bool[np.ndarray, "T P"],
    present: Bool[np.ndarray, "T Q"],
    threshold_mm: float = MATCH_MM,
) -> IdentityFigures:
    """predicted, present: which people are there at all."""
    matches = match_people(distances_mm, threshold_mm, keep=True)
    matched, n_predicted, n_true = int((matches >= 0).sum()), int(predicted.sum()), int(present.sum())
    switches = sum(_switches(column) for column in matches.T)
    fragments = sum(_fragments(column, there) for column, there in zip(matches.T, present.T, strict=True))
    wrong = (n_true - matched) + (n_predicted - matched) + switches
    tracks = assign_tracks(distances_mm, threshold_mm)
    near = distances_mm < threshold_mm
    right = sum(int(near[:, track, person].sum()) for person, track in enumerate(tracks) if track >= 0)
    return IdentityFigures(
        threshold_mm=threshold_mm,
        switches=switches,
        fragments=fragments,
        mota=1 - wrong / n_true if n_true else None,
        motp_mm=number(known_mean(_matched_mm(distances_mm, matches))),
        idf1=_ratio(2 * right, n_predicted + n_true),
        idp=_ratio(right, n_predicted),
        idr=_ratio(right, n_true),
    )


def panoptic_figures(
    distances_mm: Float[np.ndarray, "T P Q"],
    predicted: Bool[np.ndarray, "T P"],
    present: Bool[np.ndarray, "T Q"],
    scores: Float[np.ndarray, "T P"] | None = None,
) -> PanopticFigures:
    """scores: of each prediction, by default all equal. Frames without a true person are left out, as published."""
    n_true = int(present.sum())
    frame, row = np.nonzero(predicted & np.any(present, axis=1, keepdims=True))
    if not n_true or not len(frame):
        none = {f"{t:g}": 0.0 if n_true else None for t in PANOPTIC_THRESHOLDS_MM}
        nothing = 0.0 if n_true else None
        return PanopticFigures(ap=none, recall=none, map=nothing, recall_500mm=nothing, mpjpe_mm=None)
    person = distances_mm[frame, row].argmin(-1)
    error = distances_mm[frame, row, person]
    claimed = frame * present.shape[1] + person
    order = np.arange(len(frame)) if scores is None else np.argsort(-scores[frame, row], kind="stable")
    error, claimed = error[order], claimed[order]
    hits = {t: first_claims(claimed, error < t) for t in PANOPTIC_THRESHOLDS_MM}
    ap: dict[str, float | None] = {f"{t:g}": average_precision(hit, n_true) for t, hit in hits.items()}
    right = first_claims(claimed, error < MATCH_MM)
    return PanopticFigures(
        ap=ap,
        recall={f"{t:g}": float(hit.sum() / n_true) for t, hit in hits.items()},
        map=float(np.mean([average_precision(hit, n_true) for hit in hits.values()])),
        recall_500mm=float(right.sum() / n_true),
        mpjpe_mm=float(error[right].mean()) if right.any() else None,
    )


def average_precision(hits: Bool[np.ndarray, "N"], n_true: int) -> float:
    """Area under precision over recall of predictions in the order of their score; precision made monotone first."""
    if not len(hits):
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    monotone = np.maximum.accumulate(precision[::-1])[::-1]
    return float(monotone[hits].sum() / n_true)


def people_report(
    prediction: Float[np.ndarray, "T P J 3"],
    truth: Float[np.ndarray, "T Q J 3"],
    *,
    scores: Float[np.ndarray, "T P"] | None = None,
    thresholds_mm: Sequence[float] = (100.0, 150.0, MATCH_MM),
    identity_mm: float = MATCH_MM,
) -> PeopleReport:
    """Everything about several people at once."""
    distances = person_distances_mm(prediction, truth)
    predicted, present = present_people(prediction), present_people(truth)
    return PeopleReport(
        true_people=int(present.sum()),
        predictions=int(predicted.sum()),
        detection={f"{t:g}": detection_figures(distances, predicted, present, t) for t in thresholds_mm},
        identity=identity_figures(distances, predicted, present, identity_mm),
        panoptic=panoptic_figures(distances, predicted, present, scores),
    )


def first_claims(claimed: Int[np.ndarray, "N"], near: Bool[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
    """Which of the near ones are the first, in their order, to claim what they claim."""
    first = np.zeros(len(near), dtype=bool)
    rows = np.flatnonzero(near)
    first[rows[np.unique(claimed[rows], return_index=True)[1]]] = True
    return first


def _matched_mm(distances_mm: Float[np.ndarray, "T P Q"], matches: Int[np.ndarray, "T Q"]) -> Float[np.ndarray, "N"]:
    frame, person = np.nonzero(matches >= 0)
    return distances_mm[frame, matches[frame, person], person]


def _switches(matches: Int[np.ndarray, "T"]) -> int:
    tracks = matches[matches >= 0]
    return int((np.diff(tracks) != 0).sum())


def _fragments(matches: Int[np.ndarray, "T"], present: Bool[np.ndarray, "T"]) -> int:
    """Gaps between two matches in which the person was there."""
    found = (matches[present] >= 0).astype(np.int64)
    return int(max((np.diff(found) == 1).sum() - (0 if not found.any() or found[0] else 1), 0))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
