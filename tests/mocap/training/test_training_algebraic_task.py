from __future__ import annotations

import pickle

import pytest
import torch

from mocap.core.config import load_config
from mocap.models.view_confidences import ViewConfidenceConfig
from mocap.training.algebraic_task import AlgebraicTask, AlgebraicTaskConfig

SMALL = AlgebraicTaskConfig(
    net=ViewConfidenceConfig(width=16, heads=2, blocks=1),
    people=24,
    errors=("blazepose_like", "hard"),
    bodies=4,
    body=("humanoid",),
    with_heatmaps=0.5,
    validation_blocks=1,
)


@pytest.fixture(scope="module")
def task() -> AlgebraicTask:
    return AlgebraicTask(SMALL, seed=4)


def test_a_batch_follows_from_its_number_alone(task) -> None:
    first, again = task.batch(6, rank=1, world=2), AlgebraicTask(SMALL, seed=4).batch(6, rank=1, world=2)
    torch.testing.assert_close(first.views.xy, again.views.xy, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(first.xyz, again.xyz, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first.xyz, task.batch(6, rank=0, world=2).xyz)


def test_some_batches_have_heatmaps_of_which_some_are_dropped(task) -> None:
    shapes = [task.batch(step, rank=0, world=1).views.shapes for step in range(8)]
    known = [s for s in shapes if s is not None]
    assert 0 < len(known) < 8
    dropped = torch.cat([s.isnan().flatten(1).all(-1) for s in known])
    assert 0 < dropped.float().mean() < 0.5


@pytest.mark.parametrize("loss", [pytest.param("paper", marks=pytest.mark.slow), "distance"])
def test_some_steps_lower_the_loss(loss) -> None:
    task = AlgebraicTask(SMALL.model_copy(update={"loss": loss, "with_heatmaps": 0.0}), seed=1)
    torch.manual_seed(0)
    model = task.model()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    batch = task.batch(1, rank=0, world=1)
    seen = []
    for _ in range(12):
        value, figures = task.loss(model, batch)
        assert set(figures) == {"mpjpe_mm", "certainty"}
        optimiser.zero_grad()
        value.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
        seen.append(float(value.detach()))
    assert seen[-1] < 0.95 * seen[0]


def test_validation_is_the_same_every_time_and_its_first_figure_is_the_mean(task) -> None:
    torch.manual_seed(0)
    model = task.model().eval()
    with torch.no_grad():
        figures = task.validate(model)
        assert figures == task.validate(model)
    names = list(figures)
    assert names == ["mpjpe_mm", "mpjpe_mm_blazepose_like", "mpjpe_mm_hard"]
    assert figures[names[0]] == pytest.approx((figures[names[1]] + figures[names[2]]) / 2)
    assert figures[names[1]] < figures[names[2]]


def test_other_processes_can_make_its_batches(task) -> None:
    task.batch(0, rank=0, world=1)
    other = pickle.loads(pickle.dumps(task))
    torch.testing.assert_close(other.batch(3, rank=0, world=1).xyz, task.batch(3, rank=0, world=1).xyz, equal_nan=True)


def test_its_configuration_is_read_strictly() -> None:
    config = load_config(AlgebraicTaskConfig, None, ["net.width=32", "people=12", "errors=['hard']"])
    assert config.net.width == 32
    assert config.errors == ("hard",)
