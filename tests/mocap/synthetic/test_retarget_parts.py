"""Names, trees, two-bone legs and shifts of feet, each against what can be said by hand; and mirrored motions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mocap.core.joint_names import part_of, roles_by_name, words_of
from mocap.core.joint_topology import chain_between, common_ancestor, roles_by_shape
from mocap.core.skeleton import load_skeleton
from mocap.geometry.joint_transforms import rest_joints
from mocap.io.asf_amc import find_asf, read_asf_amc
from mocap.io.bvh import end_positions, joint_positions, read_bvh
from mocap.synthetic.gait import joint_poses, walk_and_reach
from mocap.synthetic.motion_mirror import mirror_motion
from mocap.synthetic.retarget_feet import planted_ankle, soles_of, two_bones
from mocap.synthetic.retarget_floor import floating
from mocap.synthetic.retarget_source import nearest_rotation
from retarget_worlds import NAMES


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("mixamorig:LeftUpLeg", ("Left", "upleg")),
        ("Armature|mixamorig1:RightForeArm", ("Right", "forearm")),
        ("Bip01_L_UpperArm", ("Left", "upperarm")),
        ("J_Bip_R_LowerLeg", ("Right", "lowerleg")),
        ("CC_Base_L_Upperarm", ("Left", "upperarm")),
        ("upper_arm.L.001", ("Left", "upperarm")),
        ("lThighBend", ("Left", "thighbend")),
        ("LUArm", ("Left", "uarm")),
        ("rShldr", ("Right", "shldr")),
        ("lfemur", ("Left", "femur")),
        ("mHipLeft", ("Left", "hip")),
        ("thigh_l", ("Left", "thigh")),
        ("Bip01_R_Toe0", ("Right", "toe")),
        ("hip", ("", "hip")),
        ("lowerneck", ("", "lowerneck")),
        ("lowerback", None),
        ("rowing", None),
        ("L5", None),
        ("Spine1", None),
        ("ik_hand_l", None),
        ("upperarm_twist_01_l", None),
        ("LeftForeArmRoll", None),
        ("RightHandIndex1", None),
        ("LeftInHandMiddle", None),
        ("RightToeBase_End", None),
        ("HeadTop_End", None),
    ],
)
def test_side_and_part_of_a_name(name, part):
    assert part_of(name) == part


def test_words_of_a_name():
    assert words_of("mixamorig:LeftHandIndex1") == ["left", "hand", "index", "1"]
    assert words_of("Bip01 L UpperArm") == ["bip", "01", "l", "upper", "arm"]


def test_shoulder_is_what_is_left_for_it():
    """Clavicle above an arm, upper arm below a collar."""
    chain = [-1, 0, 1, 2, 3]
    assert roles_by_name(["Chest", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"], chain) == {
        "LeftClavicle": 1, "LeftUpperArm": 2, "LeftForeArm": 3, "LeftHand": 4,
    }  # fmt: skip
    assert roles_by_name(["Chest", "LeftCollar", "LeftShoulder", "LeftElbow", "LeftWrist"], chain) == {
        "LeftClavicle": 1, "LeftUpperArm": 2, "LeftForeArm": 3, "LeftHand": 4,
    }  # fmt: skip
    assert roles_by_name(["Pelvis", "L_Hip", "L_Knee", "L_Ankle", "L_Foot"], chain) == {
        "Hips": 0, "LeftThigh": 1, "LeftShin": 2, "LeftFoot": 3, "LeftToe": 4,
    }  # fmt: skip


@pytest.mark.parametrize("names", sorted(set(NAMES) - {"none that mean anything"}))
def test_every_convention_names_every_part(names):
    skeleton = load_skeleton()
    roles = roles_by_name([NAMES[names][name] for name in skeleton.joint_names], skeleton.parents.tolist())
    assert {role for role in roles if role.startswith("Left")} == {
        f"Left{part}" for part in ("Thigh", "Shin", "Foot", "Toe", "Clavicle", "UpperArm", "ForeArm", "Hand")
    }
    assert roles["RightShin"] == skeleton.index("RightLeg")
    assert (roles["Head"], roles.get("Hips", 0)) == (skeleton.index("Head"), 0)


def test_the_shape_of_the_tree_tells_what_the_names_tell(shared_data):
    """In every file of a person: where by their names hips, limbs and head are."""
    n_files = 0
    for path in sorted((shared_data / "motion").rglob("*")):
        if path.suffix not in (".bvh", ".amc") or "fixtures" in path.parts or path.name.startswith("01_01"):
            continue
        bvh = read_bvh(path) if path.suffix == ".bvh" else read_asf_amc(find_asf(path), path)
        parents = np.concatenate([bvh.parents, bvh.end_parents]).tolist()
        lengths = np.linalg.norm(np.concatenate([bvh.offsets, bvh.end_offsets]), axis=-1)
        positions = np.concatenate([joint_positions(bvh), end_positions(bvh)], axis=1)
        named = roles_by_name(bvh.joint_names, bvh.parents.tolist())
        shaped = roles_by_shape(parents, lengths, positions)
        # Acclaim has two joints at the hand; clavicles and necks have no shape of their own.
        untold = ("Clavicle", "Neck", "Hand") if path.suffix == ".amc" else ("Clavicle", "Neck")
        told = {role: node for role, node in named.items() if not role.endswith(untold)}
        assert set(told) <= set(shaped), path.name
        for role, node in told.items():  # a wrist and a hand may be at the same place
            assert np.abs(positions[:, shaped[role]] - positions[:, node]).max() < 1e-9, (path.name, role)
        n_files += 1
    assert n_files >= 15


def test_chains_of_a_tree():
    parents = [-1, 0, 1, 2, 1, 4, 0]
    assert common_ancestor(parents, 3, 5) == 1
    assert common_ancestor(parents, 5, 4) == 4
    assert chain_between(parents, 0, 3) == [1, 2, 3]
    assert chain_between(parents, 6, 3) == [1, 2, 3]
    assert chain_between(parents, 3, 3) == []


def test_two_bones_reach_and_bend_to_the_hint():
    """3-4-5: the knee is where the right angle is; beyond its length the leg is straight."""
    reach, hint = np.array([[0.0, 0, -5], [0, 0, -9]]), np.array([[0.0, -1, 0], [0, -1, -7]])
    upper, lower = two_bones(reach, (3.0, 4.0), hint)
    assert upper[0] == pytest.approx([0, -0.8, -0.6])
    assert 3 * upper[0] + 4 * lower[0] == pytest.approx([0, 0, -5])
    assert np.linalg.norm(3 * upper[1] + 4 * lower[1]) == pytest.approx(7 * 0.9998)
    assert upper[1, 1] < 0


def test_a_standing_foot_is_held_and_put_on_the_floor():
    """It slides by 1 cm/s and sinks by 1 cm while it stands for two seconds, then swings away at 2 m/s."""
    skeleton = load_skeleton()
    soles, fps = soles_of(skeleton), 60.0
    time = np.arange(150) / fps
    height = float(rest_joints(skeleton)[skeleton.index("LeftFoot"), 2])
    path = np.stack([np.zeros_like(time), -0.01 * time, np.full_like(time, height - 0.01)], axis=-1)
    swings = np.maximum(time - 2.0, 0.0)
    path[:, 1] -= 2.0 * swings
    path[:, 2] += 0.6 * swings
    turns = {f"Left{name}": np.tile(np.eye(3), (150, 1, 1)) for name in ("Foot", "ToeBase")}
    shift, carries = planted_ankle(soles, "Left", path, turns, fps)
    held = (path + shift)[6:108]
    # Speed spread 3 mm/s against a wish for shifts under 10 cm: a slide of 10 mm/s is held to a hundredth of it.
    assert np.abs(np.diff(held[:, 1])).max() * fps < 1e-4
    assert held[:, 2] == pytest.approx(height, abs=5e-4)
    assert carries[6:108].min() == 1.0
    assert carries[-15:].max() == 0.0
    assert np.linalg.norm(np.diff(shift, n=2, axis=0), axis=-1).max() * fps**2 < 5.0


def test_who_floats_for_long_is_brought_down_and_who_jumps_is_not():
    """A jump of 0.6 s from a floor that rises by 20 cm in between."""
    fps = 50.0
    time = np.arange(500) / fps
    drift = 0.2 * np.clip((time - 3.0) / 2.0, 0.0, 1.0)
    jump = np.maximum(0.44 - 9.81 / 2 * (time - 7.0) ** 2, 0.0)
    removed = floating(drift + jump, fps)
    assert removed[:140] == pytest.approx(0.0, abs=1e-9)
    assert removed[300:] == pytest.approx(0.2, abs=1e-9)
    assert np.abs(removed - drift).max() < 0.1  # never more than the ramp's rise within the longest jump
    assert floating(0.015 + jump, fps) == pytest.approx(0.0, abs=1e-9)
    assert floating(np.full(5, 0.3), fps) == pytest.approx(0.0)


def test_the_nearest_rotation_is_a_rotation():
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert nearest_rotation(0.3 * turned) == pytest.approx(turned)
    assert np.linalg.det(nearest_rotation(np.diag([1.0, 1.0, -0.1]))) == pytest.approx(1.0)


def test_a_mirrored_motion_is_the_mirror_image():
    motion = walk_and_reach(load_skeleton(), seconds=3.5)
    mirrored = mirror_motion(motion)
    assert mirrored.skeleton is motion.skeleton
    _, places = joint_poses(motion)
    _, image = joint_poses(mirrored)
    assert image == pytest.approx(places[:, motion.skeleton.mirror_permutation] * [-1, 1, 1])
    back = mirror_motion(mirrored)
    assert back.local_rotations == pytest.approx(motion.local_rotations, abs=1e-12)
    assert np.array_equal(back.root_translation, motion.root_translation)


def test_a_crooked_body_is_mirrored_too():
    motion = walk_and_reach(load_skeleton(), seconds=1.0)
    offsets = motion.skeleton.rest_offsets.copy()
    offsets[motion.skeleton.index("LeftForeArm")] *= 1.1
    motion = replace(motion, skeleton=replace(motion.skeleton, rest_offsets=offsets))
    mirrored = mirror_motion(motion)
    _, places = joint_poses(motion)
    _, image = joint_poses(mirrored)
    assert image == pytest.approx(places[:, motion.skeleton.mirror_permutation] * [-1, 1, 1])
    limits = mirrored.skeleton.limits
    assert limits == pytest.approx(load_skeleton().limits)
