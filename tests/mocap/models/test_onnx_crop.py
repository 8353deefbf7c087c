from __future__ import annotations

import cv2
import numpy as np
import pytest

from mocap.models.onnx_crop import Grid, apply_affine, crop_of, picture_from_cells

GRIDS: tuple[Grid, ...] = ("stride", "udp", "pixel_centre")
BOX = np.array([100.0, 40.0, 180.0, 300.0])  # 80 wide, 260 high
SIZE = (192, 256)


def mmpose_warp(center: np.ndarray, width: float, size: tuple[int, int]) -> np.ndarray:
    """MMPose's get_warp_matrix without rotation, from its three pairs of points."""
    source = np.array([center, center + [0, -0.5 * width], center + [-0.5 * width, -0.5 * width]], dtype=np.float32)
    middle = np.array(size) * 0.5
    target = np.array([middle, middle + [0, -0.5 * size[0]], middle + [-0.5 * size[0], -0.5 * size[0]]])
    return cv2.getAffineTransform(source, target.astype(np.float32))


def test_the_box_is_padded_and_widened_to_the_pictures_shape():
    crop = crop_of(BOX, SIZE, padding=1.25, grid="stride")
    corners = apply_affine(crop.image_from_picture, np.array([[0.0, 0.0], [192.0, 256.0]]))
    # 1.25 * 260 = 325 high, hence 325 * 192 / 256 = 243.75 wide, about (140, 170)
    np.testing.assert_allclose(corners, [[18.125, 7.5], [261.875, 332.5]])


@pytest.mark.parametrize("box", [BOX, np.array([10.0, 20.0, 400.0, 90.0])])
def test_stride_is_mmposes_map(box: np.ndarray):
    crop = crop_of(box, SIZE, padding=1.25, grid="stride")
    sides = (box[2:] - box[:2]) * 1.25
    width = max(sides[0], sides[1] * 192 / 256)
    expected = mmpose_warp((box[:2] + box[2:]) / 2, width, SIZE)
    # three float32 points of up to 500 px carry 3e-5 px, over a baseline of 100 px
    np.testing.assert_allclose(crop.picture_from_image, expected, rtol=1e-5, atol=1e-3)


def test_udp_maps_ends_to_ends():
    """Huang 2020, eq. 4: W px are W - 1 steps, in the box, the picture and the heatmap alike."""
    crop = crop_of(BOX, SIZE, padding=1.25, grid="udp")
    first_last = apply_affine(crop.image_from_heatmap((48, 64)), np.array([[0.0, 0.0], [47.0, 63.0]]))
    np.testing.assert_allclose(first_last, [[18.125, 7.5], [261.875, 332.5]])


@pytest.mark.parametrize("grid", GRIDS)
def test_the_way_there_and_back_is_the_same_point(grid: Grid):
    crop = crop_of(BOX, SIZE, padding=1.1, grid=grid)
    points = np.random.default_rng(1).uniform(0, 400, (50, 2))
    pictured = apply_affine(crop.picture_from_image, points)
    np.testing.assert_allclose(apply_affine(crop.image_from_picture, pictured), points, atol=1e-9)
    scale, shift = picture_from_cells(SIZE, (48, 64), grid)
    cells = (pictured - shift) / scale
    np.testing.assert_allclose(apply_affine(crop.image_from_heatmap((48, 64)), cells), points, atol=1e-9)


@pytest.mark.parametrize(
    ("grid", "cell", "px"), [("stride", 10, 40.0), ("pixel_centre", 10, 41.5), ("udp", 10, 10 * 191 / 47)]
)
def test_where_a_cell_lies_in_the_picture(grid: Grid, cell: int, px: float):
    scale, shift = picture_from_cells(SIZE, (48, 64), grid)
    np.testing.assert_allclose(scale[0] * cell + shift[0], px)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_picture_shows_the_image_where_the_map_says(grid: Grid):
    """A ramp is reproduced by bilinear interpolation, so the picture's values are the image's coordinates."""
    columns, rows = np.meshgrid(np.arange(240), np.arange(250))
    image = np.stack([columns, rows, np.full_like(rows, 9)], -1).astype(np.uint8)
    crop = crop_of(np.array([60.0, 50.0, 160.0, 170.0]), (96, 64), padding=1.0, grid=grid)
    picture = crop.picture_of(image)
    x, y = np.meshgrid(np.arange(96), np.arange(64))
    there = apply_affine(crop.image_from_picture, np.stack([x, y], -1).reshape(-1, 2).astype(float))
    # rounding to whole values, and OpenCV's 1/32 px steps
    np.testing.assert_allclose(picture[..., :2].reshape(-1, 2), there, atol=0.5 + 1 / 32)


def test_beyond_the_border_it_is_black():
    image = np.full((50, 60, 3), 200, dtype=np.uint8)
    picture = crop_of(np.array([40.0, 30.0, 80.0, 70.0]), (40, 40), padding=1.0, grid="stride").picture_of(image)
    assert picture[0, 0, 0] == 200
    assert picture[-1, -1, 0] == 0
