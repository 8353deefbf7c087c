"""The recipes that ship can be run as they are, and `mocap train --help` names those that lie there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mocap.core.config import load_config
from mocap.training.registry import make_task, run_config, trainable
from running_mocap import ROOT, invoke

RECIPES = sorted((ROOT / "configs" / "train").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_accepted_and_says_how_it_is_run(path: Path):
    what = path.stem.partition("_")[0]
    assert what in trainable()
    load_config(run_config(what), path)
    command = re.search(rf"^# mocap train {what} --config configs/train/{path.name} ", path.read_text(), re.MULTILINE)
    assert command is not None


@pytest.mark.parametrize("what", ["algebraic", "volumetric"])
def test_the_recipes_make_what_the_package_ships(what):
    config = load_config(run_config(what), ROOT / "configs" / "train" / f"{what}_blazepose.toml")
    assert config.model_dump()["task"]["net"]["keypoints"] == "blazepose33"
    assert make_task(what, config)


def test_help_names_the_recipes():
    said = invoke("train", "--help").stdout
    named = set(re.findall(r"\w+\.toml", said))
    assert named == {path.name for path in RECIPES}
