"""The network that finds points in heatmaps: exact parts, and what must hold whatever its weights are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mocap.core.errors import InputError
from mocap.geometry.volumes import sample_views
from mocap.models.heatmap_evidence import (
    LIFTED,
    BodyViews,
    Weighing,
    cube_grid,
    evidence,
    interpolation,
    shares_at,
    to_rays,
)
from mocap.models.heatmap_peaks import Peaks, agreed_points, find_peaks, rays_of_cells
from mocap.models.heatmap_volumes import HeatmapVolumeConfig, HeatmapVolumeNet

SMALL = HeatmapVolumeConfig(width=16, layers=1, heads=2, view_width=8)
SIZE = (48, 64)
"""Width and height differ on purpose."""


def gaussians(xy: torch.Tensor, sigma: float, height: float = 1.0) -> torch.Tensor:
    x, y = (torch.arange(n) for n in SIZE)
    squared = (x - xy[..., None, None, 0]) ** 2 + (y[:, None] - xy[..., None, None, 1]) ** 2
    return height * torch.exp(-0.5 * squared / sigma**2)


def ring(views: int, seed: int = 0) -> torch.Tensor:
    """(1, C, 3, 4) world m to cells, cameras about a person at (0.3, -0.2), all different."""
    rng = np.random.default_rng(seed)
    matrices = []
    for c in range(views):
        angle, distance = 2.2 * np.pi * c / views + 0.3, 3.0 + 0.4 * c
        center = np.array([0.3 + distance * np.cos(angle), -0.2 + distance * np.sin(angle), 1.0 + 0.3 * c])
        ahead = np.array([0.3, -0.2, 0.9]) - center
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(ahead, right), ahead])
        focal = 24.0 * distance + rng.uniform(-3, 3)
        K = np.array([[focal, 0, SIZE[0] / 2 - 1], [0, 1.05 * focal, SIZE[1] / 2 + 1], [0, 0, 1]])
        matrices.append(K @ np.concatenate([R, -(R @ center)[:, None]], axis=1))
    return torch.tensor(np.stack(matrices))[None].float()


def person(seed: int = 0) -> torch.Tensor:
    """(1, 33, 3) points about a standing person's place; the left of the body is towards +y, its width is right."""
    rng = np.random.default_rng(seed)
    xyz = np.array([0.3, -0.2, 0.9]) + rng.uniform(-1, 1, (33, 3)) * [0.25, 0.25, 0.7]
    xyz[[11, 23]], xyz[[12, 24]] = [[0.3, 0.0, 1.4], [0.3, -0.1, 0.9]], [[0.3, -0.4, 1.4], [0.3, -0.3, 0.9]]
    return torch.tensor(xyz)[None].float()


def cells_of(projections: torch.Tensor, xyz: torch.Tensor) -> torch.Tensor:
    projected = xyz[:, None] @ projections[..., :3].mT + projections[..., None, :, 3]
    return projected[..., :2] / projected[..., 2:]


def scene(views: int = 4):
    projections, xyz = ring(views), person()
    cells = cells_of(projections, xyz)
    heatmaps = gaussians(cells, 1.6, 0.9)
    seen = torch.ones(1, views, dtype=torch.bool)
    return xyz, heatmaps, projections, seen, torch.tensor([[0.25, -0.15, 0.85]]), torch.tensor([2.0])


def network(seed: int = 0, config: HeatmapVolumeConfig = SMALL) -> HeatmapVolumeNet:
    torch.manual_seed(seed)
    return HeatmapVolumeNet(config).eval()


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.5])
def test_peaks_are_found_to_a_fraction_of_a_cell(sigma):
    """Without a floor the moments are those of the Gaussian, but for what lies beyond the window (11 cells wide: 2.5
    window sigmas) and for the mean that is taken for the floor: 2 pi sigma² / (48 64) of the peak."""
    rng = np.random.default_rng(1)
    xy = torch.tensor(rng.uniform([15, 15], [33, 49], (1, 2, 40, 2))).float()
    peaks = find_peaks(gaussians(xy, sigma, 0.7))
    assert (peaks.xy - xy).norm(dim=-1).max() < 0.08
    assert (peaks.width / sigma - 1).abs().max() < 0.12
    assert (peaks.height - 0.7).abs().max() < 0.7 * (1 - np.exp(-0.25 / sigma**2)) + 1e-6


def test_a_floor_of_noise_moves_peaks_little():
    """Noise of 1 % of the peak in each of some 50 cells that the window weighs: 0.01 sqrt(50) / (2 pi 1.5²) of the
    mass, at a distance of 2 cells, less than 0.02 cells; three standard deviations and the bias above."""
    rng = np.random.default_rng(2)
    xy = torch.tensor(rng.uniform([15, 15], [33, 49], (1, 1, 60, 2))).float()
    noise = torch.tensor(np.abs(rng.standard_normal((1, 1, 60, SIZE[1], SIZE[0])))).float()
    peaks = find_peaks(gaussians(xy, 1.5) + 0.0125 * noise)
    assert (peaks.xy - xy).norm(dim=-1).max() < 0.15


def test_rays_of_cells_meet_in_the_points():
    projections, xyz = ring(5), person()
    cells = cells_of(projections, xyz)
    rays = rays_of_cells(projections, cells, torch.ones(cells.shape[:-1]))
    way, along = to_rays(rays, xyz)
    assert way.norm(dim=-1).max() < 1e-5  # float32 at 5 m
    assert (along > 2).all()
    assert (agreed_points(rays) - xyz).norm(dim=-1).max() < 2e-5


def test_a_view_that_is_wrong_is_outvoted():
    projections, xyz = ring(4), person()
    cells = cells_of(projections, xyz)
    cells[:, 2] += torch.tensor([9.0, -6.0])
    rays = rays_of_cells(projections, cells, torch.ones(cells.shape[:-1]))
    assert (agreed_points(rays) - xyz).norm(dim=-1).max() < 0.01


def test_no_point_where_fewer_than_two_views_look():
    projections, xyz = ring(3), person()
    cells = cells_of(projections, xyz)
    weight = torch.ones(cells.shape[:-1])
    weight[:, 1:, 4] = 0
    points = agreed_points(rays_of_cells(projections, cells, weight))
    assert points[0, 4].isnan().all()
    assert points.isnan().any(-1).sum() == 1


def test_a_matrix_without_inverse_has_no_rays():
    projections = ring(3)
    projections[:, 1] = 0
    rays = rays_of_cells(projections, torch.zeros(1, 3, 33, 2), torch.ones(1, 3, 33))
    assert (rays.weight[:, 1] == 0).all()
    assert rays.directions.isfinite().all()


def views_of(heatmaps: torch.Tensor, projections: torch.Tensor, cells: torch.Tensor) -> BodyViews:
    rays = rays_of_cells(projections, cells, torch.ones(cells.shape[:-1]))
    height = torch.ones(cells.shape[:-1])
    return BodyViews(projections, rays, Peaks(cells, height, height), torch.ones(projections.shape[:2]), heatmaps)


def test_evidence_is_the_sum_of_logarithms_of_mixtures():
    """Against loops over views, keypoints and grid points."""
    xyz, heatmaps, projections, _, _, _ = scene(3)
    views = views_of(heatmaps, projections, cells_of(projections, xyz) + 0.5)
    base = xyz + torch.tensor([0.02, -0.01, 0.03])
    generator = torch.Generator().manual_seed(3)
    grid = 0.1 * torch.randn(6, 3, generator=generator)
    weighing = Weighing(*(0.05 + torch.rand(3, 1, 3, 33, generator=generator)).unbind(0))
    shares = torch.rand(1, 3, 33, 6, generator=generator)
    fast = evidence(views, base, grid, weighing, shares)
    for k, g in ((0, 0), (7, 3), (32, 5)):
        total = 0.0
        for c in range(3):
            ray, start = views.rays.directions[0, c, k].double(), views.rays.origins[0, c].double()
            apart = (base[0, k] + grid[g]).double() - start
            squared = float(apart.square().sum() - (apart @ ray) ** 2)
            likely = np.exp(-squared / 2 / float(weighing.sigma_m[0, c, k]) ** 2)
            likely += float(weighing.other[0, c, k]) * float(shares[0, c, k, g]) + float(weighing.nothing[0, c, k])
            total += np.log(likely)
        assert abs(float(fast[0, k, g]) - total) < 2e-4


def test_heatmaps_are_read_where_grid_points_project_to():
    """Against the exact lifting: within 6 cm of the middle the perspective is off by 6 cm times 6 cm / 2.6 m, half a
    millimetre or a fiftieth of a cell, whose slope is at most 0.6 / 1.6 a cell."""
    xyz, heatmaps, projections, _, _, _ = scene(3)
    views = views_of(heatmaps, projections, cells_of(projections, xyz))
    grid = cube_grid(4, 0.035)
    found = shares_at(views, xyz, grid)
    points = xyz[0][:, None] + grid
    exact = torch.stack(
        [sample_views(heatmaps[0, :, k : k + 1], projections[0], points[k])[:, 0] for k in range(33)], dim=1
    )
    assert (found[0] - exact).abs().max() < 0.02
    assert exact.max() > 0.8


def test_interpolation_keeps_linear_functions_and_nodes():
    nodes, points = cube_grid(LIFTED, 0.1), cube_grid(7, 0.1)
    linear = nodes @ torch.tensor([1.0, -2.0, 3.0])
    between = interpolation(7, LIFTED)
    assert torch.allclose(linear @ between, points @ torch.tensor([1.0, -2.0, 3.0]), atol=1e-6)
    assert torch.equal(interpolation(LIFTED, LIFTED), torch.eye(LIFTED**3))


def test_untrained_it_finds_clean_points():
    """Every view's peak is where it should be, so that the evidence is highest there; what the random weights shift is
    a prior 0.15 m wide against rays of 0.03 m."""
    xyz, *given = scene(4)
    found = network()(*given)
    assert (found.start - xyz).norm(dim=-1).max() < 0.01
    assert (found.xyz - xyz).norm(dim=-1).max() < 0.03
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    assert (found.spread_m > 0).all()


@pytest.mark.parametrize("views", [2, 3, 5])
def test_any_number_of_views_in_any_order(views):
    _, heatmaps, projections, seen, center, side = scene(views)
    net = network()
    order = torch.randperm(views, generator=torch.Generator().manual_seed(views))
    one = net(heatmaps, projections, seen, center, side)
    other = net(heatmaps[:, order], projections[:, order], seen[:, order], center, side)
    assert one.xyz.isfinite().all()
    assert (one.xyz - other.xyz).abs().max() < 1e-4  # float32: sums in another order
    assert (one.confidence - other.confidence).abs().max() < 1e-4


def test_an_unseen_view_is_as_no_view():
    _, heatmaps, projections, seen, center, side = scene(4)
    seen[:, 3] = False
    heatmaps[:, 3] = torch.rand(heatmaps[:, 3].shape, generator=torch.Generator().manual_seed(4))
    net = network()
    fewer = net(heatmaps[:, :3], projections[:, :3], seen[:, :3], center, side)
    assert (net(heatmaps, projections, seen, center, side).xyz - fewer.xyz).abs().max() < 1e-4


def test_a_turned_and_moved_world_gives_turned_and_moved_points():
    """Headings and places mean nothing: the frame of the body is found in the heatmaps."""
    _, heatmaps, projections, seen, center, side = scene(4)
    c, s = np.cos(2.1), np.sin(2.1)
    turn = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]]).float()
    shift = torch.tensor([1.5, -2.0, 0.25])
    moved = torch.cat([projections[..., :3] @ turn.T, projections[..., 3:]], dim=-1)
    moved[..., 3] -= (moved[..., :3] @ shift[:, None])[..., 0]
    net = network()
    here = net(heatmaps, projections, seen, center, side).xyz
    there = net(heatmaps, moved, seen, center @ turn.T + shift, side).xyz
    assert (here @ turn.T + shift - there).norm(dim=-1).max() < 1e-3


def test_a_mirrored_scene_gives_mirrored_points():
    """Left and right exchanged, in space and in name: the mean of both looks knows no sides."""
    _, heatmaps, projections, seen, center, side = scene(3)
    net, flip = network(), torch.tensor([-1.0, 1, 1, 1])
    here = net(heatmaps, projections, seen, center, side)
    there = net(heatmaps[:, :, net.twins], projections * flip, seen, center * flip[:3], side)
    assert (here.xyz - there.xyz[:, net.twins] * flip[:3]).norm(dim=-1).max() < 1e-4
    assert (here.confidence - there.confidence[:, net.twins]).abs().max() < 1e-5
    assert (net.train()(heatmaps, projections, seen, center, side).xyz - here.xyz).norm(dim=-1).max() > 1e-4


def test_the_given_centre_need_not_be_exact():
    """The body's own middle is found in the heatmaps; the centre says only where to look."""
    _, heatmaps, projections, seen, center, side = scene(4)
    net = network()
    here = net(heatmaps, projections, seen, center, side).xyz
    moved = net(heatmaps, projections, seen, center + torch.tensor([0.2, -0.3, 0.4]), side).xyz
    assert (here - moved).norm(dim=-1).max() < 1e-3


def test_nothing_seen_is_finite_and_differentiable():
    _, heatmaps, projections, seen, center, side = scene(2)
    net = network().train()
    found = net(torch.zeros_like(heatmaps), projections, seen & False, center, side)
    assert found.start.isnan().all()
    assert found.xyz.isfinite().all()
    found.xyz.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_half_floats_and_double_cameras_are_taken():
    """Half floats have 11 bits: a peak's place moves by less than a hundredth of a cell."""
    _, heatmaps, projections, seen, center, side = scene(3)
    net = network()
    plain = net(heatmaps, projections, seen, center, side).xyz
    mixed = net(heatmaps.half(), projections.double(), seen, center.double(), side.double()).xyz
    assert mixed.dtype == torch.float32
    assert (plain - mixed).norm(dim=-1).max() < 2e-3


def test_the_wrong_number_of_channels_is_explained():
    _, heatmaps, projections, seen, center, side = scene(2)
    with pytest.raises(InputError, match="39 channels") as error:
        network()(torch.nn.functional.pad(heatmaps, (0, 0, 0, 0, 0, 6)), projections, seen, center, side)
    assert "first 33" in str(error.value)


def test_the_shipped_size_is_small():
    """12 MB in float32 are three million numbers."""
    assert sum(p.numel() for p in network(config=HeatmapVolumeConfig()).parameters()) < 1_000_000
