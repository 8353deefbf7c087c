"""Answers of pairs that fit together win over higher ones that do not."""

from __future__ import annotations

import numpy as np

from mocap.geometry.shift_search import joint_candidates, peaks, profile

LAGS = np.arange(-300, 301) / 30


def bumps(*places: tuple[float, float]):
    return LAGS, np.sum([height * np.exp(-(((LAGS - at) / 0.05) ** 2)) for at, height in places], axis=0)


CURVES = {
    (0, 1): bumps((1.5, 1.0), (-3.0, 0.4)),
    (0, 2): bumps((4.0, 1.2), (-2.0, 1.0)),  # the higher one is wrong
    (1, 2): bumps((-3.5, 0.9)),
}
TRUE = [0.0, 1.5, -2.0]


def test_pairs_that_close_the_circle_win():
    best, *others = joint_candidates(CURVES, 3)
    np.testing.assert_allclose(best.offset_s, TRUE, atol=0.02)
    assert all(other.score < best.score for other in others)
    np.testing.assert_allclose(best.score, 2.9, atol=0.01)


def test_a_camera_that_nothing_ties_stays_unknown():
    best = joint_candidates({(0, 1): CURVES[0, 1]}, 3)[0]
    assert np.isnan(best.offset_s[2])
    np.testing.assert_allclose(best.offset_s[:2], TRUE[:2], atol=0.02)


def test_no_pairs_give_no_answer():
    assert joint_candidates({}, 3) == []


def test_peaks_come_highest_first_and_apart():
    lags, score = bumps((0.0, 1.0), (0.07, 0.99), (2.0, 0.5), (5.0, 0.8))
    assert [round(float(lags[k]), 1) for k in peaks(lags, score, most=3)] == [0.0, 5.0, 2.0]


def test_the_profile_of_a_camera_adds_what_its_pairs_say():
    placed = np.array([True, True, False])
    found = profile(CURVES, np.array(TRUE), 2, placed)
    assert found is not None
    offset, score = found
    np.testing.assert_allclose(offset[np.argmax(score)], -2.0, atol=0.02)
    assert profile(CURVES, np.array(TRUE), 2, np.zeros(3, dtype=bool)) is None
