"""What the published implementation of Learnable Triangulation computes, kept beside the checkout.

The reference holds no weights: they follow from the keys by `tensor_of_key`.
"""

from __future__ import annotations

import re
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "reference"
KEYS = REFERENCE / "learnable_triangulation_state_dict.txt"
OUTPUTS = REFERENCE / "learnable_triangulation_outputs.npz"
SECTION_ALGEBRAIC, SECTION_VOLUMETRIC, SECTION_CONFIDENCES = range(3)


def published_shapes() -> list[dict[str, tuple[int, ...]]]:
    """Key -> shape of the algebraic network, the volumetric one, and what the latter has more for confidences."""
    if not KEYS.is_file():
        pytest.skip("the published keys are not here: expected ../shared/reference beside the checkout")
    sections: list[dict[str, tuple[int, ...]]] = []
    for line in KEYS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            sections.append({})
            continue
        key, _, shape = line.partition(" ")
        sections[-1][key] = tuple(int(n) for n in re.findall(r"\d+", shape))
    return sections


@cache
def published_outputs() -> dict[str, np.ndarray]:
    """Inputs and outputs of the published networks."""
    if not OUTPUTS.is_file():
        pytest.skip("the published outputs are not here: expected ../shared/reference beside the checkout")
    with np.load(OUTPUTS) as arrays:
        return dict(arrays)


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


@cache
def tensor_of_key(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The rule that the reference was filled by; the key is that of the whole network."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("running_var"):
        values = 0.5 + rng.random(shape)
    elif key.endswith("running_mean"):
        values = 0.1 * rng.standard_normal(shape)
    elif key.endswith("bias"):
        values = 0.05 * rng.standard_normal(shape)
    elif len(shape) == 1:
        values = 0.3 + 0.4 * rng.random(shape)
    else:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def filled(network: nn.Module, prefix: str = "") -> nn.Module:
    """The network with the reference's weights, in evaluation mode."""
    state = {key: tensor_of_key(prefix + key, shape) for key, shape in shapes_of(network).items()}
    network.load_state_dict(state, strict=True)
    return network.eval()
