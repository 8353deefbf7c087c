from __future__ import annotations

import math

import torch

from mocap.geometry.volumes import coordinate_volume
from mocap.training.augmentation import drop_views, shuffled_views, vertical_rotations
from mocap.training.seeds import generator_at, rng_at, seed_torch


def test_rotations_are_about_the_vertical_and_all_round():
    turns = vertical_rotations(4000, generator_at(1, 2, 3))
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(4000, 3, 3))
    assert (torch.linalg.det(turns) > 0).all()
    torch.testing.assert_close(turns @ torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 0.0, 1.0]).expand(4000, 3))
    angle = torch.atan2(turns[:, 1, 0], turns[:, 0, 0])
    counts = torch.histc(angle, 8, -math.pi, math.pi)
    assert (counts - 500).abs().max() < 6 * math.sqrt(500 * 7 / 8)  # six standard deviations of a binomial count


def test_rotations_may_be_small():
    turns = vertical_rotations(100, generator_at(5), largest_rad=0.1)
    assert torch.atan2(turns[:, 1, 0], turns[:, 0, 0]).abs().max() <= 0.1


def test_a_cube_turns_with_them():
    center = torch.tensor([[1.0, 2.0, 0.9], [0.0, -3.0, 1.2]])
    turns = vertical_rotations(2, generator_at(0))
    plain = coordinate_volume(center, 2.0, size=(4, 5, 6))
    turned = coordinate_volume(center, 2.0, size=(4, 5, 6), rotation=turns)
    torch.testing.assert_close(turned[..., 2], plain[..., 2])
    radius = [(cube - center[:, None, None, None])[..., :2].norm(dim=-1) for cube in (plain, turned)]
    torch.testing.assert_close(radius[1], radius[0])
    assert (turned - plain).abs().max() > 0.1


def test_dropped_views_leave_enough():
    seen = torch.rand(3000, 5, generator=generator_at(9)) < 0.7
    kept = drop_views(seen, generator_at(10), share=0.8, keep=2)
    assert not (kept & ~seen).any()
    assert (kept.sum(-1) >= seen.sum(-1).clamp(max=2)).all()


def test_views_are_dropped_as_often_as_said():
    seen = torch.ones(5000, 4, dtype=torch.bool)
    kept = drop_views(seen, generator_at(11), share=0.3, keep=0)
    rate = kept.float().mean(0)
    assert (rate - 0.7).abs().max() < 6 * math.sqrt(0.3 * 0.7 / 5000)


def test_none_dropped_is_none_dropped():
    seen = torch.tensor([[True, False, True]])
    assert (drop_views(seen, generator_at(0), share=0.0, keep=0) == seen).all()


def test_orders_are_permutations():
    order = shuffled_views(200, 4, generator_at(4))
    assert (order.sort(-1).values == torch.arange(4)).all()
    assert len({tuple(row) for row in order.tolist()}) == 24


def test_random_numbers_follow_from_the_place_alone():
    torch.rand(7)
    first = (rng_at(3, 4).random(), torch.rand(1, generator=generator_at(3, 4)), seed_torch(3, 4), torch.rand(1))
    torch.rand(5)
    again = (rng_at(3, 4).random(), torch.rand(1, generator=generator_at(3, 4)), seed_torch(3, 4), torch.rand(1))
    assert first == again
    assert rng_at(3, 4).random() != rng_at(4, 3).random()
    assert torch.rand(1, generator=generator_at(3, 4)) != torch.rand(1, generator=generator_at(3, 5))
