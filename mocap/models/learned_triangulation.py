"""Takes through the networks that triangulate: in batches, on any rig, with a reason wherever they give no answer.

What the networks were trained on ends somewhere: fewer than two views, people of a few pixels, somebody whose place is
not even roughly known. There they are not asked, and what they find outside the cube around the person is not believed;
the caller has the robust points to fall back on. Axes: T frames, P people, C cameras, J keypoints, N people of some
frames together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from mocap.core.config import Config
from mocap.core.errors import ConfigError
from mocap.core.heatmaps import HeatmapBatch, HeatmapSource
from mocap.core.keypoints import KeypointSet, load_keypoint_set
from mocap.geometry.heatmap_views import heatmap_cameras, straightened
from mocap.geometry.projection import CameraTensors
from mocap.models.heatmap_statistics import peak_shapes, peak_statistics
from mocap.models.heatmap_volumes import HeatmapVolumeNet
from mocap.models.keypoint_views import keypoint_views
from mocap.models.shipped import ShippedName, is_shipped, load_shipped
from mocap.models.take_lengths import settle_lengths, spread_of
from mocap.models.view_confidences import ViewConfidenceNet

LearnedNet = HeatmapVolumeNet | ViewConfidenceNet
Progress = Callable[[int, int], None]

LARGEST_MISFIT = 0.5
"""Cells by which a matrix may be off a lens before heatmaps are resampled."""
LEAST_START = 4
"""Rough points without which nobody knows where the person is."""
MOST_OUTSIDE = 0.5
"""Share of points that may lie outside the cube around a person before none of them is believed."""


class LearnedConfig(Config):
    """weights: a folder with others than those that come along, called the same. device: "auto" takes a GPU where
    there is one. batch_people: people in one frame each that are worked on together. min_person_px: of the
    larger side of a person in a picture; views of smaller ones are left out. cube_side_m: of the cube around a person.
    shapes: whether the algebraic method looks at the shapes of heatmaps too (the volumetric one cannot do without).
    min_confidence: a learned point counts, even where fewer views agree with it than should, from this confidence on.
    length_give: share by which a person's bones may differ, at a moment, from their lengths in the whole take, to which
    points then move (`mocap.models.take_lengths`); 0 leaves every moment to itself.
    """

    weights: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch_people: int = Field(default=16, ge=1)
    min_person_px: float = Field(default=40.0, ge=0)
    cube_side_m: float = Field(default=2.5, gt=0)
    shapes: bool = False
    min_confidence: float = Field(default=0.5, ge=0, le=1)
    length_give: float = Field(default=0.03, ge=0, le=1)


class Answer(IntEnum):
    """Whether the network was asked about a person in a frame, and if not, why."""

    GIVEN = 0
    FEW_VIEWS = 1
    SMALL = 2
    NO_PLACE = 3
    OUTSIDE = 4


@dataclass(frozen=True, eq=False)
class SeenPeople:
    """px: distorted, NaN where missing. weight: confidence, 0 there. rough: points to start from (m), NaN for none."""

    cameras: CameraTensors
    px: Float[Tensor, "T P J C 2"]
    weight: Float[Tensor, "T P J C"]
    rough: Float[Tensor, "T P J 3"]


@dataclass(frozen=True, eq=False)
class LearnedPoints:
    """xyz: m, NaN where there is no answer; confidence: the chance that it is within 5 cm, 0 there."""

    xyz: Float[Tensor, "T P J 3"]
    confidence: Float[Tensor, "T P J"]
    answer: Int[Tensor, "T P"]


@dataclass(frozen=True, eq=False)
class _Batch:
    """N people of some frames, on the device, and those (of all in these frames) that they are."""

    px: Float[Tensor, "N C J 2"]
    weight: Float[Tensor, "N C J"]
    rough: Float[Tensor, "N J 3"]
    heatmaps: HeatmapBatch | None
    chosen: Bool[Tensor, "F P"]


class _Said(NamedTuple):
    """Of N people: points (m), the chance that they are within 5 cm, how far off they may be (m), and `Answer`."""

    xyz: Float[Tensor, "N J 3"]
    confidence: Float[Tensor, "N J"]
    spread_m: Float[Tensor, "N J"]
    answer: Int[Tensor, "N"]


def shipped_name(method: Literal["algebraic", "volumetric"]) -> ShippedName:
    """What the weights of a method are called."""
    return "algebraic_blazepose" if method == "algebraic" else "volumetric_blazepose"


def has_weights(method: str, config: LearnedConfig) -> bool:
    """Whether a method can be used: it needs no weights, or they are there."""
    if method != "algebraic" and method != "volumetric":
        return True
    return is_shipped(shipped_name(method), folder=config.weights)


def require_weights(method: str, config: LearnedConfig) -> None:
    """Refuse a method that cannot be used, before anything else is done."""
    if not has_weights(method, config):
        raise ConfigError(
            f"there are no weights for the {method} method ({method}_blazepose.safetensors)",
            where=config.weights,
            remedy="Use another triangulate.method, or name a folder that has them in triangulate.learned.weights.",
        )


def network_of(method: Literal["algebraic", "volumetric"], config: LearnedConfig) -> LearnedNet:
    """The network of a method: the one that comes along, or that of `weights`."""
    require_weights(method, config)
    name = shipped_name(method)
    net = load_shipped(name, folder=config.weights)
    if not isinstance(net, ViewConfidenceNet if method == "algebraic" else HeatmapVolumeNet):
        raise ConfigError(f"{name} holds a {type(net).__name__}, no network for the {method} method")
    return net


def weights_key(method: str, config: LearnedConfig) -> str:
    """What the weights of a method say of themselves: results change with it. "" for methods and places without."""
    if (method != "algebraic" and method != "volumetric") or not has_weights(method, config):
        return ""
    name = shipped_name(method)
    folder = config.weights or resources.files("mocap") / "weights"
    return (folder / f"{name}.json").read_text(encoding="utf-8")


def why_not(net: LearnedNet, keypoint_set: KeypointSet, heatmaps: HeatmapSource | None) -> str | None:
    """Why a network cannot be asked about a take at all; None where it can."""
    trained = load_keypoint_set(net.config.keypoints)
    if keypoint_set.names != trained.names:
        return f"it knows the keypoints of {trained.name}, and these are those of {keypoint_set.name}"
    if heatmaps is None and isinstance(net, HeatmapVolumeNet):
        return "there are no heatmaps (2D results that were imported have none)"
    return None


def device_of(config: LearnedConfig) -> torch.device:
    """Where the network runs."""
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise ConfigError(
            "there is no GPU that torch can use",
            where="triangulate.learned.device",
            remedy='Use "auto" or "cpu".',
        )
    return torch.device("cuda" if there and config.device != "cpu" else "cpu")


def learned_points(
    net: LearnedNet,
    people: SeenPeople,
    heatmaps: HeatmapSource | None,
    config: LearnedConfig,
    *,
    progress: Progress | None = None,
) -> LearnedPoints:
    """What the network says of everybody it may be asked about. Memory does not grow with the take.

    heatmaps: a volumetric network needs them; for one that weighs views they are a help.
    """
    if heatmaps is None and isinstance(net, HeatmapVolumeNet):
        raise ConfigError("a volumetric network needs heatmaps", remedy="Use the algebraic one.")
    device = device_of(config)
    net = net.to(device).eval()
    cameras = _on(people.cameras, device)
    answer = askable(people, config)
    xyz = torch.full_like(people.rough, torch.nan)
    confidence, spread_m = torch.zeros_like(xyz[..., 0]), torch.ones_like(xyz[..., 0])
    n_frames = len(answer)
    for frames in _spans(n_frames, config.batch_people // max(1, answer.shape[1])):
        batch = _batch(people, heatmaps, answer, frames)
        with torch.inference_mode():
            if batch.chosen.any():
                said, part = _ask(net, cameras, batch, heatmaps, config), slice(frames.start, frames.stop)
                xyz[part][batch.chosen], confidence[part][batch.chosen] = said.xyz.to(xyz), said.confidence.to(xyz)
                spread_m[part][batch.chosen], answer[part][batch.chosen] = said.spread_m.to(xyz), said.answer.cpu()
        if progress is not None:
            progress(frames.stop, n_frames)
    missing = xyz.isnan().any(-1) | (answer != int(Answer.GIVEN))[..., None]
    xyz = torch.where(missing[..., None], torch.nan, xyz)
    xyz = settle_lengths(xyz, spread_m, load_keypoint_set(net.config.keypoints), give=config.length_give)
    return LearnedPoints(xyz, torch.where(missing, 0.0, confidence.clamp(0, 1)), answer)


def askable(people: SeenPeople, config: LearnedConfig) -> Int[Tensor, "T P"]:
    """Who is like those of the training: seen by two views, not tiny in all but one, roughly somewhere."""
    there = people.weight > 0
    views = there.any(2).sum(-1)
    large = large_enough(people.px, there, config.min_person_px).sum(-1)
    placed = (~people.rough.isnan().any(-1)).sum(-1)
    answer = torch.full(views.shape, int(Answer.GIVEN))
    answer[large < 2] = int(Answer.SMALL)
    answer[placed < LEAST_START] = int(Answer.NO_PLACE)
    answer[views < 2] = int(Answer.FEW_VIEWS)
    return answer


def large_enough(px: Float[Tensor, "*b J C 2"], there: Bool[Tensor, "*b J C"], least_px: float) -> Bool[Tensor, "*b C"]:
    """Whether the keypoints of a view span at least `least_px` in x or y."""
    low = torch.where(there[..., None], px, torch.inf).amin(-3)
    high = torch.where(there[..., None], px, -torch.inf).amax(-3)
    return ((high - low) >= least_px).any(-1) & there.any(-2)


def _spans(n_frames: int, length: int) -> Iterator[range]:
    length = max(1, length)
    return (range(start, min(start + length, n_frames)) for start in range(0, n_frames, length))


def _on(cameras: CameraTensors, device: torch.device) -> CameraTensors:
    arrays = {f.name: getattr(cameras, f.name) for f in fields(CameraTensors)}
    return replace(cameras, **{n: a.to(device) for n, a in arrays.items() if isinstance(a, Tensor)})


def _batch(people: SeenPeople, heatmaps: HeatmapSource | None, answer: Int[Tensor, "T P"], frames: range) -> _Batch:
    part = slice(frames.start, frames.stop)
    chosen = answer[part] == int(Answer.GIVEN)
    read = heatmaps.read(frames) if heatmaps is not None and chosen.any() else None
    return _Batch(
        px=people.px[part][chosen].transpose(1, 2),
        weight=people.weight[part][chosen].transpose(1, 2),
        rough=people.rough[part][chosen],
        heatmaps=read,
        chosen=chosen,
    )


def _ask(
    net: LearnedNet, cameras: CameraTensors, batch: _Batch, source: HeatmapSource | None, config: LearnedConfig
) -> _Said:
    """Also finds who cannot be answered about after all: too few views have heatmaps, or points are far off."""
    device = cameras.K.device
    center = batch.rough.to(device).nanmedian(dim=1).values
    px, weight = batch.px.to(device), batch.weight.to(device)
    maps = None if batch.heatmaps is None else _heatmaps_of(batch, batch.heatmaps, device)
    if isinstance(net, ViewConfidenceNet):
        shapes = None
        if maps is not None and source is not None:
            shapes = peak_shapes(peak_statistics(maps[0]), source.size).to(px.dtype)
            shapes = torch.where(maps[2][..., None, None], shapes, torch.nan)
        found = net(keypoint_views(cameras, px, weight, shapes))
        few = torch.zeros(len(px), dtype=torch.bool, device=device)
        answer = _answers((batch.rough.to(device), found.xyz), center, few, config)
        return _Said(found.xyz, found.confidence, spread_of(found.confidence), answer)
    assert maps is not None
    assert source is not None
    heatmaps, px_from_heatmap, seen = maps
    seen = seen & large_enough(px.transpose(1, 2), weight.transpose(1, 2) > 0, config.min_person_px)
    matrices, misfit = heatmap_cameras(cameras, px_from_heatmap, source.size)
    seen = seen & misfit.isfinite()
    heatmaps = _straight(heatmaps, cameras, (px_from_heatmap, matrices), seen & (misfit > LARGEST_MISFIT))
    side = torch.full_like(center[:, 0], config.cube_side_m)
    points = net(heatmaps, matrices, seen, center, side)
    answer = _answers((batch.rough.to(device), points.xyz), center, seen.sum(-1) < 2, config)
    return _Said(points.xyz, points.confidence, points.spread_m, answer)


def _answers(
    sets: tuple[Float[Tensor, "N J 3"], ...],
    center: Float[Tensor, "N 3"],
    few: Bool[Tensor, "N"],
    config: LearnedConfig,
) -> Int[Tensor, "N"]:
    """sets: rough points and those found; those of one of them outside the cube are too many. few: of too few views."""
    answer = torch.full_like(few, int(Answer.GIVEN), dtype=torch.long)
    for xyz in sets:
        away = (xyz - center[:, None]).abs().amax(-1)
        outside = (away > config.cube_side_m / 2).sum(-1) > MOST_OUTSIDE * (~away.isnan()).sum(-1)
        answer[outside] = int(Answer.OUTSIDE)
    answer[few] = int(Answer.FEW_VIEWS)
    return answer


def _heatmaps_of(
    batch: _Batch, read: HeatmapBatch, device: torch.device
) -> tuple[Float[Tensor, "N C J H W"], Float[Tensor, "N C 2 3"], Bool[Tensor, "N C"]]:
    chosen = batch.chosen.numpy()
    heatmaps, maps, seen = (torch.from_numpy(a[chosen]) for a in (read.heatmaps, read.px_from_heatmap, read.seen))
    return heatmaps.to(device).float(), maps.to(device), seen.to(device)


def _straight(
    heatmaps: Float[Tensor, "N C J H W"],
    cameras: CameraTensors,
    maps: tuple[Float[Tensor, "N C 2 3"], Float[Tensor, "N C 3 4"]],
    bent: Bool[Tensor, "N C"],
) -> Float[Tensor, "N C J H W"]:
    """Those of bent views resampled; everybody with one such view, to keep the rig whole."""
    who = bent.any(-1)
    if not who.any():
        return heatmaps
    px_from_heatmap, matrices = maps
    unit = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=matrices.dtype, device=matrices.device)
    known = torch.where(px_from_heatmap[who].isnan(), unit, px_from_heatmap[who])
    straight = straightened(heatmaps[who], cameras, known, matrices[who])
    heatmaps = heatmaps.clone()
    heatmaps[who] = torch.where(bent[who][..., None, None, None], straight, heatmaps[who])
    return heatmaps
