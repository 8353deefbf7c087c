"""Is the board as large and as straight in 3D as it was printed? Every corner by itself, from two or more cameras."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_motion import BoardMotion
from calibration.camera import Rig
from calibration.observations import BoardObservations
from calibration.quality_report import BoardScale
from calibration.triangulation import reprojection_px, triangulate_dlt

OUTLIER_SIGMAS = 6.0
FEWEST_OUTLIER_PX = 3.0
"""A corner that no point, or no flat board, explains within so many standard deviations, or pixels, is a mistake of the
detector."""

FEWEST_FOR_PLANE = 6
"""Corners of one picture that tell whether one of them is off the plane of the others; four are on one always."""

LONGEST_GAP_S = 1.0
"""Between moments with a known pose: across longer gaps a hand's velocity is not the mean of its ends."""

SAME_TIME_S = 1e-4
"""A board in a hand moves 0.1 mm in it."""

SAME_LINE = 1e-6
"""Share of the board's size by which corners of a row may be off it: rounding, no more."""


class NeighbourPairs(NamedTuple):
    """Pairs of corners next to each other in a row or column (E, 2), with their printed distances (E,) m; and the rows
    and columns of three corners or more."""

    pairs: Int[np.ndarray, "E 2"]
    length_m: Float[np.ndarray, "E"]
    lines: tuple[Int[np.ndarray, "_"], ...]


def neighbour_pairs(points: Float[np.ndarray, "K 3"]) -> NeighbourPairs:
    """Rows and columns of a flat board, found by equal coordinates."""
    tolerance = SAME_LINE * float(np.ptp(points, axis=0).max())
    lines = [line for axis in (0, 1) for line in _lines(points, axis, tolerance)]
    pairs = [np.stack([line[:-1], line[1:]], axis=-1) for line in lines]
    joined = np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=int)
    length = np.linalg.norm(points[joined[:, 0]] - points[joined[:, 1]], axis=-1)
    return NeighbourPairs(joined, length, tuple(line for line in lines if len(line) >= 3))


def _lines(points: Float[np.ndarray, "K 3"], axis: int, tolerance: float) -> list[Int[np.ndarray, "_"]]:
    """Corners that share the coordinate `axis`, in the order of the other one."""
    order = np.lexsort((points[:, 1 - axis], np.round(points[:, axis] / tolerance)))
    apart = np.flatnonzero(np.diff(points[order, axis]) > 2 * tolerance) + 1
    return [line for line in np.split(order, apart) if len(line) >= 2]


def board_scale(
    observations: BoardObservations,
    rig: Rig,
    motion: BoardMotion | None,
    *,
    held_out: bool,
    noise_px: float,
) -> BoardScale | None:
    """Distances and straightness of the board at all moments of `observations`; None where no two cameras share one.

    Pictures of one moment are not taken at one time: a corner's pixels are shifted to where it would have been seen at
    the mean time, by the velocity that `motion` (in the rig's world) gives the board there or between its neighbours.
    Moments without a velocity are used where the pictures were taken within 0.1 ms. Without `motion` pixels are taken
    as they are: seen at once, or brought to one time before (`calibration.bundle_held_out`).
    """
    observations = observations.of_cameras([name for name in rig.names if name in observations.cameras])
    seen = observations.of_corners(_on_a_plane(observations, rig, max(OUTLIER_SIGMAS * noise_px, FEWEST_OUTLIER_PX)))
    corners = triangulated_corners(seen, rig.subset(seen.cameras), motion, noise_px=noise_px)
    pairs, length, lines = neighbour_pairs(seen.points)
    if not len(pairs):
        return None
    nominal = _most_frequent(length)
    measured = np.linalg.norm(corners[:, pairs[:, 0]] - corners[:, pairs[:, 1]], axis=-1) * nominal / length
    known = np.isfinite(measured)
    if not known.any():
        return None
    found = 1e3 * measured[known]
    return BoardScale(
        held_out=held_out,
        moments=int(known.any(axis=1).sum()),
        distances=int(known.sum()),
        nominal_mm=1e3 * nominal,
        mean_mm=float(found.mean()),
        std_mm=float(found.std()),
        p95_error_mm=float(np.quantile(np.abs(found - 1e3 * nominal), 0.95)),
        straightness_mm=1e3 * _straightness(corners, lines),
        kept_share=float(np.isfinite(corners[..., 0]).sum()) / max(shared_corners(observations), 1),
    )


def _on_a_plane(observations: BoardObservations, rig: Rig, limit_px: float) -> Bool[np.ndarray, "N"]:
    """Corners that lie where a flat board's would, in their own picture alone: two cameras cannot tell a corner that is
    wrong along their epipolar lines. Pictures with few corners are believed."""
    keep, px = np.ones(observations.n_corners, dtype=bool), np.empty_like(observations.xy)
    for index, name in enumerate(observations.cameras):
        mine = observations.camera == index
        px[mine] = rig[name].intrinsics.undistort(observations.xy[mine])
    known = np.asarray(np.isfinite(px).all(axis=-1))
    order = np.argsort(observations.view, kind="stable")
    for rows in np.split(order, np.cumsum(observations.corners_per_view)[:-1]):
        rows = rows[known[rows]]
        if len(rows) < FEWEST_FOR_PLANE:
            continue
        flat = observations.points[observations.corner[rows], :2]
        mask = cv2.findHomography(flat, px[rows], cv2.RANSAC, limit_px)[1]
        if mask is not None:
            keep[rows] = mask.reshape(-1).astype(bool)
    return keep


def triangulated_corners(
    observations: BoardObservations, rig: Rig, motion: BoardMotion | None, *, noise_px: float
) -> Float[np.ndarray, "M K 3"]:
    """Every corner of every moment from the cameras that saw it, at the mean time of its pictures; NaN where fewer than
    two did, where they contradict each other, or where the velocity that times ask for is not known."""
    moments, row = np.unique(observations.view_moment, return_inverse=True)
    px = np.full((len(moments), len(observations.points), len(rig), 2), np.nan)
    px[row[observations.view], observations.corner, observations.camera] = observations.xy
    corners = _triangulated(rig, px)
    if motion is not None:
        time_s = np.full((len(moments), len(rig)), np.nan)
        time_s[row, observations.view_camera] = observations.view_time_s
        px = px - _seen_elsewhere(rig, motion, moments, time_s, points=observations.points, corners=corners)
        corners = _triangulated(rig, px)
    limit = max(OUTLIER_SIGMAS * noise_px, FEWEST_OUTLIER_PX)
    error = reprojection_px(rig, corners, px)
    agreed = np.nan_to_num(error).max(axis=-1) <= limit
    return np.where(agreed[..., None], corners, np.nan)


def _triangulated(rig: Rig, px: Float[np.ndarray, "*batch C 2"]) -> Float[np.ndarray, "*batch 3"]:
    """With the second pass each camera counts by its pixels, not by its pixels times its distance."""
    first = triangulate_dlt(rig, px)
    depth = np.stack([camera.cam_from_world.apply(first)[..., 2] for camera in rig], axis=-1)
    weight = np.where(np.isfinite(depth) & (depth > 0), 1.0 / np.where(depth > 0, depth, 1.0) ** 2, 0.0)
    return triangulate_dlt(rig, px, weight)


def _seen_elsewhere(
    rig: Rig,
    motion: BoardMotion,
    moments: Int[np.ndarray, "M"],
    time_s: Float[np.ndarray, "M C"],
    *,
    points: Float[np.ndarray, "K 3"],
    corners: Float[np.ndarray, "M K 3"],
) -> Float[np.ndarray, "M K C 2"]:
    """Pixels by which each camera saw a corner elsewhere because it did not look at the mean time; NaN where the
    velocity that this takes is not known."""
    velocity, middle = _velocities(motion, moments, time_s, points)
    late = time_s - middle[:, None]
    simultaneous = np.nan_to_num(np.abs(late)).max(axis=1) < SAME_TIME_S
    velocity[simultaneous] = 0.0
    there = corners[:, :, None] + velocity[:, :, None] * late[:, None, :, None]
    moved = [camera.project(there[:, :, i]) - camera.project(corners) for i, camera in enumerate(rig)]
    return np.stack(moved, axis=2)


def shared_corners(observations: BoardObservations) -> int:
    """Corners that two cameras or more saw at one moment, counted once a moment."""
    moment = observations.view_moment[observations.view]
    seen = np.unique(np.stack([moment, observations.corner, observations.camera], axis=-1), axis=0)
    return int((np.unique(seen[:, :2], axis=0, return_counts=True)[1] >= 2).sum())


def _velocities(
    motion: BoardMotion,
    moments: Int[np.ndarray, "M"],
    time_s: Float[np.ndarray, "M C"],
    points: Float[np.ndarray, "K 3"],
) -> tuple[Float[np.ndarray, "M K 3"], Float[np.ndarray, "M"]]:
    """Velocities (m/s) of the board's corners, and the mean times: from the pose's own velocity where the moment was
    solved, from its neighbours' places where not; NaN where those are too far apart."""
    middle = np.nanmean(time_s, axis=1)
    if not len(motion):
        return np.full((len(moments), len(points), 3), np.nan), middle
    places = points @ np.swapaxes(motion.R, -1, -2) + motion.t[:, None]
    own = motion.velocity[:, None] + np.cross(motion.spin[:, None], places - motion.t[:, None])
    after = np.clip(np.searchsorted(motion.time_s, middle), 1, max(len(motion) - 1, 1))
    before, after = after - 1, np.minimum(after, len(motion) - 1)
    gap = motion.time_s[after] - motion.time_s[before]
    with np.errstate(invalid="ignore", divide="ignore"):
        secant = (places[after] - places[before]) / gap[:, None, None]
    secant[~_is_between(motion, middle, gap)] = np.nan
    at = np.minimum(np.searchsorted(motion.moment, moments), len(motion) - 1)
    moving = motion.has(moments) & (motion.velocity[at] != 0).any(axis=-1)
    return np.where(moving[:, None, None], own[at], secant), middle


def _is_between(
    motion: BoardMotion, time_s: Float[np.ndarray, "M"], gap: Float[np.ndarray, "M"]
) -> Bool[np.ndarray, "M"]:
    inside = (time_s >= motion.time_s[0] - SAME_TIME_S) & (time_s <= motion.time_s[-1] + SAME_TIME_S)
    return inside & (gap > 0) & (gap <= LONGEST_GAP_S)


def _straightness(corners: Float[np.ndarray, "M K 3"], lines: tuple[Int[np.ndarray, "_"], ...]) -> float:
    """RMS distance (m) of corners to the line through them that lies closest, degrees of freedom accounted for."""
    squares, freedoms = 0.0, 0
    for line in lines:
        whole = corners[:, line][np.isfinite(corners[:, line]).all(axis=(1, 2))]
        centred = whole - whole.mean(axis=1, keepdims=True)
        spread = np.linalg.svd(centred, compute_uv=False)
        squares += float((spread[:, 1:] ** 2).sum())
        freedoms += len(whole) * (len(line) - 2)
    return float(np.sqrt(squares / freedoms)) if freedoms else np.nan


def _most_frequent(length: Float[np.ndarray, "E"]) -> float:
    values, counts = np.unique(np.round(length, 9), return_counts=True)
    return float(values[np.argmax(counts)])
