"""Errors of a made-up network are those that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from camera_worlds import mixed_rig
from mocap.core.errors import ConfigError
from mocap.synthetic.observation import ObservationConfig, hidden_by_trunk, observe

EXACT = ObservationConfig(jitter=0.0, drift=0.0, jumps_per_s=0.0, lost_per_s=0.0)


def cloud(n_frames: int = 400) -> np.ndarray:
    """Seven points 1.7 m tall around the axis, the same in every frame."""
    points = np.array(
        [
            [0.3, 0, 0.1],
            [0, -0.3, 0.4],
            [0.2, 0.2, 0.9],
            [-0.3, 0.1, 1.1],
            [0.1, 0.3, 1.3],
            [0, 0.4, 1.5],
            [0.2, 0, 1.8],
        ]
    )
    return np.tile(points, (n_frames, 1, 1))


NO_TRUNK = np.full((400, 2, 3), 50.0)


def test_without_errors_the_projection_comes_back():
    for camera in mixed_rig():
        xy, confidence = observe(cloud(), NO_TRUNK, camera, fps=30.0, rng=np.random.default_rng(1), config=EXACT)
        exact = camera.project(cloud())
        seen = confidence > 0
        np.testing.assert_allclose(xy[seen], exact[seen], atol=1e-9)
        assert np.isnan(xy[~seen]).all()


def test_jitter_and_drift_have_the_spread_and_memory_asked_for():
    camera = mixed_rig().cameras[0]
    exact = camera.project(cloud())
    height = np.ptp(exact[0, :, 1])
    for config, lag_one in (
        (EXACT.model_copy(update={"jitter": 0.01}), 0.0),
        (EXACT.model_copy(update={"drift": 0.01}), np.exp(-1 / (0.25 * 30))),
    ):
        xy, _ = observe(cloud(), NO_TRUNK, camera, fps=30.0, rng=np.random.default_rng(2), config=config)
        error = (xy - exact)[:, np.isfinite(xy).all((0, 2))]
        # 14 series of 400 frames; correlated ones hold about 400 / 15 independent values each: 5 % standard error.
        assert error.std() == pytest.approx(0.01 * height, rel=0.2)
        correlation = (error[1:] * error[:-1]).mean() / error.var()
        assert correlation == pytest.approx(lag_one, abs=0.1)


def test_what_is_not_reported_is_nan_with_confidence_zero():
    camera = mixed_rig().cameras[0]
    config = EXACT.model_copy(update={"lost_per_s": 1.0})
    xy, confidence = observe(cloud(), NO_TRUNK, camera, fps=30.0, rng=np.random.default_rng(3), config=config)
    missing = np.isnan(xy).any(-1)
    np.testing.assert_array_equal(missing, confidence == 0)
    # Spells begin in 1/30 of the frames and last 5.5 frames on average: about 17 % are lost.
    assert 0.1 < missing.mean() < 0.25


def test_points_outside_the_image_are_not_reported():
    camera = mixed_rig().cameras[0]
    above = cloud() + np.array([0.0, 0.0, 5.0])
    xy, confidence = observe(above, NO_TRUNK, camera, fps=30.0, rng=np.random.default_rng(4), config=EXACT)
    assert not confidence.any()
    assert np.isnan(xy).all()


def test_the_trunk_hides_what_is_behind_it_and_nothing_else():
    trunk = np.array([[[0.0, 0.0, z] for z in (0.9, 1.1, 1.3)]])
    points = np.array([[[0.0, 0.4, 1.1], [0.0, -0.4, 1.1], [0.3, 0.4, 1.1], [0.0, 0.4, 1.9]]])
    seen_from = np.array([0.0, -4.0, 1.1])
    np.testing.assert_array_equal(hidden_by_trunk(points, trunk, seen_from), [[True, False, False, False]])


def test_hidden_points_err_more_and_say_so():
    camera = mixed_rig().cameras[0]
    behind = cloud()
    trunk = camera.center + 0.5 * (behind - camera.center)
    config = EXACT.model_copy(update={"jitter": 0.002})
    free, sure = observe(behind, NO_TRUNK, camera, fps=30.0, rng=np.random.default_rng(5), config=config)
    hidden, unsure = observe(behind, trunk, camera, fps=30.0, rng=np.random.default_rng(5), config=config)
    exact = camera.project(behind)
    ratio = np.nanstd(hidden - exact) / np.nanstd(free - exact)
    assert ratio == pytest.approx(config.hidden_factor, rel=1e-6), "the same random numbers, scaled"
    assert unsure[unsure > 0].mean() < 0.6 < sure[sure > 0].mean()


def test_unknown_settings_are_refused():
    from mocap.core.config import load_config

    with pytest.raises(ConfigError, match="jiter"):
        load_config(ObservationConfig, None, ["jiter=1"])
