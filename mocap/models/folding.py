"""Networks for inference: batch normalisation folded into the convolution before it, 2D weights channels-last.

The same function up to rounding, and what other runtimes are given. In torch itself it gains little, as
`tools/benchmark.py triangulation folding` measures (least of six of each in turn, one thread of a busy machine):
PoseResNet-152 on a picture of 384×384 1.13 s as it is, 1.09 s folded, 1.08 s folded and channels-last; V2V at 64³
4.58 s, 4.27 s folded, which is left in its layout.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMALISATIONS = (nn.BatchNorm2d, nn.BatchNorm3d)

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """A copy in evaluation mode without batch normalisation; its keys are no longer those of the checkpoint.

    A normalisation belongs to the convolution registered just before it beside it, as in all networks here.
    """
    copied = copy.deepcopy(network).eval()
    for parent in copied.modules():
        _fold_children(parent)
    for parameter in copied.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return copied


def _fold_children(parent: nn.Module) -> None:
    children = list(parent.named_children())
    for (name, conv), (norm_name, norm) in pairwise(children):
        if isinstance(norm, NORMALISATIONS) and isinstance(conv, CONVOLUTIONS):
            setattr(parent, name, fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, TRANSPOSED)))
            setattr(parent, norm_name, nn.Identity())
