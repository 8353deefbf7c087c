import json
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gltf_validation import validated
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.io.gltf import write_gltf
from mocap.io.gltf_animated import write_animated_gltf
from mocap.io.gltf_people import read_gltf_people
from mocap.io.world_joints import joint_worlds
from motion_worlds import marching_person
from skin_worlds import boxed_body


def foreign_character(path: Path, *, embedded: bool = True) -> Motion:
    """Our skeleton as another exporter has it: joints with axes of their own under a node that is turned and scaled by
    0.01, one joint with a matrix, an animation and a body."""
    motion = marching_person(7)
    write_gltf([motion], path, skins=[boxed_body(motion.skeleton)])
    content = path.read_bytes()
    size = struct.unpack_from("<I", content, 12)[0]
    document, binary = json.loads(content[20 : 20 + size]), content[28 + size :]
    n, parents = len(motion.skeleton), motion.skeleton.parents
    rng = np.random.default_rng(5)
    axes = Rotation.random(n, random_state=rng)
    holder = Rotation.from_euler("x", 90, degrees=True)
    world = np.tile(np.eye(4), (n, 1, 1))
    for joint in range(n):
        world[joint, :3, 3] = document["nodes"][joint]["translation"]
        if parents[joint] >= 0:
            world[joint, :3, 3] += world[parents[joint], :3, 3]
    above = np.eye(4)
    above[:3, :3] = 0.01 * holder.as_matrix()
    turned = world.copy()
    turned[:, :3, :3] = 0.01 * axes.as_matrix()
    for joint in range(n):
        local = np.linalg.inv(turned[parents[joint]] if parents[joint] >= 0 else above) @ turned[joint]
        node = document["nodes"][joint]
        node["translation"] = local[:3, 3].tolist()
        node["rotation"] = Rotation.from_matrix(local[:3, :3]).as_quat().tolist()
        if joint == 3:
            del node["translation"], node["rotation"]
            node["matrix"] = local.T.ravel().tolist()
    document["nodes"][n] |= {"rotation": holder.as_quat().tolist(), "scale": [0.01] * 3}
    del document["animations"]
    inverse = np.linalg.inv(turned).swapaxes(-1, -2).astype("<f4").tobytes()
    view = document["bufferViews"][document["accessors"][document["skins"][0]["inverseBindMatrices"]]["bufferView"]]
    binary = bytearray(binary)
    binary[view["byteOffset"] : view["byteOffset"] + len(inverse)] = inverse
    if not embedded:
        path.with_suffix(".bin").write_bytes(binary)
        document["buffers"] = [{"byteLength": len(binary), "uri": path.with_suffix(".bin").name}]
        path.with_suffix(".gltf").write_text(json.dumps(document))
        return motion
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return motion


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_a_foreign_character_plays_the_motion_and_keeps_its_body(tmp_path, suffix):
    """Keys and offsets are single precision, 6e-8 of metres over chains of ten; scaled by 0.01 and back."""
    source = tmp_path / f"hero{suffix}"
    motion = foreign_character(source.with_suffix(".glb"), embedded=suffix == ".glb")
    (own,) = read_gltf_people(source)
    assert own.motion.n_frames == 0
    wanted = Motion(own.motion.skeleton, motion.root_translation, _in_order(motion, own.motion), motion.fps, "hero")
    out = tmp_path / "out" / "hero_march.glb"
    write_animated_gltf(source, wanted, out, nodes=own.nodes, axes=own.axes, clip="march")
    (moved,) = read_gltf_people(out, clip="march")
    assert moved.motion.fps == motion.fps
    np.testing.assert_allclose(joint_worlds(moved.motion)[1], joint_worlds(wanted)[1], atol=2e-5)
    np.testing.assert_allclose(np.abs((joint_worlds(moved.motion)[0] * joint_worlds(wanted)[0]).sum(-1)), 1, atol=1e-6)
    np.testing.assert_allclose(moved.skins[0].vertices, own.skins[0].vertices, atol=2e-5)
    assert validated(out)[0]["issues"]["numErrors"] == 0


def _in_order(motion: Motion, other: Motion) -> np.ndarray:
    return motion.local_rotations[:, [motion.skeleton.index(name) for name in other.skeleton.joint_names]]


def test_animations_that_were_there_stay_behind_ours(tmp_path):
    motion = marching_person(5)
    write_gltf([motion], tmp_path / "a.glb")
    (own,) = read_gltf_people(tmp_path / "a.glb")
    write_animated_gltf(tmp_path / "a.glb", own.motion, tmp_path / "b.glb", nodes=own.nodes, axes=own.axes, clip="new")
    (first,) = read_gltf_people(tmp_path / "b.glb")
    (second,) = read_gltf_people(tmp_path / "b.glb", clip=1)
    np.testing.assert_allclose(first.motion.local_rotations, second.motion.local_rotations, atol=1e-6)
    with pytest.raises(InputError, match="3 nodes and 3 axes for 22"):
        write_animated_gltf(tmp_path / "a.glb", own.motion, tmp_path / "b.glb", nodes=own.nodes[:3], axes=own.axes[:3])
