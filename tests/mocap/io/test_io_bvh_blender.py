"""Our BVH in Blender: every joint where our kinematics puts it, in every frame, upright, to scale, at the right rate.

Blender runs in an environment of its own (its package wants an old numpy): `python tools/bootstrap.py blender` makes
it in .venv-blender, or MOCAP_BLENDER_PYTHON names another Python that has `bpy`. Without either the tests skip.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from blender_runs import blender_or_skip, in_order, played_by
from mocap.core.motion import Motion
from mocap.geometry.kinematics import forward_kinematics
from mocap.io.bvh import BvhConfig, guess_conventions, motion_from_bvh, read_bvh, write_bvh
from motion_worlds import marching_person

METRES = {"m": 1.0, "cm": 0.01}

# Blender computes in float32: 6e-8 of the distance from the origin (4 m here) per joint of a chain, and Euler angles of
# some 10 rad that are good to 5e-7 rad at levers of a metre. A millimetre is what is promised; this is what is there.
BLENDER_M = 2e-5


@pytest.fixture(scope="module")
def blender_python() -> Path:
    return blender_or_skip()


def world_positions(motion: Motion) -> np.ndarray:
    _, positions = forward_kinematics(
        torch.from_numpy(motion.local_rotations.copy()),
        torch.from_numpy(motion.root_translation.copy()),
        torch.from_numpy(motion.skeleton.rest_offsets.copy()),
        motion.skeleton.parents,
    )
    return positions.numpy()


@pytest.mark.parametrize(
    ("fps", "unit", "order"),
    [
        (24000 / 1001, "cm", "YZX"),
        pytest.param(59.94, "cm", "ZXY", marks=pytest.mark.slow),
        pytest.param(30.0, "m", "XYZ", marks=pytest.mark.slow),
    ],
)
def test_blender_plays_what_we_solved(blender_python, tmp_path, fps, unit, order):
    motion = marching_person(n_frames=75, fps=fps)
    write_bvh(motion, tmp_path / "march.bvh", BvhConfig(unit=unit, rotation_order=order))
    played = played_by(blender_python, tmp_path / "march.bvh", METRES[unit])
    joints = in_order(played, motion)

    assert played["heads"].shape == (75, 22, 3)
    assert played["frame_range"].tolist() == [1, 75]
    # The importer gives a scene one frame more than the file has: its last frame is `start + count`.
    assert played["scene_range"].tolist() == [1, 76]
    # The scene keeps its rate as a whole number over a float32 base: one part in 1.7e7.
    assert float(played["fps"]) == pytest.approx(fps, rel=1e-7)

    expected = world_positions(motion)
    error_m = np.linalg.norm(played["heads"][:, joints] - expected, axis=-1)
    assert error_m.max() < 1e-3
    assert error_m.max() < BLENDER_M


def test_the_rest_pose_in_blender_is_an_upright_t_facing_the_front_view(blender_python, tmp_path):
    """The rest pose hangs at the origin by its hips (the root's OFFSET is 0); bones end where our tips are."""
    motion = marching_person(n_frames=2)
    write_bvh(motion, tmp_path / "rest.bvh")
    played = played_by(blender_python, tmp_path / "rest.bvh", 0.01)
    joints = in_order(played, motion)
    skeleton = motion.skeleton
    rest = skeleton.rest_offsets.copy()
    rest[0] = 0
    for joint in range(1, len(skeleton)):
        rest[joint] += rest[skeleton.parents[joint]]
    assert np.abs(played["rest_heads"][joints] - rest).max() < BLENDER_M
    leaves = np.isfinite(skeleton.tips).all(axis=-1)
    assert np.abs(played["rest_tails"][joints][leaves] - (rest + skeleton.tips)[leaves]).max() < BLENDER_M

    first = dict(zip(skeleton.joint_names, played["heads"][0, joints], strict=True))
    assert first["Head"][2] > 1.5
    assert 0 < first["LeftToeBase"][2] < 0.05
    assert first["LeftHand"][0] > 0.6 > -0.6 > first["RightHand"][0]
    assert first["LeftToeBase"][1] < first["LeftFoot"][1] - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fair1/zombie", "rokoko/jesse_dance", "cmu1/jumping_jacks"])
def test_files_of_other_programs_through_us_into_blender(blender_python, shared_data, tmp_path, name):
    source = read_bvh(shared_data / "motion" / "AnimatedDrawings" / "examples" / "bvh" / f"{name}.bvh")
    guess = guess_conventions(source)
    motion = motion_from_bvh(source, up=guess.up, unit=guess.metres_per_unit)
    write_bvh(motion, tmp_path / "through.bvh")
    played = played_by(blender_python, tmp_path / "through.bvh", 0.01)
    expected = world_positions(motion)
    error_m = np.linalg.norm(played["heads"][:, in_order(played, motion)] - expected, axis=-1)
    assert error_m.max() < 1e-3
    assert played["heads"][..., 2].min() > -0.3
    assert float(played["fps"]) == pytest.approx(source.fps, rel=1e-7)
