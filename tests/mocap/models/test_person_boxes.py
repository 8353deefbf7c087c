from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mocap.models.person_boxes import BoxTracks, box_areas, box_of_keypoints, overlaps, suppress_doubles


def naive_overlap(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (both - width * height)


def naive_suppression(boxes, scores, max_overlap) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(naive_overlap(boxes[index], boxes[k]) <= max_overlap for k in kept):
            kept.append(index)
    return kept


@st.composite
def scored_boxes(draw):
    n = draw(st.integers(0, 12))
    corner = draw(hnp.arrays(np.float64, (n, 2), elements=st.integers(0, 20).map(float)))
    sides = draw(hnp.arrays(np.float64, (n, 2), elements=st.integers(1, 15).map(float)))
    scores = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.2, 0.5, 0.5, 0.9])))
    return np.concatenate([corner, corner + sides], -1), scores


def test_overlap_of_known_boxes():
    a = np.array([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 5.0, 9.0]])
    b = np.array([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [0.0, 0.0, 5.0, 4.0], [20.0, 20.0, 21.0, 21.0]])
    np.testing.assert_allclose(overlaps(a, b), [[1, 1 / 3, 0.2, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(box_areas(np.array([[0.0, 0.0, 2.0, 3.0], [4.0, 4.0, 3.0, 5.0]])), [6, 0])


@given(scored_boxes(), scored_boxes())
def test_overlap_is_the_naive_one(first, second):
    expected = np.array([[naive_overlap(a, b) for b in second[0]] for a in first[0]])
    found = overlaps(first[0], second[0])
    assert found.shape == (len(first[0]), len(second[0]))
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-12)


def test_suppression_of_known_boxes():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 20], [21, 1, 29, 9]], dtype=float)
    scores = np.array([0.8, 0.9, 0.3, 0.7, 0.6])
    # 1 first; 0 overlaps it by 9/11; 3 by 9/21; 4 stays and shares 64/100 with 2
    assert suppress_doubles(boxes, scores, 0.45).tolist() == [1, 3, 4]
    assert suppress_doubles(boxes, scores, 0.7).tolist() == [1, 3, 4, 2]
    assert suppress_doubles(boxes, scores, 0.0).tolist() == [1, 4]


@given(scored_boxes(), st.sampled_from([0.0, 0.3, 0.45, 0.9, 1.0]))
def test_suppression_is_the_naive_one(given_boxes, max_overlap: float):
    boxes, scores = given_boxes
    assert suppress_doubles(boxes, scores, max_overlap).tolist() == naive_suppression(boxes, scores, max_overlap)


def box_at(x: float, y: float = 0.0, side: float = 100.0) -> np.ndarray:
    return np.array([x, y, x + side, y + side])


def follow(tracks: BoxTracks, *boxes: np.ndarray, remember: int = 2) -> tuple[BoxTracks, list[int]]:
    stacked = np.array(boxes).reshape(-1, 4)
    tracks, ids = tracks.joined_by(stacked, np.ones(len(stacked)), least_overlap=0.3, remember=remember)
    return tracks, ids.tolist()


def test_people_keep_their_ids_whatever_the_order_of_the_boxes():
    tracks, first = follow(BoxTracks(), box_at(0), box_at(300))
    tracks, second = follow(tracks, box_at(310), box_at(10))
    assert (first, second) == ([0, 1], [1, 0])


def test_two_people_who_cross_are_paired_together_not_greedily():
    tracks, _ = follow(BoxTracks(), box_at(0), box_at(40))
    # box 30 overlaps the second best (0.82) and the first by 0.54, box 60 only the second: both get their own
    _, ids = follow(tracks, box_at(30), box_at(90))
    assert ids == [0, 1]


def test_a_lost_person_is_remembered_for_a_while_and_ids_are_never_reused():
    tracks, _ = follow(BoxTracks(), box_at(0))
    tracks, _ = follow(tracks)
    assert tracks.present == ()
    tracks, ids = follow(tracks, box_at(5))
    assert ids == [0]
    for _ in range(3):
        tracks, _ = follow(tracks)
    tracks, ids = follow(tracks, box_at(5))
    assert ids == [1]
    assert tracks.frame == 7


def test_a_box_elsewhere_is_somebody_new():
    tracks, _ = follow(BoxTracks(), box_at(0))
    assert follow(tracks, box_at(80))[1] == [1]  # shares 20 of 180


@pytest.mark.parametrize("margin", [1.0, 1.5])
def test_a_box_around_sure_keypoints(margin: float):
    xy = np.array([[0.0, 10.0], [20.0, 50.0], [10.0, 30.0], [500.0, 500.0], [np.nan, np.nan]])
    confidence = np.array([0.9, 0.5, 0.4, 0.1, 0.0])
    box = box_of_keypoints(xy, confidence, least=0.3, margin=margin)
    assert box is not None
    np.testing.assert_allclose(box, [10 - 10 * margin, 30 - 20 * margin, 10 + 10 * margin, 30 + 20 * margin])
    assert box_of_keypoints(xy, confidence, least=0.45, margin=margin) is None
