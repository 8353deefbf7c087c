from __future__ import annotations

import json
import math
import sys
from itertools import pairwise
from typing import NamedTuple

import pytest
import torch
from fitting_task import FittingTask, FittingTaskConfig
from training_runs import curve, ended_well, fitted, quick, start_run, weights

from mocap.core.errors import ConfigError, InputError
from mocap.training.batches import Parts, batches, on_device
from mocap.training.loop import Progress, train
from mocap.training.run_folder import RunFolder
from mocap.training.task import Task
from mocap.training.train_config import OptimiserConfig, ScheduleConfig


def test_the_loop_learns_and_keeps_the_best(tmp_path):
    trained = fitted(tmp_path / "run", quick(160))
    validated = curve(tmp_path / "run", "validation.csv")
    errors = [float(row["error"]) for row in validated]
    assert [int(row["step"]) for row in validated] == [40, 80, 120, 160]
    assert trained.reason == "the schedule has ended"
    assert trained.steps == 160
    assert trained.best["error"] == pytest.approx(min(errors), rel=1e-8)
    assert min(errors) < 0.3 < 0.45 < untrained()  # the mean square of the waves is 0.43 to 0.5
    model = FittingTask(FittingTaskConfig(), 0).model()
    model.load_state_dict(weights(tmp_path / "run"))
    assert FittingTask(FittingTaskConfig(), 0).validate(model.eval())["error"] == pytest.approx(min(errors), rel=1e-6)


def untrained() -> float:
    task = FittingTask(FittingTaskConfig(), 0)
    return task.validate(task.model().eval())["error"]


class Ordered(NamedTuple):
    values: torch.Tensor
    indices: torch.Tensor


def test_the_quick_task_is_a_task():
    assert isinstance(FittingTask(FittingTaskConfig(), 0), Task)


def test_the_same_seed_gives_the_same_run_and_another_does_not(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.rand(seed)  # whatever was drawn before
        fitted(tmp_path / name, quick(12, seed=seed))
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    assert curve(tmp_path / "a") != curve(tmp_path / "c")


def test_accumulated_batches_are_one_larger_batch(tmp_path):
    """Without drop-out the mean over two batches of 32 is that over 64; only the order of sums differs."""
    plain = FittingTaskConfig(dropout=0.0)

    class Doubled(FittingTask):
        def batch(self, step, *, rank, world):
            halves = [super(Doubled, self).batch(step, rank=r, world=2) for r in (0, 1)]
            return type(halves[0])(*(torch.cat([getattr(h, name) for h in halves]) for name in ("numbers", "waves")))

    fitted(tmp_path / "parts", quick(20, accumulate=2), task=plain)
    train(Doubled(plain, 0), quick(20), RunFolder(tmp_path / "whole"), name="fitting")
    for parts, whole in zip(curve(tmp_path / "parts"), curve(tmp_path / "whole"), strict=True):
        assert float(parts["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-4)


@pytest.mark.slow
def test_batches_come_in_order_and_from_workers_the_same(tmp_path):
    parts = Parts(FittingTask(FittingTaskConfig(), 5), 1, 3, 2)
    here = batches(parts, 7, 0)
    there = batches(parts, 7, 2)
    try:
        for number in range(5):
            ours, theirs = next(here), next(there)
            step, part = 7 + number // 2, number % 2
            expected = FittingTask(FittingTaskConfig(), 5).batch(step, rank=part * 3 + 1, world=6)
            assert torch.equal(ours.numbers, expected.numbers)
            assert torch.equal(theirs.numbers, expected.numbers)
    finally:
        there.close()


def test_the_average_of_weights_is_kept_instead(tmp_path):
    fitted(tmp_path / "last", quick(60, seed=1, validations=1))
    fitted(tmp_path / "mean", quick(60, seed=1, validations=1, average=0.9))
    last, mean = weights(tmp_path / "last"), weights(tmp_path / "mean")
    assert curve(tmp_path / "last") == curve(tmp_path / "mean")  # the average does not touch the training
    assert not torch.equal(last["0.weight"], mean["0.weight"])
    assert torch.allclose(last["0.weight"], mean["0.weight"], atol=0.1)


def test_early_stop(tmp_path):
    schedule = ScheduleConfig(steps=400, learning_rate=1e-9, warmup=0.0)
    config = quick(seed=2, validations=100, patience=3, schedule=schedule, optimiser=OptimiserConfig(weight_decay=50.0))
    trained = fitted(tmp_path / "run", config)
    assert trained.reason.startswith("no better in 3 validations")
    assert trained.steps < 400
    assert trained.best_step + 3 * 4 == trained.steps


def test_a_run_may_last_minutes(tmp_path):
    schedule = ScheduleConfig(steps=0, minutes=0.01, learning_rate=1e-2)
    seen: list[Progress] = []
    trained = fitted(tmp_path / "run", quick(schedule=schedule), watch=seen.append)
    assert trained.seconds >= 0.6
    assert trained.steps == len(seen)
    assert seen[-1].done == 1.0
    assert all(a.done <= b.done for a, b in pairwise(seen))
    assert [float(row["error"]) for row in curve(tmp_path / "run", "validation.csv")]


def test_the_learning_rate_goes_up_and_down(tmp_path):
    schedule = ScheduleConfig(steps=100, learning_rate=0.02, warmup=0.1, last=0.05)
    fitted(tmp_path / "run", quick(schedule=schedule))
    rates = [float(row["learning_rate"]) for row in curve(tmp_path / "run")]
    assert max(rates) == pytest.approx(0.02)
    assert rates.index(max(rates)) == 10
    assert rates[5] == pytest.approx(0.01)
    assert rates[55] == pytest.approx(0.02 * (0.05 + 0.95 / 2))  # half-way down
    assert rates[99] == pytest.approx(0.02 * 0.05, rel=0.02)


def test_bfloat16_trains_about_as_well(tmp_path):
    error = {}
    for precision in ("float32", "bfloat16"):
        error[precision] = fitted(tmp_path / precision, quick(100, precision=precision)).best["error"]
    assert curve(tmp_path / "float32")[0]["loss"] != curve(tmp_path / "bfloat16")[0]["loss"]
    assert error["bfloat16"] < 1.3 * error["float32"]


def test_float16_on_a_cpu_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="bfloat16"):
        fitted(tmp_path / "run", quick(precision="float16"))


def test_rows_are_means_over_their_steps(tmp_path):
    fitted(tmp_path / "each", quick(20))
    fitted(tmp_path / "fives", quick(20, log_every=5))
    each = [float(row["loss"]) for row in curve(tmp_path / "each")]
    fives = [float(row["loss"]) for row in curve(tmp_path / "fives")]
    assert fives == pytest.approx([sum(each[k : k + 5]) / 5 for k in range(0, 20, 5)], rel=1e-7)


def test_a_run_without_finite_gradients_ends_with_a_sentence(tmp_path):
    with pytest.raises(InputError, match="not finite in 51 steps in a row.*learning_rate"):
        fitted(tmp_path / "run", quick(200), task=FittingTaskConfig(broken_from=5))
    rows = curve(tmp_path / "run")
    assert math.isnan(float(rows[-1]["loss"]))
    assert math.isfinite(float(rows[4]["loss"]))


def test_a_broken_batch_does_not_reach_the_weights(tmp_path):
    class OnceBroken(FittingTask):
        def batch(self, step, *, rank, world):
            good = super().batch(step, rank=rank, world=world)
            return type(good)(good.numbers, good.waves * torch.nan) if step == 5 else good

    trained = train(OnceBroken(FittingTaskConfig(), 0), quick(60), RunFolder(tmp_path / "run"), name="fitting")
    assert math.isfinite(trained.best["error"])
    assert all(value.isfinite().all() for value in weights(tmp_path / "run").values())


def test_training_may_start_from_weights(tmp_path):
    first = fitted(tmp_path / "first", quick(200))
    config = quick(4, start_from=tmp_path / "first" / "weights.safetensors")
    second = fitted(tmp_path / "second", config)
    assert second.best["error"] < 1.2 * first.best["error"]


def test_what_a_batch_holds_goes_to_the_device():
    batch = FittingTask(FittingTaskConfig(), 0).batch(0, rank=0, world=1)
    nest = ({"pairs": batch, "name": "x"}, [torch.ones(2)], Ordered(torch.ones(3), torch.ones(3)))
    moved = on_device(nest, torch.device("meta"))
    assert moved[0]["pairs"].numbers.is_meta
    assert moved[0]["name"] == "x"
    assert moved[1][0].is_meta
    assert moved[2].indices.is_meta


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_in_two_parts(tmp_path):
    """Halves are added after each was divided by two, which rounds nothing: the weights are equal bit by bit."""
    settings = ("schedule.steps=25", "log_every=1", "validations=5", "seed=6", "average=0.8")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    ended_well(start_run(tmp_path / "two", *settings, command=(sys.executable, *torchrun)))
    ended_well(start_run(tmp_path / "one", *settings, "accumulate=2"))
    assert curve(tmp_path / "two") == curve(tmp_path / "one")
    assert curve(tmp_path / "two", "validation.csv") == curve(tmp_path / "one", "validation.csv")
    two, one = weights(tmp_path / "two"), weights(tmp_path / "one")
    assert all(torch.equal(two[name], one[name]) for name in one)
    starts = json.loads((tmp_path / "two" / "run.json").read_text())["starts"]
    assert [start["processes"] for start in starts] == [2]
