"""FBX 6.x: a real file against its twin of 7.4, and made ones against ufbx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fbx_readers import rest_of, seen_by_ufbx
from mocap.core.errors import FileFormatError
from mocap.io.fbx_ascii import decode_ascii
from mocap.io.fbx_binary import encode_binary
from mocap.io.fbx_node import FbxNode
from mocap.io.fbx_people import read_fbx_people
from mocap.io.fbx_read import frame_times, read_fbx, world_transforms

SECOND = 46_186_158_000
HEAD = """; FBX 6.1.0 project file
FBXHeaderExtension:  {
    FBXHeaderVersion: 1003
    FBXVersion: 6100
}
Objects:  {
"""
BONE = """    Model: "Model::%s", "LimbNode" {
        Version: 232
        Properties60:  {
            Property: "RotationOrder", "enum", "",%d
            Property: "PreRotation", "Vector3D", "",%s
            Property: "RotationActive", "bool", "",1
            Property: "Lcl Translation", "Lcl Translation", "A+",%s
            Property: "Lcl Rotation", "Lcl Rotation", "A+",%s
            Property: "Lcl Scaling", "Lcl Scaling", "A+",1,1,1
        }
        TypeFlags: "Skeleton"
    }
"""
MESH = """    Model: "Model::body", "Mesh" {
        Version: 232
        Properties60:  {
        }
        Vertices: 0,0,0,10,0,0,10,100,0,
0,100,0
        PolygonVertexIndex: 0,1,2,-4
        GeometryVersion: 124
    }
    Deformer: "Deformer::Skin body", "Skin" {
        Version: 100
    }
    Deformer: "SubDeformer::Cluster Spine", "Cluster" {
        Version: 100
        Indexes: 0,1,2,3
        Weights: 1,1,0.5,0.5
        Transform: 1,0,0,0,0,1,0,0,0,0,1,0,0,-90,0,1
        TransformLink: 1,0,0,0,0,1,0,0,0,0,1,0,0,90,0,1
    }
"""
SETTINGS = """    GlobalSettings:  {
        Version: 1000
        Properties60:  {
            Property: "UpAxis", "int", "",1
            Property: "UpAxisSign", "int", "",1
            Property: "FrontAxis", "int", "",2
            Property: "FrontAxisSign", "int", "",1
            Property: "CoordAxis", "int", "",0
            Property: "CoordAxisSign", "int", "",1
            Property: "UnitScaleFactor", "double", "",1
            Property: "TimeMode", "enum", "",6
        }
    }
}
"""
LINKS = """Connections:  {
    Connect: "OO", "Model::Hips", "Model::Scene"
    Connect: "OO", "Model::Spine", "Model::Hips"
    Connect: "OO", "Model::Head", "Model::Spine"
    Connect: "OO", "Model::body", "Model::Scene"
    Connect: "OO", "Deformer::Skin body", "Model::body"
    Connect: "OO", "SubDeformer::Cluster Spine", "Deformer::Skin body"
    Connect: "OO", "Model::Spine", "SubDeformer::Cluster Spine"
}
"""
CURVES = {
    ("Hips", "T", "X"): "0,0,L,{h},30,L,{s},-10,L",
    ("Hips", "T", "Y"): "0,80,C,s,{h},90,C,n,{s},85,L",
    ("Hips", "R", "Z"): "0,0,U,s,0,0,n,{h},40,U,s,0,60,n,{s},10,U,s,60,0,n",
    ("Spine", "R", "X"): "0,0,U,b,-30,50,a,0.5,0.2,{h},20,U,s,10,-10,r,0.6,{s},0,U,s,0,0,n",
    ("Head", "R", "Y"): "0,5,U,b,0,20,l,0.7,{s},25,U,s,0,0,n",
}
RESTING = {
    ("Hips", "T"): (0, 80, 0),
    ("Hips", "R"): (0, 0, 0),
    ("Spine", "R"): (5, 3, 0),
    ("Head", "R"): (0, 0, 15),
}
"""What axes without keys stand at in the take, as programs write it down."""


def keys_of(text: str) -> str:
    return text.format(h=SECOND // 2, s=SECOND)


def takes() -> str:
    lines = ["Takes:  {", '    Current: "walk"', '    Take: "walk" {', f"        LocalTime: 0,{SECOND}"]
    for model in dict.fromkeys(name for name, _, _ in CURVES):
        lines += [
            f'        Model: "Model::{model}" {{',
            "            Version: 1.1",
            '            Channel: "Transform" {',
        ]
        for part in ("T", "R"):
            axes = {axis: keys for (name, kind, axis), keys in CURVES.items() if (name, kind) == (model, part)}
            if not axes:
                continue
            lines.append(f'                Channel: "{part}" {{')
            for axis, default in zip("XYZ", RESTING[model, part], strict=True):
                lines += [f'                    Channel: "{axis}" {{', f"                        Default: {default}"]
                if axis in axes:
                    count = sum(letter in "LUC" for letter in axes[axis])
                    lines += ["                        KeyVer: 4005", f"                        KeyCount: {count}"]
                    lines.append(f"                        Key: {keys_of(axes[axis])}")
                lines.append("                    }")
            lines.append("                }")
        lines += ["            }", "        }"]
    return "\n".join([*lines, "    }", "}", ""])


def text_file(with_mesh: bool = True) -> str:
    bones = BONE % ("Hips", 0, "0,0,0", "0,80,0", "0,0,0")
    bones += BONE % ("Spine", 2, "10,20,30", "0,10,1", "5,0,0")
    bones += BONE % ("Head", 0, "0,0,0", "0,40,0", "0,0,15")
    return HEAD + bones + (MESH if with_mesh else "") + SETTINGS + LINKS + takes()


def test_the_real_file_is_its_twin(shared_data: Path):
    folder = shared_data / "motion" / "ufbx" / "data"
    (old,) = read_fbx_people(folder / "maya_human_ik_6100_binary.fbx")
    (new,) = read_fbx_people(folder / "maya_human_ik_7400_binary.fbx")
    assert old.motion.skeleton.joint_names == new.motion.skeleton.joint_names
    assert (old.motion.fps, old.motion.person) == (new.motion.fps, new.motion.person)
    np.testing.assert_allclose(rest_of(old.motion), rest_of(new.motion), atol=1e-6)
    np.testing.assert_allclose(np.abs((old.axes * new.axes).sum(axis=-1)), 1.0, atol=1e-6)


def test_ufbx_sees_the_same_movement(tmp_path: Path):
    path = tmp_path / "made.fbx"
    path.write_text(text_file())
    scene = read_fbx(path)
    assert (scene.version, scene.fps, [stack.name for stack in scene.stacks]) == (6100, 30.0, ["walk"])
    seen = seen_by_ufbx(path)
    ours = world_transforms(scene, scene.stacks[0], frame_times(scene, scene.stacks[0]))
    assert len(ours) == len(seen["world_0"]) == 31
    for index, model in enumerate(scene.models):
        theirs = seen["world_0"][:, seen["names"].tolist().index(model.name)]
        np.testing.assert_allclose(
            ours[:, index], theirs, atol=2e-3, err_msg=model.name
        )  # cm: ufbx ends curves at 1e-4 s


def test_a_skin_is_bound_as_it_says(tmp_path: Path):
    path = tmp_path / "made.fbx"
    path.write_text(text_file())
    (person,) = read_fbx_people(path, max_stretch_m=1.0)
    (skin,) = person.skins
    np.testing.assert_allclose(skin.vertices[2], [0.1, 0.0, 1.0], atol=1e-9)
    spine = person.motion.skeleton.joint_names.index("Spine")
    assert skin.faces.shape == (2, 3)
    np.testing.assert_array_equal(skin.joints[np.arange(4), skin.weights.argmax(axis=1)], spine)


def binary_of(text: str) -> bytes:
    """The same file as 6.1 wrote it: letters of keys are bytes of the type of truth values."""
    root = decode_ascii(text.encode(), "made")
    letters: list[str] = []

    def mark(node: FbxNode) -> None:
        for child in node.children:
            if child.name == "Key":
                letters.extend(value for value in child.properties if isinstance(value, str))
                child.properties = [np.bool_(True) if isinstance(v, str) else v for v in child.properties]
            mark(child)

    mark(root)
    data = bytearray(encode_binary(root))
    at = 0
    for keys in [keys_of(text) for text in CURVES.values()]:
        at = data.index(b"\x03Key", at) + 4
        for _ in range(sum(not part.lstrip("-")[0].isdigit() for part in keys.split(","))):
            at = data.index(b"C\x01", at)
            data[at + 1] = ord(letters.pop(0))
            at += 2
    assert not letters
    return bytes(data)


def test_binary_and_text_are_one(tmp_path: Path):
    (tmp_path / "text.fbx").write_text(text_file())
    (tmp_path / "binary.fbx").write_bytes(binary_of(text_file()))
    text, binary = read_fbx(tmp_path / "text.fbx"), read_fbx(tmp_path / "binary.fbx")
    times = frame_times(text, text.stacks[0])
    worlds = [world_transforms(scene, scene.stacks[0], times) for scene in (text, binary)]
    np.testing.assert_allclose(worlds[0], worlds[1], atol=1e-9)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ("0,1,Q,2,3,L", "keys of kind 'Q' are not known"),
        ("0,1,U,s,0", "the keys end early"),
        ("0,1,U,s,0,0,x", "weights of kind 'x' are not known"),
        ("0,L,L", "'L' stands where a number should"),
    ],
)
def test_broken_keys_are_told(tmp_path: Path, keys: str, what: str):
    path = tmp_path / "broken.fbx"
    path.write_text(text_file().replace(keys_of(CURVES["Hips", "T", "X"]), keys))
    with pytest.raises(FileFormatError, match=f"has a take that cannot be read: {what}"):
        read_fbx(path)


def test_without_a_time_mode_the_older_frame_rate_counts(tmp_path: Path):
    older = 'Version5:  {\n    Settings:  {\n        FrameRate: "25"\n    }\n}\n'
    mode = '            Property: "TimeMode", "enum", "",6\n'
    (tmp_path / "a.fbx").write_text(text_file().replace(mode, "") + older)
    assert read_fbx(tmp_path / "a.fbx").fps == 25.0
