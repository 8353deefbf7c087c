"""Batches that follow from their number, drawn views that fit their cameras, and a loss that can be lowered."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mocap.models.heatmap_peaks import find_peaks
from mocap.models.heatmap_volumes import HeatmapVolumeConfig
from mocap.models.shipped import load_shipped
from mocap.synthetic.detector_config import clean, preset
from mocap.synthetic.heatmaps import CLEAN, HeatmapConfig
from mocap.synthetic.samples import SampleConfig, Samples
from mocap.training.drawn_views import drawn_views
from mocap.training.task import Task
from mocap.training.volumetric_task import VolumetricTask, VolumetricTaskConfig

TINY = VolumetricTaskConfig(
    net=HeatmapVolumeConfig(width=16, layers=1, heads=2, view_width=8),
    people=6,
    bodies=3,
    body=("humanoid",),
    body_blocks=3,
    validation_blocks=1,
)


@pytest.fixture(scope="module")
def task() -> VolumetricTask:
    return VolumetricTask(TINY, seed=3)


def test_peaks_lie_where_the_truth_projects_to():
    """No errors: what differs is half a pixel of rounding nowhere, and 0.05 cells of the peak's measuring."""
    samples = Samples(SampleConfig(block_size=8, bodies=2, body="humanoid", cameras=(3, 3), errors=clean(0.0)), 5)
    block = samples.block(0)
    views = drawn_views(block, CLEAN, np.random.default_rng(0), mirror=samples.keypoint_set.mirror_permutation)
    points = torch.cat([views.truth, torch.ones_like(views.truth[..., :1])], dim=-1)
    projected = points[:, None] @ views.projections.mT
    cells = projected[..., :2] / projected[..., 2:]
    peaks = find_peaks(views.heatmaps)
    inner = (peaks.height > 0.5) & ((cells > 6) & (cells < 57)).all(-1)
    assert inner.float().mean() > 0.6
    assert (peaks.xy - cells).norm(dim=-1)[inner].max() < 0.05
    assert ((views.truth - views.center[:, None]).abs() < views.side[:, None, None]).all()


def test_a_batch_follows_from_its_number(task):
    again = VolumetricTask(TINY, seed=3)
    again.batch(7)
    one, other = task.batch(2, rank=1, world=2), again.batch(2, rank=1, world=2)
    assert torch.equal(one.views.heatmaps, other.views.heatmaps)
    assert torch.equal(one.turn, other.turn)
    assert not torch.equal(one.views.truth, task.batch(2, rank=0, world=2).views.truth)


def test_the_shipped_weights_beat_the_points_that_rays_agree_on():
    """Bodies of another kind, of a seed and motions that no training has seen. The model card says a quarter to two
    fifths in the mean; a sixth leaves room for what 24 people and the other bodies' shapes vary by."""
    errors = preset("blazepose_like")
    config = SampleConfig(
        block_size=24, bodies=6, body="humanoid", cameras=(4, 4), errors=errors, motions=("lunge", "punch")
    )
    samples = Samples(config, 77)
    views = drawn_views(
        samples.block(0), HeatmapConfig(), np.random.default_rng(0), mirror=samples.keypoint_set.mirror_permutation
    )
    with torch.no_grad():
        found = load_shipped("volumetric_blazepose")(
            views.heatmaps, views.projections, views.seen, views.center, views.side
        )
    start, error = (found.start - views.truth).norm(dim=-1), (found.xyz - views.truth).norm(dim=-1)
    both = start.isfinite()
    assert error[both].mean() < start[both].mean() * 5 / 6


def test_it_is_a_task(task):
    assert isinstance(task, Task)


def test_the_loss_reaches_every_parameter_and_can_be_lowered(task):
    torch.manual_seed(0)
    model = task.model()
    batch = task.batch(0, rank=0, world=1)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, figures = [], {}
    for _ in range(8):
        loss, figures = task.loss(model, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert set(figures) == {"mpjpe_mm", "certainty"}
    assert losses[-1] < losses[0]
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []


def test_validation_names_its_figures(task):
    model = task.model().eval()
    with torch.no_grad():
        figures = task.validate(model)
    assert list(figures) == ["mpjpe_mm", "mpjpe_mm_2_views", "mpjpe_mm_3_views", "mpjpe_mm_4_views"]
    assert all(np.isfinite(value) for value in figures.values())
    assert task.validate(model) == figures
