from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.evaluation.image_metrics import (
    BOX_TO_PERSON,
    OKS_SIGMAS,
    OKS_THRESHOLDS,
    box_size_px,
    head_size_px,
    image_report,
    oks,
    oks_average_precision,
    oks_sigmas,
    pck_2d,
    torso_size_px,
)

COCO = load_keypoint_set("coco17")
NAMES = ("nose", "left_shoulder", "right_hip", "head", "neck", "left_thumb")

seeds = st.integers(0, 2**32 - 1)


def _person() -> np.ndarray:
    """Head to neck 40 px, left shoulder to right hip 100 px (60-80-100), box 60 x 160 px."""
    return np.array([[310.0, 120], [340, 140], [280, 220], [310, 100], [310, 140], [300, 260]])


def test_sizes_of_a_known_person() -> None:
    person = _person()
    assert head_size_px(person, NAMES) == pytest.approx(40)
    assert torso_size_px(person, NAMES) == pytest.approx(100)
    np.testing.assert_allclose(box_size_px(person), [60, 160])
    assert np.isnan(head_size_px(person[:3], NAMES[:3]))
    assert np.isnan(box_size_px(person * np.nan)).all()
    person[5] = np.nan
    np.testing.assert_allclose(box_size_px(person), [60, 120])


def test_shares_of_known_errors() -> None:
    """Errors 20, 21, 0, 40, missing, 0 px; the last keypoint is missing in the truth. Half a head is 20 px: 2 of 5; a
    fifth of the torso is 20 px: 2 of 5; a fifth of the box (160 without the thumb: 120) is 24 px: 3 of 5."""
    truth, prediction = _person(), _person()
    prediction[:4] += [[20, 0], [0, 21], [0, 0], [24, 32]]
    prediction[4] = np.nan
    truth[5] = np.nan
    report = image_report(prediction, truth, names=NAMES)
    assert (report.pckh_50, report.pck_20_torso, report.pck_20_box) == (0.4, 0.4, 0.6)
    assert (report.errors_px.n, report.errors_px.missing) == (4, 1)
    assert report.errors_px.mean == pytest.approx(81 / 4)
    assert report.not_in_oks == ("left_thumb",)
    assert report.per_joint_px["head"].mean == pytest.approx(40)
    json.loads(report.model_dump_json())


def test_people_of_unknown_size_are_left_out() -> None:
    errors, expected = np.array([[1.0, 9.0], [1.0, 1.0]]), np.ones((2, 2), dtype=bool)
    assert pck_2d(errors, expected, np.array([10.0, np.nan]), 0.5) == 0.5
    assert pck_2d(errors, expected, np.array([np.nan, np.nan]), 0.5) is None


def test_oks_of_a_known_case() -> None:
    """A keypoint that is off by d = 2 sigma sqrt(area) has exp(-1/2). Area 10000 px², nose sigma 0.026: d = 5.2 px.
    The shoulder is exact, the wrist missing: (exp(-1/2) + 1 + 0) / 3. The thumb has no sigma."""
    names = ("nose", "left_shoulder", "left_wrist", "left_thumb")
    truth = np.array([[10.0, 10], [50, 50], [90, 20], [95, 20]])
    prediction = truth + [[5.2, 0], [0, 0], [np.nan, 0], [500, 0]]
    found = oks(prediction, truth, oks_sigmas(names), np.asarray(10000.0))
    assert found == pytest.approx((np.exp(-0.5) + 2 - 1) / 3)
    box = (95 - 10) * (50 - 10) * BOX_TO_PERSON
    assert oks(prediction, truth, oks_sigmas(names)) == pytest.approx(
        (np.exp(-(5.2**2) / (2 * box * 0.052**2)) + 1) / 3
    )


def test_oks_where_there_is_nothing_to_compare() -> None:
    truth = np.array([[10.0, 10], [50, 50]])
    assert np.isnan(oks(truth, truth, np.array([np.nan, np.nan])))
    assert np.isnan(oks(truth[:1], truth[:1], np.array([0.1]))), "one keypoint has no area"
    assert oks(truth * np.nan, truth, np.array([0.1, 0.1])) == 0.0


@settings(max_examples=30, deadline=None)
@given(seed=seeds, zoom=st.floats(0.2, 8))
def test_oks_equals_a_loop_and_does_not_see_the_zoom(seed: int, zoom: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 400, (3, 17, 2))
    prediction = truth + rng.normal(0, 15, truth.shape)
    prediction[rng.random((3, 17)) < 0.2] = np.nan
    truth[rng.random((3, 17)) < 0.2] = np.nan
    sigmas, area = oks_sigmas(COCO.names), rng.uniform(5000, 50000, 3)
    found = oks(prediction, truth, sigmas, area)
    for person in range(3):
        total, count = 0.0, 0
        for k in range(17):
            if np.isnan(truth[person, k]).any():
                continue
            count += 1
            d2 = ((prediction[person, k] - truth[person, k]) ** 2).sum()
            if not np.isnan(d2):
                total += np.exp(-d2 / (2 * sigmas[k]) ** 2 / area[person] / 2)
        assert found[person] == pytest.approx(total / count)
    np.testing.assert_allclose(oks(zoom * prediction + 7, zoom * truth + 7, sigmas, zoom**2 * area), found, rtol=1e-9)
    np.testing.assert_allclose(oks(zoom * prediction, zoom * truth, sigmas), oks(prediction, truth, sigmas), rtol=1e-9)


def test_sigmas_are_coco_s_and_both_sides_alike() -> None:
    """The table of cocodataset.org, in thousandths."""
    expected = [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]
    np.testing.assert_allclose(oks_sigmas(COCO.names) * 1000, expected)
    for name, sigma in OKS_SIGMAS.items():
        assert OKS_SIGMAS.get(name.replace("left", "right")) == sigma


def test_average_precision_of_known_similarities() -> None:
    """Scores put them as 0.72, nobody, 0.96. At OKS 0.50 … 0.70 (five thresholds) right, wrong, right: precision 1, 2/3
    (monotone) at recall 1/2, 1 of two people: 51 of 101 points at 1, 50 at 2/3. At 0.75 … 0.95 (five) only the last
    one: precision 1/3 up to recall 1/2, 51 points."""
    similarities, scores = np.array([np.nan, 0.96, 0.72]), np.array([0.5, 0.2, 0.9])
    found = oks_average_precision(similarities, 2, scores)
    np.testing.assert_allclose(found[:5], (51 + 50 * 2 / 3) / 101)
    np.testing.assert_allclose(found[5:], 51 / 3 / 101)
    np.testing.assert_allclose(OKS_THRESHOLDS, [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])


def test_average_precision_without_scores_does_not_see_the_order() -> None:
    """All at once: at 0.50 two of three are right, of two people: precision 2/3 at every recall; at 0.75 one of three
    up to half the recall, 51 of 101 points."""
    for similarities in permutations([0.0, 0.96, 0.72]):
        found = oks_average_precision(np.array(similarities), 2)
        np.testing.assert_allclose(found[[0, 5]], [2 / 3, 51 / 3 / 101])
    assert oks_average_precision(np.ones(4), 4) == pytest.approx(np.ones(10))
    assert not oks_average_precision(np.zeros(0), 2).any()
    with pytest.raises(InputError, match="needs at least one true person"):
        oks_average_precision(np.zeros(0), 0)


def test_a_perfect_and_an_absent_prediction() -> None:
    truth = np.random.default_rng(0).uniform(0, 300, (4, 17, 2))
    perfect = image_report(truth, truth, names=COCO.names)
    assert (perfect.oks_ap, perfect.oks_ap_50, perfect.oks.mean, perfect.pck_20_torso) == (1.0, 1.0, 1.0, 1.0)
    assert perfect.pckh_50 is None, "COCO has no top of the head"
    assert image_report(truth, truth, names=COCO.names, head_px=np.full(4, 50.0)).pckh_50 == 1.0
    absent = image_report(np.full_like(truth, np.nan), truth, names=COCO.names)
    assert (absent.oks_ap, absent.oks.mean, absent.pck_20_box, absent.errors_px.n) == (0.0, 0.0, 0.0, 0)
    half = truth.copy()
    half[:2] = np.nan
    report = image_report(half, truth, names=COCO.names)
    assert report.oks_ap == pytest.approx(51 / 101), "precision 1 up to half the recall"
    nobody = image_report(truth[:0], truth[:0], names=COCO.names)
    assert (nobody.oks_ap, nobody.oks.n) == (None, 0)
