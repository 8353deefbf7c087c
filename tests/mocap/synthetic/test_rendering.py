"""Pictures against what geometry says; the worlds are lit evenly unless shadows are the question."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("open3d", reason="rays are cast by open3d")

import cv2
from rendered_worlds import LENSES, ball, block, camera, empty_room, moved

from calibration.boards import CharucoBoard
from calibration.synthetic import camera_looking_at
from calibration.transforms import rotvec_to_matrix
from mocap.synthetic.board_surface import BoardSheet, board_thing
from mocap.synthetic.rendering import renderer as renderer_module
from mocap.synthetic.rendering.renderer import RenderConfig, Renderer, sampling

PLACES = np.array([[0.0, 0.0, 1.0], [0.45, 0.2, 1.5], [-0.5, -0.3, 0.6]])


def centroid(image):
    weight = image.sum(-1).astype(np.float64)
    y, x = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("lens", LENSES)
def test_a_ball_shows_where_the_camera_projects_it(lens):
    """In a black room under even light the ball's picture is a uniform disc. Its centroid is off by the perspective of
    a sphere, f (r / d)² tan(angle) = 170 (0.05 / 2.8)² 0.3 = 0.016 px, and by four rays per pixel of its rim:
    0.25 px / sqrt(20 px of rim x 4) = 0.03 px."""
    render = Renderer(camera(lens), empty_room())
    thing = ball((0, 0, 0))
    for place in PLACES:
        seen = centroid(render.render([[moved(thing, place)]]).image)
        assert np.abs(seen - render.camera.project(place)).max() < 0.1


@pytest.mark.parametrize("lens", LENSES)
def test_a_boards_corners_show_where_the_camera_projects_them(lens):
    board = CharucoBoard(4, 5, 0.14, 0.07, "DICT_4X4_50")
    pose = np.eye(4)
    pose[:3, :3] = rotvec_to_matrix(np.array([0.0, 0.35, 0.0])) @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    pose[:3, 3] = [-0.25, 0.0, 1.35]
    view = camera(lens, center=(0.2, -1.0, 1.1))
    image = Renderer(view, empty_room()).render([[board_thing(board, pose, BoardSheet(gloss=0.0))]]).image
    true = view.project(board.corners @ pose[:3, :3].T + pose[:3, 3])
    grey = np.clip(image[..., 1] * 400, 0, 255).astype(np.uint8)
    size = np.array(view.intrinsics.image_size)
    inside = ((true > 8) & (true < size - 9)).all(-1)
    assert inside.sum() >= 6
    start = true[inside, None].astype(np.float32)
    found = cv2.cornerSubPix(grey, start, (3, 3), (-1, -1), (3, 30, 0.001))[:, 0]
    error = found - true[inside]
    assert np.linalg.norm(error, axis=-1).max() < 0.1


def test_depth_is_that_of_the_geometry():
    view = camera("distorted")
    rendered = Renderer(view, empty_room(), [block((-0.2, 0.6, 0.0), (0.3, 0.9, 1.2))]).render([[ball((0, 0, 1), 0.2)]])
    for point in ([0.1, 0.6, 0.4], [1.0, 0.5, 0.0], [-0.6, 4.0, 1.5]):  # on the block, the floor, the wall
        x, y = np.round(view.project(np.array(point))).astype(int)
        ray = view.ray(np.array([x, y], dtype=np.float64))
        axis = int(np.argmin([abs(point[1] - 0.6), abs(point[2]), abs(point[1] - 4)]))
        distance = (point[[1, 2, 1][axis]] - view.center[[1, 2, 1][axis]]) / ray[[1, 2, 1][axis]]
        depth = distance * (ray @ view.cam_from_world.R[2])
        assert rendered.depth_m[y, x] == pytest.approx(depth, abs=1e-4)  # float32: 4 m x 6e-8, and as much per step
    x, y = np.round(view.project(np.array([0.0, 0, 1]))).astype(int)
    assert rendered.thing[y, x] == 0
    toward = np.linalg.norm(view.center - [0, 0, 1]) - 0.2
    assert rendered.depth_m[y, x] == pytest.approx(
        toward, abs=0.01
    )  # a pixel at 3 m is 18 mm: r - sqrt(r² - 9²) = 0.2 mm


def test_furniture_in_front_hides_what_moves():
    view = camera(center=(0.0, -3.0, 1.0), target=(0.0, 0.0, 1.0))
    render = Renderer(view, empty_room(walls=0.2), [block((-0.6, -0.8, 0.0), (0.0, -0.7, 2.0))])
    empty = render.render([])
    rendered = render.render([[ball((0.0, 0.0, 1.0), 0.3)]])
    edge = round(float(view.project(np.array([0.0, -0.8, 1.0]))[0]))
    assert (rendered.thing[:, : edge - 1] == -1).all()
    np.testing.assert_array_equal(rendered.depth_m[:, : edge - 1], empty.depth_m[:, : edge - 1])
    assert (rendered.thing == 0).sum() > 300  # half of a disc of 17 px radius
    change = np.abs(rendered.image[:, : edge - 2] - empty.image[:, : edge - 2])
    assert np.median(change) < 0.02 * np.median(empty.image)  # but for the shade that the ball throws


def test_shadows_fall_where_geometry_says():
    """The lamp is 3 m above the origin: a ball at height 1.5 and 0.4 aside throws its shadow 0.8 aside."""
    view = camera(center=(0.0, -3.0, 2.5), target=(0.4, 0.0, 0.0))
    render = Renderer(view, empty_room(lamp=True, walls=0.5))
    before = render.render([]).image
    after = render.render([[ball((0.4, 0.0, 1.5), 0.15)]])
    kept = np.where(after.thing == -1, after.image[..., 1] / before[..., 1], 1.0)
    x, y = np.round(view.project(np.array([0.8, 0.0, 0.0]))).astype(int)
    assert kept[y, x] < 0.5
    x, y = np.round(view.project(np.array([-0.8, 0.0, 0.0]))).astype(int)
    assert kept[y, x] == 1
    assert np.linalg.norm(centroid((1 - np.clip(kept, 0, 1))[..., None]) - view.project(np.array([0.8, 0, 0]))) < 2


def test_one_thing_shades_another():
    view = camera(center=(0.0, -3.0, 1.0), target=(0.0, 0.0, 1.0))
    render = Renderer(view, empty_room(lamp=True))
    low, high = ball((0.0, 0.0, 0.8), 0.2), ball((0.0, 0.0, 1.6), 0.3)
    alone, both = render.render([[low]]).image, render.render([[low, high]]).image
    x, y = np.round(view.project(np.array([0.0, -0.1, 0.9]))).astype(int)
    assert both[y, x, 1] < 0.3 * alone[y, x, 1]


def test_motion_is_blurred_along_its_way():
    view = camera(center=(0.0, -3.0, 1.0), target=(0.0, 0.0, 1.0))
    render = Renderer(view, empty_room())
    thing, sharp = ball((0.0, 0.0, 1.0), 0.12), []
    still = render.render([[thing]] * 3).image.sum(-1)
    blurred = render.render([[moved(thing, (shift, 0, 0))] for shift in (-0.1, 0.0, 0.1)]).image.sum(-1)
    for image in (still, blurred):
        y, x = np.nonzero(image > 0.05 * image.max())
        sharp.append((np.ptp(x), np.ptp(y)))
    px_per_m = 170 / 3
    assert sharp[1][0] - sharp[0][0] == pytest.approx(0.2 * px_per_m, abs=2)
    assert abs(sharp[1][1] - sharp[0][1]) <= 1
    assert blurred.sum() == pytest.approx(still.sum(), rel=0.03)  # light is spread, not lost


def test_what_does_not_move_is_the_same_inside_and_outside_of_the_tiles_that_are_drawn(monkeypatch):
    view = camera()
    render = Renderer(view, empty_room(lamp=True, walls=0.5), [block((0.3, 0.4, 0), (0.8, 0.9, 0.8))])
    things = [[ball((0.0, 0.0, 1.0), 0.2)]]
    usual = render.render(things)
    monkeypatch.setattr(renderer_module, "covered_pixels", lambda m, t, c, sees: np.flatnonzero(sees))
    full = render.render(things)
    np.testing.assert_array_equal(usual.thing, full.thing)
    assert np.abs(usual.image - full.image).max() < 1 / 255


def test_a_thing_looks_alike_whether_it_stands_or_moves():
    """The background is lit pixel by pixel, moving things on nodes 4 cm apart."""
    view = camera(center=(1.2, -2.4, 1.6), target=(0.4, 0.0, 0.4))
    room, thing = empty_room(lamp=True, walls=0.4), block((0.2, -0.2, 0.0), (0.8, 0.4, 0.7))
    stands = Renderer(view, room, [thing]).render([]).image
    moves = Renderer(view, room).render([[thing]])
    inside = cv2.erode((moves.thing == 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert inside.sum() > 500
    difference = np.abs(stands - moves.image)[inside]
    assert np.median(difference) < 0.05 * stands[inside].mean()
    assert np.abs(stands - moves.image)[moves.thing == -1].mean() < 0.03 * stands.mean()


def test_the_same_seed_gives_the_same_picture_and_another_one_another():
    view, room, things = camera(), empty_room(lamp=True, walls=0.5), [[ball((0, 0, 1), 0.2)]]
    first, again, other = (Renderer(view, room, seed=seed).render(things).image for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0
    assert np.abs(first - other).mean() < 0.01 * first.mean()


def test_a_glossy_board_mirrors_the_lamp_and_a_matt_one_does_not():
    """A sheet on the floor that shows the lamp to the camera, as a mirror would."""
    board, pose = CharucoBoard(4, 5, 0.1, 0.07, "DICT_4X4_50"), np.diag([1.0, -1, -1, 1])
    pose[:3, 3] = [-0.2, -1.25, 0.02]
    view = camera(center=(0.0, -3.0, 3.0), target=(0.0, -1.5, 0.0))
    render = Renderer(view, empty_room(lamp=True))
    matt, glossy = (render.render([[board_thing(board, pose, BoardSheet(gloss=g))]]).image for g in (0.0, 1.0))
    x, y = np.round(view.project(np.array([0.0, -1.5, 0.02]))).astype(int)
    assert glossy[y, x, 1] > matt[y, x, 1] + 1
    x, y = np.round(view.project(np.array([0.15, -1.7, 0.02]))).astype(int)
    assert glossy[y, x, 1] < matt[y, x, 1] + 0.5


def test_what_the_lens_does_not_image_is_black():
    """r = f (t - 0.1 t³) folds at 105 degrees, 110 px from the centre."""
    intrinsics = replace(LENSES["fisheye"], distortion=np.array([-0.1, 0.0, 0.0, 0.0]))
    intrinsics = intrinsics.cropped((-60.0, -60.0), (280, 240))
    view = camera_looking_at("round", intrinsics, center=(0.0, -3.0, 1.4), target=(0.0, 0.0, 1.0))
    rendered = Renderer(view, empty_room(walls=0.5)).render([[ball((0, 0, 1), 0.2)]])
    y, x = np.mgrid[0:240, 0:280]
    blind = np.isnan(view.ray(np.stack([x, y], -1).astype(np.float64))).any(-1)
    assert blind.any()
    assert not rendered.image[blind].any()
    assert not rendered.depth_m[blind].any()
    assert rendered.image[~blind].min() > 0


def test_nothing_in_view_gives_the_empty_room():
    render = Renderer(camera(), empty_room(walls=0.5), config=RenderConfig(smooth_edges=False))
    empty = render.render([])
    behind = render.render([[ball((0.4, -3.6, 1.4), 0.1)]])
    np.testing.assert_array_equal(behind.thing, -1)
    np.testing.assert_array_equal(behind.depth_m, empty.depth_m)
    empty.image[:] = 0  # a picture is the caller's own
    assert render.render([]).image.max() > 0


def test_a_thing_that_reaches_around_the_camera_is_drawn():
    """Part of it is behind the lens, where it has no place in the picture."""
    view = camera(center=(0.0, -3.0, 1.0), target=(0.0, 0.0, 1.0))
    rendered = Renderer(view, empty_room()).render([[block((-0.5, -3.4, 0.5), (0.5, -1.0, 0.8))]])
    assert (rendered.thing[-20:] == 0).mean() > 0.5


def test_moments_with_other_things_are_refused():
    render = Renderer(camera(), empty_room())
    with pytest.raises(ValueError, match="same things"):
        render.render([[ball((0, 0, 1))], [ball((0, 0, 1))]])


@pytest.mark.parametrize("moments", [1, 2, 3, 4, 5, 8])
def test_rays_are_centred_on_the_pixel(moments):
    places = np.array(renderer_module.PLACES)
    base, extra = sampling(moments)
    assert len(base) == moments
    assert {m for m, _ in extra} <= set(range(moments))
    np.testing.assert_allclose(places[base].mean(0), 0, atol=1e-12)
    if extra:
        np.testing.assert_allclose(places[[place for _, place in extra]].mean(0), 0, atol=1e-12)
