from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the networks of these tests are made with the onnx package")

from onnx import TensorProto
from onnx_worlds import Graph, network_with_outputs, pass_through_network, simcc_network

from mocap.core.errors import FileFormatError
from mocap.models.onnx_model import BYTES_BGR, IMAGENET_BGR, IMAGENET_RGB, Normalisation, OnnxModel

SIZE = (20, 12)
PICTURE = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
RGB_BYTES = Normalisation("rgb", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("normalisation", [RGB_BYTES, BYTES_BGR, IMAGENET_RGB, IMAGENET_BGR])
def test_the_network_is_given_what_it_was_trained_on(tmp_path: Path, planar: bool, normalisation: Normalisation):
    shape = [1, 3, 12, 20] if planar else [1, 12, 20, 3]
    model = OnnxModel(pass_through_network(tmp_path / "m.onnx", shape), default_size=(9, 9))
    assert model.size == SIZE
    given = model.compiled(normalisation, threads=1, precision="f32", name="m").infer([PICTURE])[0]["picture"]
    expected = (PICTURE.astype(np.float64) - normalisation.mean) / normalisation.std
    expected = expected[..., ::-1] if normalisation.channels == "bgr" else expected
    # float32 rounds (255 - 104) / 57 to 2e-7; OpenVINO may multiply by the reciprocal, as much again
    np.testing.assert_allclose(given, expected.transpose(2, 0, 1) if planar else expected, rtol=1e-5, atol=1e-5)


def test_a_network_that_takes_bytes_is_given_bytes(tmp_path: Path):
    g = Graph()
    g.nodes.append(__import__("onnx").helper.make_node("Cast", ["input"], ["picture"], to=TensorProto.FLOAT))
    path = g.save(tmp_path / "m.onnx", [1, 12, 20, 3], {"picture": (TensorProto.FLOAT, [1, 12, 20, 3])})
    import onnx

    model_proto = onnx.load(path)
    model_proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model_proto, path)
    model = OnnxModel(path, default_size=SIZE)
    given = model.compiled(IMAGENET_BGR, threads=1, precision="f32", name="m").infer([PICTURE])[0]["picture"]
    np.testing.assert_array_equal(given, PICTURE[..., ::-1])


def test_several_pictures_come_back_in_their_order(tmp_path: Path):
    model = OnnxModel(pass_through_network(tmp_path / "m.onnx", [1, 3, 12, 20]), default_size=SIZE)
    runnable = model.compiled(RGB_BYTES, threads=2, precision="f32", name="m")
    results = runnable.infer(np.full((12, 20, 3), n, dtype=np.uint8) for n in range(50))
    assert [int(r["picture"][0, 0, 0]) for r in results] == list(range(50))
    assert runnable.infer([]) == []


@pytest.mark.parametrize("shape", [["N", 3, "H", "W"], ["N", "H", "W", 3], ["N", 3, 12, "W"]])
def test_free_axes_take_the_default_or_what_is_asked(tmp_path: Path, shape: list):
    path = pass_through_network(tmp_path / "m.onnx", shape)
    assert OnnxModel(path, default_size=(30, 12)).size == (30, 12)
    assert OnnxModel(path, default_size=(30, 24), input_size=(8, 12)).size == (8, 12)


def test_a_free_batch_axis_becomes_one(tmp_path: Path):
    model = OnnxModel(simcc_network(tmp_path / "m.onnx", size=SIZE, count=4), default_size=SIZE)
    assert [(o.name, o.shape) for o in model.outputs] == [("simcc_x", (4, 40)), ("simcc_y", (4, 24))]


def two_inputs(path: Path) -> Path:
    import onnx

    model = onnx.load(pass_through_network(path, [1, 3, 12, 20]))
    model.graph.input.append(onnx.helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1, 2]))
    model.graph.node.append(onnx.helper.make_node("Identity", ["scale"], ["same"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, 2]))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p, "no such network file"),
        (lambda p: p.write_bytes(b"not a network") and p, "not a network that OpenVINO can read"),
        (lambda p: pass_through_network(p, [1, 4, 12, 20]), r"expects \(1, 4, 12, 20\), not one picture"),
        (lambda p: pass_through_network(p, [1, 300]), r"expects \(1, 300\), not one picture"),
        (two_inputs, r"expects \(1, 3, 12, 20\), \(1, 2\), not one picture"),
        (lambda p: pass_through_network(p, [1, 3, 12, 5000]), "pictures of 5000x12 are out of bounds"),
    ],
)
def test_files_that_cannot_be_used_are_told(tmp_path: Path, make, message: str):
    path = make(tmp_path / "m.onnx")
    with pytest.raises(FileFormatError, match=rf"m\.onnx: {message}"):
        OnnxModel(path, default_size=SIZE)


def test_another_size_than_the_files_is_refused(tmp_path: Path):
    path = pass_through_network(tmp_path / "m.onnx", [1, 3, 12, 20])
    with pytest.raises(FileFormatError, match=r"takes pictures of 20x12, not of 12x20 \(width x height\)"):
        OnnxModel(path, default_size=SIZE, input_size=(12, 20))


def test_a_network_for_a_fixed_larger_batch_is_refused(tmp_path: Path):
    g = Graph()
    g.op("Reshape", "input", g.i64(4, 720), to="flat")
    path = g.save(tmp_path / "m.onnx", [4, 3, 12, 20], {"flat": (TensorProto.FLOAT, [4, 720])})
    with pytest.raises(FileFormatError, match=r"one picture of 20x12 .*free batch axis or for batches of one"):
        OnnxModel(path, default_size=SIZE)


def test_the_identity_names_file_and_runtime(tmp_path: Path):
    path = network_with_outputs(tmp_path / "m.onnx", {"a": [1, 2]})
    identity = OnnxModel(path, default_size=SIZE).compiled(RGB_BYTES, threads=1, precision="f32", name="pose").identity
    assert identity.name == "pose"
    assert len(identity.sha256) == 64
    assert "openvino" in identity.runtime
    assert "f32" in identity.runtime
