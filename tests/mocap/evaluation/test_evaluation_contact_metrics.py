from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.core.skeleton import load_skeleton
from mocap.evaluation.contact_metrics import (
    FOOT_POINTS,
    ContactConfig,
    contact_runs,
    detect_contacts,
    foot_points,
    foot_report,
    rest_heights_m,
)
from mocap.synthetic.gait import joint_poses, walk_and_reach


def _still(frames: int) -> np.ndarray:
    """Four points of two feet, at rest on the floor."""
    return np.tile(np.array([[0.1, 0, 0], [0.1, -0.2, 0], [-0.1, 0, 0], [-0.1, -0.2, 0]]), (frames, 1, 1))


def test_a_heel_that_slides_and_returns() -> None:
    """At 10 Hz the left heel is in contact in the frames 1 to 4 and moves 30, 40 (a 3-4-5 step), then back 50 mm
    along the first two: path 30 + 40 + 50 = 120 mm in 0.3 s, 400 mm/s; of three intervals all skate."""
    points, contact = _still(6), np.zeros((6, 4), dtype=bool)
    contact[1:5, 0] = True
    points[2:, 0, 0] += 0.03
    points[3:, 0, 1] += 0.04
    points[4:, 0, :2] -= [0.03, 0.04]
    report = foot_report(points, contact, fps=10.0)
    assert (report.contacts, report.contact_s) == (1, pytest.approx(0.3))
    assert report.speed_mm_s.mean == pytest.approx(400)
    assert report.speed_mm_s.max == pytest.approx(500)
    assert (report.slid_mm.n, report.slid_mm.mean) == (1, pytest.approx(120))
    assert report.moved_mm.mean == pytest.approx(0, abs=1e-9)
    assert report.slid_mm_s == pytest.approx(400)
    assert report.skate_mm.mean == pytest.approx(40)
    assert report.skating_share == 1.0
    assert report.per_point_speed_mm_s["left_heel"].n == 3
    assert report.per_point_speed_mm_s["right_toes"].mean is None


def test_vertical_motion_and_motion_out_of_contact_are_no_sliding() -> None:
    points, contact = _still(5), np.ones((5, 4), dtype=bool)
    points[:, 0, 2] = np.arange(5) * 0.05
    points[3:, 1, 0] += 1.0
    contact[3, 1] = False
    report = foot_report(points, contact, fps=30.0)
    assert report.speed_mm_s.max == 0
    assert report.contacts == 5
    assert report.slid_mm.n == 4, "a contact of a single frame has no interval"


def test_a_gap_is_not_slid_over() -> None:
    """Frames 0 to 4 in contact, 2 missing: intervals 0-1 and 3-4 are known, 10 mm each, of four. Net: 40 mm."""
    points, contact = _still(5), np.zeros((5, 4), dtype=bool)
    contact[:, 2] = True
    points[:, 2, 0] += 0.01 * np.arange(5)
    points[2, 2] = np.nan
    report = foot_report(points, contact, fps=10.0)
    assert (report.speed_mm_s.n, report.speed_mm_s.missing) == (2, 2)
    assert report.slid_mm.mean == pytest.approx(20)
    assert report.moved_mm.mean == pytest.approx(40)
    assert report.slid_mm_s == pytest.approx(100)
    assert report.floating_mm.missing == 1


def test_penetration_and_floating_are_measured_from_the_rest_height() -> None:
    """Rest height 20 mm. Heights 20, 10, 40, 19.5 mm: 10 mm deep once of four (0.5 mm is nothing); floating 0, 0, 20, 0
    where in contact."""
    points = np.zeros((4, 1, 3))
    points[:, 0, 2] = [0.02, 0.01, 0.04, 0.0195]
    contact = np.ones((4, 1), dtype=bool)
    report = foot_report(points, contact, fps=30.0, rest_height_m=np.array([0.02]), names=("left_heel",))
    assert (report.penetration_share, report.penetration_mm.n) == (0.25, 1)
    assert report.penetration_mm.mean == pytest.approx(10)
    assert (report.floating_mm.n, report.floating_mm.mean) == (4, pytest.approx(5))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_contacts_are_cut_up_as_loops_do(seed: int) -> None:
    contact = np.random.default_rng(seed).random((13, 3)) < 0.6
    expected = []
    for point in range(3):
        start = None
        for t in range(14):
            on = t < 13 and contact[t, point]
            if on and start is None:
                start = t
            if not on and start is not None:
                expected.append((point, start, t))
                start = None
    runs = contact_runs(contact)
    assert list(zip(runs.point, runs.start, runs.stop, strict=True)) == expected


@pytest.mark.parametrize("frames", [0, 1])
def test_takes_too_short_to_slide(frames: int) -> None:
    report = foot_report(_still(frames), np.ones((frames, 4), dtype=bool), fps=30.0)
    assert (report.slid_mm.n, report.slid_mm_s, report.skating_share) == (0, None, None)
    assert report.penetration_share == (0.0 if frames else None)
    assert not detect_contacts(_still(frames), 30.0).any()
    json.loads(report.model_dump_json())


def test_contacts_of_a_made_up_step() -> None:
    """At 20 Hz the left heel stands for 10 frames, is carried 1 m in 5 frames, 0.2 m high, and stands for 10 more; the
    right heel never leaves a box of 0.5 m; the rest is missing."""
    truth = np.full((25, 4, 3), np.nan)
    x = np.concatenate([np.zeros(10), np.linspace(0, 1, 7)[1:-1], np.ones(10)])
    height = np.concatenate([np.zeros(10), [0.1, 0.2, 0.2, 0.2, 0.1], np.zeros(10)])
    truth[:, 0] = np.stack([x, 0 * x, height + 0.03], axis=-1)
    truth[:, 2] = [0.0, 0.0, 0.5]
    contact = detect_contacts(truth, 20.0)
    assert contact[:, 0].tolist() == [True] * 10 + [False] * 5 + [True] * 10
    assert not contact[:, 1:].any()
    np.testing.assert_allclose(rest_heights_m(truth, contact), [0.03, 0, 0, 0])


def test_short_touches_are_dropped() -> None:
    truth = _still(12)
    truth[:, 0, 2] = 0.3
    truth[5:7, 0, 2] = 0.0
    long_enough = detect_contacts(truth, 20.0, ContactConfig(min_s=0.1, max_rise_m=0.05, max_speed_m_s=20))
    assert long_enough[:, 0].tolist() == [False] * 5 + [True] * 2 + [False] * 5
    assert not detect_contacts(truth, 20.0, ContactConfig(min_s=0.11, max_rise_m=0.05, max_speed_m_s=20))[:, 0].any()


def test_a_walker_by_formula_stands_where_the_feet_are_slow_and_low() -> None:
    """This walk slides by construction (a body of even speed on measured angles: 0.4 to 0.9 m/s early and late in
    stance), so that only mid-stance is contact: a fifth to a half of the frames. At its end it stands."""
    skeleton = load_skeleton()
    motion = walk_and_reach(skeleton, seconds=4.0, fps=60.0)
    positions = joint_poses(motion)[1]
    columns = [skeleton.index(n) for n in ("LeftFoot", "LeftToeBase", "RightFoot", "RightToeBase")]
    feet = positions[:, columns]
    contact = detect_contacts(feet, 60.0)
    assert contact[-40:].all()
    walking = contact[:120].mean(0)
    assert ((walking > 0.2) & (walking < 0.5)).all(), walking
    assert not contact[:90].all(-1).any(), "who walks this fast has never four points on the floor"
    rest = rest_heights_m(feet, contact)
    assert (np.abs(rest - np.percentile(feet[..., 2], 5, axis=0)) < 0.03).all()
    report = foot_report(feet, contact, fps=60.0, rest_height_m=rest)
    assert report.speed_mm_s.mean is not None
    assert report.speed_mm_s.mean < 300
    assert report.contacts >= 6


def test_foot_points_of_keypoints() -> None:
    names = ("left_big_toe", "left_small_toe", "right_big_toe", "left_heel", "nose")
    points = np.arange(15.0).reshape(1, 5, 3)
    found = foot_points(points, names)[0]
    np.testing.assert_allclose(found[0], points[0, 3])
    np.testing.assert_allclose(found[1], (points[0, 0] + points[0, 1]) / 2)
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[3], points[0, 2])
    assert len(FOOT_POINTS) == 4
