from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.core.keypoint_names import canonical_name, keypoint_set_by_count, keypoint_set_from_names, our_names
from mocap.core.keypoints import load_keypoint_set

FRONT = {
    "nose": (0.0, -1.57),
    "neck": (0.0, -1.4),
    "head": (0.0, -1.7),
    "hip": (0.0, -0.92),
    "eye": (0.03, -1.6),
    "ear": (0.07, -1.58),
    "shoulder": (0.18, -1.4),
    "elbow": (0.25, -1.12),
    "wrist": (0.3, -0.87),
    "knee": (0.11, -0.5),
    "ankle": (0.12, -0.09),
    "heel": (0.12, -0.02),
    "big_toe": (0.14, 0.0),
    "small_toe": (0.2, 0.0),
}


def figure(name: str) -> np.ndarray:
    """(1, K, 2) px: a person of 850 px."""
    rows = []
    for point in load_keypoint_set(name).names:
        side, _, base = point.partition("_")
        x, y = (0.1, -0.92) if base == "hip" else FRONT[base if side in ("left", "right") else point]
        rows.append((300 + 500 * x * {"left": 1, "right": -1}.get(side, 1), 900 + 500 * y))
    return np.array(rows)[None]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("nose", "nose"),
        ("LBigToe", "left_big_toe"),
        ("RSmallToe", "right_small_toe"),
        ("left big toe", "left_big_toe"),
        ("left_bigtoe", "left_big_toe"),
        ("bigtoe_l", "left_big_toe"),
        ("Right-Shoulder", "right_shoulder"),
        ("shoulderR", "right_shoulder"),
        ("MidHip", "hip"),
        ("pelvis", "hip"),
        ("HeadTop", "head"),
        ("UpperNeck", "neck"),
        ("LIndex", "left_index"),
        ("left_forefinger1", "left_index"),
        ("left_thumb2", "left_thumb"),
        ("right_middle_finger3", "right_middle3"),
        ("left_pinky_finger1", "left_pinky"),
        ("face-12", "face_12"),
        ("tail_base", "tail_base"),
        ("left_right_thing", "left_right_thing"),
        ("thorax", "thorax"),
    ],
)
def test_spellings_find_our_name(theirs: str, ours: str):
    assert canonical_name(theirs) == ours


@pytest.mark.parametrize("name", ["coco17", "body135", "coco_wholebody133", "halpe136", "blazepose33"])
def test_our_own_names_stay(name: str):
    names = load_keypoint_set(name).names
    assert our_names(names, {}) == names


def test_a_users_table_comes_before_spelling():
    assert our_names(("LHip", "snout"), {"snout": "nose", "LHip": "left_knee"}) == ("left_knee", "nose")


def test_a_table_that_mentions_what_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"keypoint_names mentions snouts, which the file does not have\. It has nose"):
        our_names(("nose",), {"snouts": "nose"})


def test_two_names_that_become_one_are_refused():
    with pytest.raises(InputError, match="LHip, hip_l would all be called 'left_hip'"):
        our_names(("LHip", "hip_l"), {})


@pytest.mark.parametrize(
    ("count", "name"), [(17, "coco17"), (18, "coco18"), (26, "halpe26"), (133, "coco_wholebody133")]
)
def test_a_number_of_keypoints_tells_the_set(count: int, name: str):
    assert keypoint_set_by_count(count, np.zeros((0, count, 2))).name == name


@pytest.mark.parametrize("name", ["body25", "body25b"])
def test_the_two_sets_of_25_are_told_apart_by_the_people(name: str):
    assert keypoint_set_by_count(25, figure(name)).name == name


def test_25_points_that_tell_nothing_are_refused():
    one_point = np.full((1, 25, 2), np.nan)
    one_point[0, 0] = 5.0
    with pytest.raises(InputError, match=r'BODY_25 or BODY_25B, .*Set keypoint_set to "body25" or "body25b"'):
        keypoint_set_by_count(25, one_point)


def test_an_unknown_number_lists_the_known_ones():
    with pytest.raises(InputError, match=r"31 keypoints a person.*25 \(body25 or body25b\), 26 \(halpe26\)"):
        keypoint_set_by_count(31, np.zeros((0, 31, 2)))


def test_body_hands_and_face_together():
    xy = np.concatenate([figure("body25"), np.full((1, 112, 2), np.nan)], axis=1)
    points = keypoint_set_by_count(137, xy)
    assert points.names[:25] == load_keypoint_set("body25").names
    assert (points.names[25], points.names[46], points.names[67]) == ("left_hand_root", "right_hand_root", "face_0")
    assert ("left_index", "right_index") in points.mirror_pairs
    assert ("face_16", "face_0") in points.mirror_pairs
    assert ("left_pupil", "right_pupil") in points.mirror_pairs


def test_a_set_from_names_keeps_order_and_finds_edges_and_pairs():
    points = keypoint_set_from_names("mine", ("left_wrist", "right_elbow", "tail", "left_elbow", "right_wrist"))
    assert set(points.edges) == {("left_elbow", "left_wrist"), ("right_elbow", "right_wrist")}
    assert set(points.mirror_pairs) == {("left_wrist", "right_wrist"), ("left_elbow", "right_elbow")}
    assert set(points.body) == {"left_wrist", "right_elbow", "left_elbow", "right_wrist"}
