from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from calibration import Rig
from camera_worlds import mixed_rig
from mocap.geometry import triangulation
from mocap.geometry.projection import CameraTensors, camera_tensors, project
from mocap.geometry.refinement import Refinement, refine_reprojection, robust_cost, robust_weight
from mocap.geometry.triangulation import (
    MAX_PAIRS,
    Outcome,
    Triangulated,
    midpoints_of_rays,
    triangulate_dlt,
    triangulate_linear,
    triangulate_ransac,
    triangulate_robust,
    view_pairs,
)

EXACT_M = 1e-7
"""Noise-free float64: DLT squares a condition number of some 1e4, so 1e-16 x 1e8 relative of 1 m, times 10."""


def _world(seed: int, shape: tuple[int, ...]) -> tuple[Rig, CameraTensors, torch.Tensor, torch.Tensor, torch.Tensor]:
    rig = mixed_rig()
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.uniform([-0.8, -0.7, 0.1], [0.7, 0.8, 1.8], (*shape, 3)))
    cameras = camera_tensors(rig)
    px = project(cameras, points)
    return rig, cameras, points, px, torch.from_numpy(rng.uniform(0.3, 1.0, px.shape[:-1]))


def _naive_dlt(rig: Rig, px: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """One point, loops and an SVD."""
    rows = []
    for camera, xy, w in zip(rig, px, weight, strict=True):
        if w == 0 or np.isnan(xy).any():
            continue
        K, lens = camera.intrinsics.K, camera.intrinsics
        u, v = (np.linalg.inv(K) @ [*lens.undistort(xy[None])[0], 1.0])[:2]
        P = camera.cam_from_world.matrix[:3]
        rows.append(np.sqrt(w) * K[0, 0] * (u * P[2] - P[0]))
        rows.append(np.sqrt(w) * K[1, 1] * (v * P[2] - P[1]))
    solution = np.linalg.svd(np.array(rows))[2][-1]
    return solution[:3] / solution[3]


def test_dlt_finds_noise_free_points() -> None:
    _, cameras, points, px, weight = _world(0, (6, 2))
    torch.testing.assert_close(triangulate_dlt(cameras, px, weight), points, atol=EXACT_M, rtol=0)


def test_dlt_equals_its_naive_twin_under_noise_weights_and_missing_views() -> None:
    rig, cameras, _, px, weight = _world(1, (9,))
    px = px + 5 * torch.randn(px.shape, dtype=px.dtype, generator=torch.Generator().manual_seed(1))
    weight[0, :3] = 0
    px[1, 1:4] = torch.nan
    found = triangulate_dlt(cameras, px, weight)
    expected = np.stack([_naive_dlt(rig, p.numpy(), w.numpy()) for p, w in zip(px, weight, strict=True)])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_refinement_equals_scipy_on_the_distorted_error() -> None:
    rig, cameras, points, px, weight = _world(2, (5,))
    px = px + 8 * torch.randn(px.shape, dtype=px.dtype, generator=torch.Generator().manual_seed(2))
    scale = torch.tensor([9.0, 5.0, 7.0, 4.0, 6.0], dtype=torch.float64).expand(5, 5)
    for kernel in ("l2", "cauchy", "geman_mcclure"):
        found, _ = refine_reprojection(
            cameras, px, weight, points, scale_px=scale, how=Refinement(kernel, iterations=200, step_tolerance_m=1e-10)
        )
        for i in range(5):

            def cost(x: np.ndarray, i: int = i, kernel: str = kernel) -> float:
                squared = ((rig.project(x[None])[:, 0] - px[i].numpy()) ** 2).sum(-1) / scale[i].numpy() ** 2
                rho = {"l2": squared, "cauchy": np.log1p(squared), "geman_mcclure": squared / (1 + squared)}[kernel]
                return float((weight[i].numpy() * rho).sum())

            around = [cost(found[i].numpy() + step) for step in 2e-5 * np.vstack([np.eye(3), -np.eye(3)])]
            assert cost(found[i].numpy()) < min(around), f"{kernel}: a step of 20 um goes downhill"
        if kernel == "l2":
            expected = [
                least_squares(
                    lambda x, i=i: (
                        (rig.project(x[None])[:, 0] - px[i].numpy())
                        / scale[i].numpy()[:, None]
                        * weight[i].sqrt().numpy()[:, None]
                    ).ravel(),
                    points[i].numpy(),
                    xtol=1e-14,
                    ftol=1e-14,
                ).x
                for i in range(5)
            ]
            np.testing.assert_allclose(found.numpy(), np.array(expected), atol=1e-6)


@pytest.mark.parametrize("kernel", ["l2", "cauchy", "geman_mcclure"])
def test_kernel_weight_is_the_slope_of_the_kernel(kernel: str) -> None:
    squared = torch.tensor([0.0, 0.2, 1.0, 9.0, 400.0], dtype=torch.float64, requires_grad=True)
    robust_cost(squared, kernel).sum().backward()
    torch.testing.assert_close(squared.grad, robust_weight(squared.detach(), kernel))
    behind = torch.tensor([torch.nan], dtype=torch.float64)
    assert robust_weight(behind, kernel) == 0
    assert robust_cost(behind, kernel) == (1 if kernel == "geman_mcclure" else torch.inf)


def _run(name: str, cameras: CameraTensors, px: torch.Tensor, weight: torch.Tensor, px_limit: float) -> Triangulated:
    limit = torch.full_like(weight, px_limit)
    if name == "robust":
        return triangulate_robust(cameras, px, weight, scale_px=limit / 3, inlier_px=limit)
    method = {"linear": triangulate_linear, "ransac": triangulate_ransac}[name]
    return method(cameras, px, weight, inlier_px=limit)


@pytest.mark.parametrize("name", ["linear", "ransac", "robust"])
def test_every_method_finds_noise_free_points_from_any_two_views(name: str) -> None:
    _, cameras, points, px, weight = _world(3, (4, 2))
    for a, b in itertools.combinations(range(5), 2):
        two = torch.full_like(px, torch.nan)
        two[..., [a, b], :] = px[..., [a, b], :]
        found = _run(name, cameras, two, weight, 12.0)
        assert (found.outcome == Outcome.AGREED).all()
        assert found.used.sum(-1).eq(2).all()
        # the two-ray midpoint and LM's last step of 1e-5 m; three times that is still 0.03 mm
        torch.testing.assert_close(found.xyz, points, atol=3e-5, rtol=0)
        assert found.error_px.isnan().sum() == 3 * 8


@pytest.mark.parametrize("name", ["ransac", "robust"])
def test_covariance_is_the_spread_of_the_errors(name: str) -> None:
    _, cameras, points, px, weight = _world(4, (3000,))
    sigma = 2.0
    weight = torch.ones_like(weight)
    px = px + sigma * torch.randn(px.shape, dtype=px.dtype, generator=torch.Generator().manual_seed(4))
    limit = torch.full_like(weight, 60 * sigma)  # no view is lost and the kernel stays quadratic: plain propagation
    if name == "ransac":
        found = triangulate_ransac(cameras, px, weight, inlier_px=limit)
    else:
        found = triangulate_robust(cameras, px, weight, scale_px=limit, inlier_px=limit, kernel="cauchy")
    assert found.used.all()
    covariance = found.covariance * (sigma / limit[0, 0]) ** 2  # stated for a deviation of scale_px
    error = found.xyz - points
    nees = (error[:, None] @ torch.linalg.inv(covariance) @ error[..., None]).mean().item()
    # chi-square with 3 degrees of freedom: mean 3, variance 6; three deviations of the mean over 3000 points are 0.134
    assert abs(nees - 3) < 0.134
    # full L2 error of a view: 2 sigma² per view less 3 parameters over 5 views: rms sigma sqrt((10 - 3) / 5) = 2.366
    assert found.error_px.square().mean().sqrt().item() == pytest.approx(sigma * np.sqrt(7 / 5), rel=0.02)


@pytest.mark.parametrize("name", ["ransac", "robust"])
def test_one_wild_view_of_five_is_dropped_and_changes_nothing(name: str) -> None:
    _, cameras, points, px, weight = _world(5, (50, 2))
    rng = np.random.default_rng(5)
    wild = torch.from_numpy(rng.integers(0, 5, (50, 2)))
    direction = torch.from_numpy(rng.normal(size=(50, 2, 2)))
    direction = 80 * direction / direction.norm(dim=-1, keepdim=True)
    bad = px.clone()
    bad.scatter_add_(2, wild[..., None, None].expand(-1, -1, 1, 2), direction[..., None, :])
    found = _run(name, cameras, bad, weight, 15.0)
    expected_used = torch.ones_like(found.used).scatter_(2, wild[..., None], False)
    assert (found.used == expected_used).all()
    # Geman-McClure at 80 / 5 = 16 scales: pull 16 scales / (1 + 256)² < 3e-4 scales = 0.0012 px against four exact
    # views, < 1e-5 m at 3.3 m and 700 px; LM's last step adds 1e-5
    torch.testing.assert_close(found.xyz, points, atol=3e-5, rtol=0)


def test_robust_points_beat_least_squares_with_a_tenth_of_outliers() -> None:
    _, cameras, points, px, weight = _world(6, (2000,))
    generator = torch.Generator().manual_seed(6)
    px = px + 2 * torch.randn(px.shape, dtype=px.dtype, generator=generator)
    outlier = torch.rand(px.shape[:-1], generator=generator) < 0.1
    px = px + torch.where(outlier[..., None], 60.0, 0.0) * torch.randn(px.shape, dtype=px.dtype, generator=generator)
    clean = triangulate_dlt(cameras, px, torch.where(outlier, 0.0, weight))
    oracle = (clean - points).norm(dim=-1).nanmedian()
    for name in ("ransac", "robust"):
        error = (_run(name, cameras, px, weight, 15.0).xyz - points).norm(dim=-1)
        # knowing the outliers is the best one can do; losing a tenth of the efficiency for not knowing is plenty
        assert error.nanmedian() < 1.1 * oracle
        assert error.isnan().float().mean() < 0.01  # four of five views bad: 5 x 0.1⁴ x 0.9 = 5e-4, five: 1e-5


def test_fewer_than_two_views_is_missing_for_that_reason() -> None:
    _, cameras, _, px, weight = _world(7, (3,))
    px[0, 1:] = torch.nan
    weight[1] = 0
    weight[1, 2] = 1
    px[2] = torch.nan
    for name in ("linear", "ransac", "robust"):
        found = _run(name, cameras, px, weight, 10.0)
        assert found.outcome.tolist() == [Outcome.TOO_FEW_VIEWS] * 3
        assert found.xyz.isnan().all()
        assert found.covariance.isnan().all()
        assert not found.used.any()


def test_views_that_contradict_each_other_are_missing_for_that_reason() -> None:
    _, cameras, _, px, weight = _world(8, (2,))
    px[:, 2:] = torch.nan
    px[1, 1, 1] += 400
    for name in ("linear", "ransac", "robust"):
        found = _run(name, cameras, px, weight, 10.0)
        assert found.outcome.tolist() == [Outcome.AGREED, Outcome.VIEWS_DISAGREE]
        assert found.xyz[1].isnan().all()
        assert found.error_px[1].isnan().all()


def test_parallel_rays_are_missing_for_that_reason() -> None:
    rig = mixed_rig()
    first = rig.cameras[0]
    twin = type(first)("twin", first.intrinsics, first.cam_from_world)
    cameras = camera_tensors(Rig((first, twin)))
    px = project(cameras, torch.tensor([[0.1, 0.2, 1.0]], dtype=torch.float64))
    for name in ("linear", "ransac", "robust"):
        found = _run(name, cameras, px, torch.ones(1, 2, dtype=torch.float64), 10.0)
        assert found.outcome.tolist() == [Outcome.PARALLEL_RAYS]
        assert found.xyz.isnan().all()
    assert triangulate_dlt(cameras, px, torch.ones(1, 2, dtype=torch.float64)).isnan().all()


def test_rays_that_meet_behind_a_camera_give_no_point() -> None:
    origins = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    apart = torch.tensor([[-1.0, 0.0, 1.0], [1.0, 0.0, 1.0]], dtype=torch.float64) / 2**0.5
    a, b = view_pairs(2)
    assert midpoints_of_rays(origins, apart, a, b).isnan().all()
    meeting = midpoints_of_rays(origins, apart.flip(0), a, b)
    torch.testing.assert_close(meeting[0], torch.tensor([0.5, 0.0, 0.5], dtype=torch.float64))


def test_one_camera_and_no_points_are_answers_not_errors() -> None:
    rig, cameras, _, px, weight = _world(9, (4,))
    alone = camera_tensors(Rig(rig.cameras[:1]))
    found = _run("robust", alone, px[:, :1], weight[:, :1], 10.0)
    assert found.outcome.tolist() == [Outcome.TOO_FEW_VIEWS] * 4
    empty = _run("robust", cameras, px[:0], weight[:0], 10.0)
    assert empty.xyz.shape == (0, 3)
    single = _run("ransac", cameras, px[0], weight[0], 10.0)
    assert single.xyz.shape == (3,)
    assert single.used.shape == (5,)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cameras, _, px, weight = _world(10, (7, 3))
    px = px + 4 * torch.randn(px.shape, dtype=px.dtype, generator=torch.Generator().manual_seed(10))
    whole = _run("robust", cameras, px, weight, 20.0)
    monkeypatch.setattr(triangulation, "CHUNK_ELEMENTS", 4 * 10 * 5)  # four points at a time
    parts = _run("robust", cameras, px, weight, 20.0)
    torch.testing.assert_close(parts.xyz, whole.xyz, atol=1e-9, rtol=0, equal_nan=True)
    assert (parts.used == whole.used).all()


def test_many_cameras_use_a_bounded_number_of_pairs() -> None:
    assert view_pairs(8).shape == (2, 28)
    many = view_pairs(20)
    assert many.shape == (2, MAX_PAIRS)
    assert len({tuple(pair) for pair in many.T.tolist()}) == MAX_PAIRS
    assert set(many.flatten().tolist()) == set(range(20))


def test_gradients_of_the_linear_solution() -> None:
    _, cameras, _, px, weight = _world(11, (3,))
    px = px + torch.randn(px.shape, dtype=px.dtype, generator=torch.Generator().manual_seed(11))
    px, weight = px.requires_grad_(), weight.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, w: triangulate_dlt(cameras, p, w), (px, weight), eps=1e-4, atol=1e-7, rtol=1e-3
    )


def test_a_missing_point_does_not_poison_the_gradient_of_its_neighbours() -> None:
    _, cameras, _, px, weight = _world(12, (2,))
    weight[0, 1:] = 0
    weight.requires_grad_()
    found = triangulate_dlt(cameras, px + 1.0, weight)
    assert found[0].isnan().all()
    found[1].sum().backward()
    assert torch.isfinite(weight.grad).all()
    assert (weight.grad[0] == 0).all()
