"""GLB read: ours comes back as it went, and what Blender exports of real characters is where Blender has it."""

import base64
import json
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blender_scene_runs import blender_scene, scene_of
from mocap.core.errors import FileFormatError
from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh
from mocap.io.file_people import FilePerson
from mocap.io.gltf import GltfConfig, write_gltf
from mocap.io.gltf_buffer import GltfBuilder
from mocap.io.gltf_file import GltfChannel, GltfClip, read_gltf
from mocap.io.gltf_motion import frame_rate, sampled
from mocap.io.gltf_people import read_gltf_people
from mocap.io.world_joints import joint_worlds, quat_turned, rest_positions
from motion_worlds import crooked_motion, marching_person, quaternions
from skin_worlds import boxed_body, skinned_vertices

# float32 places and turns: 6e-8 rad and 6e-8 of 2 m a joint, over a chain of seven joints.
FLOAT32_M = 1e-6


def in_order(person: FilePerson, motion: Motion) -> list[int]:
    assert sorted(person.motion.skeleton.joint_names) == sorted(motion.skeleton.joint_names)
    return [person.motion.skeleton.index(name) for name in motion.skeleton.joint_names]


@pytest.mark.parametrize("rest", ["nodes", "bind"])
def test_our_people_and_their_bodies_come_back(tmp_path, rest):
    people = [marching_person(30, person="ann"), marching_person(30, person="bob", turn_deg=90)]
    body = boxed_body(people[1].skeleton)
    write_gltf(people, tmp_path / "a.glb", skins=[None, body])
    found = read_gltf_people(tmp_path / "a.glb", rest=rest)
    assert [person.motion.person for person in found] == ["ann", "bob"]
    for person, motion in zip(found, people, strict=True):
        order = in_order(person, motion)
        assert (person.motion.n_frames, person.motion.fps) == (30, 59.94)
        assert np.abs(joint_worlds(person.motion)[1][:, order] - joint_worlds(motion)[1]).max() < FLOAT32_M
        assert np.abs(rest_positions(person.motion.skeleton)[order] - rest_positions(motion.skeleton)).max() < FLOAT32_M
        tips = person.motion.skeleton.tips[order]
        assert np.allclose(tips, motion.skeleton.tips, atol=1e-9, equal_nan=True)
        assert ("LeftFoot", "RightFoot") in person.motion.skeleton.mirror_pairs
    (skin,) = found[1].skins
    assert not found[0].skins
    assert np.abs(skin.vertices - body.vertices).max() < FLOAT32_M
    moved = skinned_vertices(found[1].motion, skin)
    assert np.abs(moved - skinned_vertices(people[1], body)).max() < FLOAT32_M


@pytest.mark.parametrize("motion", [crooked_motion(4), marching_person(1), marching_person(3, 24000 / 1001)])
def test_any_tree_length_and_rate(tmp_path, motion):
    write_gltf([motion], tmp_path / "a.glb")
    (person,) = read_gltf_people(tmp_path / "a.glb")
    assert person.motion.fps == motion.fps
    error_m = joint_worlds(person.motion)[1][:, in_order(person, motion)] - joint_worlds(motion)[1]
    assert np.abs(error_m).max() < FLOAT32_M


@pytest.mark.slow
def test_long_takes_keep_their_frames(tmp_path):
    """After 83 s float32 times are off by up to 4e-6 s of 8e-3 s a frame: each sample is still its own key."""
    motion = marching_person(10_000, 120.0)
    write_gltf([motion], tmp_path / "a.glb")
    (person,) = read_gltf_people(tmp_path / "a.glb")
    assert person.motion.n_frames == 10_000
    error_m = joint_worlds(person.motion)[1][:, in_order(person, motion)] - joint_worlds(motion)[1]
    assert np.abs(error_m).max() < 1e-5  # 75 m from the origin float32 steps by 8e-6 m


def test_a_take_without_frames_is_a_skeleton(tmp_path):
    walk = marching_person(1)
    empty = Motion(walk.skeleton, walk.root_translation[:0], walk.local_rotations[:0], walk.fps)
    write_gltf([empty], tmp_path / "a.glb")
    (person,) = read_gltf_people(tmp_path / "a.glb")
    assert person.motion.n_frames == 0
    order = in_order(person, walk)
    assert np.abs(rest_positions(person.motion.skeleton)[order] - rest_positions(walk.skeleton)).max() < FLOAT32_M


def test_clips_are_chosen_by_name_or_number(tmp_path):
    people = [marching_person(5, person="ann"), marching_person(9, person="bob")]
    write_gltf(people, tmp_path / "a.glb", GltfConfig(clip_per_person=True))
    assert read_gltf_people(tmp_path / "a.glb", clip="bob")[1].motion.n_frames == 9
    assert read_gltf_people(tmp_path / "a.glb", clip=0)[0].motion.n_frames == 5
    assert read_gltf_people(tmp_path / "a.glb", clip=None)[0].motion.n_frames == 0
    with pytest.raises(FileFormatError, match="no animation 'eve'; there are 'ann', 'bob'"):
        read_gltf_people(tmp_path / "a.glb", clip="eve")


REAL = {
    "maya_human_ik_7400_binary": 62,
    "maya_kenney_character_7700_binary": 58,
    "maya_transformed_skin_7700_binary": 3,
    "blender_293_half_skinned_7400_binary": 3,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_characters_that_blender_exports(shared_data, tmp_path, name):
    """Whose joints have axes of their own, scaled parents, and meshes bound elsewhere."""
    file = tmp_path / "a.glb"
    blender_scene(shared_data / "motion" / "ufbx" / "data" / f"{name}.fbx", "--fps", 30, "--export", file)
    blenders = scene_of(file, "--meshes", fps=30)
    names = blenders["names_0"].tolist()
    assert len(names) == REAL[name]
    (person,) = read_gltf_people(file, clip=None)
    skeleton = person.motion.skeleton
    order = [skeleton.index(bone) for bone in names]
    assert np.abs(rest_positions(skeleton)[order] - blenders["rest_0"]).max() < 1e-5
    if name == "maya_human_ik_7400_binary":
        (moving,) = read_gltf_people(file, fps=30.0)
        assert np.abs(joint_worlds(moving.motion)[1][:, order] - blenders["heads_0"]).max() < 1e-5
    else:
        assert person.skins[0].vertices.shape[1] == 3
        assert person.skins[0].vertices[:, 2].max() <= blenders["vertices_0"][0][:, 2].max() + 0.5
    if name == "maya_kenney_character_7700_binary":
        with pytest.raises(FileFormatError, match=r"moves against its parent by \d+ mm"):
            read_gltf_people(file)


def hand_made(tmp_path: Path, *, uri: bool = False) -> Path:
    """A character as others make them: joints turned and scaled, an inner node that is no joint, bound lying down."""
    up = Rotation.from_euler("x", 90, degrees=True).as_quat()
    side = Rotation.from_euler("z", -90, degrees=True).as_quat()
    builder = GltfBuilder("test")
    bind = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=np.float32)
    keys = np.array([0.0, 0.5, 1.0], dtype=np.float32)
    turns = Rotation.from_euler("x", [[0], [45], [90]], degrees=True).as_quat().astype(np.float32)
    builder.document |= {"scene": 0, "scenes": [{"nodes": [0]}]}
    builder.add("nodes", {"name": "Armature", "scale": [0.01] * 3, "rotation": up.tolist(), "children": [1, 4]})
    builder.add("nodes", {"name": "hip", "translation": [0, 0, 100], "children": [2]})
    builder.add("nodes", {"name": "between", "rotation": side.tolist(), "children": [3]})
    builder.add("nodes", {"name": "knee", "translation": [50, 0, 0]})
    mesh = {"POSITION": builder.add_accessor(vertices, bounds=True)}
    mesh |= {"JOINTS_0": builder.add_accessor(np.tile(np.array([1, 0, 0, 0], np.uint8), (3, 1)))}
    mesh |= {"WEIGHTS_0": builder.add_accessor(np.tile(np.array([1, 0, 0, 0], np.float32), (3, 1)))}
    builder.add("meshes", {"primitives": [{"attributes": mesh}]})
    builder.add("nodes", {"name": "Skin", "mesh": 0, "skin": 0})
    builder.add("skins", {"joints": [1, 3], "inverseBindMatrices": builder.add_accessor(bind)})
    sampler = {"input": builder.add_accessor(keys, bounds=True), "output": builder.add_accessor(turns)}
    channel = {"sampler": 0, "target": {"node": 1, "path": "rotation"}}
    builder.add("animations", {"samplers": [sampler], "channels": [channel]})
    content = builder.to_bytes()
    if not uri:
        (tmp_path / "a.glb").write_bytes(content)
        return tmp_path / "a.glb"
    size = struct.unpack_from("<I", content, 12)[0]
    document = json.loads(content[20 : 20 + size])
    encoded = base64.b64encode(content[28 + size :]).decode()
    document["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{encoded}"
    (tmp_path / "a.gltf").write_text(json.dumps(document))
    return tmp_path / "a.gltf"


@pytest.mark.parametrize("uri", [False, True])
def test_foreign_axes_scales_and_inner_nodes(tmp_path, uri):
    """In our world: the armature's turn takes its z to -y of glTF, which is down: the hip lies 1 m under the floor."""
    (person,) = read_gltf_people(hand_made(tmp_path, uri=uri), fps=4.0)
    motion = person.motion
    assert motion.skeleton.joint_names == ("hip", "between", "knee")
    assert motion.person == "Armature"
    rest = rest_positions(motion.skeleton)
    assert rest[0] == pytest.approx([0, 0, -1], abs=1e-7)
    # knee: 0.5 m along the inner node's x, which is -y of the armature, -z of glTF, +y of ours.
    assert rest[2] - rest[0] == pytest.approx([0, 0.5, 0], abs=1e-7)
    assert quat_turned(person.axes[0], np.array([0.0, 0, 1])) == pytest.approx([0, 0, -1], abs=1e-7)
    assert motion.n_frames == 5
    # The hip turns about its x, which is ours too, from 0 to 90 degrees in four steps.
    angles = Rotation.from_euler("x", np.arange(5)[:, None] * 22.5, degrees=True)
    assert np.abs(motion.local_rotations[:, 0] - quaternions(angles)).max() < 1e-7
    assert joint_worlds(motion)[1][-1, 2] - [0, 0, -1] == pytest.approx([0, 0, 0.5], abs=1e-6)
    (skin,) = person.skins
    assert isinstance(skin, SkinnedMesh)
    assert set(skin.joints[:, 0].tolist()) == {2}


def channel(interpolation: str, values: np.ndarray, what: str = "translation") -> GltfChannel:
    return GltfChannel(0, what, np.array([1.0, 2.0, 4.0]), values, interpolation)


def test_keys_are_sampled_as_the_format_says():
    places = np.array([[0.0, 0, 0], [2, 0, 0], [2, 4, 0]])
    times = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 9.0])
    linear = sampled(channel("LINEAR", places), times)
    assert linear.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 2, 0], [2, 4, 0]]
    steps = sampled(channel("STEP", places), times)
    assert steps[:, 0].tolist() == [0, 0, 0, 2, 2, 2]
    # A cubic through its own derivative: t^3 between keys 1, 2 and 4.
    keys = np.array([1.0, 2.0, 4.0])
    cubic = np.stack([3 * keys**2, keys**3, 3 * keys**2], axis=1)[..., None]
    found = sampled(channel("CUBICSPLINE", np.repeat(cubic, 3, axis=2)), np.array([1.0, 1.3, 2.0, 3.1, 4.0]))
    assert found[:, 1] == pytest.approx(np.array([1.0, 1.3, 2.0, 3.1, 4.0]) ** 3)
    turns = Rotation.from_euler("z", [[0], [90], [180]], degrees=True).as_quat() * [[1], [-1], [1]]
    half = sampled(channel("LINEAR", turns, "rotation"), np.array([1.5, 3.0]))
    assert Rotation.from_quat(half).as_euler("xyz", degrees=True)[:, 2] == pytest.approx([45, 135])


def test_frame_rates_are_told_by_the_keys():
    def of(times, **extras):
        values = np.zeros((len(times), 3))
        return frame_rate(GltfClip("a", (GltfChannel(0, "scale", np.array(times), values, "LINEAR"),), extras))

    assert of(np.arange(9) / 24) == 24
    assert of((np.arange(99) / 60).astype(np.float32).astype(float)) == 60
    assert of(np.arange(9) / 59.94) == pytest.approx(59.94, abs=0.061)
    assert of([0.0, 0.5, 2.0]) == 30
    assert of([0.0]) == 30
    assert of(np.arange(9) / 24, fps=23.976) == 23.976


def test_damage_is_told(tmp_path):
    good = hand_made(tmp_path).read_bytes()
    bad = tmp_path / "bad.glb"
    with pytest.raises(FileFormatError, match="no such file"):
        read_gltf(bad)
    bad.write_bytes(b"PK\x03\x04" + good)
    with pytest.raises(FileFormatError, match="neither the letters glTF nor a JSON document"):
        read_gltf(bad)
    bad.write_bytes(good[:-40])
    with pytest.raises(FileFormatError, match=r"has \d+ of \d+ bytes"):
        read_gltf(bad)
    rng = np.random.default_rng(0)
    for _ in range(150):
        content = bytearray(good)
        for place in rng.integers(12, len(good), 3):
            content[place] = rng.integers(256)
        bad.write_bytes(content)
        with suppress(FileFormatError):  # a changed number may be as good as the old one; nothing else may be raised
            read_gltf_people(bad)


def told(tmp_path: Path, document: dict) -> str:
    file = tmp_path / "a.gltf"
    file.write_text(json.dumps({"asset": {"version": "2.0"}, **document}))
    with pytest.raises(FileFormatError) as error:
        read_gltf_people(file)
    return str(error.value)


def test_what_a_document_must_not_ask_for(tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    inside = tmp_path / "inside"
    inside.mkdir()
    skin = {"nodes": [{}], "skins": [{"joints": [0], "inverseBindMatrices": 0}]}
    numbers = {"accessors": [{"bufferView": 0, "componentType": 5126, "count": 1, "type": "MAT4"}]}
    view = {"bufferViews": [{"buffer": 0, "byteLength": 64}]}
    assert "outside of its folder" in told(inside, {**skin, **numbers, **view, "buffers": [{"uri": "../secret.bin"}]})
    assert "outside" in told(inside, {**skin, **numbers, **view, "buffers": [{"uri": "http://somewhere/x.bin"}]})
    assert "needs the file 'x.bin' beside it" in told(
        inside, {**skin, **numbers, **view, "buffers": [{"uri": "x.bin"}]}
    )
    assert "ends within the numbers" in told(
        inside, {**skin, **numbers, **view, "buffers": [{"uri": "data:;base64,AAAA"}]}
    )
    assert "hang on themselves" in told(tmp_path, {"nodes": [{"children": [1]}, {"children": [0]}]})
    assert "hangs on two nodes" in told(tmp_path, {"nodes": [{"children": [2]}, {"children": [2]}, {}]})
    assert "nothing in common" in told(tmp_path, {"nodes": [{}, {}], "skins": [{"joints": [0, 1]}]})
    assert "no skeleton" in told(tmp_path, {"nodes": [{}]})
