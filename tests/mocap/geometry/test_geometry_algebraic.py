from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from mocap.geometry.algebraic import least_vector, project_pinhole, triangulate_algebraic, triangulate_msac
from mocap.geometry.rotations import rotvec_to_matrix

EXACT_MM = 1e-6
"""float64, a world of millimetres. The rows' condition number is some 1e4 (1e7 px mm over 1e3 px); the Newton step is
of rows that are not squared: 1e4 x 1e4 mm x 2e-16, times 50 for the sums."""
OURS_FROM_PUBLISHED_MM = 0.05
"""The design's; the published SVD is in float32."""


def _rig(seed: int, batch: int, views: int) -> torch.Tensor:
    """Per sample its own cameras: some 4.5 m away from somewhere around the origin, f 1100 px, mm."""
    generator = torch.Generator().manual_seed(seed)
    turn = rotvec_to_matrix(torch.randn(batch, views, 3, dtype=torch.float64, generator=generator))
    shift = torch.tensor([100.0, -200.0, 4500.0], dtype=torch.float64).expand(batch, views, 3)
    K = torch.tensor([[1145.0, 0.7, 512.3], [0.0, 1143.8, 515.4], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return K @ torch.cat([turn, shift[..., None]], dim=-1)


def _scene(
    seed: int = 0, *, batch: int = 2, views: int = 4, joints: int = 5, noise_px: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Projections, xy (B, C, J, 2), confidences and the truth (B, J, 3)."""
    generator = torch.Generator().manual_seed(seed + 1)
    projections = _rig(seed, batch, views)
    truth = 600 * torch.randn(batch, joints, 3, dtype=torch.float64, generator=generator)
    xy, depth = project_pinhole(projections, truth)
    assert (depth > 500).all()
    xy = xy + noise_px * torch.randn(xy.shape, dtype=torch.float64, generator=generator)
    return projections, xy, 0.2 + torch.rand(xy.shape[:-1], dtype=torch.float64, generator=generator), truth


def _published(projections: np.ndarray, xy: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """One joint after the other, by a singular value decomposition of the rows."""
    out = np.zeros((len(xy), xy.shape[2], 3))
    for b, j in np.ndindex(len(xy), xy.shape[2]):
        rows = []
        for P, (x, y), c in zip(projections[b], xy[b, :, j], confidence[b, :, j], strict=True):
            rows += [c * (x * P[2] - P[0]), c * (y * P[2] - P[1])]
        solution = np.linalg.svd(np.array(rows))[2][-1]
        out[b, j] = solution[:3] / solution[3]
    return out


def test_it_finds_noise_free_points() -> None:
    projections, xy, confidence, truth = _scene()
    torch.testing.assert_close(triangulate_algebraic(projections, xy, confidence), truth, atol=EXACT_MM, rtol=0)


@pytest.mark.parametrize("noise_px", [0.0, 3.0, 60.0])
def test_it_equals_one_svd_after_the_other(noise_px: float) -> None:
    projections, xy, confidence, _ = _scene(3, noise_px=noise_px)
    expected = _published(projections.numpy(), xy.numpy(), confidence.numpy())
    ours = triangulate_algebraic(projections, xy, confidence)
    np.testing.assert_allclose(ours, expected, atol=EXACT_MM, rtol=0)


@pytest.fixture(scope="module")
def published_outputs() -> np.lib.npyio.NpzFile:
    path = Path(__file__).resolve().parents[4] / "shared" / "reference" / "learnable_triangulation_outputs.npz"
    if not path.is_file():
        pytest.skip("the published outputs are not here: expected ../shared/reference beside the checkout")
    return np.load(path)


@pytest.mark.parametrize("kind", ["conf", "plain"])
def test_it_equals_what_the_published_system_answers(published_outputs, kind: str) -> None:
    given = published_outputs
    projections = torch.from_numpy(given["K"] @ np.concatenate([given["R"], given["t"][..., None]], axis=-1)).float()
    confidence = torch.from_numpy(given[f"alg_{kind}_confidences"])
    share = confidence / confidence.sum(1, keepdim=True) + 1e-5
    ours = triangulate_algebraic(projections, torch.from_numpy(given[f"alg_{kind}_keypoints_2d"]), share)
    worst = np.linalg.norm(ours.numpy() - given[f"alg_{kind}_keypoints_3d"], axis=-1).max()
    assert worst < OURS_FROM_PUBLISHED_MM


def test_confidence_multiplies_rows_and_its_scale_does_not_matter() -> None:
    projections, xy, confidence, _ = _scene(4, noise_px=5.0)
    once = triangulate_algebraic(projections, xy, confidence)
    torch.testing.assert_close(triangulate_algebraic(projections, xy, 7 * confidence), once, atol=EXACT_MM, rtol=0)
    twice = torch.cat([projections] * 4, 1), torch.cat([xy] * 4, 1), torch.cat([confidence] * 4, 1)
    torch.testing.assert_close(triangulate_algebraic(*twice), once, atol=EXACT_MM, rtol=0)
    # Four copies of a view weigh as much as one of twice its confidence.
    doubled = confidence * torch.tensor([2.0, 1, 1, 1]).double()[:, None]
    copies = [0, 0, 0, 0, 1, 2, 3]
    copied = triangulate_algebraic(projections[:, copies], xy[:, copies], confidence[:, copies])
    torch.testing.assert_close(triangulate_algebraic(projections, xy, doubled), copied, atol=EXACT_MM, rtol=0)


@pytest.mark.parametrize("missing", ["nan", "confidence"])
def test_a_view_that_has_not_seen_a_joint_takes_no_part(missing: str) -> None:
    projections, xy, confidence, _ = _scene(5, noise_px=2.0)
    expected = triangulate_algebraic(projections[:, 1:], xy[:, 1:], confidence[:, 1:])
    if missing == "nan":
        xy[:, 0] = torch.nan
    else:
        confidence[:, 0] = 0.0
    torch.testing.assert_close(triangulate_algebraic(projections, xy, confidence), expected, atol=EXACT_MM, rtol=0)


def _same_center(projections: torch.Tensor, xy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All cameras are the first one: rays that fix no depth."""
    return projections[:, :1].expand_as(projections), xy[:, :1].expand_as(xy)


def _one_view(projections: torch.Tensor, xy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    xy = xy.clone()
    xy[:, 1:] = torch.nan
    return projections, xy


def _at_infinity(projections: torch.Tensor, xy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Side by side, looking along z, both with the point in the middle."""
    side_by_side = torch.zeros_like(projections)
    side_by_side[..., :3] = torch.eye(3).double()
    side_by_side[:, 1:, 0, 3] = 1.0
    return side_by_side, torch.zeros_like(xy)


@pytest.mark.parametrize("degenerate", [_same_center, _one_view, _at_infinity])
def test_no_point_and_no_gradient_where_rays_fix_none(degenerate: Callable) -> None:
    projections, xy, confidence, _ = _scene(6)
    projections, xy = (array.clone().requires_grad_() for array in degenerate(projections, xy))
    confidence.requires_grad_()
    found = triangulate_algebraic(projections, xy, confidence)
    assert found.isnan().all()
    found.nansum().backward()
    for array in (projections, xy, confidence):
        assert array.grad is not None
        assert (array.grad == 0).all()


def test_gradcheck() -> None:
    """In metres: finite differences of 1e-6 are then of the same share everywhere."""
    projections, xy, confidence, _ = _scene(7, batch=1, joints=2, noise_px=10.0)
    projections = projections * torch.tensor([1.0, 1.0, 1.0, 1e-3]).double()
    inputs = [array.requires_grad_() for array in (projections, xy, confidence)]
    assert torch.autograd.gradcheck(triangulate_algebraic, inputs, rtol=1e-4, atol=1e-7)


def _meeting_rows(seed: int, values: list[float]) -> torch.Tensor:
    """Rows (6, 4) of given singular values."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(6, 4, dtype=torch.float64, generator=generator))[0]
    right = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=generator))[0]
    return left * torch.tensor(values, dtype=torch.float64) @ right


def _direction(rows: torch.Tensor) -> torch.Tensor:
    """Of no sign, so that finite differences see no jump."""
    vector = least_vector(rows, torch.ones(rows.shape[:-2], dtype=torch.bool))[0]
    return vector[..., :, None] * vector[..., None, :]


@pytest.mark.parametrize(
    "values", [[3.0, 3.0, 3.0, 1.0], [3.0, 3.0, 2.0, 0.0], [5.0, 2.0, 2.0, 0.1]], ids=["all", "two", "middle"]
)
def test_gradients_are_right_where_other_singular_values_meet(values: list[float]) -> None:
    """A general eigensolver divides by the difference of the two that meet."""
    rows = _meeting_rows(1, values).requires_grad_()
    assert torch.autograd.gradcheck(_direction, (rows,))


def test_a_general_eigensolver_has_no_gradient_there() -> None:
    rows = torch.diag(torch.tensor([3.0, 3.0, 2.0, 1.0], dtype=torch.float64)).requires_grad_()
    vector = torch.linalg.eigh(rows.mT @ rows).eigenvectors[..., 0]
    (vector[..., :, None] * vector[..., None, :]).sum().backward()
    assert rows.grad is not None
    assert not rows.grad.isfinite().all()
    ours = rows.detach().clone().requires_grad_()
    _direction(ours).sum().backward()
    assert ours.grad is not None
    assert ours.grad.isfinite().all()


def test_where_the_smallest_two_meet_there_is_no_vector() -> None:
    rows = _meeting_rows(2, [3.0, 2.0, 1.0, 1.0]).requires_grad_()
    vector, fixed = least_vector(rows, torch.tensor(True))
    assert not fixed
    assert vector.tolist() == [0.0, 0.0, 0.0, 1.0]
    vector.sum().backward()
    assert rows.grad is not None
    assert (rows.grad == 0).all()


@pytest.mark.parametrize("unit", [1.0, 1000.0], ids=["m", "mm"])
def test_nearly_parallel_rays_still_meet_where_they_do(unit: float) -> None:
    """0.1° apart, 4.5 m long: 1e-13 px of rounding are 1e-13 x 4500 mm / (1145 px x 0.0017) along the rays, and the
    eigenvectors' share of the last ray is 1e-15 / 3e-12, squared by the Newton step, of some 4500 mm."""
    turn = rotvec_to_matrix(torch.tensor([[0.0, 0.0, 0.0], [0.0, np.deg2rad(0.1), 0.0]], dtype=torch.float64))
    shift = torch.tensor([0.0, 0.0, 4.5 * unit], dtype=torch.float64).expand(2, 3)
    K = torch.tensor([[1145.0, 0.7, 512.3], [0.0, 1143.8, 515.4], [0.0, 0.0, 1.0]], dtype=torch.float64)
    projections = K @ torch.cat([turn, shift[..., None]], dim=-1)
    truth = torch.tensor([[0.3, 0.5, 0.2]], dtype=torch.float64) * unit
    found = triangulate_algebraic(projections, project_pinhole(projections, truth)[0], torch.ones(2, 1).double())
    torch.testing.assert_close(found / unit * 1000, truth / unit * 1000, atol=1e-3, rtol=0)


def test_float32_in_float32_out() -> None:
    """Half a unit in the last place of 4500 px mm entries and of 1000 px: some 3e-5 px, 1e-4 mm at f / z = 0.25."""
    projections, xy, confidence, truth = _scene(8)
    found = triangulate_algebraic(projections.float(), xy.float(), confidence.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), truth, atol=2e-2, rtol=0)


@pytest.mark.parametrize("method", [triangulate_algebraic, lambda *given: triangulate_msac(*given)[0]])
def test_leading_axes_are_free(method: Callable) -> None:
    given = _scene(9, batch=6, noise_px=1.0)[:3]
    expected = method(*given)
    assert expected.shape == (6, 5, 3)
    folded = method(*(array.unflatten(0, (2, 3)) for array in given))
    torch.testing.assert_close(folded.flatten(0, 1), expected, atol=EXACT_MM, rtol=0)
    torch.testing.assert_close(method(*(array[2] for array in given)), expected[2], atol=EXACT_MM, rtol=0)


def test_ransac_leaves_out_wrong_views_and_minimises_hubers_cost() -> None:
    projections, xy, confidence, truth = _scene(10, views=5, noise_px=0.8)
    xy[:, 1, 2] += torch.tensor([150.0, -90.0])
    xy[0, 4, 0] += 300.0
    confidence[1, 3, 3] = 0.0
    found, used = triangulate_msac(projections, xy, confidence, inlier_px=15.0, huber_px=1.0)
    expected = torch.ones_like(used)
    expected[:, 1, 2] = expected[0, 4, 0] = expected[1, 3, 3] = False
    assert (used == expected).all()
    for b, j in np.ndindex(2, 5):
        keep = used[b, :, j].numpy()

        def residual(point: np.ndarray, b: int = b, j: int = j, keep: np.ndarray = keep) -> np.ndarray:
            px = project_pinhole(projections[b], torch.from_numpy(point)[None])[0][:, 0]
            return np.linalg.norm((px - xy[b, :, j]).numpy()[keep], axis=-1)

        peer = least_squares(residual, truth[b, j].numpy(), loss="huber", f_scale=1.0, x_scale=100.0, xtol=1e-12)
        # Both stop where the cost no longer falls: sqrt(1e-12) of a curvature of (0.25 px / mm)².
        np.testing.assert_allclose(found[b, j], peer.x, atol=1e-2)


def test_ransac_says_nan_where_no_two_views_agree() -> None:
    projections, xy, confidence, _ = _scene(11, views=2)
    confidence[0, 1, 0] = 0.0
    xy[1, 0, 1] += torch.tensor([0.0, 400.0])
    found, used = triangulate_msac(projections, xy, confidence)
    assert found[0, 0].isnan().all()
    assert found[1, 1].isnan().all()
    assert not used[0, :, 0].any()
    assert not used[1, :, 1].any()
    assert found[0, 1:].isfinite().all()
    alone, _ = triangulate_msac(projections[:, :1], xy[:, :1], confidence[:, :1])
    assert alone.isnan().all()


def test_projection_equals_homogeneous_coordinates_and_is_nan_behind() -> None:
    projections, xy, _, truth = _scene(12)
    homogeneous = torch.cat([truth, torch.ones_like(truth[..., :1])], dim=-1)
    image = torch.einsum("bcij,bnj->bcni", projections, homogeneous)
    torch.testing.assert_close(xy, image[..., :2] / image[..., 2:])
    assert project_pinhole(-projections, truth)[0].isnan().all()
