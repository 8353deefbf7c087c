from __future__ import annotations

import cv2
import numpy as np
import pytest
from board_pictures import picture, srgb
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from calibration import Intrinsics
from calibration.boards import CharucoBoard
from calibration.synthetic import camera_looking_at
from mocap.synthetic.board_surface import BoardSheet, board_surface, board_thing

BOARD = CharucoBoard(4, 5, 0.05, 0.0375, "DICT_4X4_50")


def camera_of():
    K = np.array([[420.0, 0.0, 243.0], [0.0, 423.0, 171.0], [0.0, 0.0, 1.0]])
    lens = Intrinsics((480, 360), K, np.array([-0.18, 0.06, 5e-4, -4e-4, 0.0]))
    return camera_looking_at("a", lens, center=[0.4, -2.0, 1.3], target=[0.0, 0.0, 1.0])


def in_front(camera, board, distance, *degrees):
    """world_from_board with the board's middle on the camera's axis, turned about x, y, z."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    middle = np.array([*board.size_m, 0.0]) / 2
    pose[:3, 3] = [0.01, -0.005, distance] - pose[:3, :3] @ middle
    return camera.cam_from_world.inverse().matrix @ pose


def corner_errors(image, board, expected):
    corners, ids, _, _ = cv2.aruco.CharucoDetector(board.opencv()).detectBoard(image)
    assert ids is not None
    assert len(ids) == board.n_corners
    return np.linalg.norm(corners.reshape(-1, 2) - expected[ids.reshape(-1)], axis=-1)


def corners_of(camera, board, pose, depth=0.0):
    return camera.project((board.corners + [0, 0, depth]) @ pose[:3, :3].T + pose[:3, 3])


@pytest.mark.parametrize("turns", [(0, 0, 0), (35, 0, 10), (-10, -40, 80), (20, 25, -170)])
def test_the_detector_finds_corners_where_the_camera_projects_them(turns):
    camera = camera_of()
    pose = in_front(camera, BOARD, 0.42, *turns)
    errors = corner_errors(srgb(picture(camera, board_thing(BOARD, pose))), BOARD, corners_of(camera, BOARD, pose))
    # The search for a corner stops at steps of 0.1 px; a tilt of 40° bends what it takes for symmetric.
    assert np.median(errors) < 0.1
    assert errors.max() < 0.4


def test_the_mirrored_back_shows_the_same_corners_from_behind():
    camera, sheet = camera_of(), BoardSheet(back="mirrored", thickness_m=0.004)
    pose = in_front(camera, BOARD, 0.45, 12, 190, 0)
    image = srgb(picture(camera, board_thing(BOARD, pose, sheet)))
    expected = corners_of(camera, BOARD, pose, sheet.thickness_m)
    expected[:, 0] = camera.intrinsics.image_size[0] - 1 - expected[:, 0]
    errors = corner_errors(np.ascontiguousarray(image[:, ::-1]), BOARD, expected)
    assert np.median(errors) < 0.1


def test_a_white_back_shows_nothing():
    camera = camera_of()
    image = picture(camera, board_thing(BOARD, in_front(camera, BOARD, 0.5, 0, 180, 0)))
    assert image[180, 240] == np.float32(BoardSheet().paper)
    assert np.ptp(image[100:260, 160:320]) == 0


def test_an_inverted_board_is_read_in_the_negative():
    camera = camera_of()
    board = CharucoBoard(4, 5, 0.05, 0.0375, "DICT_4X4_50", inverted=True)
    pose = in_front(camera, board, 0.45, 15, 5, 3)
    image = srgb(picture(camera, board_thing(board, pose)))
    assert np.median(corner_errors(255 - image, board, corners_of(camera, board, pose))) < 0.1


def test_the_slab_is_closed_flat_shaded_and_turned_outward():
    sheet = BoardSheet(margin_m=0.03, thickness_m=0.005)
    thing = board_thing(BOARD, np.eye(4), sheet)
    a, b, c = thing.vertices.astype(np.float64)[thing.surface.faces].transpose(1, 0, 2)
    width, height = BOARD.sheet_size_m(0.03)
    volume = np.einsum("fa,fa->", a, np.cross(b, c)) / 6  # divergence theorem: positive where normals point outward
    assert volume == pytest.approx(width * height * 0.005, rel=1e-5)
    assert np.abs(np.cross(b - a, c - a).sum(0)).max() < 1e-7
    assert not thing.smooth
    np.testing.assert_allclose(np.cross(b - a, c - a)[:2, 2], -width * height, rtol=1e-5)


def test_far_away_the_print_is_its_mean_grey():
    surface = board_surface(BOARD)
    rng = np.random.default_rng(3)
    place = rng.uniform(0.3, 0.7, (4000, 2)) * BOARD.size_m  # far from the margin, which is brighter
    fine = surface.reflectance(place.astype(np.float32), np.full(4000, 1e-4, dtype=np.float32))
    coarse = surface.reflectance(place.astype(np.float32), np.full(4000, 0.1, dtype=np.float32))
    assert fine.std() > 0.3  # about 0.4, were half of it white
    assert coarse.std() < fine.std() / 3
    assert coarse.mean() == pytest.approx(fine.mean(), abs=0.04)  # a tenth of what one square differs by


def test_a_level_is_the_mean_of_the_finer_one_below_its_texels():
    surface = board_surface(BOARD)
    for fine, coarse in zip(surface.levels, surface.levels[1:], strict=False):
        assert coarse.mean() == pytest.approx(float(fine.mean()), abs=1e-4)
        assert coarse.shape == (fine.shape[0] // 2, fine.shape[1] // 2)


def test_black_and_white_meet_at_the_corner_within_a_texel():
    surface = board_surface(BOARD)
    near = np.float32(0.05) + np.array([[-1, -1], [1, -1], [0, -3], [-3, 0]], dtype=np.float32) * np.float32(1e-3)
    grey = surface.reflectance(near, np.full(4, 1e-4, dtype=np.float32))
    sheet = surface.sheet
    np.testing.assert_allclose(grey[:2], [sheet.ink, sheet.paper], atol=1e-3)
    np.testing.assert_allclose(
        grey[2:], (sheet.ink + sheet.paper) / 2, atol=0.02
    )  # float32 places a 30th of a texel off


def test_the_same_board_has_one_surface_and_no_point_is_no_trouble():
    assert board_surface(BOARD) is board_surface(CharucoBoard(4, 5, 0.05, 0.0375, "DICT_4X4_50"))
    nothing = board_surface(BOARD).albedo(
        np.empty(0, dtype=np.int32), np.empty((0, 3), dtype=np.float32), np.empty(0, dtype=np.float32)
    )
    assert nothing.shape == (0, 3)


def test_impossible_sheets_are_refused():
    with pytest.raises(ValidationError):
        BoardSheet(thickness_m=0)
    with pytest.raises(ValidationError):
        BoardSheet(back="printed")
