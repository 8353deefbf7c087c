"""The presets: what each program wants of names, rest pose, axes, unit and people, as another reader sees it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fbx_readers import rest_of, seen_by_ufbx, world_of
from mocap.core.config import load_config
from mocap.core.errors import InputError
from mocap.core.skeleton import load_skeleton
from mocap.geometry.rest_pose import a_pose, bone_axes, rest_turns, turned_axes, with_rest
from mocap.io import export_presets
from mocap.io.axes import file_from_world
from mocap.io.bvh import read_bvh
from mocap.stages.export import ExportConfig, export
from motion_worlds import crooked_motion, marching_person

PRESETS = ("blender", "cmu", "mixamo", "rigify", "unity", "unreal")

# HumanBodyBones of Unity, without fingers, eyes and jaw
UNITY_BONES = {"Hips", "Spine", "Chest", "UpperChest", "Neck", "Head"} | {
    side + bone
    for side in ("Left", "Right")
    for bone in ("UpperLeg", "LowerLeg", "Foot", "Toes", "Shoulder", "UpperArm", "LowerArm", "Hand")
}


def load(preset: str, **more: object) -> ExportConfig:
    return ExportConfig.model_validate({"preset": preset, **more})


def test_all_presets_are_there_and_name_joints_that_exist():
    assert export_presets.preset_names() == PRESETS
    joints = set(load_skeleton().joint_names)
    for preset in PRESETS:
        config = load(preset)
        assert set(config.names) <= joints
        assert {joint for rule in config.bone_axes for joint in rule.joints} | set(config.fbx.end_names) <= joints
        new = [config.names.get(joint, joint) for joint in joints]
        assert len(set(new)) == len(joints)


@pytest.mark.parametrize(
    "preset", ["unreal", *[pytest.param(p, marks=pytest.mark.slow) for p in ("blender", "mixamo", "rigify", "unity")]]
)
def test_a_preset_in_the_eyes_of_another_reader(tmp_path, preset):
    """Same positions in every frame, whatever the names and the rest pose; axes at rest as the rules say."""
    motion = marching_person(n_frames=6, fps=30)
    config = load(preset)
    (path,), _ = export([motion], tmp_path, "walk", config)
    seen = seen_by_ufbx(path)
    names = [config.name_prefix + config.names.get(joint, joint) for joint in motion.skeleton.joint_names]
    number = {name: index for index, name in enumerate(seen["names"].tolist())}
    unit_m, world_from_file = float(seen["unit_m"]), file_from_world(config.up).T
    numbers = [number[name] for name in names]
    played = seen["world_0"][:, numbers][..., :3, 3] @ world_from_file.T * unit_m
    assert np.abs(played - world_of(motion)[1]).max() < 2e-5
    skeleton = motion.skeleton
    turns = rest_turns(skeleton, a_pose(skeleton) if preset == "unreal" else {})
    rest = rest_of(with_rest(motion, turns))
    assert np.abs(seen["rest"][numbers][:, :3, 3] @ world_from_file.T * unit_m - rest).max() < 1e-9
    if config.bone_axes:
        wanted = turned_axes(bone_axes(skeleton, config.bone_axes), turns)
        found = world_from_file @ seen["rest"][numbers][:, :3, :3]
        assert np.abs(found - Rotation.from_quat(wanted[:, [1, 2, 3, 0]]).as_matrix()).max() < 1e-9
    assert seen["stacks"].tolist() == ["walk"]


def test_unity_finds_every_bone_by_its_own_name():
    config = load("unity")
    assert {config.names[joint] for joint in load_skeleton().joint_names} == UNITY_BONES
    assert (config.rest_pose, config.up, config.fbx.holder, config.apart) == ("T", "y", True, True)


def test_left_and_right_bones_of_a_preset_are_mirror_images():
    """Of left and right the same axes point along the bone (or against it, on both or on one), none is skewed."""
    skeleton = load_skeleton()
    for preset in ("mixamo", "blender", "rigify", "unreal"):
        axes = Rotation.from_quat(bone_axes(skeleton, load(preset).bone_axes)[:, [1, 2, 3, 0]]).as_matrix()
        for left, right in skeleton.mirror_pairs:
            mirrored = np.diag([-1, 1, 1]) @ axes[skeleton.index(left)]
            signs = np.einsum("ab,ab->b", mirrored, axes[skeleton.index(right)])
            assert np.abs(signs) == pytest.approx(1, abs=1e-12)
            assert np.prod(signs) == pytest.approx(-1)


def test_mixamo_bones_are_as_those_of_its_characters():
    """Y along every bone; a spine has the file's axes, a leg is half a turn about Z, an arm ½(1 ±1 ∓1 1) (xyzw)."""
    skeleton = load_skeleton()
    file_from_world = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    axes = Rotation.from_quat(bone_axes(skeleton, load("mixamo").bone_axes)[:, [1, 2, 3, 0]]).as_matrix()
    turned = dict(zip(skeleton.joint_names, file_from_world @ axes, strict=True))
    assert turned["Spine1"] == pytest.approx(np.eye(3), abs=1e-12)
    assert turned["LeftLeg"] == pytest.approx(np.diag([-1, -1, 1]), abs=1e-12)
    assert turned["LeftForeArm"] == pytest.approx(Rotation.from_quat([0.5, 0.5, -0.5, 0.5]).as_matrix(), abs=1e-12)
    assert turned["RightForeArm"] == pytest.approx(Rotation.from_quat([0.5, -0.5, 0.5, 0.5]).as_matrix(), abs=1e-12)


def test_people_apart_and_together(tmp_path):
    people = [marching_person(n_frames=3, person=name) for name in ("anna", "bob")]
    paths, _ = export(people, tmp_path, "duo", load("unity"))
    assert [p.name for p in paths] == ["duo_anna.fbx", "duo_bob.fbx"]
    paths, _ = export(people, tmp_path, "duo", load("unity", apart=False))
    assert [p.name for p in paths] == ["duo.fbx"]


def test_bvh_with_names_rest_pose_and_without_end_sites(tmp_path):
    motion = marching_person(n_frames=4)
    (path,), _ = export([motion], tmp_path, "walk", load("cmu", rest_pose="A", end_sites=False, unit="m", up="z"))
    bvh = read_bvh(path)
    assert bvh.joint_names[:5] == ("Hips", "LowerBack", "Spine", "Spine1", "Neck")
    assert bvh.channels[1] == ("Zrotation", "Yrotation", "Xrotation")
    assert len(bvh.end_parents) == 0
    hand = bvh.offsets[bvh.joint_names.index("LeftHand")]
    assert hand == pytest.approx(0.2555 * np.array([np.sqrt(0.5), 0, -np.sqrt(0.5)]), abs=1e-6)


def test_what_is_given_goes_over_the_preset(tmp_path):
    config = load("unreal", unit="m", fbx={"root_bone": "Root"}, names={"Hips": "hip"})
    assert (config.unit, config.up, config.fbx.root_bone, config.fbx.holder) == ("m", "z", "Root", False)
    assert (config.names["Hips"], config.names["Head"]) == ("hip", "head")
    assert load_config(ExportConfig, None, ["preset=mixamo", "up=z"]).name_prefix == "mixamorig:"
    assert ExportConfig.model_validate(config.model_dump()) == config
    own = tmp_path / "own.toml"
    own.write_text('unit = "mm"\n[names]\nHead = "kopf"\n')
    assert load(str(own)).names == {"Head": "kopf"}


def test_presets_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match=r"no export preset 'maya'; there are blender, cmu, .*Or give the path"):
        load("maya")
    bad = tmp_path / "bad.toml"
    bad.write_text("names = [")
    with pytest.raises(ValueError, match="not valid TOML"):
        load(str(bad))
    bad.write_text('preset = "unity"')
    with pytest.raises(ValueError, match="a preset does not name another preset"):
        load(str(bad))
    with pytest.raises(InputError, match="'crooked' has no joints LeftArm and RightArm"):
        export([crooked_motion(0)], tmp_path, "x", load("unreal"))
    with pytest.raises(InputError, match="repeats a joint name"):
        export([marching_person(2)], tmp_path, "x", ExportConfig(names={"Neck": "Head"}))


def test_an_installed_package_finds_its_presets(tmp_path, monkeypatch):
    """Installed, the package lies in site-packages without `configs`; its data lies under the prefix."""
    monkeypatch.setattr(export_presets, "__file__", str(tmp_path / "lib" / "mocap" / "io" / "export_presets.py"))
    data = tmp_path / "share" / "mocap" / "export"
    data.mkdir(parents=True)
    (data / "house.toml").write_text('unit = "in"')
    monkeypatch.setattr(export_presets.sysconfig, "get_path", lambda name, scheme: str(tmp_path))
    assert export_presets.preset_names() == ("house",)
    assert export_presets.load_preset("house") == {"unit": "in"}


def test_the_wheel_takes_the_presets_along():
    text = (Path(__file__).resolve().parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"{export_presets.INSTALLED.as_posix()}" = ["configs/export/*.toml"]' in text
