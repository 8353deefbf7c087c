from __future__ import annotations

import json
import subprocess
import tomllib

import pytest
import torch
from fitting_task import FittingTask, FittingTaskConfig
from training_runs import fitted, quick

from mocap.core.config import load_config
from mocap.core.errors import ConfigError, FileFormatError, InputError
from mocap.training.averaging import WeightAverage
from mocap.training.optimiser import make_optimiser, set_rate
from mocap.training.processes import Processes, joined
from mocap.training.registry import ENTRIES, make_task, run_config, trainable
from mocap.training.run_folder import SOURCE, RunFolder, git_state
from mocap.training.schedule import rate_share, share_done
from mocap.training.task import Task
from mocap.training.train_config import OptimiserConfig, ScheduleConfig, TrainConfig


def test_a_run_folder_tells_what_was_done(tmp_path):
    config = quick(6, seed=11, optimiser=OptimiserConfig(rates={"0.": 0.5}))
    fitted(tmp_path / "run", config)
    names = {path.name.split(".")[0] for path in (tmp_path / "run").iterdir()} - {"uncommitted"}
    assert names == {"config", "run", "metrics", "validation", "events", "checkpoint", "weights", "summary"}
    assert load_config(TrainConfig, tmp_path / "run" / "config.toml") == config
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["task"], record["seed"]) == ("fitting", 11)
    (start,) = record["starts"]
    assert start["from_step"] == 0
    assert start["environment"]["packages"]["torch"] == torch.__version__
    assert start["command"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["steps"], summary["reason"]) == (6, "the schedule has ended")


def test_the_code_is_named_by_commit_and_difference(tmp_path):
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "code.py").write_text("a = 1\n")
    git("add", "code.py")
    git("commit", "-q", "-m", "one")
    clean = git_state(tmp_path)
    assert len(clean["commit"]) == 40
    assert (clean["patch"], clean["untracked"]) == ("", [])
    (tmp_path / "code.py").write_text("a = 2\n")
    (tmp_path / "new.py").write_text("")
    assert "+a = 2" in git_state(tmp_path)["patch"]
    assert git_state(tmp_path)["untracked"] == ["new.py"]
    assert git_state(tmp_path)["commit"] == clean["commit"]


def test_no_repository_is_no_code_state(tmp_path):
    assert git_state(tmp_path) == {}


def test_this_codes_state_is_recorded(tmp_path):
    if not (SOURCE / ".git").exists():
        pytest.skip("not a clone")
    fitted(tmp_path / "run", quick(2))
    code = json.loads((tmp_path / "run" / "run.json").read_text())["starts"][0]["code"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=SOURCE, capture_output=True, text=True, check=True)
    assert len(code["commit"]) == len(head.stdout.strip())
    assert (tmp_path / "run" / "uncommitted.patch").exists() is ("uncommitted_characters" in code)


@pytest.mark.parametrize("content", ["not json", "[]", "{}"])
def test_a_spoilt_record_is_told(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(FileFormatError, match="not the record of a run"):
        RunFolder(tmp_path).check("fitting")


def test_a_run_that_never_ends_is_refused():
    with pytest.raises(ValueError, match="set steps or minutes"):
        ScheduleConfig(steps=0)


def test_the_end_that_comes_first_counts():
    schedule = ScheduleConfig(steps=100, minutes=2.0)
    assert share_done(schedule, 25, 30.0) == 0.25
    assert share_done(schedule, 10, 60.0) == 0.5
    assert share_done(schedule, 10, 240.0) == 1.0
    assert share_done(ScheduleConfig(steps=0, minutes=1.0), 10**9, 15.0) == 0.25


def test_the_rate_is_continuous_where_it_turns():
    schedule = ScheduleConfig(warmup=0.2, last=0.1)
    assert rate_share(schedule, 0.2 - 1e-9) == pytest.approx(rate_share(schedule, 0.2 + 1e-9), abs=1e-7)
    assert rate_share(schedule, 0.0) > 0
    assert rate_share(schedule, 1.0) == pytest.approx(0.1)
    assert rate_share(ScheduleConfig(warmup=0.0), 0.0) == 1.0


def test_parts_may_learn_more_slowly_and_biases_do_not_decay():
    model = FittingTask(FittingTaskConfig(), 0).model()
    optimiser = make_optimiser(model, OptimiserConfig(weight_decay=0.3, rates={"0.": 0.1, "0.bias": 0.5}))
    set_rate(optimiser, 2.0)
    found = {id(p): (g["lr"], g["weight_decay"]) for g in optimiser.param_groups for p in g["params"]}
    expected = {"0.weight": (0.2, 0.3), "0.bias": (1.0, 0.0), "3.weight": (2.0, 0.3), "3.bias": (2.0, 0.0)}
    assert {name: found[id(value)] for name, value in model.named_parameters()} == expected


def test_a_part_that_is_not_there_is_told():
    model = FittingTask(FittingTaskConfig(), 0).model()
    with pytest.raises(ConfigError, match=r"begins with 'backbone'.*There are 0, 3"):
        make_optimiser(model, OptimiserConfig(rates={"backbone": 0.1}))


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_every_optimiser_lowers_a_loss(kind):
    model = torch.nn.Linear(3, 1)
    optimiser = make_optimiser(model, OptimiserConfig(kind=kind, weight_decay=0.0))
    numbers = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(50):
        set_rate(optimiser, 0.02)
        optimiser.zero_grad()
        loss = (model(numbers) - numbers.sum(-1, keepdim=True)).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_average_of_constant_weights_is_those_weights():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    average = WeightAverage(model, 0.99)
    with torch.no_grad():
        model[0].weight.fill_(3.0)
        model[1].running_mean += 2.0
    for _ in range(400):
        average.update(model)
    torch.testing.assert_close(average.model[0].weight, model[0].weight, atol=0.1, rtol=0)  # 0.99^400 = 0.02 of 3
    assert torch.equal(average.model[1].running_mean, model[1].running_mean)
    assert not any(value.requires_grad for value in average.model.parameters())


def test_one_process_alone_averages_nothing():
    with joined("cpu") as processes:
        assert processes == Processes(0, 1, torch.device("cpu"))
        tensor = torch.ones(2)
        processes.average([tensor])
        assert processes.from_first(1.5, 2.0) == (1.5, 2.0)
        assert torch.equal(tensor, torch.ones(2))


def test_a_gpu_that_is_not_there_is_told():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="no CUDA device here"), joined("cuda"):
        pass


@pytest.mark.parametrize("name", trainable())
def test_what_can_be_trained_keeps_to_the_protocol(name):
    config = run_config(name)()
    assert isinstance(make_task(name, config), Task)


@pytest.mark.parametrize("name", trainable())
def test_every_configuration_survives_its_file(name, tmp_path):
    config = run_config(name)()
    RunFolder(tmp_path / "run").begin(name, config)
    assert load_config(run_config(name), tmp_path / "run" / "config.toml") == config


@pytest.mark.parametrize("name", trainable())
def test_unknown_keys_of_a_task_are_refused(name):
    with pytest.raises(ConfigError, match=r"unknown key 'task\.colour'; known there: "):
        load_config(run_config(name), None, ["task.colour=red"])


def test_names_that_cannot_be_trained_are_told():
    with pytest.raises(InputError, match=r"'dance'.*There are .*algebraic"):
        run_config("dance")


RECIPES = sorted((SOURCE / "configs" / "train").glob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_fit_their_tasks(recipe):
    name = recipe.stem.split("_")[0]
    assert name in ENTRIES
    if name not in trainable():
        pytest.skip(f"{name} cannot be trained here")
    config = load_config(run_config(name), recipe)
    assert tomllib.loads(recipe.read_text(encoding="utf-8"))["seed"] == config.seed
