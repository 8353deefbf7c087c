from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.io.bvh import guess_conventions, motion_from_bvh, read_bvh, split_roots
from mocap.io.world_joints import joint_worlds
from mocap.stages.retarget import RetargetConfig, retarget
from motion_worlds import marching_person
from retarget_worlds import NAMES, REST_POSES, as_file

FREE = RetargetConfig(keep_feet=False)
AS_LARGE = RetargetConfig(keep_feet=False, scale=1.0)
"""A BVH does not say how thick the soles are: the lowest joint is taken for the floor, 13 mm off for our humanoid."""


def positions(motion: Motion) -> np.ndarray:
    return joint_worlds(motion)[1]


def character(motion: Motion, rest: str, names: str | None = None) -> Motion:
    """The same body as another program would have it: its skeleton at rest, and its own motion."""
    file = as_file(motion, rest=REST_POSES[rest], names=NAMES[names] if names else None)
    return motion_from_bvh(file, up="y", unit="cm")


def resized(skeleton: SkeletonDefinition, factors: dict[str, float], overall: float = 1.0) -> SkeletonDefinition:
    """Bones (named by the joint at their end) made longer."""
    offsets = skeleton.rest_offsets * overall
    for name, factor in factors.items():
        offsets[skeleton.index(name)] *= factor
    return replace(skeleton, rest_offsets=offsets, tips=skeleton.tips * overall)


def test_onto_the_same_skeleton_nothing_changes():
    motion = marching_person()
    moved, report = retarget(motion, motion.skeleton, FREE)
    np.testing.assert_allclose(positions(moved), positions(motion), atol=1e-9)
    assert report.scale == pytest.approx(1.0)
    assert report.following == []


def test_feet_that_are_within_reach_stay_where_they_were():
    """Legs may be as straight as they were, so on the same skeleton nothing changes; acos loses half the digits."""
    motion = marching_person()
    moved, report = retarget(motion, motion.skeleton, RetargetConfig())
    np.testing.assert_allclose(positions(moved), positions(motion), atol=1e-6)
    assert report.ankle_miss_mm < 1e-3
    assert report.frames_out_of_reach == 0


@pytest.mark.parametrize("rest", REST_POSES)
@pytest.mark.parametrize("names", ["mixamo", "unreal", "smpl", "biped", "rigify"])
def test_names_and_rest_pose_make_no_difference(rest, names):
    """Limbs bent to the T-pose by shortest turns end where they began, whatever the rest pose. Turned feet of the
    zombie's rest are taken for how it stands, so its toes are let off."""
    motion = marching_person()
    own = character(motion, rest, names)
    moved, _ = retarget(motion, own.skeleton, AS_LARGE, acting=own)
    kept = [j for j, name in enumerate(motion.skeleton.joint_names) if rest != "zombie" or "Toe" not in name]
    theirs = [own.skeleton.index(NAMES[names][motion.skeleton.joint_names[j]]) for j in kept]
    np.testing.assert_allclose(positions(moved)[:, theirs], positions(motion)[:, kept], atol=2e-6)


def test_a_twice_as_large_body_walks_twice_as_far():
    motion = marching_person()
    moved, report = retarget(motion, resized(motion.skeleton, {}, overall=2.0), FREE)
    np.testing.assert_allclose(positions(moved), 2 * positions(motion), atol=1e-9)
    assert report.scale == pytest.approx(2.0)


def test_feet_stand_still_on_legs_of_other_proportions():
    """A leg that cannot reach comes short by at most exp(-1) * SOFT of its length, 6 mm."""
    motion = marching_person()
    other = {"LeftLeg": 1.15, "RightLeg": 1.15, "LeftFoot": 0.8, "RightFoot": 0.8, "LeftForeArm": 1.3}
    moved, report = retarget(motion, resized(motion.skeleton, other), RetargetConfig())
    for name in ("LeftFoot", "RightFoot"):
        joint = motion.skeleton.index(name)
        wanted = report.scale * positions(motion)[:, joint]
        step = positions(moved)[:, joint] - wanted
        np.testing.assert_allclose(step, np.tile(np.median(step, axis=0), (len(step), 1)), atol=7e-3)
    free, _ = retarget(motion, resized(motion.skeleton, other), FREE)
    shift = positions(free)[:, joint] - report.scale * positions(motion)[:, joint]
    assert np.ptp(shift, axis=0).max() > 0.02, "without, the feet slide: or this test shows nothing"


def test_more_and_fewer_joints_of_the_spine_carry_the_same_shoulders():
    motion = marching_person()
    ours = motion.skeleton
    for count in (1, 2, 5):
        other = _spine_of(ours, count)
        moved, report = retarget(motion, other, FREE)
        ends = [other.index("LeftArm"), other.index("RightArm")]
        across = np.diff(positions(moved)[:, ends], axis=1)
        wanted = np.diff(positions(motion)[:, [ours.index("LeftArm"), ours.index("RightArm")]], axis=1)
        np.testing.assert_allclose(across, wanted, atol=1e-6)
        assert len([name for name in report.joints if name.startswith("Spine")]) == count


def _spine_of(skeleton: SkeletonDefinition, count: int) -> SkeletonDefinition:
    """The humanoid with another number of joints between hips and shoulders."""
    spine = ["Spine", "Spine1", "Spine2"]
    names = ["Hips", *[f"Spine{i or ''}" for i in range(count)]]
    names += [name for name in skeleton.joint_names if name not in ("Hips", *spine)]
    above = {name: skeleton.joint_names[skeleton.parents[skeleton.index(name)]] for name in names[1 + count :]}
    parents = [-1, *range(count)]
    parents += [names.index(f"Spine{count - 1 or ''}" if above[n] in spine else above[n]) for n in names[1 + count :]]
    rise = skeleton.rest_offsets[[skeleton.index(name) for name in spine]].sum(0) / count
    offsets = [skeleton.rest_offsets[0], *[rise] * count]
    offsets += [skeleton.rest_offsets[skeleton.index(name)] for name in names[1 + count :]]
    n = len(names)
    tips = np.full((n, 3), np.nan)
    for j, name in enumerate(names):
        if name not in spine and name in skeleton.joint_names:
            tips[j] = skeleton.tips[skeleton.index(name)]
    limits = np.tile([-7.0, 7.0], (n, 3, 1))
    return SkeletonDefinition("other", tuple(names), np.array(parents), np.array(offsets), limits, tips, ())


def test_names_that_say_nothing_are_told_by_shape_or_by_hand():
    motion = marching_person()
    own = character(motion, "T", "none that mean anything")
    moved, report = retarget(motion, own.skeleton, AS_LARGE)
    ours = motion.skeleton.joint_names
    assert report.joints["LeftForeArm"] == NAMES["none that mean anything"]["LeftForeArm"]
    hand = own.skeleton.index(NAMES["none that mean anything"]["RightHand"])
    np.testing.assert_allclose(positions(moved)[:, hand], positions(motion)[:, ours.index("RightHand")], atol=1e-5)
    swapped = {"LeftHand": NAMES["none that mean anything"]["LeftHand"]}
    assert retarget(motion, own.skeleton, RetargetConfig(joints=swapped))[1].joints["LeftHand"] == swapped["LeftHand"]


def test_a_heap_of_bones_takes_a_pose_of_its_motion():
    motion = marching_person(turn_deg=0)
    heap = motion_from_bvh(as_file(motion, axes_seed=3), up="y", unit="cm")
    moved, report = retarget(motion, heap.skeleton, AS_LARGE, acting=heap)
    assert "nobody standing" in report.sentences[0]
    places = positions(moved)[:, [heap.skeleton.index(name) for name in motion.skeleton.joint_names]]
    assert np.linalg.norm(places - positions(motion), axis=-1).max() < 0.05
    with pytest.raises(InputError, match="no motion to take a pose from"):
        retarget(motion, heap.skeleton, FREE)


def test_what_is_nobody_is_refused_with_the_names_it_has():
    chain = SkeletonDefinition(
        "snake",
        ("a", "b", "c"),
        np.array([-1, 0, 1]),
        np.ones((3, 3)),
        np.tile([-1.0, 1.0], (3, 3, 1)),
        np.full((3, 3), np.nan),
        (),
    )
    with pytest.raises(InputError, match="a, b, c"):
        retarget(marching_person(), chain, FREE)
    with pytest.raises(InputError, match="LeftTentacle"):
        retarget(marching_person(), load_skeleton(), RetargetConfig(joints={"LeftTentacle": "Hips"}))


@pytest.mark.parametrize(
    "file",
    [
        "AnimatedDrawings/examples/bvh/rokoko/jesse_dance.bvh",
        "AnimatedDrawings/examples/bvh/cmu1/jumping_jacks.bvh",
        "AnimatedDrawings/examples/bvh/fair1/zombie.bvh",
        "PyMO/demos/data/AV_8Walk_Meredith_HVHA_Rep1.bvh",
        "assimp/test/models/BVH/01_01.bvh",
        "pybvh/bvh_data/standard_skeleton.bvh",
    ],
)
def test_real_characters_walk_upright_with_their_feet_down(shared_data: Path, file):
    """Directions of limbs are the source's but for the bending of legs: a leg of other proportions by 2 % of its
    length out of line turns by 0.2 rad (acos of 0.98), so cosines stay above 0.95."""
    part = split_roots(read_bvh(shared_data / "motion" / file))[0]
    guess = guess_conventions(part)
    own = motion_from_bvh(part, up=guess.up, unit=guess.metres_per_unit, max_stretch_m=1.0)
    motion = marching_person(turn_deg=60)
    moved, report = retarget(motion, own.skeleton, RetargetConfig(), acting=own)
    assert report.ankle_miss_mm < 20
    ours, theirs = positions(motion), positions(moved)
    for above, below in [("LeftArm", "LeftForeArm"), ("RightForeArm", "RightHand"), ("LeftUpLeg", "LeftLeg")]:
        a, b = (own.skeleton.index(report.joints[name]) for name in (above, below))
        direction = _unit(theirs[:, b] - theirs[:, a])
        wanted = _unit(ours[:, motion.skeleton.index(below)] - ours[:, motion.skeleton.index(above)])
        assert (direction * wanted).sum(-1).min() > 0.95, above


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
