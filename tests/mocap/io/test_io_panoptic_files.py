"""CMU Panoptic in the toolbox's layout: cameras, people, pictures, and files that are wrong."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from dataset_worlds import PANOPTIC_CAMERAS, PANOPTIC_SIZE, write_panoptic
from mocap.core.errors import FileFormatError, InputError
from mocap.io.panoptic_files import JOINTS, PanopticSequence, panoptic_sequences, read_panoptic_people
from mocap.io.published_crops import square_box
from mocap.io.video_writer import VideoWriter

NAME = "171026_pose1"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("panoptic")
    return root, write_panoptic(root)


def theirs(camera: dict, points_cm: np.ndarray) -> np.ndarray:
    """Distorted pixels by OpenCV, from the file's own numbers."""
    R, t, K, distortion = (np.array(camera[key], dtype=np.float64) for key in ("R", "t", "K", "distCoef"))
    return cv2.projectPoints(points_cm.copy(), cv2.Rodrigues(R)[0], t, K, distortion)[0][:, 0]


def test_points_and_cameras_come_in_metres_with_z_up(world):
    root, written = world
    sequence = PanopticSequence(root / NAME)
    assert sequence.rig.names == PANOPTIC_CAMERAS, "the VGA camera is not among them"
    (first, last) = sequence.people()
    assert (first.frame, last.frame) == (110, 113), "the frame between has two people"
    assert np.isnan(first.xyz[JOINTS.index("left_eye")]).all(), "confidence -1"
    assert np.isfinite(last.xyz).all()
    assert 0 < np.nanmax(first.xyz[:, 2]) < 1.8
    for camera, described in zip(sequence.rig, written["cameras"], strict=True):
        expected = theirs(described, written["joints"][113][:, :3])
        np.testing.assert_allclose(camera.project(last.xyz), expected, atol=1e-6)
        assert camera.center[2] > 1.4, "cameras hang above the floor"


def test_views_are_undistorted_and_cut_out_around_the_joints(world):
    root, _ = world
    sequence = PanopticSequence(root / NAME, ("00_10", "00_01"))
    person = sequence.people()[1]
    frame = sequence.load(person, names=("nose", "tail", "left_hip"), size=(96, 96))
    assert frame.cameras == ("00_10", "00_01")
    np.testing.assert_array_equal(frame.labelled, [True, False, True])
    np.testing.assert_array_equal(frame.xyz[2], person.xyz[JOINTS.index("left_hip")])
    for view in range(2):
        homogeneous = np.column_stack([person.xyz, np.ones(19)]) @ frame.projections[view].T
        px = homogeneous[:, :2] / homogeneous[:, 2:]
        assert ((px > 0) & (px < 96)).all(), "the box is around all joints"
        x, y = np.round(px).astype(int).T
        greens = frame.pictures[view][np.clip(y, 0, 95), np.clip(x, 0, 95), 1]
        assert (greens > 170).mean() > 0.9, "the dots are where the joints are"


def test_every_labelled_frame_or_every_second(world):
    sequence = PanopticSequence(world[0] / NAME)
    assert [p.frame for p in sequence.people(alone=False)] == [110, 111, 111, 113]
    assert [p.frame for p in sequence.people(every=2)] == [110, 113]


def test_people_out_of_a_picture_are_not_seen_in_it(world):
    sequence = PanopticSequence(world[0] / NAME)
    person = sequence.people()[1]
    away = type(person)(person.frame, 0, person.xyz + [0, 0, 30.0])
    assert sequence.load(away).cameras == ()
    assert sequence.load(away).pictures.shape == (0, 384, 384, 3)


def test_pictures_come_from_videos_too(world, tmp_path):
    write_panoptic(tmp_path, frames=(2,))
    folder = tmp_path / NAME
    rng = np.random.default_rng(0)
    grey = [np.full((*PANOPTIC_SIZE[::-1], 3), level, np.uint8) for level in rng.permutation([20, 80, 140, 200])]
    (folder / "hdVideos").mkdir()
    with VideoWriter(folder / "hdVideos" / "hd_00_02.mp4", PANOPTIC_SIZE, 29.97) as writer:
        for picture in grey:
            writer.write(picture)
    (folder / "hdImgs" / "00_02" / "00_02_00000002.jpg").unlink()
    sequence = PanopticSequence(folder, ("00_02",))
    picture = sequence.picture(sequence.rig["00_02"], 2)
    middle = picture[40:60, 80:100].astype(int)
    assert np.abs(middle - grey[2][0, 0, 0]).max() < 8
    sequence.close()


def test_boxes_are_squares_around_what_is_known():
    xy = np.array([[10.0, 20], [30, 60], [np.nan, np.nan]])
    box = square_box(xy, 1.5)
    assert box[2] - box[0] == box[3] - box[1] == 60
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, [20, 40], atol=0.5)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c.pop("cameras"), "cameras is missing"),
        (lambda c: c["cameras"][1].update(K=[[1, 0], [0, 1]]), r"cameras\[1\].K: 4 numbers, expected 9"),
        (lambda c: c["cameras"][2].update(R=[[1, 0, 0], [0, 2, 0], [0, 0, 1]]), r"\(00_02\): not a rotation matrix"),
        (lambda c: c["cameras"][1].update(name="../../etc"), "is no name of a camera"),
        (lambda c: c["cameras"][1].update(t=[[1], ["a"], [2]]), r"cameras\[1\].t\[1\]: expected a number"),
    ],
)
def test_calibrations_that_are_wrong_are_refused(tmp_path, damage, message):
    write_panoptic(tmp_path, frames=())
    path = tmp_path / NAME / f"calibration_{NAME}.json"
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=message):
        PanopticSequence(tmp_path / NAME)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "bodies is missing"),
        ('{"bodies": [{"id": 0, "joints15": []}]}', r"bodies\[0\]: has no joints19. Use hdPose3d_stage1_coco19"),
        ('{"bodies": [{"id": 0, "joints19": [1, 2]}]}', "2 numbers, expected 76"),
        ("{", "not valid JSON"),
    ],
)
def test_poses_that_are_wrong_are_refused(tmp_path, content, message):
    path = tmp_path / "body3DScene_00000003.json"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=message):
        read_panoptic_people(path)


def test_what_is_not_there_is_named(world, tmp_path):
    root, _ = world
    with pytest.raises(InputError, match="no HD camera 00_30. It has 00_01, "):
        PanopticSequence(root / NAME, ("00_30",))
    assert panoptic_sequences(root / NAME) == (root / NAME,)
    write_panoptic(tmp_path, frames=())
    with pytest.raises(InputError, match=r"has no 3D poses. Unpack hdPose3d_stage1_coco19.tar"):
        PanopticSequence(tmp_path / NAME).people()
    (tmp_path / NAME / "hdPose3d_stage1_coco19" / "body3DScene_x.json").write_text("{}")
    with pytest.raises(FileFormatError, match="expected a name like body3DScene_00000120.json"):
        PanopticSequence(tmp_path / NAME).people()
    sequence = PanopticSequence(root / NAME, ("00_20",))
    with pytest.raises(FileFormatError, match=r"00_20_00000004.jpg: no such picture"):
        sequence.picture(sequence.rig["00_20"], 4)
