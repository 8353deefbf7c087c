"""Worlds of rigs: from a board on the floor, a moment, a known length, a person, or the way cameras are held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration import CalibrationError, Intrinsics, Rig, RigidTransform
from calibration.board_motion import BoardMotion
from calibration.boards import CharucoBoard
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, camera_looking_at, observe_board, ring, waved_board
from calibration.transforms import rotvec_to_matrix
from calibration.world_cameras import from_upright_cameras
from calibration.world_frame import FloorConfig, WorldFrame, apply, from_floor_board, from_known_distance, from_moment
from calibration.world_person import from_standing_person

BOARD = CharucoBoard(5, 7, 0.1, 0.075)
LENS = Intrinsics(
    (1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])
)
TRUE = ring(4, LENS, target=(0.1, -0.2, 0.6))
GAUGE = TRUE.cameras[0].cam_from_world
HEADING = 0.7
ORIGIN = np.array([0.3, -0.4, 0.0])


def in_first_camera(rig: Rig) -> Rig:
    """The rig as a calibration leaves it."""
    return WorldFrame(GAUGE, 1.0, "the first camera").of_rig(rig)


RIG = in_first_camera(TRUE)


def lying(n_moments: int = 10, height: float = 0.0, *, face_down: bool = False) -> BoardMotion:
    """The board on the floor, print up: its y runs towards its reader, down the page."""
    c, s = np.cos(HEADING), np.sin(HEADING)
    R = np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])
    if face_down:
        R = R @ np.diag([1.0, -1.0, -1.0])
    still = np.zeros((n_moments, 3))
    R, t = np.tile(R, (n_moments, 1, 1)), np.tile(ORIGIN + [0, 0, height], (n_moments, 1))
    return BoardMotion(np.arange(n_moments), np.arange(n_moments) / 10, R, t, still, still)


def seen(motion: BoardMotion, rig: Rig = TRUE, **seeing) -> BoardObservations:
    return observe_board(rig, motion, BOARD.corners, Seeing(**seeing), np.random.default_rng(1))


def world_of(frame: WorldFrame) -> RigidTransform:
    """Found world from true world."""
    assert frame.scale == 1.0
    return frame.world_from_rig @ GAUGE


def expected_world() -> RigidTransform:
    """x along the board's x, at the board's origin."""
    R = rotvec_to_matrix(np.array([0.0, 0.0, -HEADING]))
    return RigidTransform(R, -R @ ORIGIN)


def test_a_board_on_the_floor_is_the_floor():
    it = seen(lying(), noise_px=0.0)
    frame = from_floor_board(RIG, it)
    np.testing.assert_allclose(world_of(frame).matrix, expected_world().matrix, atol=1e-7)
    rig = apply(RIG, frame)
    np.testing.assert_allclose(rig.centers[:, 2], TRUE.centers[:, 2], atol=1e-7)
    assert frame.how == f"from the board on the floor ({it.n_views} pictures, cam01, cam02, cam03, cam04)"


def test_the_pictures_of_a_moved_rig_are_the_same():
    frame = from_floor_board(RIG, seen(lying()))
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    before = RIG.project(GAUGE.apply(points))
    np.testing.assert_allclose(frame.of_rig(RIG).project(frame.of_points(GAUGE.apply(points))), before, atol=1e-8)


def test_noise_tilts_the_floor_by_as_much_as_is_said():
    rng = np.random.default_rng(5)
    tilts, said = [], []
    for _ in range(25):
        it = observe_board(TRUE, lying(1), BOARD.corners, Seeing(noise_px=0.4), rng)
        frame = from_floor_board(RIG, it)
        up = world_of(frame).R[2]
        tilts.append(np.hypot(up[0], up[1]))
        said.append(frame.tilt_std)
    # tilt_std is that of the worse direction of two: the rms of both together lies between it and 1.41 times it.
    ratio = np.sqrt(np.mean(np.square(tilts))) / np.mean(said)
    # 25 samples of two squares are known to 1 / sqrt(50): four of those.
    assert 1.0 * (1 - 0.57) < ratio < 1.42 * (1 + 0.57)
    assert np.mean(said) < np.radians(0.3)


def test_the_print_lies_above_the_floor_by_the_thickness():
    frame = from_floor_board(RIG, seen(lying(height=0.012), noise_px=0.0), config=FloorConfig(thickness_m=0.012))
    np.testing.assert_allclose(world_of(frame).matrix, expected_world().matrix, atol=1e-7)


def test_the_back_of_a_two_sided_board_may_lie_up():
    frame = from_floor_board(RIG, seen(lying(face_down=True), noise_px=0.0, two_sided=True))
    world = world_of(frame)
    np.testing.assert_allclose(world.R[2], [0, 0, 1], atol=1e-7)
    assert (frame.of_rig(RIG).centers[:, 2] > 1).all()
    np.testing.assert_allclose(world.apply(ORIGIN), 0, atol=1e-7)


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ("middle", ORIGIN + rotvec_to_matrix(np.array([0.0, 0, HEADING])) @ [0.25, -0.35, 0]),
        ("cameras", TRUE.centers.mean(axis=0) * [1, 1, 0]),
    ],
)
def test_origins(origin, place):
    frame = from_floor_board(RIG, seen(lying(), noise_px=0.0), config=FloorConfig(origin=origin))
    np.testing.assert_allclose(world_of(frame).apply(place), 0, atol=1e-7)


def test_heading_away_from_the_first_camera():
    frame = from_floor_board(RIG, seen(lying(), noise_px=0.0), config=FloorConfig(heading="away"))
    x = frame.of_rig(RIG).cameras[0].cam_from_world.R[2]
    assert x[1] == pytest.approx(0, abs=1e-7)
    assert x[0] > 0


def test_one_camera_is_enough_for_a_large_board():
    it = seen(lying(), noise_px=0.2).of_cameras(["cam02"])
    frame = from_floor_board(RIG, it)
    up = world_of(frame).R[2]
    assert np.arccos(up[2]) < 5 * frame.tilt_std
    assert "cam02" in frame.how


def test_one_camera_and_a_small_board_is_doubtful():
    small = CharucoBoard(4, 5, 0.03, 0.02)
    motion = lying(6)
    it = observe_board(TRUE, motion, small.corners, Seeing(noise_px=0.5, min_square_px=2.0), np.random.default_rng(3))
    frame = from_floor_board(RIG, it.of_cameras(["cam03"]))
    assert any("Only cam03 saw the board" in s and "two tilts" in s for s in frame.sentences)
    assert any("lay the board where more cameras see it, and larger" in s for s in frame.sentences)


def test_where_the_board_lay_longest_counts():
    motion = lying(20)
    t, R = motion.t.copy(), motion.R.copy()
    t[:6] += np.linspace(0.8, 0.1, 6)[:, None] * [0.2, 0.1, 1.0]
    R[:6] = rotvec_to_matrix(np.array([0.3, 0.2, 0.0])) @ R[:6]
    it = seen(replace(motion, t=t, R=R), noise_px=0.0)
    frame = from_floor_board(RIG, it)
    np.testing.assert_allclose(world_of(frame).matrix, expected_world().matrix, atol=1e-6)
    still = int((it.view_moment >= 6).sum())
    assert any(
        f"did not lie still, or not all cameras show it in one place: {still} of {it.n_views} pictures" in s
        for s in frame.sentences
    )


def test_clips_of_the_floor_need_not_be_taken_at_once():
    it = seen(lying(20), noise_px=0.3)
    apart = it.of_views(it.view_moment // 5 == it.view_camera)
    assert all(len(set(apart.view_camera[apart.view_moment == m])) == 1 for m in apart.view_moment)
    one, two = from_floor_board(RIG, it), from_floor_board(RIG, apart)
    assert one.tilt_std == pytest.approx(two.tilt_std, rel=0.2)
    assert len(two.sentences) == 1
    turn = (one.world_from_rig @ two.world_from_rig.inverse()).rotvec
    assert np.linalg.norm(turn[:2]) < 3 * two.tilt_std


def test_a_camera_that_was_moved_since_shows_the_board_elsewhere():
    cameras = list(RIG.cameras)
    off = RigidTransform(rotvec_to_matrix(np.array([0.0, 0.05, 0.0])), np.zeros(3))
    cameras[3] = replace(cameras[3], cam_from_world=off @ cameras[3].cam_from_world)
    frame = from_floor_board(Rig(tuple(cameras)), seen(lying(), noise_px=0.0))
    np.testing.assert_allclose(world_of(frame).matrix, expected_world().matrix, atol=1e-6)
    assert "Where cam04 saw the board, it did not lie for the others." in frame.sentences


def test_moments_can_be_chosen():
    motion = lying(20)
    t = motion.t.copy()
    t[:15, 2] = 0.5
    it = seen(replace(motion, t=t), noise_px=0.0)
    frame = from_floor_board(RIG, it, moments=[16, 17])
    np.testing.assert_allclose(world_of(frame).matrix, expected_world().matrix, atol=1e-7)
    frame = from_moment(RIG, motion.moved(GAUGE), 3, BOARD.corners)
    np.testing.assert_allclose(world_of(frame).matrix, expected_world().matrix, atol=1e-9)


def test_a_board_above_a_camera_is_no_floor():
    low = Rig((*TRUE.cameras, camera_looking_at("low", LENS, center=(3.0, 3.0, 0.2), target=(0.0, 0.0, 0.5))))
    frame = from_floor_board(in_first_camera(low), seen(lying(height=0.5), noise_px=0.0))
    assert any("Camera low is below the floor" in s for s in frame.sentences)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_moment(RIG, lying(), 99, BOARD.corners), r"no pose at moment 99.*\(0 to 9\)"),
        (lambda: from_floor_board(RIG, seen(lying()), moments=[500]), "no camera saw enough of the board on the floor"),
        (
            lambda: from_floor_board(RIG.subset(["cam01"]), seen(lying()).of_cameras(["cam02"])),
            "seen by cam02, none of them in the rig",
        ),
        (lambda: from_moment(RIG, lying(), 1, BOARD.corners, config=FloorConfig(thickness_m=-1.0)), "thickness"),
        (lambda: from_known_distance(np.zeros((3, 2, 3)), -1), "known distance of -1 m"),
        (lambda: from_known_distance(np.full((3, 2, 3), np.nan), 1.0), "never found together"),
        (lambda: from_standing_person(RIG, np.full((9, 3), np.nan), np.zeros((9, 2, 3))), "at 0 moments, 5 are needed"),
        (lambda: from_standing_person(RIG, *person(), body_height_m=-1.0), "body height"),
    ],
)
def test_what_gives_no_world_is_said(call, message):
    with pytest.raises(CalibrationError, match=message):
        call()


def test_a_known_distance_sets_the_scale():
    rng = np.random.default_rng(2)
    one = rng.uniform(-1, 1, (40, 3))
    direction = rng.normal(size=(40, 3))
    two = one + 0.25 * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    ends = np.stack([one, two], axis=1) + rng.normal(0, 1e-3, (40, 2, 3))
    ends[3] = np.nan
    ends[7, 1] += 1.0
    frame = from_known_distance(ends, 0.5)
    # A distance scatters by 1.4 mm; the median of 39 of them by 1.25 / sqrt(39) of it, 0.3 mm of 250.
    assert frame.scale == pytest.approx(2.0, rel=5 * 0.0003 / 0.25)
    assert "39 moments" in frame.sentences[0]
    rig = apply(RIG, frame)
    np.testing.assert_allclose(rig.centers, RIG.centers * frame.scale, atol=1e-12)
    np.testing.assert_allclose(rig.project(2 * one[:5] * frame.scale / 2), RIG.project(one[:5]), atol=1e-8)


def test_frames_follow_each_other():
    scaled = from_known_distance(np.array([[[0.0, 0, 0], [0.5, 0, 0]]] * 5), 1.0)
    turned = WorldFrame(RigidTransform(rotvec_to_matrix(np.array([0.1, 0.2, 0.3])), np.ones(3)), 1.5, "a turn")
    both = turned.after(scaled)
    points = np.random.default_rng(0).normal(size=(6, 3))
    np.testing.assert_allclose(both.of_points(points), turned.of_points(scaled.of_points(points)), atol=1e-12)
    expected = turned.of_rig(scaled.of_rig(RIG))
    for one, two in zip(both.of_rig(RIG), expected, strict=True):
        np.testing.assert_allclose(one.cam_from_world.matrix, two.cam_from_world.matrix, atol=1e-12)
    assert both.how == "scale from a known distance; a turn"
    motion = lying(3)
    R, t = both.of_motion(motion).at(motion.moment, motion.time_s)
    np.testing.assert_allclose(t, both.of_points(motion.t), atol=1e-12)
    np.testing.assert_allclose(R, turned.world_from_rig.R @ motion.R, atol=1e-12)


def person(lean: float = 0.01, *, walks: bool = False, n: int = 150, seed: int = 0):
    """Head (1.7 m) and two soles in the rig's axes, 15 mm of noise, a crouch in the middle, some moments unseen."""
    rng = np.random.default_rng(seed)
    at = np.zeros((n, 3))
    at[:, :2] = [0.4, 0.2]
    if walks:
        at[:, 0], at[:, 1] = 1.2 * np.sin(np.arange(n) / 20), 1.2 * np.cos(np.arange(n) / 33)
    feet = at[:, None] + [[0.0, 0.1, 0.0], [0.0, -0.1, 0.0]]
    if walks:
        feet[np.arange(n), np.arange(n) // 8 % 2, 2] += 0.12
    head = at + [1.7 * np.sin(lean), 0.0, 1.7]
    head[n // 2 : n // 2 + 30, 2] = 1.1
    feet, head = feet + rng.normal(0, 0.015, feet.shape), head + rng.normal(0, 0.015, head.shape)
    head[:10], feet[20:25] = np.nan, np.nan
    return GAUGE.apply(head), GAUGE.apply(feet)


def test_a_person_stands_upright_on_the_floor():
    frame = from_standing_person(RIG, *person())
    world = world_of(frame)
    tilt = np.arccos(world.R[2, 2])
    assert tilt < 2 * frame.tilt_std
    assert tilt == pytest.approx(0.01, abs=0.005)
    # The lower of two soles: 0.56 sigma below the floor.
    assert world.apply(np.array([0.4, 0.2, 0.0]))[2] == pytest.approx(0.0085, abs=0.006)
    assert np.linalg.norm(world.apply(np.array([0.4, 0.2, 0.0]))[:2]) < 0.02
    assert "good to about" in frame.sentences[0]


def test_ankles_are_above_the_floor():
    low, high = (from_standing_person(RIG, *person(), foot_height_m=h) for h in (0.0, 0.08))
    point = RIG.centers[2]
    assert high.of_points(point)[2] - low.of_points(point)[2] == pytest.approx(0.08, abs=1e-9)


def test_steps_level_the_floor_better_than_a_leaning_body():
    head, feet = person(0.06, walks=True)
    frame = from_standing_person(RIG, head, feet)
    tilt = np.arccos(world_of(frame).R[2, 2])
    assert tilt < 0.015, "the body leans by 0.06"
    assert "that of the steps" in frame.sentences[0]


def test_a_body_height_sets_the_scale():
    head, feet = person()
    frame = from_standing_person(RIG, head / 2, feet / 2, body_height_m=1.7)
    assert frame.scale == pytest.approx(2.0, rel=0.01)
    world = frame.of_points(GAUGE.apply(np.array([0.4, 0.2, 1.7])) / 2)
    np.testing.assert_allclose(world, [0, 0, 1.7], atol=0.05)


def test_cameras_held_upright_are_a_guess():
    motion = waved_board(BOARD.corners, n_moments=60, fps=6, rng=np.random.default_rng(0))
    lowest = (motion.t[:, None] + BOARD.corners @ np.swapaxes(motion.R, -1, -2))[..., 2].min()
    frame = from_upright_cameras(RIG, motion.moved(GAUGE), BOARD.corners)
    world = world_of(frame)
    np.testing.assert_allclose(world.R[2], [0, 0, 1], atol=1e-7)
    assert frame.of_rig(RIG).centers[:, 2] == pytest.approx(2.0 - lowest, abs=1e-7)
    assert "guesses" in frame.sentences[0]
    same_way = Rig(
        tuple(camera_looking_at(f"c{i}", LENS, center=(i, -3.0, 1.0), target=(i, 0.0, 1.0)) for i in (0.0, 1.0, 2.0))
    )
    with pytest.raises(CalibrationError, match="look the same way.*Lay the board on the floor"):
        from_upright_cameras(same_way, motion, BOARD.corners)
