"""Batches of rigs project as single rigs do, and random rigs see their subject."""

from __future__ import annotations

import numpy as np
import pytest

from calibration import Camera, Intrinsics, Rig
from calibration.errors import CalibrationError
from calibration.lenses import Lens
from calibration.synthetic import camera_looking_at
from camera_worlds import mixed_rig
from mocap.synthetic.camera_batch import batch_of_rigs, folds
from mocap.synthetic.random_rigs import RandomRigConfig, random_rigs


@pytest.fixture(scope="module")
def batch():
    return random_rigs(40, 5, np.random.default_rng(0), RandomRigConfig(fisheye=0.3))


def test_projection_is_that_of_the_single_rigs(batch):
    """Points all around, many behind cameras or beyond the fold of a lens."""
    points = np.random.default_rng(1).normal(0, 8, (40, 3, 20, 3))
    found = batch.project(points)
    assert found.shape == (40, 5, 3, 20, 2)
    for n in range(40):
        np.testing.assert_allclose(found[n], batch.rig(n).project(points[n]), rtol=1e-9, atol=1e-9)
    assert 0.1 < np.isnan(found).mean() < 0.9


def test_points_on_the_axis_of_a_fisheye_lens(batch):
    n, c = np.argwhere(batch.fisheye)[0]
    forward = batch.R[n, c, 2]
    points = np.zeros((40, 3, 3))
    points[n] = batch.centers[n, c] + forward * np.array([[2.0], [0.5], [9.0]])
    found = batch.project(points)[n, c]
    np.testing.assert_allclose(found, np.tile(batch.principal[n, c], (3, 1)), atol=1e-9)


def test_batch_and_rig_turn_into_each_other(batch):
    again = batch_of_rigs([batch.rig(n) for n in range(40)])
    for name in ("R", "t", "focal", "principal", "distortion", "fisheye", "image_size"):
        np.testing.assert_array_equal(getattr(again, name), getattr(batch, name))
    np.testing.assert_allclose(again.fold, batch.fold, rtol=1e-9)
    np.testing.assert_allclose(batch.centers[3], batch.rig(3).centers, atol=1e-12)


def test_folds_are_those_of_the_reference_for_wild_lenses():
    rng = np.random.default_rng(2)
    distortion = rng.normal(0, 0.3, (200, 5)) * [1, 1, 0.01, 0.01, 1]
    fisheye = rng.random(200) < 0.5
    found = folds(distortion, fisheye)
    for row, round_, fold in zip(distortion, fisheye, found, strict=True):
        lens = Intrinsics(
            (64, 48), np.diag([50.0, 50, 1]), row[: 4 if round_ else 5], Lens.FISHEYE if round_ else Lens.BROWN_CONRADY
        )
        one = Rig((camera_looking_at("a", lens, center=(1.0, 0.0, 0.0), target=(0.0, 0.0, 0.0)),))
        assert batch_of_rigs([one]).fold[0, 0] == pytest.approx(fold, rel=1e-6)


def test_cameras_look_at_their_target_as_the_reference_has_it(batch):
    """The pose of every random camera is that of `camera_looking_at` with some roll within the range."""
    for camera in batch.rig(7):
        forward, right = camera.cam_from_world.R[2], camera.cam_from_world.R[0]
        upright = camera_looking_at("b", camera.intrinsics, center=camera.center, target=camera.center + forward)
        roll = np.arccos(np.clip(right @ upright.cam_from_world.R[0], -1, 1))
        assert roll <= np.deg2rad(5.0) + 1e-9
        signed = np.arctan2(right @ upright.cam_from_world.R[1], right @ upright.cam_from_world.R[0])
        turned = camera_looking_at(
            "c", camera.intrinsics, center=camera.center, target=camera.center + forward, roll=float(signed)
        )
        np.testing.assert_allclose(turned.cam_from_world.R, camera.cam_from_world.R, atol=1e-9)


def test_random_rigs_are_of_every_kind_and_see_the_middle():
    batch = random_rigs(400, 4, np.random.default_rng(3), RandomRigConfig())
    upright = batch.image_size[..., 1] > batch.image_size[..., 0]
    for share, wanted in ((upright.mean(), 0.3), (batch.fisheye.mean(), 0.1)):
        assert abs(share - wanted) < 4.5 * np.sqrt(wanted * (1 - wanted) / 1600)
    distance = np.linalg.norm(batch.centers[..., :2], axis=-1)
    # Up to 5.5 m, an eighth of irregularity, 1.25 for corners or hypot(1, 0.8 · 1.17) at a wall's end.
    assert 2.2 * 0.87 < distance.min() < distance.max() < 5.5 * 1.125 * 1.4
    middle = np.tile([0.0, 0.0, 0.95], (400, 1, 1))
    px = batch.project(middle)[:, :, 0]
    assert ((px > 0) & (px < batch.image_size)).all()
    assert len(np.unique(batch.focal[..., 0])) == 1600


def test_lenses_of_random_rigs_image_all_of_their_picture():
    batch = random_rigs(60, 4, np.random.default_rng(4), RandomRigConfig())
    for n in range(60):
        for camera in batch.rig(n):
            width, height = camera.intrinsics.image_size
            corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], dtype=np.float64)
            assert np.isfinite(camera.intrinsics.ray(corners)).all()


def test_what_a_batch_cannot_hold_is_told():
    rig = mixed_rig()
    with pytest.raises(CalibrationError, match="equally many"):
        batch_of_rigs([rig, rig.subset(["cam0"])])
    for name in ("cam1", "cam2"):  # skewed, rational
        with pytest.raises(CalibrationError, match="no skewed pixels and no rational"):
            batch_of_rigs([rig.subset([name])])
    plain = rig.subset(["cam0", "cam3", "cam4"])
    points = np.random.default_rng(5).uniform(-1, 1, (1, 9, 3)) + [0, 0, 1]
    np.testing.assert_allclose(batch_of_rigs([plain]).project(points)[0], plain.project(points[0]), atol=1e-9)
    assert isinstance(batch_of_rigs([plain]).rig(0).cameras[0], Camera)
