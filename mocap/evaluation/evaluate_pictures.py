"""What was found in the pictures against the true pixels of the same pictures, camera by camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from mocap.core.config import Report
from mocap.core.keypoints import Detections2D, Keypoints2D
from mocap.core.truth import TakeTruth, Visibility
from mocap.evaluation.distribution import known_mean
from mocap.evaluation.evaluate_points import LIMBS
from mocap.evaluation.image_metrics import (
    BOX_TO_PERSON,
    ImageReport,
    box_size_px,
    head_size_px,
    image_report,
    pixel_errors,
)

SAME_PERSON = 0.5
"""Farther apart on average than this share of the longer side of the true person's box, two people are not one."""

EVERY_CAMERA = "all"


class ViewEvaluation(Report):
    """One camera, or all of them. visible: over true points that are seen; in_picture: hidden ones too.

    limbs_px: median error of the visible limb joints. missed: true people that nobody was found for; surplus: found
    people that are nobody; both count person by person and frame by frame.
    """

    visible: ImageReport
    in_picture: ImageReport
    limbs_px: float | None
    people: int
    missed: int
    surplus: int


@dataclass(frozen=True, eq=False)
class MatchedViews:
    """Per camera: found and true pixels of the true people, and how each true point shows.

    found: (F, Q, J, 2), of each true person; true: the same of the truth. code: (F, Q, J) of `Visibility`.
    head_px: (F, Q) size of the head for PCKh, of all the truth's keypoints, whichever the detector has.
    """

    names: tuple[str, ...]
    found: dict[str, Float[np.ndarray, "F Q J 2"]]
    true: dict[str, Float[np.ndarray, "F Q J 2"]]
    code: dict[str, np.ndarray]
    head_px: dict[str, Float[np.ndarray, "F Q"]]
    surplus: dict[str, int]


def match_detections(detections: Detections2D, truth: TakeTruth) -> MatchedViews:
    """Frame by frame each found person is the nearest true one, one to one."""
    names = _names(detections.keypoint_set.names, truth)
    columns = [detections.keypoint_set.index(name) for name in names]
    matched = MatchedViews(names, {}, {}, {}, {}, {})
    for number, camera in enumerate(detections.cameras):
        true, code = _true_view(truth, camera, names, detections.n_frames)
        rows = np.flatnonzero((detections.camera == number) & (detections.frame < len(true)))
        found, surplus = np.full(true.shape, np.nan), 0
        for frame in np.unique(detections.frame[rows]):
            here = rows[detections.frame[rows] == frame]
            people = detections.xy[here][:, columns]
            mine, theirs = _pairs(_distances(people[None], true[frame][None])[0], _reach(true[frame]))
            found[frame, theirs] = people[mine]
            surplus += len(here) - len(mine)
        matched.found[camera], matched.true[camera], matched.code[camera] = found, true, code
        matched.head_px[camera] = head_size_px(truth.view(camera).xy[: len(true)], truth.keypoint_names)
        matched.surplus[camera] = surplus
    return matched


def match_associated(points: Keypoints2D, truth: TakeTruth) -> MatchedViews:
    """A person in all cameras and frames is the true person that it is nearest to on the whole; the rest is wrong."""
    names = _names(points.keypoint_set.names, truth)
    columns = [points.keypoint_set.index(name) for name in names]
    near = np.zeros((points.n_people, len(truth.people)))
    views = {camera: _true_view(truth, camera, names, points.n_frames) for camera in points.cameras}
    for number, (true, _) in enumerate(views.values()):
        distance = _distances(points.xy[: len(true), :, number][..., columns, :], true)
        near += (distance < np.nan_to_num(_reach(true), nan=0.0)[:, None]).sum(0)
    mine, theirs = linear_sum_assignment(-near)
    kept = near[mine, theirs] > 0
    mine, theirs = mine[kept], theirs[kept]
    matched = MatchedViews(names, {}, {}, {}, {}, {})
    for number, (camera, (true, code)) in enumerate(views.items()):
        here = points.xy[: len(true), :, number][..., columns, :]
        found = np.full(true.shape, np.nan)
        found[:, theirs] = here[:, mine]
        others = np.delete(here, mine, axis=1)
        matched.found[camera], matched.true[camera], matched.code[camera] = found, true, code
        matched.head_px[camera] = head_size_px(truth.view(camera).xy[: len(true)], truth.keypoint_names)
        matched.surplus[camera] = int(np.isfinite(others).all(-1).any(-1).sum())
    return matched


def evaluate_pictures(matched: MatchedViews) -> dict[str, ViewEvaluation]:
    """By camera, and over all of them under EVERY_CAMERA."""
    figures = {camera: _view(matched, [camera]) for camera in matched.true}
    return {EVERY_CAMERA: _view(matched, list(matched.true)), **figures}


def _view(matched: MatchedViews, cameras: Sequence[str]) -> ViewEvaluation:
    def people(of: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([of[c].reshape(-1, *of[c].shape[2:]) for c in cameras])

    found, true, code = people(matched.found), people(matched.true), people(matched.code)
    head = np.concatenate([matched.head_px[camera].ravel() for camera in cameras])
    area = BOX_TO_PERSON * box_size_px(true).prod(-1)

    def report(counted: Bool[np.ndarray, "N J"]) -> ImageReport:
        only = np.where(counted[..., None], true, np.nan)
        return image_report(found, only, names=matched.names, head_px=head, area_px2=area)

    visible, inside = code == Visibility.VISIBLE, code != Visibility.OUTSIDE
    there = (inside & np.isfinite(true).all(-1)).any(-1)
    limbs = [matched.names.index(n) for n in LIMBS if n in matched.names] or list(range(len(matched.names)))
    errors = np.where(visible, pixel_errors(found, true), np.nan)[:, limbs]
    errors = errors[np.isfinite(errors)]
    return ViewEvaluation(
        visible=report(visible),
        in_picture=report(inside),
        limbs_px=float(np.median(errors)) if errors.size else None,
        people=int(there.sum()),
        missed=int((there & ~np.isfinite(found).all(-1).any(-1)).sum()),
        surplus=sum(matched.surplus[camera] for camera in cameras),
    )


def _names(names: Sequence[str], truth: TakeTruth) -> tuple[str, ...]:
    return tuple(name for name in names if name in truth.keypoint_names)


def _true_view(
    truth: TakeTruth, camera: str, names: Sequence[str], n_frames: int
) -> tuple[Float[np.ndarray, "F Q J 2"], np.ndarray]:
    view, columns = truth.view(camera), truth.columns(names)
    return view.xy[:n_frames][:, :, columns], view.visibility[:n_frames][:, :, columns]


def _distances(people: Float[np.ndarray, "F P J 2"], true: Float[np.ndarray, "F Q J 2"]) -> Float[np.ndarray, "F P Q"]:
    """Mean distance over the points that both have, px; inf without any."""
    apart = np.linalg.norm(people[:, :, None] - true[:, None], axis=-1)
    return np.nan_to_num(known_mean(apart, -1), nan=np.inf)


def _reach(true: Float[np.ndarray, "*batch J 2"]) -> Float[np.ndarray, "*batch"]:
    return np.asarray(SAME_PERSON * box_size_px(true).max(-1))


def _pairs(distance: Float[np.ndarray, "P Q"], reach: Float[np.ndarray, "Q"]) -> tuple[np.ndarray, np.ndarray]:
    allowed = distance < np.nan_to_num(reach, nan=0.0)
    cost = np.where(allowed, distance, 1e9)
    mine, theirs = linear_sum_assignment(cost)
    kept = allowed[mine, theirs]
    return mine[kept], theirs[kept]
