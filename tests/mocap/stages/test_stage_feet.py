"""Feet held in motions whose contacts are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.geometry.kinematics import forward_kinematics
from mocap.geometry.pose_model import Placement
from mocap.geometry.soles import sole_points
from mocap.stages.feet import FeetConfig, settle_feet, standing_points
from mocap.synthetic.contacts import foot_contacts
from mocap.synthetic.gait import walk_and_reach

FPS = 30.0


@pytest.fixture(scope="module")
def true() -> Motion:
    return walk_and_reach(load_skeleton(), seconds=4.0, fps=FPS)


def shaken(motion: Motion, spread_m: float = 0.003) -> Motion:
    noise = np.random.default_rng(0).normal(0, 1, (motion.n_frames + 4, 3))
    smooth = sum(noise[i : i + motion.n_frames] for i in range(5)) / np.sqrt(5)
    return replace(motion, root_translation=motion.root_translation + spread_m * smooth)


def shifted(motion: Motion, by: np.ndarray) -> Motion:
    return replace(motion, root_translation=motion.root_translation + by)


def test_true_contacts_are_found_and_held(true):
    given = shaken(true)
    (held,), report = settle_feet((given,), FeetConfig())
    (person,) = report.people
    contact = foot_contacts(true)
    step = np.linalg.norm(np.diff(sole_points(held)[:, [0, 1, 3, 4], :2], axis=0), axis=-1) * 1000
    skate = step[contact[1:] & contact[:-1]]
    assert np.median(skate) < 0.5, "in the true contacts, of which the found ones miss some ends"
    assert skate.mean() < 3
    assert (person.before.skate_mm or 0) > 1.5
    assert (person.after.skate_mm or 9) < 0.2
    assert (person.floor_m, person.belt_m_s) == ((0.0, 0.0), (0.0, 0.0))
    assert person.floor_from == ("calibration", "calibration")
    assert person.after.deepest_mm < 4
    assert person.after.root_jitter_mm < 1.2 * person.before.root_jitter_mm
    assert person.after.knee_jitter_max_deg < person.before.knee_jitter_max_deg + 2
    assert report.sentences == ()
    np.testing.assert_array_equal(held.skeleton.bone_lengths, given.skeleton.bone_lengths)


def test_where_feet_stand_is_told_to_others(true):
    told = standing_points(shaken(true), FeetConfig())
    assert told is not None
    carries = told.precision[..., 0].numpy() > 0
    np.testing.assert_array_equal(np.unique(told.precision), [0.0, 1.0])
    # what it names are the soles' points, and they stand within what the motion was shaken by
    arrays = (true.local_rotations, true.root_translation, true.skeleton.rest_offsets)
    rotations, joints = forward_kinematics(*(torch.from_numpy(a.copy()) for a in arrays), true.skeleton.parents)
    points = told.points(Placement(rotations, joints, joints, torch.zeros(*joints.shape, 3))).numpy()
    np.testing.assert_allclose(points, sole_points(true), atol=0.005)  # soles are levelled and fitted to the floor
    away = np.linalg.norm(told.targets.numpy() - points, axis=-1)[carries]
    assert np.median(away) < 0.01  # shaken by 3 mm along each axis, and levelled
    both = carries[1:] & carries[:-1]
    assert np.linalg.norm(np.diff(told.targets.numpy(), axis=0), axis=-1)[both].mean() < 0.0005
    assert standing_points(shifted(true, np.linspace(0, 5, true.n_frames)[:, None] * [0, 0, 1.0]), FeetConfig()) is None


def test_a_clean_motion_is_hardly_touched(true):
    (held,), report = settle_feet((true,), FeetConfig())
    assert report.people[0].most_moved_mm < 15
    assert np.median(np.linalg.norm(sole_points(held) - sole_points(true), axis=-1)) < 0.004


def test_a_raised_floor_is_taken_from_the_feet(true):
    given = shifted(shaken(true), np.array([0, 0, 0.2]))
    (held,), report = settle_feet((given,), FeetConfig())
    (person,) = report.people
    assert person.floor_from == ("feet", "feet")
    assert person.floor_m == pytest.approx((0.2, 0.2), abs=0.01)
    told = f"person: feet rest {1000 * person.floor_m[0]:.0f} mm from z = 0; that height is taken for the floor."
    assert report.sentences == (told,)
    assert person.most_moved_mm < 30
    assert settle_feet((given,), FeetConfig(floor="calibration"))[1].people[0].floor_m == (0.0, 0.0)
    assert held.skeleton.rest_offsets[0, 2] == given.skeleton.rest_offsets[0, 2]


def test_one_foot_on_a_step(true):
    """Standing still, the right leg bent so that its foot is 0.1 m up."""
    n = 30
    rotations = np.tile([1.0, 0, 0, 0], (n, len(true.skeleton), 1))
    thigh, shank = (float(np.linalg.norm(true.skeleton.rest_offsets[true.skeleton.index(j)]))
                    for j in ("RightLeg", "RightFoot"))  # fmt: skip
    bend = np.arccos(1 - 0.1 / (thigh + shank))
    for name, angle in (("RightUpLeg", -bend), ("RightLeg", 2 * bend), ("RightFoot", -bend)):
        rotations[:, true.skeleton.index(name)] = [np.cos(angle / 2), np.sin(angle / 2), 0, 0]
    root = np.tile([0.0, 0, true.skeleton.rest_offsets[0, 2]], (n, 1))
    (held,), report = settle_feet((Motion(true.skeleton, root, rotations, FPS),), FeetConfig())
    (person,) = report.people
    assert person.floor_from == ("calibration", "feet")
    assert person.floor_m == pytest.approx((0.0, 0.1), abs=0.005)
    assert "left and right foot rest 0 and 1" in report.sentences[0]
    assert person.most_moved_mm < 5
    assert held.n_frames == n


def test_thick_soles_leave_the_joints_where_they_are(true):
    given = shifted(shaken(true), np.array([0, 0, 0.025]))
    (held,), report = settle_feet((given,), FeetConfig())
    assert report.people[0].sole_m == pytest.approx(0.025, abs=0.01)
    assert abs(np.median(held.root_translation[:, 2] - given.root_translation[:, 2])) < 0.005
    rise = held.skeleton.rest_offsets[0, 2] - given.skeleton.rest_offsets[0, 2]
    assert rise == pytest.approx(report.people[0].sole_m)


def test_toes_that_point_down_at_rest_are_levelled(true):
    pitched = true.local_rotations.copy()
    tilt = np.array([np.cos(0.05), np.sin(0.05), 0, 0])  # 0.1 rad about x
    for name in ("LeftFoot", "RightFoot"):
        j = true.skeleton.index(name)
        w, x, y, z = np.moveaxis(pitched[:, j], -1, 0)
        pitched[:, j] = np.stack(
            [
                w * tilt[0] - x * tilt[1],
                w * tilt[1] + x * tilt[0],
                y * tilt[0] + z * tilt[1],
                z * tilt[0] - y * tilt[1],
            ],
            axis=-1,
        )
    _, report = settle_feet((replace(true, local_rotations=pitched),), FeetConfig())
    assert report.people[0].levelled_deg == pytest.approx(np.rad2deg(0.1), abs=1.0)


def test_a_treadmill_is_noticed(true):
    walked = np.gradient(true.root_translation[:, :2], 1 / FPS, axis=0)
    middle = slice(20, 70)
    steady = Motion(true.skeleton, true.root_translation[middle], true.local_rotations[middle], FPS)
    belt = -walked[middle].mean(0)
    back = np.zeros((steady.n_frames, 3))
    back[:, :2] = np.arange(steady.n_frames)[:, None] / FPS * belt
    _, report = settle_feet((shifted(shaken(steady), back),), FeetConfig())
    assert np.hypot(*belt) > 0.5
    assert report.people[0].belt_m_s == pytest.approx(tuple(belt), abs=0.1)
    assert "feet stand on something that moves" in report.sentences[0]
    assert (report.people[0].after.skate_mm or 9) < 0.3


def test_who_never_stands_or_has_no_feet_or_does_not_want_it_is_left_alone(true):
    flying = shifted(true, np.linspace(0, 30, true.n_frames)[:, None] * [0, 0, 1.0])
    other = replace(true.skeleton, joint_names=tuple(f"j{n}" for n in range(len(true.skeleton))), mirror_pairs=())
    footless = replace(true, skeleton=other, person="worm")
    for motion, config in ((flying, FeetConfig()), (footless, FeetConfig()), (true, FeetConfig(enabled=False))):
        motions, report = settle_feet((motion,), config)
        assert motions[0] is motion
        assert report.people_left_alone == [motion.person]


def test_sliding_on_purpose_is_not_held(true):
    time = np.arange(120) / FPS
    still = np.repeat(true.local_rotations[:1], 120, axis=0)
    root = np.repeat(true.root_translation[:1], 120, axis=0)
    root[:, 0] += np.where(time > 1, 0.15 * (time - 1), 0)  # 0.15 m/s: slower than a foot in contact may seem
    (held,), report = settle_feet((Motion(true.skeleton, root, still, FPS),), FeetConfig())
    assert report.people_left_alone or report.people[0].not_held > 0
    assert np.linalg.norm(held.root_translation - root, axis=-1).max() < 0.03


@pytest.mark.parametrize("n_frames", [0, 1, 2, 3])
def test_short_takes(true, n_frames):
    short = Motion(true.skeleton, true.root_translation[:n_frames], true.local_rotations[:n_frames], FPS)
    (held,), _ = settle_feet((short,), FeetConfig())
    assert held.n_frames == n_frames
