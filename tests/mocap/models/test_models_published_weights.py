from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from published_worlds import published_shapes, shapes_of

from mocap.core.errors import FileFormatError
from mocap.models.pose_resnet import PoseResNet, PoseResNetConfig
from mocap.models.published_weights import (
    backbone_config,
    load_published,
    load_published_backbone,
    load_strict,
    read_state,
)
from mocap.models.triangulation_nets import AlgebraicNet, AlgebraicNetConfig, VolumetricNet, VolumetricNetConfig
from mocap.models.v2v import V2VConfig

SMALL = PoseResNetConfig(depth=18, joints=4, alg_confidences=4)


def prefixed(state, prefix):
    return {prefix + key: tensor for key, tensor in state.items()}


@pytest.fixture(scope="module")
def small() -> PoseResNet:
    torch.manual_seed(3)
    return PoseResNet(SMALL).eval()


@pytest.mark.parametrize(("prefix", "wrapped"), [("", False), ("module.", True), ("module.backbone.", False)])
def test_backbone_loads_whatever_wraps_it(tmp_path, small, prefix, wrapped):
    content = prefixed(small.state_dict(), prefix)
    torch.save({"epoch": 3, "state_dict": content} if wrapped else content, tmp_path / "weights.pth")
    loaded = load_published_backbone(tmp_path / "weights.pth")
    assert loaded.config == SMALL
    assert not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in small.state_dict().items())


def test_backbone_of_the_old_file_format_loads(tmp_path, small):
    torch.save(small.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert load_published_backbone(tmp_path / "old.pth").config == SMALL


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_the_size_is_read_off_the_keys(depth):
    config = PoseResNetConfig(depth=depth, joints=7, vol_confidences=32)
    with torch.device("meta"):
        state = PoseResNet(config).state_dict()
    assert backbone_config(prefixed(state, "backbone."), "file") == config


def test_backbones_have_the_published_keys_and_shapes():
    algebraic, volumetric, more = published_shapes()
    for published, config in [
        (algebraic, PoseResNetConfig(alg_confidences=17)),
        (volumetric, PoseResNetConfig()),
        (volumetric | more, PoseResNetConfig(vol_confidences=32)),
    ]:
        with torch.device("meta"):
            ours = shapes_of(PoseResNet(config))
        assert prefixed(ours, "backbone.") == {k: v for k, v in published.items() if k.startswith("backbone.")}


def test_whole_networks_load_as_what_they_are(tmp_path):
    v2v = V2VConfig(channels_in=6, joints=4, width=8, depth=3, front_kernel=5)
    backbone = PoseResNetConfig(18, 4)
    with_heads = PoseResNetConfig(18, 4, vol_confidences=6)
    networks = {
        "algebraic": (AlgebraicNet(AlgebraicNetConfig(SMALL)), None),
        "sum": (VolumetricNet(VolumetricNetConfig(backbone, v2v, aggregation="sum")), "sum"),
        "conf_norm": (VolumetricNet(VolumetricNetConfig(with_heads, v2v, aggregation="conf_norm")), None),
    }
    for name, (network, aggregation) in networks.items():
        torch.save(prefixed(network.state_dict(), "module."), tmp_path / name)
        loaded = load_published(tmp_path / name, aggregation=aggregation)
        assert type(loaded) is type(network)
        assert loaded.config == network.config
        assert not loaded.training
        assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in network.state_dict().items())


def test_a_volumetric_file_without_its_head_is_refused(tmp_path, small):
    state = prefixed(small.state_dict(), "backbone.") | {"volume_net.output_layer.weight": torch.zeros(4, 8, 1, 1, 1)}
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(FileFormatError, match="holds no V2V under 'volume_net.'"):
        load_published(tmp_path / "weights.pth")


def test_a_mismatch_names_the_keys(small):
    state = dict(small.state_dict())
    del state["conv1.weight"]
    state["final_layer.bias"] = torch.zeros(9)
    state.update({f"extra{i}": torch.zeros(1) for i in range(7)})
    expected = (
        "weights.pth: does not fit the network. 1 missing: conv1.weight. "
        "7 surplus: extra0; extra1; extra2; extra3; extra4; and 2 more. "
        "1 of another shape: final_layer.bias (9,), expected (4,)."
    )
    before = small.final_layer.bias.clone()
    with pytest.raises(FileFormatError, match=re.escape(expected)):
        load_strict(small, state, "weights.pth")
    assert torch.equal(small.final_layer.bias, before)


class Harmful:
    """Unpickling this would leave a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"state_dict": Harmful(tmp_path / "ran")}, tmp_path / "weights.pth")
    with pytest.raises(FileFormatError, match="reading them could run code"):
        read_state(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "holds Tensor, expected tensors by name"),
        ({}, "holds dict, expected tensors by name"),
        ({"a": torch.zeros(1), "epoch": 3}, "1 not a tensor: epoch."),
        ({"a": torch.zeros(1), "module.a": torch.zeros(1)}, "the same keys with and without 'module.'"),
    ],
)
def test_other_content_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(FileFormatError, match=message):
        read_state(tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 broken"])
def test_broken_files_are_refused(tmp_path, content):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"weights.pth: cannot be read as a checkpoint of tensors"):
        read_state(tmp_path / "weights.pth")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_state(tmp_path / "weights.pth")


def test_another_network_is_refused(tmp_path):
    torch.save({"layer1.0.conv1.weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(FileFormatError, match=r"holds no PoseResNet under '' \(blocks a layer: \(1, 0, 0, 0\)"):
        load_published_backbone(tmp_path / "weights.pth")
