"""Another rest pose changes no position in any frame; bones' axes are where a preset wants them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fbx_readers import box_body, rest_of, skinned, world_of
from mocap.core.errors import InputError
from mocap.core.skeleton import load_skeleton
from mocap.geometry.rest_pose import BoneAxes, a_pose, bone_axes, bone_directions, rest_turns, skin_at_rest, with_rest
from motion_worlds import crooked_motion, marching_person


def random_turns(motion, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bent = {name: Rotation.random(random_state=rng) for name in motion.skeleton.joint_names[1:]}
    return rest_turns(motion.skeleton, bent)


@pytest.mark.parametrize("motion", [marching_person(n_frames=6), crooked_motion(seed=1)], ids=["person", "crooked"])
def test_positions_do_not_change(motion):
    other = with_rest(motion, random_turns(motion, 4))
    assert np.abs(world_of(other)[1] - world_of(motion)[1]).max() < 1e-12
    tips = np.isfinite(motion.skeleton.tips[:, 0])
    ends = [(m.skeleton.tips[tips], world_of(m)) for m in (motion, other)]
    placed = [np.einsum("tjab,jb->tja", world[0][:, tips], t) + world[1][:, tips] for t, world in ends]
    assert np.abs(placed[0] - placed[1]).max() < 1e-12


def test_the_body_does_not_change():
    """Linear blend skinning of a rigid bending of the rest pose is not exact, but where a vertex follows one joint."""
    motion = marching_person(n_frames=5)
    mesh = box_body(motion)
    rigid = type(mesh)(mesh.name, mesh.vertices, mesh.faces, mesh.joints, np.eye(4)[np.zeros(len(mesh.vertices), int)])
    turns = rest_turns(motion.skeleton, a_pose(motion.skeleton))
    bent = skin_at_rest(rigid, motion.skeleton, turns)
    assert np.abs(bent.vertices - rigid.vertices).max() > 0.3
    assert np.abs(skinned(bent, with_rest(motion, turns)) - skinned(rigid, motion)).max() < 1e-12


def test_an_a_pose_has_its_arms_down_and_the_rest_as_it_was():
    motion = marching_person(n_frames=2)
    other = with_rest(motion, rest_turns(motion.skeleton, a_pose(motion.skeleton)))
    before = dict(zip(motion.skeleton.joint_names, rest_of(motion), strict=True))
    after = dict(zip(other.skeleton.joint_names, rest_of(other), strict=True))
    arm = (after["LeftHand"] - after["LeftArm"]) / np.linalg.norm(after["LeftHand"] - after["LeftArm"])
    assert arm == pytest.approx([np.sqrt(0.5), 0, -np.sqrt(0.5)], abs=1e-12)
    assert after["RightHand"] == pytest.approx(after["LeftHand"] * [-1, 1, 1], abs=1e-12)
    still = [name for name in before if "Arm" not in name and "Hand" not in name]
    assert max(np.abs(after[name] - before[name]).max() for name in still) < 1e-12
    with pytest.raises(InputError, match="'crooked' has no joints LeftArm and RightArm to lower into an A-pose"):
        a_pose(crooked_motion(0).skeleton)


def test_bones_point_where_anatomy_says():
    skeleton = load_skeleton()
    direction = dict(zip(skeleton.joint_names, bone_directions(skeleton), strict=True))
    expected = {"Hips": (0, 0, 1), "Spine2": (0, 0, 1), "LeftForeArm": (1, 0, 0), "RightHand": (-1, 0, 0)}
    expected |= {"LeftUpLeg": (0, 0, -1), "Head": (0, 0, 1)}
    for name, vector in expected.items():
        assert direction[name] == pytest.approx(vector, abs=1e-12)
    assert np.linalg.norm(bone_directions(crooked_motion(2).skeleton), axis=-1) == pytest.approx(1)


def test_axes_are_right_handed_and_where_the_rule_says():
    skeleton = load_skeleton()
    rules = [
        BoneAxes(joints=("LeftUpLeg", "LeftLeg"), along="-x", second="y", to="back"),
        BoneAxes(joints=("LeftFoot",), along="y", second="z", to="up"),
        BoneAxes(joints=("LeftArm",), along="y", second="z", to="down"),
    ]
    axes = Rotation.from_quat(bone_axes(skeleton, rules)[:, [1, 2, 3, 0]]).as_matrix()
    assert np.linalg.det(axes) == pytest.approx(1)
    of = dict(zip(skeleton.joint_names, axes, strict=True))
    assert of["Hips"] == pytest.approx(np.eye(3))  # no rule: the world's
    assert of["LeftUpLeg"][:, 0] == pytest.approx([0, 0, 1])
    assert of["LeftUpLeg"][:, 1] == pytest.approx([0, 1, 0])
    foot = bone_directions(skeleton)[skeleton.index("LeftFoot")]
    assert of["LeftFoot"][:, 1] == pytest.approx(foot)
    assert of["LeftFoot"][2, 2] > 0.9
    assert of["LeftFoot"][0, 2] == pytest.approx(0)
    assert of["LeftArm"] == pytest.approx(np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]]), abs=1e-12)


def test_rules_that_cannot_be():
    skeleton = load_skeleton()
    with pytest.raises(InputError, match="axis 'x' of 'Hips' cannot point along the bone and to the front"):
        bone_axes(skeleton, [BoneAxes(along="x", second="-x")])
    with pytest.raises(InputError, match="the bone of 'Hips' points to the up itself, which cannot tell its roll"):
        bone_axes(skeleton, [BoneAxes(joints=("Hips",), to="up")])
    everything = bone_axes(skeleton, [BoneAxes(to="up")])
    assert np.linalg.norm(everything, axis=-1) == pytest.approx(1)
