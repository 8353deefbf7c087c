"""What a heatmap network learns from: COCO, Human3.6M, CMU Panoptic, rendered people, and your own processed sessions.

Any mixture will do. Every tenth person is kept for validation with what follows in the same recording, of rendered
people every tenth scene. Keypoints are taken by name; what a data set does not have is not learned from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from mocap.core.config import Config
from mocap.core.errors import ConfigError
from mocap.core.keypoints import load_keypoint_set
from mocap.geometry.heatmaps import hard_argmax_2d
from mocap.models.mobile_pose import MobilePose, MobilePoseConfig
from mocap.models.pose_resnet import PoseMaps, PoseResNet, PoseResNetConfig
from mocap.training.datasets.degraded import degraded
from mocap.training.datasets.heatmap_samples import CropConfig, HeatmapBatch, heatmap_batch, heatmap_sample
from mocap.training.datasets.labelled_people import PeopleSource, renamed
from mocap.training.heatmap_likelihood import heatmap_cross_entropy
from mocap.training.losses import heatmap_focal_loss, heatmap_mse_loss
from mocap.training.seeds import rng_at
from mocap.training.session_labels import SessionLabelConfig

HELD_OUT = 10
"""One person in so many, with what follows in the same recording, is for validation."""
BLOCK = 50
"""People next to each other in a source that stay together: frames of a take are alike."""
NEAR = 0.1
"""Of the crop's side: within it a keypoint counts as found."""
LOSSES = {"mse": heatmap_mse_loss, "focal": heatmap_focal_loss, "likelihood": heatmap_cross_entropy}


class DataConfig(Config):
    """One data set. kind: what it is. path: its folder; for sessions, a session or take. share: of the samples.
    rendered: what `tools/render_people.py` wrote.

    split: of COCO (train2017). names: subjects of Human3.6M or sequences of CMU Panoptic, all for training by default.
    every: n-th frame of those.
    """

    kind: Literal["coco", "human36m", "cmu_panoptic", "session", "rendered"] = "coco"
    path: Path = Path("data/coco")
    share: float = Field(default=1.0, gt=0)
    split: str = "train2017"
    names: tuple[str, ...] = ()
    every: int = Field(default=1, ge=1)


class HeatmapTaskConfig(Config):
    """network: "mobile" with `width`, or "resnet" of a `depth`. keypoints: the set that it gives.

    features: channels before the heatmaps of "mobile". loss: "mse", or "focal" or "likelihood" (then outputs are
    logits, of each cell or of all together). people: in a batch. degrade: share of crops that are blurred, and so on.
    """

    data: tuple[DataConfig, ...] = (DataConfig(),)
    keypoints: str = "coco17"
    network: Literal["mobile", "resnet"] = "mobile"
    width: float = Field(default=1.0, gt=0)
    features: int = Field(default=96, ge=1)
    depth: int = 50
    loss: Literal["mse", "focal", "likelihood"] = "mse"
    degrade: float = Field(default=0.0, ge=0, le=1)
    people: int = Field(default=32, ge=1)
    validation_people: int = Field(default=256, ge=1)
    crop: CropConfig = CropConfig()
    session: SessionLabelConfig = SessionLabelConfig()


@dataclass(frozen=True, eq=False)
class _Source:
    """People of one data set, those to learn from and those kept."""

    people: PeopleSource
    share: float
    trained: np.ndarray
    held_out: np.ndarray


class HeatmapTask:
    """Batches, loss and validation for the training loop."""

    def __init__(self, config: HeatmapTaskConfig, seed: int = 0) -> None:
        if not config.data:
            raise ConfigError("no data to learn from", where="task.data")
        self.config, self.seed = config, seed
        self.keypoint_set = load_keypoint_set(config.keypoints)

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes open the data for themselves: videos and caches do not travel."""
        return HeatmapTask, (self.config, self.seed)

    def model(self) -> nn.Module:
        """The network, untrained."""
        joints = len(self.keypoint_set)
        if self.config.network == "mobile":
            network = MobilePose(MobilePoseConfig(joints, self.config.width, self.config.features))
            # Half the time of depthwise convolutions on a CPU; torch's stubs do not know this overload.
            return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return PoseResNet(PoseResNetConfig(self.config.depth, joints))

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> HeatmapBatch:
        """People drawn at random, data sets by their shares, crops augmented."""
        rng = rng_at(self.seed, 1, step, rank, world)
        shares = np.array([source.share for source in self._sources])
        which = rng.choice(len(shares), size=self.config.people, p=shares / shares.sum())
        picked = [(self._sources[s], int(rng.choice(self._sources[s].trained))) for s in which]
        return self._batch(picked, rng)

    def loss(self, model: nn.Module, batch: HeatmapBatch) -> tuple[Tensor, dict[str, float]]:
        """Of the heatmaps; figures: how far the highest cells are off, and how many are near."""
        maps: PoseMaps = model(batch.pictures)
        loss = LOSSES[self.config.loss](maps.heatmaps.float(), batch.heatmaps, batch.weight)
        return loss, {"near": _near(maps.heatmaps.detach(), batch)}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """People who were kept, not augmented: the share of keypoints that are not near first, then the loss."""
        missed, losses = [], []
        device = next(model.parameters()).device
        for part in self._validation:
            batch = part.to(device)
            with torch.no_grad():
                maps: PoseMaps = model(batch.pictures)
            losses.append(float(LOSSES[self.config.loss](maps.heatmaps.float(), batch.heatmaps, batch.weight)))
            missed.append(1 - _near(maps.heatmaps, batch))
        return {"not_near": float(np.mean(missed)), "loss": float(np.mean(losses))}

    def _batch(self, picked: list[tuple[_Source, int]], rng: np.random.Generator | None) -> HeatmapBatch:
        names, mirror = self.keypoint_set.names, self.keypoint_set.mirror_permutation
        people = [renamed(s.people.person(index), s.people.keypoint_set.names, names) for s, index in picked]
        samples = [heatmap_sample(person, self.config.crop, rng, mirror) for person in people]
        if rng is not None and self.config.degrade:
            samples = [replace(one, picture=degraded(one.picture, self.config.degrade, rng)) for one in samples]
        return heatmap_batch(samples, self.config.crop)

    @cached_property
    def _sources(self) -> list[_Source]:
        return [source for data in self.config.data for source in _opened(data, self.config.session)]

    @cached_property
    def _validation(self) -> list[HeatmapBatch]:
        """The same people every time, in batches."""
        kept = [(source, int(index)) for source in self._sources for index in source.held_out]
        chosen = rng_at(self.seed, 2).permutation(len(kept))[: self.config.validation_people]
        parts = np.array_split(np.sort(chosen), -(-len(chosen) // self.config.people))
        return [self._batch([kept[i] for i in part], None) for part in parts]


def _opened(data: DataConfig, labels: SessionLabelConfig) -> list[_Source]:
    people: list[PeopleSource]
    if data.kind == "coco":
        from mocap.training.datasets.coco import CocoSource

        people = [CocoSource(data.path, data.split)]
    elif data.kind == "human36m":
        from mocap.io.human36m_files import TRAIN_SUBJECTS
        from mocap.training.datasets.human36m import Human36mSource

        people = [Human36mSource(data.path, data.names or TRAIN_SUBJECTS, every=data.every)]
    elif data.kind == "cmu_panoptic":
        from mocap.training.datasets.cmu_panoptic import PanopticSource

        people = [PanopticSource(data.path, data.names, every=data.every)]
    elif data.kind == "rendered":
        from mocap.training.datasets.rendered import RenderedSource

        people = [RenderedSource(data.path)]
    else:
        from mocap.training.datasets.sessions import session_sources

        people = list(session_sources([data.path], labels))
    return [_divided(source, data.share / len(people)) for source in people]


def _divided(people: PeopleSource, share: float) -> _Source:
    """One block in `HELD_OUT` is kept, of a small source its end; or one recording, where a source tells them apart."""
    index = np.arange(len(people))
    recordings: Int[np.ndarray, "n"] | None = getattr(people, "recordings", None)
    if recordings is not None and recordings[0] != recordings[-1]:
        kept: Bool[np.ndarray, "n"] = recordings % HELD_OUT == 0
    else:
        block = min(BLOCK, max(1, len(people) // HELD_OUT))
        kept = index // block % HELD_OUT == HELD_OUT - 1
    if not kept.any():
        kept = index == len(people) - 1
    return _Source(people, share, index[~kept] if (~kept).any() else index, index[kept])


def _near(heatmaps: Float[Tensor, "N K h w"], batch: HeatmapBatch) -> float:
    """Share of the labelled keypoints whose highest cell is within `NEAR` of the side."""
    cells, _ = hard_argmax_2d(heatmaps)
    known = batch.weight > 0
    off = (cells - batch.cells.nan_to_num()).norm(dim=-1)
    near = off < NEAR * max(heatmaps.shape[-2:])
    return float((near & known).sum() / known.sum().clamp(min=1))
