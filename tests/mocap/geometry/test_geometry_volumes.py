from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import grid_sample, softmax

from mocap.geometry import volumes
from mocap.geometry.heatmaps import heatmap_from_image, heatmap_projections
from mocap.geometry.projection import camera_tensors, project
from mocap.geometry.rotations import rotvec_to_matrix
from mocap.geometry.volumes import (
    Aggregation,
    aggregate_views,
    check_aggregation,
    coordinate_volume,
    lift_to_volume,
    sample_views,
    sampling_grid,
)

SIZE = (5, 4, 3)
EVERY: tuple[Aggregation, ...] = ("sum", "max", "softmax", "conf", "conf_norm")
ROUNDING = 1e-12
"""float64, values of some 1, sums of some ten terms: 10 x 2e-16, times the few hundred px that a voxel is away."""


def _cameras(generator: torch.Generator, batch: int, views: int, shape: tuple[int, int]) -> torch.Tensor:
    """Cameras 4 units away that look at about the origin; feature maps of (height, width), off-centre."""
    turn = rotvec_to_matrix(torch.randn(batch, views, 3, dtype=torch.float64, generator=generator))
    shift = torch.tensor([0.1, -0.2, 4.0], dtype=torch.float64).expand(batch, views, 3)
    K = torch.tensor([[17.0, 0.3, 0.55 * shape[1]], [0.0, 15.0, 0.4 * shape[0]], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return K @ torch.cat([turn, shift[..., None]], dim=-1)


def _scene(seed: int = 0, *, batch: int = 2, views: int = 3, features: int = 4) -> tuple[torch.Tensor, ...]:
    """Features (B, C, F, 7, 11), projections, coordinates (B, 5, 4, 3, 3) and confidences."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(batch, views, features, 7, 11, dtype=torch.float64, generator=generator)
    projections = _cameras(generator, batch, views, (7, 11))
    center = 0.3 * torch.randn(batch, 3, dtype=torch.float64, generator=generator)
    confidence = torch.rand(batch, views, features, dtype=torch.float64, generator=generator)
    return maps, projections, coordinate_volume(center, 2.7, size=SIZE), confidence


def _published(features, projections, coordinates, aggregation, confidence) -> torch.Tensor:
    """One sample, one view after the other, as the published system does it."""
    out = []
    for sample in range(len(features)):
        seen = []
        for view in range(features.shape[1]):
            points = coordinates[sample].reshape(-1, 3)
            projected = torch.cat([points, torch.ones_like(points[:, :1])], dim=1) @ projections[sample, view].T
            behind = projected[:, 2] <= 0
            xy = projected[:, :2] / torch.where(projected[:, 2:] == 0, 1.0, projected[:, 2:])
            height, width = features.shape[-2:]
            grid = 2 * (xy / torch.tensor([width, height]) - 0.5)
            read = grid_sample(features[sample, view][None], grid[None, None], align_corners=True)[0, :, 0]
            read[:, behind] = 0.0
            seen.append(read)
        stack = torch.stack(seen)
        if aggregation == "sum":
            joined = stack.sum(0)
        elif aggregation == "max":
            joined = stack.max(0)[0]
        elif aggregation == "softmax":
            joined = (stack * softmax(stack, dim=0)).sum(0)
        else:
            weight = confidence[sample]
            weight = weight / weight.sum(0, keepdim=True) if aggregation == "conf_norm" else weight
            joined = (stack * weight[..., None]).sum(0)
        out.append(joined.reshape(-1, *coordinates.shape[1:4]))
    return torch.stack(out)


@pytest.mark.parametrize("aggregation", EVERY)
def test_lifting_equals_the_published_loops(aggregation: Aggregation) -> None:
    maps, projections, coordinates, confidence = _scene()
    projections[0, 1, 2] *= -1  # behind
    lifted = lift_to_volume(
        maps, projections, coordinates, aggregation=aggregation, confidence=confidence, sampling="published"
    )
    expected = _published(maps, projections, coordinates, aggregation, confidence)
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(lifted, expected, atol=ROUNDING, rtol=0)


def test_a_voxel_reads_the_cell_that_its_centre_falls_on() -> None:
    """x + 10 y over the cells is bilinear, so that a voxel reads its own pixel: of the architecture's convention."""
    x, y = torch.meshgrid(torch.arange(11.0), torch.arange(7.0), indexing="xy")
    maps = (x + 10 * y).double().expand(2, 3, 1, 7, 11).clone()
    _, projections, coordinates, _ = _scene()
    points = 0.05 * coordinates.flatten(1, 3)  # close to the origin: inside every picture
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
    px = torch.einsum("bcij,bnj->bcni", projections, homogeneous)
    px = px[..., :2] / px[..., 2:]
    assert (px > 0).all()
    assert (px < torch.tensor([10.0, 6.0])).all()
    read = sample_views(maps, projections, points)
    torch.testing.assert_close(read[:, :, 0], px[..., 0] + 10 * px[..., 1], atol=ROUNDING, rtol=0)


def test_published_sampling_reads_where_the_published_weights_were_trained_to() -> None:
    """Its cell x is x (W - 1) / W: of 11 cells, px 5.5 is cell 5."""
    maps = torch.arange(11.0, dtype=torch.float64).expand(1, 1, 7, 11).clone()
    projection = torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]], dtype=torch.float64)
    read = sample_views(maps, projection, torch.tensor([[5.5, 3.5, 0.0]], dtype=torch.float64), sampling="published")
    torch.testing.assert_close(read, torch.full((1, 1, 1), 5.0, dtype=torch.float64), atol=ROUNDING, rtol=0)


def test_outside_and_behind_is_zero_and_has_no_gradient() -> None:
    projection = torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]], dtype=torch.float64)
    points = torch.tensor(
        [[1.0, 1.0, 1.0], [1.0, 1.0, -1.0], [1.0, 1.0, 0.0], [9e300, 1.0, 1.0], [4.0, 4.0, 1.0], [-3.0, 1.0, 1.0]],
        dtype=torch.float64,
        requires_grad=True,
    )
    read = sample_views(torch.ones(1, 2, 3, 3, dtype=torch.float64), projection, points)
    assert read.tolist() == [[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]] * 2]
    read.sum().backward()
    assert points.grad is not None
    assert (points.grad == 0).all()


def test_heatmap_projections_place_voxels_as_the_boxes_do() -> None:
    """A lens-free rig: projecting and then cutting out a box equals projecting with the box's own matrix."""
    from camera_worlds import mixed_rig

    cameras = camera_tensors(mixed_rig())
    cameras = type(cameras)(**{**vars(cameras), "distortion": torch.zeros(5, 8), "has_brown": False})
    keep = [0, 1, 2, 4]  # the fisheye is no pinhole
    points = torch.rand(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    px = project(cameras, points)[:, keep].transpose(0, 1)
    matrices = (cameras.K @ torch.cat([cameras.R, cameras.t[..., None]], dim=-1))[keep]
    box = torch.tensor([[100.0, 50.0, 420.0, 370.0]], dtype=torch.float64) + torch.arange(4.0)[:, None]
    projected = heatmap_projections(matrices, box, (64, 48)) @ torch.cat([points, torch.ones(6, 1)], dim=1).double().T
    cells = (projected[:, :2] / projected[:, 2:]).mT
    torch.testing.assert_close(cells, heatmap_from_image(px, box, (64, 48)), atol=1e-9, rtol=0)


def test_coordinate_volume_spans_its_sides_in_ij_order_about_its_centre() -> None:
    center = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]], dtype=torch.float64)
    volume = coordinate_volume(center, torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64).expand(2, 3), size=SIZE)
    assert volume.shape == (2, *SIZE, 3)
    torch.testing.assert_close(volume.mean((1, 2, 3)), center)
    torch.testing.assert_close(volume[0, 1, 0, 0] - volume[0, 0, 0, 0], torch.tensor([0.5, 0, 0]).double())
    torch.testing.assert_close(volume[0, 0, 1, 0] - volume[0, 0, 0, 0], torch.tensor([0, 1.0, 0]).double())
    torch.testing.assert_close(volume[0, 4, 3, 2] - volume[0, 0, 0, 0], torch.tensor([2.0, 3, 4]).double())


def test_coordinate_volume_turns_about_its_centre() -> None:
    center = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    quarter = rotvec_to_matrix(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    turned = coordinate_volume(center, 2.0, size=SIZE, rotation=quarter)
    first = torch.tensor([1.0, -1.0, -1.0]).double()  # (-1, -1, -1) a quarter turn about z
    torch.testing.assert_close(turned[0, 0, 0] - center, first)
    torch.testing.assert_close(turned[4, 0, 0] - turned[0, 0, 0], torch.tensor([0.0, 2.0, 0.0]).double())


@pytest.mark.parametrize("aggregation", EVERY)
def test_the_order_of_views_does_not_matter_and_leading_axes_are_free(aggregation: Aggregation) -> None:
    maps, projections, coordinates, confidence = _scene(1)
    expected = lift_to_volume(maps, projections, coordinates, aggregation=aggregation, confidence=confidence)
    order = [2, 0, 1]
    shuffled = lift_to_volume(
        maps[:, order], projections[:, order], coordinates, aggregation=aggregation, confidence=confidence[:, order]
    )
    torch.testing.assert_close(shuffled, expected, atol=ROUNDING, rtol=0)
    alone = lift_to_volume(maps[1], projections[1], coordinates[1], aggregation=aggregation, confidence=confidence[1])
    torch.testing.assert_close(alone, expected[1], atol=ROUNDING, rtol=0)
    nested = lift_to_volume(
        *(array[:, None] for array in (maps, projections, coordinates)),
        aggregation=aggregation,
        confidence=confidence[:, None],
    )
    torch.testing.assert_close(nested[:, 0], expected, atol=ROUNDING, rtol=0)


def test_sampling_gradcheck() -> None:
    maps, projections, coordinates, _ = _scene(2, batch=1, views=2, features=1)
    inputs = [t.detach().requires_grad_() for t in (maps, projections, coordinates[:, ::2, ::3].flatten(1, 3))]
    assert torch.autograd.gradcheck(sample_views, inputs, eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("aggregation", EVERY)
def test_aggregation_gradcheck(aggregation: Aggregation) -> None:
    generator = torch.Generator().manual_seed(4)
    seen = torch.randn(2, 3, 2, 4, dtype=torch.float64, generator=generator).requires_grad_()
    confidence = torch.rand(2, 3, 2, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda seen, weight: aggregate_views(seen, aggregation, weight), (seen, confidence))


def test_lifting_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, projections, coordinates, _ = _scene()
    whole = lift_to_volume(maps.clone().requires_grad_(), projections, coordinates)
    monkeypatch.setattr(volumes, "CHUNK_VALUES", (7 * maps[..., 0, 0].numel(),) * 2)  # 60 voxels in nine parts
    parts = lift_to_volume(maps, projections, coordinates)
    torch.testing.assert_close(parts, whole.detach(), atol=ROUNDING, rtol=0)


def test_no_confidence_at_all_aggregates_to_zero() -> None:
    seen = torch.ones(1, 2, 3, 4, requires_grad=True)
    joined = aggregate_views(seen, "conf_norm", torch.zeros(1, 2, 3))
    assert (joined == 0).all()
    joined.sum().backward()
    assert seen.grad is not None
    assert seen.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_lifting_keeps_the_dtype_of_the_features(dtype: torch.dtype) -> None:
    """The grid is computed in the coordinates' own precision first."""
    maps, projections, coordinates, confidence = _scene()
    lifted = lift_to_volume(maps.to(dtype), projections, coordinates, aggregation="conf", confidence=confidence)
    assert lifted.dtype == dtype


def test_words_about_what_is_wrong() -> None:
    maps, projections, coordinates, _ = _scene()
    with pytest.raises(ValueError, match="'conf' weights views by confidence, but none was given"):
        lift_to_volume(maps, projections, coordinates, aggregation="conf")
    with pytest.raises(ValueError, match="'mean'; expected one of sum, max, softmax, conf, conf_norm"):
        check_aggregation.__wrapped__("mean", None)  # pyright: ignore
    with pytest.raises(ValueError, match="'nearest'; expected one of pixel_centres, published"):
        sampling_grid.__wrapped__(projections, torch.zeros(2, 1, 3), (4, 4), sampling="nearest")  # pyright: ignore
