"""Keypoints, skeletons and motions refuse what they cannot mean, and say why."""

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.core.keypoints import Detections2D, Keypoints2D, Keypoints3D, KeypointSet, load_keypoint_set
from mocap.core.motion import Motion, sign_continuous
from mocap.core.skeleton import SkeletonDefinition

TRIO = KeypointSet(
    "trio", ("nose", "left_hand", "right_hand"), (("nose", "left_hand"),), (("left_hand", "right_hand"),), ()
)


def detections(**changes):
    rng = np.random.default_rng(3)
    fields = {
        "frame": np.array([2, 0, 0]),
        "camera": np.array([0, 1, 0]),
        "track": np.array([5, -1, 5]),
        "xy": rng.normal(size=(3, 3, 2)),
        "confidence": np.full((3, 3), 0.5),
        "box": rng.normal(size=(3, 4)),
        "score": np.array([0.1, 0.2, 0.3]),
    }
    return Detections2D(("a", "b"), 4, TRIO, **(fields | changes))


def bone_pair() -> SkeletonDefinition:
    return SkeletonDefinition(
        "pair",
        ("Hips", "Spine"),
        np.array([-1, 0]),
        np.array([[0.0, 0, 0.9], [0, 0.1, 0.2]]),
        np.zeros((2, 3, 2)),
        np.full((2, 3), np.nan),
        (),
    )


class TestKeypointSet:
    def test_indices_follow_the_order_of_the_names(self):
        assert TRIO.indices(["right_hand", "nose"]).tolist() == [2, 0]

    def test_an_unknown_name_lists_the_known_ones(self):
        with pytest.raises(InputError, match="no keypoint 'tail' in 'trio'; it has nose, left_hand, right_hand"):
            TRIO.index("tail")

    def test_mirror_permutation_is_an_involution_that_swaps_the_pairs(self):
        permutation = TRIO.mirror_permutation
        assert permutation.tolist() == [0, 2, 1]
        assert permutation[permutation].tolist() == [0, 1, 2]

    def test_edges_of_unknown_keypoints_are_refused(self):
        with pytest.raises(InputError, match="has no keypoint tail"):
            KeypointSet("bad", ("nose",), (("nose", "tail"),), (), ())

    def test_an_unknown_set_lists_the_sets_of_the_package(self):
        with pytest.raises(InputError, match=r"no keypoint set 'nobody'.*blazepose33"):
            load_keypoint_set("nobody")

    def test_every_left_point_of_the_blazepose_set_has_its_right_twin(self):
        blazepose = load_keypoint_set("blazepose33")
        lefts = {n for n in blazepose.names if "left" in n}
        assert lefts == {left for left, _ in blazepose.mirror_pairs}
        assert all(right == left.replace("left", "right") for left, right in blazepose.mirror_pairs)


class TestDetections:
    def test_rows_are_sorted_by_frame_then_camera(self):
        found = detections()
        assert found.frame.tolist() == [0, 0, 2]
        assert found.camera.tolist() == [0, 1, 0]
        assert found.score.tolist() == [0.3, 0.2, 0.1]

    def test_missing_without_zero_confidence_is_refused(self):
        xy = np.zeros((3, 3, 2))
        xy[1, 2] = np.nan
        with pytest.raises(InputError, match="both or neither"):
            detections(xy=xy)

    def test_half_missing_points_are_refused(self):
        xy, confidence = np.zeros((3, 3, 2)), np.ones((3, 3))
        xy[1, 2, 0], confidence[1, 2] = np.nan, 0
        with pytest.raises(InputError, match="both or neither"):
            detections(xy=xy, confidence=confidence)

    @pytest.mark.parametrize(("field", "value"), [("frame", [0, 1, 4]), ("camera", [0, 1, 2])])
    def test_indices_outside_the_take_are_refused(self, field, value):
        with pytest.raises(InputError, match=f"{field} indices must lie in"):
            detections(**{field: np.array(value)})

    def test_arrays_cannot_be_changed_afterwards(self):
        with pytest.raises(ValueError, match="read-only"):
            detections().xy[0] = 0

    def test_select_keeps_the_rows_asked_for(self):
        assert detections().select(np.array([False, True, False])).score.tolist() == [0.2]


class TestPointTypes:
    def test_2d_shape_must_match_cameras_and_keypoints(self):
        with pytest.raises(InputError, match=r"expected \(T, P, 2, 3, 2\)"):
            Keypoints2D(("a", "b"), TRIO, np.zeros((5, 1, 3, 3, 2)), np.ones((5, 1, 3, 3)), 30.0)

    def test_midpoint_of_named_keypoints(self):
        xyz = np.arange(18, dtype=float).reshape(2, 1, 3, 3)
        ones = np.ones((2, 1, 3))
        points = Keypoints3D(TRIO, xyz, ones, ones, ones.astype(int), 30.0)
        assert points.between("left_hand", "right_hand").tolist() == [[[4.5, 5.5, 6.5]], [[13.5, 14.5, 15.5]]]

    def test_a_frame_rate_of_zero_is_refused(self):
        ones = np.ones((2, 1, 3))
        with pytest.raises(InputError, match="not a frame rate"):
            Keypoints3D(TRIO, np.zeros((2, 1, 3, 3)), ones, ones, ones.astype(int), 0.0)


class TestSkeletonAndMotion:
    def test_bone_lengths_are_distances_to_the_parent(self):
        assert bone_pair().bone_lengths == pytest.approx([0.0, np.hypot(0.1, 0.2)])

    def test_a_child_before_its_parent_is_refused(self):
        pair = bone_pair()
        with pytest.raises(InputError, match="every parent before its children"):
            SkeletonDefinition("bad", ("a", "b"), np.array([-1, 1]), pair.rest_offsets, pair.limits, pair.tips, ())

    def test_signs_follow_the_previous_frame(self):
        quaternions = np.array([[[-1.0, 0, 0, 0]], [[1.0, 0, 0, 0]], [[-0.8, 0.6, 0, 0]]])
        assert sign_continuous(quaternions)[:, 0, 0].tolist() == [1.0, 1.0, 0.8]

    def test_a_motion_of_unnormalised_quaternions_is_refused(self):
        rotations = np.zeros((3, 2, 4))
        rotations[..., 0] = 2
        with pytest.raises(InputError, match="norm"):
            Motion(bone_pair(), np.zeros((3, 3)), rotations, 30.0)

    def test_a_motion_with_gaps_is_refused(self):
        rotations = np.zeros((3, 2, 4))
        rotations[..., 0] = 1
        with pytest.raises(InputError, match="finite in every frame"):
            Motion(bone_pair(), np.full((3, 3), np.nan), rotations, 30.0)
