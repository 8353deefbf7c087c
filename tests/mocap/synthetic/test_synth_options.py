from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from mocap.core.config import load_config
from mocap.core.errors import ConfigError
from mocap.synthetic.detector_config import MEASURED, PRESETS
from mocap.synthetic.synth_config import DetectorName, SynthConfig
from mocap.synthetic.synth_options import synth_config

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "synth"


def test_options_change_the_configuration_and_settings_go_last():
    options = {"seed": 7, "rig.image_size": "640x360", "rig.layout": "corners", "fps": None, "keypoints_only": True}
    config = synth_config(None, options, ["seconds=2.5", "seed=8"])
    assert (config.seed, config.rig.image_size, config.rig.layout) == (8, (640, 360), "corners")
    assert (config.fps, config.seconds, config.keypoints_only) == (30.0, 2.5, True)


def test_several_people_stand_apart_and_face_each_other():
    config = synth_config(None, {}, (), people=2, motions=("reach", "wave"), start_pose="T")
    first, second = config.people
    assert (first.motion, second.motion) == ("reach", "wave")
    assert (first.start_pose, second.start_pose) == ("T", "T")
    places = np.array([first.position_m, second.position_m])
    np.testing.assert_allclose(places[0], -places[1], atol=1e-3)
    for person, way in zip(config.people, (places[1] - places[0], places[0] - places[1]), strict=True):
        heading = np.deg2rad(person.heading_deg)
        facing = np.array([np.sin(heading), -np.cos(heading)])  # -Y turned about the vertical
        assert facing @ way / np.linalg.norm(way) > 0.999


def test_one_motion_stands_for_all_and_three_for_two_are_refused():
    assert [p.motion for p in synth_config(None, {}, (), people=3, motions=("jump",)).people] == ["jump"] * 3
    assert len(synth_config(None, {}, (), motions=("jump", "wave")).people) == 2
    with pytest.raises(ConfigError, match="--motion: 3 motions for 2 people"):
        synth_config(None, {}, (), people=2, motions=("jump", "wave", "reach"))


@pytest.mark.parametrize("name", [*PRESETS, *MEASURED])
def test_every_set_of_errors_can_be_chosen(name):
    assert synth_config(None, {"detector": name}, ()).detector == name
    assert set(get_args(DetectorName)) == {*PRESETS, *MEASURED}


def test_what_is_not_a_size_is_refused():
    with pytest.raises(ConfigError, match="--size: 'big' is not WIDTHxHEIGHT. Write e.g. --size 1280x720."):
        synth_config(None, {"rig.image_size": "big"}, ())


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("people=[]", "one to four people, not 0"),
        ("take=a/b", "cannot be the name of a take"),
        ("rig.layout=star", "rig.layout"),
        ("detector=perfect", "'clean', 'blazepose_like', 'hard' or 'blazepose_measured'"),
        ("look.furnitur=3", "unknown key 'look.furnitur'; known there: "),
    ],
)
def test_bad_values_say_what_is_wrong(setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_config(SynthConfig, None, [setting])


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_the_configurations_that_ship_are_valid(path):
    config = load_config(SynthConfig, path)
    assert config.rig.cameras >= 4
    assert set(config.faults) <= {f"cam{n + 1:02d}" for n in range(config.rig.cameras)}


def test_calibration_clips_can_be_left_out():
    config = SynthConfig().without_calibration()
    assert (config.calibration.intrinsics_s, config.calibration.extrinsics_s, config.calibration.floor_s) == (0, 0, 0)
    assert config.seconds == SynthConfig().seconds
