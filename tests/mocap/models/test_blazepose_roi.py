import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocap.models.blazepose_roi import Roi, blended, box_overlap, letterbox, roi_from_alignment, transform

ANGLES = st.floats(-np.pi, np.pi)


def test_the_worked_example():
    assert transform(Roi((600.0, 400.0), 512.0).image_from_crop(256), np.array([128.0, 64.0])) == pytest.approx(
        [600, 272]
    )


def test_a_quarter_turn_clockwise_shows_what_is_right_of_the_centre_at_the_top():
    affine = Roi((600.0, 400.0), 512.0, np.pi / 2).image_from_crop(256)
    assert transform(affine, np.array([128.0, 0.0])) == pytest.approx([600 + 256, 400])


@pytest.mark.parametrize(
    ("toward", "angle"),
    [((0, -50), 0.0), ((50, 0), np.pi / 2), ((-50, 0), -np.pi / 2), ((0, 50), -np.pi)],
)
def test_the_scale_point_comes_straight_above(toward, angle):
    center = np.array([300.0, 200.0])
    roi = roi_from_alignment(center, center + toward, 1.25)
    assert roi.size == pytest.approx(2 * 50 * 1.25)
    assert roi.angle == pytest.approx(angle)


@given(angle=ANGLES, distance=st.floats(20, 900))
def test_in_the_crop_the_scale_point_is_above_the_centre(angle, distance):
    center, point = np.array([310.0, 520.0]), np.array([310 + distance * np.sin(angle), 520 - distance * np.cos(angle)])
    affine = roi_from_alignment(center, point, 1.25).image_from_crop(256)
    crop = np.linalg.solve(affine[:, :2], point - affine[:, 2])
    assert crop == pytest.approx([128, 128 - 128 / 1.25], abs=1e-6)


def test_what_is_cut_out_lies_where_the_affine_says():
    """A blurred dot's centroid: bilinear sampling keeps it to the warp's 1/32 cell steps (under 0.05 cells)."""
    width, height, sigma = 500, 380, 9.0
    dot = np.array([281.3, 170.6])
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    blob = 250 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * sigma**2))
    image = np.repeat(blob.astype(np.uint8)[..., None], 3, axis=2)
    roi = Roi((260.0, 190.0), 320.0, 0.4)
    crop = roi.crop(image, 256)[..., 0].astype(float)
    u, v = np.meshgrid(np.arange(256), np.arange(256))
    centroid = np.array([(crop * u).sum(), (crop * v).sum()]) / crop.sum()
    assert transform(roi.image_from_crop(256), centroid) == pytest.approx(dot, abs=0.05 * 320 / 256)


def test_letterbox_holds_the_whole_image_and_is_centred():
    box = letterbox(1088, 1920).box
    assert box == pytest.approx([544 - 960, 0, 544 + 960, 1920])


def test_blending_takes_the_short_way_round():
    half = blended(Roi((0.0, 0.0), 100.0, 3.0), Roi((10.0, 20.0), 400.0, -3.0), 0.5)
    assert half.center == pytest.approx((5, 10))
    assert half.size == pytest.approx(200)
    assert abs(half.angle) == pytest.approx(np.pi)


def test_overlap_of_boxes():
    boxes = np.array([[0, 0, 10, 20], [5, 0, 15, 20], [10, 0, 20, 20], [40, 40, 50, 50], [0, 0, 0, 0]], dtype=float)
    assert box_overlap(boxes[0], boxes) == pytest.approx([1, 100 / 300, 0, 0, 0])
    assert box_overlap(boxes[4], boxes) == pytest.approx([0, 0, 0, 0, 0])
