"""Covariances of frames: selected blocks of an inverse, and whether joints are off by what they are said to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from body_worlds import Body, moving_body
from mocap.geometry.banded_inverse import inverse_blocks
from mocap.geometry.pose_model import place
from mocap.geometry.pose_solver import Observations, PosePrior, PoseProblem, SolverOptions, solve_poses
from mocap.geometry.pose_uncertainty import joint_spread


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_diagonal_blocks_are_those_of_the_whole_inverse(count):
    generator = torch.Generator().manual_seed(count)
    n, systems = 4, 3
    root = torch.randn(systems, count * n, count * n, generator=generator, dtype=torch.float64)
    blocks = torch.arange(count)
    band = ((blocks[:, None] - blocks).abs() <= 2).double().kron(torch.ones(n, n).double())
    matrix = (root @ root.mT) * band + 4 * count * n * torch.eye(count * n).double()

    def split(a: torch.Tensor) -> torch.Tensor:
        return a.view(systems, count, n, count, n).permute(0, 1, 3, 2, 4)

    parts = split(matrix)
    found = inverse_blocks(
        parts[:, blocks, blocks], parts[:, blocks[1:], blocks[:-1]], parts[:, blocks[2:], blocks[:-2]]
    )
    np.testing.assert_allclose(found, split(torch.linalg.inv(matrix))[:, blocks, blocks], rtol=1e-9, atol=1e-14)


def test_long_takes_stay_exact():
    """Errors of rounding that are not symmetric would grow threefold a frame."""
    n, count = 3, 80
    eye = torch.eye(n).double()
    diagonal = (6.0 * 1e3 * eye + 1.0 * eye).repeat(1, count, 1, 1)
    one, two = (-4.0e3 * eye).repeat(1, count - 1, 1, 1), (1.0e3 * eye).repeat(1, count - 2, 1, 1)
    found = inverse_blocks(diagonal, one, two)[0, :, 0, 0]
    whole = np.zeros((count, count))
    for k, values in ((0, 6001.0), (1, -4e3), (2, 1e3)):
        whole += np.diag(np.full(count - k, values), -k)
    whole = np.tril(whole) + np.tril(whole, -1).T
    np.testing.assert_allclose(found, np.diag(np.linalg.inv(whole)), rtol=1e-6)


def _problem(n_frames: int, noise: float, still: float = 3.0) -> tuple[Body, PoseProblem]:
    body = moving_body(n_frames)
    d = body.model.n_angles
    rest = body.pose.angles.mean(0)
    prior = PosePrior(
        rest,
        torch.eye(d, dtype=torch.float64),
        1.0,
        (0.0, still * 1e4),
        (0.0, still * 1e2),
        torch.full((d,), still * 1e2).double(),
    )
    markers = body.placement.markers
    generator = torch.Generator().manual_seed(0)
    targets = markers + noise * torch.randn(markers.shape, generator=generator, dtype=torch.float64)
    ones = torch.ones(markers.shape[:2], dtype=torch.float64)
    seen = Observations(targets, ones, torch.full(markers.shape[1:2], noise, dtype=torch.float64))
    return body, PoseProblem(body.model, seen, prior)


def test_joints_are_off_by_what_they_are_said_to_be():
    body, problem = _problem(40, 0.01)
    pose, _ = solve_poses(problem, body.pose, SolverOptions(stages=(1e3,)))
    error = (place(body.model, pose).joints - body.placement.joints).norm(dim=-1)
    spread = joint_spread(problem, pose, scale=1e3, stride=1)
    assert spread.shape == error.shape
    arms = [
        body.skeleton.index(side + part) for side in ("Left", "Right") for part in ("ForeArm", "Hand", "Leg", "Foot")
    ]
    ratio = float((error[:, arms] / spread[:, arms]).square().mean().sqrt())
    # some 40 frames of 8 joints, alike over a few frames: 100 independent ones tell a ratio within 10 %; the priors
    # describe the motion only roughly
    assert 0.7 < ratio < 1.3


def test_less_seen_is_less_certain_and_a_coarser_rate_says_the_same():
    body, problem = _problem(48, 0.01)
    hand = body.skeleton.index("LeftHand")
    assert isinstance(problem.evidence, Observations)
    confidence = problem.evidence.confidence.clone()
    of_hand = [
        m
        for m, name in enumerate(body.markers.keypoints)
        if name in ("left_wrist", "left_index", "left_thumb", "left_pinky")
    ]
    confidence[20:30, of_hand] = 0
    hidden = replace(problem, evidence=replace(problem.evidence, confidence=confidence))
    every, third = (joint_spread(hidden, body.pose, scale=1e3, stride=s) for s in (1, 3))
    assert every[25, hand] > 2 * every[10, hand]
    ratio = third / every
    # one frame for three: a memory as short as a frame's hides up to 1 / sqrt(3) of what single frames do not know
    assert 0.7 < float(ratio[5:-5].median()) < 1.1
    # gaps end between two of the frames looked at: not better known than a frame further in
    assert float(ratio[22:28].max()) < 1.5
