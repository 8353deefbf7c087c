"""Cameras for made-up worlds look where they are told."""

from __future__ import annotations

import numpy as np
import pytest

from calibration import CalibrationError, Intrinsics
from calibration.synthetic import camera_looking_at

LENS = Intrinsics((1280, 720), np.array([[900.0, 0, 600], [0, 880, 370], [0, 0, 1]]), np.zeros(5))
CENTER, TARGET = (2.0, -3.0, 1.4), (0.1, 0.2, 0.9)


def test_the_target_is_at_the_principal_point():
    camera = camera_looking_at("a", LENS, center=CENTER, target=TARGET, roll=0.3)
    np.testing.assert_allclose(camera.project(np.array(TARGET)), [600, 370], atol=1e-9)
    np.testing.assert_allclose(camera.center, CENTER, atol=1e-12)


def test_up_is_up_in_the_image_and_roll_turns_it():
    above = np.add(TARGET, (0.0, 0.0, 0.1))
    x, y = camera_looking_at("a", LENS, center=CENTER, target=TARGET).project(above)
    assert x == pytest.approx(600, abs=1e-9)
    assert y < 370
    x, y = camera_looking_at("a", LENS, center=CENTER, target=TARGET, roll=np.pi / 2).project(above)
    # A camera turned clockwise sees the world turned the other way: up goes to the left.
    assert x < 600
    assert y == pytest.approx(370, abs=1e-9)


@pytest.mark.parametrize("center", [(0.1, 0.2, 4.0), TARGET])
def test_a_direction_without_a_roll_is_refused(center):
    with pytest.raises(CalibrationError, match="camera a"):
        camera_looking_at("a", LENS, center=center, target=TARGET)
