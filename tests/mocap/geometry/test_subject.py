"""A subject's sizes: derivatives, first guesses and what a take of moving limbs determines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from body_worlds import moving_body
from mocap.core.errors import InputError
from mocap.geometry.pose_model import place
from mocap.geometry.pose_solver import Observations, PosePrior
from mocap.geometry.subject import Subject, first_guess, refine_subject, subject_model

OTHER = np.array([1.15, 0.93, 1.1, 0.9, 1.1, 1.05, 1.0, 1.05, 1.06, 0.95, 1.1])
"""Scales of pelvis, trunk, clavicle, upper arm, forearm, hand, neck, head, thigh, shank, foot."""


def seen(body, confidence: float = 1.0) -> Observations:
    markers = body.placement.markers
    return Observations(
        markers,
        torch.full(markers.shape[:2], confidence, dtype=torch.float64),
        torch.from_numpy(body.markers.noise.copy()),
    )


def weak_prior(body) -> PosePrior:
    zero = torch.zeros(body.model.n_angles, dtype=torch.float64)
    return PosePrior(body.pose.angles.mean(0), torch.diag(zero + 1e-2), 1.0, (0.0, 0.0), (0.0, 0.0), zero)


def test_derivatives_by_sizes_are_those_of_finite_differences():
    body = moving_body(3, scales=OTHER)
    generator = torch.Generator().manual_seed(2)
    n_shifts = body.sizes.shift_basis.shape[-1]
    sizes = torch.cat([body.subject.scales, 0.02 * torch.randn(n_shifts, generator=generator, dtype=torch.float64)])

    def subject(values):
        return Subject(values[:11], body.sizes.shift_basis @ values[11:])

    placement = place(body.sizes.sized(subject(sizes)), body.pose)
    jacobian = body.sizes.jacobian(subject(sizes), placement)
    for n in range(len(sizes)):
        step = torch.zeros_like(sizes)
        step[n] = 1e-6
        ahead, behind = (place(body.sizes.sized(subject(sizes + s)), body.pose).markers for s in (step, -step))
        # markers are linear in a scale and in a shift, so that only rounding is left: 1e-16 / 1e-6
        np.testing.assert_allclose(jacobian[..., n].transpose(1, 2), (ahead - behind) / 2e-6, atol=1e-9)


def test_left_and_right_are_exactly_equal():
    body = moving_body(2, scales=OTHER)
    shifts = body.sizes.shift_basis @ torch.ones(body.sizes.shift_basis.shape[-1], dtype=torch.float64)
    model = body.sizes.sized(Subject(body.subject.scales, shifts))
    mirror = torch.tensor([-1.0, 1, 1], dtype=torch.float64)
    joints = body.skeleton.mirror_permutation.copy()
    assert torch.equal(model.rest_offsets[joints], model.rest_offsets * mirror)
    assert torch.equal(model.marker_offsets[body.markers.mirror.copy()], model.marker_offsets * mirror)


def test_first_guess_measures_limbs_and_lends_their_size_to_the_rest():
    body = moving_body(30, scales=0.63 * np.ones(11))
    guess, measured = first_guess(body.sizes, body.markers, *_targets(body))
    np.testing.assert_allclose(guess.scales, 0.63, atol=1e-9)
    names = [segment.name for segment in body.markers.segments]
    assert [n for n, known in zip(names, measured, strict=True) if not known] == ["hand", "neck", "head"]


def test_first_guess_is_a_median():
    body = moving_body(31, scales=OTHER)
    targets, confidence = _targets(body)
    wild = targets.clone()
    wild[::5] += torch.randn(7, *wild.shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    names = [segment.name for segment in body.markers.segments]
    guess, _ = first_guess(body.sizes, body.markers, wild, confidence)
    for name in ("upper_arm", "forearm", "thigh", "shank"):
        s = names.index(name)
        assert float(guess.scales[s]) == pytest.approx(OTHER[s], abs=1e-6)  # 24 of 31 frames are exact


def test_a_length_no_human_has_is_not_believed():
    body = moving_body(10)
    targets, confidence = _targets(body)
    wrists = [body.markers.keypoints.index(f"{side}_wrist") for side in ("left", "right")]
    elbows = [body.markers.keypoints.index(f"{side}_elbow") for side in ("left", "right")]
    targets = targets.clone()
    targets[:, wrists] += 9 * (targets[:, wrists] - targets[:, elbows])
    guess, _ = first_guess(body.sizes, body.markers, targets, confidence)
    assert float(guess.scales.max()) <= 1.5


def test_nothing_seen_is_the_skeleton_itself():
    body = moving_body(4)
    targets, confidence = _targets(body)
    guess, measured = first_guess(body.sizes, body.markers, targets, 0 * confidence)
    assert not measured.any()
    assert (guess.scales == 1).all()


def test_sizes_and_poses_together_recover_the_limbs():
    body = moving_body(40, scales=OTHER, reach=0.6)
    guess, _ = first_guess(body.sizes, body.markers, *_targets(body))
    subject = refine_subject(body.sizes, guess, seen(body), weak_prior(body), body.pose)
    names = [segment.name for segment in body.markers.segments]
    for name in ("upper_arm", "forearm", "thigh", "shank"):
        s = names.index(name)
        # keypoints may lie off their joint with a spread of 6 to 10 mm, so that the pull of the usual proportions can
        # take a part of that from a bone of 0.25 m or more: 1 % is 2.5 mm
        assert float(subject.scales[s]) == pytest.approx(OTHER[s], abs=0.01)


def test_a_bone_without_segment_is_named():
    body = moving_body(1)
    few = replace(body.markers, segments=body.markers.segments[:-1])
    with pytest.raises(InputError, match="no segment for LeftToeBase, RightToeBase"):
        subject_model(body.skeleton, few, body.model)


def _targets(body):
    observations = seen(body)
    return observations.targets, observations.confidence
