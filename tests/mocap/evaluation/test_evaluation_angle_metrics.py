from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.evaluation.angle_metrics import (
    BENDS,
    angle_between_deg,
    bends_deg,
    limb_angle_report,
    rotation_angles_deg,
    rotation_report,
    world_rotations,
)

ARM = ("left_shoulder", "left_elbow", "left_wrist")

seeds = st.integers(0, 2**32 - 1)


def _wxyz(rotation: Rotation) -> np.ndarray:
    return rotation.as_quat()[..., [3, 0, 1, 2]]


def _turn_z(degrees: float) -> np.ndarray:
    return _wxyz(Rotation.from_euler("z", degrees, degrees=True))


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 0.3, 90.0, 179.9999, 180.0])
def test_angles_of_known_turns(degrees: float) -> None:
    """atan2 keeps small angles: 1e-7 degrees is 1.7e-9 rad, of which an arc cosine sees nothing."""
    one, other = _turn_z(20.0), _turn_z(20.0 + degrees)
    found = rotation_angles_deg(np.stack([one, one, 3 * one]), np.stack([other, -other, other]))
    np.testing.assert_allclose(found, degrees, rtol=1e-6, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_angles_equal_scipy_and_do_not_depend_on_the_frame(seed: int) -> None:
    a, b, c = (Rotation.random(8, random_state=(seed + i) % 2**32) for i in range(3))
    expected = np.rad2deg((a.inv() * b).magnitude())
    np.testing.assert_allclose(rotation_angles_deg(_wxyz(a), _wxyz(b)), expected, atol=1e-9)
    np.testing.assert_allclose(rotation_angles_deg(_wxyz(c * a), _wxyz(c * b)), expected, atol=1e-9)
    np.testing.assert_allclose(rotation_angles_deg(_wxyz(b), _wxyz(a)), expected, atol=1e-9)


def test_rotations_that_are_none() -> None:
    q = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0], [np.nan, 0, 0, 0]])
    np.testing.assert_array_equal(rotation_angles_deg(q, np.tile(q[0], (3, 1))), [0, np.nan, np.nan])


def _motion(skeleton: SkeletonDefinition, rotations: np.ndarray) -> Motion:
    return Motion(skeleton, np.zeros((len(rotations), 3)), rotations, 30.0)


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_world_rotations_equal_a_product_along_the_chain(seed: int) -> None:
    skeleton = load_skeleton()
    local = Rotation.random(3 * len(skeleton), random_state=seed)
    quats = _wxyz(local).reshape(3, len(skeleton), 4)
    world = world_rotations(quats, skeleton.parents)
    for t in range(3):
        for j in range(len(skeleton)):
            expected, joint = Rotation.identity(), j
            while joint >= 0:
                expected = Rotation.from_quat(quats[t, joint][[1, 2, 3, 0]]) * expected
                joint = skeleton.parents[joint]
            assert rotation_angles_deg(world[t, j], _wxyz(expected)) == pytest.approx(0, abs=1e-9)


def test_one_turned_joint_is_local_there_and_worldwide_below() -> None:
    """The left elbow is off by 30 degrees in one of two frames: locally 15 on average, and so in the world for the
    forearm and the hand. 22 joints x 2 frames: local mean 30/44, world 60/44."""
    skeleton = load_skeleton()
    truth = np.tile([1.0, 0, 0, 0], (2, len(skeleton), 1))
    found = truth.copy()
    found[1, skeleton.index("LeftForeArm")] = _turn_z(30.0)
    report = rotation_report(_motion(skeleton, found), _motion(skeleton, truth))
    assert (report.frames, report.local_deg.n) == (2, 44)
    assert report.local_deg.mean == pytest.approx(30 / 44)
    assert report.world_deg.mean == pytest.approx(60 / 44)
    assert report.per_joint_local_deg["LeftForeArm"] == pytest.approx(15)
    assert report.per_joint_world_deg["LeftHand"] == pytest.approx(15)
    assert report.per_joint_local_deg["LeftHand"] == pytest.approx(0)
    assert report.joints_without_counterpart == ()


def test_skeletons_are_compared_by_name() -> None:
    """A skeleton in another order, with a joint more between two others: that one has no counterpart, and its child's
    local rotation means something else."""
    full = load_skeleton()
    short = SkeletonDefinition(
        "short",
        ("Hips", "Extra", "Spine"),
        np.array([-1, 0, 1]),
        np.zeros((3, 3)),
        np.zeros((3, 3, 2)),
        np.full((3, 3), np.nan),
        (),
    )
    truth = np.tile([1.0, 0, 0, 0], (1, len(full), 1))
    found = np.stack([_turn_z(10.0), _turn_z(5.0), _turn_z(0.0)])[None]
    report = rotation_report(_motion(short, found), _motion(full, truth))
    assert report.per_joint_local_deg == {"Hips": pytest.approx(10), "Spine": None}
    assert report.per_joint_world_deg == {"Hips": pytest.approx(10), "Spine": pytest.approx(15)}
    assert "Extra" in report.joints_without_counterpart
    longer = replace(_motion(full, truth), local_rotations=np.repeat(truth, 2, 0), root_translation=np.zeros((2, 3)))
    with pytest.raises(InputError, match="1 frames against 2 of the truth"):
        rotation_report(_motion(short, found), longer)


def test_bends_of_a_known_arm() -> None:
    """Upper arm along x, forearm along y: flexed by 90. Straight: 0. Folded back: 180. A forearm of no length has no
    direction."""
    arm = np.zeros((4, 3, 3))
    arm[:, 1] = [0.3, 0, 0]
    arm[:, 2] = [[0.3, 0.25, 0], [0.55, 0, 0], [0.05, 0, 0], [0.3, 0, 0]]
    found = bends_deg(arm, ARM)
    assert set(found) == {"left_elbow_flexion"}
    np.testing.assert_allclose(found["left_elbow_flexion"], [90, 0, 180, np.nan])


def test_errors_of_limbs_from_keypoints() -> None:
    """Truth straight along x, the prediction bends the elbow by 90 in one frame of two; a third frame is missing.
    Flexion error 90 and 0, bias +45; upper arm exact; forearm off by 90 and 0."""
    truth = np.tile(np.array([[0.0, 0, 0], [0.3, 0, 0], [0.55, 0, 0]]), (3, 1, 1))
    prediction = truth.copy()
    prediction[0, 2] = [0.3, 0, 0.25]
    prediction[2, 1] = np.nan
    report = limb_angle_report(prediction, truth, ARM)
    flexion = report.bends["left_elbow_flexion"]
    assert (flexion.error_deg.n, flexion.error_deg.missing) == (2, 1)
    assert flexion.error_deg.mean == pytest.approx(45)
    assert flexion.bias_deg == pytest.approx(45)
    assert report.directions["left_upper_arm"].mean == pytest.approx(0)
    assert report.directions["left_forearm"].max == pytest.approx(90)
    assert (report.all_directions_deg.n, report.all_directions_deg.mean) == (4, pytest.approx(22.5))
    assert limb_angle_report(prediction[:, :1], truth[:, :1], ARM[:1]).all_bends_deg.n == 0


@settings(max_examples=25, deadline=None)
@given(seed=seeds, scale=st.floats(0.2, 5))
def test_bends_do_not_see_size_place_or_heading(seed: int, scale: float) -> None:
    names = tuple(sorted({n for triple in BENDS.values() for n in triple}))
    points = np.random.default_rng(seed).normal(size=(3, len(names), 3))
    moved = scale * points @ Rotation.random(random_state=seed).as_matrix().T + [1.0, 2.0, 3.0]
    for name, angles in bends_deg(points, names).items():
        np.testing.assert_allclose(bends_deg(moved, names)[name], angles, atol=1e-8)
        a, b, c = (points[:, names.index(n)] for n in BENDS[name])
        cosine = ((a - b) * (c - b)).sum(-1) / np.linalg.norm(a - b, axis=-1) / np.linalg.norm(c - b, axis=-1)
        np.testing.assert_allclose(angles, 180 - np.rad2deg(np.arccos(cosine)), atol=1e-5)


def test_no_angle_to_a_vector_without_length() -> None:
    assert np.isnan(angle_between_deg(np.zeros(3), np.ones(3)))
