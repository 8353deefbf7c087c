from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from calibration import Rig
from calibration.triangulation import reprojection_px
from calibration.triangulation import triangulate_dlt as reference_dlt
from camera_worlds import mixed_rig
from mocap.core.errors import ConfigError, InputError, NoPersonError
from mocap.core.keypoints import Keypoints2D
from mocap.geometry.projection import camera_tensors
from mocap.geometry.triangulation import triangulate_dlt
from mocap.stages.triangulate import TriangulateConfig, triangulate
from people_worlds import KEYPOINTS, body, pixels_per_metre

FPS = 50.0
METHODS = ("dlt", "ransac", "robust")


def _world(n_frames: int = 40, *, noise_m: float = 0.0, seed: int = 0) -> tuple[Rig, np.ndarray, Keypoints2D]:
    """Two people, (T, 2, J, 3), and what five cameras see of them."""
    rig = mixed_rig()
    people = [
        body(n_frames, start=(-0.4, 0.3), velocity=(0.3, -0.2)),
        body(n_frames, start=(0.5, -0.2), height=1.4, phase=1.0),
    ]
    rng = np.random.default_rng(seed)
    xyz = np.stack(people, axis=1)
    px = np.moveaxis(rig.project(xyz), 0, 2)
    scale = np.stack([pixels_per_metre(rig, person) for person in people], axis=0).transpose(2, 0, 1)
    px = px + noise_m * scale[..., None, None] * rng.normal(size=px.shape)
    confidence = rng.uniform(0.5, 1.0, px.shape[:-1])
    return rig, xyz, Keypoints2D(rig.names, KEYPOINTS, px, confidence, FPS)


def _holed(points: Keypoints2D, missing: np.ndarray) -> Keypoints2D:
    xy = np.where(missing[..., None], np.nan, points.xy)
    return replace(points, xy=xy, confidence=np.where(missing, 0.0, points.confidence))


@pytest.mark.parametrize("method", METHODS)
def test_exact_views_give_exact_points_and_an_empty_list_of_losses(method: str) -> None:
    rig, xyz, points = _world()
    found, report = triangulate(points, rig, TriangulateConfig(method=method))
    np.testing.assert_allclose(found.xyz, xyz, atol=3e-5)  # the last step of the refinement is 1e-5 m
    assert (found.n_views == 5).all()
    assert found.reprojection_px.max() < 0.05  # 3e-5 m at 1500 px / 3 m
    np.testing.assert_allclose(found.confidence, points.confidence.mean(2), atol=1e-9)
    assert report.points == 40 * 2 * 17
    assert (report.unseen, report.lost_views_disagree, report.lost_parallel_rays) == (0, 0, 0)
    assert report.sentences == ()
    assert found.fps == FPS


def test_the_batched_linear_solution_equals_the_numpy_reference() -> None:
    rig, _, points = _world(noise_m=0.01)
    points = _holed(points, np.random.default_rng(1).random(points.confidence.shape) < 0.5)
    px, weight = np.swapaxes(points.xy, 2, 3), np.swapaxes(points.confidence, 2, 3)
    expected = reference_dlt(rig, px, weight)
    found = triangulate_dlt(camera_tensors(rig), torch.tensor(px), torch.tensor(weight)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-8)  # squared condition number of 1e4 against 1e-16
    assert np.isnan(expected).any()


@pytest.mark.parametrize("method", METHODS)
def test_errors_are_as_small_as_the_noise_allows(method: str) -> None:
    rig, xyz, points = _world(200, noise_m=0.01)
    found, report = triangulate(points, rig, TriangulateConfig(method=method, noise_mm=30))
    error = np.linalg.norm(found.xyz - xyz, axis=-1)
    # Five rays from all sides, 10 mm in two directions each, equal weights: the normal matrix is about
    # 5 x 2/3 / sigma² per direction, so 10 mm sqrt(3 / 3.33) = 9.5 mm of L2 rms; weights between 0.5 and 1 cost at most
    # 1 / (1 - var/mean²) = 4 %, the distances and the corners of the images up to a quarter more.
    assert np.sqrt((error**2).mean()) < 0.0125
    expected = np.median(reprojection_px(rig, found.xyz, np.swapaxes(points.xy, 2, 3))[:, :, 5:])
    assert report.median_body_px == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("share", "limit"), [(0.03, 1.1), (0.1, 1.15)])
def test_outliers_cost_the_robust_methods_little(share: float, limit: float) -> None:
    rig, xyz, clean = _world(150, noise_m=0.008)
    rng = np.random.default_rng(2)
    wrong = rng.random(clean.confidence.shape) < share
    jump = rng.uniform(0.15, 0.4, clean.xy.shape) * rng.choice([-1, 1], clean.xy.shape) * 500
    points = replace(clean, xy=np.where(wrong[..., None], clean.xy + jump, clean.xy))

    def error(points: Keypoints2D, method: str) -> float:
        xyz_found = triangulate(points, rig, TriangulateConfig(method=method, noise_mm=12))[0].xyz
        return float(np.nanmedian(np.linalg.norm(xyz_found - xyz, axis=-1)))

    best = error(_holed(points, wrong), "dlt")  # as if the outliers were known
    for method in ("ransac", "robust"):
        assert error(points, method) < limit * best
    assert error(points, "dlt") > error(points, "robust")


def test_a_view_that_disagrees_is_dropped_counted_and_told() -> None:
    rig, xyz, points = _world()
    xy = points.xy.copy()
    xy[:, :, 3, 5:] += [120.0, -80.0]
    found, report = triangulate(replace(points, xy=xy), rig, TriangulateConfig(max_error_mm=150))
    np.testing.assert_allclose(found.xyz, xyz, atol=2e-3)
    assert (found.n_views[:, :, 5:] == 4).all()
    assert (found.n_views[:, :, :5] == 5).all()
    assert report.cameras["cam3"].dropped == pytest.approx(12 / 17)
    assert report.cameras["cam0"].dropped == 0
    assert report.cameras["cam3"].median_px == pytest.approx(np.hypot(120, 80), rel=0.02)
    assert any(sentence.startswith("cam3 is 144 px off") for sentence in report.sentences)
    assert any("cam3 disagrees about 71%" in sentence for sentence in report.sentences)
    np.testing.assert_allclose(  # four of five views agree: their mean times their share
        found.confidence[:, :, 5:],
        (lambda c: np.delete(c, 3, axis=2).sum(2) ** 2 / 4 / c.sum(2))(points.confidence[..., 5:]),
        rtol=1e-9,
    )


def test_limits_grow_with_the_person_in_the_image() -> None:
    rig, _, points = _world()
    near = pixels_per_metre(rig, np.broadcast_to(points_middle(points, rig), (1, 3))[:, None])[:, 0]
    for millimetres, n_views in ((79.0, 5), (101.0, 4)):  # the limit is 90 mm at the subject
        xy = points.xy.copy()
        xy[:, :, 2, :, 0] += millimetres / 1000 * near[2]
        rest = replace(points, xy=xy)
        config = TriangulateConfig(noise_mm=3, max_error_mm=90)
        found, _ = triangulate(rest, rig, config)
        assert np.median(found.n_views) == n_views


def points_middle(points: Keypoints2D, rig: Rig) -> np.ndarray:
    found, _ = triangulate(points, rig, TriangulateConfig(method="dlt"))
    return np.nanmean(found.xyz, axis=(0, 1, 2))


def test_fewer_views_than_asked_for_are_missing() -> None:
    rig, _, points = _world()
    missing = np.zeros(points.confidence.shape, dtype=bool)
    missing[:10, 0, 1:] = True  # one view left
    missing[10:20, 0, 2:] = True  # two
    missing[20:30, 1] = True  # none
    for min_views, lost_of_first in ((2, 10), (3, 20)):
        found, report = triangulate(_holed(points, missing), rig, TriangulateConfig(min_views=min_views))
        lost = np.isnan(found.xyz[..., 0])
        assert lost[:lost_of_first, 0].all()
        assert not lost[lost_of_first:, 0].any()
        assert lost[20:30, 1].all()
        assert (found.confidence[lost] == 0).all()
        assert np.isnan(found.reprojection_px[lost]).all()
        assert (found.n_views[lost] == 0).all()
        assert report.unseen == 20 * 17
        assert report.lost_views_disagree == (lost_of_first - 10) * 17
        assert report.keypoints["left_knee"].lost == pytest.approx((lost_of_first + 10) / 80)
        assert report.frames_without_points == 0


def test_keypoints_below_the_least_confidence_are_not_used() -> None:
    rig, xyz, points = _world()
    xy, confidence = points.xy.copy(), points.confidence.copy()
    xy[:, :, 0] += 40.0
    confidence[:, :, 0] = 0.2
    found, _ = triangulate(
        replace(points, xy=xy, confidence=confidence), rig, TriangulateConfig(method="dlt", min_confidence=0.3)
    )
    np.testing.assert_allclose(found.xyz, xyz, atol=1e-6)
    assert (found.n_views == 4).all()


def test_cameras_are_taken_by_name_whatever_the_order_of_the_rig() -> None:
    rig, xyz, points = _world()
    found, _ = triangulate(points, rig.subset(rig.names[::-1]), TriangulateConfig())
    np.testing.assert_allclose(found.xyz, xyz, atol=3e-5)


def test_what_cannot_be_triangulated_is_said_in_a_sentence() -> None:
    rig, _, points = _world()
    alone = replace(points, cameras=("cam1",), xy=points.xy[:, :, 1:2], confidence=points.confidence[:, :, 1:2])
    with pytest.raises(InputError, match="one camera is not enough"):
        triangulate(alone, rig, TriangulateConfig())
    nothing = _holed(points, np.ones(points.confidence.shape, dtype=bool))
    with pytest.raises(NoPersonError, match="no keypoint is seen alike by two cameras"):
        triangulate(nothing, rig, TriangulateConfig())
    with pytest.raises(ValueError, match="min_views"):
        TriangulateConfig(min_views=1)
    assert issubclass(ConfigError, InputError)


def test_the_caller_keeps_its_threads() -> None:
    rig, _, points = _world(4)
    before = torch.get_num_threads()
    triangulate(points, rig, TriangulateConfig())
    assert torch.get_num_threads() == before
