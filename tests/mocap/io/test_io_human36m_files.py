"""Human3.6M in its prepared layout: labels, pictures cut out as the published code does, and files that are wrong."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from dataset_worlds import ACTIONS, HUMAN36M_CAMERAS, SUBJECTS, human36m_labels, human36m_pixels, write_human36m
from mocap.core.errors import FileFormatError, InputError
from mocap.io.human36m_files import LABELS, Human36mFrames, read_human36m_labels
from mocap.io.published_crops import Undistortion, crop_picture, crop_projection, scaled_box


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("human36m")
    return root, write_human36m(root)


def test_labels_come_in_metres_and_with_boxes_left_first(world):
    root, written = world
    labels = read_human36m_labels(root / LABELS)
    table = written["table"]
    assert (labels.subject_names, labels.action_names) == (SUBJECTS, ACTIONS)
    assert labels.camera_names == HUMAN36M_CAMERAS
    np.testing.assert_array_equal(labels.xyz_mm, table["keypoints"])
    np.testing.assert_allclose(labels.t, written["cameras"]["t"][..., 0] / 1000, rtol=1e-7)
    top, left, bottom, right = table["bbox_by_camera_tlbr"][3, 1]
    np.testing.assert_array_equal(labels.boxes[3, 1], [left, top, right, bottom])
    assert (~labels.seen).sum() == 1


def test_projections_give_the_pixels_of_points_in_metres(world):
    root, written = world
    labels = read_human36m_labels(root / LABELS)
    record = written["table"][5]
    px = human36m_pixels(written["cameras"][record["subject_idx"], 2], record["keypoints"])
    homogeneous = np.column_stack([record["keypoints"] / 1000, np.ones(17)]) @ labels.projection(5, 2).T
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], px, atol=1e-4)  # float32 labels


def test_damaged_scenes_are_those_of_s9(world):
    labels = read_human36m_labels(world[0] / LABELS)
    damaged = labels.damaged
    for row in range(len(labels)):
        scene = SUBJECTS[labels.subject[row]], ACTIONS[labels.action[row]]
        assert damaged[row] == (scene == ("S9", "Greeting-2")), scene


def test_views_are_cut_out_around_the_person(world):
    root, written = world
    frames = Human36mFrames(root, read_human36m_labels(root / LABELS))
    frame = frames.load(5, size=(100, 100))
    assert frame.cameras == HUMAN36M_CAMERAS
    assert frame.pictures.shape == (4, 100, 100, 3)
    for view in range(4):
        px = human36m_pixels(
            written["cameras"][written["table"][5]["subject_idx"], view], written["table"][5]["keypoints"]
        )
        corner = written["table"][5]["bbox_by_camera_tlbr"][view][[1, 0]]
        expected = (px - corner) * 2  # boxes of 50 px to 100 px, without half pixels
        homogeneous = np.column_stack([frame.xyz, np.ones(17)]) @ frame.projections[view].T
        np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], expected, atol=1e-3)
        inside = expected[((expected > 2) & (expected < 97)).all(-1)].astype(int)
        dots = frame.pictures[view][inside[:, 1], inside[:, 0]].astype(int)
        assert len(dots) > 8
        assert (dots[:, 0] < 150).mean() > 0.9, "red is first: the dots are (90, 250, 200)"
        assert (dots[:, 1] > 180).mean() > 0.9


def test_missing_views_are_left_out(world):
    root, _ = world
    labels = read_human36m_labels(root / LABELS)
    (row,) = np.flatnonzero(~labels.seen.all(-1))
    frame = Human36mFrames(root / "processed", labels).load(int(row))
    assert frame.cameras == (HUMAN36M_CAMERAS[0], HUMAN36M_CAMERAS[1], HUMAN36M_CAMERAS[3])
    assert frame.pictures.shape == (3, 384, 384, 3)


def test_crops_are_black_beyond_the_border_and_keep_whole_pixels():
    picture = np.random.default_rng(0).integers(1, 255, (40, 60, 3), dtype=np.uint8)
    cut = crop_picture(picture, np.array([-10, 5, 20, 35]), (30, 30))
    assert not cut[:, :10].any()
    np.testing.assert_array_equal(cut[:, 10:], picture[5:35, :20])
    halved = crop_picture(picture, np.array([0, 0, 40, 40]), (20, 20))
    np.testing.assert_allclose(halved, picture[:40, :40].reshape(20, 2, 20, 2, 3).mean((1, 3)), atol=0.51)
    assert not crop_picture(picture, np.array([100, 100, 120, 120]), (8, 8)).any()


def test_boxes_grow_in_whole_pixels():
    np.testing.assert_array_equal(scaled_box(np.array([10, 20, 61, 71]), 1.5), [-3, 7, 73, 83])
    np.testing.assert_array_equal(scaled_box(np.array([10, 20, 60, 70]), 1.0), [10, 20, 60, 70])


def test_projections_follow_the_crop():
    P = np.array([[500.0, 3, 320, 10], [2, 510, 240, 20], [0, 0, 1, 3]])
    moved = crop_projection(P, np.array([100, 50, 300, 450]), (64, 32))
    x, y, w = P @ [0.1, 0.2, 2.0, 1]
    a, b, c = moved @ [0.1, 0.2, 2.0, 1]
    np.testing.assert_allclose([a / c, b / c], [(x / w - 100) * 64 / 200, (y / w - 50) * 32 / 400])


def test_without_undistorted_pictures_the_others_are_undistorted(world, tmp_path):
    root, _ = world
    shutil.copytree(root / "processed", tmp_path / "processed")
    for folder in (tmp_path / "processed").glob("*/*/imageSequence-undistorted"):
        folder.rename(folder.with_name("imageSequence"))
    labels = read_human36m_labels(root / LABELS)
    frames = Human36mFrames(tmp_path, labels)
    path = tmp_path / "processed" / "S1" / "Greeting-1" / "imageSequence" / HUMAN36M_CAMERAS[0] / "img_000006.jpg"
    raw = cv2.imread(str(path))[..., ::-1]
    expected = cv2.undistort(raw, labels.K[0, 0], labels.distortion[0, 0])
    got = frames.picture(0, 0)
    assert np.abs(got.astype(int) - expected).max() <= 8  # its maps are rounded to 1/32 px, of steps up to 250 a pixel
    assert np.abs(got.astype(int) - raw).max() > 20
    assert Undistortion(labels.K[0, 0], np.zeros(5), (7, 5)).size == (7, 5)


def save(path, labels):
    np.save(path, labels, allow_pickle=True)
    return path


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d.pop("table"), "lacks table"),
        (lambda d: d.update(subject_names=[1, 2]), "subject_names: expected a list of names"),
        (lambda d: d.update(action_names=["../../etc", "b", "c"]), "a name that is no name of a folder"),
        (lambda d: d.update(cameras=d["cameras"][:, :3]), r"cameras: R is float32 \(3, 3, 3, 3\), expected numbers"),
        (lambda d: d.update(table=d["table"][["subject_idx"]]), "table: lacks action_idx, frame_idx, keypoints, bbox"),
        (lambda d: d["table"]["keypoints"].__setitem__((0, 0, 0), np.nan), "table: keypoints holds NaN or infinity"),
        (lambda d: d["table"]["subject_idx"].__setitem__(0, 9), "subject_idx points beyond the 3 names"),
        (lambda d: d["table"]["action_idx"].__setitem__(0, -1), "action_idx points beyond the 3 names"),
    ],
)
def test_labels_that_are_wrong_are_refused(tmp_path, damage, message):
    labels = human36m_labels()
    damage(labels)
    with pytest.raises(FileFormatError, match=message):
        read_human36m_labels(save(tmp_path / "labels.npy", labels))


def test_what_is_not_there_is_named(world, tmp_path):
    root, _ = world
    labels = read_human36m_labels(root / LABELS)
    with pytest.raises(InputError, match="the labels have no subject S7. They have S1, S9, S11"):
        labels.of_subjects(("S7",))
    with pytest.raises(InputError, match="no such folder"):
        Human36mFrames(tmp_path / "nowhere", labels)
    shutil.copytree(root / "processed", tmp_path / "processed")
    path = tmp_path / "processed/S1/Greeting-1/imageSequence-undistorted" / HUMAN36M_CAMERAS[1] / "img_000006.jpg"
    path.write_bytes(path.read_bytes()[:60])
    frames = Human36mFrames(tmp_path, labels)
    with pytest.raises(FileFormatError, match=r"img_000006.jpg: not a picture that can be decoded"):
        frames.load(0)
    path.unlink()
    with pytest.raises(FileFormatError, match=r"img_000006.jpg: no such picture"):
        frames.load(0)
