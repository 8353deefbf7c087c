"""The published networks on frames of several views: pictures and projections in, points of every method out.

ransac: the highest cell of each heatmap, then `triangulate_msac`; algebraic: the algebraic network; volumetric: the
volumetric one in a cube around the pelvis, which is that of the algebraic network unless another is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mocap.core.errors import InputError
from mocap.geometry.algebraic import triangulate_msac
from mocap.geometry.heatmaps import hard_argmax_2d
from mocap.geometry.volumes import Aggregation
from mocap.models.pose_resnet import PoseResNet
from mocap.models.published_weights import load_published, load_published_backbone
from mocap.models.triangulation_nets import AlgebraicNet, VolumetricNet, published_pictures

Method = Literal["ransac", "algebraic", "volumetric"]
METHODS: tuple[Method, ...] = ("ransac", "algebraic", "volumetric")


@dataclass(frozen=True, eq=False)
class PublishedNets:
    """backbone: for RANSAC's heatmaps; without one, they are those of the algebraic network."""

    algebraic: AlgebraicNet | None = None
    volumetric: VolumetricNet | None = None
    backbone: PoseResNet | None = None

    def __post_init__(self) -> None:
        if len(set(self.joints_of.values())) > 1:
            told = ", ".join(f"{name} {count}" for name, count in self.joints_of.items())
            raise InputError(f"the networks do not have the same joints: {told}")

    @property
    def joints_of(self) -> dict[str, int]:
        """Joints of each network that is there."""
        found = {"backbone": self.backbone, "algebraic": self.algebraic, "volumetric": self.volumetric}
        return {name: _backbone_of(net).config.joints for name, net in found.items() if net is not None}

    @property
    def methods(self) -> tuple[Method, ...]:
        """What can be computed, from the plainest on."""
        plain = self.algebraic is not None or self.backbone is not None
        there = {"ransac": plain, "algebraic": self.algebraic is not None, "volumetric": self.volumetric is not None}
        return tuple(method for method in METHODS if there[method])


@dataclass(frozen=True)
class WeightFiles:
    """Published checkpoints; aggregation: which one the volumetric file was trained with, as `load_published`."""

    algebraic: Path | None = None
    volumetric: Path | None = None
    backbone: Path | None = None
    aggregation: Aggregation | None = None


def load_nets(files: WeightFiles, *, device: str = "cpu", size: int | None = None) -> PublishedNets:
    """The networks of checkpoints, ready to run. size: voxels a side of the cube, where not the published 64."""
    _check_device(device)
    nets = {}
    for name, kind in (("algebraic", AlgebraicNet), ("volumetric", VolumetricNet)):
        path = getattr(files, name)
        if path is not None:
            net = load_published(path, aggregation=files.aggregation if name == "volumetric" else None)
            if not isinstance(net, kind):
                other = "volumetric" if name == "algebraic" else "algebraic"
                raise InputError(f"is the {other} network", where=path, remedy=f"Give it with --{other}.")
            nets[name] = net.to(device)
    if size is not None and "volumetric" in nets:
        step = 2 ** nets["volumetric"].config.v2v.depth
        if size < step or size % step:
            raise InputError(f"a cube of {size} voxels a side; this network needs a multiple of {step}")
        nets["volumetric"].config = replace(nets["volumetric"].config, size=size)
    backbone = None if files.backbone is None else load_published_backbone(files.backbone).to(device)
    return PublishedNets(**nets, backbone=backbone)


def estimate_points(
    nets: PublishedNets,
    pictures: UInt8[np.ndarray, "N C H W 3"],
    projections: Float[np.ndarray, "N C 3 4"],
    *,
    pelvis: Sequence[int],
    center: Float[np.ndarray, "N 3"] | None = None,
) -> dict[str, Float[np.ndarray, "N J 3"]]:
    """Points (m) by every method that the networks allow. pelvis: joints whose mean is it; center: it, if known (m).

    NaN where a method has no answer: too few views agree, or there is no pelvis for the cube.
    """
    device = next(_module(nets).parameters()).device
    with torch.inference_mode():
        given = published_pictures(torch.from_numpy(np.ascontiguousarray(pictures)).to(device))
        cameras = torch.from_numpy(projections).float().to(device)
        found: dict[str, Tensor] = {}
        heatmaps = None
        if nets.algebraic is not None:
            points = nets.algebraic(given, cameras)
            found["algebraic"], heatmaps = points.xyz, points.heatmaps
        if nets.backbone is not None:
            heatmaps = nets.backbone(given.flatten(0, 1)).heatmaps.unflatten(0, given.shape[:2])
        if heatmaps is not None:
            found["ransac"] = ransac_points(heatmaps, cameras, picture_size=(given.shape[-1], given.shape[-2]))
        if nets.volumetric is not None:
            middle = found["algebraic"][:, list(pelvis)].mean(1) if center is None else torch.from_numpy(center)
            found["volumetric"] = _in_cube(nets.volumetric, given, cameras, middle.to(cameras))
    return {method: found[method].double().cpu().numpy() for method in METHODS if method in found}


def ransac_points(
    heatmaps: Float[Tensor, "N C J h w"], projections: Float[Tensor, "N C 3 4"], *, picture_size: tuple[int, int]
) -> Float[Tensor, "N J 3"]:
    """The baseline of the paper: the highest cell of each map, as px without half pixels, all views trusted alike."""
    cells, _ = hard_argmax_2d(heatmaps)
    xy = cells * cells.new_tensor([picture_size[0] / heatmaps.shape[-1], picture_size[1] / heatmaps.shape[-2]])
    return triangulate_msac(projections, xy, torch.ones_like(xy[..., 0]))[0]


def _check_device(device: str) -> None:
    if device not in ("cpu", "cuda") and not device.startswith("cuda:"):
        raise InputError(f"no device {device!r}", remedy="Give cpu, cuda or cuda:0.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("PyTorch finds no GPU here", remedy="Use --device cpu, or install a build with CUDA.")


def _in_cube(
    net: VolumetricNet,
    pictures: Float[Tensor, "N C 3 H W"],
    projections: Float[Tensor, "N C 3 4"],
    center: Float[Tensor, "N 3"],
) -> Float[Tensor, "N J 3"]:
    known = center.isfinite().all(-1)
    points = net(pictures, projections, torch.where(known[:, None], center, 0.0)).xyz
    return torch.where(known[:, None, None], points, torch.nan)


def _backbone_of(net: PoseResNet | AlgebraicNet | VolumetricNet) -> PoseResNet:
    return net if isinstance(net, PoseResNet) else net.backbone


def _module(nets: PublishedNets) -> torch.nn.Module:
    found = nets.algebraic or nets.volumetric or nets.backbone
    if found is None:
        raise InputError("no network is given", remedy="Give --algebraic, --volumetric or --backbone.")
    return found
