"""Markers: mirrored, named as the keypoint sets name them, refused where they do not fit the skeleton."""

from __future__ import annotations

import tomllib
from importlib import resources

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.core.markers import load_markers, markers_from_table, mirrored
from mocap.core.skeleton import load_skeleton

SETS = ("blazepose33", "coco17", "body25", "halpe26", "coco_wholebody133")


@pytest.fixture(scope="module")
def skeleton():
    return load_skeleton("humanoid")


@pytest.fixture(scope="module")
def markers(skeleton):
    return load_markers("humanoid", skeleton)


@pytest.fixture
def table():
    file = resources.files("mocap.core.definitions") / "markers_humanoid.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SETS)
def test_every_body_keypoint_of_every_set_has_a_marker(markers, name):
    keypoints = load_keypoint_set(name)
    assert set(keypoints.body) <= set(markers.select(keypoints.names).keypoints)


def test_every_marker_is_a_keypoint_of_some_set(markers):
    known = {name for keypoints in map(load_keypoint_set, SETS) for name in keypoints.names}
    assert set(markers.keypoints) <= known


def test_the_right_side_mirrors_the_left(markers, skeleton):
    twin = markers.mirror
    np.testing.assert_array_equal(markers.offsets[twin], markers.offsets * [-1, 1, 1])
    np.testing.assert_array_equal(skeleton.mirror_permutation[markers.at], markers.at[twin])
    assert [markers.keypoints[t] for t in twin] == [mirrored(name) for name in markers.keypoints]


def test_a_marker_without_its_twin_stands_alone(markers):
    few = markers.select(["left_knee", "right_knee", "left_ankle", "nose"])
    assert few.keypoints == ("left_knee", "right_knee", "left_ankle", "nose")
    assert few.mirror.tolist() == [1, 0, 2, 3]


def test_priors_are_mirrored(markers, skeleton):
    left, right = skeleton.index("LeftArm"), skeleton.index("RightArm")
    np.testing.assert_array_equal(markers.priors.rest[right], markers.priors.rest[left] * [1, -1, -1])
    assert markers.priors.rest[left, 1] > 1  # arms hang, they are not stretched out
    assert np.isinf(markers.priors.rest_sd[0]).all()


def test_spans_cover_both_sides(markers):
    spans = {segment.name: segment.spans for segment in markers.segments}
    assert spans["thigh"] == ((("left_hip",), ("left_knee",)), (("right_hip",), ("right_knee",)))
    assert spans["trunk"] == ((("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")),)


def test_a_joint_the_skeleton_lacks_is_named(table, skeleton):
    table["marker"][0]["at"] = "LeftWing"
    with pytest.raises(InputError, match="no joint 'LeftWing'"):
        markers_from_table(table, skeleton)


def test_a_frame_far_from_its_joint_is_refused(table, skeleton):
    table["marker"][0]["frame"] = "Hips"
    with pytest.raises(InputError, match="left_shoulder.*parent"):
        markers_from_table(table, skeleton)


def test_a_joint_without_prior_is_named(table, skeleton):
    table["prior"] = [row for row in table["prior"] if "LeftFoot" not in row["joints"]]
    with pytest.raises(InputError, match="no prior for LeftFoot, RightFoot"):
        markers_from_table(table, skeleton)


def test_an_unknown_set_is_refused(skeleton):
    with pytest.raises(InputError, match="no marker set 'octopus'"):
        load_markers("octopus", skeleton)


def test_hands_have_a_slot_for_finger_chains_of_mirrored_sides():
    body, hands = load_skeleton(), load_skeleton("humanoid_fingers")
    assert hands.joint_names[: len(body)] == body.joint_names
    np.testing.assert_array_equal(hands.rest_offsets[: len(body)], body.rest_offsets)
    assert len(hands) == len(body) + 30
    swap = hands.mirror_permutation
    np.testing.assert_allclose(hands.rest_offsets[swap] * [-1, 1, 1], hands.rest_offsets)
    index = [hands.index(f"LeftHandIndex{k}") for k in (1, 2, 3)]
    assert [int(hands.parents[j]) for j in index[1:]] == index[:2]
    # wrist to the middle finger's tip: a hand of 0.108 H on the 1.75 m skeleton
    middle = hands.rest_offsets[[hands.index(f"LeftHandMiddle{k}") for k in (1, 2, 3)]].sum(0)
    assert middle[0] + hands.tips[hands.index("LeftHandMiddle3")][0] == pytest.approx(0.189, abs=0.01)


def test_offsets_of_a_measured_detector_are_mirrored_and_proportions_come_along():
    skeleton = load_skeleton()
    plain, seen = load_markers("humanoid", skeleton), load_markers("humanoid", skeleton, "blazepose33")
    for m, twin in enumerate(seen.mirror):
        np.testing.assert_allclose(seen.offsets[m] * [-1, 1, 1], seen.offsets[twin])
        flip = np.diag([-1.0, 1.0, 1.0])
        np.testing.assert_allclose(flip @ seen.habits[m] @ flip, seen.habits[twin])
    assert not plain.habits.any()
    assert plain.rest_offsets is None
    assert seen.rest_offsets is not None
    np.testing.assert_allclose(seen.rest_offsets[skeleton.mirror_permutation] * [-1, 1, 1], seen.rest_offsets)
    np.testing.assert_array_equal(plain.means_joint, seen.means_joint)
    assert seen.select(["left_hip", "nose"]).habits.shape == (2, 3, 3)
