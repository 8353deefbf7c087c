"""Our GLB by readers that are not ours: Khronos' validator and Blender."""

import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blender_scene_runs import in_our_order, scene_of
from gltf_validation import faults, validated
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh
from mocap.io.gltf import GltfConfig, gltf_bytes, write_gltf
from mocap.io.gltf_mesh import float32_weights, vertex_normals
from mocap.io.gltf_people import read_gltf_people
from mocap.io.world_joints import joint_worlds, rest_positions
from motion_worlds import crooked_motion, marching_person, quaternions
from skin_worlds import CUBE, CUBE_FACES, boxed_body, skinned_vertices

# Rotations and places are float32: 6e-8 rad and 6e-8 of 2 m a joint, over a chain of seven with levers of a metre,
# and as much again inside Blender, which poses bones by matrices of float32.
BLENDER_M = 5e-6

IN_GLTF = np.array([0.5**0.5, 0.5**0.5, 0.0, 0.0])
"""The axes of a glTF file in our world: its y is our z."""


def document(content: bytes) -> dict:
    length, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    return json.loads(content[20 : 20 + length])


def without_frames(motion: Motion) -> Motion:
    return Motion(motion.skeleton, motion.root_translation[:0], motion.local_rotations[:0], motion.fps)


def test_khronos_validator_finds_no_error(tmp_path):
    walk, other = marching_person(40), marching_person(25, 30.0, "other")
    takes = {
        "one": ([walk], []),
        "skin": ([walk], [boxed_body(walk.skeleton)]),
        "two": ([walk, other], [None, boxed_body(other.skeleton)]),
        "single": ([marching_person(1)], [boxed_body(walk.skeleton)]),
        "empty": ([without_frames(walk)], []),
        "crooked": ([crooked_motion(3)], []),
    }
    for name, (motions, skins) in takes.items():
        write_gltf(motions, tmp_path / f"{name}.glb", skins=skins)
    write_gltf([walk, other], tmp_path / "clips.glb", GltfConfig(clip_per_person=True, name_prefix="mixamorig:"))
    files = sorted(tmp_path.glob("*.glb"))
    for file, report in zip(files, validated(*files), strict=True):
        assert not faults(report), file.name
        info = report["info"]
        assert info["animationCount"] == {"empty.glb": 0, "clips.glb": 2}.get(file.name, 1), file.name


@pytest.mark.slow
def test_blender_poses_two_people_and_their_bodies_as_we_do(tmp_path):
    people = [marching_person(30, person="ann"), marching_person(30, person="bob", turn_deg=120)]
    skin = boxed_body(people[1].skeleton)
    axes = [quaternions(Rotation.random(22, random_state=1)), None]
    write_gltf(people, tmp_path / "two.glb", skins=[None, skin], axes=axes)
    found = scene_of(tmp_path / "two.glb", "--meshes", fps=59.94)
    for number, motion in enumerate(people):
        assert found[f"armature_{number}"] == motion.person
        assert np.abs(in_our_order(found, "heads", number, motion) - joint_worlds(motion)[1]).max() < BLENDER_M
        rest = in_our_order(found, "rest", number, motion)
        assert np.abs(rest - rest_positions(motion.skeleton)).max() < BLENDER_M
    # The importer may list vertices in an order of its own; each of ours must lie on one of Blender's and none is left.
    ours, blenders = skinned_vertices(people[1], skin), found["vertices_1"]
    assert blenders.shape == ours.shape
    assert np.abs(blenders - ours).max() < BLENDER_M


@pytest.mark.slow
@pytest.mark.parametrize(("n_frames", "fps"), [(1, 60.0), (10_000, 120.0)])
def test_blender_plays_takes_of_any_length(tmp_path, n_frames, fps):
    motion = marching_person(n_frames, fps)
    write_gltf([motion], tmp_path / "long.glb")
    (report,) = validated(tmp_path / "long.glb")
    assert not faults(report)
    found = scene_of(tmp_path / "long.glb", fps=fps)
    assert len(found["frames"]) == n_frames
    # 10,000 frames walk 75 m from the origin, where float32 steps by 8e-6 m.
    assert np.abs(in_our_order(found, "heads", 0, motion) - joint_worlds(motion)[1]).max() < 1e-4


def test_joints_may_have_axes_of_their_own(tmp_path):
    """Any turn of any joint at rest: the same places, bodies and tips, and the turns are read back."""
    motion = marching_person(20)
    body = boxed_body(motion.skeleton)
    turned = quaternions(Rotation.random(22, random_state=5))
    write_gltf([motion, motion], tmp_path / "a.glb", skins=[body, None], axes=[turned, None])
    (report,) = validated(tmp_path / "a.glb")
    assert not faults(report)
    own, plain = read_gltf_people(tmp_path / "a.glb")
    order = [own.motion.skeleton.index(name) for name in motion.skeleton.joint_names]
    for person, expected in ((own, turned), (plain, np.tile(IN_GLTF, (22, 1)))):
        assert np.abs(joint_worlds(person.motion)[1][:, order] - joint_worlds(motion)[1]).max() < 2e-6
        assert np.abs(np.abs((person.axes[order] * expected).sum(-1)) - 1).max() < 1e-6
        assert np.allclose(person.motion.skeleton.tips[order], motion.skeleton.tips, atol=1e-7, equal_nan=True)
    (skin,) = own.skins
    assert np.abs(skinned_vertices(own.motion, skin) - skinned_vertices(motion, body)).max() < 2e-6
    with pytest.raises(InputError, match="1 sets of axes for 2 motions"):
        write_gltf([motion, motion], tmp_path / "b.glb", axes=[None])
    with pytest.raises(InputError, match="for the 22 joints of 'person'"):
        write_gltf([motion], tmp_path / "b.glb", axes=[turned[:3]])


def test_nodes_stand_in_the_t_pose_facing_plus_z_on_y():
    motion = marching_person(5)
    nodes = document(gltf_bytes([motion], GltfConfig(name_prefix="mixamorig:")))["nodes"]
    places = {node["name"].removeprefix("mixamorig:"): np.array(node.get("translation", [0, 0, 0])) for node in nodes}
    assert places["Hips"] == pytest.approx([0, 0.9775, 0])
    assert places["LeftForeArm"] == pytest.approx([0.3255, 0, 0])
    assert places["LeftToeBase"] == pytest.approx([0, -0.05, 0.13])
    assert not any("rotation" in node for node in nodes)
    assert sum(node["name"].startswith("mixamorig:") for node in nodes) == len(motion.skeleton)
    tips = {node["name"]: node["extras"]["tip_m"] for node in nodes if "extras" in node}
    assert tips["mixamorig:Head"] == pytest.approx([0, 0.17, 0])


def test_the_exact_rate_and_length_lie_in_the_file():
    motion = marching_person(7, 24000 / 1001)
    (clip,) = document(gltf_bytes([motion], GltfConfig(clip="walk")))["animations"]
    assert clip["name"] == "walk"
    assert clip["extras"] == {"fps": 24000 / 1001, "n_frames": 7}


def test_people_of_one_name_get_clips_of_their_own():
    people = [marching_person(3), marching_person(4), marching_person(5, person="person_b")]
    clips = document(gltf_bytes(people, GltfConfig(clip_per_person=True)))["animations"]
    assert [clip["extras"]["n_frames"] for clip in clips] == [3, 4, 5]
    assert len({clip["name"] for clip in clips}) == 3


def test_the_same_motion_gives_the_same_bytes():
    motion = marching_person(4)
    assert gltf_bytes([motion], GltfConfig()) == gltf_bytes([marching_person(4)], GltfConfig())


def test_what_does_not_belong_together_is_refused(tmp_path):
    motion = marching_person(3)
    with pytest.raises(InputError, match="no motion to write"):
        write_gltf([], tmp_path / "a.glb")
    with pytest.raises(InputError, match="2 skins for 1 motions"):
        write_gltf([motion], tmp_path / "a.glb", skins=[None, None])
    foreign = SkinnedMesh("Ghost", CUBE, CUBE_FACES, np.full((8, 4), 22), np.tile([1.0, 0, 0, 0], (8, 1)))
    with pytest.raises(InputError, match="'Ghost' hangs on joint 22, and the skeleton of 'person' has 22"):
        write_gltf([motion], tmp_path / "a.glb", skins=[foreign])
    assert not list(tmp_path.iterdir())


def test_weights_sum_to_one_in_float32_and_name_each_joint_once():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(4), 2000)
    weights[::3, 2:] = 0
    weights /= weights.sum(1, keepdims=True)
    joints = rng.integers(0, 3, (2000, 4))
    merged, shares = float32_weights(joints, weights)
    assert shares.dtype == np.float32
    assert np.abs(shares.sum(axis=1, dtype=np.float64) - 1).max() < 1.2e-7
    for joint in range(3):
        before = (weights * (joints == joint)).sum(1)
        assert np.abs((shares * (merged == joint)).sum(1) - before).max() < 4e-7
    assert (merged[shares == 0] == 0).all()
    used = np.where(shares > 0, merged, -1 - np.arange(4))
    assert all(len(set(row)) == 4 for row in used.tolist())


def test_normals_point_outward_from_a_cube_and_up_where_there_is_no_face():
    outward = CUBE / np.linalg.norm(CUBE, axis=-1, keepdims=True)
    normals = vertex_normals(np.vstack([CUBE, [[5.0, 5, 5]]]), CUBE_FACES)
    assert (np.einsum("vi,vi->v", normals[:8], outward) > 0.7).all()
    assert normals[8].tolist() == [0, 1, 0]
