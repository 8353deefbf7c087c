"""Small networks through every format, computed there by OpenVINO and compared here once more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from safetensors.torch import save_file

from mocap.core.errors import FileFormatError, InputError
from mocap.models import convert as module
from mocap.models.convert import ConvertConfig, convert, run_openvino
from mocap.models.convert_parts import computed, parts_of
from mocap.models.convert_sources import read_source, stated, write_safetensors
from mocap.models.heatmap_volumes import HeatmapVolumeConfig, HeatmapVolumeNet
from mocap.models.mobile_pose import MobilePose, MobilePoseConfig
from mocap.models.pose_resnet import PoseResNet, PoseResNetConfig
from mocap.models.shipped import is_shipped, shipped_names, write_shipped
from mocap.models.triangulation_nets import AlgebraicNet, AlgebraicNetConfig, VolumetricNet, VolumetricNetConfig
from mocap.models.v2v import V2V, V2VConfig
from mocap.models.view_confidences import ViewConfidenceConfig, ViewConfidenceNet
from mocap.training.checkpoints import save_weights

V2V_SMALL = V2VConfig(channels_in=6, joints=4, width=4, depth=2, front_kernel=3)
SIZE = (160, 128)
WEIGHTS = Path(module.__file__).resolve().parents[1] / "weights"


def volumetric() -> VolumetricNet:
    config = VolumetricNetConfig(PoseResNetConfig(18, 4, vol_confidences=6), V2V_SMALL, aggregation="conf", size=8)
    return VolumetricNet(config)


NETWORKS = {
    "algebraic": lambda: AlgebraicNet(AlgebraicNetConfig(PoseResNetConfig(18, 4, alg_confidences=4))),
    "volumetric": volumetric,
    "pose_resnet": lambda: PoseResNet(PoseResNetConfig(18, 4)),
    "mobile_pose": lambda: MobilePose(MobilePoseConfig(4, 0.35, features=16, confidences=4)),
    "v2v": lambda: V2V(V2V_SMALL),
}


def made(name: str) -> torch.nn.Module:
    """With normalisations that are not the identity."""
    torch.manual_seed(4)
    network = NETWORKS[name]()
    for module_ in network.modules():
        if isinstance(module_, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)):
            torch.nn.init.uniform_(module_.weight, 0.5, 1.5)
            torch.nn.init.normal_(module_.running_mean, std=0.2)
            torch.nn.init.uniform_(module_.running_var, 0.5, 1.5)
    return network.eval()


@pytest.fixture
def checkpoint(tmp_path, request):
    """A file of a network: as published where its keys say what it is, else safetensors."""
    network = made(request.param)
    if request.param in ("algebraic", "pose_resnet"):
        path = tmp_path / "net.pth"
        torch.save({"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, path)
    else:
        path = tmp_path / "net.safetensors"
        write_safetensors(network, path)
    return path, network


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS if name != "v2v"]


@pytest.mark.parametrize("checkpoint", ["v2v", *SLOW], indirect=True)
def test_every_file_computes_what_torch_does(checkpoint, tmp_path):
    path, network = checkpoint
    config = ConvertConfig(size=SIZE, views=2, shapes="free")
    out = tmp_path / "out"
    written = convert(path, out, ["safetensors", "onnx", "openvino"], config)
    parts = {part.name: part for part in parts_of(network, size=SIZE, views=2)}
    assert [w.target for w in written] == ["safetensors"] + ["onnx"] * len(parts) + ["openvino"] * len(parts)
    assert written[0].differences == {"tensors": 0.0}
    again = read_source(written[0].path).network
    assert again.config == network.config
    for file in written[1:]:
        part = parts[file.part]
        given = torch.randn((1, *part.example.shape[1:]))
        for (name, expected), found in zip(computed(part, given).items(), run_openvino(file.path, given), strict=True):
            assert (found - expected).abs().max() <= module.TOLERANCE * expected.abs().max(), name
        ports = ov.Core().read_model(file.path)
        assert ports.inputs[0].get_any_name() == part.input
        assert tuple(port.get_any_name() for port in ports.outputs) == part.outputs
    assert not list(out.glob(".convert*"))


@pytest.mark.parametrize(
    ("target", "shapes", "expected"),
    [
        ("onnx", "fixed", [1, 6, 16, 16, 16]),
        ("onnx", "batch", [-1, 6, 16, 16, 16]),
        ("onnx", "free", [-1, 6, -1, -1, -1]),
        pytest.param("openvino", "fixed", [1, 6, 16, 16, 16], marks=pytest.mark.slow),
        pytest.param("openvino", "batch", [-1, 6, 16, 16, 16], marks=pytest.mark.slow),
        ("openvino", "free", [-1, 6, -1, -1, -1]),
    ],
)
@pytest.mark.parametrize("checkpoint", ["v2v"], indirect=True)
def test_shapes_are_as_free_as_was_asked(checkpoint, tmp_path, shapes, expected, target):
    (written,) = convert(checkpoint[0], tmp_path, [target], ConvertConfig(shapes=shapes))
    shape = ov.Core().read_model(written.path).inputs[0].partial_shape
    assert [d.get_length() if d.is_static else -1 for d in shape] == expected


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["mobile_pose"], indirect=True)
def test_half_is_half_the_size_and_says_what_it_costs(checkpoint, tmp_path):
    files = {}
    for half in (False, True):
        config = ConvertConfig(size=SIZE, views=1, shapes="fixed", half=half)
        (written,) = convert(checkpoint[0], tmp_path / str(half), ["openvino"], config)
        files[half] = written
    sizes = {half: written.path.with_suffix(".bin").stat().st_size for half, written in files.items()}
    assert sizes[True] < 0.55 * sizes[False]
    assert files[False].differences["heatmaps"] < files[True].differences["heatmaps"]


@pytest.mark.parametrize("checkpoint", ["v2v"], indirect=True)
def test_a_file_that_computes_something_else_is_not_kept(checkpoint, tmp_path, monkeypatch):
    real = module.openvino_model

    def wrong(part, shapes):
        other = made("v2v")
        with torch.no_grad():
            other.output_layer.bias += 0.1
        return real(replace(part, network=other), shapes)

    monkeypatch.setattr(module, "openvino_model", wrong)
    with pytest.raises(InputError, match=r"scores differs from torch by 0\.1.*was not kept.*to safetensors or onnx"):
        convert(checkpoint[0], tmp_path / "out", ["openvino"], ConvertConfig())
    assert not list((tmp_path / "out").iterdir())


def test_a_backbone_of_a_published_network_is_one(tmp_path):
    state = {f"backbone.{key}": value for key, value in made("pose_resnet").state_dict().items()}
    torch.save(state, tmp_path / "backbone.pth")
    assert read_source(tmp_path / "backbone.pth").kind == "pose_resnet"
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "plain.safetensors")
    assert read_source(tmp_path / "plain.safetensors").kind == "pose_resnet"


def fails(path, match, kind=FileFormatError, **given):
    with pytest.raises(kind, match=match):
        read_source(path, **given)


def test_files_that_are_something_else_are_refused(tmp_path):
    fails(tmp_path / "none.pth", "none.pth: no such file.*Give a checkpoint", InputError)
    (tmp_path / "text.safetensors").write_text("no tensors")
    fails(tmp_path / "text.safetensors", "text.safetensors: not a file of safetensors")
    torch.save({"stem.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    fails(tmp_path / "other.pth", "none of the networks that are known by their keys.*stem.0.weight")
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"network": "other"})
    fails(tmp_path / "a.safetensors", "holds a network 'other'; known are algebraic, volumetric")
    for config in ("", "[]", json.dumps({"depth": 2, "colour": 1}), json.dumps({"depth": 0})):
        save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"network": "v2v", "config": config})
        fails(tmp_path / "a.safetensors", "says what v2v network it is in a way that cannot be read")
    config = json.dumps({"channels_in": 1, "joints": 1, "width": 2, "depth": 1, "front_kernel": 1})
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"network": "v2v", "config": config})
    fails(tmp_path / "a.safetensors", "does not fit the network.*missing: front_layers")


def test_what_is_asked_must_fit(tmp_path):
    path = tmp_path / "v.safetensors"
    write_safetensors(made("volumetric"), path)
    fails(path, "says that it aggregates by conf, not sum. Leave the aggregation out", InputError, aggregation="sum")
    write_safetensors(made("pose_resnet"), tmp_path / "p.safetensors")
    with pytest.raises(InputError, match="cannot convert to tflite; there are safetensors, onnx, openvino"):
        convert(path, tmp_path, ["tflite"], ConvertConfig())
    with pytest.raises(InputError, match="pictures of 100x128 do not fit.*at least 128 that are multiples of 32"):
        convert(path, tmp_path, ["onnx"], ConvertConfig(size=(100, 128)))
    with pytest.raises(InputError, match="views is 0"):
        convert(path, tmp_path, ["onnx"], ConvertConfig(views=0))
    with pytest.raises(InputError, match="written over itself"):
        convert(path, tmp_path, ["safetensors"], ConvertConfig())
    torch.save(made("pose_resnet").state_dict(), tmp_path / "p.pth")
    fails(tmp_path / "p.pth", "holds no volumetric network", InputError, aggregation="sum")


LEARNED = {
    "view_confidences": lambda: ViewConfidenceNet(ViewConfidenceConfig(width=8, body_width=4)),
    "heatmap_volumes": lambda: HeatmapVolumeNet(HeatmapVolumeConfig(width=8, view_width=8, points=(3, 5))),
}


@pytest.mark.parametrize("kind", LEARNED)
def test_networks_of_this_project_are_known_by_the_note_beside_them(tmp_path, kind):
    network = LEARNED[kind]()
    path, note = write_shipped("volumetric_blazepose", network, network.config, folder=tmp_path)
    source = read_source(path)
    assert (source.kind, source.network.config) == (kind, network.config)
    (written,) = convert(path, tmp_path / "out", ["safetensors"], ConvertConfig())
    note.unlink()
    again = read_source(written.path)
    assert (again.kind, again.network.config) == (kind, network.config)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in again.network.state_dict().items())
    fails(path, "none of the networks that are known by their keys")
    note.write_text("no JSON")
    fails(path, "none of the networks that are known by their keys")
    with pytest.raises(InputError, match=r"attention between steps of geometry.*--to safetensors"):
        convert(written.path, tmp_path / "more", ["safetensors", "onnx"], ConvertConfig())
    assert not (tmp_path / "more").exists()


def test_weights_that_ship_are_known():
    names = [name for name in shipped_names() if is_shipped(name)]
    assert {read_source(WEIGHTS / f"{name}.safetensors").kind for name in names} == set(LEARNED)


def test_weights_of_a_run_say_what_they_are(tmp_path):
    network = made("mobile_pose")
    save_weights(tmp_path / "weights.safetensors", network, {**stated(network), "step": "7"})
    source = read_source(tmp_path / "weights.safetensors")
    assert (source.kind, source.network.config) == ("mobile_pose", network.config)


def test_safetensors_hold_the_published_keys(tmp_path):
    network = made("volumetric")
    write_safetensors(network, tmp_path / "v.safetensors")
    again = read_source(tmp_path / "v.safetensors").network.state_dict()
    assert sorted(again) == sorted(network.state_dict())
    assert all(np.array_equal(again[key], value) for key, value in network.state_dict().items())
