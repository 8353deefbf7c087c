"""The tools that ship and measure small heatmap networks, run on an untrained one and people made of dots."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import measure_small_networks
import ship_pose
from mocap.models.convert_sources import write_safetensors
from mocap.models.mobile_pose import MobilePose, MobilePoseConfig
from mocap.training.datasets.labelled_people import SEEN
from mocap.training.datasets.rendered_scenes import RenderedPeople, scene_path

CONFIG = """
[task]
keypoints = "blazepose33"
width = 0.25
features = 16
loss = "{loss}"
[task.crop]
size = [64, 64]
padding = 1.3
"""


def run_folder(folder: Path, loss: str = "likelihood") -> Path:
    torch.manual_seed(0)
    write_safetensors(MobilePose(MobilePoseConfig(33, 0.25, 16)).eval(), folder / "weights.safetensors")
    (folder / "config.toml").write_text(CONFIG.format(loss=loss))
    return folder


def people(folder: Path) -> Path:
    import cv2

    rng = np.random.default_rng(0)
    jpegs = [cv2.imencode(".jpg", rng.integers(0, 256, (120, 90, 3)).astype(np.uint8))[1] for _ in range(3)]
    xy = rng.uniform(10, 80, (3, 33, 2))
    RenderedPeople(
        jpegs=np.concatenate(jpegs),
        lengths=np.array([len(jpeg) for jpeg in jpegs]),
        xy=xy,
        visibility=np.full((3, 33), SEEN),
        box=np.concatenate([xy.min(1), xy.max(1)], axis=-1),
        place=np.zeros((3, 3), np.int64),
    ).save(scene_path(folder, 0, 0))
    return folder


def test_a_run_is_shipped_and_measured(tmp_path, monkeypatch, capsys) -> None:
    target = tmp_path / "shipped" / "mine.safetensors"
    monkeypatch.setattr(sys, "argv", ["ship_pose", str(run_folder(tmp_path)), "-o", str(target)])
    ship_pose.main()
    assert '"size":[64,64]' in capsys.readouterr().out
    folder = people(tmp_path)
    given = ["--people", str(folder), "--weights", str(target), "--sizes", "0", "32", "--precisions", "f32"]
    monkeypatch.setattr(sys, "argv", ["measure_small_networks", *given])
    measure_small_networks.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("mine")]
    assert [re.findall(r"\d+x\d+", line)[0] for line in lines] == ["64x64", "32x32"]
    for line in lines:
        near, error = (float(value) for value in re.findall(r"([\d.]+)%", line))
        assert 0 <= near < 60  # an untrained network
        assert error > 5


def test_a_run_of_another_loss_is_not_shipped(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ship_pose", str(run_folder(tmp_path, "mse")), "-o", str(tmp_path / "x")])
    with pytest.raises(SystemExit):
        ship_pose.main()
