"""Keypoints on bodies: every name of every set, mirrored exactly, where anatomy has them."""

import tomllib
from functools import lru_cache
from importlib import resources

import numpy as np
import pytest

from mocap.core.keypoints import load_keypoint_set
from mocap.synthetic.body import Body, make_body
from mocap.synthetic.body_keypoints import DEFINITION, all_keypoints, mirrored_names
from mocap.synthetic.body_sampling import sample_shape

pytest.importorskip("anny", reason="bodies are made from Anny")

SETS = ("blazepose33", "body135", "body25", "body25b", "coco17", "coco18", "coco_wholebody133", "halpe136", "halpe26")
SURFACE = ("nose", "head", "left_ear", "left_heel", "left_big_toe", "left_small_toe", "left_middle4", "mouth_left")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@lru_cache
def some_body(number: int) -> Body:
    return make_body(sample_shape(np.random.default_rng(number)))


@pytest.fixture(params=range(6))
def body(request: pytest.FixtureRequest) -> Body:
    return some_body(request.param)


def test_every_name_of_every_set_is_known(body: Body) -> None:
    packaged = sorted(
        file.name.removeprefix("keypoints_").removesuffix(".toml")
        for file in resources.files("mocap.core.definitions").iterdir()
        if file.name.startswith("keypoints_")
    )
    assert packaged == sorted(SETS)
    for name in SETS:
        assert set(load_keypoint_set(name).names) <= set(body.keypoint_names)
    assert len(set(body.keypoint_names)) == len(body.keypoint_names) == len(all_keypoints())
    assert np.isfinite(body.keypoints).all()


def test_definition_names_only_keypoints_that_exist_and_no_right_side() -> None:
    table = tomllib.loads((resources.files("mocap.core.definitions") / DEFINITION).read_text(encoding="utf-8"))
    assert set(table) <= set(all_keypoints())
    twins = mirrored_names()
    assert not [name for name in table if twins.get(name) in table]
    assert not [name for name in all_keypoints() if name not in table and twins[name] not in table]


def test_both_sides_mirror_exactly(body: Body) -> None:
    place = {name: k for k, name in enumerate(body.keypoint_names)}
    twins = mirrored_names()
    swap = np.array([place[twins.get(name, name)] for name in body.keypoint_names])
    joints = body.skeleton.mirror_permutation
    np.testing.assert_array_equal(body.keypoints[swap] * [-1.0, 1.0, 1.0], body.keypoints)
    np.testing.assert_array_equal(body.keypoint_weights[swap][:, joints], body.keypoint_weights)
    np.testing.assert_allclose(body.keypoint_depth_m[swap], body.keypoint_depth_m, atol=1e-12)


def test_weights_share_every_keypoint_out(body: Body) -> None:
    assert (body.keypoint_weights >= 0).all()
    np.testing.assert_allclose(body.keypoint_weights.sum(1), 1.0, atol=1e-12)


def test_limbs_are_in_order(body: Body) -> None:
    shoulder, elbow, wrist = (body.keypoint(f"left_{n}") for n in ("shoulder", "elbow", "wrist"))
    assert 0.08 < shoulder[0] < 0.25
    assert shoulder[0] < elbow[0] < wrist[0] < body.keypoint("left_middle")[0] < body.keypoint("left_middle4")[0]
    hip, knee, ankle = (body.keypoint(f"left_{n}") for n in ("hip", "knee", "ankle"))
    assert hip[2] > knee[2] > ankle[2] > body.keypoint("left_heel")[2] > 0
    assert 0.46 < hip[2] / body.height_m < 0.56
    assert 0.24 < knee[2] / body.height_m < 0.32
    assert 0.03 < ankle[2] / body.height_m < 0.06
    np.testing.assert_allclose(body.keypoint("hip"), [0.0, hip[1], hip[2]])
    np.testing.assert_allclose(body.keypoint("neck"), [0.0, shoulder[1], shoulder[2]])
    assert body.keypoint("head")[2] == pytest.approx(body.height_m, abs=0.005)


def test_feet_point_ahead(body: Body) -> None:
    heel, big, small = (body.keypoint(f"left_{n}") for n in ("heel", "big_toe", "small_toe"))
    ankle = body.keypoint("left_ankle")
    assert heel[1] > ankle[1] > small[1] > big[1]
    assert big[0] < ankle[0] < small[0]
    assert 0.13 < (heel[1] - big[1]) / body.height_m < 0.18  # a foot is 0.152 of the stature (Drillis & Contini)
    assert max(p[2] for p in (heel, big, small)) < 0.02 * body.height_m


def test_hands_lie_palm_down_with_the_thumb_ahead(body: Body) -> None:
    along = [body.keypoint(f"left_{finger}")[1] for finger in FINGERS]
    assert along == sorted(along)
    for finger in FINGERS:
        second = finger if finger == "thumb" else f"{finger}2"
        chain = [f"left_{finger}1" if finger == "thumb" else f"left_{finger}", f"left_{second}", f"left_{finger}3"]
        points = np.array([body.keypoint(name) for name in (*chain, f"left_{finger}4")])
        assert (np.diff(points[:, 0]) > 0).all()
        assert points[-1, 2] < points[0, 2]  # relaxed fingers bend to the palm
        assert (np.linalg.norm(np.diff(points, axis=0), axis=1) > 0.008).all()


def test_the_face_is_in_ibug_order(body: Body) -> None:
    face = np.array([body.keypoint(f"face_{i}") for i in range(68)])
    x, z = face[:, 0], face[:, 2]
    assert (np.diff(x[:17]) > 0).all()  # jaw from the person's right ear to the left
    assert z[:17].argmin() == 8
    assert (np.diff(x[17:27]) > 0).all()  # brows
    assert (np.diff(z[27:31]) < 0).all()  # bridge of the nose, downwards
    assert (np.diff(x[31:36]) > 0).all()  # nostrils
    for eye in (36, 42):
        corner, upper, lower = face[[eye, eye + 3]], face[[eye + 1, eye + 2]], face[[eye + 4, eye + 5]]
        assert corner[0, 0] < upper[0, 0] < upper[1, 0] < corner[1, 0]
        assert corner[0, 0] < lower[1, 0] < lower[0, 0] < corner[1, 0]
        assert upper[:, 2].min() > lower[:, 2].max()
    assert (np.diff(x[48:55]) > 0).all()  # upper edge of the lips, then the lower one back
    assert (np.diff(x[54:60]) < 0).all()
    assert (np.diff(x[60:65]) > 0).all()
    assert z[51] > z[62] >= z[66] > z[57]
    assert z[17:27].min() > z[36:48].max() > z[30] > z[33] > z[51] > z[57] > z[8]
    eyes = body.keypoint("left_eye")[0] * 2
    assert 0.05 < eyes < 0.075  # between pupils


def test_what_lies_on_the_skin_has_no_depth(body: Body) -> None:
    depth = dict(zip(body.keypoint_names, body.keypoint_depth_m, strict=True))
    assert [depth[name] for name in SURFACE] == [0.0] * len(SURFACE)
    assert all(depth[f"face_{i}"] < 0.001 for i in range(68))
    for joint, least, most in (
        ("shoulder", 0.02, 0.08),
        ("hip", 0.03, 0.1),
        ("wrist", 0.008, 0.03),
        ("ankle", 0.015, 0.045),
    ):
        assert least < depth[f"left_{joint}"] < most


def test_depth_is_the_distance_that_open3d_finds() -> None:
    o3d = pytest.importorskip("open3d", reason="oracle")
    body = some_body(0)
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(body.vertices), o3d.core.Tensor(body.faces.astype(np.uint32)))
    expected = scene.compute_distance(o3d.core.Tensor(body.keypoints.astype(np.float32))).numpy()
    np.testing.assert_allclose(body.keypoint_depth_m, expected, atol=2.1e-4)  # below 0.2 mm counts as on the skin
