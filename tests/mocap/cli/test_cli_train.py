from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from mocap.cli import train
from mocap.models.shipped import load_shipped
from mocap.training.loop import Progress
from running_mocap import ROOT, complaint, invoke, results

SMALL = {
    "schedule.steps": 4,
    "threads": 1,
    "log_every": 2,
    "validations": 2,
    "device": "cpu",
    "task.people": 6,
    "task.bodies": 2,
    "task.body": '["humanoid"]',
    "task.validation_blocks": 1,
}


def small() -> list[str]:
    return [argument for key, value in SMALL.items() for argument in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of four steps, and what the command said."""
    folder = tmp_path_factory.mktemp("runs") / "algebraic"
    return folder, invoke("train", "algebraic", "-o", folder, "--json", *small())


@pytest.mark.slow
def test_a_network_is_trained(run):
    folder, done = run
    document = results(done)
    assert document["steps"] == 4
    assert document["weights"] == str(folder / "weights.safetensors")
    assert (folder / "weights.safetensors").is_file()
    assert next(iter(document["best"])) == "mpjpe_mm"
    assert json.loads((folder / "run.json").read_text())["task"] == "algebraic"
    network = load_shipped("algebraic_blazepose", folder=folder)
    kept = load_file(folder / "weights.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    assert document["ready"] == str(folder / "algebraic_blazepose.safetensors")
    assert (folder / "metrics.csv").read_text().count("\n") == 3


@pytest.mark.slow
def test_a_finished_run_is_gone_on_with_by_name_alone(run):
    folder, _ = run
    done = invoke("train", "algebraic", "-o", folder, "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(folder / "weights.safetensors")]
    assert "4 steps in " in done.stderr
    assert "mpjpe mm: " in done.stderr


@pytest.mark.slow
def test_a_run_keeps_its_configuration(run):
    folder, _ = run
    said = complaint(invoke("train", "algebraic", "-o", folder, "--resume", "--set", "seed=3"))
    assert "begun with" in said
    assert "start_from" in said


@pytest.mark.slow
def test_a_run_is_not_overwritten(run):
    folder, _ = run
    assert "--resume" in complaint(invoke("train", "algebraic", "-o", folder, *small()))


@pytest.mark.slow
def test_a_run_of_another_network_is_told(run):
    folder, _ = run
    said = complaint(invoke("train", "volumetric", "-o", folder, "--resume"))
    assert "trains 'algebraic', not 'volumetric'" in said


def test_unknown_names_and_keys_are_told(tmp_path):
    assert "There are" in complaint(invoke("train", "dance", "-o", tmp_path / "run"))
    said = complaint(invoke("train", "algebraic", "-o", tmp_path / "run", "--set", "schedule.epochs=3"))
    assert "unknown key 'schedule.epochs'; known there: " in said
    assert "steps" in said
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_is_not_there_is_told(tmp_path):
    said = complaint(invoke("train", "algebraic", "-o", tmp_path / "run", "--config", tmp_path / "none.toml"))
    assert "no such configuration file" in said


def test_nothing_to_resume_is_told(tmp_path):
    assert "no run lies there" in complaint(invoke("train", "algebraic", "-o", tmp_path / "run", "--resume"))


def test_recipes_are_named_in_the_help():
    said = invoke("train", "--help").stdout
    for name in ("algebraic_blazepose", "volumetric_blazepose"):
        assert (ROOT / "configs" / "train" / f"{name}.toml").is_file()
    assert "volumetric_blazepose.toml" in said


def test_lines_tell_the_time_that_is_left(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(train.time, "monotonic", lambda: now[0])
    with caplog.at_level("INFO", logger="mocap"):
        lines = train.Lines("volumetric")
        for second, done in ((5.0, 0.25), (20.0, 0.4), (65.0, 0.5)):
            now[0] = second
            lines(Progress(done, int(400 * done), 0.125, {"mpjpe_mm": 21.75} if done > 0.3 else {}))
    assert caplog.messages == [
        "volumetric step 200, loss 0.125, mpjpe mm 21.75 50.0 %, 2.0 min left",
    ]
