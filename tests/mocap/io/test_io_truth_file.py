from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mocap.core.errors import FileFormatError, InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.io.truth_file import load_truth, save_truth
from truth_worlds import KEYPOINTS, joints_of, small_truth

SIXTEENTH_MICRON = 2.0**-24 * 8
"""float32 of places up to 8 m off."""


@pytest.fixture(scope="module")
def truth():
    return small_truth()


def test_everything_comes_back(truth, tmp_path):
    save_truth(truth, tmp_path / "t" / "truth.npz", joints_of(truth))
    again = load_truth(tmp_path / "t" / "truth.npz")
    assert (again.fps, again.seed, again.keypoint_names) == (truth.fps, truth.seed, truth.keypoint_names)
    np.testing.assert_allclose(again.keypoints_m, truth.keypoints_m, atol=SIXTEENTH_MICRON)
    for got, want in zip(again.people, truth.people, strict=True):
        assert got.motion.person == want.motion.person
        assert got.shape == want.shape
        assert got.motion.skeleton.name == "humanoid"
        np.testing.assert_array_equal(got.motion.skeleton.rest_offsets, want.motion.skeleton.rest_offsets)
        np.testing.assert_allclose(got.motion.local_rotations, want.motion.local_rotations, atol=1e-12)
        np.testing.assert_array_equal(got.motion.root_translation, want.motion.root_translation)
    for got, want in zip(again.rig, truth.rig, strict=True):
        assert (got.name, got.intrinsics.lens) == (want.name, want.intrinsics.lens)
        np.testing.assert_array_equal(got.intrinsics.distortion, want.intrinsics.distortion)
        np.testing.assert_allclose(got.projection, want.projection, atol=1e-9)
    for got, want in zip(again.views, truth.views, strict=True):
        assert (got.clock_offset_s, got.clock_rate) == (want.clock_offset_s, want.clock_rate)
        np.testing.assert_array_equal(got.repeated, want.repeated)
        np.testing.assert_array_equal(got.stamp_s, want.stamp_s)
        np.testing.assert_array_equal(got.visibility, want.visibility)
        np.testing.assert_allclose(got.xy, want.xy, atol=2.0**-24 * 4096)
        assert np.isnan(got.cam_from_board).all()


def test_the_joints_are_there_for_who_reads_only_numpy(truth, tmp_path):
    save_truth(truth, tmp_path / "truth.npz", joints_of(truth))
    with np.load(tmp_path / "truth.npz", allow_pickle=False) as file:
        np.testing.assert_allclose(file["joints_m"], joints_of(truth), atol=SIXTEENTH_MICRON)
        assert file["people"].tolist() == ["anna", "bert"]


def test_the_same_truth_gives_the_same_bytes(truth, tmp_path):
    for name in ("a", "b"):
        save_truth(truth, tmp_path / name, joints_of(truth))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a", "b"]


def test_calibration_clips_have_no_people(truth, tmp_path):
    views = tuple(
        replace(view, xy=view.xy[:, :0], visibility=view.visibility[:, :0], cam_from_board=view.cam_from_world)
        for view in truth.views
    )
    empty = replace(truth, people=(), keypoints_m=truth.keypoints_m[:, :0], views=views, board={"type": "charuco"})
    save_truth(empty, tmp_path / "truth.npz", joints_of(truth)[:, :0])
    again = load_truth(tmp_path / "truth.npz")
    assert again.people == ()
    assert again.board == {"type": "charuco"}
    np.testing.assert_array_equal(again.views[0].cam_from_board, truth.views[0].cam_from_world)


def test_keypoints_of_another_set_are_found_by_name(truth):
    coco = load_keypoint_set("halpe26")
    points = truth.keypoints_of(coco)
    at = KEYPOINTS.index("left_knee")
    np.testing.assert_array_equal(points[:, :, coco.index("left_knee")], truth.keypoints_m[:, :, at])
    assert np.isnan(points[:, :, coco.index("head")]).all()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04 broken", "truth.npz: cannot be read as a truth"),
        (b"", "truth.npz: cannot be read as a truth"),
    ],
)
def test_what_is_not_a_truth_is_refused(tmp_path, content, sentence):
    (tmp_path / "truth.npz").write_bytes(content)
    with pytest.raises(FileFormatError, match=sentence):
        load_truth(tmp_path / "truth.npz")


def test_other_arrays_and_other_versions_are_refused(tmp_path):
    path = tmp_path / "truth.npz"
    np.savez(path, keypoints_m=np.zeros(3))
    with pytest.raises(FileFormatError, match="of something else"):
        load_truth(path)
    np.savez(path, version=np.int64(99))
    with pytest.raises(FileFormatError, match="has version 99, this program reads 1"):
        load_truth(path)
    np.savez(path, version=np.int64(1))
    with pytest.raises(FileFormatError, match="has no 'fps'"):
        load_truth(path)
    with pytest.raises(InputError, match="there is no such file"):
        load_truth(tmp_path / "none.npz")
