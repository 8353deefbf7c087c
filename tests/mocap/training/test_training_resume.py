from __future__ import annotations

import json
import os
import signal

import pytest
import torch
from fitting_task import FittingTaskConfig
from training_runs import curve, ended_well, fitted, quick, start_run, weights

from mocap.core.errors import FileFormatError, InputError
from mocap.training.checkpoints import load_state, load_weights, save_state, save_weights
from mocap.training.loop import Progress
from mocap.training.metrics_log import Table
from mocap.training.run_folder import RunFolder
from mocap.training.train_config import OptimiserConfig
from running_mocap import rubbish, wait_for


@pytest.mark.slow
def test_killed_runs_go_on_along_the_same_curve(tmp_path):
    """Killed twice without warning, wherever it happens to be; the run that was left alone is the known answer."""
    settings = ("schedule.steps=90", "log_every=4", "validations=9", "average=0.9", "task.norm=true", "seed=8")
    ended_well(start_run(tmp_path / "whole", *settings))
    folder = tmp_path / "killed"
    for number, enough in enumerate((23, 51)):
        again = ["--resume"] if number else [*settings, "checkpoint_s=0.05", "pause_s=0.02"]
        process = start_run(folder, *again)
        wait_for(lambda n=enough: rows(folder) >= n // 4 and (folder / "checkpoint.pt").is_file())
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (folder / "summary.json").exists()
    ended_well(start_run(folder, "--resume"))
    assert curve(folder) == curve(tmp_path / "whole")
    assert curve(folder, "validation.csv") == curve(tmp_path / "whole", "validation.csv")
    ours, theirs = weights(folder), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    starts = json.loads((folder / "run.json").read_text())["starts"]
    assert len(starts) == 3
    assert 0 == starts[0]["from_step"] < starts[1]["from_step"] < starts[2]["from_step"] < 90
    assert not rubbish(folder)


def rows(folder) -> int:
    path = folder / "metrics.csv"
    return len(path.read_text().splitlines()) - 1 if path.is_file() else 0


class StopError(Exception):
    pass


def stop(progress: Progress) -> None:
    if progress.step == 5:
        raise StopError


@pytest.mark.parametrize("checkpoint_s", [0.0, 1000.0], ids=["a checkpoint each step", "no checkpoint yet"])
def test_a_run_that_was_broken_off_goes_on_along_the_same_curve(tmp_path, checkpoint_s):
    config = quick(12, checkpoint_s=checkpoint_s, log_every=3, average=0.9, optimiser=OptimiserConfig(kind="adam"))
    with pytest.raises(StopError):
        fitted(tmp_path / "broken", config, watch=stop)
    fitted(tmp_path / "broken", config, resume=True)
    fitted(tmp_path / "whole", config)
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")
    assert curve(tmp_path / "broken", "validation.csv") == curve(tmp_path / "whole", "validation.csv")
    ours, theirs = weights(tmp_path / "broken"), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    first = fitted(tmp_path / "run", quick(8))
    before = curve(tmp_path / "run")
    again = fitted(tmp_path / "run", quick(8), resume=True)
    assert (again.steps, again.best) == (first.steps, first.best)
    assert curve(tmp_path / "run") == before


def test_a_run_is_not_overwritten(tmp_path):
    fitted(tmp_path / "run", quick(2))
    with pytest.raises(InputError, match=r"a run lies there.*--resume"):
        fitted(tmp_path / "run", quick(2))


def test_there_must_be_a_run_to_go_on_with(tmp_path):
    with pytest.raises(InputError, match=r"no run lies there.*without --resume"):
        fitted(tmp_path / "nothing", quick(2), resume=True)


def test_a_run_of_something_else_is_not_gone_on_with(tmp_path):
    fitted(tmp_path / "run", quick(2))
    with pytest.raises(InputError, match="trains 'fitting', not 'volumetric'"):
        RunFolder(tmp_path / "run").check("volumetric")


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    fitted(tmp_path / "run", quick(2))
    with pytest.raises(FileFormatError, match=r"another shape.*config\.toml"):
        fitted(tmp_path / "run", quick(4), resume=True, task=FittingTaskConfig(hidden=7))


@pytest.mark.parametrize("content", [b"", b"PK nothing", b"\x80\x02."])
def test_a_spoilt_checkpoint_is_told(tmp_path, content):
    fitted(tmp_path / "run", quick(2))
    (tmp_path / "run" / "checkpoint.pt").write_bytes(content)
    with pytest.raises(FileFormatError, match="not a checkpoint that can be read"):
        fitted(tmp_path / "run", quick(4), resume=True)


def test_a_checkpoint_of_another_version_is_told(tmp_path):
    torch.save({"version": 99}, tmp_path / "checkpoint.pt")
    with pytest.raises(FileFormatError, match="version 1"):
        load_state(tmp_path / "checkpoint.pt")


def test_a_checkpoint_that_cannot_be_finished_leaves_the_last_one(tmp_path):
    save_state(tmp_path / "checkpoint.pt", {"step": 1})
    with pytest.raises(TypeError):
        save_state(tmp_path / "checkpoint.pt", {"step": (n for n in range(3))})
    assert load_state(tmp_path / "checkpoint.pt")["step"] == 1
    assert not rubbish(tmp_path)


def test_weights_say_what_does_not_fit(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    save_weights(tmp_path / "w.safetensors", model, {"step": "5"})
    load_weights(tmp_path / "w.safetensors", model)
    with pytest.raises(FileFormatError, match=r"2 missing \(2\.bias, 2\.weight…\)"):
        load_weights(tmp_path / "w.safetensors", torch.nn.Sequential(*model, torch.nn.Linear(1, 1)))
    with pytest.raises(FileFormatError, match=r"2 surplus \(1\.bias, 1\.weight…\)"):
        load_weights(tmp_path / "w.safetensors", torch.nn.Sequential(model[0]))
    (tmp_path / "w.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(FileFormatError, match="not safetensors"):
        load_weights(tmp_path / "w.safetensors", model)
    with pytest.raises(FileFormatError, match="no such file"):
        load_weights(tmp_path / "absent.safetensors", model)


def test_tables_lose_what_came_after_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,error\n1,0.5,0.25\n2,0.4,0.2\n3,0.3,0.1\n4,0.2")
    table = Table(path, 2)
    table.add(3, {"loss": 0.125, "error": 1 / 3})
    assert path.read_text() == "step,loss,error\n1,0.5,0.25\n2,0.4,0.2\n3,0.125,0.333333333\n"


def test_figures_keep_their_names(tmp_path):
    table = Table(tmp_path / "metrics.csv", 0)
    table.add(1, {"loss": 1.0})
    with pytest.raises(ValueError, match="step 2"):
        table.add(2, {"losses": 1.0})
