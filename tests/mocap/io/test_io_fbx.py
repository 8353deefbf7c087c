"""Our FBX through ufbx: every joint where our kinematics puts it, upright, to scale, at the right rate, by its name.

ufbx reads curves that are float32: 6e-8 of 4 m, and Euler angles of some 10 rad that are good to 1e-6 rad at levers of
a metre, added up over a chain: some micrometres. Half a millimetre is what is promised.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fbx_readers import box_body, rest_of, seen_by_ufbx, skinned, world_of
from mocap.core.errors import InputError
from mocap.io.axes import file_from_world, metres_per
from mocap.io.fbx import FbxConfig, write_fbx
from mocap.io.fbx_rig import EULER_ORDERS
from motion_worlds import crooked_motion, marching_person, quaternions

UFBX_M = 2e-5


def in_metres(seen: dict, stack: int, names: list[str]) -> np.ndarray:
    """World transforms (T, J, 4, 4) that ufbx saw, turned to our world, positions in metres."""
    number = {name: index for index, name in enumerate(seen["names"].tolist())}
    world = seen[f"world_{stack}"][:, [number[name] for name in names]].copy()
    turn = file_from_world("y" if seen["up"] == "POSITIVE_Y" else "z").T
    world[..., :3, 3] = world[..., :3, 3] @ turn.T * float(seen["unit_m"])
    world[..., :3, :3] = turn @ world[..., :3, :3]
    return world


@pytest.mark.parametrize(
    ("fps", "config"),
    [
        (59.94, FbxConfig()),
        (30.0, FbxConfig(up="z", unit="m", version=7500, end_bones=True)),
        pytest.param(
            24000 / 1001,
            FbxConfig(unit="in", rotation_order="YXZ", holder=False, root_bone="root"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_ufbx_sees_the_motion_that_was_written(tmp_path, fps, config):
    motion = marching_person(n_frames=40, fps=fps, person="Zoë")
    write_fbx([motion], tmp_path / "march.fbx", config)
    seen = seen_by_ufbx(tmp_path / "march.fbx")
    assert not seen["warnings"].size
    assert (int(seen["version"]), str(seen["up"])) == (config.version, f"POSITIVE_{config.up.upper()}")
    film = fps == 24000 / 1001  # a mode of its own in the file, which ufbx takes for 23.976 in single precision
    assert float(seen["fps"]) == pytest.approx(fps, rel=2e-6 if film else 1e-12)
    assert float(seen["unit_m"]) == pytest.approx(metres_per(config.unit), rel=1e-12)
    assert seen["stacks"].tolist() == ["Take 001"]
    assert seen["spans"][0] == pytest.approx([0, 39 / fps], abs=1e-10)
    bones = [name for name, bone in zip(seen["names"].tolist(), seen["is_bone"], strict=True) if bone]
    ends = ["Head_End", "LeftHand_End", "RightHand_End", "LeftToeBase_End", "RightToeBase_End"]
    wanted = [*motion.skeleton.joint_names, *(ends if config.end_bones else []), *filter(None, [config.root_bone])]
    assert sorted(bones) == sorted(wanted)
    assert ("Zoë" in seen["names"]) == config.holder

    names = list(motion.skeleton.joint_names)
    world = in_metres(seen, 0, names)
    assert len(world) == 40
    assert np.abs(world[..., :3, 3] - world_of(motion)[1]).max() < UFBX_M
    still = in_metres(dict(seen, world_0=seen["rest"][None]), 0, names)[0]
    assert np.abs(still[:, :3, 3] - rest_of(motion)).max() < 1e-9


@pytest.mark.parametrize(
    "order", [pytest.param(order, marks=[pytest.mark.slow] if order != "XYZ" else []) for order in EULER_ORDERS]
)
def test_crooked_skeletons_with_axes_of_their_own(tmp_path, order):
    """Bones' axes at rest are those asked for, and the pose is the same whatever they are."""
    motion = crooked_motion(seed=3, n_joints=9)
    axes = Rotation.random(9, random_state=np.random.default_rng(5))
    config = FbxConfig(up="z", unit="m", rotation_order=order)
    write_fbx([motion], tmp_path / "crooked.fbx", config, axes=[quaternions(axes)])
    seen = seen_by_ufbx(tmp_path / "crooked.fbx")
    names = list(motion.skeleton.joint_names)
    world = in_metres(seen, 0, names)
    rotations, positions = world_of(motion)
    assert np.abs(world[..., :3, 3] - positions).max() < UFBX_M
    assert np.abs(world[..., :3, :3] - rotations @ axes.as_matrix()).max() < 1e-5
    still = in_metres(dict(seen, world_0=seen["rest"][None]), 0, names)[0]
    assert np.abs(still[:, :3, :3] - axes.as_matrix()).max() < 1e-9


def test_two_people_play_together_in_one_take(tmp_path):
    anna = marching_person(n_frames=20, fps=30, person="anna")
    bob = marching_person(n_frames=35, fps=60, person="bob")
    bob = replace(bob, root_translation=bob.root_translation + [1.5, 0.3, 0])
    write_fbx([anna, bob], tmp_path / "duo.fbx", FbxConfig(stack="duet"))
    seen = seen_by_ufbx(tmp_path / "duo.fbx", "--fps", 30)
    assert seen["stacks"].tolist() == ["duet"]
    assert seen["spans"][0] == pytest.approx([0, 19 / 30], abs=1e-10)
    assert float(seen["fps"]) == 60
    for motion, step in ((anna, 1), (bob, 2)):
        names = [f"{motion.person}:{name}" for name in motion.skeleton.joint_names]
        expected = world_of(motion)[1][::step]
        world = in_metres(seen, 0, names)
        assert np.abs(world[: len(expected), :, :3, 3] - expected).max() < UFBX_M
        parents = {name: seen["names"][p] for name, p in zip(seen["names"].tolist(), seen["parents"], strict=True)}
        assert parents[names[0]] == motion.person


@pytest.mark.slow
def test_takes_of_one_person_are_stacks_of_one_skeleton(tmp_path):
    walk = marching_person(n_frames=12, fps=30)
    turn = replace(marching_person(n_frames=7, fps=30, turn_deg=90), root_translation=walk.root_translation[:7] * 2)
    write_fbx([walk, turn], tmp_path / "takes.fbx", FbxConfig(stack="Take"))
    seen = seen_by_ufbx(tmp_path / "takes.fbx")
    assert seen["stacks"].tolist() == ["Take 1", "Take 2"]
    assert seen["is_bone"].sum() == 22
    for stack, motion in enumerate((walk, turn)):
        world = in_metres(seen, stack, list(motion.skeleton.joint_names))
        assert world.shape[0] == motion.n_frames
        assert np.abs(world[..., :3, 3] - world_of(motion)[1]).max() < UFBX_M


def test_the_mesh_follows_its_bones(tmp_path):
    motion = marching_person(n_frames=9, fps=12)
    mesh = box_body(motion)
    axes = quaternions(Rotation.random(22, random_state=np.random.default_rng(1)))
    write_fbx([motion], tmp_path / "body.fbx", FbxConfig(up="z", unit="cm"), skins=[mesh], axes=[axes])
    seen = seen_by_ufbx(tmp_path / "body.fbx", "--skin")
    assert not seen["warnings"].size
    # ufbx blends in double precision and the weights are float64: only the curves are float32
    assert np.abs(seen["vertices_0"] / 100 - skinned(mesh, motion)).max() < UFBX_M


def test_one_frame(tmp_path):
    motion = marching_person(n_frames=1, fps=25)
    write_fbx([motion], tmp_path / "one.fbx")
    seen = seen_by_ufbx(tmp_path / "one.fbx")
    assert seen["spans"].tolist() == [[0, 0]]
    world = in_metres(seen, 0, list(motion.skeleton.joint_names))
    assert world.shape[0] == 1
    assert np.abs(world[..., :3, 3] - world_of(motion)[1]).max() < UFBX_M


@pytest.mark.slow
def test_ten_thousand_frames(tmp_path):
    """A person who turns 250 times: Euler angles grow to 1e5 degrees, where float32 has steps of 0.008 degrees."""
    motion = marching_person(n_frames=10_000, fps=60, turn_deg=36_000)
    write_fbx([motion], tmp_path / "long.fbx")
    seen = seen_by_ufbx(tmp_path / "long.fbx", "--fps", 60 / 101)
    assert seen["spans"][0] == pytest.approx([0, 9999 / 60], abs=1e-9)
    world = in_metres(seen, 0, list(motion.skeleton.joint_names))
    assert world.shape[0] == 100
    assert np.abs(world[..., :3, 3] - world_of(motion)[1][::101]).max() < 5e-4


def test_the_same_motion_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_fbx([marching_person(n_frames=3)], tmp_path / f"{name}.fbx")
    assert (tmp_path / "a.fbx").read_bytes() == (tmp_path / "b.fbx").read_bytes()


def test_what_cannot_be_written(tmp_path):
    motion = marching_person(n_frames=3)
    for motions, options, sentence in [
        ([], {}, "there is no motion to write"),
        ([motion], {"skins": [None, None]}, "2 skins for 1 motions; one or None for each"),
    ]:
        with pytest.raises(InputError, match=sentence):
            write_fbx(motions, tmp_path / "no.fbx", **options)
    assert not list(tmp_path.iterdir())
