from __future__ import annotations

import pytest
import torch
from torch import nn

from mocap.models.folding import folded
from mocap.models.mobile_pose import MobilePose, MobilePoseConfig
from mocap.models.pose_resnet import PoseResNet, PoseResNetConfig
from mocap.models.v2v import V2V, V2VConfig

NETWORKS = {
    "pose_resnet_18": (lambda: PoseResNet(PoseResNetConfig(18, 3, alg_confidences=3)), (2, 3, 128, 160)),
    "pose_resnet_50": (lambda: PoseResNet(PoseResNetConfig(50, 3)), (1, 3, 64, 96)),
    "mobile_pose": (lambda: MobilePose(MobilePoseConfig(3, 0.35, features=16, confidences=3)), (2, 3, 64, 96)),
    "v2v": (lambda: V2V(V2VConfig(channels_in=3, joints=2, width=4, depth=2)), (2, 3, 8, 12, 16)),
}


def with_statistics(network: nn.Module) -> nn.Module:
    """In double precision, its normalisations having seen data and moved away from the identity."""
    torch.manual_seed(5)
    network = network.double()
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def outputs(network: nn.Module, shape: tuple[int, ...]) -> list[torch.Tensor]:
    torch.manual_seed(6)
    with torch.no_grad():
        result = network(torch.randn(shape, dtype=torch.float64))
    if isinstance(result, torch.Tensor):
        return [result]
    return [value for value in vars(result).values() if value is not None]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_numbers_without_normalisation(name):
    """Float64: 1e-16 of each value through some hundred layers."""
    make, shape = NETWORKS[name]
    network = with_statistics(make())
    before = outputs(network, shape)
    fast = folded(network)
    for a, b in zip(before, outputs(fast, shape), strict=True):
        assert (a - b).abs().max() < 1e-10 * (1 + a.abs().max())
    assert not [m for m in fast.modules() if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d))]


def test_the_original_stays_as_it_was():
    make, _ = NETWORKS["v2v"]
    network = with_statistics(make()).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded(network)
    assert network.training
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in before.items())
