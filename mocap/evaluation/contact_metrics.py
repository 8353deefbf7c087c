"""Feet on the floor (z = 0, metres): whether they stand still there, and whether they are on it at all.

F foot points, by default FOOT_POINTS; heights are compared with a rest height, since a keypoint lies inside the foot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.config import Config, Report
from mocap.evaluation.distribution import Distribution, distribution
from mocap.evaluation.motion_metrics import velocities
from mocap.evaluation.pose_metrics import require_names

FOOT_POINTS = ("left_heel", "left_toes", "right_heel", "right_toes")
"""In the order of `PersonTruth.contact`."""

FOOT_KEYPOINTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "left_heel": (("left_heel",),),
    "left_toes": (("left_big_toe", "left_small_toe"), ("left_big_toe",)),
    "right_heel": (("right_heel",),),
    "right_toes": (("right_big_toe", "right_small_toe"), ("right_big_toe",)),
}
"""Keypoints whose mean is a foot point; the first choice that a set has."""

SKATING_MM_S = 100.0
"""Faster than this a foot in contact is seen to skate: a third of its own length a second."""

PENETRATION_MM = 1.0
"""Less is rounding of what a shoe or a floor is."""


class ContactConfig(Config):
    """When a point of a true motion is on the floor: low, slow, and for a while.

    max_rise_m: above its rest height, the 5th percentile of its heights in the take. max_rest_m: a point whose rest
    height is more was never on the floor. max_speed_m_s: the slower of the speeds before and after the frame; a foot
    that swings has 1 to 5 m/s, one that stands has none (0.3 m/s is the 1 cm a frame at 30 Hz of Shin et al. 2024,
    WHAM). min_s: shorter contacts are dropped.
    """

    max_rise_m: float = 0.03
    max_rest_m: float = 0.12
    max_speed_m_s: float = 0.3
    min_s: float = 0.1


class FootReport(Report):
    """Feet in contact. Speeds and distances are horizontal, over intervals between neighbouring frames of one contact.

    contact_s: time observed in contact, all points together. skate_mm: way from frame to frame. slid_mm: length of the
    path of each contact; moved_mm: from its first to its last observed place, which noise does not add up in.
    slid_mm_s: whole path a second of contact. skating_share: intervals faster than SKATING_MM_S. penetration_mm: depth
    of points deeper than PENETRATION_MM under the rest height, whether in contact or not; penetration_share: of all
    known points. floating_mm: height above the rest height in contact, 0 where not above.
    """

    contacts: int
    contact_s: float
    speed_mm_s: Distribution
    per_point_speed_mm_s: dict[str, Distribution]
    skating_share: float | None
    skate_mm: Distribution
    slid_mm: Distribution
    moved_mm: Distribution
    slid_mm_s: float | None
    penetration_share: float | None
    penetration_mm: Distribution
    floating_mm: Distribution


@dataclass(frozen=True, eq=False)
class Contacts:
    """Maximal runs of contact, N in all: frames start to stop - 1 of a foot point."""

    point: Int[np.ndarray, "N"]
    start: Int[np.ndarray, "N"]
    stop: Int[np.ndarray, "N"]


def foot_points(points: Float[np.ndarray, "*batch J 3"], names: Sequence[str]) -> Float[np.ndarray, "*batch 4 3"]:
    """FOOT_POINTS from keypoints, in their order; NaN where a set has none or they are missing."""
    require_names(names, points)
    column = {name: j for j, name in enumerate(names)}
    found = np.full((*points.shape[:-2], len(FOOT_POINTS), 3), np.nan)
    for i, point in enumerate(FOOT_POINTS):
        choice = next((c for c in FOOT_KEYPOINTS[point] if set(c) <= set(column)), None)
        if choice is not None:
            found[..., i, :] = points[..., [column[name] for name in choice], :].mean(-2)
    return found


def rest_heights_m(truth: Float[np.ndarray, "T F 3"], contact: Bool[np.ndarray, "T F"]) -> Float[np.ndarray, "F"]:
    """Median height of each true foot point while in contact; 0 for those that never are."""
    height = np.where(contact & np.isfinite(truth).all(-1), truth[..., 2], np.nan)
    return np.array([np.median(h[np.isfinite(h)]) if np.isfinite(h).any() else 0.0 for h in height.T])


def detect_contacts(
    truth: Float[np.ndarray, "T F 3"], fps: float, config: ContactConfig | None = None
) -> Bool[np.ndarray, "T F"]:
    """Which points of a true, noise-free motion are on the floor; missing ones and a single frame are not."""
    config = config or ContactConfig()
    speed = np.linalg.norm(velocities(truth, fps), axis=-1)
    edge = np.full((1, truth.shape[1]), np.nan)
    slower = np.fmin(np.concatenate([edge, speed])[: len(truth)], np.concatenate([speed, edge])[: len(truth)])
    height = truth[..., 2]
    rest = np.array([np.percentile(h[np.isfinite(h)], 5) if np.isfinite(h).any() else np.inf for h in height.T])
    low = (height <= rest + config.max_rise_m) & (rest <= config.max_rest_m)
    contact = low & (slower <= config.max_speed_m_s)
    runs = contact_runs(contact)
    for point, start, stop in zip(runs.point, runs.start, runs.stop, strict=True):
        if (stop - start) / fps < config.min_s:
            contact[start:stop, point] = False
    return contact


def contact_runs(contact: Bool[np.ndarray, "T F"]) -> Contacts:
    """Every contact, by foot point and then in time."""
    padded = np.zeros((contact.shape[1], len(contact) + 2), dtype=np.int64)
    padded[:, 1:-1] = contact.T
    step = np.diff(padded, axis=1)
    point, start = np.nonzero(step == 1)
    return Contacts(point, start, np.nonzero(step == -1)[1])


def foot_report(
    points: Float[np.ndarray, "T F 3"],
    contact: Bool[np.ndarray, "T F"],
    *,
    fps: float,
    rest_height_m: Float[np.ndarray, "F"] | float = 0.0,
    names: Sequence[str] = FOOT_POINTS,
) -> FootReport:
    """One person's feet (m) in the contacts of the truth (given, or by `detect_contacts`)."""
    require_names(names, points)
    both = contact[1:] & contact[:-1]
    speed = np.where(both, 1000.0 * np.linalg.norm(velocities(points[..., :2], fps), axis=-1), np.nan)
    known = np.isfinite(speed)
    seconds = float(known.sum() / fps)
    runs = contact_runs(contact)
    slid, moved = _slides_mm(points, speed / fps, runs)
    height = 1000.0 * (points[..., 2] - rest_height_m)
    deep = height < -PENETRATION_MM
    present = np.isfinite(height)
    return FootReport(
        contacts=len(runs.point),
        contact_s=seconds,
        speed_mm_s=distribution(speed, both),
        per_point_speed_mm_s={n: distribution(speed[:, i], both[:, i]) for i, n in enumerate(names)},
        skating_share=float((speed[known] > SKATING_MM_S).mean()) if known.any() else None,
        skate_mm=distribution(speed / fps, both),
        slid_mm=distribution(slid),
        moved_mm=distribution(moved),
        slid_mm_s=float(speed[known].sum() / fps / seconds) if seconds else None,
        penetration_share=float(deep.sum() / present.sum()) if present.any() else None,
        penetration_mm=distribution(np.where(deep, -height, np.nan)),
        floating_mm=distribution(np.where(contact, np.maximum(height, 0.0), np.nan), contact),
    )


def _slides_mm(
    points: Float[np.ndarray, "T F 3"], steps_mm: Float[np.ndarray, "I F"], runs: Contacts
) -> tuple[Float[np.ndarray, "N"], Float[np.ndarray, "N"]]:
    """Path and net displacement of each contact; NaN where no interval of it is known."""
    slid, moved = np.full(len(runs.point), np.nan), np.full(len(runs.point), np.nan)
    for i, (point, start, stop) in enumerate(zip(runs.point, runs.start, runs.stop, strict=True)):
        steps = steps_mm[start : stop - 1, point]
        places = points[start:stop, point, :2]
        places = places[np.isfinite(places).all(-1)]
        if np.isfinite(steps).any():
            slid[i] = np.nansum(steps)
            moved[i] = 1000.0 * np.linalg.norm(places[-1] - places[0])
    return slid, moved
