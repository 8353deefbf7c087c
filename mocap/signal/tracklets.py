"""Sightings of one camera in consecutive frames that are surely one person: short, and never two people."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

MAX_STEP = 0.15
"""Mean keypoint displacement between two frames over the size of the person; a sprint at 30 frames/s is 0.15."""


def tracklets(
    frame: Int[np.ndarray, "R"],
    camera: Int[np.ndarray, "R"],
    track: Int[np.ndarray, "R"],
    xy: Float[np.ndarray, "R J 2"],
    size_px: Float[np.ndarray, "R"],
) -> Int[np.ndarray, "R"]:
    """An id from 0 for every row: equal for rows of one camera that follow each other frame by frame.

    Two rows are linked when each is the other's nearest in the neighbouring frame, they are less than `MAX_STEP` of
    the person's size apart, and the detector's own ids, where both have one (>= 0), do not contradict. Ids of the
    detector alone are not believed: they may change hands. xy may be NaN; size_px: e.g. the box's diagonal.
    """
    a, b = _neighbours(frame, camera)
    step = np.linalg.norm(xy[a] - xy[b], axis=-1)
    shared = np.isfinite(step)
    count = shared.sum(-1)
    mean = np.where(shared, step, 0.0).sum(-1) / np.maximum(count, 1) / np.minimum(size_px[a], size_px[b])
    alike = (track[a] == track[b]) | (track[a] < 0) | (track[b] < 0)
    mean = np.where((count > 0) & alike, mean, np.inf)
    linked = (mean < MAX_STEP) & _smallest(mean, a, len(frame)) & _smallest(mean, b, len(frame))
    links = coo_matrix((np.ones(linked.sum()), (a[linked], b[linked])), shape=(len(frame), len(frame)))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _neighbours(
    frame: Int[np.ndarray, "R"], camera: Int[np.ndarray, "R"]
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """All pairs (row of frame t, row of frame t + 1) of the same camera."""
    n_cameras = int(camera.max(initial=0)) + 1
    key = frame * n_cameras + camera
    order = np.argsort(key, kind="stable")
    first = np.searchsorted(key[order], key + n_cameras, side="left")
    count = np.searchsorted(key[order], key + n_cameras, side="right") - first
    a = np.repeat(np.arange(len(key)), count)
    within = np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count)
    return a, order[first[a] + within]


def _smallest(value: Float[np.ndarray, "N"], group: Int[np.ndarray, "N"], n_groups: int) -> Bool[np.ndarray, "N"]:
    """Where a value is the smallest of its group."""
    least = np.full(n_groups, np.inf)
    np.minimum.at(least, group, value)
    return value <= least[group]
