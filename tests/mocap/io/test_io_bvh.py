"""BVH out and in again: files of other programs, and our motions."""

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.geometry.kinematics import forward_kinematics
from mocap.io.bvh import (
    BvhConfig,
    bvh_from_motion,
    end_positions,
    format_bvh,
    guess_conventions,
    joint_positions,
    motion_from_bvh,
    parse_bvh,
    read_bvh,
    split_roots,
    write_bvh,
    write_bvh_file,
)
from mocap.io.euler import ROTATION_ORDERS
from motion_worlds import crooked_motion, marching_person

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}
WORLD_FROM_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])

# Nine joints deep at most, three channels each rounded by 0.9e-8 rad at levers of some 2 m, and the OFFSETs and
# positions rounded by 5e-9 m: 9 * 3 * 0.9e-8 * 2 + 10 * 5e-9.
WRITTEN_M = 6e-7


def world_positions(motion: Motion) -> np.ndarray:
    """(T, J, 3) m, by the kinematics that everything else uses."""
    _, positions = forward_kinematics(
        torch.from_numpy(motion.local_rotations.copy()),
        torch.from_numpy(motion.root_translation.copy()),
        torch.from_numpy(motion.skeleton.rest_offsets.copy()),
        motion.skeleton.parents,
    )
    return positions.numpy()


@pytest.fixture(params=["small", pytest.param("all", marks=pytest.mark.slow)])
def data_files(shared_data, request):
    """Of other programs; by default the third of them that is quickest to read."""
    files = sorted((shared_data / "motion").rglob("*.bvh"), key=lambda path: path.stat().st_size)
    assert len(files) >= 15
    return files if request.param == "all" else files[: len(files) // 3]


def test_files_of_other_programs_come_back_as_they_were(data_files, tmp_path):
    for file in data_files:
        before = read_bvh(file)
        write_bvh_file(before, tmp_path / "again.bvh")
        after = read_bvh(tmp_path / "again.bvh")
        assert after.joint_names == before.joint_names
        assert after.channels == before.channels
        assert after.frame_time == before.frame_time
        assert np.array_equal(after.values, before.values), file.name
        assert np.abs(joint_positions(after) - joint_positions(before)).max() <= 1e-4, file.name
        assert np.abs(end_positions(after) - end_positions(before)).max() <= 1e-4, file.name


def test_files_of_other_programs_become_motions_and_ours_say_the_same(data_files, tmp_path):
    """Through `Motion` and out again in our layout: the same places in the same units, to 1e-4 of them."""
    for file in data_files:
        before = read_bvh(file)
        guess = guess_conventions(before)
        motion = motion_from_bvh(before, up=guess.up, unit=guess.metres_per_unit)
        assert world_positions(motion) == pytest.approx(
            joint_positions(before) @ (WORLD_FROM_Y_UP.T if guess.up == "y" else np.eye(3)) * guess.metres_per_unit
        )
        write_bvh(motion, tmp_path / "ours.bvh")
        again = motion_from_bvh(read_bvh(tmp_path / "ours.bvh"), up="y", unit="cm")
        order = [again.skeleton.index(name) for name in motion.skeleton.joint_names]
        error_m = np.abs(world_positions(again)[:, order] - world_positions(motion)).max()
        assert error_m <= 1e-4 * guess.metres_per_unit, file.name
        assert again.fps == pytest.approx(before.fps, rel=1e-15)


@pytest.mark.parametrize(
    ("name", "up", "metres_per_unit"),
    [
        ("AnimatedDrawings/examples/bvh/rokoko/jesse_dance.bvh", "y", 0.01),
        ("PyMO/demos/data/AV_8Walk_Meredith_HVHA_Rep1.bvh", "y", 0.0254),
        ("assimp/test/models/BVH/01_01.bvh", "y", 0.0254 / 0.45),
        ("pybvh/bvh_data/bvh_test1.bvh", "z", 0.0254),
    ],
)
def test_axes_and_unit_are_guessed_from_the_body(shared_data, name, up, metres_per_unit):
    guess = guess_conventions(read_bvh(shared_data / "motion" / name))
    assert (guess.up, guess.metres_per_unit, guess.certain) == (up, metres_per_unit, True)
    assert f"{up.upper()} is up: the head is over the feet" in guess.reason


def test_the_zombie_stands_on_z_and_its_unit_is_not_certain(shared_data):
    bvh = read_bvh(shared_data / "motion" / "AnimatedDrawings/examples/bvh/fair1/zombie.bvh")
    guess = guess_conventions(bvh)
    assert (guess.up, guess.certain) == ("z", False)
    motion = motion_from_bvh(bvh, up="z", unit=0.0375)
    positions = world_positions(motion)
    head, foot = motion.skeleton.index("Head"), motion.skeleton.index("LeftFoot")
    assert (positions[:, head, 2] - positions[:, foot, 2]).min() > 1.0
    assert ("LeftFoot", "RightFoot") in motion.skeleton.mirror_pairs


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("unit", sorted(METRES))
@pytest.mark.parametrize("order", ROTATION_ORDERS)
def test_our_motion_in_every_order_axis_and_unit(up, unit, order, tmp_path):
    """The file's own positions, turned and scaled back, are our forward kinematics."""
    motion = marching_person(n_frames=7)
    write_bvh(motion, tmp_path / "a.bvh", BvhConfig(up=up, unit=unit, rotation_order=order))
    bvh = read_bvh(tmp_path / "a.bvh")
    assert bvh.channels[0] == ("Xposition", "Yposition", "Zposition", *(f"{axis}rotation" for axis in order))
    assert set(bvh.channels[1:]) == {tuple(f"{axis}rotation" for axis in order)}
    world_from_file = WORLD_FROM_Y_UP if up == "y" else np.eye(3)
    places = joint_positions(bvh) * METRES[unit] @ world_from_file.T
    order_in_file = [bvh.joint_names.index(name) for name in motion.skeleton.joint_names]
    assert np.abs(places[:, order_in_file] - world_positions(motion)).max() <= WRITTEN_M


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), order=st.sampled_from(ROTATION_ORDERS), up=st.sampled_from(["y", "z"]))
def test_any_tree_in_any_pose_comes_back(seed, order, up):
    motion = crooked_motion(seed)
    bvh = parse_bvh(
        format_bvh(
            bvh_from_motion(motion, BvhConfig(up=up, rotation_order=order)), position_decimals=6, rotation_decimals=6
        )
    )
    again = motion_from_bvh(bvh, up=up, unit="cm")
    order_in_file = [again.skeleton.index(name) for name in motion.skeleton.joint_names]
    assert np.abs(world_positions(again)[:, order_in_file] - world_positions(motion)).max() <= WRITTEN_M
    tips = again.skeleton.tips[order_in_file]
    assert np.allclose(tips, motion.skeleton.tips, rtol=0, atol=1e-8, equal_nan=True)
    offsets = again.skeleton.rest_offsets[order_in_file]
    assert np.abs(offsets[1:] - motion.skeleton.rest_offsets[1:]).max() <= 1e-8
    assert again.fps == motion.fps


def test_zero_angles_are_the_t_pose_facing_plus_z(tmp_path):
    """Left hand at +X, head at +Y, toes at +Z of the file; the End Sites are the tips."""
    motion = marching_person(n_frames=1)
    write_bvh(motion, tmp_path / "t.bvh")
    bvh = read_bvh(tmp_path / "t.bvh")
    assert (bvh.values[:, 3:] == 0).all()
    assert (bvh.offsets[0] == 0).all()
    place = dict(zip(bvh.joint_names, joint_positions(bvh)[0], strict=True))
    assert place["Hips"] == pytest.approx([0, 97.75, 0])
    assert place["LeftHand"][0] == pytest.approx(-place["RightHand"][0])
    assert place["LeftHand"][0] > 60
    assert place["Head"][1] > 150
    assert place["LeftToeBase"][2] > place["LeftFoot"][2] + 10
    ends = {bvh.joint_names[j]: p for j, p in zip(bvh.end_parents, end_positions(bvh)[0], strict=True)}
    assert sorted(ends) == ["Head", "LeftHand", "LeftToeBase", "RightHand", "RightToeBase"]
    assert ends["Head"] - place["Head"] == pytest.approx([0, 17, 0])
    again = motion_from_bvh(bvh, up="y", unit="cm").skeleton
    assert again.rest_offsets[1:] == pytest.approx(motion.skeleton.rest_offsets[1:], abs=1e-8)
    # A file says where joints are, not how thick the sole is: the lowest tip, 13 mm high in our T-pose, is put at 0.
    assert again.rest_offsets[0] == pytest.approx([0, 0, 0.9775 - 0.0132], abs=1e-8)
    assert again.mirror_pairs == motion.skeleton.mirror_pairs


def test_turning_on_the_spot_has_no_jump_of_a_turn(tmp_path):
    """500 degrees of heading: the yaw channel ends where it must, no step is longer than the fastest limb's."""
    motion = marching_person(n_frames=180)
    write_bvh(motion, tmp_path / "a.bvh")
    bvh = read_bvh(tmp_path / "a.bvh")
    yaw = bvh.columns(0)[:, bvh.channels[0].index("Yrotation")]
    assert yaw[-1] - yaw[0] == pytest.approx(500, abs=1e-5)
    # The heading ends at 2 * 500 / 179 = 5.6 degrees a frame, the arms sink at 1.35 rad * 4 / s = 5.2, an arm's share
    # in both of its channels included; a jump would be 180 or 360.
    assert np.abs(np.diff(bvh.values[:, 3:], axis=0)).max() < 10


@pytest.mark.parametrize("fps", [23.976, 24000 / 1001, 25, 29.97, 30, 59.94, 60000 / 1001, 60, 100, 119.88, 120, 240])
def test_frame_time_gives_the_frame_rate_back(fps, tmp_path):
    write_bvh(marching_person(n_frames=2, fps=fps), tmp_path / "a.bvh")
    bvh = read_bvh(tmp_path / "a.bvh")
    assert bvh.fps == pytest.approx(fps, rel=3e-16)
    assert round(1 / bvh.frame_time) == round(fps)
    assert Fraction(bvh.fps).limit_denominator(1001) == Fraction(fps).limit_denominator(1001)


def test_the_same_motion_gives_the_same_bytes_without_minus_zero(tmp_path):
    motion = marching_person(n_frames=40)
    write_bvh(motion, tmp_path / "a.bvh")
    write_bvh(motion, tmp_path / "b.bvh", BvhConfig())
    text = (tmp_path / "a.bvh").read_bytes()
    assert text == (tmp_path / "b.bvh").read_bytes()
    assert b"-0.000000 " not in text
    assert b"\r" not in text
    assert b"e-" not in text.split(b"MOTION")[1]


def test_names_that_would_break_a_file_and_prefixes():
    motion = crooked_motion(1)
    names = ("left arm", "a{b}", "  c ", *motion.skeleton.joint_names[3:])
    renamed = replace(motion, skeleton=replace(motion.skeleton, joint_names=names))
    bvh = bvh_from_motion(renamed, BvhConfig(name_prefix="mixamorig:"))
    assert {"mixamorig:left_arm", "mixamorig:a_b_", "mixamorig:_c"} <= set(bvh.joint_names)
    assert parse_bvh(format_bvh(bvh)).joint_names == bvh.joint_names


def test_tiny_numbers_are_written_without_exponent():
    bvh = replace(bvh_from_motion(crooked_motion(2), BvhConfig()), values=np.full((4, 30), -1.5e-12))
    text = format_bvh(bvh)
    assert "-0.0000000000015 " in text
    assert np.array_equal(parse_bvh(text).values, bvh.values)


def test_several_roots_are_taken_apart():
    one, two = (bvh_from_motion(crooked_motion(seed), BvhConfig()) for seed in (3, 4))
    together = format_bvh(one).split("MOTION")[0] + format_bvh(two).split("MOTION")[0].removeprefix("HIERARCHY\n")
    rows = [" ".join(map(repr, row)) for row in np.hstack([one.values, two.values]).tolist()]
    both = parse_bvh("\n".join([together, "MOTION", "Frames: 4", f"Frame Time: {one.frame_time!r}", *rows]))
    assert both.roots.tolist() == [0, 9]
    with pytest.raises(InputError, match=r"has 2 roots \(joint0, joint0\); a motion has one"):
        motion_from_bvh(both, up="y", unit="cm")
    for part, original in zip(split_roots(both), (one, two), strict=True):
        assert np.array_equal(joint_positions(part), joint_positions(original))
        assert np.array_equal(end_positions(part), end_positions(original))


def test_bones_that_stretch_are_refused_or_taken_at_their_median():
    text = """HIERARCHY
ROOT Hips { OFFSET 0 0 0 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
JOINT Chest { OFFSET 0 40 0 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation } }
MOTION
Frames: 3
Frame Time: 0.5
"""
    steady = parse_bvh(text + "0 90 0 0 0 0 0 45 0 0 0 0\n" * 3)
    motion = motion_from_bvh(steady, up="y", unit="cm")
    assert motion.skeleton.rest_offsets[1] == pytest.approx([0, 0, 0.45])
    stretched = replace(steady, values=steady.values + np.eye(3, 12, k=7)[::-1] * 2)
    with pytest.raises(InputError, match="joint 'Chest' moves against its parent by 20 mm"):
        motion_from_bvh(stretched, up="y", unit="cm")
    tolerated = motion_from_bvh(stretched, up="y", unit="cm", max_stretch_m=0.03)
    assert tolerated.skeleton.rest_offsets[1] == pytest.approx([0, 0, 0.45])


def test_without_frames_there_is_the_rest_pose():
    motion = marching_person(n_frames=3)
    empty = replace(motion, root_translation=np.zeros((0, 3)), local_rotations=np.zeros((0, 22, 4)))
    at_rest = bvh_from_motion(empty, BvhConfig())
    assert at_rest.n_frames == 1
    np.testing.assert_allclose(at_rest.values[0, 3:], 0.0, atol=1e-12)
    bvh = bvh_from_motion(motion, BvhConfig())
    again = motion_from_bvh(replace(bvh, values=bvh.values[:0]), up="y", unit="cm")
    assert again.n_frames == 0
    np.testing.assert_allclose(again.skeleton.rest_offsets[1:], motion.skeleton.rest_offsets[1:], atol=1e-9)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bvh"
    write_bvh(marching_person(n_frames=2), path)
    before = path.read_bytes()

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_bvh(marching_person(n_frames=9), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.bvh"]


@pytest.mark.slow
def test_a_thousand_frames_in_a_tenth_of_a_second(tmp_path):
    """Alone on a core it takes some 30 ms; the best of five, since other work may run beside the tests."""
    motion = marching_person(n_frames=1000)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        write_bvh(motion, tmp_path / "a.bvh")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1
