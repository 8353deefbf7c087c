"""Configuration: values from a file, overrides, and refusals that name what would have been right."""

import pytest

from mocap.core.config import Config, load_config
from mocap.core.errors import ConfigError


class Filter(Config):
    kind: str = "rts"
    cutoff_hz: float = 6.0


class Everything(Config):
    smooth: Filter = Filter()
    people: int = 1


def test_file_then_overrides(tmp_path):
    path = tmp_path / "fast.toml"
    path.write_text("people = 2\n[smooth]\ncutoff_hz = 9.0\n")
    config = load_config(Everything, path, ["smooth.kind=butterworth", "people=3"])
    assert config == Everything(smooth=Filter(kind="butterworth", cutoff_hz=9.0), people=3)


def test_unknown_key_lists_the_known_ones_of_its_section():
    with pytest.raises(ConfigError, match=r"unknown key 'smooth.cutof'; known there: cutoff_hz, kind"):
        load_config(Everything, None, ["smooth.cutof=3"])


def test_wrong_type_shows_the_value():
    with pytest.raises(ConfigError, match=r"people: .*\(got 'many'\)"):
        load_config(Everything, None, ["people=many"])


def test_override_without_equals_sign_is_explained():
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        load_config(Everything, None, ["people"])


def test_override_through_a_value_is_explained():
    with pytest.raises(ConfigError, match="is a value, not a section"):
        load_config(Everything, None, ["people=3", "people.count=3"])


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="absent.toml: no such configuration file"):
        load_config(Everything, tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("people = = 2")
    with pytest.raises(ConfigError, match="broken.toml: not valid TOML"):
        load_config(Everything, broken)
