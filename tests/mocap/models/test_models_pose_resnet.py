from __future__ import annotations

import pytest
import torch

from mocap.models.pose_resnet import ConfidenceHead, PoseResNet, PoseResNetConfig


@pytest.mark.parametrize(("depth", "deepest"), [(18, 512), (34, 512), (50, 2048)])
def test_maps_are_a_quarter_of_the_picture(depth, deepest):
    network = PoseResNet(PoseResNetConfig(depth=depth, joints=5, alg_confidences=5, vol_confidences=7)).eval()
    assert network.deconv_layers[0].in_channels == deepest
    with torch.no_grad():
        maps = network(torch.randn(2, 3, 128, 160))
    assert maps.heatmaps.shape == (2, 5, 32, 40)
    assert maps.features.shape == (2, 256, 32, 40)
    assert maps.alg_confidences is not None
    assert maps.alg_confidences.shape == (2, 5)
    assert maps.vol_confidences is not None
    assert maps.vol_confidences.shape == (2, 7)
    assert ((maps.alg_confidences > 0) & (maps.alg_confidences < 1)).all()


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_encoder_has_the_parameters_of_the_paper(depth, parameters):
    """The well-known sizes of He et al.'s networks, less their classifier of 1000 outputs."""
    with torch.device("meta"):
        network = PoseResNet(PoseResNetConfig(depth=depth))
    parts = [network.conv1, network.bn1, network.layer1, network.layer2, network.layer3, network.layer4]
    classifier = (network.deconv_layers[0].in_channels + 1) * 1000
    assert sum(p.numel() for part in parts for p in part.parameters()) == parameters - classifier


def test_the_stride_of_a_bottleneck_is_on_its_3x3():
    with torch.device("meta"):
        block = PoseResNet(PoseResNetConfig(depth=50)).layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))


def test_without_heads_there_are_no_confidences():
    maps = PoseResNet(PoseResNetConfig(depth=18)).eval()(torch.randn(1, 3, 32, 64))
    assert maps.alg_confidences is None
    assert maps.vol_confidences is None


def test_every_parameter_gets_a_gradient():
    network = PoseResNet(PoseResNetConfig(depth=18, joints=3, alg_confidences=3, vol_confidences=4))
    maps = network(torch.randn(2, 3, 128, 128))
    (maps.heatmaps.square().mean() + maps.alg_confidences.sum() + maps.vol_confidences.sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_confidence_head_is_the_mean_over_space():
    """Features that are the same everywhere pool to the same mean; only the border sees the padding."""
    head = ConfidenceHead(8, 3).eval()
    kernel = torch.zeros(512, 8, 3, 3)
    kernel[:, :, 1, 1] = torch.randn(512, 8)
    second = torch.zeros(256, 512, 3, 3)
    second[:, :, 1, 1] = torch.randn(256, 512) / 512
    with torch.no_grad():
        head.features[0].weight.copy_(kernel)
        head.features[4].weight.copy_(second)
        small = torch.randn(2, 8, 1, 1)
        assert torch.allclose(head(small.expand(2, 8, 4, 4)), head(small.expand(2, 8, 8, 12)), atol=1e-5)


def test_unknown_depth_names_the_known_ones():
    with pytest.raises(ValueError, match=r"depth is 20; PoseResNet comes in depths \[18, 34, 50, 101, 152\]"):
        PoseResNet(PoseResNetConfig(depth=20))


def test_picture_of_another_multiple_is_refused():
    network = PoseResNet(PoseResNetConfig(depth=18)).eval()
    with pytest.raises(ValueError, match="size 100×64: every side must be a multiple of 32"):
        network(torch.zeros(1, 3, 100, 64))
