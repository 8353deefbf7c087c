"""Triangulation networks whose convolutions OpenVINO computes: the same call, for inference on a CPU.

float32 gives torch's numbers up to the order of sums. bfloat16 takes half of float32's time where the processor has it,
and rounds every activation to 8 bits of mantissa: heatmaps and volumes change by a percent of their spread. Computing
seconds of the published sizes by `tools/benchmark.py triangulation networks volume --threads 1` (AVX-512 with bfloat16,
a busy machine): four pictures of 384×384 through the algebraic network as published 4.94, torch 4.96, float32 3.21,
bfloat16 1.60; lifting and V2V at 64³ as published 4.70, float32 3.25, bfloat16 1.61.
"""

from __future__ import annotations

import copy
from typing import Literal, TypeVar

import openvino as ov
import torch
from torch import Tensor, nn

from mocap.models.convert import openvino_model
from mocap.models.convert_parts import Part, parts_of
from mocap.models.openvino_runtime import available_cores, cpu_core
from mocap.models.pose_resnet import PoseMaps
from mocap.models.triangulation_nets import AlgebraicNet, VolumetricNet

Precision = Literal["f32", "bf16"]
Network = TypeVar("Network", AlgebraicNet, VolumetricNet)


def accelerated(
    network: Network, *, size: tuple[int, int] = (384, 384), precision: Precision = "f32", threads: int = 0
) -> Network:
    """A network that shares nothing with the given one that could change, its parts compiled.

    size: (width, height) of the pictures. threads: 0 for all cores that the process may use. No gradients.
    """
    parts = [CompiledPart(part, precision, threads) for part in parts_of(network, size=size, views=1)]
    fast = copy.copy(network)
    fast._modules = dict(network._modules)
    fast._modules["backbone"] = _Pictures(parts[0], lifted=isinstance(network, VolumetricNet))
    if isinstance(network, VolumetricNet):
        fast._modules["process_features"] = nn.Identity()  # of the pictures' part
        fast._modules["volume_net"] = _Volume(parts[1])
    return fast.eval()


class CompiledPart(nn.Module):
    """One part (`convert_parts`) on the CPU; compiled anew where the number of inputs changes."""

    def __init__(self, part: Part, precision: Precision = "f32", threads: int = 0) -> None:
        super().__init__()
        self.part_outputs = part.outputs
        self._graph = openvino_model(part, "free")
        self._settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "EXECUTION_MODE_HINT": "ACCURACY" if precision == "f32" else "PERFORMANCE",
            "INFERENCE_NUM_THREADS": threads if threads > 0 else available_cores(),
            "NUM_STREAMS": "1",
        }
        self._compiled: tuple[torch.Size, ov.CompiledModel] | None = None

    def forward(self, given: Tensor) -> dict[str, Tensor]:
        """Outputs by name."""
        if self._compiled is None or self._compiled[0] != given.shape:
            self._compiled = None  # before the next one is made, whose memory is that of a network
            self._graph.reshape(list(given.shape))
            self._compiled = given.shape, cpu_core().compile_model(self._graph, "CPU", self._settings)
        found = self._compiled[1](given.detach().float().contiguous().numpy(), share_inputs=True)
        return {name: torch.from_numpy(found[index].copy()) for index, name in enumerate(self.part_outputs)}


class _Pictures(nn.Module):
    """In place of a PoseResNet. Where features are lifted, heatmaps are not computed and have no joints."""

    def __init__(self, part: CompiledPart, lifted: bool) -> None:
        super().__init__()
        self.part, self.lifted = part, lifted

    def forward(self, pictures: Tensor) -> PoseMaps:
        maps = self.part(pictures)
        name = "features" if self.lifted else "heatmaps"
        nothing = maps[name][:, :0]
        return PoseMaps(
            heatmaps=nothing if self.lifted else maps[name],
            features=maps[name] if self.lifted else nothing,
            alg_confidences=maps.get("alg_confidences"),
            vol_confidences=maps.get("vol_confidences"),
        )


class _Volume(nn.Module):
    """In place of a V2V."""

    def __init__(self, part: CompiledPart) -> None:
        super().__init__()
        self.part = part

    def forward(self, volumes: Tensor) -> Tensor:
        return self.part(volumes)["scores"]
