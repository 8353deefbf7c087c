from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mocap.core.errors import ConfigError
from mocap.core.keypoints import Keypoints3D
from mocap.stages.smooth import SmoothConfig, jitter, smooth
from people_worlds import KEYPOINTS, body

FPS = 50.0
FILTERS = ("butterworth", "savitzky_golay", "one_euro", "rts", "none")


def _world(n_frames: int = 120, *, noise_m: float = 0.0, seed: int = 0) -> tuple[np.ndarray, Keypoints3D]:
    rng = np.random.default_rng(seed)
    xyz = np.stack(
        [body(n_frames, start=(0.0, 0.2), velocity=(0.4, 0.1)), body(n_frames, start=(1.0, 0.0), height=1.5)], axis=1
    )
    shape = xyz.shape[:-1]
    points = Keypoints3D(
        keypoint_set=KEYPOINTS,
        xyz=xyz + noise_m * rng.normal(size=xyz.shape),
        confidence=rng.uniform(0.6, 1.0, shape),
        reprojection_px=rng.uniform(2.0, 4.0, shape),
        n_views=rng.integers(2, 5, shape),
        fps=FPS,
    )
    return xyz, points


def _without(points: Keypoints3D, missing: np.ndarray) -> Keypoints3D:
    return replace(
        points,
        xyz=np.where(missing[..., None], np.nan, points.xyz),
        confidence=np.where(missing, 0.0, points.confidence),
        reprojection_px=np.where(missing, np.nan, points.reprojection_px),
        n_views=np.where(missing, 0, points.n_views),
    )


@pytest.mark.parametrize("name", FILTERS)
def test_still_points_stay_where_they_are(name: str) -> None:
    _, points = _world()
    still = replace(points, xyz=np.broadcast_to(points.xyz[:1], points.xyz.shape))
    found, report = smooth(still, SmoothConfig(filter=name))
    np.testing.assert_allclose(found.xyz, still.xyz, atol=1e-6)
    assert (report.rejected_hampel, report.rejected_reprojection, report.filled, report.missing) == (0, 0, 0, 0)
    np.testing.assert_array_equal(found.n_views, points.n_views)
    np.testing.assert_array_equal(found.confidence, points.confidence)
    assert report.filter == name


@pytest.mark.parametrize("name", FILTERS)
def test_outliers_go_short_gaps_are_filled_long_ones_stay_and_all_is_counted(name: str) -> None:
    truth, points = _world(noise_m=0.002)
    wrist, knee, nose = (KEYPOINTS.index(n) for n in ("left_wrist", "right_knee", "nose"))
    xyz = points.xyz.copy()
    xyz[[30, 60], 0, wrist] += [0.4, -0.3, 0.2]
    error = points.reprojection_px.copy()
    error[80, 1, knee] = 60.0  # 20 times the median
    missing = np.zeros(points.confidence.shape, dtype=bool)
    missing[40:52, 0, nose] = True  # 0.24 s
    missing[40:60, 1, nose] = True  # 0.4 s
    missing[:5, 0, knee] = missing[-4:, 0, knee] = True  # ends
    points = _without(replace(points, xyz=xyz, reprojection_px=error), missing)
    found, report = smooth(points, SmoothConfig(filter=name, max_gap_s=0.3, beta=20.0))
    assert report.keypoints["left_wrist"].rejected_hampel == 2
    assert report.keypoints["right_knee"].rejected_reprojection == 1
    assert report.rejected_reprojection == 1
    assert report.rejected_hampel == 2
    assert report.keypoints["nose"].filled == 12
    assert report.keypoints["nose"].missing == 20
    assert report.keypoints["right_knee"].missing == 9
    assert report.filled == 12 + 2 + 1
    assert report.missing == 29
    assert np.isnan(found.xyz[40:60, 1, nose]).all()
    assert np.isnan(found.xyz[:5, 0, knee]).all()
    filled = np.zeros(missing.shape, dtype=bool)
    filled[40:52, 0, nose] = filled[[30, 60], 0, wrist] = filled[80, 1, knee] = True
    assert (found.n_views[filled] == 0).all()
    assert np.isnan(found.reprojection_px[filled]).all()
    assert (found.confidence[filled] > 0).all()
    assert (found.confidence[filled] <= 0.5).all()  # half of what the neighbours have
    assert (found.n_views[~filled & np.isfinite(found.xyz[..., 0])] >= 2).all()
    # A swing of 0.23 m and 1 Hz has 9 m/s²; the lag of the causal filter and 6 Hz of the others stay within 5 cm,
    # while an outlier of 0.54 m that had passed would leave 10 cm and more.
    assert np.nanmax(np.linalg.norm(found.xyz - truth, axis=-1)) < 0.05


def test_noise_goes_down_and_motion_stays() -> None:
    truth, points = _world(300, noise_m=0.01)
    before = np.sqrt(((points.xyz - truth) ** 2).sum(-1).mean())
    for name in ("butterworth", "savitzky_golay", "rts"):
        found, report = smooth(points, SmoothConfig(filter=name))
        after = np.sqrt(((found.xyz - truth) ** 2).sum(-1).mean())
        # A 6 Hz low-pass at 50 frames/s leaves about 6 / 25 of white noise's power: half of its size
        assert after < 0.6 * before, name
        assert report.body_jitter_after_m_s2 is not None
        assert report.body_jitter_before_m_s2 is not None
        assert report.body_jitter_after_m_s2 < 0.25 * report.body_jitter_before_m_s2
        assert report.keypoints["left_hip"].jitter_before_m_s2 == pytest.approx(
            jitter(points.xyz[:, :, KEYPOINTS.index("left_hip")], FPS)
        )


def test_jitter_of_a_known_acceleration() -> None:
    time = np.arange(30) / FPS
    falling = np.stack([0 * time, 2 * time, -0.5 * 9.81 * time**2], axis=-1)[:, None]
    assert jitter(falling, FPS) == pytest.approx(9.81)
    assert jitter(falling[:2], FPS) is None


def test_nothing_is_dropped_when_told_so() -> None:
    _, points = _world()
    xyz, error = points.xyz.copy(), points.reprojection_px.copy()
    xyz[50, 0, 3] += 1.0
    error[20, 1, 2] = 500.0
    points = replace(points, xyz=xyz, reprojection_px=error)
    found, report = smooth(points, SmoothConfig(hampel_sigma=0, max_reprojection=0, filter="none"))
    np.testing.assert_array_equal(found.xyz, points.xyz)
    assert report.rejected_hampel == report.rejected_reprojection == 0


def test_a_person_who_is_never_there_and_frames_without_points() -> None:
    _, points = _world()
    missing = np.zeros(points.confidence.shape, dtype=bool)
    missing[:, 1] = True
    missing[100:] = True
    for name in FILTERS:
        found, report = smooth(_without(points, missing), SmoothConfig(filter=name))
        assert np.isnan(found.xyz[:, 1]).all()
        assert np.isfinite(found.xyz[:100, 0]).all()
        assert report.sentences == ("20 of 120 frames have no points",)
        assert report.missing == missing.sum()


def test_points_of_little_confidence_pull_the_rts_smoother_less() -> None:
    _, points = _world()
    xyz = np.broadcast_to(points.xyz[:1], points.xyz.shape).copy()
    xyz[60, :, 0] += [0.0, 0.0, 0.05]
    confidence = np.full(points.confidence.shape, 0.8)
    confidence[60, 1] = 0.05
    points = replace(points, xyz=xyz, confidence=confidence)
    found, _ = smooth(points, SmoothConfig(filter="rts", hampel_sigma=0))
    lift = found.xyz[60, :, 0, 2] - points.xyz[0, :, 0, 2]
    assert lift[1] < 0.15 * lift[0]


def test_impossible_settings_are_refused() -> None:
    _, points = _world(20)
    with pytest.raises(ConfigError, match="even order"):
        smooth(points, SmoothConfig(order=3))
    with pytest.raises(ValueError, match="filter"):
        SmoothConfig(filter="median")


@pytest.mark.parametrize("name", ["butterworth", "rts"])
def test_a_filter_beyond_what_the_frame_rate_holds_is_left_out_and_said_so(name: str) -> None:
    _, points = _world()
    slow = replace(points, fps=6.0)
    config = SmoothConfig(filter=name, cutoff_hz=6.0, hampel_sigma=0, max_reprojection=0)
    found, report = smooth(slow, config)
    np.testing.assert_array_equal(found.xyz, slow.xyz)
    assert report.filter == "none"
    assert any(f"6 frames a second hold nothing above 3 Hz: the {name} filter" in s for s in report.sentences)
