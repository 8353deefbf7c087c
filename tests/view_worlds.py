"""People in known rigs whose keypoints are reported exactly, or with faults that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mocap.core.skeleton import load_skeleton
from mocap.models.keypoint_views import KeypointViews
from mocap.synthetic.detector_config import BLAZEPOSE_LIKE, DetectorErrors, clean
from mocap.synthetic.gait import walk_and_reach
from mocap.synthetic.heatmaps import HeatmapConfig
from mocap.synthetic.pose_bank import bank_of_motions
from mocap.synthetic.samples import SampleBlock, SampleConfig, Samples

WALK = bank_of_motions([walk_and_reach(load_skeleton(), seconds=4.0, fps=10.0)])
EXACT = clean(0.0).model_copy(update={"missing_outside": 0.0})


def people(
    errors: DetectorErrors = EXACT, *, cameras: int = 4, count: int = 8, heatmaps: bool = False, seed: int = 5
) -> SampleBlock:
    """Samples of one walk among lenses of all kinds."""
    config = SampleConfig(
        block_size=count,
        bodies=4,
        body="humanoid",
        cameras=(cameras, cameras),
        others=(0, 0),
        furniture=(0, 0),
        errors=errors,
        heatmaps=HeatmapConfig() if heatmaps else None,
    )
    return Samples(config, seed, poses=WALK).block(0)


def noisy_people(**options: int) -> SampleBlock:
    """As a 2D network reports them."""
    return people(BLAZEPOSE_LIKE, **options)


def reordered(views: KeypointViews, order: list[int]) -> KeypointViews:
    """The cameras in another order."""
    return replace(
        views,
        xy=views.xy[:, order],
        pose=views.pose[:, order],
        focal_px=views.focal_px[:, order],
        confidence=views.confidence[:, order],
        shapes=None if views.shapes is None else views.shapes[:, order],
    )


def turned(views: KeypointViews, angle: float, shift: list[float]) -> tuple[KeypointViews, torch.Tensor, torch.Tensor]:
    """The same cameras in a world that is turned about the vertical and shifted; new_from_old as (3, 3) and (3)."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=views.pose.dtype)
    move = torch.tensor(shift, dtype=views.pose.dtype)
    rotation = views.pose[..., :3] @ turn.T
    pose = torch.cat([rotation, views.pose[..., 3:] - (rotation @ move)[..., None]], dim=-1)
    return replace(views, pose=pose), turn, move
