from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.core.errors import InputError
from mocap.evaluation.motion_metrics import (
    BONES,
    FLEXIBLE,
    acceleration_errors_mm_s2,
    bone_lengths_m,
    bone_report,
    jitter_m_s3,
    motion_report,
    velocity_errors_mm_s,
)

seeds = st.integers(0, 2**32 - 1)


def _line(values: list[float]) -> np.ndarray:
    """One point that moves along x."""
    return np.array(values)[:, None, None] * [1.0, 0, 0]


def test_figures_of_a_point_that_jumps_once() -> None:
    """At 10 Hz, truth at rest, the prediction 0, 0, 10 mm, 0, 0: velocities 0 100 -100 0 mm/s: mean 50. Second
    differences 10 -20 10 mm: 1000, 2000, 1000 mm/s², or a mean of 40/3 mm/frame². Third -30 30 mm: 30 m/s³ twice."""
    prediction, truth = _line([0, 0, 0.01, 0, 0]), _line([0.0] * 5)
    report = motion_report(prediction, truth, names=("nose",), fps=10.0)
    assert report.velocity_error_mm_s.mean == pytest.approx(50)
    assert report.acceleration_error_mm_s2.mean == pytest.approx(4000 / 3)
    assert report.acceleration_error_mm_frame2.mean == pytest.approx(40 / 3)
    assert report.acceleration_error_mm_s2.max == pytest.approx(2000)
    assert report.jitter_prediction_m_s3.mean == pytest.approx(30)
    assert report.jitter_truth_m_s3.mean == 0
    assert report.per_joint_acceleration_error_mm_s2["nose"] == pytest.approx(4000 / 3)
    assert [report.velocity_error_mm_s.n, report.acceleration_error_mm_s2.n, report.jitter_truth_m_s3.n] == [4, 3, 2]


@settings(max_examples=30, deadline=None)
@given(seed=seeds, fps=st.floats(1, 240))
def test_constant_offset_speed_and_acceleration_are_each_free(seed: int, fps: float) -> None:
    """Velocity error does not see an offset, acceleration error no constant velocity, jitter no constant acceleration.

    At 1 Hz the nine frames lead up to 250 m away, rounded by 3e-14 m on each axis; a third difference weighs that by
    8 at most, and by fps³."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(9, 2, 4, 3))
    t = np.arange(9)[:, None, None, None] / fps
    a, b, c = rng.normal(size=(3, 1, 1, 1, 3))
    rounding = 8 * 3e-14 * 3**0.5 * fps**3
    assert velocity_errors_mm_s(truth + a, truth, fps).max() < 1000 * rounding
    assert acceleration_errors_mm_s2(truth + a + b * t, truth, fps).max() < 1000 * rounding
    np.testing.assert_allclose(velocity_errors_mm_s(truth + b * t, truth, fps), 1000 * np.linalg.norm(b), rtol=1e-9)
    parabola = a + b * t + c / 2 * t**2 + np.zeros_like(truth)
    assert jitter_m_s3(parabola, fps).max() < rounding
    np.testing.assert_allclose(jitter_m_s3(t**3 * c / 6, fps), np.linalg.norm(c), rtol=1e-6, atol=rounding)


def test_the_jerk_of_noise_is_what_the_docstring_says() -> None:
    """Third differences of white noise have a variance of 1 + 9 + 9 + 1 = 20 an axis; the mean length of a normal
    vector is sqrt(8/pi) of its deviation: 7.137. 6000 x 3 values: 1 % is over ten standard errors."""
    noise = np.random.default_rng(0).normal(0, 0.002, (6003, 20, 3))
    assert jitter_m_s3(noise, 30.0).mean() == pytest.approx(7.137 * 0.002 * 30**3, rel=0.01)


def test_equals_loops_and_keeps_gaps() -> None:
    rng = np.random.default_rng(8)
    truth = rng.normal(size=(12, 3, 3))
    prediction = truth + rng.normal(0, 0.02, truth.shape)
    prediction[rng.random((12, 3)) < 0.2] = np.nan
    fps, errors, missing = 25.0, [], 0
    for j in range(3):
        for t in range(1, 11):
            a = prediction[t - 1, j] - 2 * prediction[t, j] + prediction[t + 1, j]
            b = truth[t - 1, j] - 2 * truth[t, j] + truth[t + 1, j]
            error = 1000 * np.sqrt(((a - b) ** 2).sum()) * fps**2
            errors, missing = (errors, missing + 1) if np.isnan(error) else ([*errors, error], missing)
    report = motion_report(prediction, truth, names=("a", "b", "c"), fps=fps)
    assert report.acceleration_error_mm_s2.n == len(errors)
    assert report.acceleration_error_mm_s2.missing == missing > 0
    assert report.acceleration_error_mm_s2.mean == pytest.approx(np.mean(errors))
    json.loads(report.model_dump_json())


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_short_takes_have_no_higher_differences(frames: int) -> None:
    points = np.zeros((frames, 2, 3))
    report = motion_report(points, points, names=("a", "b"), fps=30.0)
    assert report.velocity_error_mm_s.n == 2 * max(frames - 1, 0)
    assert report.acceleration_error_mm_s2.n == 2 * max(frames - 2, 0)
    assert (report.jitter_truth_m_s3.n, report.jitter_truth_m_s3.mean) == (0, None)


@pytest.mark.parametrize("fps", [0.0, -30.0, np.nan])
def test_a_frame_rate_is_a_rate(fps: float) -> None:
    with pytest.raises(InputError, match="is not a frame rate"):
        jitter_m_s3(np.zeros((5, 1, 3)), fps)


NAMES = ("left_hip", "right_hip", "left_knee", "right_knee", "left_shoulder", "right_shoulder")


def _legs(left_m: list[float], right_m: list[float]) -> np.ndarray:
    points = np.zeros((len(left_m), 6, 3))
    points[:, 0, 0] = 0.1
    points[:, 1, 0] = -0.1
    points[:, 2] = points[:, 0] - np.array(left_m)[:, None] * [0, 0, 1]
    points[:, 3] = points[:, 1] - np.array(right_m)[:, None] * [0, 0.6, 0.8]
    points[:, 4:] = points[:, :2] + [0, 0, 0.5]
    return points


def test_bones_of_a_known_case() -> None:
    """Left thigh 380 400 420 mm: mean 400, sd sqrt(800/3) = 16.33 mm, 4.08 %. Right thigh 440 mm throughout. Asymmetry
    40/420. Against a truth of 410 and 440: -10 and 0 mm. Rigid: hips and two thighs, mean coefficient a third."""
    points, truth = _legs([0.38, 0.40, 0.42], [0.44] * 3), _legs([0.41] * 3, [0.44] * 3)
    report = bone_report(points, NAMES, truth)
    left, right = report.bones["left_thigh"], report.bones["right_thigh"]
    assert (left.frames, left.mean_mm, left.error_mm) == (3, pytest.approx(400), pytest.approx(-10))
    assert left.sd_mm == pytest.approx((800 / 3) ** 0.5)
    assert left.coefficient == pytest.approx((800 / 3) ** 0.5 / 400)
    assert (right.sd_mm, right.error_mm) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9))
    assert report.mean_coefficient == pytest.approx((800 / 3) ** 0.5 / 400 / 3)
    assert report.asymmetry == {"trunk": pytest.approx(0), "thigh": pytest.approx(40 / 420)}
    assert set(report.bones) == {"shoulders", "hips", "left_trunk", "right_trunk", "left_thigh", "right_thigh"}
    assert bone_report(points, NAMES).bones["hips"].error_mm is None


def test_bones_with_gaps_and_without_length() -> None:
    points = _legs([0.4, 0.4, 0.5], [0.0] * 3)
    points[2, 2] = np.nan
    report = bone_report(points, NAMES)
    assert (report.bones["left_thigh"].frames, report.bones["left_thigh"].sd_mm) == (2, pytest.approx(0, abs=1e-9))
    assert report.bones["right_thigh"].coefficient is None
    nothing = bone_report(np.full((4, 6, 3), np.nan), NAMES)
    assert nothing.mean_coefficient is None
    assert nothing.asymmetry == {}
    assert bone_lengths_m(points, NAMES)["left_thigh"].shape == (3,)


def test_bones_have_both_sides() -> None:
    for name, (a, b) in BONES.items():
        if name.startswith("left_"):
            other = BONES[f"right_{name.removeprefix('left_')}"]
            assert other == (a.replace("left", "right"), b.replace("left", "right"))
    assert set(FLEXIBLE) <= set(BONES)
