"""Guides on a board waved before synthetic cameras: they say the true thing, and stop where calibration has enough."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.camera import Camera, Intrinsics
from calibration.detection import SeenCorners
from calibration.intrinsics_verdict import WANTED_VIEWS
from calibration.quality_verdicts import SHARED_MOMENTS
from calibration.synthetic import camera_looking_at
from mocap.capture.board_graph import joined_by, shared_enough, shared_views, weakest_link
from mocap.capture.focus import BLURRED, BRIGHT, DARK, FocusMeter
from mocap.capture.guides import ENOUGH, SHOW_THE_BOARD, IntrinsicsGuide
from mocap.capture.guides_extrinsics import ExtrinsicsGuide
from mocap.capture.guides_floor import HANDS_OFF, LAY_IT, FloorGuide
from mocap.capture.guides_views import BoardFinder, CollectedView
from mocap.synthetic.board_paths import lie_on_floor
from waving_worlds import BOARD, picture_of_board, waved

SIZE = (640, 360)
FOCAL = 520.0


@pytest.fixture(scope="module")
def camera() -> Camera:
    return _camera("cam1", 0.0)


def _camera(name: str, angle: float) -> Camera:
    lens = Intrinsics(SIZE, np.array([[FOCAL, 0, 322], [0, FOCAL, 177], [0, 0, 1.0]]), np.zeros(5))
    center = (1.6 * np.cos(angle), 1.6 * np.sin(angle), 1.2)
    return camera_looking_at(name, lens, center=center, target=(0.0, 0.0, 0.9))


@pytest.fixture(scope="module")
def waved_pictures(camera) -> list[np.ndarray]:
    """15 s at two pictures a second."""
    return [picture_of_board(camera, pose) for pose in waved(camera, seconds=15.0, fps=2.0)]


def test_a_guide_without_a_board_asks_for_it(camera):
    guide = IntrinsicsGuide(BOARD, SIZE)
    guide.update(picture_of_board(camera, None), 0.0)
    guide.improve()
    assert guide.state.hint == SHOW_THE_BOARD
    assert not guide.state.done
    assert guide.state.share == 0.0
    assert guide.state.corners is None


def test_a_guide_stops_when_the_lens_is_known(waved_pictures):
    """The focal length is then within what the calibration calls good, and the share never fell back to the start."""
    guide, ended = IntrinsicsGuide(BOARD, SIZE), None
    for i, image in enumerate(waved_pictures):
        guide.update(image, i / 2)
        if i in (23, 29):
            guide.improve()
        if guide.state.done:
            ended = i
            break
    assert ended is not None
    state = guide.state
    assert state.hint == ENOUGH
    assert state.share == 1.0
    assert state.verdict == "good"
    assert state.views >= WANTED_VIEWS
    assert len(state.tilts) == len(state.distances) >= WANTED_VIEWS
    assert state.cells.sum() > WANTED_VIEWS * 6
    result = guide.result("cam1")
    assert result is not None
    assert result.camera == "cam1"
    assert abs(result.intrinsics.K[0, 0] - FOCAL) < 5 * result.std["fx"] + 0.005 * FOCAL


def test_the_same_view_again_and_again_is_one_view(waved_pictures):
    guide = IntrinsicsGuide(BOARD, SIZE)
    for i in range(6):
        guide.update(waved_pictures[4], i / 4)
    guide.improve()
    assert guide.state.views == 1
    assert not guide.state.done


def test_corners_of_a_smaller_picture_are_those_of_the_full_one(camera, waved_pictures):
    """A third of a pixel of the small picture is what its detector is good to."""
    full = BoardFinder(BOARD, 640).find(waved_pictures[2], SIZE)
    small = BoardFinder(BOARD, 400).find(waved_pictures[2], SIZE)
    assert full is not None
    assert small is not None
    both = np.intersect1d(full.ids, small.ids)
    off = full.xy[np.isin(full.ids, both)] - small.xy[np.isin(small.ids, both)]
    assert len(both) > 10
    assert np.linalg.norm(off, axis=1).max() < 0.33 * 640 / 400 * 2
    assert np.abs(off.mean(axis=0)).max() < 0.15  # a shift of half a pixel of either picture would be 0.3


def test_two_cameras_that_share_views_are_tied_together():
    """Both see one board; a third sees nothing and is named."""
    cameras = [_camera("a", 0.0), _camera("b", 0.5), _camera("c", np.pi)]
    guide = ExtrinsicsGuide(BOARD, ("a", "b", "c"))
    for i, pose in enumerate(waved(cameras[0], seconds=4.0, fps=2.0)):
        guide.update({c.name: picture_of_board(c, pose if c.name != "c" else None) for c in cameras}, i / 2)
    guide.improve()
    state = guide.state
    assert state.shared_views[0, 1] == state.shared_views[1, 0] > 2
    assert state.shared_views[0, 2] == state.shared_views[2, 2] == 0
    assert not state.connected
    assert not state.done
    assert state.weakest is not None
    assert "c" in state.weakest
    assert "c" in state.hint
    assert set(state.corners) <= {"a", "b"}


def _view(camera: int, moment: int) -> CollectedView:
    return CollectedView(
        camera, moment, float(moment), SeenCorners(np.zeros(0, int), np.zeros((0, 2)), mirrored=False), np.zeros(6)
    )


def test_shared_views_count_moments_of_pairs_and_of_cameras_with_any_other():
    views = [_view(0, 0), _view(1, 0), _view(0, 1), _view(1, 1), _view(2, 1), _view(2, 2)]
    assert shared_views(views, 3).tolist() == [[2, 2, 1], [2, 2, 1], [1, 1, 1]]
    assert shared_views([], 2).tolist() == [[0, 0], [0, 0]]


def test_the_weakest_link_is_that_of_the_best_tree():
    """a-b 9, b-c 8, a-c 1, c-d 2, a-d 1: d hangs on c."""
    shared = np.array([[9, 9, 1, 1], [9, 9, 8, 0], [1, 8, 8, 2], [1, 0, 2, 2]])
    assert weakest_link(shared) == (2, 3)
    assert weakest_link(np.array([[3]])) is None


def test_joined_cameras_need_pairs_of_enough_moments():
    chain = np.diag([9] * 5)
    for i in range(4):
        chain[i, i + 1] = chain[i + 1, i] = 5
    assert joined_by(chain, 5).all()
    assert not joined_by(chain, 6)[0, 4]
    assert not shared_enough(chain)
    assert shared_enough(np.where(np.eye(5, dtype=bool), SHARED_MOMENTS[0], chain))


def test_a_still_board_is_enough_for_the_floor_and_a_moved_one_is_not():
    camera = camera_looking_at("cam1", _camera("cam1", 0.0).intrinsics, center=(1.3, 0.0, 1.2), target=(0.0, 0.0, 0.0))
    guide = FloorGuide(BOARD, ("cam1",))
    guide.update({"cam1": picture_of_board(camera, None)}, 0.0)
    assert guide.state.hint == LAY_IT
    lying = lie_on_floor(BOARD, position=(-0.2, 0.2), thickness_m=0.0)
    still = picture_of_board(camera, lying)
    for i in range(5):
        guide.update({"cam1": still}, 0.25 * i)
    assert guide.state.hint == HANDS_OFF
    assert not guide.state.done
    guide.update({"cam1": still}, 1.3)
    assert guide.state.done
    assert guide.state.cameras == ("cam1",)
    moved = picture_of_board(camera, lie_on_floor(BOARD, position=(-0.1, 0.2), thickness_m=0.0))
    guide.update({"cam1": moved}, 1.6)
    assert not guide.state.done
    assert guide.state.still_s == 0.0


def test_the_meter_tells_of_darkness_glare_and_blur(waved_pictures):
    meter, sharp = FocusMeter(), waved_pictures[3]
    assert meter.update(sharp).sentence == ""
    assert meter.update(sharp).sharpness > 0.98
    soft = np.repeat(np.repeat(sharp[4::8, 4::8], 8, axis=0), 8, axis=1)
    box = np.ones(9) / 9
    soft = np.apply_along_axis(lambda row: np.convolve(row, box, mode="same"), 1, soft[..., 0].astype(float))
    soft = np.apply_along_axis(lambda column: np.convolve(column, box, mode="same"), 0, soft)
    assert meter.update(soft.astype(np.uint8)).sentence == BLURRED
    assert meter.update((sharp * 0.1).astype(np.uint8)).sentence == DARK
    glare = sharp.copy()
    glare[:, :120] = 255
    assert meter.update(glare).sentence == BRIGHT
    nothing = meter.update(np.full_like(sharp, 90))
    assert (nothing.sentence, nothing.sharpness) == ("", 1.0), "a wall is not out of focus"
