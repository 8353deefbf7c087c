"""Bones of a take keep their lengths: known lengths, known noise, known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mocap.core.keypoints import KeypointSet, load_keypoint_set
from mocap.models.take_lengths import LEAST_FRAMES, bones_of, lengths_of, settle_lengths, spread_of

KEYPOINTS = load_keypoint_set("blazepose33")
LEG = KeypointSet("leg", ("left_hip", "left_knee", "left_ankle"), (), (), ())
THIGH, SHIN = 0.45, 0.4
FRAMES = 400


def swinging() -> torch.Tensor:
    """(T, 1, 3, 3) m: hip, knee and ankle of a leg that swings in all directions, of constant lengths."""
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(FRAMES, 2, 3))
    ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
    hip = rng.normal(size=(FRAMES, 3))
    knee = hip + THIGH * ways[:, 0]
    return torch.from_numpy(np.stack([hip, knee, knee + SHIN * ways[:, 1]], axis=1)[:, None])


def noisy(xyz: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
    noise = torch.from_numpy(np.random.default_rng(1).normal(size=tuple(xyz.shape)))
    return xyz + sd[..., None] * noise


def bone_lengths(xyz: torch.Tensor) -> torch.Tensor:
    return (xyz[:, :, 1:] - xyz[:, :, :-1]).norm(dim=-1)


def test_bones_of_both_sides_share_a_length():
    ends, groups = bones_of(KEYPOINTS)
    names = [tuple(KEYPOINTS.names[k] for k in pair) for pair in ends.tolist()]
    left, right = names.index(("left_hip", "left_knee")), names.index(("right_hip", "right_knee"))
    assert groups[left] == groups[right]
    assert ("left_hip", "right_hip") in names
    assert ("left_shoulder", "right_shoulder") not in names, "shrugging changes it"
    assert len(set(groups.tolist())) == len(names) - 7


def test_a_length_is_the_median_of_the_surer_half():
    """Every other frame is 100 times as unsure and twice as long: it does not count."""
    xyz = swinging()
    spread = torch.full(xyz.shape[:-1], 0.01, dtype=torch.float64)
    spread[::2] = 1.0
    xyz[::2] *= 2
    np.testing.assert_allclose(lengths_of(xyz, spread, LEG)[0], [THIGH, SHIN], rtol=1e-12)


def test_few_frames_tell_no_length():
    xyz = swinging()
    xyz[LEAST_FRAMES - 1 :, :, 2] = torch.nan
    spread = torch.full(xyz.shape[:-1], 0.01, dtype=torch.float64)
    assert lengths_of(xyz, spread, LEG)[0].isnan().tolist() == [False, True]
    settled = settle_lengths(xyz, spread, LEG, give=0.01)
    assert (settled.isnan() == xyz.isnan()).all()
    np.testing.assert_allclose(settled[:, :, 2].nan_to_num(), xyz[:, :, 2].nan_to_num(), atol=1e-9)
    short = settle_lengths(xyz[: LEAST_FRAMES - 1], spread[: LEAST_FRAMES - 1], LEG, give=0.01)
    np.testing.assert_array_equal(short, xyz[: LEAST_FRAMES - 1])


@pytest.mark.parametrize("give", [0.005, 0.02])
def test_points_move_to_where_lengths_are_kept_and_errors_fall(give):
    """Nine coordinates with two that lengths fix: mean squares fall by 2/9 where the spread is alike everywhere.

    A length keeps a share give²/(give² + 2 sd²) of its excess at most; 20 mm of noise are 6 % of a bone.
    """
    truth = swinging()
    sd = torch.full(truth.shape[:-1], 0.02, dtype=torch.float64)
    seen = noisy(truth, sd)
    settled = settle_lengths(seen, sd, LEG, give=give)
    assert bone_lengths(settled).std(0).max() < 0.25 * bone_lengths(seen).std(0).min()
    share = (settled - truth).square().sum() / (seen - truth).square().sum()
    assert 1 - 2 / 9 - 0.05 < float(share) < 1 - 2 / 9 + 0.07


def test_what_is_unsure_gives_way():
    """A knee of 5 cm between a hip and an ankle of 2 mm: nearly all movement is the knee's."""
    truth = swinging()
    sd = torch.tensor([0.002, 0.05, 0.002], dtype=torch.float64).expand(FRAMES, 1, 3)
    seen = noisy(truth, sd)
    moved = (settle_lengths(seen, sd, LEG, give=0.005) - seen).norm(dim=-1).mean(0)[0]
    assert moved[0] < 0.05 * moved[1]
    error = (settle_lengths(seen, sd, LEG, give=0.005) - truth).norm(dim=-1)[..., 1].mean()
    assert error < 0.75 * (seen - truth).norm(dim=-1)[..., 1].mean()


def test_exact_points_stay_and_nothing_is_done_without_give():
    truth = swinging()
    sd = torch.full(truth.shape[:-1], 0.02, dtype=torch.float64)
    np.testing.assert_allclose(settle_lengths(truth, sd, LEG, give=0.01), truth, atol=1e-9)
    seen = noisy(truth, sd)
    assert settle_lengths(seen, sd, LEG, give=0.0) is seen
    nobody = KeypointSet("nobody", ("a", "b", "c"), (), (), ())
    assert settle_lengths(seen, sd, nobody, give=0.01) is seen


def test_people_have_lengths_of_their_own():
    truth = swinging()
    two = torch.cat([truth, 0.5 * truth], dim=1)
    sd = torch.full(two.shape[:-1], 0.01, dtype=torch.float64)
    lengths = bone_lengths(settle_lengths(noisy(two, sd), sd, LEG, give=0.005)).mean(0)
    np.testing.assert_allclose(lengths, [[THIGH, SHIN], [THIGH / 2, SHIN / 2]], rtol=0.02)


def test_confidence_becomes_spread_as_an_exponential_distance_has_it():
    chance = torch.tensor([1 - np.exp(-1.0), 1 - np.exp(-5.0)])
    np.testing.assert_allclose(spread_of(chance), [0.05, 0.01], rtol=1e-5)
    assert spread_of(torch.tensor([0.0, 1.0])).isfinite().all()
