from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from calibration import Intrinsics, Lens, Rig
from calibration.boards import CharucoBoard
from calibration.synthetic import camera_looking_at
from mocap.core.errors import ConfigError
from mocap.synthetic.board_carrying import carry_through, pairs_by_width, shared_middle
from mocap.synthetic.board_paths import board_middle, lie_on_floor, poses_at, wave_at_camera
from mocap.synthetic.board_surface import BoardSheet, board_thing
from mocap.synthetic.board_views import SightConfig, camera_groups, corners_in_view, shared_frames, square_px

BOARD = CharucoBoard(4, 5, 0.07, 0.055, "DICT_4X4_50")
FPS = 20.0


def lens_of(size=(1280, 720), fisheye=False):
    long_side = max(size)
    focal = long_side / 2 / (np.deg2rad(62) if fisheye else np.tan(np.deg2rad(33)))
    K = np.array([[focal, 0.0, size[0] / 2 + 9.0], [0.0, focal, size[1] / 2 - 7.0], [0.0, 0.0, 1.0]])
    if fisheye:
        return Intrinsics(size, K, np.array([0.02, -0.005, 0.001, 0.0]), Lens.FISHEYE)
    return Intrinsics(size, K, np.array([-0.12, 0.05, 3e-4, -2e-4, 0.0]))


def camera_at(angle_deg=20.0, height=1.6, radius=3.2, name="a", lens=None):
    angle = np.deg2rad(angle_deg)
    center = [radius * np.cos(angle), radius * np.sin(angle), height]
    return camera_looking_at(name, lens or lens_of(), center=center, target=[0.1, -0.05, 0.95], roll=0.02)


def ring(n=5, radius=3.2):
    heights = np.linspace(1.2, 2.4, n)[np.arange(n) * 2 % n]
    return Rig(tuple(camera_at(20 + 360 * i / n, heights[i], radius, f"c{i}") for i in range(n)))


def corners(path, board):
    return np.einsum("tab,nb->tna", path[:, :3, :3], board.corners) + path[:, None, :3, 3]


def middles(path, board):
    return path[:, :3, :3] @ board_middle(board) + path[:, :3, 3]


LENSES = [lens_of(), lens_of((720, 1280)), lens_of(fisheye=True)]


@pytest.fixture(scope="module", params=range(3), ids=["landscape", "portrait", "fisheye"])
def waved(request):
    camera = camera_at(lens=LENSES[request.param])
    return camera, wave_at_camera(camera, BOARD, seconds=25.0, fps=FPS, rng=np.random.default_rng(request.param))


def test_waving_covers_the_picture_and_stays_in_it(waved):
    camera, path = waved
    assert path.shape == (500, 4, 4)
    px, size = camera.project(corners(path, BOARD)), np.array(camera.intrinsics.image_size)
    inside = ((px >= 0) & (px <= size - 1)).all(-1)
    assert inside.mean(1).min() >= 0.85
    cells = np.zeros((8, 8), dtype=bool)
    column, row = (px[inside] * 8 / size).astype(int).T
    cells[row, column] = True
    assert cells.mean() > 0.9
    for corner in np.array([(0, 0), (1, 0), (0, 1), (1, 1)]):
        # Inner corners come as near as one square both ways, which is a twentieth to a tenth of the picture.
        assert np.linalg.norm(px / size - corner, axis=-1).min() < 0.16


def test_waving_goes_near_and_far_and_tilts_both_ways(waved):
    camera, path = waved
    cam_from_board = camera.cam_from_world.matrix @ path
    away = np.linalg.norm(middles(path, BOARD) - camera.center, axis=-1)
    assert away.max() / away.min() > 2
    sight = np.einsum("ab,tb->ta", camera.cam_from_world.R, middles(path, BOARD) - camera.center) / away[:, None]
    normal = -cam_from_board[:, :3, 2]
    facing = -np.einsum("ta,ta->t", normal, sight)
    incidence = np.rad2deg(np.arccos(facing))
    assert incidence.min() < 8
    assert 35 < incidence.max() < 60
    axis = np.cross(sight, [0.0, 0.0, 1.0])  # as seen along the line of sight, tilt about x and y is in the normal
    angle = np.arccos(sight[:, 2]) / np.linalg.norm(axis, axis=-1)
    along = np.einsum("tab,tb->ta", Rotation.from_rotvec(axis * angle[:, None]).as_matrix(), normal)
    tilt = np.rad2deg(np.arctan2(along[:, 1::-1], -along[:, 2:]))
    assert (tilt.max(0) > 25).all()
    assert (tilt.min(0) < -25).all()


def test_waving_is_smooth_slow_at_times_and_above_the_floor(waved):
    _, path = waved
    speed = np.linalg.norm(np.diff(middles(path, BOARD), axis=0), axis=-1) * FPS
    turn = Rotation.from_matrix(np.swapaxes(path[:-1, :3, :3], 1, 2) @ path[1:, :3, :3]).magnitude() * FPS
    # Means of at most 0.75 m/s and 80 °/s peak at 15/8 of that; a line in the picture and tremor add some.
    assert speed.max() < 1.9
    assert np.rad2deg(turn).max() < 80 * 15 / 8 + 20
    assert (speed < 0.08).mean() > 0.12
    assert corners(path, BOARD)[..., 2].min() > 0


def test_a_waved_board_gives_the_intrinsics():
    board, camera, noise = CharucoBoard(5, 7, 0.05, 0.04), camera_at(), 0.3
    path = wave_at_camera(camera, board, seconds=25.0, fps=2.0, rng=np.random.default_rng(8))
    px = camera.project(corners(path, board))
    px += np.random.default_rng(9).normal(0, noise, px.shape)
    flat = [board.corners.astype(np.float32)] * len(path)
    size, truth = camera.intrinsics.image_size, camera.intrinsics
    _, K, distortion, _, _, deviation, _, _ = cv2.calibrateCameraExtended(
        flat, [*px.astype(np.float32)], size, np.eye(3), np.zeros(5)
    )
    errors = np.array([*(K - truth.K)[[0, 1, 0, 1], [0, 1, 2, 2]], *(distortion.reshape(-1) - truth.distortion)[:4]])
    deviation = deviation.reshape(-1)[:8]
    assert (np.abs(errors) < 4 * deviation).all()
    # 1200 corners of 0.3 px determine the focal length to 0.2 % and the centre to 4 px (four seeds: 0.19 to 0.28 %,
    # 2.7 to 4 px); a clip of 25 frames a second to a third of that.
    assert deviation[:2].max() < 0.0035 * truth.K[0, 0]
    assert deviation[2:4].max() < 6.0


def test_a_camera_near_the_floor_gets_a_board_that_stays_above_it():
    camera = camera_at(height=0.45)
    path = wave_at_camera(camera, BOARD, seconds=20.0, fps=FPS, rng=np.random.default_rng(0))
    assert corners(path, BOARD)[..., 2].min() > 0


def test_paths_repeat_with_the_seed_and_differ_without():
    camera, rig = camera_at(), ring(3)
    walks = [carry_through(rig, BOARD, seconds=4.0, fps=FPS, rng=np.random.default_rng(s)) for s in (1, 1, 2)]
    waves = [wave_at_camera(camera, BOARD, seconds=4.0, fps=FPS, rng=np.random.default_rng(s)) for s in (1, 1, 2)]
    for first, again, other in (walks, waves):
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 0.05
        np.testing.assert_allclose(first[:, :3, :3] @ np.swapaxes(first[:, :3, :3], 1, 2), [np.eye(3)] * 80, atol=1e-12)


def carried(two_sided, seconds=40.0):
    rig = ring()
    path = carry_through(rig, BOARD, seconds=seconds, fps=FPS, rng=np.random.default_rng(3), two_sided=two_sided)
    return rig, path, corners_in_view(rig, BOARD, path, SightConfig(two_sided=two_sided))


@pytest.fixture(scope="module", params=[False, True], ids=["one side", "two sides"])
def carry(request):
    return carried(request.param)


def test_every_pair_of_a_ring_sees_the_carried_board_together(carry):
    rig, _, seen = carry
    shared = shared_frames(seen)
    neighbours = [shared[i, (i + 1) % 5] for i in range(5)]
    across = [shared[i, (i + 2) % 5] for i in range(5)]
    # Over a dozen seeds the least was 130 of 800 frames for neighbours and 24 for cameras 144° apart.
    assert min(neighbours) >= 100
    assert min(across) >= 20
    assert camera_groups(rig, shared) == (rig.names,)


def test_the_carried_board_goes_through_the_shared_space(carry):
    rig, path, _ = carry
    place = middles(path, BOARD)
    assert np.ptp(place[:, 2]) > 0.6
    assert (np.ptp(place[:, :2], axis=0) > 1.2).all()
    assert np.linalg.norm(place[:, None] - rig.centers, axis=-1).min() > 0.5
    assert corners(path, BOARD)[..., 2].min() > 0
    speed = np.linalg.norm(np.diff(place, axis=0), axis=-1) * FPS
    assert speed.max() < 0.6 * 15 / 8 + 0.1
    assert (speed < 0.08).mean() > 0.15


def test_two_printed_sides_show_facing_cameras_more():
    shared = [shared_frames(carried(two_sided, 30.0)[2]) for two_sided in (False, True)]
    one, two = (sum(int(s[i, (i + 2) % 5]) for i in range(5)) for s in shared)
    assert two > 2 * one


def test_two_cameras_that_face_each_other_need_a_back():
    rig = Rig((camera_at(0, 1.0, name="a"), camera_at(180, 1.0, name="b")))
    counts = []
    for two_sided in (False, True):
        path = carry_through(rig, BOARD, seconds=20.0, fps=FPS, rng=np.random.default_rng(0), two_sided=two_sided)
        counts.append(shared_frames(corners_in_view(rig, BOARD, path, SightConfig(two_sided=two_sided)))[0, 1])
    assert counts[1] > 200
    assert counts[0] < counts[1] / 4


def test_pairs_go_round_first_and_then_across():
    pairs = pairs_by_width(ring())
    assert {frozenset(p) for p in pairs[:5]} == {frozenset((i, (i + 1) % 5)) for i in range(5)}
    assert len({frozenset(p) for p in pairs}) == len(pairs) == 10
    row = Rig(tuple(camera_at(a, name=f"c{a}") for a in (10, 60, 110)))
    assert [frozenset(p) for p in pairs_by_width(row)] == [{0, 1}, {1, 2}, {0, 2}]


def test_the_shared_middle_is_where_axes_meet_even_if_they_do_not():
    np.testing.assert_allclose(shared_middle(ring()), [0.1, -0.05, 0.95], atol=0.02)
    side_by_side = Rig(
        tuple(
            camera_looking_at(n, lens_of(), center=[x, -3.0, 1.5], target=[x, 0.0, 1.5])
            for n, x in (("a", -0.5), ("b", 0.5))
        )
    )
    np.testing.assert_allclose(shared_middle(side_by_side), [0.0, 0.0, 1.5], atol=1e-6)


def test_one_camera_shares_nothing():
    with pytest.raises(ConfigError, match="the rig has but one. Wave it at the camera"):
        carry_through(Rig((camera_at(),)), BOARD, seconds=2.0, fps=FPS, rng=np.random.default_rng(0))


def test_a_board_on_the_floor_makes_the_world():
    pose = lie_on_floor(BOARD, thickness_m=0.0)
    np.testing.assert_allclose(pose[:3, 3], 0)
    np.testing.assert_allclose(pose[:3, :3] @ [1, 0, 0], [1, 0, 0])  # the print's top edge is X
    np.testing.assert_allclose(pose[:3, :3] @ [0, 1, 0], [0, -1, 0])  # its rows go towards -Y
    np.testing.assert_allclose(-pose[:3, 2], [0, 0, 1])  # the print looks up
    elsewhere = lie_on_floor(BOARD, position=(0.4, -0.3), heading_rad=np.deg2rad(90), thickness_m=0.003)
    assert np.linalg.det(elsewhere[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(elsewhere[:3, 3], [0.4, -0.3, 0.003])
    np.testing.assert_allclose(elsewhere[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    slab = board_thing(BOARD, elsewhere, BoardSheet(thickness_m=0.003)).vertices
    assert slab[:, 2].min() == pytest.approx(0, abs=1e-7)
    assert slab[:, 2].max() == pytest.approx(0.003)


def test_a_path_between_its_frames():
    path = carry_through(ring(3), BOARD, seconds=3.0, fps=60.0, rng=np.random.default_rng(6))
    coarse = path[::2]
    np.testing.assert_allclose(poses_at(coarse, 30.0, np.arange(30) / 30), coarse[:30], atol=1e-12)
    between = poses_at(coarse, 30.0, np.arange(89) / 60)
    np.testing.assert_allclose(between[:, :3, 3], path[:89, :3, 3], atol=3e-4)  # tremor is 1.2 mm of 0.12 s
    turn = Rotation.from_matrix(np.swapaxes(between[:, :3, :3], 1, 2) @ path[:89, :3, :3]).magnitude()
    assert np.rad2deg(turn).max() < 0.15
    np.testing.assert_allclose(poses_at(path, 60.0, np.array([-1.0, 99.0])), path[[0, -1]], atol=1e-12)
    still = lie_on_floor(BOARD)[None]
    np.testing.assert_array_equal(poses_at(still, 30.0, np.array([0.0, 2.0])), np.repeat(still, 2, axis=0))


def test_corners_are_seen_from_the_front_inside_the_picture_and_large_enough():
    camera = camera_looking_at("a", lens_of(), center=[0.0, -2.0, 1.0], target=[0.0, 0.0, 1.0])
    rig = Rig((camera,))
    facing = np.eye(4)
    facing[:3, :3] = camera.cam_from_world.R.T
    facing[:3, 3] = [0.0, 0.0, 1.0] - facing[:3, :3] @ board_middle(BOARD)
    behind, aside, turned = facing.copy(), facing.copy(), facing.copy()
    behind[:3, :3] = facing[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    behind[:3, 3] = [0.0, 0.0, 1.0] - behind[:3, :3] @ board_middle(BOARD)
    aside[0, 3] += 3.0
    turned[:3, :3] = facing[:3, :3] @ Rotation.from_euler("y", 70, degrees=True).as_matrix()
    poses = np.stack([facing, behind, aside, turned])
    assert corners_in_view(rig, BOARD, poses).tolist() == [[12, 0, 0, 0]]
    assert corners_in_view(rig, BOARD, poses, SightConfig(two_sided=True)).tolist() == [[12, 12, 0, 0]]
    side = camera.intrinsics.K[0, 0] * 0.07 / 2.0
    np.testing.assert_allclose(square_px(rig, BOARD, poses[[0, 1]]), [[side, -side]])
    assert corners_in_view(rig, BOARD, poses, SightConfig(min_square_px=0.97 * side))[0, 0] == 12
    assert corners_in_view(rig, BOARD, poses, SightConfig(min_square_px=1.01 * side))[0, 0] == 0


def test_cameras_that_never_share_a_view_are_named_apart():
    rig = ring(4)
    seen = np.array([[9, 9, 0, 0], [9, 9, 0, 0], [0, 0, 9, 5], [0, 0, 9, 9]]).repeat(4, axis=1)
    shared = shared_frames(seen)
    assert shared[0].tolist() == [8, 8, 0, 0]
    assert shared[2, 3] == 4
    assert camera_groups(rig, shared, 5) == (("c0", "c1"), ("c2",), ("c3",))
    assert camera_groups(rig, shared, 4) == (("c0", "c1"), ("c2", "c3"))
