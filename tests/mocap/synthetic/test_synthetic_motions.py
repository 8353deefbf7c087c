"""Built-in motions are those of a body: feet stay where they stand, nothing jerks, nothing bends the wrong way."""

from __future__ import annotations

import numpy as np
import pytest
from motion_figures import SUBJECTS, figures, turning

from mocap.core.errors import InputError
from mocap.synthetic.contacts import clap_times, foot_contacts, palm_gap, sole_paths
from mocap.synthetic.gait import joint_poses, walk_and_reach
from mocap.synthetic.motion_build import Build
from mocap.synthetic.motions import MOTIONS, make_motion, placed, sequence, with_start_pose

SECONDS, FPS = 4.0, 120.0
ON_THE_SPOT = tuple(kind for kind in MOTIONS if not kind.startswith(("walk", "side", "turn")))


def made(kind, subject="neutral", *, seed=0, seconds=SECONDS, fps=FPS):
    return make_motion(kind, SUBJECTS[subject], seconds=seconds, fps=fps, rng=np.random.default_rng(seed))


def check(kind, seen):
    # Soles touch by construction; a tenth of a millimetre is a swing's clearance between frames.
    assert seen.sinking < 0.1
    # Above the floor while in contact: at most FootContactConfig.low_m, 6 mm, in the frames before a jump.
    assert seen.floating < 6.0
    # 2 cm/s is 0.2 mm a frame, the most that a standing foot is allowed; at its ends FootContactConfig.slow_m_s.
    assert seen.slide < 2.0
    assert seen.edge <= 5.0
    assert seen.limits == 0.0
    # Winter: knees of walkers reach 150 to 200 rad/s^2, of jumpers and elbows of boxers two or three times that.
    assert seen.turning < 600.0
    # A push-off of 3 g less the 1 g of standing, and some more for fast children; all else stays on the floor.
    assert seen.root < (32.0 if kind == "jump" else 12.0)
    # Half the thickness of a forearm (38 mm); shins (52 mm) and half of what feet are wider.
    assert seen.arms > 35.0
    assert seen.legs > 60.0
    assert seen.hands > 0.0


@pytest.mark.parametrize("kind", MOTIONS)
def test_people_move_like_people(kind):
    number = MOTIONS.index(kind)
    check(kind, figures(made(kind, tuple(SUBJECTS)[number % 3], seed=number)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", MOTIONS)
def test_all_sizes_of_people_move_like_people(kind, capsys):
    worst = {}
    for name in SUBJECTS:
        for seed in range(5):
            seen = figures(made(kind, name, seed=seed, seconds=6.0))
            check(kind, seen)
            for key, value in vars(seen).items():
                least = key in ("arms", "legs", "hands")
                worst[key] = (min if least else max)(value, worst.get(key, value))
    with capsys.disabled():
        print(f"\n{kind:15s}" + " ".join(f"{key} {value:6.1f}" for key, value in worst.items()), end="")


@pytest.mark.parametrize("kind", ["walk_line", "jump", "clap", "pick_up"])
def test_no_pops(kind):
    # Accelerations of a smooth motion do not depend on the frame rate; those of a jump in speed double with it, those
    # of a jump in place become four times as large. Measured: up to 1.08.
    coarse, fine = (made(kind, seconds=3.0, fps=fps) for fps in (120.0, 240.0))
    assert turning(fine).max() < 1.3 * turning(coarse).max()


@pytest.mark.parametrize("kind", ["walk_circle", "reach"])
def test_a_seed_is_a_motion(kind):
    first, again, other = made(kind, seconds=2.0), made(kind, seconds=2.0), made(kind, seed=1, seconds=2.0)
    np.testing.assert_array_equal(first.local_rotations, again.local_rotations)
    np.testing.assert_array_equal(first.root_translation, again.root_translation)
    assert np.abs(first.local_rotations - other.local_rotations).max() > 0.01


@pytest.mark.parametrize("kind", ["dance", "lunge"])
def test_the_frame_rate_changes_nothing(kind):
    # The smoothing of 0.05 s and more is a sum over frames: at 60/s that is exact to a fraction of a millimetre.
    coarse, fine = made(kind, fps=60.0), made(kind, fps=120.0)
    assert np.abs(joint_poses(coarse)[1] - joint_poses(fine)[1][::2]).max() < 1e-3


@pytest.mark.parametrize(
    ("seconds", "fps", "n_frames"), [(0.01, 30.0, 1), (0.5, 30.0, 15), (1.5, 25.0, 38), (3.0, 10.0, 30)]
)
def test_any_length_can_be_had(seconds, fps, n_frames):
    for kind in ("walk_line", "jump", "wave"):
        motion = made(kind, seconds=seconds, fps=fps)
        assert motion.n_frames == n_frames
        assert foot_contacts(motion).shape == (n_frames, 4)


def test_a_circle_is_walked_around_the_origin():
    root = made("walk_circle", seconds=12.0, fps=30.0).root_translation[60:, :2]
    distance = np.linalg.norm(root, axis=1)
    assert distance.min() > 0.55
    assert distance.max() < 1.05
    angle = np.unwrap(np.arctan2(root[:, 1], root[:, 0]))
    assert abs(angle[-1] - angle[0]) > 2 * np.pi
    assert (np.diff(angle) * np.sign(angle[-1] - angle[0]) > 0).all()


def test_a_line_is_walked_there_and_back():
    motion = made("walk_line", seconds=8.0, fps=30.0)
    y = motion.root_translation[:, 1]
    assert y[0] - y.min() > 1.2
    assert y[0] - y[-1] < 0.5
    assert np.ptp(motion.root_translation[:, 0]) < 0.8


@pytest.mark.parametrize("kind", ON_THE_SPOT)
def test_who_stays_on_the_spot_stays_at_the_origin(kind):
    motion = made(kind, seconds=3.0, fps=30.0)
    feet = [motion.skeleton.index(f"{side}Foot") for side in ("Left", "Right")]
    ankles = joint_poses(motion)[1][0, feet]
    assert np.linalg.norm(ankles.mean(0)[:2]) < 1e-9
    # Facing -Y: the left foot is on the +X side.
    assert ankles[0, 0] > 0


def test_a_jumper_flies_as_things_fall():
    motion = made("jump", seed=3, fps=240.0)
    flying = sole_paths(motion)[..., 2].min(axis=(1, 2)) > 0.01
    assert 0.2 < flying.sum() / motion.fps < 1.2
    inside = flying[2:] & flying[1:-1] & flying[:-2]
    acceleration = np.diff(motion.root_translation[:, 2], 2) * motion.fps**2
    np.testing.assert_allclose(acceleration[inside], -9.81, atol=1e-3)
    assert not foot_contacts(motion)[flying].any()


@pytest.mark.parametrize("name", SUBJECTS)
def test_palms_meet_when_they_clap(name):
    motion = made("clap", name, seconds=5.0)
    times = clap_times(motion)
    assert len(times) >= 1
    gap = palm_gap(motion)
    at = np.interp(times, np.arange(motion.n_frames) / FPS, gap)
    # The gap is a parabola of up to 80 m/s^2 about the clap: 0.7 mm half a frame of 1/120 s beside it.
    assert at.max() < 1.5e-3
    # The vertex of a parabola through three samples; the fourth power is what it misses.
    np.testing.assert_allclose(clap_times(made("clap", name, seconds=5.0, fps=60.0)), times, atol=1e-3)


def test_only_claps_are_claps():
    for kind in ("wave", "punch", "squat", "jump", "dance"):
        assert not len(clap_times(made(kind, seconds=5.0, fps=60.0)))


def test_the_reaching_walker_slides_less_than_the_carried_one():
    old = figures(walk_and_reach(SUBJECTS["neutral"], seconds=5.0, fps=FPS))
    new = figures(made("walk_and_reach", seconds=5.0))
    assert new.edge < old.edge
    assert new.root < old.root / 4


def test_a_sequence_goes_on_where_it_was():
    kinds = ("stand", "walk_line", "squat", "turn_around", "jump")
    motion = sequence(kinds, SUBJECTS["neutral"], fps=FPS, rng=np.random.default_rng(5))
    check("jump", figures(motion))
    short = sequence(kinds, SUBJECTS["neutral"], seconds=7.0, fps=30.0, rng=np.random.default_rng(5))
    assert short.n_frames == 210


def test_the_last_of_a_sequence_goes_on_until_the_end():
    motion = sequence(("clap", "walk_circle"), SUBJECTS["neutral"], seconds=6.0, fps=FPS, rng=np.random.default_rng(2))
    check("walk_circle", figures(motion))
    assert len(clap_times(motion)) >= 1
    last = np.linalg.norm(np.diff(motion.root_translation[-30:, :2], axis=0), axis=1) * FPS
    assert last.min() > 0.4


def test_wrong_names_are_told_with_the_right_ones():
    with pytest.raises(InputError, match=r"no motion 'fly'.*There are walk_circle, .*jump"):
        made("fly")
    with pytest.raises(InputError, match="no motion 'swim'"):
        sequence(("stand", "swim"), SUBJECTS["neutral"], fps=30.0, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="sequence of no motions"):
        sequence((), SUBJECTS["neutral"], fps=30.0, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="no start pose 'I'"):
        with_start_pose(made("stand", seconds=0.1), "I")
    with pytest.raises(InputError, match="blended for 0"):
        with_start_pose(made("stand", seconds=0.1), blend_s=0.0)


@pytest.mark.parametrize(("kind", "pose"), [("jump", "T"), ("walk_line", "A")])
def test_a_start_pose_is_held_on_feet_that_stay(kind, pose):
    motion = made(kind, "tall", seconds=3.0)
    posed = with_start_pose(motion, pose, hold_s=0.5, blend_s=0.6)
    assert posed.n_frames == motion.n_frames + 132
    skeleton, held = motion.skeleton, posed.local_rotations[:60]
    np.testing.assert_array_equal(held, np.repeat(held[:1], 60, axis=0))
    straight = ["Spine", "Spine1", "Spine2", "LeftForeArm", "RightForeArm", "LeftHand", "RightHand"]
    straight += ["LeftArm", "RightArm"] if pose == "T" else []
    for name in straight:
        np.testing.assert_allclose(held[0, skeleton.index(name)], [1, 0, 0, 0], atol=1e-6)
    _, joints = joint_poses(posed)
    shoulder, wrist = joints[0, skeleton.index("LeftArm")], joints[0, skeleton.index("LeftHand")]
    assert (wrist[2] - shoulder[2]) / Build(skeleton).arm == pytest.approx(0.0 if pose == "T" else -0.7, abs=0.1)
    check(kind, figures(posed))
    standing = sole_paths(posed)[: 60 + 60]
    # Feet stand as the motion has them first: they are the motion's to 0.1 mm until it lifts them (0.5 s in at least).
    assert np.abs(standing - standing[0]).max() < 1e-4
    np.testing.assert_allclose(joints[-100:], joint_poses(motion)[1][-100:], atol=1e-9)


def test_who_walks_from_the_first_frame_steps_out_of_the_start_pose():
    walk = walk_and_reach(SUBJECTS["neutral"], seconds=3.0, fps=FPS)
    posed = with_start_pose(walk, "T", hold_s=0.5, blend_s=0.8)
    assert posed.n_frames == walk.n_frames + 156
    paths = sole_paths(posed)
    assert paths[:60, ..., 2].max() < 1e-9
    # The walk's own soles lie within 1 mm of the floor; between two poses they sink no deeper.
    assert paths[..., 2].min() > -1.5e-3
    np.testing.assert_allclose(joint_poses(posed)[1][-100:], joint_poses(walk)[1][-100:], atol=1e-9)
    # As lively as walking: 1000 rad/s^2 and more where a leg is stretched out of its reach.
    assert turning(posed)[: 60 + 96].max() < 400


def test_motions_can_be_put_anywhere():
    motion = made("walk_line", seconds=2.0, fps=30.0)
    there = placed(motion, (1.0, -2.0), np.pi / 2)
    _, before = joint_poses(motion)
    _, after = joint_poses(there)
    # A quarter turn to the left takes x to y and y to -x.
    expected = np.stack([1.0 - before[..., 1], -2.0 + before[..., 0], before[..., 2]], axis=-1)
    np.testing.assert_allclose(after, expected, atol=1e-12)
