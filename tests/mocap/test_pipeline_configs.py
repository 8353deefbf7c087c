"""The configuration files that ship say what they claim."""

from pathlib import Path

import pytest

from mocap.core.config import load_config
from mocap.pipeline import PipelineConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "pipeline"


def test_the_default_file_states_the_defaults():
    assert load_config(PipelineConfig, CONFIGS / "default.toml") == PipelineConfig()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_file_is_accepted(path):
    load_config(PipelineConfig, path)
