from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.evaluation.distribution import distribution, known_mean
from mocap.evaluation.pose_metrics import (
    Alignment,
    auc,
    frame_errors_mm,
    joint_errors_mm,
    known_points,
    mpjpe_mm,
    pck,
    pose_report,
    root_of,
    side_swaps,
)

COCO = load_keypoint_set("coco17")
NAMES = ("left_hip", "right_hip", "left_wrist", "right_wrist")
PAIRS = (("left_hip", "right_hip"), ("left_wrist", "right_wrist"))

seeds = st.integers(0, 2**32 - 1)


def _bodies(seed: int, frames: int = 6, people: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal([1.0, -2.0, 0.9], [0.3, 0.2, 0.5], (frames, people, len(COCO), 3))


def test_distribution_of_known_numbers() -> None:
    """1 2 3 4 5 and two gaps, one of which the truth has. Of 5 values the 90th percentile lies at 0.9 · 4 = 3.6 steps
    from the first: 4.6."""
    found = distribution(np.array([5.0, 1, np.nan, 3, np.nan, 2, 4]), np.array([1, 1, 1, 1, 0, 1, 1], dtype=bool))
    assert (found.n, found.missing, found.mean, found.median, found.max) == (5, 1, 3.0, 3.0, 5.0)
    assert (found.p90, found.p95) == (pytest.approx(4.6), pytest.approx(4.8))
    nothing = distribution(np.array([np.nan]))
    assert json.loads(nothing.model_dump_json()) == {
        "n": 0, "missing": 0, "mean": None, "median": None, "p90": None, "p95": None, "max": None,
    }  # fmt: skip


def test_known_mean_keeps_what_is_unknown() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(known_mean(values, -1), [2.0, np.nan])
    assert known_mean(values) == 2.0


def test_errors_of_a_known_case() -> None:
    """3-4-5 triangles in cm: 50 mm and 130 mm; the third point is missing on one side."""
    truth = np.zeros((3, 3))
    prediction = np.array([[0.03, 0.04, 0], [0.05, 0, 0.12], [np.nan, 0, 0]])
    errors = joint_errors_mm(prediction, truth)
    np.testing.assert_allclose(errors, [50, 130, np.nan])
    assert frame_errors_mm(errors) == pytest.approx(90)


def test_every_alignment_of_a_body_that_is_half_as_large_turned_and_moved() -> None:
    """Truth: hips at ±0.1 m, wrists at ±0.4 m to the sides, 0.5 m up. The prediction is that at half the size, moved
    by 1 m. Root-aligned (mid hip): hips are off by 50 mm, wrists by (0.2, 0, 0.25) m = 320.156 mm; mean 185.078.
    A factor of two undoes all."""
    truth = np.array([[[0.1, 0, 0], [-0.1, 0, 0], [0.4, 0, 0.5], [-0.4, 0, 0.5]]])
    prediction = truth / 2 + [1.0, 0, 0]
    root = [0, 1]
    assert mpjpe_mm(prediction, truth, Alignment.ROOT, root) == pytest.approx((50 + 320.1562118716424) / 2)
    for alignment in (Alignment.SCALE, Alignment.PROCRUSTES, Alignment.TAKE, Alignment.TAKE_START):
        assert mpjpe_mm(prediction, truth, alignment, root) == pytest.approx(0, abs=1e-9), alignment
    # rigid: centroids meet, at (0, 0, 0.25) and half that: each point is off by half its own centred place
    centred = truth - truth.mean(-2)
    expected = 500 * np.linalg.norm(centred, axis=-1).mean()
    assert mpjpe_mm(prediction, truth, Alignment.RIGID, root) == pytest.approx(expected)
    assert mpjpe_mm(prediction, truth, Alignment.TAKE_RIGID, root) == pytest.approx(expected)
    turned = prediction @ Rotation.from_euler("y", 0.3).as_matrix().T
    assert mpjpe_mm(turned, truth, Alignment.PROCRUSTES) == pytest.approx(0, abs=1e-9)
    assert mpjpe_mm(turned, truth, Alignment.SCALE, root) > 50


@settings(max_examples=40, deadline=None)
@given(seed=seeds, scale=st.floats(0.1, 10))
def test_alignments_do_not_see_what_they_take_out(seed: int, scale: float) -> None:
    truth = _bodies(seed)
    rng = np.random.default_rng(seed + 1)
    prediction = truth + rng.normal(0, 0.05, truth.shape)
    R = Rotation.random(random_state=seed).as_matrix()
    copy = scale * truth @ R.T + rng.normal(0, 3, (*truth.shape[:2], 1, 3))
    assert mpjpe_mm(copy, truth, Alignment.PROCRUSTES) < 1e-9
    root = [COCO.index("left_hip")]
    moved = prediction + rng.normal(0, 3, (*truth.shape[:2], 1, 3))
    for alignment, same in ((Alignment.ROOT, moved), (Alignment.SCALE, scale * moved), (Alignment.RIGID, moved @ R.T)):
        before = mpjpe_mm(prediction, truth, alignment, root)
        assert mpjpe_mm(same, truth, alignment, root) == pytest.approx(before, rel=1e-9), alignment
    together = scale * prediction @ R.T + [4.0, 5.0, 6.0]
    for alignment in (Alignment.PROCRUSTES, Alignment.TAKE, Alignment.TAKE_START):
        before = mpjpe_mm(prediction, truth, alignment)
        assert mpjpe_mm(together, truth, alignment) == pytest.approx(before, rel=1e-7), alignment
    absolute = mpjpe_mm(prediction, truth)
    assert mpjpe_mm(truth, prediction) == pytest.approx(absolute)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_vectorised_figures_equal_loops(seed: int) -> None:
    truth = _bodies(seed)
    rng = np.random.default_rng(seed)
    prediction = truth + rng.normal(0, 0.1, truth.shape)
    prediction[rng.random(truth.shape[:-1]) < 0.2] = np.nan
    truth[rng.random(truth.shape[:-1]) < 0.2] = np.nan
    errors, hits, steps, expected = [], 0, 0, 0
    for p, t in zip(prediction.reshape(-1, 3), truth.reshape(-1, 3), strict=True):
        if np.isnan(t).any():
            continue
        expected += 1
        if np.isnan(p).any():
            continue
        error = 1000 * sum((p - t) ** 2) ** 0.5
        errors.append(error)
        hits += error < 150
        steps += sum(error < limit for limit in range(0, 151, 5))
    report = pose_report(prediction, truth, names=COCO.names, pairs=COCO.mirror_pairs)
    assert (report.points, report.missing, report.frames) == (expected, expected - len(errors), 12)
    absolute = report.alignments["absolute"]
    assert absolute.errors_mm.n == len(errors)
    assert absolute.errors_mm.mean == pytest.approx(np.mean(errors))
    assert absolute.pck_150 == pytest.approx(hits / expected)
    assert absolute.auc_150 == pytest.approx(steps / 31 / expected)
    assert sum(joint.n for joint in absolute.per_joint_mm.values()) == len(errors)
    json.loads(report.model_dump_json())


def test_pck_and_auc_count_what_is_missing_as_missed() -> None:
    """Errors 10, 149, 150 mm and a missing one: two of four are under 150. AUC: 10 mm is under 15 … 150 (28 of the 31
    thresholds), 149 mm under 150 alone (1): 29 / (4 · 31)."""
    errors = np.array([10.0, 149.0, 150.0, np.nan, 3.0])
    expected = np.array([1, 1, 1, 1, 0], dtype=bool)
    assert pck(errors, expected) == 0.5
    assert auc(errors, expected) == pytest.approx(29 / 124)
    assert auc(np.zeros(3), np.ones(3, dtype=bool)) == pytest.approx(30 / 31)
    assert pck(errors[:0], expected[:0]) is None
    assert auc(errors[4:], expected[4:]) is None


def test_the_start_of_a_take_is_its_first_two_frames() -> None:
    """Right in two frames, 1 m aside in the next two: fitted at the start, that stays: mean 500 mm."""
    truth = _bodies(9, frames=4)
    prediction = truth.copy()
    prediction[2:, ..., 1] += 1.0
    assert mpjpe_mm(prediction, truth, Alignment.TAKE_START) == pytest.approx(500)
    assert mpjpe_mm(prediction, truth, Alignment.TAKE) < 500.1


def test_swapped_sides_are_found_by_pair_and_frame() -> None:
    """Five frames: right, wholly swapped, only the wrists swapped (error 800 instead of 0, hips 0: mean 400 against
    crossed 100: swapped), nothing there, one wrist missing with the hips swapped."""
    body = np.array([[0.1, 0, 1], [-0.1, 0, 1], [0.4, 0, 1], [-0.4, 0, 1]])
    truth = np.tile(body, (5, 1, 1))
    prediction = truth.copy()
    prediction[1] = body[[1, 0, 3, 2]]
    prediction[2] = body[[0, 1, 3, 2]]
    prediction[3] = np.nan
    prediction[4] = body[[1, 0, 2, 3]]
    prediction[4, 2] = np.nan
    found = side_swaps(prediction, truth, NAMES, PAIRS)
    assert (found.frames, found.swapped, found.share) == (4, 3, 0.75)
    assert found.per_pair == {"left_hip/right_hip": 2 / 4, "left_wrist/right_wrist": 2 / 3}
    empty = side_swaps(prediction[3:4], truth[3:4], NAMES, PAIRS)
    assert (empty.share, empty.per_pair["left_hip/right_hip"]) == (None, None)
    assert side_swaps(prediction, truth, NAMES, ()).frames == 0


def test_hips_that_touch_are_not_swapped_by_noise() -> None:
    """2 cm apart and exchanged: the error halves, but 20 mm of gain are within what detectors do."""
    truth = np.array([[[0.01, 0, 0], [-0.01, 0, 0], [0, 0, 1], [0, 0, 2]]])
    assert side_swaps(truth[:, [1, 0, 2, 3]], truth, NAMES, PAIRS[:1]).swapped == 0
    wider = truth * [3.0, 1, 1]
    assert side_swaps(wider[:, [1, 0, 2, 3]], wider, NAMES, PAIRS[:1]).swapped == 1, "60 mm"


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_takes_have_figures_or_none(frames: int) -> None:
    truth = _bodies(3, frames=frames)
    report = pose_report(truth + 0.01, truth, names=COCO.names)
    for errors in report.alignments.values():
        assert (errors.errors_mm.mean is None) == (frames == 0)
        assert (errors.pck_150 is None) == (frames == 0)


def test_a_prediction_that_is_not_there_is_all_missing() -> None:
    truth = _bodies(4)
    report = pose_report(np.full_like(truth, np.nan), truth, names=COCO.names, pairs=COCO.mirror_pairs)
    for errors in report.alignments.values():
        assert errors.errors_mm.n == 0
        assert (errors.pck_150, errors.auc_150) == (0.0, 0.0)
    assert report.missing == report.points == truth[..., 0].size


def test_the_root_is_the_pelvis_or_the_hips_or_nothing() -> None:
    assert root_of(("nose", "hip", "left_hip", "right_hip")) == ("hip",)
    assert root_of(COCO.names) == ("left_hip", "right_hip")
    assert root_of(("nose",)) == ()
    points = np.zeros((2, 1, 3))
    assert set(pose_report(points, points, names=("nose",)).alignments) == set(Alignment) - {
        Alignment.ROOT,
        Alignment.SCALE,
    }
    with pytest.raises(InputError, match="no keypoint pelvis to be the root; there are nose"):
        pose_report(points, points, names=("nose",), root=("pelvis",))
    with pytest.raises(InputError, match="2 names for 1 points"):
        pose_report(points, points, names=("nose", "neck"))


def test_a_point_with_one_coordinate_is_missing() -> None:
    assert known_points(np.array([[1.0, np.nan, 2.0], [1, 2, 3]])).tolist() == [False, True]
