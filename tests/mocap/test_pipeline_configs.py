"""The configuration files that ship say what they claim."""

import tomllib
from pathlib import Path

import pytest

from mocap.core.config import load_config
from mocap.pipeline import PipelineConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "pipeline"


def test_the_default_file_states_the_defaults():
    assert load_config(PipelineConfig, CONFIGS / "default.toml") == PipelineConfig()


def test_the_default_file_has_every_section_in_the_order_of_the_stages():
    sections = tomllib.loads((CONFIGS / "default.toml").read_text(encoding="utf-8"))
    assert list(sections) == list(PipelineConfig.model_fields)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_file_is_accepted(path):
    load_config(PipelineConfig, path)
