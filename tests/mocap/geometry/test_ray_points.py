from __future__ import annotations

import numpy as np
import torch

from camera_worlds import mixed_rig
from mocap.geometry.ray_points import MIN_PARALLAX, agreement, distance_to_rays, meeting_of_rays, nearest_to_rays


def _rays(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.uniform([-1, -1, 0], [1, 1, 2], (n, 3)))
    origins = torch.from_numpy(mixed_rig().centers).expand(n, -1, -1)
    along = points[:, None] - origins
    return points, origins, along / along.norm(dim=-1, keepdim=True)


def test_distances_of_known_points() -> None:
    origin = torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    up = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    points = torch.tensor([[4.0, 6.0, 2.0], [1.0, 2.0, 5.0], [1.0, 2.0, -1.0], [torch.nan] * 3], dtype=torch.float64)
    found = distance_to_rays(points, origin, up)
    torch.testing.assert_close(
        found, torch.tensor([5.0, 0.0, torch.inf, torch.nan], dtype=torch.float64), equal_nan=True
    )
    torch.testing.assert_close(agreement(found, 5.0), torch.tensor([0.5, 1.0, 0.0, 0.0], dtype=torch.float64))


def test_two_rays_meet_at_their_point_and_skew_ones_halfway() -> None:
    points, origins, directions = _rays(20)
    middle, gap = meeting_of_rays(origins[:, 0], directions[:, 0], origins[:, 3], directions[:, 3])
    torch.testing.assert_close(middle, points, atol=1e-10, rtol=0)
    assert gap.max() < 1e-10
    across = torch.linalg.cross(directions[:, 0], directions[:, 3])
    across = across / across.norm(dim=-1, keepdim=True)
    middle, gap = meeting_of_rays(origins[:, 0] + 0.2 * across, directions[:, 0], origins[:, 3], directions[:, 3])
    torch.testing.assert_close(middle, points + 0.1 * across, atol=1e-10, rtol=0)
    torch.testing.assert_close(gap, torch.full_like(gap, 0.2))


def test_parallel_rays_and_rays_that_part_meet_nowhere() -> None:
    x = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    for angle in (0.0, 0.9 * MIN_PARALLAX, -0.5):
        other = torch.tensor([np.cos(angle), np.sin(angle), 0.0], dtype=torch.float64)
        middle, gap = meeting_of_rays(torch.zeros(3, dtype=torch.float64), x, torch.tensor([0.0, -1.0, 0.0]), other)
        assert middle.isnan().all()
        assert gap.isinf()


def test_the_consensus_of_many_rays_ignores_a_wild_one() -> None:
    points, origins, directions = _rays(30)
    weight = torch.ones(30, 5, dtype=torch.float64)
    torch.testing.assert_close(
        nearest_to_rays(origins, directions, weight, tolerance_m=0.05), points, atol=1e-9, rtol=0
    )
    wild = directions.clone()
    wild[:, 2] = wild[:, 2] + 0.15 * torch.tensor([0.3, -0.2, 1.0])
    wild = wild / wild.norm(dim=-1, keepdim=True)
    found = nearest_to_rays(origins, wild, weight, tolerance_m=0.05)
    # The wild ray passes at some 0.5 m: weight (0.05 / 0.5)² = 0.01 of 4, so 1 mm once settled; three steps from a mean
    # that is 0.1 m off get to a centimetre.
    assert (found - points).norm(dim=-1).max() < 0.03
    weight[:, 2] = 0
    torch.testing.assert_close(nearest_to_rays(origins, wild, weight, tolerance_m=0.05), points, atol=1e-9, rtol=0)


def test_one_ray_or_parallel_ones_fix_no_point() -> None:
    _, origins, directions = _rays(3)
    weight = torch.zeros(3, 5, dtype=torch.float64)
    weight[0, 1] = 1.0
    weight[1, [0, 4]] = 1.0
    directions[1, 4] = directions[1, 0]
    found = nearest_to_rays(origins, directions, weight, tolerance_m=0.05)
    assert found.isnan().all()
