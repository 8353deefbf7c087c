"""Our FBX in Blender: joints where our kinematics puts them in every frame, the rest pose at rest, the rate exact."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blender_runs import blender_or_skip, played_by
from fbx_readers import box_body, rest_of, skinned, world_of
from mocap.io.fbx import FbxConfig, write_fbx
from motion_worlds import marching_person, quaternions

# Blender computes in float32 and keeps curves of bones in units of the file: 6e-8 of 400 cm per joint of a chain.
BLENDER_M = 5e-5


@pytest.fixture(scope="module")
def blender_python() -> Path:
    return blender_or_skip()


@pytest.mark.parametrize(
    ("fps", "config", "newer"),
    [
        (59.94, FbxConfig(up="y", unit="cm"), True),
        # The older importer puts the keys of a rate that is not whole at the times of the next whole rate.
        pytest.param(24.0, FbxConfig(up="z", unit="m", version=7500), False, marks=pytest.mark.slow),
        pytest.param(60.0, FbxConfig(up="y", unit="cm", end_bones=True), False, marks=pytest.mark.slow),
    ],
)
def test_blender_plays_what_we_solved(blender_python, tmp_path, fps, config, newer):
    motion = marching_person(n_frames=30, fps=fps)
    mesh = box_body(motion)
    axes = quaternions(Rotation.random(22, random_state=np.random.default_rng(2)))
    write_fbx([motion], tmp_path / "march.fbx", config, skins=[mesh], axes=[axes])
    played = played_by(blender_python, tmp_path / "march.fbx", 1.0, *["--newer"] * newer)
    names = played["names"].tolist()
    assert [name for name in names if not name.endswith("_End")] == list(motion.skeleton.joint_names)
    joints = [names.index(name) for name in motion.skeleton.joint_names]
    assert played["armatures"].tolist() == ["person"]
    assert played["frame_range"].tolist() == [1, 30]
    assert float(played["fps"]) == pytest.approx(fps, rel=1e-7)
    error_m = np.linalg.norm(played["heads"][:, joints] - world_of(motion)[1], axis=-1)
    assert error_m.max() < BLENDER_M
    assert np.abs(played["rest_heads"][joints] - rest_of(motion)).max() < BLENDER_M
    tips = np.isfinite(motion.skeleton.tips).all(axis=-1)
    if config.end_bones and not newer:
        ends = played["rest_heads"][
            [names.index(f"{motion.skeleton.joint_names[j]}_End") for j in np.flatnonzero(tips)]
        ]
        assert np.abs(ends - (rest_of(motion) + motion.skeleton.tips)[tips]).max() < BLENDER_M
    # Blender turns the axes of FBX bones so that its own, Y along the bone, are near: the same three lines, permuted.
    turned = np.abs(axes_in_blender(played, joints).swapaxes(-1, -2) @ matrices(axes))
    assert np.abs(np.sort(turned, axis=-1) - [0, 0, 1]).max() < 1e-3
    assert np.abs(played["vertices"] - skinned(mesh, motion)).max() < BLENDER_M


@pytest.mark.slow
@pytest.mark.parametrize("newer", [True, False])
def test_two_people_in_blender(blender_python, tmp_path, newer):
    anna, bob = (marching_person(n_frames=n, fps=30, person=name) for n, name in ((9, "anna"), (12, "bob")))
    bob = replace(bob, root_translation=bob.root_translation + [1.5, 0.3, 0])
    write_fbx([anna, bob], tmp_path / "duo.fbx")
    for motion in (anna, bob):
        options = ["--armature", motion.person, *["--newer"] * newer]
        played = played_by(blender_python, tmp_path / "duo.fbx", 1.0, *options)
        assert sorted(played["armatures"].tolist()) == ["anna", "bob"]
        names = [name.split(":")[-1] for name in played["names"].tolist()]
        joints = [names.index(name) for name in motion.skeleton.joint_names]
        heads = played["heads"][: motion.n_frames, joints]
        assert np.linalg.norm(heads - world_of(motion)[1], axis=-1).max() < BLENDER_M


def axes_in_blender(played: dict, joints: list[int]) -> np.ndarray:
    found = played["matrices"][joints]
    return found / np.linalg.norm(found, axis=-2, keepdims=True)


def matrices(axes: np.ndarray) -> np.ndarray:
    return Rotation.from_quat(axes[:, [1, 2, 3, 0]]).as_matrix()
