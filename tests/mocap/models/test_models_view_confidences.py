from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mocap.geometry.projection import camera_tensors
from mocap.models.keypoint_views import KeypointViews, agreement_of_rays, body_frame, keypoint_views, offsets_from_rays
from mocap.models.view_confidences import ViewConfidenceConfig, ViewConfidenceNet, without_heatmaps
from mocap.training.algebraic_task import batch_of
from view_worlds import noisy_people, people, reordered, turned

EXACT_M = 1e-6
"""Undistorting inverts to 1e-9 of a normalised unit; that is 1e-8 m at 6 m, some ten times that along narrow rays."""


def trained_like(seed: int = 0, **config: float) -> ViewConfidenceNet:
    """A network whose heads say something, unlike those of an untrained one."""
    torch.manual_seed(seed)
    net = ViewConfidenceNet(ViewConfidenceConfig.model_validate({"width": 16, "blocks": 1, **config}))
    silent = [net.report[-1], net.memory, *([] if net.body is None else [net.body.layers[-1]])]
    for layer in silent:
        assert isinstance(layer, torch.nn.Linear)
        torch.nn.init.normal_(layer.weight, std=0.05)
    return net.eval()


def exact(**options: int) -> tuple[KeypointViews, torch.Tensor]:
    batch = batch_of(people(**options))
    return batch.views, batch.xyz


@pytest.mark.parametrize("cameras", [2, 3, 5])
def test_exact_reports_give_exact_points_whatever_the_weights(cameras: int) -> None:
    views, truth = exact(cameras=cameras)
    found = trained_like(offset_m=0.0, body_m=0.0)(views)
    there = found.xyz.isfinite().all(-1)
    assert there.float().mean() > 0.9
    assert (found.xyz - truth)[there].abs().max() < EXACT_M
    assert len(found.rounds) == 1


def test_a_rig_with_lenses_gives_the_same_views_as_a_batch_of_rigs() -> None:
    block = people()
    whole = batch_of(block).views
    for number in (0, 3):
        rig = camera_tensors(block.cameras.rig(number))
        own = keypoint_views(rig, torch.from_numpy(block.xy[[number]]), torch.from_numpy(block.confidence[[number]]))
        torch.testing.assert_close(own.xy[0], whole.xy[number], equal_nan=True)
        torch.testing.assert_close(own.pose[0], whole.pose[number])
        torch.testing.assert_close(own.focal_px[0], whole.focal_px[number])
        torch.testing.assert_close(own.confidence[0], whole.confidence[number])


def test_the_order_of_cameras_does_not_matter() -> None:
    views = batch_of(noisy_people(cameras=4, heatmaps=True)).views
    net, order = trained_like(), [2, 0, 3, 1]
    one, other = net(views), net(reordered(views, order))
    # float32 tokens: sums in another order differ by 1e-6 of weights that span e^8
    torch.testing.assert_close(one.xyz, other.xyz, atol=1e-4, rtol=0, equal_nan=True)
    torch.testing.assert_close(one.weights[..., order], other.weights, atol=1e-4, rtol=0)
    torch.testing.assert_close(one.confidence, other.confidence, atol=1e-4, rtol=0)


def test_the_world_may_lie_anywhere() -> None:
    views = batch_of(noisy_people()).views
    net = trained_like()
    elsewhere, turn, shift = turned(views, 2.1, [30.0, -12.0, 4.0])
    one, other = net(views), net(elsewhere)
    both = one.xyz.isfinite() & other.xyz.isfinite()
    assert both.float().mean() > 0.9
    expected = one.xyz @ turn.T + shift
    assert (expected - other.xyz)[both].abs().max() < 1e-3
    torch.testing.assert_close(one.confidence, other.confidence, atol=1e-3, rtol=0)


def test_views_and_people_are_not_mixed_up_with_what_is_missing() -> None:
    views, truth = exact(cameras=4)
    blind = replace(views, xy=views.xy.clone(), confidence=views.confidence.clone())
    blind.xy[:, 1, :10], blind.confidence[:, 1, :10] = torch.nan, 0.0
    blind.xy[:, 1:, 5], blind.confidence[:, 1:, 5] = torch.nan, 0.0
    found = trained_like(offset_m=0.0, body_m=0.0)(blind)
    assert found.xyz[:, 5].isnan().all()
    assert (found.confidence[:, 5] == 0).all()
    assert (found.weights[:, :10, 1] == 0).all()
    there = found.xyz.isfinite().all(-1)
    assert (found.xyz - truth)[there].abs().max() < EXACT_M


def test_nobody_at_all_gives_no_points() -> None:
    views, _ = exact(cameras=3)
    nothing = replace(views, xy=torch.full_like(views.xy, torch.nan), confidence=torch.zeros_like(views.confidence))
    found = trained_like()(nothing)
    assert found.xyz.isnan().all()
    assert (found.confidence == 0).all()


def test_an_untrained_network_is_a_robust_method_already() -> None:
    views, truth = exact(cameras=5)
    wrong = replace(views, xy=views.xy.clone())
    wrong.xy[:, 2] += 0.2
    torch.manual_seed(0)
    found = ViewConfidenceNet(ViewConfidenceConfig())(wrong)
    there = found.xyz.isfinite().all(-1)
    # a view 0.6 m off has Cauchy's weight 1 / (1 + 12²), twice: 1 cm / 20
    assert (found.xyz - truth)[there].norm(dim=-1).median() < 0.002
    start = agreement_of_rays(wrong)
    assert (start.support[:, 2].nanmedian() < start.support[:, 0].nanmedian()).item()


def test_the_body_is_moved_by_no_more_than_it_may_be() -> None:
    views, _ = exact(cameras=4)
    net = trained_like(offset_m=0.0, body_m=0.03)
    found = net(views)
    moved = (found.xyz - found.rounds[-1]).abs()
    there = moved.isfinite()
    assert there.float().mean() > 0.9
    assert 1e-4 < moved[there].mean() < 0.03
    assert (found.xyz - found.rounds[-1])[there.all(-1)].norm(dim=-1).max() <= 0.03 * 3**0.5
    assert len(found.rounds) == 2


def test_gradients_are_finite_where_people_are_half_seen() -> None:
    batch = batch_of(noisy_people(cameras=2, count=16))
    net = trained_like().train()
    found = net(batch.views)
    there = found.xyz.isfinite().all(-1)
    (found.xyz - batch.xyz)[there].square().mean().backward()
    for name, parameter in net.named_parameters():
        if not name.startswith("certainty"):
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_shapes_can_be_taken_from_some_people() -> None:
    views = batch_of(noisy_people(heatmaps=True)).views
    dropped = torch.zeros(8, dtype=torch.bool)
    dropped[3] = True
    net = trained_like()
    with_all, without = net(views), net(without_heatmaps(views, dropped))
    assert (with_all.confidence[3] != without.confidence[3]).any()
    torch.testing.assert_close(with_all.confidence[4], without.confidence[4])
    alone = net(replace(views, shapes=None))
    torch.testing.assert_close(alone.confidence[3], without.confidence[3])


def test_residuals_are_metres_at_the_point() -> None:
    views, truth = exact(cameras=3)
    there = truth + torch.tensor([0.0, 0.0, 0.01])
    residual, depth = offsets_from_rays(views, there)
    seen = views.seen & truth.isfinite().all(-1)[:, None]
    assert (residual[seen].norm(dim=-1) <= 0.0105).all()
    assert (depth[seen] > 0.3).all()


def test_the_body_has_its_left_at_its_left() -> None:
    _, truth = exact()
    frame = body_frame(truth)
    assert frame.known.all()
    left_ear, right_ear, nose, left_heel = truth[:, 7], truth[:, 8], truth[:, 0], truth[:, 29]
    assert ((left_ear - right_ear) * frame.axes[:, 0]).sum(-1).min() > 0
    assert ((nose - (left_ear + right_ear) / 2) * frame.axes[:, 1]).sum(-1).median() < 0
    assert ((nose - left_heel) * frame.axes[:, 2]).sum(-1).min() > 0
    lost = body_frame(torch.full((2, 33, 3), torch.nan))
    assert not lost.known.any()
    torch.testing.assert_close(lost.axes[0], torch.eye(3))
    assert (lost.origin == 0).all()
