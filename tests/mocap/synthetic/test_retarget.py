"""A known motion, written as other programs write it, comes back; real files keep their bones' directions and stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.io.asf_amc import find_asf, read_asf_amc
from mocap.io.bvh import BvhFile, read_bvh, write_bvh_file
from mocap.synthetic.gait import walk_and_reach
from mocap.synthetic.posing import joint_transforms
from mocap.synthetic.retarget import RetargetConfig, cropped, load_motion, retarget, without_start_frame
from mocap.synthetic.retarget_report import report_retarget
from retarget_worlds import FILE_FROM_WORLD, NAMES, REST_POSES, as_file

FREE = RetargetConfig(lock_feet=False)
# What has no meaning for another skeleton is not given back: a hand's twist goes to the forearm (half a degree of it
# here), the walk's clavicles turn by 3 degrees about the bone, its toes stay level while the foot does not quite, and
# its standing feet are level on the average only.
NOT_GIVEN_BACK_DEG = {"ForeArm": 0.5, "Shoulder": 2.0, "Foot": 2.0, "ToeBase": 4.0}
EXACT_DEG = 1e-3
TRUNK = ("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head")


@pytest.fixture(scope="module")
def walk() -> Motion:
    return walk_and_reach(load_skeleton(), seconds=3.5, fps=30.0)


def errors_deg(a: Motion, b: Motion) -> dict[str, np.ndarray]:
    """Angle between the world rotations, by joint."""
    turns = [joint_transforms(motion)[..., :3] for motion in (a, b)]
    between = (turns[0].swapaxes(-1, -2) @ turns[1]).reshape(-1, 3, 3)
    angles = np.rad2deg(Rotation.from_matrix(between).magnitude()).reshape(turns[0].shape[:2])
    return dict(zip(a.skeleton.joint_names, angles.T, strict=True))


def assert_given_back(walk: Motion, again: Motion) -> None:
    for name, error in errors_deg(walk, again).items():
        part = name.removeprefix("Left").removeprefix("Right")
        assert error.mean() < NOT_GIVEN_BACK_DEG.get(part, EXACT_DEG), (name, error.mean())
    moved = again.root_translation - walk.root_translation
    assert np.abs(moved - moved[0])[:, :2].max() < 1e-9
    assert again.root_translation[0, :2] == pytest.approx([0, 0], abs=1e-12)
    # The floor is found by soles that stand level on the average: the heel's 5 cm times 2 degrees.
    assert np.abs(moved[:, 2]).max() < 0.05 * np.deg2rad(2.0)
    assert (again.fps, again.n_frames) == (pytest.approx(walk.fps), walk.n_frames)


@pytest.mark.parametrize("names", sorted(NAMES))
def test_names_of_other_programs(walk, names):
    assert_given_back(walk, retarget(as_file(walk, names=NAMES[names]), walk.skeleton, FREE))


@pytest.mark.parametrize(
    ("rest", "up"), [*((rest, "y") for rest in sorted(REST_POSES)), *(("A", up) for up in sorted(FILE_FROM_WORLD))]
)
def test_rest_poses_and_verticals(walk, rest, up):
    again = retarget(as_file(walk, names=NAMES["mixamo"], rest=REST_POSES[rest], up=up), walk.skeleton, FREE)
    assert_given_back(walk, again)


@pytest.mark.parametrize("unit_m", [1e-6, 0.0254, 1.0, 3000.0])
def test_any_unit(walk, unit_m):
    assert_given_back(walk, retarget(as_file(walk, unit_m=unit_m), walk.skeleton, FREE))


@pytest.mark.parametrize("seed", [1, 2])
def test_axes_that_mean_nothing_at_rest(walk, seed):
    """All angles zero is a heap of bones: limbs are found from the motion alone, as exactly.

    Trunk and head are upright when the person is, which this one (bent forward by 8 degrees all along) is not; without
    a thumb nothing tells how a forearm is turned: this one's 25 degrees are lost.
    """
    again = retarget(as_file(walk, up="z", axes_seed=seed), walk.skeleton, FREE)
    for name, error in errors_deg(walk, again).items():
        part = name.removeprefix("Left").removeprefix("Right")
        allowed = 10.0 if name in (*TRUNK, "LeftShoulder", "RightShoulder") else NOT_GIVEN_BACK_DEG.get(part, EXACT_DEG)
        assert error.mean() < (30.0 if part in ("ForeArm", "Hand") else allowed), name
    assert report_retarget(as_file(walk, up="z", axes_seed=seed), again).direction_deg["forearms"] < EXACT_DEG


def test_left_and_right_named_the_wrong_way_round(walk):
    """As in files mirrored by a wrong export: toes and knees tell."""
    swap = {
        name: name.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
        for name in walk.skeleton.joint_names
    }
    assert_given_back(walk, retarget(as_file(walk, names=swap), walk.skeleton, FREE))


def test_a_body_of_other_proportions_stands_and_points_alike(walk):
    """Short legs, long arms, wide hips: directions are kept, soles on the floor, and the legs' length is the scale."""
    skeleton = load_skeleton()
    offsets = skeleton.rest_offsets * 1.0
    for name, factor in {"Leg": 0.6, "Foot": 0.7, "UpLeg": 1.3, "ForeArm": 1.4, "Hand": 1.2}.items():
        for side in ("Left", "Right"):
            offsets[skeleton.index(side + name)] *= factor
    lowest = sum(offsets[skeleton.index(name), 2] for name in ("LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase"))
    offsets[0, 2] = -lowest + 0.0132
    small = replace(skeleton, rest_offsets=offsets)
    source = as_file(walk)
    report = report_retarget(source, retarget(source, small))
    assert report.direction_deg["upper arms"] < EXACT_DEG
    assert report.direction_deg["forearms"] < EXACT_DEG
    assert max(report.direction_deg.values()) < 5.0
    assert report.deepest_m < 1e-9
    assert abs(report.floating_m) < 0.005
    free = retarget(source, small, FREE)
    steps = [np.linalg.norm(np.ptp(motion.root_translation[:, :2], axis=0)) for motion in (walk, free)]
    # The hips are scaled; the root is 5 cm over them as ever, which tilts by 0.2 rad over a way of 2 m: 0.5 %.
    assert steps[1] / steps[0] == pytest.approx((0.6 * 0.4288 + 0.7 * 0.4305) / (0.4288 + 0.4305), rel=5e-3)


def test_a_straight_leg_does_not_flick(walk):
    """A nearly straight knee turns fast for a small shift of the foot; it stays under 10 rad/s, twice the walk's."""
    motion = retarget(as_file(walk), walk.skeleton)
    turns = joint_transforms(motion)[..., :3]
    for side in ("Left", "Right"):
        thigh, shin = (turns[:, motion.skeleton.index(side + name), :, 2] for name in ("UpLeg", "Leg"))
        bend = np.arccos(np.clip((thigh * shin).sum(-1), -1, 1))
        assert np.abs(np.diff(bend)).max() * motion.fps < 10.0


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4])
def test_few_frames(walk, n_frames):
    file = as_file(walk)
    short = retarget(replace(file, values=file.values[:n_frames].copy()), walk.skeleton)
    assert short.n_frames == n_frames
    assert np.isfinite(short.local_rotations).all()
    assert report_retarget(replace(file, values=file.values[:n_frames].copy()), short).deepest_m < 0.01


def test_no_frames_is_refused(walk):
    file = as_file(walk)
    with pytest.raises(InputError, match="no frames, only a skeleton"):
        retarget(replace(file, values=file.values[:0].copy()), walk.skeleton)


def chain(lengths: list[float], directions: list[list[float]], parents: list[int]) -> BvhFile:
    """Joints without names that mean anything."""
    offsets = np.array(directions, dtype=float) * np.array(lengths)[:, None]
    rotations = ("Zrotation", "Xrotation", "Yrotation")
    return BvhFile(
        joint_names=tuple(f"b{i}" for i in range(len(parents))),
        parents=np.array(parents),
        offsets=offsets,
        channels=(("Xposition", "Yposition", "Zposition", *rotations), *[rotations] * (len(parents) - 1)),
        end_parents=np.zeros(0, dtype=np.int64),
        end_offsets=np.zeros((0, 3)),
        values=np.zeros((3, 3 * len(parents) + 3)),
        frame_time=0.01,
    )


def test_what_is_not_a_person_is_refused():
    crane = chain([0, 1, 1, 1], [[0, 0, 0], [0, 1, 0], [1, 0, 0], [0, -1, 0]], [-1, 0, 1, 2])
    with pytest.raises(InputError, match="no LeftThigh, LeftShin.*does not look like a body") as error:
        retarget(crane, load_skeleton())
    assert "Mixamo, CMU, Unity or Biped" in str(error.value)
    # Four legs of three bones, a level trunk of two, a neck: the tree of a person, but nobody who stands upright.
    legs = [[0, -1, 0.1], [0, -1, -0.1], [0, -0.2, 1]]
    hind, front = [0.4, 0.4, 0.1], [0.35, 0.35, 0.1]
    lengths = [0, 0.1, *hind, 0.1, *hind, 0.5, 0.5, 0.1, *front, 0.1, *front, 0.3, 0.2]
    side, along = [1.0, 0, 0], [0, 0, 1.0]
    directions = [[0, 0, 0], side, *legs, [-1, 0, 0], *legs, along, along, side, *legs, [-1, 0, 0], *legs, along, along]
    parents = [-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 12, 13, 10, 15, 16, 17, 10, 19]
    with pytest.raises(InputError, match="who stands upright"):
        retarget(chain(lengths, directions, parents), load_skeleton())


def test_a_bone_without_length_is_refused(walk):
    skeleton = walk.skeleton
    offsets = skeleton.rest_offsets.copy()
    offsets[skeleton.index("LeftFoot")] = 0.0
    flat = replace(walk, skeleton=replace(skeleton, rest_offsets=offsets))
    with pytest.raises(InputError, match="LeftLeg and LeftFoot are at the same place"):
        retarget(as_file(flat), load_skeleton())


def test_part_of_a_file_at_another_rate(walk, tmp_path):
    path = tmp_path / "walk.bvh"
    write_bvh_file(as_file(walk), path)
    whole = load_motion(path, walk.skeleton)
    assert (whole.person, whole.n_frames) == ("walk", walk.n_frames)
    part = load_motion(path, walk.skeleton, start_s=1.0, seconds=2.0, fps=60.0)
    assert (part.fps, part.n_frames) == (60.0, 119)  # 60 frames at 30/s: 59 steps, each cut in two
    assert part.local_rotations[::2] == pytest.approx(whole.local_rotations[30:90], abs=1e-9)
    assert part.root_translation[0, :2] == pytest.approx([0, 0], abs=1e-12)
    assert cropped(whole, seconds=100.0).n_frames == whole.n_frames
    with pytest.raises(InputError, match=r"walk\.bvh: has 3\.50 s of motion, cannot start at 9"):
        load_motion(path, walk.skeleton, start_s=9.0)
    with pytest.raises(InputError, match="cannot take 0.0 seconds"):
        load_motion(path, walk.skeleton, seconds=0.0)
    with pytest.raises(InputError, match=r"walk\.fbx: is neither of \.bvh, \.amc"):
        load_motion(tmp_path / "walk.fbx", walk.skeleton)


def test_a_t_pose_before_the_motion_is_left_out(walk):
    file = as_file(walk)
    values = file.values.copy()
    values[0, 3:] = 0.0
    assert without_start_frame(replace(file, values=values)).n_frames == file.n_frames - 1
    assert without_start_frame(file) is file


FILES = {  # file: mean angle of thighs and shins, measured with feet locked and rounded up to half degrees
    "AnimatedDrawings/examples/bvh/cmu1/jumping_jacks.bvh": 1.5,
    "AnimatedDrawings/examples/bvh/fair1/dab.bvh": 2.5,
    "AnimatedDrawings/examples/bvh/fair1/jumping.bvh": 2.0,
    "AnimatedDrawings/examples/bvh/fair1/wave_hello.bvh": 3.0,
    "AnimatedDrawings/examples/bvh/fair1/zombie.bvh": 2.5,
    "AnimatedDrawings/examples/bvh/rokoko/jesse_dance.bvh": 1.5,
    "PyMO/demos/data/AV_8Walk_Meredith_HVHA_Rep1.bvh": 2.0,
    "pybvh/bvh_data/bvh_test1.bvh": 2.5,
    "pybvh/bvh_data/bvh_test2.bvh": 2.5,
    "pybvh/bvh_data/bvh_test3.bvh": 3.5,
    "pybvh/bvh_data/cmu_12_01_walk.bvh": 2.5,
    "pybvh/bvh_data/standard_skeleton.bvh": 2.0,
    "CMU-MOCAP-Data/data/CMU/asfamc/subjects/02/02_01.amc": 1.5,
    "CMU-MOCAP-Data/data/CMU/asfamc/subjects/02/02_03.amc": 2.0,
    "CMU-MOCAP-Data/data/CMU/asfamc/subjects/02/02_04.amc": 2.0,
    "fairmotion/tests/data/11_01.amc": 2.0,
    "fairmotion/tests/data/01_01.amc": 2.5,
    "assimp/test/models/BVH/01_01.bvh": 2.5,
}
LONG = ("01_01.amc", "01_01.bvh")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name.endswith(LONG) else []) for name in FILES]
)
def test_real_files_keep_directions_and_stand(shared_data, name):
    """Arms are the source's exactly; legs but for what holds the feet; feet slide less than the source's."""
    path = shared_data / "motion" / name
    source = read_bvh(path) if path.suffix == ".bvh" else read_asf_amc(find_asf(path), path)
    source = without_start_frame(source)
    motion = retarget(source, load_skeleton())
    assert (motion.fps, motion.n_frames) == (source.fps, source.n_frames)
    report = report_retarget(source, motion)
    assert max(report.direction_deg[bone] for bone in ("upper arms", "forearms")) < EXACT_DEG
    assert max(report.direction_deg[bone] for bone in ("thighs", "shins")) < FILES[name]
    assert max(report.direction_deg[bone] for bone in ("spine", "head")) < 1.0
    assert report.slide_m_s <= 0.45 * report.source_slide_m_s
    assert report.deepest_m < 1e-6
    assert abs(report.floating_m) < 0.005


@pytest.mark.slow
def test_the_same_take_from_both_formats_is_the_same_motion(shared_data):
    """AMC and the BVH made of it differ in a bone of the back (see the reader's test): limbs must not."""
    folder = shared_data / "motion"
    amc = load_motion(folder / "fairmotion/tests/data/01_01.amc", load_skeleton(), seconds=6.0)
    bvh = load_motion(folder / "assimp/test/models/BVH/01_01.bvh", load_skeleton(), seconds=6.0)
    errors = errors_deg(amc, bvh)
    for name in ("LeftUpLeg", "RightLeg", "LeftFoot", "Spine2", "Head"):
        assert errors[name].mean() < 0.1, name
    assert np.abs(amc.root_translation - bvh.root_translation).max() < 0.001
