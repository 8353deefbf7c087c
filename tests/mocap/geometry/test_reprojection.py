"""Markers against views: derivatives, the detector's bias, what is not seen; anchors; and the equations of loads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from body_worlds import Body, moving_body
from camera_worlds import mixed_rig
from mocap.geometry.pose_loads import Load, normal_terms, point_jacobian
from mocap.geometry.pose_model import marker_jacobian, place
from mocap.geometry.pose_solver import Anchors, PosePrior, PoseProblem
from mocap.geometry.projection import camera_tensors, project
from mocap.geometry.reprojection import UNSEEN, Views, pixels_per_metre

CAMERAS = camera_tensors(mixed_rig())


def views_of_body(body: Body, *, habits: float = 0.0, seed: int = 0) -> Views:
    """Exact reports, plus a bias by direction of up to `habits` m."""
    markers = body.placement.markers
    generator = torch.Generator().manual_seed(seed)
    slopes = habits * torch.randn(markers.shape[1], 3, 3, generator=generator, dtype=torch.float64)
    px = torch.nan_to_num(project(CAMERAS, markers))
    views = Views(
        cameras=CAMERAS,
        reported=px,
        px=px,
        confidence=(~project(CAMERAS, markers)[..., 0].isnan()).double(),
        noise=torch.full(markers.shape[1:2], 0.012, dtype=torch.float64),
        habits=slopes,
        px_per_m=pixels_per_metre(CAMERAS, body.placement.joints[:, 0]),
        share=0.5,
    )
    bias = views.px - views.placed(body.model, body.placement).px
    return replace(views, reported=px + bias, px=px + bias)


@pytest.fixture(scope="module")
def body() -> Body:
    return moving_body(4)


def test_the_gradient_is_that_of_finite_differences_in_lenses_of_all_kinds(body):
    views = views_of_body(body)
    markers = body.placement.markers + 0.02 * torch.randn(
        body.placement.markers.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    _, gradient = views.pull(markers, 3.0)
    for m in (0, 7, 20):
        for axis in range(3):
            step = torch.zeros_like(markers)
            step[2, m, axis] = 1e-6
            slope = (views.cost(markers + step, 3.0) - views.cost(markers - step, 3.0)) / 4e-6  # of half the cost
            # costs of about 1e3 hold 1e-13 of them, over 4e-6
            assert float(gradient[2, m, axis]) == pytest.approx(float(slope), abs=1e-4, rel=1e-5)


def test_where_residuals_vanish_the_information_is_the_slope_of_the_gradient(body):
    views, markers = views_of_body(body), body.placement.markers
    information, gradient = views.pull(markers, 3.0)
    assert gradient.abs().max() < 1e-6
    direction = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)
    slopes = [views.pull(markers + s * 1e-6 * direction, 3.0)[1] for s in (1, -1)]
    expected = (slopes[0] - slopes[1]) / 2e-6
    np.testing.assert_allclose(information @ direction, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_the_bias_of_the_direction_of_view_is_taken_out(body):
    views = views_of_body(body, habits=0.01)
    away = views.residuals_px(body.placement.markers)
    left = views.placed(body.model, body.placement).residuals_px(body.placement.markers)
    assert np.nanmedian(away) > 2.0  # 10 mm of some 400 px a metre
    assert np.nanmax(left) < 1e-6


def test_one_view_says_nothing_along_its_ray(body):
    views = views_of_body(body)
    alone = torch.zeros_like(views.confidence)
    alone[..., 0] = views.confidence[..., 0]
    information, _ = replace(views, confidence=alone).pull(body.placement.markers, 3.0)
    ray = body.placement.markers - CAMERAS.centers[0]
    ray = ray / ray.norm(dim=-1, keepdim=True)
    along = (ray[..., None, :] @ information @ ray[..., None])[..., 0, 0]
    assert along.max() < 1e-6 * information.diagonal(dim1=-2, dim2=-1).sum(-1).max()


def test_what_no_lens_images_has_a_cost_and_no_pull(body):
    views = views_of_body(body)
    behind = CAMERAS.centers[0] - 5 * torch.tensor([0.0, 0.0, 1.0]).double()
    markers = body.placement.markers.clone()
    markers[0, 0] = behind + 1000 * (CAMERAS.centers[0] - body.placement.markers[0, 0])
    information, gradient = views.pull(markers, 3.0)
    assert torch.isfinite(information).all()
    assert torch.isfinite(gradient).all()
    assert views.cost(markers, 3.0) > 0.5 * 9 * np.log1p(UNSEEN / 9)
    assert views.cost(markers, 3.0) < torch.inf


def test_doubtful_reports_weigh_by_the_square_of_their_confidence(body):
    views, markers = views_of_body(body), body.placement.markers
    sure, _ = views.pull(markers, 3.0)
    unsure, _ = replace(views, confidence=views.confidence / 2).pull(markers, 3.0)
    np.testing.assert_allclose(unsure, sure / 4, rtol=1e-9)


class TestLoads:
    def test_matrix_and_gradient_are_those_of_the_jacobian(self, body):
        placement = place(body.model, body.pose)
        generator = torch.Generator().manual_seed(3)
        root = torch.randn(*placement.markers.shape, 3, generator=generator, dtype=torch.float64)
        pull = torch.randn(placement.markers.shape, generator=generator, dtype=torch.float64)
        load = Load(body.model.marker_frame, placement.markers, root @ root.mT, pull)
        matrix, gradient = normal_terms(body.model, placement, [load])
        jacobian = marker_jacobian(body.model, placement)
        rows = torch.einsum("tmij,timn->tmjn", root, jacobian).flatten(1, 2)
        np.testing.assert_allclose(matrix, rows.mT @ rows, atol=1e-9 * float(matrix.abs().max()))
        np.testing.assert_allclose(gradient, torch.einsum("tmi,timn->tn", pull, jacobian), atol=1e-10)

    def test_points_move_as_finite_differences_say(self, body):
        joints = torch.arange(len(body.model.parents))
        placement = place(body.model, body.pose)
        jacobian = point_jacobian(body.model, placement, joints, placement.joints)
        generator = torch.Generator().manual_seed(4)
        step = 1e-6 * torch.randn(len(body.pose), body.model.n_steps, generator=generator, dtype=torch.float64)
        ahead, behind = (place(body.model, body.model.moved_by(body.pose, s)).joints for s in (step, -step))
        moved = torch.einsum("tkcn,tn->tkc", jacobian, step)
        np.testing.assert_allclose(moved, (ahead - behind) / 2, atol=1e-11)

    def test_anchors_pull_a_foot_to_its_place(self, body):
        foot = torch.tensor([body.skeleton.index("LeftFoot")])
        target = body.placement.joints[:, foot] + torch.tensor([0.05, 0.0, 0.0]).double()
        anchors = Anchors(foot, torch.zeros(1, 3).double(), target, torch.full((4, 1, 3), 1e4).double())
        free = torch.zeros(body.model.n_angles, dtype=torch.float64)
        prior = PosePrior(free, torch.diag(free), 0.0, (0.0, 0.0), (0.0, 0.0), free)
        problem = PoseProblem(body.model, views_of_body(body), prior, anchors=anchors)
        placement = place(body.model, body.pose)
        gradient = problem.equations(body.pose, placement, 3.0).gradient
        step = torch.zeros_like(gradient)
        step[:, 0] = 1e-6
        ahead, behind = (body.model.moved_by(body.pose, s) for s in (step, -step))
        costs = [problem.cost(pose, place(body.model, pose), 3.0) for pose in (ahead, behind)]
        assert float(gradient[:, 0].sum()) == pytest.approx((costs[0] - costs[1]) / 2e-6, rel=1e-4)
        assert float(gradient[1, 0]) < -400  # 1e4 / m² over 50 mm, and exact views that say nothing yet
