from __future__ import annotations

import numpy as np

from mocap.signal.tracklets import tracklets


def _table(rows: list[tuple[int, int, int, float]]) -> tuple[np.ndarray, ...]:
    """(frame, camera, detector's id, x of a person of 100 px) per row."""
    frame, camera, track = (np.array([row[i] for row in rows]) for i in range(3))
    xy = np.zeros((len(rows), 4, 2))
    xy[:, :, 0] = np.array([row[3] for row in rows])[:, None] + [0.0, 3.0, 5.0, 9.0]
    return frame, camera, track, xy, np.full(len(rows), 100.0)


def _partition(ids: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(ids == i).tolist()) for i in np.unique(ids)}


def test_neighbours_in_time_of_one_camera_are_linked_and_nothing_else() -> None:
    rows = [
        (0, 0, -1, 10),
        (0, 0, -1, 300),
        (0, 1, -1, 10),
        (1, 0, -1, 305),
        (1, 0, -1, 14),
        (1, 1, -1, 12),
        (3, 1, -1, 12),
    ]
    assert _partition(tracklets(*_table(rows))) == {frozenset(s) for s in ({0, 4}, {1, 3}, {2, 5}, {6})}


def test_a_jump_ends_a_tracklet() -> None:
    rows = [(t, 0, 7, 10.0 + 5 * t + (80 if t >= 3 else 0)) for t in range(6)]
    assert _partition(tracklets(*_table(rows))) == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}


def test_contradicting_ids_of_the_detector_end_a_tracklet_unknown_ones_do_not() -> None:
    rows = [(0, 0, 1, 10.0), (1, 0, 1, 11.0), (2, 0, -1, 12.0), (3, 0, 2, 13.0), (4, 0, 3, 14.0)]
    assert _partition(tracklets(*_table(rows))) == {frozenset({0, 1, 2, 3}), frozenset({4})}


def test_only_mutual_nearest_are_linked() -> None:
    rows = [(0, 0, -1, 10.0), (1, 0, -1, 12.0), (1, 0, -1, 18.0), (2, 0, -1, 18.5)]
    assert _partition(tracklets(*_table(rows))) == {frozenset({0, 1}), frozenset({2, 3})}


def test_rows_without_common_keypoints_are_not_linked_and_no_rows_are_no_tracklets() -> None:
    frame, camera, track, xy, size = _table([(0, 0, -1, 10.0), (1, 0, -1, 10.0)])
    xy[0, :2] = xy[1, 2:] = np.nan
    assert len(_partition(tracklets(frame, camera, track, xy, size))) == 2
    none = np.zeros(0, dtype=np.int64)
    assert tracklets(none, none, none, np.zeros((0, 4, 2)), np.zeros(0)).shape == (0,)
