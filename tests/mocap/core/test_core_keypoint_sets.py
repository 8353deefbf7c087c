"""The packaged keypoint sets: orders as their makers publish them, and plausible on a figure."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.core.keypoints import KeypointSet, load_keypoint_set

SIZES = {
    "blazepose33": 33,
    "body135": 135,
    "body25": 25,
    "body25b": 25,
    "coco17": 17,
    "coco18": 18,
    "coco_wholebody133": 133,
    "halpe136": 136,
    "halpe26": 26,
}

# Front view in metres: left is +x, up is +y; a person 1.7 tall with the arms a little out.
FIGURE = {
    "nose": (0.0, 1.57),
    "head": (0.0, 1.7),
    "neck": (0.0, 1.4),
    "hip": (0.0, 0.92),
    "left_eye": (0.03, 1.6),
    "left_ear": (0.07, 1.58),
    "left_shoulder": (0.18, 1.4),
    "left_elbow": (0.25, 1.12),
    "left_wrist": (0.3, 0.87),
    "left_hip": (0.1, 0.92),
    "left_knee": (0.11, 0.5),
    "left_ankle": (0.12, 0.09),
    "left_heel": (0.12, 0.02),
    "left_big_toe": (0.14, 0.0),
    "left_small_toe": (0.2, 0.0),
}


def position(name: str) -> tuple[float, float] | None:
    if name.startswith("right_") and (left := FIGURE.get(f"left_{name.removeprefix('right_')}")):
        return (-left[0], left[1])
    return FIGURE.get(name)


@pytest.mark.parametrize("name", sorted(SIZES))
def test_every_packaged_set_loads_with_its_size(name: str):
    points = load_keypoint_set(name)
    assert len(points) == SIZES[name]
    assert len(points.body) == 12


# Positions in the makers' numbering: OpenPose's output document, the COCO, Halpe and COCO-WholeBody papers' tables.
LANDMARKS = {
    "coco17": {0: "nose", 5: "left_shoulder", 10: "right_wrist", 16: "right_ankle"},
    "coco18": {1: "neck", 2: "right_shoulder", 7: "left_wrist", 8: "right_hip", 13: "left_ankle", 16: "right_ear"},
    "body25": {1: "neck", 4: "right_wrist", 8: "hip", 11: "right_ankle", 14: "left_ankle",
               19: "left_big_toe", 24: "right_heel"},
    "body25b": {9: "left_wrist", 17: "neck", 18: "head", 19: "left_big_toe", 21: "left_heel", 22: "right_big_toe"},
    "body135": {24: "right_heel", 25: "left_thumb1", 29: "left_index", 45: "right_thumb1",
                65: "face_0", 133: "right_pupil"},
    "halpe26": {17: "head", 18: "neck", 19: "hip", 20: "left_big_toe", 21: "right_big_toe",
                24: "left_heel", 25: "right_heel"},
    "halpe136": {26: "face_0", 93: "face_67", 94: "left_hand_root", 115: "right_hand_root", 135: "right_pinky4"},
    "coco_wholebody133": {17: "left_big_toe", 19: "left_heel", 20: "right_big_toe", 23: "face_0", 90: "face_67",
                          91: "left_hand_root", 93: "left_thumb", 96: "left_index", 108: "left_pinky",
                          112: "right_hand_root", 132: "right_pinky4"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(LANDMARKS))
def test_orders_are_those_of_the_makers(name: str):
    names = load_keypoint_set(name).names
    assert {index: names[index] for index in LANDMARKS[name]} == LANDMARKS[name]


@pytest.mark.parametrize("name", sorted(SIZES))
def test_mirror_pairs_are_left_first_and_complete(name: str):
    points = load_keypoint_set(name)
    for left, right in points.mirror_pairs:
        assert (left.startswith("left_") and right == f"right_{left[5:]}") or (
            left.startswith(("face_", "mouth_left")) and right.startswith(("face_", "mouth_right"))
        )
    paired = {n for pair in points.mirror_pairs for n in pair}
    sided = {n for n in points.names if n.startswith(("left_", "right_"))}
    assert sided <= paired
    permutation = points.mirror_permutation
    np.testing.assert_array_equal(permutation[permutation], np.arange(len(points)))


# The midline of a 68-point face: chin, bridge, tip and base of the nose, the middle of each lip twice.
FACE_MIDLINE = {8, 27, 28, 29, 30, 33, 51, 57, 62, 66}


@pytest.mark.parametrize("name", ["body135", "halpe136", "coco_wholebody133"])
def test_the_face_mirrors_about_its_midline(name: str):
    points = load_keypoint_set(name)
    paired = {n for pair in points.mirror_pairs for n in pair}
    assert {i for i in range(68) if f"face_{i}" not in paired} == FACE_MIDLINE


def seen(points: KeypointSet) -> np.ndarray:
    return np.array([position(n) or (np.nan, np.nan) for n in points.names])


@pytest.mark.parametrize("name", sorted(SIZES))
def test_edges_join_neighbours_on_a_figure(name: str):
    points = load_keypoint_set(name)
    xy = seen(points)
    ends = xy[points.edge_indices]
    length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
    assert np.isfinite(length).sum() >= 14
    # the longest bones of the figure: neck to hip 0.48, shoulder to hip 0.49, neck to a hip 0.49
    assert np.nanmax(length) < 0.5


@pytest.mark.parametrize("name", sorted(SIZES))
def test_a_mirrored_figure_is_the_figure_with_sides_exchanged(name: str):
    points = load_keypoint_set(name)
    xy = seen(points)
    np.testing.assert_allclose(xy[points.mirror_permutation] * [-1.0, 1.0], xy)


def test_the_same_name_has_one_meaning_in_all_sets():
    """Body names outside this list would be a second spelling of a point that has a name."""
    known = set(FIGURE) | {f"right_{n.removeprefix('left_')}" for n in FIGURE if n.startswith("left_")}
    for name in ("coco17", "coco18", "body25", "body25b", "halpe26"):
        assert set(load_keypoint_set(name).names) <= known
