"""The two networks of Learnable Triangulation (Iskakov et al., ICCV 2019), computing what the published weights expect.

What goes in and comes out is ours: projections K [R t] of undistorted pictures, a Z-up world in metres, two or more
cameras in any order. What the weights were trained with stays inside: millimetres, sizes that change without a half
pixel, their own sampling of feature maps, blue and red swapped. The names of the parts are the checkpoints' keys.
Axes: C cameras, J joints, X Y Z voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from mocap.geometry.algebraic import triangulate_algebraic
from mocap.geometry.heatmaps import soft_argmax_2d, soft_argmax_3d
from mocap.geometry.volumes import Aggregation, coordinate_volume, lift_to_volume
from mocap.models.pose_resnet import FEATURES, PoseMaps, PoseResNet, PoseResNetConfig
from mocap.models.v2v import V2V, V2VConfig

MM_PER_M = 1000.0
CONFIDENCE_FLOOR = 1e-5
"""Added to each view's share of the confidence, so that no view is without weight."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1]."""


@dataclass(frozen=True)
class AlgebraicNetConfig:
    """heatmap_multiplier: what scores are multiplied by before their softmax."""

    backbone: PoseResNetConfig = field(default_factory=lambda: PoseResNetConfig(alg_confidences=17))
    heatmap_multiplier: float = 100.0


@dataclass(frozen=True)
class VolumetricNetConfig:
    """size: voxels a side. side_m: first grid point to last. volume_multiplier: of scores, before their softmax."""

    backbone: PoseResNetConfig = field(default_factory=PoseResNetConfig)
    v2v: V2VConfig = field(default_factory=V2VConfig)
    aggregation: Aggregation = "softmax"
    size: int = 64
    side_m: float = 2.5
    volume_multiplier: float = 1.0

    def __post_init__(self) -> None:
        heads = self.backbone.vol_confidences
        if self.aggregation.startswith("conf") and heads != self.v2v.channels_in:
            raise ValueError(
                f"aggregation {self.aggregation!r} needs a confidence for each of the {self.v2v.channels_in} channels "
                f"of the volume; the backbone has {heads} (vol_confidences)"
            )


@dataclass(frozen=True, eq=False)
class AlgebraicPoints:
    """xyz in metres, xy_px in the pictures, each view's share of the confidence, and heatmaps that sum to 1."""

    xyz: Float[Tensor, "*b J 3"]
    xy_px: Float[Tensor, "*b C J 2"]
    confidence: Float[Tensor, "*b C J"]
    heatmaps: Float[Tensor, "*b C J h w"]


@dataclass(frozen=True, eq=False)
class VolumetricPoints:
    """xyz in metres; volumes sum to 1, coordinates are theirs in metres; features are what was lifted."""

    xyz: Float[Tensor, "*b J 3"]
    volumes: Float[Tensor, "*b J X Y Z"]
    coordinates: Float[Tensor, "*b X Y Z 3"]
    features: Float[Tensor, "*b C F h w"]


class AlgebraicNet(nn.Module):
    """Soft-argmax in every view, then the linear triangulation weighted by learned confidences (3.1 of the paper)."""

    def __init__(self, config: AlgebraicNetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = PoseResNet(config.backbone)

    def forward(self, pictures: Float[Tensor, "*b C 3 H W"], projections: Float[Tensor, "*b C 3 4"]) -> AlgebraicPoints:
        maps = _every_view(self.backbone, pictures)
        views = pictures.shape[:-3]
        cells, heatmaps = soft_argmax_2d(
            maps.heatmaps.unflatten(0, views), temperature=1 / self.config.heatmap_multiplier
        )
        px_per_cell = [pictures.shape[-1] / heatmaps.shape[-1], pictures.shape[-2] / heatmaps.shape[-2]]
        xy_px = cells * cells.new_tensor(px_per_cell)
        scores = maps.alg_confidences
        confidence = view_shares(torch.ones_like(cells[..., 0]) if scores is None else scores.unflatten(0, views))
        xyz = triangulate_algebraic(in_millimetres(projections), xy_px, confidence) / MM_PER_M
        return AlgebraicPoints(xyz, xy_px, confidence, heatmaps)


class VolumetricNet(nn.Module):
    """Features of every view lifted into a cube around a person, V2V, soft-argmax over the cube (3.2 of the paper)."""

    def __init__(self, config: VolumetricNetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = PoseResNet(config.backbone)
        self.process_features = nn.Sequential(nn.Conv2d(FEATURES, config.v2v.channels_in, 1))
        self.volume_net = V2V(config.v2v)

    def forward(
        self,
        pictures: Float[Tensor, "*b C 3 H W"],
        projections: Float[Tensor, "*b C 3 4"],
        center: Float[Tensor, "*b 3"],
        *,
        rotation: Float[Tensor, "*#b 3 3"] | None = None,
    ) -> VolumetricPoints:
        """center: the pelvis by a first estimate, m. rotation: world_from_volume; at random about Z in training."""
        maps = _every_view(self.backbone, pictures)
        views = pictures.shape[:-3]
        features = self.process_features(maps.features).unflatten(0, views)
        coordinates = self._cube(center, rotation, dtype=torch.promote_types(features.dtype, torch.float32))
        lifted = lift_to_volume(
            features,
            _of_feature_maps(in_millimetres(projections), pictures, features).to(coordinates.dtype),
            coordinates,
            aggregation=self.config.aggregation,
            confidence=None if maps.vol_confidences is None else maps.vol_confidences.unflatten(0, views),
            sampling="published",
        )
        scores = self.volume_net(lifted.reshape(-1, *lifted.shape[-4:])).reshape(*views[:-1], -1, *lifted.shape[-3:])
        xyz, volumes = soft_argmax_3d(
            scores.to(coordinates.dtype), coordinates, temperature=1 / self.config.volume_multiplier
        )
        return VolumetricPoints(xyz / MM_PER_M, volumes, coordinates / MM_PER_M, features)

    def _cube(
        self, center: Float[Tensor, "*b 3"], rotation: Float[Tensor, "*#b 3 3"] | None, *, dtype: torch.dtype
    ) -> Float[Tensor, "*b X Y Z 3"]:
        """World coordinates of the voxels, mm; never coarser than float32, whose step at 10 m is 0.001 mm."""
        n = self.config.size
        turned = None if rotation is None else rotation.to(dtype)
        return coordinate_volume(
            (center * MM_PER_M).to(dtype), self.config.side_m * MM_PER_M, size=(n, n, n), rotation=turned
        )


def view_shares(confidence: Float[Tensor, "*b C J"]) -> Float[Tensor, "*b C J"]:
    """Confidences as shares of their sum over the views, plus `CONFIDENCE_FLOOR`, as the weights were trained."""
    return confidence / confidence.sum(-2, keepdim=True) + CONFIDENCE_FLOOR


def in_millimetres(projections: Float[Tensor, "*b 3 4"]) -> Float[Tensor, "*b 3 4"]:
    """K [R t] of a world in metres to the same of a world in millimetres: depths become millimetres too."""
    return projections * projections.new_tensor([1.0, 1.0, 1.0, MM_PER_M])


def published_pictures(pictures: UInt8[Tensor, "*b H W 3"]) -> Float[Tensor, "*b 3 H W"]:
    """RGB pictures as the published weights want them: blue first, yet less the mean of red, and so on (float32)."""
    mean, std = (torch.tensor(values, device=pictures.device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((pictures.flip(-1).float() / 255 - mean) / std).movedim(-1, -3)


def _every_view(backbone: nn.Module, pictures: Float[Tensor, "*b C 3 H W"]) -> PoseMaps:
    """The maps of all views of all samples at once, (N, …)."""
    return backbone(pictures.reshape(-1, *pictures.shape[-3:]))


def _of_feature_maps(
    projections: Float[Tensor, "*b C 3 4"], pictures: Float[Tensor, "*b C 3 H W"], maps: Float[Tensor, "*b C F h w"]
) -> Float[Tensor, "*b C 3 4"]:
    """Projections into feature maps by the ratio of the sizes alone, without the half pixel of our convention."""
    scale = [maps.shape[-1] / pictures.shape[-1], maps.shape[-2] / pictures.shape[-2], 1.0]
    return projections * projections.new_tensor(scale)[:, None]
