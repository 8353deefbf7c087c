from __future__ import annotations

import numpy as np
import pytest

from mocap.capture.sync_light import flash_estimates
from mocap.core.errors import InputError


def lit(stamp_s, seed, changes):
    rng = np.random.default_rng(seed)
    level = 80 + 40 * ((stamp_s[:, None] >= changes).sum(1) % 2)
    return level + rng.normal(0, 0.1, len(stamp_s))


def test_lamps_put_cameras_on_one_clock():
    changes = np.array([1.03, 2.41, 5.2, 7.77])
    one, two = 0.004 + np.arange(300) / 30, 0.011 + np.arange(600) / 60
    brightness = {"a": lit(one, 1, changes), "b": lit(two, 2, changes), "c": lit(one, 3, np.array([99.0]))}
    found = {e.camera: e for e in flash_estimates(brightness, {"a": one, "b": two + 1.5, "c": one})}
    assert abs(found["b"].offset_s - 1.5) < 3 * found["b"].sd_s
    assert found["b"].sd_s < 0.01
    assert found["b"].confidence > 0.5
    assert found["c"].confidence == 0.0
    assert "no change" in found["c"].note


def test_one_camera_is_not_enough():
    with pytest.raises(InputError, match="two cameras"):
        flash_estimates({"a": np.zeros(9)}, {"a": np.arange(9.0)})
