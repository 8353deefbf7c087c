"""Matrices that stand for lenses over the box of a person: exact for pinholes, close for everything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from calibration import Camera, Intrinsics, Lens, Rig
from camera_worlds import looking_at, mixed_rig
from mocap.geometry.heatmap_views import heatmap_cameras, straightened
from mocap.geometry.heatmaps import heatmap_moments
from mocap.geometry.projection import camera_tensors, project
from mocap.synthetic.heatmaps import draw_peaks

SIZE = (64, 48)


def person(seed: int = 0) -> Tensor:
    """Points (N, 3) of somebody 1.7 m tall."""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.uniform([-0.3, -0.25, 0.0], [0.35, 0.3, 1.7], (60, 3)))


def turned_boxes(rig: Rig, points: Tensor, turn: float) -> Tensor:
    """px_from_heatmap (C, 2, 3): squares about the person, turned, half as large again."""
    px = project(camera_tensors(rig), points)
    middle = (px.amax(0) + px.amin(0)) / 2
    side = 1.5 * (px.amax(0) - px.amin(0)).amax(-1) / 48
    c, s = np.cos(turn), np.sin(turn)
    linear = torch.tensor([[c, -s], [s, c]]) * side[:, None, None]
    origin = middle - (linear @ torch.tensor([31.5, 23.5], dtype=torch.float64))
    return torch.cat([linear, origin[..., None]], dim=-1)


def cells_of(maps: Tensor, px: Tensor) -> Tensor:
    """The exact cells (N, C, 2) of pixels."""
    return torch.linalg.solve(maps[..., :2], (px - maps[..., 2])[..., None])[..., 0]


def through(matrices: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    homogeneous = torch.einsum("cij,nj->nci", matrices[..., :3], points) + matrices[..., 3]
    return homogeneous[..., :2] / homogeneous[..., 2:], homogeneous[..., 2]


def without_lenses(rig: Rig) -> Rig:
    return Rig(
        tuple(replace(c, intrinsics=Intrinsics(c.intrinsics.image_size, c.intrinsics.K, np.zeros(5))) for c in rig)
    )


def test_for_pinhole_cameras_the_matrix_is_exact_and_its_third_row_is_a_depth():
    rig = without_lenses(mixed_rig())
    points, cameras = person(), camera_tensors(rig)
    maps = turned_boxes(rig, points, 0.4)
    matrices, misfit = heatmap_cameras(cameras, maps, SIZE)
    cells, depth = through(matrices, points)
    torch.testing.assert_close(cells, cells_of(maps, project(cameras, points)), atol=1e-7, rtol=0)
    assert misfit.max() < 1e-7
    torch.testing.assert_close(matrices[:, 2, :3].norm(dim=-1), torch.ones(5, dtype=torch.float64))
    distance = (points[:, None] - cameras.centers).norm(dim=-1)
    assert ((depth > 0) & (depth < distance + 1e-9)).all()


def test_through_lenses_it_is_good_to_a_fraction_of_a_cell_and_says_how_good():
    """Boxes of 48 x 64 mm cells over 2.3 m, 2 to 4 m away: 0.4 cells, and two with a fisheye lens at 2.5 m."""
    rig, points = mixed_rig(), person()
    cameras, maps = camera_tensors(rig), turned_boxes(mixed_rig(), person(), -0.3)
    matrices, misfit = heatmap_cameras(cameras, maps, SIZE)
    cells, _ = through(matrices, points)
    off = (cells - cells_of(maps, project(cameras, points))).norm(dim=-1)
    assert off[:, [0, 1, 2, 4]].amax() < 0.4
    assert off[:, 3].amax() < 2.0
    assert (off.amax(0) <= misfit * 1.05 + 1e-3).all(), "the grid reaches farther out than the person"


def test_straightened_heatmaps_have_their_peaks_where_the_matrix_says():
    """Peaks of sigma 1.5 cells, found again to the tenth of a cell that summing over whole cells can tell."""
    rig, points = mixed_rig(), person()[:8]
    cameras, maps = camera_tensors(rig), turned_boxes(mixed_rig(), person(), -0.3)
    matrices, _ = heatmap_cameras(cameras, maps, SIZE)
    cells = cells_of(maps, project(cameras, points)).transpose(0, 1)
    drawn = draw_peaks(cells[:, :, None], torch.full((5, 8, 1), 1.5), torch.ones(5, 8, 1), SIZE)
    straight = straightened(drawn, cameras, maps, matrices)
    expected = through(matrices, points)[0].transpose(0, 1)
    off = (heatmap_moments(straight)[0] - expected).norm(dim=-1)
    assert off.amax() < 0.1
    bent = (heatmap_moments(drawn)[0] - expected).norm(dim=-1)
    assert bent[3].amax() > 0.3, "else there was nothing to straighten"


def test_a_fisheye_lens_may_see_the_person_far_from_its_axis():
    lens = Intrinsics((1440, 1440), np.array([[420.0, 0, 719], [0, 421, 722], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE)
    pose = looking_at(np.array([0.0, -2.0, 1.0]), np.array([-3.0, -1.2, 1.0]))
    rig = Rig((Camera("side", lens, pose), mixed_rig()["cam0"]))
    points, cameras = person() * 0.5, camera_tensors(rig)
    px = project(cameras, points)
    assert not px.isnan().any()
    maps = turned_boxes(rig, points, 0.1)
    matrices, misfit = heatmap_cameras(cameras, maps, SIZE)
    off = (through(matrices, points)[0] - cells_of(maps, px)).norm(dim=-1)
    assert 1.0 < off.amax() < misfit[0] * 1.05, "too much for a network, and told"
    cells = cells_of(maps, px).transpose(0, 1)[:, :8]
    drawn = draw_peaks(cells[:, :, None], torch.full((2, 8, 1), 1.5), torch.ones(2, 8, 1), SIZE)
    straight = heatmap_moments(straightened(drawn, cameras, maps, matrices))[0]
    assert (straight - through(matrices, points)[0].transpose(0, 1)[:, :8]).norm(dim=-1).amax() < 0.2


def test_batches_are_what_each_frame_is_alone():
    rig = mixed_rig()
    cameras = camera_tensors(rig)
    frames = torch.stack([turned_boxes(rig, person(seed), 0.1 * seed) for seed in range(4)])
    together, misfit = heatmap_cameras(cameras, frames, SIZE)
    alone = [heatmap_cameras(cameras, frame, SIZE) for frame in frames]
    torch.testing.assert_close(together, torch.stack([one for one, _ in alone]), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(misfit, torch.stack([one for _, one in alone]), rtol=1e-6, atol=1e-9)


def test_a_view_without_a_heatmap_stands_for_its_picture_and_a_box_beyond_the_lens_for_nothing():
    rig = mixed_rig()
    cameras, maps = camera_tensors(rig), turned_boxes(mixed_rig(), person(), 0.0)
    maps[1] = torch.nan
    maps[2, :, 2] += 1e7
    matrices, misfit = heatmap_cameras(cameras, maps, SIZE)
    assert matrices.isfinite().all()
    cells, _ = through(matrices[1:2], person())
    px = project(cameras, person())[:, 1:2]
    step = torch.tensor([1280 / 64, 720 / 48], dtype=torch.float64)
    assert ((cells + 0.5) * step - 0.5 - px).norm(dim=-1).median() < 3.0
    assert (matrices[2] == 0).all()
    assert misfit[2] == torch.inf
    assert misfit[[0, 3, 4]].isfinite().all()
