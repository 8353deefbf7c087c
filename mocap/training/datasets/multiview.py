"""Batches of moments in several views, for networks that go from pictures to points in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.core.errors import InputError
from mocap.io.published_crops import MultiviewFrame
from mocap.models.triangulation_nets import published_pictures

LEAST_VIEWS = 2


@runtime_checkable
class MultiviewSource(Protocol):
    """Moments by number, as `Human36mSource` and `PanopticSource` have them."""

    @property
    def n_frames(self) -> int: ...

    def frame(self, index: int) -> MultiviewFrame: ...


@dataclass(frozen=True, eq=False)
class MultiviewBatch:
    """pictures: normalised as for the published weights. projections: m to px of them. xyz: m, 0 where not known."""

    pictures: Float[Tensor, "N C 3 H W"]
    projections: Float[Tensor, "N C 3 4"]
    xyz: Float[Tensor, "N J 3"]
    known: Bool[Tensor, "N J"]

    def to(self, device: torch.device | str) -> MultiviewBatch:
        """The same on another device."""
        return MultiviewBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def multiview_batch(
    frames: Sequence[MultiviewFrame], rng: np.random.Generator | None = None, *, views: int | None = None
) -> MultiviewBatch:
    """Moments together: as many views of each as the least has, or `views`; the first ones, or some at random."""
    least = min(len(frame.cameras) for frame in frames)
    count = least if views is None else min(views, least)
    if count < LEAST_VIEWS:
        raise InputError(f"a moment with {least} views; points in space need {LEAST_VIEWS}")
    orders = [rng.permutation(len(f.cameras)) if rng is not None else np.arange(len(f.cameras)) for f in frames]
    pictures = np.stack([f.pictures[order[:count]] for f, order in zip(frames, orders, strict=True)])
    projections = np.stack([f.projections[order[:count]] for f, order in zip(frames, orders, strict=True)])
    xyz = torch.from_numpy(np.stack([frame.xyz for frame in frames])).float()
    known = xyz.isfinite().all(-1)
    return MultiviewBatch(
        pictures=published_pictures(torch.from_numpy(pictures)),
        projections=torch.from_numpy(projections).float(),
        xyz=torch.where(known[..., None], xyz, 0.0),
        known=known,
    )
