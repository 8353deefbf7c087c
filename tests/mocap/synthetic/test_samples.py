"""Training samples are what they say, and the same whoever makes them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.core.truth import Visibility
from mocap.synthetic.body_bank import bank_of, humanoid_body, make_bodies, place_people
from mocap.synthetic.body_points import keypoints_on_body
from mocap.synthetic.gait import joint_poses, walk_and_reach
from mocap.synthetic.heatmaps import HeatmapConfig
from mocap.synthetic.pose_bank import PoseConfig, bank_of_motions, random_angles
from mocap.synthetic.posing import follow_in_time, joint_transforms
from mocap.synthetic.samples import SampleConfig, Samples

SET = load_keypoint_set("blazepose33")
SKELETON = load_skeleton()
SMALL = SampleConfig(block_size=40, bodies=6, body="humanoid", cameras=(4, 4))


WALK = bank_of_motions([walk_and_reach(SKELETON, seconds=4.0, fps=10.0)])


def of_walk(config, seed):
    """Samples of one motion, which is quickly made."""
    return Samples(config, seed, poses=WALK)


@pytest.fixture(scope="module")
def samples():
    return of_walk(SMALL.model_copy(update={"others": (1, 1), "furniture": (1, 1)}), 3)


@pytest.fixture(scope="module")
def block(samples):
    return samples.block(5)


@pytest.fixture(scope="module")
def bodies():
    return make_bodies(8, SET, np.random.default_rng(0), "humanoid")


def same(a, b):
    for name in ("xyz", "joints", "exact", "visibility", "xy", "confidence"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_block_is_the_same_whoever_makes_it(samples, block):
    other = of_walk(samples.config, 3)
    next(other.blocks())
    same(other.block(5), block)
    for worker in range(3):
        first, second = islice(other.blocks(start=2, worker=worker, workers=3), 2)
        assert (first.index, second.index) == (2 + worker, 5 + worker)
    same(next(other.blocks(start=4, worker=1, workers=3)), block)
    assert not np.array_equal(samples.block(6).xyz, block.xyz)
    assert not np.array_equal(of_walk(samples.config, 4).block(5).xyz, block.xyz)


def test_shapes(block):
    n, c, k = 40, 4, 33
    assert block.xyz.shape == (n, k, 3)
    assert block.joints.shape == (n, 22, 3)
    assert block.exact.shape == block.xy.shape == (n, c, k, 2)
    assert block.visibility.shape == block.confidence.shape == (n, c, k)
    assert block.record.swapped.shape == (n, 1, c, k)
    assert block.heatmaps is None
    assert len(block) == len(block.cameras) == n


def test_pixels_are_those_of_the_rig_and_missing_is_both(block):
    for n in (0, 17, 39):
        rig = block.cameras.rig(n)
        np.testing.assert_allclose(block.exact[n], rig.project(block.xyz[n]), atol=1e-8)
        size = np.array([camera.intrinsics.image_size for camera in rig])[:, None]
        inside = ((block.exact[n] >= -0.5) & (block.exact[n] <= size - 0.5)).all(-1)
        assert (inside == (block.visibility[n] != Visibility.OUTSIDE)).all()
    assert (np.isnan(block.xy).any(-1) == (block.confidence == 0)).all()


def test_every_way_of_showing_occurs(samples):
    codes = np.concatenate([samples.block(i).visibility.ravel() for i in range(6)])
    for code in Visibility:
        assert (codes == code).mean() > 0.005, code.name


def test_reports_are_near_the_truth_where_nothing_went_wrong(block):
    right = (block.confidence > 0) & ~block.record.outlier[:, 0] & ~block.record.swapped[:, 0]
    off = np.linalg.norm(block.xy - block.exact, axis=-1)[right]
    bias = np.linalg.norm(block.record.bias_px[:, 0], axis=-1)[right]
    assert (off < 12 * block.record.sigma_px[:, 0][right] + bias).mean() > 0.999
    assert right.mean() > 0.7


def test_people_stand_on_the_floor_unless_they_jump():
    still = SMALL.model_copy(update={"airborne": 0.0, "poses": PoseConfig(any_way_up=0.0, any_angles=0.0)})
    block = of_walk(still, 1).block(0)
    feet = block.xyz[:, SET.indices(["left_heel", "right_heel", "left_big_toe", "right_big_toe"]), 2]
    assert feet.min() > -0.02
    # Soles and tips of the capsules lie up to 45 mm beyond the keypoints of a foot, for large and thick people 60 mm.
    assert feet.min(1).max() < 0.08
    apart = np.linalg.norm(block.joints[:, 0, :2], axis=-1)
    assert apart.max() <= still.area_m + 1e-9


def test_numbers_of_cameras_vary_from_block_to_block():
    samples = of_walk(SMALL.model_copy(update={"cameras": (2, 8), "block_size": 2}), 0)
    assert {samples.block(i).xy.shape[1] for i in range(40)} == set(range(2, 9))


def test_heatmaps_are_those_of_the_reports_and_memory_may_be_reused():
    how = HeatmapConfig(size=(24, 32), second_share=0.0, noise=0.0)
    samples = of_walk(SMALL.model_copy(update={"heatmaps": how, "block_size": 6}), 2)
    block = samples.block(1)
    assert block.heatmaps is not None
    assert block.heatmaps.shape == (6, 4, 33, 32, 24)
    missing = torch.from_numpy(block.confidence == 0)
    assert not block.heatmaps[missing].any()
    again = list(islice(samples.blocks(reuse=True), 2))
    assert torch.equal(again[1].heatmaps, block.heatmaps)
    assert again[0].heatmaps.data_ptr() == again[1].heatmaps.data_ptr()
    same(samples.block(1), block)


def test_bodies_differ_stand_on_the_floor_and_are_symmetric(bodies):
    length = np.linalg.norm(bodies.rest_offsets, axis=-1)
    assert (length.std(0)[1:] > 0).all()
    np.testing.assert_allclose(length[:, SKELETON.mirror_permutation], length, atol=1e-12)
    heights = np.minimum(bodies.parts.start, bodies.parts.end)[..., 2] - bodies.parts.radii[..., 2]
    assert heights.min() == pytest.approx(0, abs=1e-9)
    names = list(SET.mirror_permutation)
    np.testing.assert_allclose(bodies.keypoints[:, names] * [-1, 1, 1], bodies.keypoints, atol=1e-12)


def test_people_are_placed_as_the_forward_kinematics_have_it(bodies):
    """One body in a walk: joints, keypoints and capsules against the ordinary way, up to where it stands."""
    from dataclasses import replace

    motion = walk_and_reach(SKELETON, seconds=1.0, fps=10.0)
    person = 3
    own = replace(SKELETON, rest_offsets=bodies.rest_offsets[person])
    heading = np.full(10, 0.7)
    turn = Rotation.from_rotvec([0, 0, 0.7])
    rotations = np.array(motion.local_rotations)
    root = turn * Rotation.from_quat(rotations[:, 0][:, [1, 2, 3, 0]])
    rotations[:, 0] = root.as_quat()[:, [3, 0, 1, 2]]
    place = np.random.default_rng(0).uniform(-1, 1, (10, 3)) + [0, 0, 1.0]
    found = place_people(bodies, np.full(10, person), motion.local_rotations, heading=heading, place=place)
    usual = Motion(own, found.joints[:, 0], rotations, 10.0)
    np.testing.assert_allclose(joint_poses(usual)[1], found.joints, atol=1e-9)
    np.testing.assert_allclose(found.joints[:, 0, :2], place[:, :2], atol=1e-9)
    expected = follow_in_time(bodies.keypoints[person], bodies.weights[person], joint_transforms(usual))
    np.testing.assert_allclose(found.keypoints, expected, atol=1e-9)
    # The lowest point of the capsules, by looking at many directions from both ends of each, is where it should be.
    sphere = Rotation.random(4000, random_state=1).apply([1, 0, 0])
    world_from_unit = np.linalg.inv(found.parts.unit_from_world)
    ends = np.stack([np.zeros_like(found.parts.along), found.parts.along], axis=2)
    skin = np.einsum("nsab,nsedb->nsed a".replace(" ", ""), world_from_unit, ends[:, :, :, None] + sphere)
    lowest = (skin + found.parts.start[:, :, None, None])[..., 2].min((1, 2, 3))
    # A direction among 4000 is within 0.05 rad of straight down: 0.05² / 2 of a radius of up to 0.2 m.
    np.testing.assert_allclose(lowest, place[:, 2], atol=5e-4)


def test_keypoints_of_the_plain_skeleton_are_those_of_body_points():
    """A body without any stretch agrees with the function that the sample session is made with."""

    class Plain(np.random.Generator):
        def normal(self, loc=0.0, scale=1.0, size=None):
            return loc

    body = humanoid_body(SET, Plain(np.random.PCG64(0)))
    motion = walk_and_reach(SKELETON, seconds=0.5, fps=8.0)
    placed = place_people(
        body, np.zeros(4, dtype=np.int64), motion.local_rotations, heading=np.zeros(4), place=np.zeros((4, 3))
    )
    expected = keypoints_on_body(motion, SET)
    np.testing.assert_allclose(
        placed.keypoints - placed.joints[:, :1], expected - motion.root_translation[:, None], atol=1e-9
    )


def test_random_angles_keep_within_the_limits():
    bank = bank_of_motions([walk_and_reach(SKELETON, seconds=0.3, fps=10.0)])
    poses = random_angles(SKELETON, bank.rest, 300, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(poses, axis=-1), 1)
    elbow = SKELETON.index("LeftForeArm")
    locked = SKELETON.index("LeftToeBase")
    vectors = Rotation.from_quat(poses[:, locked][:, [1, 2, 3, 0]]).as_rotvec()
    np.testing.assert_allclose(vectors[:, 1:], 0, atol=1e-9)
    assert np.rad2deg(vectors[:, 0].min()) >= -75
    assert np.rad2deg(vectors[:, 0].max()) <= 45
    bent = Rotation.from_quat(poses[:, elbow][:, [1, 2, 3, 0]]).magnitude()
    assert bent.std() > 0.3


def test_poses_never_repeat_and_headings_are_taken_out():
    bank = bank_of_motions([walk_and_reach(SKELETON, seconds=2.0, fps=10.0)])
    poses = bank.draw(500, np.random.default_rng(0), PoseConfig())
    assert len(np.unique(poses.round(9), axis=0)) == 500
    np.testing.assert_allclose(np.linalg.norm(poses, axis=-1), 1)
    np.testing.assert_allclose(bank.rotations[:, 0, 3], 0, atol=1e-12)
    as_they_are = PoseConfig(mixed=0, any_angles=0, any_way_up=0, jitter_rad=0)
    drawn = bank.draw(50, np.random.default_rng(0), as_they_are)
    for pose in drawn:
        assert np.isclose(pose, bank.rotations).all((1, 2)).any()


def test_banks_are_joined(bodies):
    both = bank_of([bodies, bodies])
    assert len(both) == 16
    np.testing.assert_array_equal(both.parts.start[8:], bodies.parts.start)


def test_mistakes_of_the_user_are_told():
    with pytest.raises(InputError, match=r"cameras = \(0, 3\)"):
        Samples(SampleConfig(cameras=(0, 3)), 0)
    with pytest.raises(InputError, match="worker 2 of 2"):
        next(Samples(SMALL, 0).blocks(worker=2, workers=2))


@pytest.mark.slow
def test_samples_of_bodies_from_the_body_model():
    pytest.importorskip("anny", reason="bodies need the extra synth")
    config = SMALL.model_copy(update={"body": "anny", "keypoints": "halpe26", "airborne": 0.0, "bodies": 3})
    block = of_walk(config, 0).block(0)
    assert np.isfinite(block.xyz).all(), "the body model knows every keypoint"
    lowest = block.xyz[:, :, 2].min(1)
    assert lowest.min() > -0.03
    assert np.median(lowest) < 0.06
    assert 0.05 < (block.visibility == Visibility.HIDDEN_BY_SELF).mean() < 0.5
    rig = block.cameras.rig(2)
    np.testing.assert_allclose(block.exact[2], rig.project(block.xyz[2]), atol=1e-8)


def test_without_the_body_model_the_plain_skeleton_serves(monkeypatch):
    """As on a machine without the extra `synth`."""
    from mocap.synthetic import body

    def missing(shape):
        raise InputError("not installed", where="anny")

    monkeypatch.setattr(body, "make_body", missing)
    plain = make_bodies(2, SET, np.random.default_rng(0), "humanoid")
    np.testing.assert_array_equal(make_bodies(2, SET, np.random.default_rng(0)).keypoints, plain.keypoints)
    with pytest.raises(InputError, match="not installed"):
        make_bodies(2, SET, np.random.default_rng(0), "anny")


@pytest.mark.slow
def test_poses_come_from_every_built_in_motion():
    """More seconds of standing than of anything else would make a poor teacher."""
    every, one = Samples(SMALL, 0).poses, Samples(SMALL.model_copy(update={"motions": ("squat",)}), 0).poses
    assert len(every.rotations) > 10 * len(one.rotations)
    knee = SKELETON.index("LeftLeg")
    bent = 2 * np.arccos(np.clip(np.abs(one.rotations[:, knee, 0]), 0, 1))
    assert bent.max() > 1.0
    with pytest.raises(InputError, match="moonwalk"):
        Samples(SMALL.model_copy(update={"motions": ("moonwalk",)}), 0).block(0)
