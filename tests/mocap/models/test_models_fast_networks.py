from __future__ import annotations

import pytest
import torch
from test_models_triangulation_nets import ring, small_algebraic, small_volumetric

from mocap.models.fast_networks import accelerated
from mocap.models.pose_resnet import PoseResNet

SIZE = (160, 128)


@pytest.mark.slow
@pytest.mark.parametrize("views", [2, 3])
def test_the_algebraic_network_says_the_same(views):
    """A heatmap's softmax of 100 times scores that differ by 1e-6 of them: 1e-4 px, and 1e-4 px at 4 m over 170 px."""
    network = small_algebraic()
    pictures = torch.randn(2, views, 3, 128, 160, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(pictures, ring(views).expand(2, -1, -1, -1))
        found = accelerated(network, size=SIZE)(pictures, ring(views).expand(2, -1, -1, -1))
    torch.testing.assert_close(found.xyz, expected.xyz, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.confidence, expected.confidence, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_volumetric_network_says_the_same_for_any_number_of_views():
    network = small_volumetric("conf_norm")
    fast = accelerated(network, size=SIZE)
    for views in (3, 2):
        pictures = torch.randn(views, 3, 128, 160, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network(pictures, ring(views), torch.tensor([0.2, -0.1, 1.0]))
            found = fast(pictures, ring(views), torch.tensor([0.2, -0.1, 1.0]))
        torch.testing.assert_close(found.xyz, expected.xyz, atol=1e-5, rtol=0)
        torch.testing.assert_close(found.features, expected.features, atol=1e-4, rtol=1e-4)
    assert type(network.backbone) is PoseResNet
