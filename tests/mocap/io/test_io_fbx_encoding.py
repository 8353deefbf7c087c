"""The binary encoding of FBX alone: real files come out as they went in, damaged ones are refused with a sentence."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.io.fbx_binary import MAGIC, decode_binary, encode_binary
from mocap.io.fbx_node import FbxNode

REAL = [
    "assimp/test/models/FBX/huesitos.fbx",
    "ufbx/data/blender_293_half_skinned_7400_binary.fbx",
    "ufbx/data/maya_transformed_skin_7700_binary.fbx",
]


def same(a: FbxNode, b: FbxNode) -> None:
    assert (a.name, len(a.properties), len(a.children)) == (b.name, len(b.properties), len(b.children))
    for x, y in zip(a.properties, b.properties, strict=True):
        assert type(x) is type(y)
        assert np.array_equal(x, y)
    for x, y in zip(a.children, b.children, strict=True):
        same(x, y)


def every_type(version: int) -> FbxNode:
    root = FbxNode("", version=version)
    scalars = [np.bool_(True), np.int16(-3), 70_000, np.int64(2**40), np.float32(0.1), 0.1, "Zoë", b"\0\1\xff"]
    root.add("Scalars", *scalars)
    arrays = root.add("Arrays", np.arange(5, dtype=np.int32), np.arange(4000, dtype=np.int64))
    arrays.add("Deeper", np.linspace(0, 1, 900, dtype=np.float32), np.linspace(0, 1, 7), np.array([True, False]))
    root.add("Empty")
    root.add("AnimationLayer", np.int64(1), "Base\0\1AnimLayer", "")
    return root


@pytest.mark.parametrize("version", [7400, 7500])
def test_every_type_comes_back(version):
    root = every_type(version)
    data = encode_binary(root)
    again = decode_binary(data, "x")
    same(again, root)
    assert again.version == version
    assert data[:23] == MAGIC
    assert struct.unpack_from("<I", data, len(data) - 140)[0] == version


@pytest.mark.parametrize("name", REAL)
def test_files_of_other_programs_come_back(shared_data, name):
    data = (shared_data / "motion" / name).read_bytes()
    root = decode_binary(data, name)
    again = encode_binary(root)
    same(decode_binary(again, name), root)
    assert again[:200] == data[:200]


def test_damage_is_told():
    data = encode_binary(every_type(7400))
    for length in [0, 20, 27, 40, 100, 300, len(data) // 2]:
        with pytest.raises(FileFormatError, match=r"is not a binary FBX|cut short"):
            decode_binary(data[:length], "x")
    rng = np.random.default_rng(0)
    for _ in range(300):  # whatever is overwritten, there is a tree or a sentence, never another error
        broken = bytearray(data)
        broken[rng.integers(23, len(data))] ^= int(rng.integers(1, 256))
        with suppress(FileFormatError):
            decode_binary(bytes(broken), "x")
    with pytest.raises(FileFormatError, match="is FBX of version 9000"):
        decode_binary(data[:23] + struct.pack("<I", 9000) + data[27:], "x")


def test_a_bomb_does_not_unpack():
    """A megabyte of zlib that stands for a gigabyte, in an array that says it has ten numbers."""
    bomb = zlib.compress(bytes(2**26), 9)
    root = FbxNode("", version=7400)
    root.add("Vertices", np.zeros(100))
    data = encode_binary(root)
    at = data.index(b"Vertices") + 8
    body = b"d" + struct.pack("<3I", 10, 1, len(bomb)) + bomb
    start = 27
    header = struct.pack("<3I", start + 13 + 8 + len(body), 1, len(body))
    with pytest.raises(FileFormatError, match="an array of 10 numbers has 81 bytes"):
        decode_binary(data[:start] + header + data[start + 12 : at] + body + bytes(13), "x")


def test_too_deep():
    root = FbxNode("", version=7400)
    node = root
    for _ in range(70):
        node = node.add("In")
    with pytest.raises(FileFormatError, match="nest deeper than 64"):
        decode_binary(encode_binary(root), "x")
