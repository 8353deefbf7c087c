"""The solve stage on bodies whose every joint is known, on what detectors do to them, and on real points."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from body_worlds import Body, keypoints3d, moving_body
from calibration.camera import Rig
from calibration.transforms import RigidTransform
from camera_worlds import mixed_rig
from mocap.core.errors import InputError, NoPersonError
from mocap.core.keypoints import Keypoints2D, Keypoints3D, KeypointSet, load_keypoint_set
from mocap.core.markers import load_markers
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.geometry.kinematics import forward_kinematics
from mocap.geometry.marker_views import SeenInViews
from mocap.geometry.pose_quality import angular_acceleration
from mocap.geometry.rotations import quat_conjugate, quat_multiply, quat_rotate, quat_to_rotvec
from mocap.geometry.soles import sole_points
from mocap.stages.feet import FeetConfig, standing_points
from mocap.stages.solve import PersonSolveReport, SolveConfig, solve
from mocap.synthetic.body_points import keypoints_on_body
from mocap.synthetic.contacts import foot_contacts
from mocap.synthetic.gait import walk_and_reach

PLAIN = SolveConfig(detector_habits=False)
"""The bodies here wear the marker set's own markers, not where a network was found to see them."""

EXACT = PLAIN.model_copy(update={"noise": 0.05, "robust_scale": 100.0})
"""Markers that stray by less than a millimetre: priors and smoothness give way to them."""

SPINE = ("Spine", "Spine1", "Spine2")
HIDDEN_SPINE_M = 0.012
"""Hips and shoulders show two ends of a chain of four: 0.1 rad of pelvis tilt, at first laid to the spine, moves its
middle by 0.1 rad times half of 0.26 m."""


def solved(body: Body, xyz: np.ndarray | None = None, config: SolveConfig | None = None):
    motions, report = solve(body.points(xyz), body.skeleton, config or PLAIN)
    assert len(motions) == 1
    return motions[0], report.people[0]


def placed(motion: Motion) -> tuple[torch.Tensor, torch.Tensor]:
    arrays = (motion.local_rotations, motion.root_translation, motion.skeleton.rest_offsets)
    return forward_kinematics(*(torch.from_numpy(a.copy()) for a in arrays), motion.skeleton.parents)


def joint_errors(motion: Motion, body: Body) -> np.ndarray:
    """(T, J) m."""
    return (placed(motion)[1] - body.placement.joints).norm(dim=-1).numpy()


def noisy(body: Body, spread: float = 0.015, seed: int = 0) -> np.ndarray:
    return body.xyz + np.random.default_rng(seed).normal(0, spread, body.xyz.shape)


def without(body: Body, xyz: np.ndarray, *parts: str) -> np.ndarray:
    xyz = xyz.copy()
    xyz[:, :, [any(part in name for part in parts) for name in body.keypoint_set.names]] = np.nan
    return xyz


def columns(body: Body, *names: str) -> list[int]:
    return [body.skeleton.index(name) for name in names]


@pytest.fixture(scope="module")
def body() -> Body:
    return moving_body(90)


class TestKnownMotions:
    def test_joints_are_recovered(self, body):
        motion, report = solved(body, config=EXACT)
        errors = joint_errors(motion, body)
        spine = columns(body, *SPINE)
        assert errors[:, spine].max() < HIDDEN_SPINE_M
        others = np.delete(errors, spine, axis=1)
        # the prior of one joint, 20 degrees and 0.5 rad away, against 0.05 of 15 mm on 0.1 m is 0.1 mm; sizes within
        # 0.5 % of half a metre
        assert others.max() < 0.004
        assert others.mean() < 0.0005
        assert report.converged

    def test_rotations_are_recovered_where_keypoints_show_them(self, body):
        rotations, _ = placed(solved(body, config=EXACT)[0])
        turn = quat_to_rotvec(quat_multiply(quat_conjugate(body.placement.rotations), rotations)).norm(dim=-1)
        worst = dict(zip(body.skeleton.joint_names, np.rad2deg(turn.max(0).values.numpy()), strict=True))
        # sizes within 0.5 %, and finger offsets that may take 20 mm: a few degrees on a palm 0.06 m wide
        assert max(worst[side + joint] for side in ("Left", "Right") for joint in ("Arm", "UpLeg", "Leg", "Foot")) < 4
        assert max(worst[side + joint] for side in ("Left", "Right") for joint in ("ForeArm", "Hand")) < 10
        assert worst["Head"] < 3

    def test_default_smoothing_costs_millimetres(self, body):
        motion, report = solved(body)
        errors = np.delete(joint_errors(motion, body), columns(body, *SPINE), axis=1)
        # a smoother that turns over at about 5 Hz damps a swing of 0.7 Hz by (0.7 / 5)^4 = 0.04 % of up to 1 m
        assert errors.mean() < 0.002
        assert report.mean_keypoint_mm < 2

    def test_whatever_the_detector(self):
        for keypoints in ("coco17", "halpe26", "body25"):
            body = moving_body(30, keypoints=keypoints)
            motion, _ = solved(body, config=EXACT)
            shown = columns(body, "LeftArm", "LeftForeArm", "RightHand", "LeftLeg", "RightFoot", "LeftUpLeg")
            assert joint_errors(motion, body)[:, shown].max() < 0.006, keypoints


def test_a_walk_seen_by_a_network_of_other_habits():
    """Keypoints that lie up to 25 mm off the joints, on another part of the body than the markers expect them."""
    skeleton, keypoint_set = load_skeleton(), load_keypoint_set("blazepose33")
    walk = walk_and_reach(skeleton, seconds=4.0, fps=30.0)
    points = keypoints3d(keypoint_set, keypoints_on_body(walk, keypoint_set)[:, None], 30.0)
    (motion,), report = solve(points, skeleton, PLAIN)
    (rotations, joints), (turned, truth) = placed(motion), placed(walk)
    assert (joints - truth).norm(dim=-1).mean() < 0.02  # 14 mm measured; the keypoints themselves are 10 to 25 mm off
    angle = np.rad2deg(quat_to_rotvec(quat_multiply(quat_conjugate(turned), rotations)).norm(dim=-1).numpy())
    typical = dict(zip(skeleton.joint_names, np.median(angle, axis=0), strict=True))
    # a trunk taken a centimetre too long would buckle to fit: the pelvis would tip by 15 degrees
    assert max(typical[name] for name in ("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head")) < 6
    assert max(typical[side + name] for side in ("Left", "Right") for name in ("UpLeg", "Leg", "Foot", "Arm")) < 6
    assert report.people[0].mean_keypoint_mm < 4


def test_standing_feet_hold_the_body():
    """With points that stray by 6 mm from frame to frame, what stands steadies what is above it."""
    skeleton, keypoint_set = load_skeleton(), load_keypoint_set("blazepose33")
    walk = walk_and_reach(skeleton, seconds=3.0, fps=30.0)
    xyz = keypoints_on_body(walk, keypoint_set)[:, None]
    points = keypoints3d(keypoint_set, xyz + np.random.default_rng(3).normal(0, 0.006, xyz.shape), 30.0)
    carries = foot_contacts(walk)
    both = carries[1:] & carries[:-1]
    skate, low = [], []
    for standing in (None, partial(standing_points, config=FeetConfig())):
        (motion,), report = solve(points, skeleton, PLAIN, standing=standing)
        soles = sole_points(motion)[:, [0, 1, 3, 4]]
        skate.append(np.linalg.norm(np.diff(soles[..., :2], axis=0), axis=-1)[both].mean())
        low.append(np.linalg.norm((placed(motion)[1] - placed(walk)[1])[:, 12:].numpy(), axis=-1).mean())
        assert report.people[0].converged
    assert skate[1] < 0.7 * skate[0]
    assert low[1] < 1.05 * low[0]


class TestBones:
    OTHER = np.array([1.1, 0.95, 1.05, 0.93, 1.07, 1.0, 1.0, 1.0, 1.05, 0.95, 1.05])

    @pytest.mark.parametrize("spread", [0.0, 0.015])
    def test_left_equals_right_and_lengths_never_change(self, spread):
        body = moving_body(40, scales=self.OTHER)
        motion, report = solved(body, noisy(body, spread))
        lengths = motion.skeleton.bone_lengths
        np.testing.assert_array_equal(lengths, lengths[motion.skeleton.mirror_permutation])
        joints = placed(motion)[1].numpy()
        for j, parent in enumerate(motion.skeleton.parents[1:], start=1):
            measured = np.linalg.norm(joints[:, j] - joints[:, parent], axis=-1)
            np.testing.assert_allclose(measured, lengths[j], atol=1e-12)
        assert report.bone_lengths_m["LeftLeg"] == pytest.approx(lengths[motion.skeleton.index("LeftLeg")])

    @pytest.mark.parametrize(("spread", "tolerance"), [(0.0, 0.004), (0.015, 0.010)])
    def test_limbs_are_measured(self, spread, tolerance):
        # with noise: 15 mm over the square root of 40 frames and 2 sides, twice for the two ends, is 2.4 mm; the rest
        # is what keypoints may lie off their joints
        body = moving_body(40, scales=self.OTHER)
        motion, _ = solved(body, noisy(body, spread))
        for bone in ("LeftForeArm", "LeftHand", "LeftLeg", "LeftFoot"):
            j = body.skeleton.index(bone)
            truth = float(body.model.rest_offsets[j].norm())
            assert motion.skeleton.bone_lengths[j] == pytest.approx(truth, abs=tolerance), bone

    def test_a_child_is_a_small_adult_of_its_own_proportions(self):
        small, tall = (moving_body(40, scales=s * self.OTHER) for s in (0.63, 1.0))
        lengths = [solved(body)[0].skeleton.bone_lengths[1:] for body in (small, tall)]
        np.testing.assert_allclose(
            lengths[0], 0.63 * lengths[1], rtol=0.02
        )  # the priors on keypoint offsets are in metres
        assert small.model.rest_offsets[:, 2].sum() < 1.2

    def test_missing_legs_take_the_scale_of_the_rest(self):
        body = moving_body(40, scales=0.8 * np.ones(11))
        motion, report = solved(body, without(body, body.xyz, "knee", "ankle", "heel", "toe"))
        assert {"thigh", "shank", "foot"} <= set(report.segments_from_others)
        j = body.skeleton.index("LeftLeg")
        assert motion.skeleton.bone_lengths[j] == pytest.approx(0.8 * body.skeleton.bone_lengths[j], rel=0.02)

    def test_the_skeletons_own_lengths_can_be_kept(self):
        body = moving_body(20, scales=self.OTHER)
        motion, _ = solved(body, config=SolveConfig(fit_lengths=False, detector_habits=False))
        np.testing.assert_allclose(motion.skeleton.bone_lengths, body.skeleton.bone_lengths, atol=1e-12)

    def test_the_t_pose_stands_on_the_floor(self):
        body = moving_body(20, scales=0.7 * np.ones(11))
        skeleton = solved(body)[0].skeleton
        height = np.zeros(len(skeleton))
        for j, parent in enumerate(skeleton.parents):
            height[j] = skeleton.rest_offsets[j, 2] + (height[parent] if parent >= 0 else 0)
        assert 0 < height.min() < 0.03


class TestImperfectPoints:
    def test_noise_is_averaged_over_joints_and_time(self, body):
        motion, report = solved(body, noisy(body))
        # 15 mm an axis is 26 mm a point; constant bones and smoothness leave a half of it and less
        assert joint_errors(motion, body).mean() < 0.012
        assert report.max_angular_acceleration_rad_s2 < 200

    def test_outliers_hardly_matter(self, body):
        xyz = noisy(body)
        rng = np.random.default_rng(5)
        wild = rng.uniform(size=xyz.shape[:3]) < 0.05
        xyz[wild] += rng.normal(0, 0.4, (wild.sum(), 3))
        clean, _ = solved(body, noisy(body))
        motion, _ = solved(body, xyz)
        assert joint_errors(motion, body).mean() < 1.15 * joint_errors(clean, body).mean()
        assert joint_errors(motion, body).max() < 0.08

    def test_gaps_of_single_keypoints_are_bridged(self, body):
        xyz = body.xyz.copy()
        rng = np.random.default_rng(6)
        for j in range(xyz.shape[2]):
            begin = rng.integers(0, 80)
            xyz[begin : begin + 8, :, j] = np.nan
        errors = joint_errors(solved(body, xyz)[0], body)
        assert errors.mean() < 0.004
        # 8 frames are 0.27 s, a third of the fastest swing's period of 0.7 Hz: up to a tenth of its 1 rad on 0.6 m
        assert errors.max() < 0.06

    def test_unseen_frames_are_finite_smooth_and_reported(self, body):
        xyz = body.xyz.copy()
        xyz[:7] = xyz[40:50] = xyz[-6:] = np.nan
        motion, report = solved(body, xyz)
        assert report.frames_not_observed == [*range(7), *range(40, 50), *range(84, 90)]
        assert np.isfinite(motion.local_rotations).all()
        own = angular_acceleration(body.model, body.pose, body.fps).largest
        assert report.max_angular_acceleration_rad_s2 < 1.2 * own
        seen = np.isfinite(xyz).any((1, 2, 3))
        assert joint_errors(motion, body)[seen].max() < 0.03
        speed = np.linalg.norm(np.diff(motion.root_translation, axis=0), axis=-1) * body.fps
        assert speed.max() < 1.2  # the body walks at 0.67 m/s and bobs by 0.2 m/s

    def test_a_long_unseen_end_comes_to_rest(self):
        body = moving_body(150)
        xyz = body.xyz.copy()
        xyz[60:] = np.nan
        motion, _ = solved(body, xyz)
        drift = np.linalg.norm(motion.root_translation[-1] - motion.root_translation[59])
        assert drift < 1.0  # 3 s at 0.67 m/s would be 2 m; it stops within drift / acceleration = 0.83 s
        last = np.linalg.norm(motion.root_translation[-1] - motion.root_translation[-2]) * body.fps
        assert last < 0.1

    def test_a_keypoint_seen_once_does_not_whip_its_limb(self, body):
        xyz = without(body, body.xyz, "knee", "ankle", "heel", "toe")
        xyz[44, 0, body.keypoint_set.index("right_knee")] = body.xyz[44, 0, body.keypoint_set.index("right_knee")]
        motion, report = solved(body, xyz)
        assert report.keypoints_left_out == ["right_knee"]
        knee = motion.local_rotations[:, body.skeleton.index("RightUpLeg")]
        np.testing.assert_allclose(knee, knee[:1].repeat(90, 0), atol=1e-3)

    def test_low_confidence_pulls_less(self, body):
        xyz = body.xyz.copy()
        wrist = body.keypoint_set.index("left_wrist")
        xyz[:, 0, wrist] += [0.03, 0.0, 0.0]
        trusted = body.points(xyz)
        confidence = trusted.confidence.copy()
        confidence[:, 0, wrist] = 0.05
        doubted = Keypoints3D(
            trusted.keypoint_set, trusted.xyz, confidence, trusted.reprojection_px, trusted.n_views, trusted.fps
        )
        hand = columns(body, "LeftHand")
        errors = [
            joint_errors(solve(points, body.skeleton, PLAIN)[0][0], body)[:, hand].mean()
            for points in (trusted, doubted)
        ]
        assert errors[1] < 0.6 * errors[0]


class TestUpperBodyOnly:
    def test_legs_hang_from_the_hips_at_rest_and_are_reported(self):
        body = moving_body(40)
        motion, report = solved(body, without(body, body.xyz, "knee", "ankle", "heel", "toe"))
        assert report.joints_not_observed == [
            side + joint for side in ("Left", "Right") for joint in ("UpLeg", "Leg", "Foot", "ToeBase")
        ]
        legs = columns(body, "LeftUpLeg", "RightUpLeg", "LeftFoot")
        np.testing.assert_allclose(motion.local_rotations[:, legs, 0], 1, atol=1e-6)
        assert joint_errors(motion, body)[:, columns(body, "LeftHand", "RightForeArm", "Head")].max() < 0.03

    def test_without_hips_the_body_stands_upright_under_its_shoulders(self):
        body = moving_body(40)
        motion, report = solved(body, without(body, body.xyz, "hip", "knee", "ankle", "heel", "toe"))
        assert joint_errors(motion, body)[:, columns(body, "LeftHand", "RightForeArm", "Head")].max() < 0.03
        rotations, _ = placed(motion)
        up = quat_rotate(rotations[:, 0], torch.tensor([0.0, 0, 1], dtype=torch.float64).expand(40, 3))
        assert up[:, 2].min() > np.cos(np.deg2rad(15))  # the truth leans by 6 degrees
        assert report.mean_keypoint_mm < 3


class TestLimitsAndContinuity:
    def test_no_angle_leaves_its_limits(self):
        body = moving_body(60, reach=0.9)
        motion, report = solved(body, noisy(body, 0.04))
        knee = quat_to_rotvec(torch.from_numpy(motion.local_rotations[:, body.skeleton.index("LeftLeg")].copy()))
        low, high = body.skeleton.limits[body.skeleton.index("LeftLeg"), 0]
        assert knee[:, 0].min() > low - 0.02  # swing alone is within; the small twist beside it adds under a degree
        assert knee[:, 0].max() < high + 0.02
        elbow = quat_to_rotvec(torch.from_numpy(motion.local_rotations[:, body.skeleton.index("RightForeArm")].copy()))
        assert elbow[:, 2].min() > np.deg2rad(-11)
        assert set(report.limit_hits) <= set(body.skeleton.joint_names)

    def test_a_knee_seen_bent_backwards_stays_straight(self):
        body = moving_body(30)
        xyz = body.xyz.copy()
        joints = body.placement.joints.numpy()
        hip, knee, ankle = (joints[:, body.skeleton.index(n)] for n in ("LeftUpLeg", "LeftLeg", "LeftFoot"))
        foot = [body.keypoint_set.index(f"left_{n}") for n in ("ankle", "heel", "big_toe")]
        mirrored = 2 * (knee + (knee - hip)) - ankle  # the shank reflected about the line of the thigh
        xyz[10:20, 0, foot] += (mirrored - ankle)[10:20, None]
        motion, _ = solved(body, xyz)
        angle = quat_to_rotvec(torch.from_numpy(motion.local_rotations[:, body.skeleton.index("LeftLeg")].copy()))[:, 0]
        assert angle.min() > np.deg2rad(-10.5)

    def test_quaternions_are_unit_and_continuous_through_whole_turns(self):
        body = moving_body(160)  # turns by two whole turns
        motion, _ = solved(body)
        np.testing.assert_allclose(np.linalg.norm(motion.local_rotations, axis=-1), 1, atol=1e-9)
        steps = (motion.local_rotations[1:] * motion.local_rotations[:-1]).sum(-1)
        assert steps.min() > 0.98
        assert motion.local_rotations[:, 0, 0].min() < -0.5

    def test_a_mirrored_take_gives_the_mirrored_motion(self):
        body = moving_body(40)
        xyz = noisy(body)
        motion, _ = solved(body, xyz)
        mirrored, _ = solved(body, xyz[:, :, body.keypoint_set.mirror_permutation] * [-1, 1, 1])
        joints, other = (placed(m)[1].numpy() for m in (motion, mirrored))
        swap = body.skeleton.mirror_permutation
        # the same cost from mirrored starts: they stop within the solver's relative tolerance of each other
        np.testing.assert_allclose(other[:, swap] * [-1, 1, 1], joints, atol=0.003)

    def test_windows_join_without_a_seam(self):
        body = moving_body(200)
        xyz = noisy(body)
        whole, _ = solved(body, xyz, SolveConfig(window=400, detector_habits=False))
        parts, _ = solved(body, xyz, SolveConfig(window=60, overlap=20, detector_habits=False))
        apart = np.linalg.norm((placed(whole)[1] - placed(parts)[1]).numpy(), axis=-1)
        assert apart.mean() < 0.001
        # twenty frames of look-ahead are 0.67 s, some four times the memory of the smoothing
        assert np.delete(apart, columns(body, *SPINE), axis=1).max() < 0.015


class TestShortTakesAndPeople:
    @pytest.mark.parametrize("n_frames", [1, 2, 3])
    def test_short_takes(self, n_frames):
        body = moving_body(n_frames)
        motion, _ = solved(body)
        assert motion.n_frames == n_frames
        assert np.delete(joint_errors(motion, body), columns(body, *SPINE), axis=1).max() < 0.02

    def test_a_few_points_on_one_line_still_give_a_person(self):
        body = moving_body(20)
        arm = ("left_shoulder", "left_elbow", "left_wrist", "left_index")
        others = [name for name in body.keypoint_set.names if name not in arm]
        motion, report = solved(body, without(body, body.xyz, *others))
        assert np.isfinite(motion.root_translation).all()
        assert report.mean_keypoint_mm < 20
        assert "RightLeg" in report.joints_not_observed

    def test_two_people_of_different_size(self):
        first, second = moving_body(30), moving_body(30, scales=0.7 * np.ones(11), seed=4)
        both = keypoints3d(first.keypoint_set, np.concatenate([first.xyz, second.xyz + [2.0, 1, 0]], axis=1), 30.0)
        motions, report = solve(both, first.skeleton, PLAIN)
        assert [m.person for m in motions] == ["person_1", "person_2"]
        assert [p.person for p in report.people] == ["person_1", "person_2"]
        alone, _ = solved(first)
        np.testing.assert_allclose(motions[0].root_translation, alone.root_translation, atol=1e-12)
        ratio = motions[1].skeleton.bone_lengths[1:] / motions[0].skeleton.bone_lengths[1:]
        np.testing.assert_allclose(ratio, 0.7, atol=0.02)

    def test_a_person_nobody_saw_is_named_and_left_out(self):
        body = moving_body(10)
        both = keypoints3d(body.keypoint_set, np.concatenate([body.xyz, np.nan * body.xyz], axis=1), 30.0)
        motions, report = solve(both, body.skeleton, PLAIN)
        assert [m.person for m in motions] == ["person_1"]
        assert report.people_without_frames == ["person_2"]

    def test_nobody_at_all_is_an_error_that_says_what_to_check(self):
        body = moving_body(5)
        with pytest.raises(NoPersonError, match="no frame of 5 has 4 keypoints") as caught:
            solve(body.points(np.nan * body.xyz), body.skeleton, PLAIN)
        assert "calibration" in str(caught.value)

    def test_keypoints_without_a_place_on_the_skeleton_are_refused(self):
        strange = KeypointSet("strange", ("tail", "left_wing"), (), (), ())
        points = keypoints3d(strange, np.zeros((3, 1, 2, 3)), 30.0)
        with pytest.raises(InputError, match="'strange' has no keypoint of the skeleton's markers"):
            solve(points, load_skeleton(), PLAIN)

    def test_what_a_user_should_know_is_said(self):
        body = moving_body(20)
        xyz = without(body, body.xyz, "knee", "ankle", "heel", "toe")
        xyz[:3] = np.nan
        _, report = solve(body.points(xyz), body.skeleton, PLAIN)
        text = " ".join(report.sentences)
        assert "3 of 20 frames" in text
        assert "LeftLeg" in text


@pytest.fixture(scope="module")
def seen() -> tuple[Body, SeenInViews, Keypoints3D]:
    body, rig = moving_body(45), mixed_rig()
    xy = np.moveaxis(rig.project(body.xyz), 0, 2) + np.random.default_rng(2).normal(0, 2.0, (45, 1, 5, 33, 2))
    return body, SeenInViews(reports(rig, body, xy), rig), body.points(noisy(body, 0.01))


class TestViews:
    """What every view shows, in lenses of all kinds; the world of the body moved to where all cameras look."""

    @staticmethod
    def error(seen: SeenInViews, body: Body, points: Keypoints3D) -> np.ndarray:
        (motion,), _ = solve(points, body.skeleton, PLAIN, seen)
        return np.delete(joint_errors(motion, body), columns(body, *SPINE), axis=1)

    def test_joints_are_recovered_from_pixels(self, seen):
        body, views, points = seen
        # 2 px are 3 to 6 mm in these lenses, over five views, limbs of constant length and neighbouring frames
        assert self.error(views, body, points).mean() < 0.005

    def test_a_view_that_swaps_left_and_right_hardly_matters(self, seen):
        body, views, points = seen
        xy = views.points.xy.copy()
        swap = body.keypoint_set.mirror_permutation
        xy[10:14, :, 1], xy[30:32, :, 3] = xy[10:14, :, 1][..., swap, :], xy[30:32, :, 3][..., swap, :]
        swapped = SeenInViews(reports(views.rig, body, xy), views.rig)
        assert self.error(swapped, body, points).mean() < 1.3 * self.error(views, body, points).mean()

    def test_one_view_is_enough_for_half_a_second(self, seen):
        body, views, points = seen
        xy, xyz = views.points.xy.copy(), points.xyz.copy()
        xy[20:35, :, 1:] = np.nan
        xyz[20:35] = np.nan
        alone = SeenInViews(reports(views.rig, body, xy), views.rig)
        error = self.error(alone, body, body.points(xyz))
        # the body turns by 1.25 rad meanwhile, and a view does not say how far away it is
        assert error.mean() < 0.012
        assert error.max() < 0.12

    def test_a_camera_that_was_knocked_is_named_and_hardly_pulls(self, seen):
        body, views, points = seen
        turned = Rotation.from_rotvec(np.deg2rad([0.0, 2.0, 0.0])).as_matrix()  # 2 degrees: 10 cm at 3 m
        pose = views.rig.cameras[1].cam_from_world
        knocked = replace(views.rig.cameras[1], cam_from_world=RigidTransform(turned @ pose.R, turned @ pose.t))
        rig = Rig((views.rig.cameras[0], knocked, *views.rig.cameras[2:]))
        _, report = solve(points, body.skeleton, PLAIN, SeenInViews(views.points, rig))
        assert list(report.people[0].cameras_off) == [knocked.name]
        assert knocked.name in " ".join(report.sentences)
        # as good as without that camera: the four others see all
        there = self.error(SeenInViews(views.points, rig), body, points).mean()
        xy = views.points.xy.copy()
        xy[:, :, 1] = np.nan
        assert there < 1.15 * self.error(SeenInViews(reports(views.rig, body, xy), views.rig), body, points).mean()

    def test_good_cameras_are_all_believed(self, seen):
        body, views, points = seen
        _, report = solve(points, body.skeleton, PLAIN, views)
        assert report.people[0].cameras_off == {}

    def test_every_joint_says_how_uncertain_it_is(self, seen):
        body, views, points = seen
        xy = views.points.xy.copy()
        xy[20:35, :, 1:] = np.nan
        (motion,), _ = solve(points, body.skeleton, PLAIN, SeenInViews(reports(views.rig, body, xy), views.rig))
        assert motion.joint_sd_m is not None
        assert motion.joint_sd_m.shape == (45, len(body.skeleton))
        assert motion.joint_sd_m[24:30].mean() > 1.2 * motion.joint_sd_m[:15].mean()

    def test_the_habits_of_a_measured_detector_are_read_off(self):
        skeleton, keypoint_set = load_skeleton(), load_keypoint_set("blazepose33")
        markers = load_markers("humanoid", skeleton, "blazepose33")
        plain = load_markers("humanoid", skeleton)
        hips = [markers.keypoints.index(side + "_hip") for side in ("left", "right")]
        np.testing.assert_allclose(markers.offsets[hips[0]] * [-1, 1, 1], markers.offsets[hips[1]])
        assert np.abs(markers.offsets[hips]).max() > 0.01  # in front of the joints' centres, by centimetres
        assert not plain.offsets[hips].any()
        assert set(keypoint_set.names) & set(markers.keypoints)
        assert load_markers("humanoid", skeleton, "coco17").rest_offsets is None


def reports(rig: Rig, body: Body, xy: np.ndarray) -> Keypoints2D:
    """As a detector would give them: missing where nothing is imaged."""
    there = np.asarray(np.isfinite(xy).all(-1))
    return Keypoints2D(rig.names, body.keypoint_set, np.where(there[..., None], xy, np.nan), there.astype(float), 30.0)


class TestCost:
    def test_time_grows_with_the_frames_and_not_faster(self):
        body = moving_body(480)
        xyz = noisy(body)
        solve(body.points(xyz[:20]), body.skeleton, PLAIN)
        seconds = []
        for n_frames in (120, 480):
            begin = time.process_time()
            solved(body, xyz[:n_frames])
            seconds.append(time.process_time() - begin)
        assert seconds[1] < 6 * seconds[0]  # four times the frames; lengths are found from the same number of frames


def read_trc(path: Path, names: dict[str, str], keypoint_set: KeypointSet) -> Keypoints3D:
    """The markers of a TRC file that have a keypoint's name, Y up turned to Z up."""
    lines = path.read_text().splitlines()
    fps = float(lines[2].split()[0])
    header = [name.strip() for name in lines[3].split("\t")[2:] if name.strip()]
    rows = [[float(cell) for cell in line.split("\t")[2:] if cell.strip()] for line in lines[5:] if line.strip()]
    points = np.array(rows).reshape(len(rows), len(header), 3)[..., [2, 0, 1]]
    xyz = np.full((len(rows), 1, len(keypoint_set), 3), np.nan)
    for marker, keypoint in names.items():
        xyz[:, 0, keypoint_set.index(keypoint)] = points[:, header.index(marker)]
    return keypoints3d(keypoint_set, xyz, fps)


TRIAL = "pose2sim/v0.7dev_a948c205/S00_Demo_Session/S00_P00_SingleParticipant/S00_P00_T01_BalancingTrial/pose-3d"


@pytest.fixture(scope="module")
def treadmill_man(shared_data) -> tuple[Motion, PersonSolveReport]:
    """The man of the four-camera trial, from the reference trajectories that come with it."""
    words = {"BigToe": "big_toe", "SmallToe": "small_toe"}
    names = {"Neck": "neck", "Head": "head", "Nose": "nose"}
    for part in ("Hip", "Knee", "Ankle", "BigToe", "SmallToe", "Heel", "Shoulder", "Elbow", "Wrist"):
        for letter, side in (("L", "left"), ("R", "right")):
            names[letter + part] = f"{side}_{words.get(part, part.lower())}"
    file = next((shared_data / TRIAL).glob("*_0-100_filt_butterworth.trc"))
    (motion,), report = solve(read_trc(file, names, load_keypoint_set("halpe26")), load_skeleton(), PLAIN)
    return motion, report.people[0]


class TestRealPoints:
    def test_the_skeleton_follows_the_points(self, treadmill_man):
        _, report = treadmill_man
        assert (
            report.mean_keypoint_mm < 16
        )  # 13.4 measured; the reference's own limbs vary by 3 to 12 % of their length
        assert report.mean_joint_mm < 18  # 15.4 measured
        assert report.frames_not_observed == []
        assert report.joints_not_observed == []

    def test_a_man_of_usual_proportions(self, treadmill_man):
        motion, report = treadmill_man
        assert all(0.8 < scale < 1.2 for scale in report.segment_scales.values())
        joints = placed(motion)[1].numpy()
        index = motion.skeleton.index
        assert (joints[:, index("Head"), 2] > joints[:, 0, 2] + 0.3).all()
        assert 0.8 < np.median(joints[:, 0, 2]) < 1.1

    def test_nothing_pops(self, treadmill_man):
        _, report = treadmill_man
        assert report.max_angular_acceleration_rad_s2 < 150  # fast limbs of real people reach some hundreds
        assert report.jitter_mm < 1

    def test_no_knee_or_elbow_bends_backwards(self, treadmill_man):
        motion, _ = treadmill_man
        for joint, axis, sign in (("Leg", 0, 1), ("ForeArm", 2, None)):
            for side in ("Left", "Right"):
                bend = quat_to_rotvec(
                    torch.from_numpy(motion.local_rotations[:, motion.skeleton.index(side + joint)].copy())
                )
                direction = sign or (-1 if side == "Left" else 1)
                assert (direction * bend[:, axis]).min() > np.deg2rad(-11), side + joint
